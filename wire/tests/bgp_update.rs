//! What the RFCs oblige a receiver of UPDATEs to, sentence by sentence: the verdict on each kind of damage, and what
//! must not count as damage. The sentences stand in `conformance/bgp.txt`.
#![expect(clippy::wildcard_enum_match_arm, reason = "any other NLRI is the failure")]

use wire::Cursor;
use wire::bgp::attribute::{Value, code};
use wire::bgp::family::Family;
use wire::bgp::verdict::Findings;
use wire::bgp::{AsWidth, Nlri, Session, Update, Verdict};
use wire::malformed::Reason;

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
/// 2000::/8 with the next hop 2001:db8::1.
const MP_REACH: &[u8] =
    &[0x80, 14, 23, 0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0x20];
/// 2100::/8.
const MP_UNREACH: &[u8] = &[0x80, 15, 5, 0, 2, 1, 8, 0x21];
/// 192.0.2.0/24.
const NLRI: &[u8] = &[24, 192, 0, 2];

const EXTERNAL: Session = Session { external: Some(true), ..Session::FOUR_OCTET };
const INTERNAL: Session = Session { external: Some(false), ..Session::FOUR_OCTET };

/// The body of an UPDATE.
fn body(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length(withdrawn)[..], withdrawn, &length(&attributes), &attributes, nlri].concat()
}

fn findings_of(octets: &[u8], session: &Session) -> Findings {
    Update::parse(Cursor::new(octets)).findings(session)
}

fn findings(attributes: &[&[u8]], nlri: &[u8], session: &Session) -> Findings {
    findings_of(&body(&[], attributes, nlri), session)
}

/// Code and verdict of each defect of an attribute beside the mandatory ones.
fn beside(attribute: &[u8], session: &Session) -> Vec<(Option<u8>, Verdict)> {
    let found = findings(&[ORIGIN, AS_PATH, NEXT_HOP, attribute], NLRI, session);
    found.iter().map(|found| (found.attribute, found.verdict)).collect()
}

/// An attribute of up to 255 octets.
fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    [&[flags, code, length], value].concat()
}

#[track_caller]
fn is_worth(flags: u8, code: u8, value: &[u8], session: &Session, verdict: Verdict) {
    let found = beside(&attribute(flags, code, value), session);
    assert_eq!(found, [(Some(code), verdict)], "{flags:#x} {code} {value:?}");
}

#[track_caller]
fn is_sound(flags: u8, code: u8, value: &[u8], session: &Session) {
    assert_eq!(beside(&attribute(flags, code, value), session), [], "{flags:#x} {code} {value:?}");
}

#[test]
fn attributes_come_in_any_order_and_combination() {
    let all = [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, MP_REACH, MP_UNREACH];
    for turn in 0..all.len() {
        for mirrored in [false, true] {
            let mut order = all;
            order.rotate_left(turn);
            if mirrored {
                order.reverse();
            }
            let octets = body(&[8, 10], &order, NLRI);
            let update = Update::parse(Cursor::new(&octets));
            assert_eq!(update.findings(&Session::FOUR_OCTET).count(), 0);
            let routes = update.routes().map(Result::unwrap);
            let count: usize =
                routes.map(|routes| routes.entries(&Session::FOUR_OCTET).flatten().count()).sum();
            assert_eq!(count, 4);
        }
    }
}

#[test]
fn unused_flag_bits_mean_nothing() {
    for attribute in [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF] {
        let mut attribute = attribute.to_vec();
        attribute[0] |= 0x0f;
        let found = findings(&[ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF], NLRI, &Session::FOUR_OCTET);
        assert_eq!(found.count(), 0);
        let octets = body(&[], &[&attribute], &[]);
        let update = Update::parse(Cursor::new(&octets));
        let judged = update.judge(&Session::FOUR_OCTET).next().unwrap();
        assert!(judged.finding.is_none() && !matches!(judged.value, Value::Other(_)));
    }
}

