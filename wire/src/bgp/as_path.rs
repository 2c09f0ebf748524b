//! AS paths: an attribute's value in, segments and their AS numbers out, of 2 or of 4 octets each. A path is
//! checked whole before it is handed out, so walking one cannot fail.

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Octets of an AS number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AsWidth {
    /// 2: sessions without the 4-octet capability, and flag A of BMP.
    Two,
    /// 4 (RFC 6793).
    Four,
}

impl AsWidth {
    /// How many octets.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// The other width.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Two => Self::Four,
            Self::Four => Self::Two,
        }
    }
}

/// A well-formed `AS_PATH` or `AS4_PATH` (RFC 4271 section 4.3, RFC 5065, RFC 6793).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsPath<'a> {
    octets: &'a [u8],
    width: AsWidth,
}

impl<'a> AsPath<'a> {
    /// A path out of an attribute's value.
    ///
    /// # Errors
    /// `bad_segment_type`, `bad_count` for a segment of no AS (RFC 7606 section 7.2), `truncated`.
    pub fn parse(value: Cursor<'a>, width: AsWidth) -> Result<Self, Malformed> {
        let path = Self { octets: value.rest(), width };
        let mut cursor = value;
        while !cursor.is_empty() {
            let place = cursor;
            let [kind, count] = cursor.array()?;
            if SegmentKind::new(kind).is_none() {
                return Err(place.malformed(Reason::BadSegmentType, 1));
            }
            if count == 0 {
                return Err(place.malformed(Reason::BadCount, 2));
            }
            cursor.skip(usize::from(count) * width.octets())?;
        }
        Ok(path)
    }

    /// The octets as sent.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Octets of each AS number.
    #[must_use]
    pub const fn width(&self) -> AsWidth {
        self.width
    }

    /// Every segment in order.
    #[must_use]
    pub const fn segments(&self) -> Segments<'a> {
        Segments { rest: self.octets, width: self.width }
    }

    /// Every AS number in order, over all segments.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.segments().flat_map(|segment| segment.numbers())
    }

    /// Whether the path is one plain sequence, or empty.
    #[must_use]
    pub fn is_sequence(&self) -> bool {
        let mut segments = self.segments();
        let first = segments.next();
        segments.next().is_none() && first.is_none_or(|segment| segment.kind == SegmentKind::Sequence)
    }

    /// The AS that originated the route: the last one, if it stands in a sequence.
    #[must_use]
    pub fn origin(&self) -> Option<u32> {
        let last = self.segments().last()?;
        match last.kind {
            SegmentKind::Sequence => last.numbers().last(),
            SegmentKind::Set | SegmentKind::ConfedSequence | SegmentKind::ConfedSet => None,
        }
    }

    /// Length for route selection: a set counts once, confederation segments not at all (RFC 4271 section 9.1.2.2,
    /// RFC 5065 section 5.3).
    #[must_use]
    pub fn hops(&self) -> usize {
        self.segments()
            .map(|segment| match segment.kind {
                SegmentKind::Sequence => segment.len(),
                SegmentKind::Set => 1,
                SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
            })
            .sum()
    }
}

/// Iterator over the segments of a path.
#[derive(Debug, Clone, Copy)]
pub struct Segments<'a> {
    rest: &'a [u8],
    width: AsWidth,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let ([kind, count], rest) = self.rest.split_first_chunk()?;
        let (octets, rest) = rest.split_at_checked(usize::from(*count) * self.width.octets())?;
        self.rest = rest;
        Some(Segment { kind: SegmentKind::new(*kind)?, octets, width: self.width })
    }
}

/// One segment of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// How its AS numbers are to be read.
    pub kind: SegmentKind,
    octets: &'a [u8],
    width: AsWidth,
}

impl<'a> Segment<'a> {
    /// How many AS numbers: 1-255.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a well-formed segment is never empty")]
    pub const fn len(&self) -> usize {
        self.octets.len() / self.width.octets()
    }

