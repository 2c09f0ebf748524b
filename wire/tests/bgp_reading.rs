//! What a receiver must ignore, and what it must be ready for: capabilities, labels, path identifiers, flow
//! specifications, per-peer headers and TLVs. The sentences stand in `conformance/`.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test cannot do without fails it, and any other NLRI is the failure"
)]

use std::net::Ipv4Addr;

use wire::Cursor;
use wire::bgp::capability::CapabilityValue;
use wire::bgp::family::Family;
use wire::bgp::nlri::flowspec::Condition;
use wire::bgp::{Nlri, Open, Session, Update};
use wire::bmp::{self, Framed, Message, PeerHeader, RibView};
use wire::emit::{bgp as emit_bgp, bmp as emit_bmp};

/// An OPEN of AS 65000 with these optional parameters.
fn open(parameters: &[u8]) -> Vec<u8> {
    let length = u8::try_from(parameters.len()).unwrap();
    [&[4, 0xfd, 0xe8, 0, 180, 10, 0, 0, 1, length][..], parameters].concat()
}

//= RFC 5492 section 3
//# If a BGP speaker receives from its peer a capability that it does not itself support or recognize, it MUST
//# ignore that capability.
//= RFC 5492 section 5
//# It MUST NOT be used when a BGP speaker receives a capability that it does not understand; such
//# capabilities MUST be ignored.
#[test]
fn capabilities_that_nobody_knows_change_nothing() {
    let known = [1, 4, 0, 1, 0, 1, 65, 4, 0, 1, 0, 0];
    let plain = open(&[&[2, 12][..], &known].concat());
    let more = open(&[&[2, 17][..], &[222, 3, 1, 2, 3], &known].concat());
    let (plain, more) = (Open::parse(Cursor::new(&plain)).unwrap(), Open::parse(Cursor::new(&more)).unwrap());
    assert_eq!(more.capabilities().flatten().count(), 3);
    assert_eq!(Session::negotiated(&plain, &plain), Session::negotiated(&more, &plain));
    assert_eq!(plain.families().collect::<Vec<_>>(), more.families().collect::<Vec<_>>());
}

//= RFC 5492 section 4
//# Note, however, that processing of multiple instances of such capability does not require special handling,
//# as additional instances do not change the meaning of the announced capability; thus, a BGP speaker MUST be
//# prepared to accept such multiple instances.
//= RFC 5492 section 4
//# However, for backward compatibility, a BGP speaker MUST be prepared to receive an OPEN message that
//# contains multiple Capabilities Optional Parameters, each of which contains one or more capabilities TLVs.
#[test]
fn capabilities_come_twice_and_in_several_parameters() {
    let once = open(&[2, 12, 1, 4, 0, 1, 0, 1, 65, 4, 0, 1, 0, 0]);
    let twice = open(&[2, 6, 1, 4, 0, 1, 0, 1, 2, 6, 65, 4, 0, 1, 0, 0, 2, 6, 1, 4, 0, 1, 0, 1]);
    let (once, twice) = (Open::parse(Cursor::new(&once)).unwrap(), Open::parse(Cursor::new(&twice)).unwrap());
    assert_eq!(Session::negotiated(&once, &once), Session::negotiated(&twice, &twice));
    assert_eq!(twice.autonomous_system(), 65536);
}

//= RFC 4760 section 8
//# SHOULD be set to 0 by the sender and ignored by the receiver.
//= RFC 4724 section 3
//# The remaining bits are reserved and MUST be set to zero by the sender and ignored by the receiver.
#[test]
fn the_reserved_octet_of_a_family_and_reserved_flags_are_ignored() {
    let open = open(&[2, 14, 1, 4, 0, 2, 0xff, 1, 64, 6, 0x40 | 0x30, 120, 0, 1, 1, 0x7f]);
    let open = Open::parse(Cursor::new(&open)).unwrap();
    assert_eq!(open.families().collect::<Vec<_>>(), [Family::IPV6_UNICAST]);
    let restart = open.capabilities().flatten().nth(1).unwrap();
    let CapabilityValue::GracefulRestart { flags, seconds, mut families } = restart.value() else { panic!() };
    // Bit 0x8, that it just restarted, and bit 0x80, that it kept on forwarding, are the only ones asked for.
    assert_eq!((flags & 0x8, seconds), (0, 120));
    assert_eq!(families.next().unwrap().flags & 0x80, 0);
}

