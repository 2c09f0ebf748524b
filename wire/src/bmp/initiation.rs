//! Initiation and Termination: the rest of a message in, who the router is and why it leaves out. Never demands
//! the TLVs that the RFC demands: a station that hangs up on their absence learns nothing.

use crate::bgp::Text;
use crate::bmp::tlv::Tlvs;
use crate::cursor::Cursor;

/// Initiation TLV: free text, repeatable.
pub const STRING: u16 = 0;
/// Initiation TLV: the router's description (`sysDescr`).
pub const SYS_DESCR: u16 = 1;
/// Initiation TLV: the router's name (`sysName`).
pub const SYS_NAME: u16 = 2;
/// Termination TLV: the reason, 2 octets.
pub const REASON: u16 = 1;

/// What opens a session (RFC 7854 section 4.3).
#[derive(Debug, Clone, Copy)]
pub struct Initiation<'a> {
    body: Cursor<'a>,
}

impl<'a> Initiation<'a> {
    pub(crate) const fn new(body: Cursor<'a>) -> Self {
        Self { body }
    }

    /// Every TLV in order.
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.body)
    }

    /// The router's name.
    #[must_use]
    pub fn sys_name(&self) -> Option<Text<'a>> {
        self.first(SYS_NAME)
    }

    /// The router's description.
    #[must_use]
    pub fn sys_descr(&self) -> Option<Text<'a>> {
        self.first(SYS_DESCR)
    }

    /// The free texts.
    pub fn strings(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        strings(self.tlvs())
    }

    fn first(&self, kind: u16) -> Option<Text<'a>> {
        self.tlvs().flatten().find(|tlv| tlv.kind == kind).map(|tlv| tlv.text())
    }
}

/// What closes a session (RFC 7854 section 4.5).
#[derive(Debug, Clone, Copy)]
pub struct Termination<'a> {
    body: Cursor<'a>,
}

impl<'a> Termination<'a> {
    pub(crate) const fn new(body: Cursor<'a>) -> Self {
        Self { body }
    }

    /// Every TLV in order.
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.body)
    }

    /// The reason's number.
    #[must_use]
    pub fn reason(&self) -> Option<u16> {
        self.tlvs().flatten().find(|tlv| tlv.kind == REASON)?.u16()
    }

    /// The free texts.
    pub fn strings(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        strings(self.tlvs())
    }
}

fn strings(tlvs: Tlvs<'_>) -> impl Iterator<Item = Text<'_>> {
    tlvs.flatten().filter(|tlv| tlv.kind == STRING).map(|tlv| tlv.text())
}

/// Initiation TLV types by name (RFC 7854 section 4.4).
#[must_use]
pub const fn initiation_tlv_name(kind: u16) -> Option<&'static str> {
    match kind {
        STRING => Some("string"),
        SYS_DESCR => Some("sysDescr"),
        SYS_NAME => Some("sysName"),
        _ => None,
    }
}

/// Termination TLV types by name (RFC 7854 section 4.5).
#[must_use]
pub const fn termination_tlv_name(kind: u16) -> Option<&'static str> {
    match kind {
        STRING => Some("string"),
        REASON => Some("reason"),
        _ => None,
    }
}

/// Termination reasons in words (RFC 7854 section 4.5).
#[must_use]
pub const fn termination_reason_text(reason: u16) -> Option<&'static str> {
    match reason {
        0 => Some("session administratively closed"),
        1 => Some("unspecified reason"),
        2 => Some("out of resources"),
        3 => Some("redundant connection"),
        4 => Some("session permanently administratively closed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn initiation_gives_names_and_strings() {
        let octets = [
            0x00, 0x01, 0x00, 0x02, b'o', b's', // sysDescr
            0x00, 0x02, 0x00, 0x02, b'r', b'1', // sysName
            0x00, 0x00, 0x00, 0x01, b'a', // String
            0x00, 0x00, 0x00, 0x01, b'b', // String again
        ];
        let initiation = Initiation::new(Cursor::new(&octets));
        assert_eq!(initiation.sys_name(), Some(Text(b"r1")));
        assert_eq!(initiation.sys_descr(), Some(Text(b"os")));
        assert_eq!(initiation.strings().collect::<Vec<_>>(), [Text(b"a"), Text(b"b")]);
    }

    #[test]
    fn termination_gives_reason() {
        let octets = [0x00, 0x01, 0x00, 0x02, 0x00, 0x03];
        let reason = Termination::new(Cursor::new(&octets)).reason();
        assert_eq!(reason.and_then(termination_reason_text), Some("redundant connection"));
        let short = [0x00, 0x01, 0x00, 0x01, 0x03];
        assert_eq!(Termination::new(Cursor::new(&short)).reason(), None);
    }
}