    /// Every AS number in order.
    #[must_use]
    pub const fn numbers(&self) -> Numbers<'a> {
        Numbers { rest: self.octets, width: self.width }
    }
}

/// Iterator over the AS numbers of a segment.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a> {
    rest: &'a [u8],
    width: AsWidth,
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self.width {
            AsWidth::Two => {
                let (first, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Some(u32::from(u16::from_be_bytes(*first)))
            }
            AsWidth::Four => {
                let (first, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Some(u32::from_be_bytes(*first))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rest.len() / self.width.octets();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Numbers<'_> {}

/// How the AS numbers of a segment are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// 1: unordered.
    Set,
    /// 2: in order, last the origin.
    Sequence,
    /// 3: in order, within a confederation (RFC 5065).
    ConfedSequence,
    /// 4: unordered, within a confederation (RFC 5065).
    ConfedSet,
}

impl SegmentKind {
    const fn new(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Set),
            2 => Some(Self::Sequence),
            3 => Some(Self::ConfedSequence),
            4 => Some(Self::ConfedSet),
            _ => None,
        }
    }

    /// The name that records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Sequence => "sequence",
            Self::ConfedSequence => "confedSequence",
            Self::ConfedSet => "confedSet",
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const WIDE: [u8; 16] = [
        0x02, 0x02, 0x00, 0x00, 0xfd, 0xe8, 0x00, 0x01, 0x00, 0x00, // sequence 65000 65536
        0x01, 0x01, 0x00, 0x00, 0x00, 0x07, // set {7}
    ];

    fn parse(octets: &[u8], width: AsWidth) -> Result<AsPath<'_>, Malformed> {
        AsPath::parse(Cursor::new(octets), width)
    }

    #[test]
    fn reads_segments_of_both_widths() {
        let path = parse(&WIDE, AsWidth::Four).unwrap();
        assert_eq!(path.numbers().collect::<Vec<_>>(), [65000, 65536, 7]);
        assert_eq!((path.hops(), path.is_sequence(), path.origin()), (3, false, None));
        let narrow = [0x02, 0x02, 0xfd, 0xe8, 0x00, 0x07];
        let path = parse(&narrow, AsWidth::Two).unwrap();
        assert_eq!(path.numbers().collect::<Vec<_>>(), [65000, 7]);
        assert_eq!((path.hops(), path.is_sequence(), path.origin()), (2, true, Some(7)));
    }

    #[test]
    fn an_empty_path_is_a_sequence_of_no_hops() {
        let path = parse(&[], AsWidth::Four).unwrap();
        assert_eq!((path.hops(), path.is_sequence(), path.origin()), (0, true, None));
    }

    #[test]
    fn confederation_segments_do_not_count() {
        let octets = [0x03, 0x01, 0, 0, 0, 9, 0x02, 0x01, 0, 0, 0, 8];
        assert_eq!(parse(&octets, AsWidth::Four).unwrap().hops(), 1);
    }

    #[test]
    fn refuses_what_rfc_7606_calls_malformed() {
        let reason = |octets: &[u8]| parse(octets, AsWidth::Four).map(|_| ()).map_err(|bad| bad.reason);
        assert_eq!(reason(&[5, 1, 0, 0, 0, 1]), Err(Reason::BadSegmentType));
        assert_eq!(reason(&[2, 0]), Err(Reason::BadCount));
        assert_eq!(reason(&[2, 2, 0, 0, 0, 1]), Err(Reason::Truncated));
        assert_eq!(reason(&[2, 1, 0, 0, 0, 1, 2]), Err(Reason::Truncated));
    }

    #[test]
    fn the_wrong_width_does_not_read_whole() {
        assert!(parse(&WIDE, AsWidth::Two).is_err());
        assert!(parse(&[0x02, 0x02, 0xfd, 0xe8, 0x00, 0x07], AsWidth::Four).is_err());
    }
}
