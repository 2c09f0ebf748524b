//! UPDATEs written octet by octet, and the defects found in them. Part of the tests that include it.
#![allow(unreachable_pub, dead_code, reason = "each test that includes this file uses a part of it")]

use wire::Cursor;
use wire::bgp::verdict::Findings;
use wire::bgp::{Session, Update, Verdict};
use wire::malformed::Reason;

pub const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
pub const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8];
pub const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
pub const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
/// 2000::/8 with the next hop 2001:db8::1.
pub const MP_REACH: &[u8] =
    &[0x80, 14, 23, 0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0x20];
/// 2100::/8.
pub const MP_UNREACH: &[u8] = &[0x80, 15, 5, 0, 2, 1, 8, 0x21];
/// 192.0.2.0/24.
pub const NLRI: &[u8] = &[24, 192, 0, 2];

pub const EXTERNAL: Session = Session { external: Some(true), ..Session::FOUR_OCTET };
pub const INTERNAL: Session = Session { external: Some(false), ..Session::FOUR_OCTET };

/// The body of an UPDATE.
pub fn body(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length(withdrawn)[..], withdrawn, &length(&attributes), &attributes, nlri].concat()
}

pub fn findings_of(octets: &[u8], session: &Session) -> Findings {
    Update::parse(Cursor::new(octets)).findings(session)
}

pub fn findings(attributes: &[&[u8]], nlri: &[u8], session: &Session) -> Findings {
    findings_of(&body(&[], attributes, nlri), session)
}

/// Code and verdict of each defect of an attribute beside the mandatory ones.
pub fn beside(attribute: &[u8], session: &Session) -> Vec<(Option<u8>, Verdict)> {
    let found = findings(&[ORIGIN, AS_PATH, NEXT_HOP, attribute], NLRI, session);
    found.iter().map(|found| (found.attribute, found.verdict)).collect()
}

/// An attribute of up to 255 octets.
pub fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    [&[flags, code, length], value].concat()
}

#[track_caller]
pub fn is_worth(flags: u8, code: u8, value: &[u8], session: &Session, verdict: Verdict) {
    let found = beside(&attribute(flags, code, value), session);
    assert_eq!(found, [(Some(code), verdict)], "{flags:#x} {code} {value:?}");
}

#[track_caller]
pub fn is_sound(flags: u8, code: u8, value: &[u8], session: &Session) {
    assert_eq!(beside(&attribute(flags, code, value), session), [], "{flags:#x} {code} {value:?}");
}

/// Code, verdict and reason of each defect.
pub fn defects(attributes: &[&[u8]], session: &Session) -> Vec<(Option<u8>, Verdict, Reason)> {
    let found = findings(attributes, NLRI, session);
    found.iter().map(|found| (found.attribute, found.verdict, found.malformed.reason)).collect()
}
