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

//= RFC 4271 section 6.3
//# If the Withdrawn Routes Length or Total Attribute Length is too large (i.e., if Withdrawn Routes Length +
//# Total Attribute Length + 23 exceeds the message Length), then the Error Subcode MUST be set to Malformed
//# Attribute List.
//= RFC 7606 section 3 (b)
//# If the Withdrawn Routes Length or Total Attribute Length is too large (i.e., if Withdrawn Routes Length +
//# Total Attribute Length + 23 exceeds the message Length), then the Error Subcode MUST be set to Malformed
//# Attribute List.
#[test]
fn lengths_beyond_the_message_reset() {
    let sound = body(&[8, 10], &[ORIGIN, AS_PATH, NEXT_HOP], NLRI);
    for at in [1, 5] {
        let mut octets = sound.clone();
        octets[at] = 200;
        assert_eq!(findings_of(&octets, &Session::FOUR_OCTET).strongest(), Some(Verdict::Reset), "{at}");
    }
}

//= RFC 7606 section 2
//# Attribute discard: In this approach, the malformed attribute MUST be discarded and the UPDATE message
//# continues to be processed.
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

//= RFC 7606 section 4
//# In either of these cases, an error condition exists and the "treat-as-withdraw" approach MUST be used
//# (unless some other, more severe error is encountered dictating a stronger approach), and the Total
//# Attribute Length MUST be relied upon to enable the beginning of the NLRI field to be located.
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

//= RFC 7606 section 4
//# For all path attributes other than those specified as having an attribute length that may be zero, it
//# SHALL be considered a syntax error for the attribute to have a length of zero.
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

//= RFC 7606 section 3 (h)
//# When multiple attribute errors exist in an UPDATE message, if the same approach (as described in Section
//# 2) is specified for the handling of these malformed attributes, then the specified approach MUST be used.
//= RFC 7606 section 3 (h)
//# Otherwise, the approach with the strongest action MUST be used.
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

//= RFC 7606 section 5.2
//# For this reason, if any path attribute errors are encountered in such an UPDATE message and if any
//# encountered error specifies an error-handling approach other than "attribute discard", then the "session
//# reset" approach MUST be used.
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

//= RFC 7606 section 3 (i)
//# The Withdrawn Routes field MUST be checked for syntactic correctness in the same manner as the NLRI field.
//= RFC 7606 section 5.3
//# The NLRI field or Withdrawn Routes field SHALL be considered "syntactically incorrect" if either of the
//# following are true: The length of any of the included NLRI is greater than 32.
#[test]
fn nlri_longer_than_their_family_or_field_reset() {
    for nlri in [&[33, 10, 0, 0, 0, 0][..], &[24, 10, 0], &[8, 10, 200]] {
        let announced = findings(&[ORIGIN, AS_PATH, NEXT_HOP], nlri, &Session::FOUR_OCTET);
        assert_eq!(announced.strongest(), Some(Verdict::Reset), "{nlri:?}");
        let withdrawn = findings_of(&body(nlri, &[], &[]), &Session::FOUR_OCTET);
        assert_eq!(withdrawn.strongest(), Some(Verdict::Reset), "{nlri:?}");
    }
}

//= RFC 7606 section 3 (j)
//# If this is not possible, the procedures of [RFC4271] and/or [RFC4760] continue to apply, meaning that the
//# "session reset" approach (or the "AFI/SAFI disable" approach) MUST be followed.
//= RFC 7606 section 5.3
//# Similarly, the MP_REACH_NLRI or MP_UNREACH_NLRI attribute of an update SHALL be considered to be incorrect
//# if any of the following are true: The length of any of the included NLRI is inconsistent with the given
//# AFI/SAFI (for example, if an IPv4 NLRI has a length greater than 32 or an IPv6 NLRI has a length greater
//# than 128).
//= RFC 7606 section 7.11
//# Since the next hop precedes the NLRI field in the attribute, in this case it will not be possible to
//# reliably locate the NLRI; thus, the "session reset" or "AFI/SAFI disable" approach MUST be used.
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

