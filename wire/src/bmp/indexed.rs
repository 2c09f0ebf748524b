//! Indexed TLVs of version 4 (draft-ietf-grow-bmp-tlv-21 section 4): the rest of a Route Monitoring message in, TLVs
//! with the NLRI they speak of out. The first malformed one ends them.
//!
//! ```text
//! | E 1, Type 15 | Length 16 (of the value only) | G 1, Index 15 | [Enterprise 32, if E] | Value .. |
//! ```

use crate::bgp::{Capability, Text};
use crate::bmp::path_status::PathStatus;
use crate::bmp::profile::Meaning;
use crate::cursor::Cursor;
use crate::malformed::Malformed;

const FLAG: u16 = 0x8000;

/// One indexed TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexedTlv<'a> {
    /// Whose type it is, if not the standard's.
    pub enterprise: Option<u32>,
    /// Type, without the E bit.
    pub kind: u16,
    /// Index as sent, with the G bit: 0 the whole message, else an NLRI counted from 1, or a group.
    pub index: u16,
    /// The value, without the enterprise number.
    pub value: &'a [u8],
    /// Where the value starts, in octets from the start of the message.
    pub offset: usize,
}

impl<'a> IndexedTlv<'a> {
    /// Whether the index names a group (G bit).
    #[must_use]
    pub const fn is_group(&self) -> bool {
        self.index & FLAG != 0
    }

    /// Appends the TLV as on the wire.
    pub fn write(&self, to: &mut impl Extend<u8>) {
        let enterprise = self.enterprise.map(u32::to_be_bytes);
        let enterprise = enterprise.as_ref().map_or(&[][..], |octets| octets);
        let flag = if self.enterprise.is_some() { FLAG } else { 0 };
        let length = u16::try_from(enterprise.len() + self.value.len()).unwrap_or(u16::MAX);
        for number in [self.kind | flag, length, self.index] {
            to.extend(number.to_be_bytes());
        }
        to.extend(enterprise.iter().chain(self.value).copied());
    }

    /// The value, as what it is taken for.
    #[must_use]
    pub fn value(&self, meaning: Meaning) -> TlvValue<'a> {
        self.typed(meaning).unwrap_or(TlvValue::Raw(self.value))
    }

    fn typed(&self, meaning: Meaning) -> Option<TlvValue<'a>> {
        let mut cursor = Cursor::with_base(self.value, self.offset);
        let value = match meaning {
            Meaning::Group => TlvValue::Group(Members::new(self.value)?),
            Meaning::VrfTableName => return Some(TlvValue::Name(Text(self.value))),
            Meaning::StatelessParsing => {
                let capability = Capability::parse(&mut cursor).ok()?;
                return cursor.is_empty().then_some(TlvValue::Capability(capability));
            }
            Meaning::Sequence => {
                let sequence = cursor.u64().ok()?;
                return cursor.is_empty().then_some(TlvValue::Sequence(sequence));
            }
            Meaning::Timestamp => {
                let kind = cursor.u8().ok()?;
                let seconds = cursor.u32().ok()?;
                let microseconds = if cursor.is_empty() { 0 } else { cursor.u32().ok()? };
                return cursor.is_empty().then_some(TlvValue::Timestamp { kind, seconds, microseconds });
            }
            Meaning::PathStatus => TlvValue::PathStatus(PathStatus::parse(cursor).ok()?),
            Meaning::BgpMessage | Meaning::ExtendedFlags | Meaning::Unknown => return None,
        };
        Some(value)
    }
}

