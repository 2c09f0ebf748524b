//! What an UPDATE must and may look like (RFC 4271, 4760, 8654): what does not count as damage. The sentences stand in
//! `conformance/bgp.txt`; damage is in `bgp_errors` and `bgp_attributes`.
#![expect(clippy::wildcard_enum_match_arm, reason = "any other NLRI is the failure")]

#[path = "kit/updates.rs"]
mod updates;

use updates::{
    AS_PATH, LOCAL_PREF, MP_REACH, MP_UNREACH, NEXT_HOP, NLRI, ORIGIN, attribute, body, findings,
    findings_of, is_sound, is_worth,
};
use wire::Cursor;
use wire::bgp::attribute::{Value, code};
use wire::bgp::family::Family;
use wire::bgp::{Nlri, Session, Update, Verdict};
use wire::malformed::Reason;

//= RFC 4271 section 5
//# The receiver of an UPDATE message MUST be prepared to handle path attributes within UPDATE messages that
//# are out of order.
//= RFC 7606 section 5.1
//# Since older BGP speakers may not implement these restrictions, an implementation MUST still be prepared to
//# receive these fields in any position or combination.
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

//= RFC 4271 section 4.3
//# They MUST be zero when sent and MUST be ignored when received.
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

//= RFC 4271 section 5
//# BGP implementations MUST recognize all well-known attributes.
//= RFC 4271 section 6.3
//# If any of the well-known mandatory attributes are not recognized, then the Error Subcode MUST be set to
//# Unrecognized Well-known Attribute.
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

//= RFC 4271 section 5
//# Paths with unrecognized transitive optional attributes SHOULD be accepted.
//= RFC 4271 section 5
//# Unrecognized non-transitive optional attributes MUST be quietly ignored and not passed along to other BGP
//# peers.
#[test]
fn unknown_optional_attributes_are_no_damage() {
    for unknown in [12, 99, 200] {
        for flags in [0x80, 0xc0, 0xe0] {
            is_sound(flags, unknown, &[1, 2, 3], &Session::FOUR_OCTET);
        }
    }
}

//= RFC 4271 section 6.3
//# An UPDATE message that contains correct path attributes, but no NLRI, SHALL be treated as a valid UPDATE
//# message.
#[test]
fn an_update_without_nlri_is_valid() {
    assert_eq!(findings(&[ORIGIN, AS_PATH, NEXT_HOP], &[], &Session::FOUR_OCTET).count(), 0);
    assert_eq!(findings_of(&body(&[8, 10], &[], &[]), &Session::FOUR_OCTET).count(), 0);
}

//= RFC 4760 section 3
//# A 1 octet field that MUST be set to 0, and SHOULD be ignored upon receipt.
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

//= RFC 4760 section 3
//# An UPDATE message that carries the MP_REACH_NLRI MUST also carry the ORIGIN and the AS_PATH attributes
//# (both in EBGP and in IBGP exchanges).
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

//= RFC 8654 section 4
//# An implementation that advertises the BGP Extended Message Capability MUST be capable of receiving a
//# message with a length up to and including 65,535 octets.
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