#[test]
fn well_known_attributes_are_known_and_no_others() {
    for known in [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, &[0x40, 6, 0]] {
        let octets = body(&[], &[known], &[]);
        let update = Update::parse(Cursor::new(&octets));
        let judged = update.judge(&Session::FOUR_OCTET).next().unwrap();
        assert!(!matches!(judged.value, Value::Other(_)), "{known:?}");
    }
    for unknown in [12, 99, 200] {
        is_worth(0x40, unknown, &[1], &Session::FOUR_OCTET, Verdict::Reset);
    }
}

#[test]
fn unknown_optional_attributes_are_no_damage() {
    for unknown in [12, 99, 200] {
        for flags in [0x80, 0xc0, 0xe0] {
            is_sound(flags, unknown, &[1, 2, 3], &Session::FOUR_OCTET);
        }
    }
}

#[test]
fn an_update_without_nlri_is_valid() {
    assert_eq!(findings(&[ORIGIN, AS_PATH, NEXT_HOP], &[], &Session::FOUR_OCTET).count(), 0);
    assert_eq!(findings_of(&body(&[8, 10], &[], &[]), &Session::FOUR_OCTET).count(), 0);
}

#[test]
fn lengths_beyond_the_message_reset() {
    let sound = body(&[8, 10], &[ORIGIN, AS_PATH, NEXT_HOP], NLRI);
    for at in [1, 5] {
        let mut octets = sound.clone();
        octets[at] = 200;
        assert_eq!(findings_of(&octets, &Session::FOUR_OCTET).strongest(), Some(Verdict::Reset), "{at}");
    }
}

