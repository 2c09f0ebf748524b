//! Segment lists of SR policies (RFC 9830 section 2.4.4): the value of the sub-TLV in, weight and segments out. Types
//! A and B are read, the others (RFC 9831) keep their octets under their letter.

use core::net::Ipv6Addr;

use crate::bgp::nlri::labeled::label;
use crate::bgp::tlv::{Form, Tlvs};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Iterator over the segments of a segment list (RFC 9830 section 2.4.4).
#[derive(Debug, Clone, Copy)]
pub struct Segments<'a> {
    tlvs: Tlvs<'a>,
}

/// The number of a segment list's weight.
const WEIGHT: u16 = 9;

impl<'a> Segments<'a> {
    pub(super) fn parse(parts: Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self { tlvs: Tlvs::checked(parts, Form::SubTlv)? })
    }

    /// The weight of the list.
    #[must_use]
    pub fn weight(&self) -> Option<u32> {
        let mut tlvs = self.tlvs;
        tlvs.find_map(|tlv| match tlv.map(|(kind, value)| (kind, value.rest())) {
            Ok((WEIGHT, [_, _, weight @ ..])) if weight.len() == 4 => Some(big_endian(weight)),
            Ok(_) | Err(_) => None,
        })
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = SegmentPart<'a>;

    fn next(&mut self) -> Option<SegmentPart<'a>> {
        self.tlvs.by_ref().flatten().filter(|(kind, _)| *kind != WEIGHT).find_map(|(kind, value)| {
            Some(SegmentPart { kind: u8::try_from(kind).ok()?, octets: value.rest() })
        })
    }
}

/// One segment of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentPart<'a> {
    /// Type as sent.
    pub kind: u8,
    /// The value.
    pub octets: &'a [u8],
}

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentValue<'a> {
    /// Type A: a label.
    Label(u32),
    /// Type B: a segment identifier of SRv6, and its behavior where it is told.
    Sid {
        /// The identifier.
        sid: Ipv6Addr,
        /// Endpoint behavior.
        behavior: Option<u16>,
    },
    /// The octets of any other.
    Raw(&'a [u8]),
}

impl<'a> SegmentPart<'a> {
    /// The letter of the type (RFC 9830 section 2.4.4.2, RFC 9831).
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self.kind {
            1 => "A",
            3 => "C",
            4 => "D",
            5 => "E",
            6 => "F",
            7 => "G",
            8 => "H",
            13 => "B",
            14 => "I",
            15 => "J",
            16 => "K",
            _ => return None,
        })
    }

    /// The value by its type.
    #[must_use]
    pub fn value(&self) -> SegmentValue<'a> {
        let sid = |sid: &[u8], behavior| Some(SegmentValue::Sid { sid: segment_identifier(sid)?, behavior });
        let value = match (self.kind, self.octets) {
            (1, [_, _, a, b, c, _]) => Some(SegmentValue::Label(label([*a, *b, *c]))),
            (13, [_, _, octets @ ..]) => match octets.split_at_checked(16) {
                Some((octets, [])) => sid(octets, None),
                Some((octets, [a, b, _, _, _, _, _, _])) => sid(octets, Some(u16::from_be_bytes([*a, *b]))),
                Some(_) | None => None,
            },
            _ => None,
        };
        value.unwrap_or(SegmentValue::Raw(self.octets))
    }
}

/// A number of up to 4 octets.
pub(super) fn big_endian(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet))
}

pub(super) fn segment_identifier(octets: &[u8]) -> Option<Ipv6Addr> {
    octets.try_into().ok().map(Ipv6Addr::from_octets)
}
