//! Prefixes with labels (RFC 8277 section 2): `length in bits u8 | labels 3 octets each | prefix`.

use crate::bgp::{IpVersion, Prefix};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Bits of one label on the wire.
const LABEL_BITS: u8 = 24;

/// What a withdrawal has in place of a label (RFC 8277 section 2.4).
const WITHDRAWN: [u8; 3] = [0x80, 0x00, 0x00];

/// A prefix and its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labeled<'a> {
    /// The label stack; in a withdrawal it means nothing.
    pub labels: Labels<'a>,
    /// The prefix.
    pub prefix: Prefix,
}

/// A label stack as sent, top first; iterates over the 20-bit labels.
///
/// ```text
/// | Label 20 bits | traffic class 3 | bottom of stack 1 |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels<'a> {
    entries: &'a [[u8; 3]],
}

impl<'a> Labels<'a> {
    /// No labels.
    pub const NONE: Self = Self { entries: &[] };

    /// A stack out of whole entries of 3 octets; a rest is left out.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Self {
        Self { entries: octets.as_chunks().0 }
    }

    /// The entries as sent, 3 octets each.
    #[must_use]
    pub const fn entries(&self) -> &'a [[u8; 3]] {
        self.entries
    }
}

impl Iterator for Labels<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.entries.split_first()?;
        self.entries = rest;
        Some(label(*first))
    }
}

/// The 20-bit label of an entry.
#[must_use]
pub const fn label([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c]) >> 4
}

/// Reads one prefix with labels.
pub(super) fn parse<'a>(
    cursor: &mut Cursor<'a>,
    version: IpVersion,
    multiple: bool,
    withdraw: bool,
) -> Result<Labeled<'a>, Malformed> {
    let place = *cursor;
    let bits = cursor.u8()?;
    let (labels, bits) = stack(cursor, place, bits, multiple, withdraw)?;
    let prefix = Prefix::parse(cursor, version, bits).map_err(|malformed| Malformed {
        offset: place.malformed(malformed.reason, 1).offset,
        ..malformed
    })?;
    Ok(Labeled { labels, prefix })
}

/// Reads a label stack out of NLRI with `bits` bits: one label, or up to the bottom of the stack where several
/// were agreed on (without that agreement its bit means nothing, RFC 8277 section 2.2). Gives the bits left.
pub(super) fn stack<'a>(
    cursor: &mut Cursor<'a>,
    place: Cursor<'a>,
    mut bits: u8,
    multiple: bool,
    withdraw: bool,
) -> Result<(Labels<'a>, u8), Malformed> {
    let octets = cursor.rest();
    let mut length = 0;
    loop {
        bits = bits.checked_sub(LABEL_BITS).ok_or_else(|| place.malformed(Reason::BadPrefixLength, 1))?;
        let entry: [u8; 3] = cursor.array()?;
        length += entry.len();
        let [.., last] = entry;
        let is_bottom = last & 1 != 0;
        let is_marker = withdraw && (entry == WITHDRAWN || entry == [0; 3]);
        if !multiple || is_bottom || is_marker {
            return Ok((Labels::new(octets.get(..length).unwrap_or_default()), bits));
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    const TWO_LABELS: [u8; 10] = [
        72, // 2 labels, 24 bits
        0x00, 0x06, 0x40, // label 100, not bottom
        0x00, 0x0c, 0x81, // label 200, bottom
        192, 0, 2, // 192.0.2.0/24
    ];

    #[test]
    fn reads_the_stack_to_its_bottom_where_agreed() {
        let labeled = parse(&mut Cursor::new(&TWO_LABELS), IpVersion::V4, true, false).unwrap();
        assert_eq!(labeled.labels.collect::<Vec<_>>(), [100, 200]);
        assert_eq!(labeled.prefix.to_string(), "192.0.2.0/24");
    }

    #[test]
    fn without_agreement_there_is_one_label_whatever_its_bottom_bit() {
        let octets = [48, 0x00, 0x06, 0x40, 192, 0, 2];
        let labeled = parse(&mut Cursor::new(&octets), IpVersion::V4, false, false).unwrap();
        assert_eq!(labeled.labels.collect::<Vec<_>>(), [100]);
        assert!(parse(&mut Cursor::new(&TWO_LABELS), IpVersion::V4, false, false).is_err());
    }

    #[test]
    fn a_withdrawal_has_a_marker_for_a_stack() {
        for marker in [[0x80, 0, 0], [0, 0, 0]] {
            let octets = [&[48][..], &marker, &[192, 0, 2]].concat();
            let labeled = parse(&mut Cursor::new(&octets), IpVersion::V4, true, true).unwrap();
            assert_eq!(labeled.prefix.to_string(), "192.0.2.0/24");
        }
    }

    #[test]
    fn too_few_bits_for_a_label_are_refused() {
        let octets = [23, 0x00, 0x06, 0x41];
        let malformed = parse(&mut Cursor::new(&octets), IpVersion::V4, false, false).unwrap_err();
        assert_eq!((malformed.reason, malformed.offset), (Reason::BadPrefixLength, 0));
    }
}