#[test]
fn an_attribute_discarded_leaves_the_others() {
    let octets = body(&[], &[ORIGIN, &[0x40, 6, 1, 0], AS_PATH, NEXT_HOP], NLRI);
    let update = Update::parse(Cursor::new(&octets));
    let found = update.findings(&Session::FOUR_OCTET);
    assert_eq!((found.count(), found.strongest()), (1, Some(Verdict::Discard)));
    let read = update.judge(&Session::FOUR_OCTET).filter(|judged| judged.finding.is_none());
    assert_eq!(read.map(|judged| judged.attribute.code).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(update.routes().flatten().count(), 1);
}

#[test]
fn a_cut_header_of_an_attribute_withdraws() {
    for rest in [&[0xc0][..], &[0xc0, 8], &[0xd0, 8, 0], &[0xc0, 8, 9, 0, 0, 0, 1]] {
        let octets = body(&[], &[ORIGIN, AS_PATH, NEXT_HOP, rest], NLRI);
        let update = Update::parse(Cursor::new(&octets));
        assert_eq!(update.findings(&Session::FOUR_OCTET).strongest(), Some(Verdict::Withdraw), "{rest:?}");
        // The total length says where the NLRI start, whatever stands before them.
        assert_eq!(update.nlri.rest(), NLRI);
    }
}

#[test]
fn a_length_of_zero_is_damage_but_of_two() {
    for (flags, code) in [
        (0x40, code::ORIGIN),
        (0x40, code::NEXT_HOP),
        (0x80, code::MULTI_EXIT_DISC),
        (0x40, code::LOCAL_PREF),
        (0xc0, code::AGGREGATOR),
        (0xc0, code::COMMUNITIES),
        (0x80, code::ORIGINATOR_ID),
        (0x80, code::CLUSTER_LIST),
        (0x80, code::MP_REACH),
        (0x80, code::MP_UNREACH),
        (0xc0, code::EXTENDED_COMMUNITIES),
        (0xc0, code::AS4_PATH),
        (0xc0, code::AS4_AGGREGATOR),
        (0xc0, code::IPV6_EXTENDED_COMMUNITIES),
        (0xc0, code::LARGE_COMMUNITIES),
        (0xc0, code::ATTR_SET),
    ] {
        let found = findings(&[&[flags, code, 0]], &[], &Session::FOUR_OCTET);
        assert_eq!(found.iter().next().and_then(|found| found.attribute), Some(code));
    }
    for sound in [&[0x40, code::AS_PATH, 0][..], &[0x40, code::ATOMIC_AGGREGATE, 0]] {
        assert_eq!(findings(&[sound], &[], &Session::FOUR_OCTET).count(), 0);
    }
}

#[test]
fn the_strongest_of_several_verdicts_counts() {
    let discard: &[u8] = &[0x40, 6, 1, 0];
    let withdraw: &[u8] = &[0xc0, 8, 3, 0, 0, 0];
    let reset: &[u8] = &[0x80, 15, 2, 0, 1];
    let strongest = |damage: &[&[u8]]| {
        let attributes = [&[ORIGIN, AS_PATH, NEXT_HOP][..], damage].concat();
        findings(&attributes, NLRI, &Session::FOUR_OCTET).strongest()
    };
    assert_eq!(strongest(&[discard, &[0xc0, 7, 1, 0]]), Some(Verdict::Discard));
    assert_eq!(strongest(&[discard, withdraw]), Some(Verdict::Withdraw));
    assert_eq!(strongest(&[withdraw, discard]), Some(Verdict::Withdraw));
    assert_eq!(strongest(&[discard, reset, withdraw]), Some(Verdict::Reset));
}

#[test]
fn damage_without_reachable_nlri_resets() {
    let bad_communities: &[u8] = &[0xc0, 8, 3, 0, 0, 0];
    let bad_aggregate: &[u8] = &[0x40, 6, 1, 0];
    let strongest =
        |attributes: &[&[u8]], nlri: &[u8]| findings(attributes, nlri, &Session::FOUR_OCTET).strongest();
    assert_eq!(strongest(&[ORIGIN, AS_PATH, NEXT_HOP, bad_communities], &[]), Some(Verdict::Reset));
    assert_eq!(strongest(&[ORIGIN, AS_PATH, MP_UNREACH, bad_communities], &[]), Some(Verdict::Reset));
    assert_eq!(strongest(&[ORIGIN, AS_PATH, NEXT_HOP, bad_aggregate], &[]), Some(Verdict::Discard));
    assert_eq!(strongest(&[ORIGIN, AS_PATH, NEXT_HOP, bad_communities], NLRI), Some(Verdict::Withdraw));
    assert_eq!(strongest(&[ORIGIN, AS_PATH, MP_REACH, bad_communities], &[]), Some(Verdict::Withdraw));
}

#[test]
fn nlri_longer_than_their_family_or_field_reset() {
    for nlri in [&[33, 10, 0, 0, 0, 0][..], &[24, 10, 0], &[8, 10, 200]] {
        let announced = findings(&[ORIGIN, AS_PATH, NEXT_HOP], nlri, &Session::FOUR_OCTET);
        assert_eq!(announced.strongest(), Some(Verdict::Reset), "{nlri:?}");
        let withdrawn = findings_of(&body(nlri, &[], &[]), &Session::FOUR_OCTET);
        assert_eq!(withdrawn.strongest(), Some(Verdict::Reset), "{nlri:?}");
    }
}

#[test]
fn multiprotocol_attributes_that_do_not_read_reset() {
    for value in [
        &[0, 1, 1, 33, 10, 0, 0, 0, 0][..], // longer than IPv4
        &[0, 2, 1, 129, 0x20],              // longer than IPv6
        &[0, 2, 1, 16, 0x20],               // beyond the attribute
        &[0, 2],                            // less than 3 octets
    ] {
        is_worth(0x80, code::MP_UNREACH, value, &Session::FOUR_OCTET, Verdict::Reset);
    }
    for value in [
        &[0, 2, 1, 0][..],                            // less than 5 octets
        &[0, 2, 1, 5, 1, 2, 3, 4, 5, 0, 8, 0x20],     // a next hop that IPv6 does not have
        &[0, 1, 1, 7, 1, 2, 3, 4, 5, 6, 7, 0, 8, 10], // nor IPv4
    ] {
        let found = beside(&attribute(0x80, code::MP_REACH, value), &Session::FOUR_OCTET);
        assert!(found.contains(&(Some(code::MP_REACH), Verdict::Reset)), "{value:?} {found:?}");
    }
    for flags in [0x40, 0xc0] {
        is_worth(flags, code::MP_UNREACH, &[0, 2, 1, 8, 0x20], &Session::FOUR_OCTET, Verdict::Reset);
    }
}

#[test]
fn an_incorrect_attribute_costs_no_route_before_the_damage() {
    let octets = body(&[], &[ORIGIN, AS_PATH, &[0x80, 15, 8, 0, 2, 1, 8, 0x20, 129, 0, 0]], &[]);
    let update = Update::parse(Cursor::new(&octets));
    let routes = update.routes().next().unwrap().unwrap();
    let entries: Vec<_> = routes.entries(&Session::FOUR_OCTET).collect();
    assert!(matches!(entries[..], [Ok(_), Err(_)]));
}

#[test]
fn origin() {
    for value in [&[][..], &[0, 0], &[3], &[255]] {
        let found = findings(&[&attribute(0x40, 1, value), AS_PATH, NEXT_HOP], NLRI, &Session::FOUR_OCTET);
        assert_eq!(found.strongest(), Some(Verdict::Withdraw), "{value:?}");
    }
}

#[test]
fn as_path() {
    for value in [
        &[5, 1, 0, 0, 0, 1][..],   // a type that nobody knows
        &[0, 1, 0, 0, 0, 1],       // nor this
        &[2, 2, 0, 0, 0, 1],       // beyond the attribute
        &[2, 1, 0, 0, 0, 1, 2],    // one octet left
        &[2, 0],                   // no numbers
        &[2, 1, 0, 0, 0, 1, 2, 0], // no numbers in the second
    ] {
        let found = findings(&[ORIGIN, &attribute(0x40, 2, value), NEXT_HOP], NLRI, &Session::FOUR_OCTET);
        assert_eq!(found.strongest(), Some(Verdict::Withdraw), "{value:?}");
    }
}

#[test]
fn next_hop() {
    for length in [0, 3, 5, 16] {
        let bad = attribute(0x40, 3, &vec![1; length]);
        let found = findings(&[ORIGIN, AS_PATH, &bad], NLRI, &Session::FOUR_OCTET);
        assert_eq!(found.strongest(), Some(Verdict::Withdraw), "{length}");
    }
}

#[test]
fn multi_exit_discriminator() {
    for length in [0, 3, 5, 8] {
        is_worth(0x80, 4, &vec![0; length], &Session::FOUR_OCTET, Verdict::Withdraw);
    }
    is_sound(0x80, 4, &[0; 4], &Session::FOUR_OCTET);
}

#[test]
fn local_preference() {
    for length in [0, 3, 4, 5] {
        is_worth(0x40, 5, &vec![0; length], &EXTERNAL, Verdict::Discard);
    }
    for length in [0, 3, 5] {
        is_worth(0x40, 5, &vec![0; length], &INTERNAL, Verdict::Withdraw);
    }
    is_sound(0x40, 5, &[0; 4], &INTERNAL);
}

#[test]
fn aggregation() {
    is_worth(0x40, 6, &[0], &Session::FOUR_OCTET, Verdict::Discard);
    let two_octets = Session { as_width: AsWidth::Two, ..Session::FOUR_OCTET };
    for (session, sound) in [(Session::FOUR_OCTET, 8), (two_octets, 6)] {
        for length in 0..10 {
            let value = vec![1; length];
            let path: &[u8] = if sound == 6 { &[0x40, 2, 4, 2, 1, 0xfd, 0xe8] } else { AS_PATH };
            let found =
                findings(&[ORIGIN, path, NEXT_HOP, &attribute(0xc0, 7, &value)], NLRI, &session).strongest();
            assert_eq!(found, (length != sound).then_some(Verdict::Discard), "{sound} {length}");
        }
    }
}

#[test]
fn communities() {
    for (code, unit) in [(8, 4), (16, 8), (25, 20), (32, 12)] {
        for length in 0..=2 * unit {
            let value = vec![0xff; length];
            if length % unit == 0 && length > 0 {
                is_sound(0xc0, code, &value, &Session::FOUR_OCTET);
            } else {
                is_worth(0xc0, code, &value, &Session::FOUR_OCTET, Verdict::Withdraw);
            }
        }
    }
}

#[test]
fn types_of_extended_communities_that_nobody_knows_are_no_damage() {
    for kind in 0..=255 {
        is_sound(0xc0, 16, &[kind, 0xee, 0, 0, 0, 0, 0, 0], &Session::FOUR_OCTET);
        let mut value = [0; 20];
        value[0] = kind;
        is_sound(0xc0, 25, &value, &Session::FOUR_OCTET);
    }
}

#[test]
fn large_communities_of_any_administrator_and_twice_the_same() {
    for administrator in [0_u32, 65_535, u32::MAX] {
        let one = [&administrator.to_be_bytes()[..], &[0; 8]].concat();
        is_sound(0xc0, 32, &one, &Session::FOUR_OCTET);
        is_sound(0xc0, 32, &[&one[..], &one].concat(), &Session::FOUR_OCTET);
    }
}

#[test]
fn reflection() {
    for (code, sound) in [(9, 4), (10, 8)] {
        is_worth(0x80, code, &vec![1; sound], &EXTERNAL, Verdict::Discard);
        is_sound(0x80, code, &vec![1; sound], &INTERNAL);
        for length in [0, 3, 5] {
            is_worth(0x80, code, &vec![1; length], &INTERNAL, Verdict::Withdraw);
        }
    }
}

#[test]
fn attributes_of_a_customer() {
    for value in [&[0, 0, 0][..], &[0, 0, 0xfd, 0xe8, 0x40], &[0, 0, 0xfd, 0xe8, 0x40, 1, 9, 0]] {
        is_worth(0xc0, 128, value, &Session::FOUR_OCTET, Verdict::Withdraw);
    }
}

#[test]
fn only_to_customers() {
    for length in [0, 3, 5, 8] {
        is_worth(0xc0, 35, &vec![0; length], &Session::FOUR_OCTET, Verdict::Withdraw);
    }
    is_sound(0xc0, 35, &[0, 0, 0xfd, 0xe8], &Session::FOUR_OCTET);
}

#[test]
fn as4_attributes_that_do_not_read_are_discarded() {
    for value in [&[][..], &[2, 2, 0, 0, 0, 1], &[2, 0], &[9, 1, 0, 0, 0, 1], &[2]] {
        is_worth(0xc0, 17, value, &Session::FOUR_OCTET, Verdict::Discard);
    }
    for length in [0, 6, 7, 9] {
        is_worth(0xc0, 18, &vec![1; length], &Session::FOUR_OCTET, Verdict::Discard);
    }
    is_sound(0xc0, 17, &[2, 1, 0, 1, 0, 0], &Session::FOUR_OCTET);
    is_sound(0xc0, 18, &[0, 1, 0, 0, 10, 0, 0, 1], &Session::FOUR_OCTET);
}

#[test]
fn accumulated_metric() {
    let tlv = |metric: u64| [&[1, 0, 11][..], &metric.to_be_bytes()].concat();
    for (flags, value) in [
        (0x80, tlv(u64::MAX)),
        (0x80, vec![1, 0, 10, 0, 0, 0, 0, 0, 0, 0]),
        (0x80, vec![1, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]),
        (0xc0, tlv(1)),
    ] {
        is_worth(flags, 26, &value, &Session::FOUR_OCTET, Verdict::Discard);
    }
    // More of a type, and of types that nobody knows, are no damage; the first counts.
    let several = [tlv(7), tlv(8), vec![9, 0, 4, 1]].concat();
    is_sound(0x80, 26, &several, &Session::FOUR_OCTET);
    let octets = body(&[], &[&attribute(0x80, 26, &several)], &[]);
    let value = Update::parse(Cursor::new(&octets)).judge(&Session::FOUR_OCTET).next().unwrap().value;
    assert!(matches!(value, Value::Aigp(Some(7))));
}

#[test]
fn prefix_segment_identifiers() {
    for value in [&[1, 0, 2, 0, 0][..], &[1, 0, 9, 0], &[9, 0]] {
        is_worth(0xc0, 40, value, &Session::FOUR_OCTET, Verdict::Discard);
    }
    // Reserved octet and flags of a label index are set, a TLV that nobody knows stands beside it.
    is_sound(0xc0, 40, &[1, 0, 7, 0xff, 0xff, 0xff, 0, 0, 0, 7, 99, 0, 1, 5], &Session::FOUR_OCTET);
}

#[test]
fn the_reserved_octet_of_reachable_routes_is_ignored() {
    let mut reach = MP_REACH.to_vec();
    reach[23] = 0xff;
    let octets = body(&[], &[ORIGIN, AS_PATH, &reach], &[]);
    let update = Update::parse(Cursor::new(&octets));
    assert_eq!(update.findings(&Session::FOUR_OCTET).count(), 0);
    let routes = update.routes().next().unwrap().unwrap();
    let entry = routes.entries(&Session::FOUR_OCTET).next().unwrap().unwrap();
    assert_eq!(entry.nlri.prefix().unwrap().to_string(), "2000::/8");
}

#[test]
fn reachable_routes_need_origin_and_path_but_no_next_hop_of_their_own() {
    assert_eq!(findings(&[ORIGIN, AS_PATH, MP_REACH], &[], &Session::FOUR_OCTET).count(), 0);
    let found = findings(&[MP_REACH], &[], &Session::FOUR_OCTET);
    let missing: Vec<_> = found.iter().map(|found| (found.attribute, found.malformed.reason)).collect();
    assert_eq!(missing, [(Some(1), Reason::MissingAttribute), (Some(2), Reason::MissingAttribute)]);
    assert_eq!(findings(&[MP_UNREACH], &[], &Session::FOUR_OCTET).count(), 0);
}

#[test]
fn a_type_of_a_typed_family_that_nobody_knows_costs_no_other_route() {
    let nlri = [&[99, 2, 7, 7][..], &[3, 17], &[0; 12], &[32, 10, 0, 0, 1]].concat();
    let value = [&[0, 25, 70][..], &nlri].concat();
    let octets = body(&[], &[&attribute(0x80, code::MP_UNREACH, &value)], &[]);
    let update = Update::parse(Cursor::new(&octets));
    assert_eq!(update.findings(&Session::FOUR_OCTET).count(), 0);
    let routes = update.routes().next().unwrap().unwrap();
    assert_eq!(routes.family, Family::EVPN);
    let kinds: Vec<_> = routes
        .entries(&Session::FOUR_OCTET)
        .map(|entry| match entry.unwrap().nlri {
            Nlri::Evpn(evpn) => evpn.route_type,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [99, 3]);
}

#[test]
fn updates_of_65_535_octets_are_read() {
    let nlri = NLRI.repeat((65_535 - 19 - 4 - ORIGIN.len() - AS_PATH.len() - NEXT_HOP.len()) / 4);
    let octets = wire::emit::bgp::message(2, &body(&[], &[ORIGIN, AS_PATH, NEXT_HOP], &nlri));
    assert!(octets.len() > 65_530);
    let message = wire::bgp::Message::parse(&mut Cursor::new(&octets)).unwrap();
    let update = Update::parse(message.body);
    assert_eq!(update.findings(&Session::FOUR_OCTET).count(), 0);
    let routes = update.routes().next().unwrap().unwrap();
    assert_eq!(routes.entries(&Session::FOUR_OCTET).flatten().count(), nlri.len() / 4);
}