//= RFC 7911 section 4
//# If any other value is received, then the capability SHOULD be treated as not understood and ignored
//# [RFC5492].
#[test]
fn add_path_modes_that_nobody_knows_are_none() {
    for (mode, expected) in [(0, false), (1, false), (2, true), (3, true), (4, false), (255, false)] {
        let sender = open(&[2, 6, 69, 4, 0, 1, 1, mode]);
        let receiver = open(&[2, 6, 69, 4, 0, 1, 1, 1]);
        let sender = Open::parse(Cursor::new(&sender)).unwrap();
        let receiver = Open::parse(Cursor::new(&receiver)).unwrap();
        let session = Session::negotiated(&sender, &receiver);
        assert_eq!(session.add_path.contains(Family::IPV4_UNICAST), expected, "{mode}");
    }
}

//= RFC 6793 section 4.1
//# When a NEW BGP speaker processes an OPEN message from another NEW BGP speaker, it MUST use the AS number
//# encoded in the Capability Value field of the "support for four-octet AS number capability" in lieu of the
//# "My Autonomous System" field of the OPEN message.
#[test]
fn a_number_in_the_capability_goes_before_the_one_in_the_open() {
    let wide = open(&[2, 6, 65, 4, 0, 1, 0x11, 0x70]);
    assert_eq!(Open::parse(Cursor::new(&wide)).unwrap().autonomous_system(), 70_000);
    let narrow = open(&[]);
    assert_eq!(Open::parse(Cursor::new(&narrow)).unwrap().autonomous_system(), 65_000);
}

/// The entries of one NLRI field.
fn entries(family: Family, withdraw: bool, nlri: &[u8]) -> Vec<String> {
    let mut update = emit_bgp::Update::new(wire::bgp::AsWidth::Four);
    if withdraw {
        update.mp_unreach(family, nlri);
    } else {
        update.mp_reach(family, &[192, 0, 2, 1], nlri);
    }
    let octets = update.finish();
    let message = wire::bgp::Message::parse(&mut Cursor::new(&octets)).unwrap();
    let routes = Update::parse(message.body).routes().next().unwrap().unwrap();
    let text = |nlri: Nlri<'_>| match nlri {
        Nlri::Labeled(labeled) => format!("{} {:?}", labeled.prefix, labeled.labels.collect::<Vec<_>>()),
        Nlri::Prefix(prefix) => prefix.to_string(),
        other => panic!("{other:?}"),
    };
    routes.entries(&Session::FOUR_OCTET).map(|entry| text(entry.unwrap().nlri)).collect()
}

//= RFC 8277 section 2.2
//# This 3-bit field SHOULD be set to zero on transmission and MUST be ignored on reception.
//= RFC 8277 section 2.2
//# This 1-bit field MUST be set to one on transmission and MUST be ignored on reception.
#[test]
fn bits_beside_a_single_label_are_ignored() {
    for low in 0..=15 {
        let nlri = [32, 0, 0x06, 0x40 | low, 10, 32, 0, 0x06, 0x50 | low, 11];
        assert_eq!(entries(Family::IPV4_LABELED, false, &nlri), ["10.0.0.0/8 [100]", "11.0.0.0/8 [101]"]);
    }
}

//= RFC 8277 section 2.4
//# Upon reception, the value of the Compatibility field MUST be ignored.
#[test]
fn what_stands_for_the_label_of_a_withdrawn_route_is_ignored() {
    for compatibility in [[0x80, 0, 0], [0, 0, 0], [0, 0x06, 0x41], [0xff; 3]] {
        let nlri = [&[32][..], &compatibility, &[10]].concat();
        let read = entries(Family::IPV4_LABELED, true, &nlri);
        assert!(read.len() == 1 && read[0].starts_with("10.0.0.0/8 "), "{read:?}");
    }
}

#[test]
fn bits_behind_a_prefix_are_ignored() {
    let read = entries(Family::IPV4_UNICAST, false, &[20, 192, 0, 0x2f, 7, 0xfe, 0]);
    assert_eq!(read, ["192.0.32.0/20", "254.0.0.0/7", "0.0.0.0/0"]);
}

/// The conditions of one flow specification as text.
fn conditions(components: &[u8]) -> Vec<String> {
    let nlri = [&[u8::try_from(components.len()).unwrap()][..], components].concat();
    // No next hop: whatever stood there would be ignored.
    let value = [&[0, 1, 133, 0, 0][..], &nlri].concat();
    let mut attributes = Vec::new();
    emit_bgp::put_attribute(&mut attributes, 0x80, 14, &value);
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    let body = [&[0, 0][..], &length, &attributes].concat();
    let routes = Update::parse(Cursor::new(&body)).routes().next().unwrap().unwrap();
    let entry = routes.entries(&Session::FOUR_OCTET).next().unwrap().unwrap();
    let Nlri::Flowspec(rule) = entry.nlri else { panic!() };
    rule.components()
        .map(|component| match component.unwrap().condition {
            Condition::Number(numbers) => numbers.to_string(),
            Condition::Bits(bits) => bits.to_string(),
            Condition::Prefix { prefix, .. } => prefix.to_string(),
        })
        .collect()
}

