//! Values of the next rows in, one or a few at a time, for writers that do not come by whole columns.
//!
//! Whoever has the column's values in hand appends to them by [`Batch::values_mut`].

use std::sync::Arc;

use super::Batch;
use super::values::{Values, end};
use crate::join::{Book, RouteKey};
use crate::message::Context;

impl Batch {
    /// Appends an integer for the next row of a column of width 1 to 8, cut to that width.
    pub fn push_integer(&mut self, column: usize, value: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "the column's width is the value's width")]
        match self.values_mut(column) {
            Some(Values::Fixed1(values)) => values.push(value as u8),
            Some(Values::Fixed2(values)) => values.push(value as u16),
            Some(Values::Fixed4(values)) => values.push(value as u32),
            Some(Values::Fixed8(values)) => values.push(value),
            Some(Values::Fixed16(_) | Values::Octets { .. } | Values::Choice { .. } | Values::Routes(_))
            | None => {}
        }
    }

    /// Appends sixteen octets for the next row of a `Fixed16` column.
    pub fn push_sixteen(&mut self, column: usize, value: [u8; 16]) {
        if let Some(Values::Fixed16(values)) = self.values_mut(column) {
            values.push(value);
        }
    }

    /// Appends octets for the next row of an `Octets` column.
    pub fn push_octets(&mut self, column: usize, value: &[u8]) {
        if let Some(Values::Octets { ends, octets }) = self.values_mut(column) {
            octets.extend_from_slice(value);
            ends.push(end(octets));
        }
    }

    /// Appends a context for the next row of an `Octets` column.
    pub fn push_context(&mut self, column: usize, context: &Context<'_>) {
        if let Some(Values::Octets { ends, octets }) = self.values_mut(column) {
            context.write(octets);
            ends.push(end(octets));
        }
    }

    /// Adds an entry to the dictionary of a `Choice` column and returns its key. Entries are not compared:
    /// the caller remembers the key with this batch's `sequence` and uses it again.
    pub fn add_choice(&mut self, column: usize, write: impl FnOnce(&mut Vec<u8>)) -> Option<i32> {
        let Some(Values::Choice { ends, octets, .. }) = self.values.get_mut(column) else { return None };
        write(octets);
        ends.push(end(octets));
        self.uncounted = true;
        i32::try_from(ends.len() - 1).ok()
    }

    /// Appends a dictionary key for the next row of a `Choice` column.
    pub fn push_choice(&mut self, column: usize, key: i32) {
        if let Some(Values::Choice { keys, .. }) = self.values_mut(column) {
            keys.push(key);
        }
    }

    /// Appends values of the next rows, at most 32, to a column of width 1; bit `i` of `present` says whether the
    /// `i`th is there.
    pub fn extend_fixed1(&mut self, column: usize, values: &[u8], present: u32) {
        let Some(Values::Fixed1(to)) = self.values_mut(column) else { return };
        let first = to.len();
        to.extend_from_slice(values);
        self.mark_bits(column, first, values.len(), present);
    }

    /// The same for a column of width 2.
    pub fn extend_fixed2(&mut self, column: usize, values: &[u16], present: u32) {
        let Some(Values::Fixed2(to)) = self.values_mut(column) else { return };
        let first = to.len();
        to.extend_from_slice(values);
        self.mark_bits(column, first, values.len(), present);
    }

    /// The same for a column of routes of one router: what was looked up, and the keys of what was found in its book.
    pub(crate) fn extend_routes(
        &mut self,
        column: usize,
        addresses: &[[u8; 16]],
        keys: &[RouteKey],
        book: Option<&Arc<Book>>,
        present: u32,
    ) {
        let Some(Values::Routes(routes)) = self.values_mut(column) else { return };
        let first = routes.len();
        routes.extend(addresses, keys, book);
        self.mark_bits(column, first, keys.len(), present);
    }

    fn mark_bits(&mut self, column: usize, first: usize, rows: usize, present: u32) {
        let within = u64::MAX.checked_shr(u32::try_from(64 - rows.min(32)).unwrap_or(64)).unwrap_or(0);
        let absent = (u64::from(!present) & within) << (first % 8);
        if absent == 0 {
            return;
        }
        let bits = self.present.get_mut(column).and_then(|bits| bits.get_mut(first / 8..));
        for (to, octet) in bits.unwrap_or_default().iter_mut().zip(absent.to_le_bytes()) {
            *to &= !octet;
        }
    }

    /// Appends an absence for the next row of a column.
    pub fn push_absent(&mut self, column: usize) {
        let Some(values) = self.values_mut(column) else { return };
        let row = values.len();
        values.pad(row + 1);
        self.mark_absent(column, row);
    }
}
