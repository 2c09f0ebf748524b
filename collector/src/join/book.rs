//! What a router's routes say, written once by its worker and read by whoever holds a batch whose rows name them:
//! numbers in, octets out ([`RouteOctets`](super::RouteOctets)). Entries are only ever added; nothing is changed and
//! nothing taken out, so that a row keeps what was true when it was joined. A book goes with the last batch that
//! holds it, after its router has begun another one.

use std::sync::OnceLock;

/// Entries of the first shelf; each next one has twice as many.
const FIRST: u32 = 64;
const SHELVES: usize = 17;
/// Entries of a book: as many as a [`RouteKey`] can name.
pub(crate) const MAX_ENTRIES: u32 = FIRST * ((1 << SHELVES) - 1);

/// Names a route in a row: the entry of a book, the bits of the prefix that was found, and whether it is stale.
///
/// ```text
/// | stale 1 | entry 23 | length in bits 8 |     all zero: none
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteKey(pub(crate) u32);

const _: () = assert!(MAX_ENTRIES < 1 << 23);

impl RouteKey {
    const STALE: u32 = 1 << 31;

    pub(crate) const fn new(entry: u32, length: u8) -> Self {
        Self((entry << 8) | length as u32)
    }

    /// The same of a route from before the BMP session was lost.
    #[inline]
    pub(crate) const fn stale(self, is_stale: bool) -> Self {
        Self(self.0 | ((is_stale as u32) << 31))
    }

    /// Number of the entry, from 1; 0: none.
    pub(crate) const fn entry(self) -> u32 {
        (self.0 & !Self::STALE) >> 8
    }

    pub(crate) const fn length(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    pub(crate) const fn is_stale(self) -> bool {
        self.0 & Self::STALE != 0
    }
}

type Shelf = Box<[OnceLock<Box<[u8]>>]>;

/// Octets by number. One a router at a time.
#[derive(Debug, Default)]
pub struct Book {
    shelves: [OnceLock<Shelf>; SHELVES],
}

impl Book {
    /// The octets of an entry, counted from 1. `None`: it was not written.
    pub(crate) fn entry(&self, number: u32) -> Option<&[u8]> {
        let (shelf, place) = place(number)?;
        Some(self.shelves.get(shelf)?.get()?.get(place)?.get()?)
    }

    /// Writes the entry of a number that has none yet. Returns whether it could.
    pub(crate) fn write(&self, number: u32, octets: &[u8]) -> bool {
        let Some((shelf, place)) = place(number) else { return false };
        let Some(to) = self.shelves.get(shelf) else { return false };
        let entries = to.get_or_init(|| (0..FIRST << shelf).map(|_| OnceLock::new()).collect());
        entries.get(place).is_some_and(|entry| entry.set(octets.into()).is_ok())
    }
}

/// The shelf of an entry and its place there.
fn place(number: u32) -> Option<(usize, usize)> {
    let nth = number.checked_sub(1)?;
    let shelf = (nth / FIRST + 1).ilog2();
    Some((shelf as usize, (nth - FIRST * ((1 << shelf) - 1)) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let places = |numbers: std::ops::RangeInclusive<u32>| numbers.map(|n| place(n).unwrap());
        let expected = (0..4_usize).flat_map(|shelf| (0..64 << shelf).map(move |place| (shelf, place)));
        assert!(places(1..=64 * 15).eq(expected));
        assert_eq!(place(0), None);
        assert_eq!(place(MAX_ENTRIES), Some((SHELVES - 1, (64 << (SHELVES - 1)) - 1)));
        assert_eq!(place(MAX_ENTRIES + 1).map(|(shelf, _)| shelf), Some(SHELVES));
    }

    #[test]
    fn what_is_written_stays_as_it_is() {
        let book = Book::default();
        for number in [1, 64, 65, 5_000] {
            assert_eq!(book.entry(number), None);
            assert!(book.write(number, &number.to_be_bytes()));
            assert!(!book.write(number, b"other"));
            assert_eq!(book.entry(number), Some(&number.to_be_bytes()[..]));
        }
        assert_eq!((book.entry(0), book.entry(2), book.entry(u32::MAX)), (None, None, None));
        assert!(!book.write(0, b"") && !book.write(MAX_ENTRIES + 1, b""));
    }

    #[test]
    fn a_key_says_all_that_went_into_it() {
        for (entry, length) in [(1, 0), (MAX_ENTRIES, 128), (77, 32)] {
            let key = RouteKey::new(entry, length);
            assert_eq!((key.entry(), key.length(), key.is_stale()), (entry, length, false));
            let stale = key.stale(true);
            assert_eq!((stale.entry(), stale.length(), stale.is_stale()), (entry, length, true));
            assert_eq!(key.stale(false), key);
        }
        assert_eq!(RouteKey::default().entry(), 0);
    }
}
