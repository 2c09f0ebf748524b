//! In come octets and where they stand in their outermost unit, out go checked big-endian reads that carry that
//! place into every error. Never copies more than the value read, never panics, never reads outside.

use crate::malformed::{Malformed, Reason};

/// A reading position in borrowed octets.
///
/// Offsets are absolute: a cursor split off another one goes on counting from the start of the outermost unit,
/// so the place in an error is the same however deep it was found. A failed read consumes nothing.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of the outermost unit.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self::with_base(octets, 0)
    }

    /// A cursor over octets that stand `base` octets into their outermost unit.
    #[must_use]
    pub const fn with_base(octets: &'a [u8], base: usize) -> Self {
        Self { rest: octets, offset: base }
    }

    /// Where the next read starts, in octets from the start of the outermost unit.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Octets not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether every octet was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The octets not read yet; the cursor stays where it is.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next octet.
    ///
    /// # Errors
    /// `truncated` if none is left.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[octet]| octet)
    }

    /// The next 2 octets as a big-endian number.
    ///
    /// # Errors
    /// `truncated` if fewer are left.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next 4 octets as a big-endian number.
    ///
    /// # Errors
    /// `truncated` if fewer are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next 8 octets as a big-endian number.
    ///
    /// # Errors
    /// `truncated` if fewer are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next `N` octets, copied.
    ///
    /// # Errors
    /// `truncated` if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(N));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(N);
        Ok(*head)
    }

    /// The next `length` octets, borrowed.
    ///
    /// # Errors
    /// `truncated` if fewer are left.
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let Some((head, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.truncated(length));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(length);
        Ok(head)
    }

    /// A cursor over the next `length` octets; this one goes on behind them. Offsets stay absolute.
    ///
    /// # Errors
    /// `truncated` if fewer are left.
    #[inline]
    pub fn split(&mut self, length: usize) -> Result<Self, Malformed> {
        let base = self.offset;
        self.take(length).map(|octets| Self::with_base(octets, base))
    }

    /// Steps over `length` octets.
    ///
    /// # Errors
    /// `truncated` if fewer are left.
    #[inline]
    pub fn skip(&mut self, length: usize) -> Result<(), Malformed> {
        self.take(length).map(|_| ())
    }

    /// The next one of the entries that `read` reads; `None` at the end of the octets. One that cannot be read is
    /// the last.
    #[inline]
    pub(crate) fn entry<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Option<Result<T, Malformed>> {
        if self.is_empty() {
            return None;
        }
        let entry = read(self);
        if entry.is_err() {
            *self = Self::with_base(&[], self.offset);
        }
        Some(entry)
    }

    /// An error at the place of the next read, covering `length` octets.
    #[must_use]
    pub fn malformed(&self, reason: Reason, length: usize) -> Malformed {
        Malformed::new(reason, self.offset, length)
    }

    #[cold]
    fn truncated(&self, length: usize) -> Malformed {
        self.malformed(Reason::Truncated, length)
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use crate::malformed::{Malformed, Reason};

    const OCTETS: [u8; 15] = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 8, 9, 10, 11, 12, 13, 14, 15];

    #[test]
    fn reads_are_big_endian_and_advance() {
        let mut cursor = Cursor::new(&OCTETS);
        assert_eq!(cursor.u8(), Ok(0x01));
        assert_eq!(cursor.u16(), Ok(0x0203));
        assert_eq!(cursor.u32(), Ok(0x0405_0607));
        assert_eq!(cursor.u64(), Ok(0x0809_0a0b_0c0d_0e0f));
        assert!(cursor.is_empty());
        assert_eq!(cursor.offset(), 15);
    }

    #[test]
    fn a_failed_read_consumes_nothing_and_says_where() {
        let mut cursor = Cursor::with_base(&OCTETS[..3], 100);
        assert_eq!(cursor.u8(), Ok(1));
        assert_eq!(cursor.u32(), Err(Malformed::new(Reason::Truncated, 101, 4)));
        assert_eq!(cursor.remaining(), 2);
        assert_eq!(cursor.skip(3), Err(Malformed::new(Reason::Truncated, 101, 3)));
        assert_eq!(cursor.u16(), Ok(0x0203));
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_the_last() {
        let mut cursor = Cursor::new(&OCTETS[..3]);
        assert_eq!(cursor.entry(Cursor::u16), Some(Ok(0x0102)));
        assert_eq!(cursor.entry(Cursor::u16), Some(Err(Malformed::new(Reason::Truncated, 2, 2))));
        assert_eq!(cursor.entry(Cursor::u8), None);
        assert_eq!(Cursor::new(&[]).entry(Cursor::u8), None);
    }

    #[test]
    fn a_split_keeps_absolute_offsets() {
        let mut cursor = Cursor::new(&OCTETS);
        cursor.skip(4).unwrap();
        let mut inner = cursor.split(3).unwrap();
        assert_eq!((inner.offset(), inner.remaining()), (4, 3));
        assert_eq!(inner.take(2), Ok(&[5, 6][..]));
        assert_eq!(inner.u16(), Err(Malformed::new(Reason::Truncated, 6, 2)));
        assert_eq!(cursor.offset(), 7);
        assert_eq!(cursor.rest().len(), 8);
    }
}