/// The value of an indexed TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlvValue<'a> {
    /// NLRI that share an index.
    Group(Members<'a>),
    /// Name of the VRF or table.
    Name(Text<'a>),
    /// A capability that the UPDATE is to be read with.
    Capability(Capability<'a>),
    /// Number of the message in its session.
    Sequence(u64),
    /// A point in time.
    Timestamp {
        /// What happened then.
        kind: u8,
        /// Seconds since 1970.
        seconds: u32,
        /// Microseconds of that second.
        microseconds: u32,
    },
    /// What the router does with a path.
    PathStatus(PathStatus),
    /// Anything else, or a value that its meaning does not allow.
    Raw(&'a [u8]),
}

/// The NLRI of a group: iterates over their indexes, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Members<'a> {
    indexes: &'a [[u8; 2]],
}

impl<'a> Members<'a> {
    /// Members out of a Group TLV's value: whole indexes, at least one.
    fn new(octets: &'a [u8]) -> Option<Self> {
        let (indexes, rest) = octets.as_chunks();
        (rest.is_empty() && !indexes.is_empty()).then_some(Self { indexes })
    }
}

impl Iterator for Members<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let (first, rest) = self.indexes.split_first()?;
        self.indexes = rest;
        Some(u16::from_be_bytes(*first))
    }
}

/// Iterator over indexed TLVs up to the end of the octets.
#[derive(Debug, Clone, Copy)]
pub struct IndexedTlvs<'a> {
    cursor: Cursor<'a>,
}

impl<'a> IndexedTlvs<'a> {
    /// TLVs from the cursor's place to its end.
    #[must_use]
    pub const fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }
}

impl<'a> Iterator for IndexedTlvs<'a> {
    type Item = Result<IndexedTlv<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.entry(parse)
    }
}

fn parse<'a>(cursor: &mut Cursor<'a>) -> Result<IndexedTlv<'a>, Malformed> {
    let kind = cursor.u16()?;
    let length = usize::from(cursor.u16()?);
    let index = cursor.u16()?;
    let mut value = cursor.split(length)?;
    let enterprise = if kind & FLAG == 0 { None } else { Some(value.u32()?) };
    Ok(IndexedTlv { enterprise, kind: kind & !FLAG, index, value: value.rest(), offset: value.offset() })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_length_counts_the_value_and_the_enterprise_but_not_the_index() {
        let octets = [
            0x00, 0x02, 0, 4, 0x80, 0x01, 0, 1, 0, 2, // Group of NLRI 1 and 2
            0x80, 0x09, 0, 6, 0x00, 0x01, 0, 0, 0, 9, 0xaa, 0xbb, // enterprise 9's type 9, of NLRI 1
            0x00, 0x03, 0, 9, 0, 0, b'x', // cut
        ];
        let mut tlvs = IndexedTlvs::new(Cursor::with_base(&octets, 48));
        let group = tlvs.next().unwrap().unwrap();
        assert_eq!((group.is_group(), group.index, group.offset), (true, 0x8001, 54));
        let TlvValue::Group(members) = group.value(Meaning::Group) else { panic!() };
        assert_eq!(members.collect::<Vec<_>>(), [1, 2]);
        let own = tlvs.next().unwrap().unwrap();
        assert_eq!((own.enterprise, own.kind, own.index, own.value), (Some(9), 9, 1, &[0xaa, 0xbb][..]));
        assert_eq!(tlvs.next().unwrap().unwrap_err().offset, 76);
        assert!(tlvs.next().is_none());
        let mut written = Vec::new();
        [group, own].iter().for_each(|tlv| tlv.write(&mut written));
        assert_eq!(written, &octets[..22]);
    }

    #[test]
    fn values_that_their_meaning_does_not_allow_stay_raw() {
        let tlv = |value| IndexedTlv { enterprise: None, kind: 1, index: 0, value, offset: 0 };
        for (meaning, octets) in [
            (Meaning::Group, &[1][..]),
            (Meaning::StatelessParsing, &[65, 9, 0]),
            (Meaning::Sequence, &[0; 7]),
            (Meaning::Timestamp, &[1, 0, 0, 0, 0, 0]),
            (Meaning::PathStatus, &[0; 5]),
        ] {
            assert_eq!(tlv(octets).value(meaning), TlvValue::Raw(octets));
        }
        let expected = TlvValue::Timestamp { kind: 2, seconds: 256, microseconds: 7 };
        assert_eq!(tlv(&[2, 0, 0, 1, 0, 0, 0, 0, 7]).value(Meaning::Timestamp), expected);
    }
}