//= RFC 7606 section 5.3
//# Similarly, the MP_REACH_NLRI or MP_UNREACH_NLRI attribute of an update SHALL be considered to be incorrect
//# if any of the following are true: The length of any of the included NLRI is inconsistent with the given
//# AFI/SAFI (for example, if an IPv4 NLRI has a length greater than 32 or an IPv6 NLRI has a length greater
//# than 128).
#[test]
fn an_incorrect_attribute_costs_no_route_before_the_damage() {
    let octets = body(&[], &[ORIGIN, AS_PATH, &[0x80, 15, 8, 0, 2, 1, 8, 0x20, 129, 0, 0]], &[]);
    let update = Update::parse(Cursor::new(&octets));
    let routes = update.routes().next().unwrap().unwrap();
    let entries: Vec<_> = routes.entries(&Session::FOUR_OCTET).collect();
    assert!(matches!(entries[..], [Ok(_), Err(_)]));
}

//= RFC 7606 section 3 (e)
//# "Treat-as-withdraw" MUST be used for the cases that specify a session reset and involve any of the
//# attributes ORIGIN, AS_PATH, NEXT_HOP, MULTI_EXIT_DISC, or LOCAL_PREF.
//= RFC 7606 section 7.1
//# An UPDATE message with a malformed ORIGIN attribute SHALL be handled using the approach of
//# "treat-as-withdraw".
#[test]
fn origin() {
    for value in [&[][..], &[0, 0], &[3], &[255]] {
        let found = findings(&[&attribute(0x40, 1, value), AS_PATH, NEXT_HOP], NLRI, &Session::FOUR_OCTET);
        assert_eq!(found.strongest(), Some(Verdict::Withdraw), "{value:?}");
    }
}

//= RFC 7606 section 3 (e)
//# "Treat-as-withdraw" MUST be used for the cases that specify a session reset and involve any of the
//# attributes ORIGIN, AS_PATH, NEXT_HOP, MULTI_EXIT_DISC, or LOCAL_PREF.
//= RFC 7606 section 7.2
//# An UPDATE message with a malformed AS_PATH attribute SHALL be handled using the approach of
//# "treat-as-withdraw".
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

//= RFC 7606 section 3 (e)
//# "Treat-as-withdraw" MUST be used for the cases that specify a session reset and involve any of the
//# attributes ORIGIN, AS_PATH, NEXT_HOP, MULTI_EXIT_DISC, or LOCAL_PREF.
//= RFC 7606 section 7.3
//# An UPDATE message with a malformed NEXT_HOP attribute SHALL be handled using the approach of
//# "treat-as-withdraw".
#[test]
fn next_hop() {
    for length in [0, 3, 5, 16] {
        let bad = attribute(0x40, 3, &vec![1; length]);
        let found = findings(&[ORIGIN, AS_PATH, &bad], NLRI, &Session::FOUR_OCTET);
        assert_eq!(found.strongest(), Some(Verdict::Withdraw), "{length}");
    }
}

//= RFC 7606 section 3 (e)
//# "Treat-as-withdraw" MUST be used for the cases that specify a session reset and involve any of the
//# attributes ORIGIN, AS_PATH, NEXT_HOP, MULTI_EXIT_DISC, or LOCAL_PREF.
//= RFC 7606 section 7.4
//# An UPDATE message with a malformed MULTI_EXIT_DISC attribute SHALL be handled using the approach of
//# "treat-as-withdraw".
#[test]
fn multi_exit_discriminator() {
    for length in [0, 3, 5, 8] {
        is_worth(0x80, 4, &vec![0; length], &Session::FOUR_OCTET, Verdict::Withdraw);
    }
    is_sound(0x80, 4, &[0; 4], &Session::FOUR_OCTET);
}

