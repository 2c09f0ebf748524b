//! Attribute by attribute: what its RFC calls malformed and what that is worth, and what is no damage. The sentences
//! stand in `conformance/bgp.txt`.

#[path = "kit/updates.rs"]
mod updates;

use updates::{
    AS_PATH, EXTERNAL, INTERNAL, NEXT_HOP, NLRI, ORIGIN, attribute, body, findings, is_sound, is_worth,
};
use wire::Cursor;
use wire::bgp::attribute::Value;
use wire::bgp::{AsWidth, Session, Update, Verdict};

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
//= RFC 7606 section 7.5
//# If malformed, the UPDATE message SHALL be handled using the approach of "treat-as-withdraw".
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
//= RFC 7606 section 7.6
//# The attribute SHALL be considered malformed if its length is not 0 [RFC4271].
//= RFC 7606 section 7.7
//# The AGGREGATOR attribute SHALL be considered malformed if any of the following applies: Its length is not
//# 6 (when the 4-octet AS number capability is not advertised to or not received from the peer [RFC6793]).
//# Its length is not 8 (when the 4-octet AS number capability is both advertised to and received from the
//# peer).
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
//= RFC 7606 section 7.8
//# The Community attribute SHALL be considered malformed if its length is not a non-zero multiple of 4.
//= RFC 7606 section 7.14
//# The Extended Community attribute SHALL be considered malformed if its length is not a non-zero multiple of
//# 8.
//= RFC 7606 section 7.15
//# The IPv6 Address Specific Extended Community attribute SHALL be considered malformed if its length is not
//# a non-zero multiple of 20.
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
//= RFC 7606 section 7.9
//# If malformed, the UPDATE message SHALL be handled using the approach of "treat-as-withdraw".
//= RFC 7606 section 7.10
//# If malformed, the UPDATE message SHALL be handled using the approach of "treat-as-withdraw".
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