//= RFC 8955 section 4
//# Network Address of the Next-Hop field MUST be ignored.
//= RFC 8955 section 4.2.1.1
//# In the first operator octet of a sequence, it MUST be encoded as unset and MUST be treated as always unset
//# on decoding.
//= RFC 8955 section 4.2.1.1
//# MUST be set to 0 on NLRI encoding and MUST be ignored during decoding
#[test]
fn the_first_term_joins_nothing_and_reserved_bits_mean_nothing() {
    let plain = conditions(&[5, 0x03, 80, 0x85, 90, 9, 0x81, 2]);
    assert_eq!(plain, [">=80 <=90", "=0x2"]);
    assert_eq!(conditions(&[5, 0x43, 80, 0x85, 90, 9, 0xc1, 2]), plain);
    assert_eq!(conditions(&[5, 0x0b, 80, 0x8d, 90, 9, 0x8d, 2]), plain);
}

fn whole(octets: &[u8]) -> Message<'_> {
    let Framed::Whole(frame) = bmp::frame(octets, bmp::DEFAULT_MAX_LENGTH) else { panic!() };
    frame.message().unwrap()
}

fn peer(kind: u8, flags: u8) -> PeerHeader {
    let address = Ipv4Addr::new(10, 0, 0, 1);
    PeerHeader { kind, flags, ..emit_bmp::peer(address.into(), 65_001, address) }
}

//= RFC 7854 section 4.2
//# They MUST be transmitted as 0 and their values MUST be ignored on receipt.
//= RFC 8671 section 4
//# They MUST be transmitted as 0, and their values MUST be ignored on receipt.
//= RFC 9069 section 4.2
//# They MUST be transmitted as 0, and their values MUST be ignored on receipt.
#[test]
fn reserved_flags_of_a_peer_mean_nothing() {
    for reserved in 0..16 {
        for flags in [0x00, 0x40, 0x10, 0x50] {
            let (plain, odd) = (peer(0, flags), peer(0, flags | reserved));
            assert_eq!((plain.rib_view(), plain.address()), (odd.rib_view(), odd.address()));
            assert_eq!(plain.is_legacy_as_path(), odd.is_legacy_as_path());
        }
    }
    for reserved in 0..0x80 {
        let odd = peer(3, 0x80 | reserved);
        assert!(odd.is_filtered() && odd.rib_view() == RibView::LocRib && !odd.is_legacy_as_path());
        assert!(!peer(3, reserved).is_filtered());
    }
}

//= RFC 7854 section 4.4
//# If multiple strings are included, their ordering MUST be preserved when they are reported.
//= RFC 8671 section 6.3.1
//# When multiple Admin Labels are included, the BMP receiver MUST preserve their order.
#[test]
fn strings_labels_and_names_keep_their_order() {
    let texts: [&[u8]; 3] = [b"third", b"first", b"second"];
    let tlvs = texts.map(|text| (0, text));
    let octets = emit_bmp::message(3, 4, &[&emit_bmp::tlvs(&tlvs)]);
    let Message::Initiation(initiation) = whole(&octets) else { panic!() };
    assert_eq!(initiation.strings().map(|text| text.0).collect::<Vec<_>>(), texts);

    let open = emit_bgp::Open::new(65_001, 180, Ipv4Addr::LOCALHOST).finish();
    let labels = texts.map(|text| (4, text));
    let local = (Ipv4Addr::LOCALHOST.into(), 179);
    let octets = emit_bmp::peer_up(&peer(0, 0), local, 40_000, &open, &open, &labels);
    let Message::PeerUp(up) = whole(&octets) else { panic!() };
    let read: Vec<_> = up.tlvs().flatten().map(|tlv| (tlv.kind, tlv.value)).collect();
    assert_eq!(read, labels);
}

//= RFC 7854 section 4.8
//# A BMP implementation MUST ignore unrecognized stat types on receipt, and likewise MUST ignore unexpected
//# data in the Stat Data field.
#[test]
fn statistics_that_nobody_knows_or_of_odd_lengths_spare_the_others() {
    let octets = emit_bmp::statistics(
        &peer(0, 0),
        &[(60_000, &[1; 4]), (7, &[1, 2, 3]), (65_535, &[]), (0, &[0, 0, 0, 5]), (9, &[0; 40])],
    );
    let Message::StatisticsReport(report) = whole(&octets) else { panic!() };
    let read: Vec<_> = report.statistics().map(Result::unwrap).collect();
    assert_eq!(read.len(), 5);
    assert_eq!(read[3].value, bmp::StatisticValue::Counter(5));
    assert_eq!(read[1].value, bmp::StatisticValue::Raw(&[1, 2, 3]));
}