//= RFC 7606 section 3 (e)
//# "Treat-as-withdraw" MUST be used for the cases that specify a session reset and involve any of the
//# attributes ORIGIN, AS_PATH, NEXT_HOP, MULTI_EXIT_DISC, or LOCAL_PREF.
//= RFC 7606 section 7.5
//# if the LOCAL_PREF attribute is received from an external neighbor, it SHALL be discarded using the
//# approach of "attribute discard"
//= RFC 7606 section 7.5
//# if received from an internal neighbor, it SHALL be considered malformed if its length is not equal to 4.
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

//= RFC 7606 section 3 (f)
//# "Attribute discard" MUST be used for any of the cases that specify a session reset and involve
//# ATOMIC_AGGREGATE or AGGREGATOR.
//= RFC 7606 section 7.6
//# An UPDATE message with a malformed ATOMIC_AGGREGATE attribute SHALL be handled using the approach of
//# "attribute discard".
//= RFC 7606 section 7.7
//# An UPDATE message with a malformed AGGREGATOR attribute SHALL be handled using the approach of "attribute
//# discard".
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

//= RFC 7606 section 7.8
//# An UPDATE message with a malformed Community attribute SHALL be handled using the approach of
//# "treat-as-withdraw".
//= RFC 7606 section 7.14
//# An UPDATE message with a malformed Extended Community attribute SHALL be handled using the approach of
//# "treat-as-withdraw".
//= RFC 7606 section 7.15
//# An UPDATE message with a malformed IPv6 Address Specific Extended Community attribute SHALL be handled
//# using the approach of "treat-as-withdraw".
//= RFC 8092 section 6
//# A BGP Large Communities attribute SHALL be considered malformed if the length of the BGP Large Communities
//# Attribute value, expressed in octets, is not a non-zero multiple of 12.
//= RFC 8092 section 6
//# A BGP UPDATE message with a malformed BGP Large Communities attribute SHALL be handled using the approach
//# of "treat-as-withdraw" as described in Section 2 of [RFC7606].
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

//= RFC 7606 section 7.14
//# Note that a BGP speaker MUST NOT treat an unrecognized Extended Community Type or Sub-Type as an error.
//= RFC 7606 section 7.15
//# Note that a BGP speaker MUST NOT treat an unrecognized IPv6 Address Specific Extended Community Type or
//# Sub-Type as an error.
#[test]
fn types_of_extended_communities_that_nobody_knows_are_no_damage() {
    for kind in 0..=255 {
        is_sound(0xc0, 16, &[kind, 0xee, 0, 0, 0, 0, 0, 0], &Session::FOUR_OCTET);
        let mut value = [0; 20];
        value[0] = kind;
        is_sound(0xc0, 25, &value, &Session::FOUR_OCTET);
    }
}

//= RFC 8092 section 6
//# A BGP Large Communities attribute SHALL NOT be considered malformed due to presence of duplicate Large
//# Community values.
//= RFC 8092 section 6
//# The BGP Large Communities Global Administrator field may contain any value, and a BGP Large Communities
//# attribute MUST NOT be considered malformed if the Global Administrator field contains an unallocated,
//# unassigned, or reserved ASN.
#[test]
fn large_communities_of_any_administrator_and_twice_the_same() {
    for administrator in [0_u32, 65_535, u32::MAX] {
        let one = [&administrator.to_be_bytes()[..], &[0; 8]].concat();
        is_sound(0xc0, 32, &one, &Session::FOUR_OCTET);
        is_sound(0xc0, 32, &[&one[..], &one].concat(), &Session::FOUR_OCTET);
    }
}

//= RFC 7606 section 7.9
//# if the ORIGINATOR_ID attribute is received from an external neighbor, it SHALL be discarded using the
//# approach of "attribute discard"
//= RFC 7606 section 7.9
//# if received from an internal neighbor, it SHALL be considered malformed if its length is not equal to 4.
//= RFC 7606 section 7.10
//# if the CLUSTER_LIST attribute is received from an external neighbor, it SHALL be discarded using the
//# approach of "attribute discard"
//= RFC 7606 section 7.10
//# if received from an internal neighbor, it SHALL be considered malformed if its length is not a non-zero
//# multiple of 4.
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

