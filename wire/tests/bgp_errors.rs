//! RFC 7606: which verdict an UPDATE with damage gets as a whole, and that what stands before the damage is kept. The
//! sentences stand in `conformance/bgp.txt`.

#[path = "kit/updates.rs"]
mod updates;

use updates::{
    AS_PATH, EXTERNAL, MP_REACH, MP_UNREACH, NEXT_HOP, NLRI, ORIGIN, attribute, beside, body, defects,
    findings, findings_of, is_worth,
};
use wire::Cursor;
use wire::bgp::attribute::code;
use wire::bgp::verdict::MAX_FINDINGS;
use wire::bgp::{Session, Update, Verdict};
use wire::malformed::Reason;

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

#[test]
fn a_sound_update_has_no_findings() {
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP], &Session::FOUR_OCTET), []);
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, &[0xc0, 200, 1, 0]], &Session::FOUR_OCTET), []);
}

//= RFC 7606 section 3 (g)
//# If the MP_REACH_NLRI attribute or the MP_UNREACH_NLRI [RFC4760] attribute appears more than once in
//# the UPDATE message, then a NOTIFICATION message MUST be sent with the Error Subcode "Malformed
//# Attribute List".
//= RFC 7606 section 3 (g)
//# If any other attribute (whether recognized or unrecognized) appears more than once in an UPDATE
//# message, then all the occurrences of the attribute other than the first one SHALL be discarded and the
//# UPDATE message will continue to be processed.
#[test]
fn repetitions_are_discarded_or_reset() {
    let expected = [(Some(1), Verdict::Discard, Reason::DuplicateAttribute)];
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, ORIGIN], &Session::FOUR_OCTET), expected);
    let unreach = [0x80, 15, 3, 0, 2, 1, 0x80, 15, 3, 0, 2, 1];
    let expected = [(Some(15), Verdict::Reset, Reason::DuplicateAttribute)];
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, &unreach], &Session::FOUR_OCTET), expected);
}

//= RFC 7606 section 3 (d)
//# If any of the well-known mandatory attributes are not present in an UPDATE message, then
//# "treat-as-withdraw" MUST be used.
#[test]
fn missing_attributes_withdraw() {
    let missing = |code| (Some(code), Verdict::Withdraw, Reason::MissingAttribute);
    assert_eq!(defects(&[], &Session::FOUR_OCTET), [missing(1), missing(2), missing(3)]);
    assert_eq!(defects(&[ORIGIN], &Session::FOUR_OCTET), [missing(2), missing(3)]);
}

//= RFC 7606 section 3 (c)
//# If the value of either the Optional or Transitive bits in the Attribute Flags is in conflict with
//# their specified values, then the attribute MUST be treated as malformed and the "treat-as-withdraw"
//# approach used, unless the specification for the attribute mandates different handling for incorrect
//# Attribute Flags.
#[test]
fn conflicting_flags_withdraw() {
    let expected = [(Some(8), Verdict::Withdraw, Reason::BadAttributeFlags)];
    assert_eq!(
        defects(&[ORIGIN, AS_PATH, NEXT_HOP, &[0x80, 8, 4, 0, 0, 0, 1]], &Session::FOUR_OCTET),
        expected
    );
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, &[0xe0, 8, 4, 0, 0, 0, 1]], &Session::FOUR_OCTET), []);
}

//= RFC 8654 section 3
//# Peers that wish to use the BGP Extended Message Capability MUST support error handling for BGP UPDATE
//# messages per [RFC7606].
//= RFC 7606 section 2
//# This approach MUST NOT be used except in the case of an attribute that has no effect on route selection or
//# installation.
#[test]
fn each_defect_has_its_verdict() {
    for (attribute, verdict, reason) in [
        (&[0x40, 6, 1, 0][..], Verdict::Discard, Reason::BadLength),
        (&[0xc0, 7, 1, 0], Verdict::Discard, Reason::BadLength),
        (&[0xc0, 8, 3, 0, 0, 0], Verdict::Withdraw, Reason::BadLength),
        (&[0x80, 9, 1, 0], Verdict::Withdraw, Reason::BadLength),
        (&[0x80, 15, 2, 0, 1], Verdict::Reset, Reason::Truncated),
        (&[0x80, 14, 5, 0, 2, 1, 4, 0], Verdict::Reset, Reason::Truncated),
        (&[0xc0, 32, 4, 0, 0, 0, 1], Verdict::Withdraw, Reason::BadLength),
    ] {
        let expected = [(Some(attribute[1]), verdict, reason)];
        assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, attribute], &Session::FOUR_OCTET), expected);
    }
}

/// RFC 7606 section 7.5 and, for routers that reflect routes, 7.9 and 7.10.
//= RFC 4271 section 5.1.5
//# If it is contained in an UPDATE message that is received from an external peer, then this attribute
//# MUST be ignored by the receiving speaker, except in the case of BGP Confederations [RFC3065].
#[test]
fn internal_attributes_from_outside_are_discarded() {
    let attribute = [0x40, 5, 4, 0, 0, 0, 100];
    let expected = [(Some(5), Verdict::Discard, Reason::InternalAttribute)];
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, &attribute], &EXTERNAL), expected);
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, &attribute], &Session::FOUR_OCTET), []);
    assert_eq!(defects(&[ORIGIN, AS_PATH, NEXT_HOP, &[0x40, 5, 1, 0]], &EXTERNAL)[0].1, Verdict::Discard);
}

/// RFC 7606 section 4: the total attribute length is what the NLRI are found by.
//= RFC 7606 section 4
//# In either of these cases, an error condition exists and the "treat-as-withdraw" approach MUST be used
//# (unless some other, more severe error is encountered dictating a stronger approach), and the Total
//# Attribute Length MUST be relied upon to enable the beginning of the NLRI field to be located.
#[test]
fn an_overrunning_attribute_withdraws_and_the_nlri_is_found() {
    let octets = body(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &[0xc0, 8, 200, 0, 0, 0, 1]], NLRI);
    let update = Update::parse(Cursor::new(&octets));
    let findings = update.findings(&Session::FOUR_OCTET);
    assert_eq!(findings.strongest(), Some(Verdict::Withdraw));
    assert_eq!(findings.iter().next().unwrap().attribute, None);
    assert_eq!(update.nlri.rest(), [24, 192, 0, 2]);
}

#[test]
fn findings_beyond_the_limit_only_count() {
    let found = findings(&[ORIGIN, AS_PATH, NEXT_HOP, &ORIGIN.repeat(40)], NLRI, &Session::FOUR_OCTET);
    assert_eq!((found.count(), found.iter().count()), (40, MAX_FINDINGS));
}
