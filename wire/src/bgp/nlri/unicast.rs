//! Unicast and multicast prefixes (RFC 4271 section 4.3, RFC 4760 section 5): `length in bits u8 | octets`.

use crate::bgp::{Entry, IpVersion, Nlri, Prefix};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Reads one prefix. An error stands at the prefix's own length octet, where an operator looks for it.
#[inline]
pub(super) fn parse(cursor: &mut Cursor<'_>, version: IpVersion) -> Result<Prefix, Malformed> {
    let place = *cursor;
    let length = cursor.u8()?;
    Prefix::parse(cursor, version, length).map_err(|malformed| at(place, malformed))
}

#[cold]
fn at(place: Cursor<'_>, malformed: Malformed) -> Malformed {
    Malformed::new(malformed.reason, place.offset(), 1 + usize::try_from(malformed.length).unwrap_or(0))
}

/// Prefixes that stand whole and have room for a longest one behind their length, so that a word can be read
/// whatever the length is: nearly all of a field, in a loop with little to ask.
pub(super) struct Whole<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Whole<'a> {
    pub(super) const fn new(cursor: Cursor<'a>) -> Self {
        Self { rest: cursor.rest(), offset: cursor.offset() }
    }

    /// What is left: the first prefix that is not one of those.
    pub(super) const fn rest(&self) -> Cursor<'a> {
        Cursor::with_base(self.rest, self.offset)
    }

    #[inline]
    pub(super) fn ipv4<B>(&mut self, init: B, mut f: impl FnMut(B, Entry<'a>) -> B) -> B {
        self.each(init, |folded, length, word: [u8; 4], octets, offset| {
            let length = length.min(32);
            // 0 to 32 ones in front, out of a wider word: no shift is as long as its word.
            let mask = (u64::MAX << (32 - u32::from(length))) & u64::from(u32::MAX);
            #[expect(clippy::cast_possible_truncation, reason = "the mask has 32 bits")]
            let bits = (u64::from(u32::from_be_bytes(word)) & mask) as u32;
            let mut address = [0; 16];
            if let Some(front) = address.first_chunk_mut() {
                *front = bits.to_be_bytes();
            }
            let prefix = Prefix { version: IpVersion::V4, octets: address, length };
            f(folded, Entry { path_id: None, nlri: Nlri::Prefix(prefix), octets, offset })
        })
    }

    #[inline]
    pub(super) fn ipv6<B>(&mut self, init: B, mut f: impl FnMut(B, Entry<'a>) -> B) -> B {
        self.each(init, |folded, length, word: [u8; 16], octets, offset| {
            let length = length.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            let bits = u128::from_be_bytes(word) & mask;
            let prefix = Prefix { version: IpVersion::V6, octets: bits.to_be_bytes(), length };
            f(folded, Entry { path_id: None, nlri: Nlri::Prefix(prefix), octets, offset })
        })
    }

    /// `N` octets are the longest address.
    #[inline]
    fn each<B, const N: usize>(
        &mut self,
        init: B,
        mut f: impl FnMut(B, u8, [u8; N], &'a [u8], usize) -> B,
    ) -> B {
        let mut folded = init;
        let mut rest = self.rest;
        let end = self.offset + self.rest.len();
        while let Some((&length, behind)) = rest.split_first()
            && let Some(word) = behind.first_chunk::<N>()
            && usize::from(length) <= 8 * N
            && let Some((octets, next)) = rest.split_at_checked(1 + usize::from(length).div_ceil(8))
        {
            folded = f(folded, length, *word, octets, end - rest.len());
            rest = next;
        }
        (self.rest, self.offset) = (rest, end - rest.len());
        folded
    }
}