//= RFC 7606 section 7.16
//# An UPDATE message with a malformed ATTR_SET attribute SHALL be handled using the approach of "treat as
//# withdraw".
#[test]
fn attributes_of_a_customer() {
    for value in [&[0, 0, 0][..], &[0, 0, 0xfd, 0xe8, 0x40], &[0, 0, 0xfd, 0xe8, 0x40, 1, 9, 0]] {
        is_worth(0xc0, 128, value, &Session::FOUR_OCTET, Verdict::Withdraw);
    }
}

//= RFC 9234 section 5
//# An UPDATE message with a malformed OTC Attribute SHALL be handled using the approach of
//# "treat-as-withdraw" [RFC7606].
#[test]
fn only_to_customers() {
    for length in [0, 3, 5, 8] {
        is_worth(0xc0, 35, &vec![0; length], &Session::FOUR_OCTET, Verdict::Withdraw);
    }
    is_sound(0xc0, 35, &[0, 0, 0xfd, 0xe8], &Session::FOUR_OCTET);
}

//= RFC 6793 section 6
//# A NEW BGP speaker that receives a malformed AS4_PATH attribute in an UPDATE message from an OLD BGP
//# speaker MUST discard the attribute and continue processing the UPDATE message.
//= RFC 6793 section 6
//# The AS4_AGGREGATOR attribute in an UPDATE message SHALL be considered malformed if the attribute length is
//# not 8.
//= RFC 6793 section 6
//# A NEW BGP speaker that receives a malformed AS4_AGGREGATOR attribute in an UPDATE message from an OLD BGP
//# speaker MUST discard the attribute and continue processing the UPDATE message.
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

//= RFC 7311 section 3.2
//# When receiving a BGP Update message containing a malformed AIGP attribute, the attribute MUST be treated
//# exactly as if it were an unrecognized non-transitive attribute.
//= RFC 7311 section 3.2
//# Note that an AIGP attribute MUST NOT be considered to be malformed because it contains more than one TLV
//# of a given type or because it contains TLVs of unknown types.
//= RFC 7311 section 3.2
//# If an AIGP attribute is received and its first AIGP TLV contains the maximum value 0xffffffffffffffff, the
//# attribute SHOULD be considered to be malformed and SHOULD be discarded as specified in this section.
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

//= RFC 8669 section 3
//# unknown TLVs MUST be ignored and propagated unmodified
//= RFC 8669 section 3.1
//# It MUST be clear on transmission and MUST be ignored on reception.
//= RFC 8669 section 3.1
//# The Flags field MUST be clear on transmission and MUST be ignored on reception.
#[test]
fn prefix_segment_identifiers() {
    for value in [&[1, 0, 2, 0, 0][..], &[1, 0, 9, 0], &[9, 0]] {
        is_worth(0xc0, 40, value, &Session::FOUR_OCTET, Verdict::Discard);
    }
    // Reserved octet and flags of a label index are set, a TLV that nobody knows stands beside it.
    is_sound(0xc0, 40, &[1, 0, 7, 0xff, 0xff, 0xff, 0, 0, 0, 7, 99, 0, 1, 5], &Session::FOUR_OCTET);
}

//= RFC 7606 section 7.13
//# In the interim, an implementation that determines (for whatever reason) that an UPDATE message contains a
//# malformed Traffic Engineering path attribute MUST handle it using the approach of "treat-as-withdraw".
#[test]
fn traffic_engineering_that_does_not_read_withdraws() {
    for length in [0, 1, 35] {
        is_worth(0x80, 24, &vec![0; length], &Session::FOUR_OCTET, Verdict::Withdraw);
    }
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
