//! Routes of BMP version 4, whose UPDATEs stand in a TLV (draft-ietf-grow-bmp-tlv), come out as those of version 3,
//! each with the TLVs that speak of it. The sentences stand in `wire/conformance/bmp.txt`.
#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/station.rs"]
mod station;

use collector::Settings;
use collector::ledger::{MessageEnd, Protocol};
use station::{Row, Station, peer, peer_up};
use wire::bgp::{AsWidth, Family};
use wire::bmp::{IndexedTlvs, Profile};
use wire::cursor::Cursor;
use wire::emit::{bgp, bmp};

/// A route: its path id, and type and index of the TLVs about it.
type Told = (Option<u32>, Vec<(u16, u16)>);

/// The routes of a Route Monitoring message behind its Peer Up, and how many messages were decoded, cut short and
/// malformed.
fn told(tlvs: &[bmp::IndexedTlv<'_>]) -> (Vec<Told>, [u64; 3]) {
    let one = peer(1);
    let mut station = Station::with_peers(Settings::default(), &[one]);
    station.feed(1, &bmp::route_monitoring_v4(&one, tlvs));
    let routes = station.rows().into_iter().filter_map(|row| match row {
        Row::Route { path_id, tlvs, .. } => {
            let tlvs = tlvs.get(1..).unwrap_or_default();
            let read = IndexedTlvs::new(Cursor::new(tlvs)).map(|tlv| tlv.map(|tlv| (tlv.kind, tlv.index)));
            Some((path_id, read.map(Result::unwrap).collect()))
        }
        Row::Message { .. }
        | Row::Session { .. }
        | Row::Gap { .. }
        | Row::Dump { .. }
        | Row::Error { .. } => None,
    });
    let routes = routes.collect();
    assert_eq!(station.collector.ledgers().unexplained(), 0);
    let messages = &station.collector.ledgers().messages[Protocol::Bmp.index()];
    let ends = [MessageEnd::Decoded, MessageEnd::Partial, MessageEnd::Malformed];
    // The Peer Up is one of those decoded.
    let [decoded, partial, malformed] = ends.map(|end| messages[end.index()]);
    (routes, [decoded - 1, partial, malformed])
}

/// An UPDATE that announces these prefixes.
fn update(path_id: Option<u32>, prefixes: &[&str]) -> Vec<u8> {
    let mut update = bgp::Update::new(AsWidth::Four);
    update.next_hop([10, 0, 0, 1].into());
    for prefix in prefixes {
        update.announce(path_id, &station::prefix(prefix));
    }
    update.finish()
}

/// The same three prefixes for most tests.
fn three() -> Vec<u8> {
    update(None, &["198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24"])
}

fn indexes(tlvs: &[bmp::IndexedTlv<'_>]) -> Vec<Vec<(u16, u16)>> {
    let (routes, ends) = told(tlvs);
    assert_eq!(ends, [1, 0, 0]);
    routes.into_iter().map(|(_, tlvs)| tlvs).collect()
}

/// Path statuses as they were before revision 20.
const BEST: &[u8] = &[0, 0, 0, 2];

//= draft-ietf-grow-bmp-tlv-20 section 5.2
//# A Route Monitoring message MUST contain one BGP Message TLV which may be preceded or followed by other
//# optional TLV data.
#[test]
fn the_update_is_found_in_its_tlv() {
    let update = three();
    // Revision 21 and before 20, revision 20; in front and behind.
    for code in [4, 7] {
        for tlvs in [[(code, 0, &update[..]), (90, 1, BEST)], [(90, 1, BEST), (code, 0, &update[..])]] {
            let about = vec![vec![(90, 1)], vec![], vec![]];
            assert_eq!(indexes(&tlvs), about, "PDU in TLV {code}");
        }
    }
    assert_eq!(told(&[(9, 0, &[])]), (vec![], [0, 0, 1]));
}

//= draft-ietf-grow-bmp-tlv-20 section 4.3
//# For this purpose, TLVs enclosed in a Route Monitoring message MUST be indexed, with the index starting at
//# one (1) to refer to the first NLRI.
#[test]
fn an_index_is_a_place_among_the_nlri() {
    let update = three();
    let tlvs = [(4, 0, &update[..]), (5, 1, BEST), (5, 3, BEST), (3, 0, b"blue")];
    assert_eq!(indexes(&tlvs), [vec![(5, 1), (3, 0)], vec![(3, 0)], vec![(5, 3), (3, 0)]]);
}

//= draft-ietf-grow-bmp-tlv-20 section 6
//# A BMP station may not support some of the TLVs encoded by the exporter; the station MUST ignore
//# unsupported TLV types; additionally, in case of indexed TLVs, if the index is invalid (i.e. out of
//# bounds), the TLV MUST be ignored.
#[test]
fn tlvs_that_nobody_knows_or_that_speak_of_nothing_cost_no_route() {
    let update = three();
    // Beyond the last NLRI, of a group that nobody made, of a type that nobody knows and of an enterprise.
    let tlvs = [
        (4, 0, &update[..]),
        (5, 4, BEST),
        (5, 0x7fff, BEST),
        (5, 0x8009, BEST),
        (90, 2, &[][..]),
        (0x8001, 2, &[0, 0, 0, 9, 1]),
    ];
    assert_eq!(indexes(&tlvs), [vec![], vec![(90, 2), (1, 2)], vec![]]);
}

//= draft-ietf-grow-bmp-tlv-20 section 5.2.1
//# The 2-byte index defines a new Group Index and the top-most bit (G-bit) MUST be set to 1.
//= draft-ietf-grow-bmp-tlv-20 section 5.2.1
//# The value carries two or more 2-byte NLRI indexes whose values MUST be less or equal to the amount of
//# NLRIs packed in the BGP Update PDU.
//= draft-ietf-grow-bmp-tlv-20 section 5.2.1
//# A Group Index MUST NOT reference an NLRI index 0.
//= draft-ietf-grow-bmp-tlv-20 section 5.2.1
//# A Group TLV MUST NOT include its own or another Group Index.
#[test]
fn a_group_is_of_nlri_and_of_nothing_else() {
    let update = three();
    // 0x8001 holds 1 and 3; 0x8002 holds the whole message, itself, the other group and an NLRI that is not there.
    let tlvs = [
        (2, 0x8001, &[0, 1, 0, 3][..]),
        (2, 0x8002, &[0, 0, 0x80, 2, 0x80, 1, 0, 9]),
        (4, 0, &update[..]),
        (5, 0x8001, BEST),
        (5, 0x8002, BEST),
    ];
    assert_eq!(indexes(&tlvs), [vec![(5, 0x8001)], vec![], vec![(5, 0x8001)]]);
    // An NLRI may be in several groups, and two TLVs may make one.
    let tlvs = [
        (2, 0x8001, &[0, 1, 0, 2][..]),
        (2, 0x8001, &[0, 3]),
        (2, 0x8002, &[0, 2, 0, 3]),
        (4, 0, &update[..]),
        (5, 0x8001, BEST),
        (5, 0x8002, BEST),
    ];
    let both = vec![(5, 0x8001), (5, 0x8002)];
    assert_eq!(indexes(&tlvs), [vec![(5, 0x8001)], both.clone(), both]);
}

//= draft-ietf-grow-bmp-tlv-20 section 4.3
//# In case of any parsing or error condition that prevents full decoding of the BGP PDU, the station MUST
//# stop matching indexed TLVs to NLRIs.
#[test]
fn where_an_update_does_not_read_whole_nothing_is_matched() {
    let mut damaged = three();
    // The length of the last prefix.
    let at = damaged.len() - 4;
    damaged[at] = 99;
    let (routes, ends) = told(&[(4, 0, &damaged), (5, 1, BEST), (3, 0, b"blue")]);
    assert_eq!((routes, ends), (vec![(None, vec![(3, 0)]); 2], [0, 1, 0]));
}

//= draft-ietf-grow-bmp-tlv-20 section 5.2.3
//# The index of the Stateless Parsing TLV MUST be set to 0.
#[test]
fn capabilities_in_the_message_say_how_it_reads() {
    let update = update(Some(7), &["198.51.100.0/24"]);
    let Family { afi, safi } = Family::IPV4_UNICAST;
    let [high, low] = afi.to_be_bytes();
    let add_path = [69, 4, high, low, safi, 3];
    let (routes, ends) = told(&[(3, 0, &add_path), (4, 0, &update)]);
    assert_eq!((routes[0].0, ends), (Some(7), [1, 0, 0]));
}

//= draft-ietf-grow-bmp-tlv-20 section 5.2.3
//# If no Stateless Parsing TLV is present in a Route Monitoring message, the receiver MUST fall back to use
//# capabilities present in the BGP Open PDU contained in the relevant BMP Peer Up message in order to
//# properly parse BGP Update PDUs.
#[test]
fn without_capabilities_the_peer_up_says_how_it_reads() {
    let one = peer(1);
    let mut station = Station::opened(Settings::default());
    station.feed(1, &peer_up(&one, |open| _ = open.add_path(&[(Family::IPV4_UNICAST, 3)])));
    // One path identifier of 0 in front of one default route: by itself it would read as five of them.
    station.feed(1, &bmp::route_monitoring_v4(&one, &[(4, 0, &update(Some(0), &["0.0.0.0/0"]))]));
    let rows = station.rows();
    let ids: Vec<_> = rows
        .iter()
        .filter_map(|row| if let Row::Route { path_id, .. } = row { Some(*path_id) } else { None })
        .collect();
    assert_eq!(ids, [Some(0)]);
}

//= draft-ietf-grow-bmp-tlv-20 section 5.6.3
//# When this TLV is included in a BMP message, the rightmost bit (X Flag) of the Per-Peer Header Flags MUST
//# be set to 1 to indicate that the flags to consider are carried in this TLV.
#[test]
fn flags_beyond_those_of_the_header_change_nothing_that_it_says() {
    // Bit 7 of the header's flags says that a TLV repeats them: views and AS numbers are read as the header has them.
    let one = peer(1);
    let extended = wire::bmp::PeerHeader { flags: 0x41, ..one };
    let mut station = Station::with_peers(Settings::default(), &[one]);
    station.feed(1, &bmp::route_monitoring_v4(&extended, &[(7, 0, &three()), (2, 0, &[0x40, 0])]));
    let rows = station.rows();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let Row::Route { peer, tlvs, .. } = row else { panic!() };
        assert_eq!(wire::bmp::PeerHeader { flags: peer[1], ..one }.rib_view().name(), "adjRibInPost");
        assert_eq!(tlvs[0], Profile::Draft20 as u8);
    }
}
