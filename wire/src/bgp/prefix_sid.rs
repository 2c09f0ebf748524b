//! BGP Prefix-SID (RFC 8669, RFC 9252): a value in, label index, label ranges and SRv6 SIDs out. Types that are not
//! known are kept.

use core::net::Ipv6Addr;

use crate::bgp::tlv::{Form, Tlvs};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Iterator over the TLVs of a Prefix-SID attribute.
#[derive(Debug, Clone, Copy)]
pub struct PrefixSid<'a> {
    tlvs: Tlvs<'a>,
}

/// One TLV of a Prefix-SID attribute.
#[derive(Debug, Clone, Copy)]
pub enum PrefixSidTlv<'a> {
    /// 1: the prefix's index into the label ranges.
    LabelIndex {
        /// Flags.
        flags: u16,
        /// Index.
        index: u32,
    },
    /// 3: the originator's label ranges, base and size of 3 octets each.
    OriginatorSrgb {
        /// Flags.
        flags: u16,
        /// The ranges.
        ranges: &'a [[u8; 6]],
    },
    /// 5 for layer 3, 6 for layer 2: the SIDs of a service.
    Srv6Service {
        /// 2 or 3.
        layer: u8,
        /// The SIDs.
        sids: Srv6Sids<'a>,
    },
    /// Any other type.
    Other {
        /// Type as sent.
        kind: u8,
        /// The value.
        octets: &'a [u8],
    },
}

/// Iterator over the SIDs of an SRv6 service.
#[derive(Debug, Clone, Copy)]
pub struct Srv6Sids<'a> {
    tlvs: Tlvs<'a>,
}

/// One SID of an SRv6 service (RFC 9252 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Srv6Sid {
    /// The SID.
    pub sid: Ipv6Addr,
    /// Flags.
    pub flags: u8,
    /// Endpoint behavior (IANA "SRv6 Endpoint Behaviors"); 0xffff is opaque.
    pub behavior: u16,
    /// Lengths in bits: locator block, locator node, function, argument, transposed; and the offset of these.
    pub structure: Option<[u8; 6]>,
}

impl<'a> PrefixSid<'a> {
    pub(super) fn parse(value: Cursor<'a>) -> Result<Self, Malformed> {
        let tlvs = Tlvs::checked(value, Form::Narrow)?;
        for tlv in tlvs {
            let (kind, value) = tlv?;
            typed(kind, value)?;
        }
        Ok(Self { tlvs })
    }
}

impl<'a> Iterator for PrefixSid<'a> {
    type Item = PrefixSidTlv<'a>;

    fn next(&mut self) -> Option<PrefixSidTlv<'a>> {
        let (kind, value) = self.tlvs.next()?.ok()?;
        typed(kind, value).ok()
    }
}

fn typed(kind: u16, mut value: Cursor<'_>) -> Result<PrefixSidTlv<'_>, Malformed> {
    Ok(match kind {
        1 => {
            value.skip(1)?; // reserved
            PrefixSidTlv::LabelIndex { flags: value.u16()?, index: value.u32()? }
        }
        3 => {
            let flags = value.u16()?;
            let (ranges, rest) = value.rest().as_chunks();
            if !rest.is_empty() {
                return Err(value.malformed(Reason::BadLength, value.remaining()));
            }
            PrefixSidTlv::OriginatorSrgb { flags, ranges }
        }
        5 | 6 => {
            value.skip(1)?; // reserved
            let tlvs = Tlvs::checked(value, Form::Narrow)?;
            PrefixSidTlv::Srv6Service { layer: if kind == 5 { 3 } else { 2 }, sids: Srv6Sids { tlvs } }
        }
        _ => PrefixSidTlv::Other { kind: u8::try_from(kind).unwrap_or(u8::MAX), octets: value.rest() },
    })
}

impl Iterator for Srv6Sids<'_> {
    type Item = Srv6Sid;

    fn next(&mut self) -> Option<Srv6Sid> {
        loop {
            let (kind, value) = self.tlvs.next()?.ok()?;
            if kind == 1
                && let Ok(sid) = sid(value)
            {
                return Some(sid);
            }
        }
    }
}

/// ```text
/// | Reserved 1 | SID 16 | Flags 1 | Behavior 2 | Reserved 1 | sub-sub-TLVs .. |
/// ```
fn sid(mut value: Cursor<'_>) -> Result<Srv6Sid, Malformed> {
    value.skip(1)?;
    let sid = Ipv6Addr::from_octets(value.array()?);
    let flags = value.u8()?;
    let behavior = value.u16()?;
    value.skip(1)?;
    let structure = Tlvs::new(value, Form::Narrow)
        .flatten()
        .find_map(|(kind, value)| (kind == 1).then(|| value.rest().try_into().ok()).flatten());
    Ok(Srv6Sid { sid, flags, behavior, structure })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const SRV6: [u8; 37] = [
        5, 0, 34, 0, // layer 3 service, 34 octets
        1, 0, 30, 0, // SID information, 30 octets
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // SID
        0, 0x00, 0x3f, 0, // flags, End.DT4 (63), reserved
        1, 0, 6, 32, 16, 16, 0, 16, 48, // structure
    ];

    #[test]
    fn reads_an_srv6_service_as_routers_send_it() {
        let mut tlvs = PrefixSid::parse(Cursor::new(&SRV6)).unwrap();
        let Some(PrefixSidTlv::Srv6Service { layer: 3, sids }) = tlvs.next() else { panic!() };
        let sids: Vec<_> = sids.collect();
        assert_eq!(sids[0].sid, "2001:db8:44::".parse::<Ipv6Addr>().unwrap());
        assert_eq!((sids[0].behavior, sids[0].structure), (63, Some([32, 16, 16, 0, 16, 48])));
        assert_eq!((sids.len(), tlvs.count()), (1, 0));
    }

    #[test]
    fn reads_a_label_index_and_ranges() {
        let octets = [1, 0, 7, 0, 0, 0, 0, 0, 0, 91, 3, 0, 8, 0, 0, 0, 0x3e, 0x80, 0, 0x1f, 0x40, 9, 0, 1, 7];
        let tlvs: Vec<_> = PrefixSid::parse(Cursor::new(&octets)).unwrap().collect();
        assert!(matches!(tlvs[0], PrefixSidTlv::LabelIndex { flags: 0, index: 91 }));
        assert!(matches!(
            tlvs[1],
            PrefixSidTlv::OriginatorSrgb { ranges: [[0, 0x3e, 0x80, 0, 0x1f, 0x40]], .. }
        ));
        assert!(matches!(tlvs[2], PrefixSidTlv::Other { kind: 9, octets: [7] }));
    }

    #[test]
    fn bad_framing_anywhere_is_malformed() {
        for place in [2, 6] {
            let mut octets = SRV6;
            octets[place] += 1;
            assert!(PrefixSid::parse(Cursor::new(&octets)).is_err(), "{place}");
        }
        assert!(PrefixSid::parse(Cursor::new(&[1, 0, 2, 0, 0])).is_err());
    }
}
