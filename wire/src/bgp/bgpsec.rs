//! `BGPsec_PATH` (RFC 8205 section 3): a value in, the signed path and its signatures out. Never verifies one: what
//! was signed is not what a station sees.
//!
//! ```text
//! | Length 2 | pCount 1, Flags 1, AS 4 .. | then one or two blocks: | Length 2 | Algorithm 1 |
//!                                           | Key Identifier 20, Length 2, Signature .. |
//! ```

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// The attribute, checked whole.
#[derive(Debug, Clone, Copy)]
pub struct BgpsecPath<'a> {
    segments: &'a [[u8; 6]],
    blocks: Cursor<'a>,
}

/// One AS that signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureSegment {
    /// How often its number stands in the path; 0 for a route server.
    pub count: u8,
    /// 0x80: a member of a confederation.
    pub flags: u8,
    /// Its number.
    pub autonomous_system: u32,
}

/// The signatures of one algorithm suite, as many as there are segments.
#[derive(Debug, Clone, Copy)]
pub struct SignatureBlock<'a> {
    /// IANA "BGPsec Algorithm Suites".
    pub algorithm: u8,
    signatures: Cursor<'a>,
}

/// One signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Which key made it.
    pub key_identifier: &'a [u8],
    /// The signature.
    pub octets: &'a [u8],
}

impl<'a> BgpsecPath<'a> {
    pub(super) fn parse(mut value: Cursor<'a>) -> Result<Self, Malformed> {
        let (segments, rest) = part(&mut value)?.rest().as_chunks();
        if !rest.is_empty() || segments.is_empty() {
            return Err(value.malformed(Reason::BadLength, rest.len()));
        }
        let path = Self { segments, blocks: value };
        let mut blocks = value;
        for _ in 0..2 {
            let block = block(&mut blocks)?;
            let mut signatures = block.signatures;
            let mut count = 0_usize;
            while !signatures.is_empty() {
                signature(&mut signatures)?;
                count += 1;
            }
            if count != segments.len() {
                return Err(value.malformed(Reason::BadCount, 2));
            }
            if blocks.is_empty() {
                return Ok(path);
            }
        }
        Err(blocks.malformed(Reason::TrailingOctets, blocks.remaining()))
    }

    /// The AS, the last one first.
    pub fn segments(&self) -> impl Iterator<Item = SecureSegment> + use<'a> {
        self.segments.iter().map(|[count, flags, a, b, c, d]| SecureSegment {
            count: *count,
            flags: *flags,
            autonomous_system: u32::from_be_bytes([*a, *b, *c, *d]),
        })
    }

    /// One or two blocks of signatures.
    pub fn blocks(&self) -> impl Iterator<Item = SignatureBlock<'a>> + use<'a> {
        let mut cursor = self.blocks;
        core::iter::from_fn(move || block(&mut cursor).ok())
    }
}

impl<'a> SignatureBlock<'a> {
    /// The signatures, in the order of the segments.
    pub fn signatures(&self) -> impl Iterator<Item = Signature<'a>> + use<'a> {
        let mut cursor = self.signatures;
        core::iter::from_fn(move || signature(&mut cursor).ok())
    }
}

/// A part behind a length that counts itself.
fn part<'a>(cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, Malformed> {
    let place = *cursor;
    let length = usize::from(cursor.u16()?).checked_sub(2);
    cursor.split(length.ok_or_else(|| place.malformed(Reason::BadLength, 2))?)
}

fn block<'a>(cursor: &mut Cursor<'a>) -> Result<SignatureBlock<'a>, Malformed> {
    let mut block = part(cursor)?;
    Ok(SignatureBlock { algorithm: block.u8()?, signatures: block })
}

fn signature<'a>(cursor: &mut Cursor<'a>) -> Result<Signature<'a>, Malformed> {
    let key_identifier = cursor.take(20)?;
    let length = usize::from(cursor.u16()?);
    Ok(Signature { key_identifier, octets: cursor.take(length)? })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Two segments, and as many blocks of two signatures.
    fn path(blocks: usize) -> Vec<u8> {
        let mut octets = std::vec![0, 14, 1, 0, 0, 0, 0xfd, 0xe8, 2, 0x80, 0, 1, 0, 0];
        for _ in 0..blocks {
            octets.extend([0, 51, 1]);
            octets.extend([7; 20]);
            octets.extend([0, 2, 0xaa, 0xbb]);
            octets.extend([8; 20]);
            octets.extend([0, 2, 0xcc, 0xdd]);
        }
        octets
    }

    #[test]
    fn each_segment_has_its_signatures() {
        for blocks in [1, 2] {
            let octets = path(blocks);
            let path = BgpsecPath::parse(Cursor::new(&octets)).unwrap();
            let segments: Vec<_> = path.segments().map(|s| (s.count, s.flags, s.autonomous_system)).collect();
            assert_eq!(segments, [(1, 0, 65000), (2, 0x80, 65536)]);
            assert_eq!(path.blocks().count(), blocks);
            for block in path.blocks() {
                let signatures: Vec<_> = block.signatures().map(|signature| signature.octets).collect();
                assert_eq!((block.algorithm, signatures), (1, std::vec![&[0xaa, 0xbb][..], &[0xcc, 0xdd]]));
            }
        }
    }

    #[test]
    fn lengths_and_counts_must_agree() {
        assert!(BgpsecPath::parse(Cursor::new(&path(0))).is_err());
        assert!(BgpsecPath::parse(Cursor::new(&path(3))).is_err());
        let whole = path(1);
        for length in 0..whole.len() {
            assert!(BgpsecPath::parse(Cursor::new(&whole[..length])).is_err(), "{length}");
        }
        let mut fewer = whole;
        fewer[1] = 8; // one segment, two signatures
        fewer.drain(8..14);
        assert_eq!(BgpsecPath::parse(Cursor::new(&fewer)).unwrap_err().reason, Reason::BadCount);
    }
}
