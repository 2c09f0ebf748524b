//! Rows by column, in a batch that explains itself: whoever holds it needs nobody to read it.
//!
//! Writers append to the columns they have and then call [`Batch::finish_rows`] or [`Batch::grow_rows`]; columns
//! that were not written get an absence for each new row. A value is present unless its writer says otherwise, so
//! that nothing is to be said of a column whose records all have it. Nothing is allocated once a batch has reached
//! its usual size.

mod values;
mod push;
mod routes;

use std::ops::Range;
use std::sync::Arc;

use crate::schema::{Column, Schema, Store};

pub use routes::Routes;
pub use values::Values;

/// Which worker filled a batch: position in the configuration's `workers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// How large a batch may grow before it is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Rows of a batch.
    pub rows: u32,
    /// Octets of variable length, over all columns: at this size a batch is handed on.
    pub octets: u32,
}

/// Rows of one table, by column. One open batch a table and worker; the others are full, or empty at home.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What the columns are.
    pub schema: Arc<Schema>,
    /// Who filled it.
    pub worker: WorkerId,
    /// Counts the batches of this worker, from 1; marks dictionary keys as belonging to this batch.
    pub sequence: u64,
    /// Rows in it.
    pub rows: u32,
    /// One entry a column of the schema.
    pub values: Box<[Values]>,
    /// One bit a row, least significant first (Arrow's order); one entry a column of the schema. Bits behind the last
    /// row mean nothing.
    pub present: Box<[Vec<u8>]>,
    limits: BatchLimits,
    /// Octets of variable length in finished rows.
    octets: usize,
    /// Columns that hold octets of variable length.
    variable: Box<[usize]>,
    /// Somebody may have written such octets since they were counted.
    uncounted: bool,
    /// Columns that nobody wrote, one entry a column. They keep their absences from batch to batch: while the batch
    /// is open they have more rows than it may have, until somebody writes them.
    resting: Box<[bool]>,
}

impl Batch {
    /// An empty batch with room for `limits.rows` rows.
    #[must_use]
    pub fn new(schema: Arc<Schema>, worker: WorkerId, limits: BatchLimits) -> Self {
        let rows = limits.rows as usize;
        let values = schema.columns.iter().map(|column| Values::new(column.store, rows)).collect();
        let present = schema.columns.iter().map(|_| vec![u8::MAX; rows.div_ceil(8)]).collect();
        let is_variable = |column: &Column| matches!(column.store, Store::Octets | Store::Choice);
        let variable = schema.columns.iter().zip(0..).filter(|(column, _)| is_variable(column));
        let variable = variable.map(|(_, at)| at).collect();
        let resting = schema.columns.iter().map(|_| false).collect();
        Self {
            schema,
            worker,
            sequence: 0,
            rows: 0,
            values,
            present,
            limits,
            octets: 0,
            variable,
            uncounted: false,
            resting,
        }
    }

    /// Rows that still fit; 0 also when the octets limit is reached.
    #[must_use]
    pub fn room(&self) -> u32 {
        if self.octets >= self.limits.octets as usize {
            0
        } else {
            self.limits.rows.saturating_sub(self.rows)
        }
    }

    /// A column's values, one for each row so far, to append to. Rows appended beyond [`Batch::finish_rows`] are
    /// not in the batch yet. What is appended is present until [`Batch::mark_absent`].
    #[inline]
    pub fn values_mut(&mut self, column: usize) -> Option<&mut Values> {
        let (rows, most) = (self.rows as usize, self.limits.rows as usize);
        self.uncounted = true;
        let values = self.values.get_mut(column)?;
        let length = values.len();
        if length < rows || length > most {
            level(values, self.present.get_mut(column)?, rows, most);
        }
        Some(values)
    }

    /// The values of a column of a width that the caller knows, exactly one for each row of the batch.
    #[inline]
    pub(crate) fn fixed<T>(
        &mut self,
        column: usize,
        of: impl Fn(&mut Values) -> Option<&mut Vec<T>>,
    ) -> Option<&mut Vec<T>> {
        let (rows, most) = (self.rows as usize, self.limits.rows as usize);
        let values = self.values.get_mut(column)?;
        if of(values)?.len() != rows {
            level(values, self.present.get_mut(column)?, rows, most);
        }
        of(values)
    }

    /// Marks a row of a column as absent.
    pub fn mark_absent(&mut self, column: usize, row: usize) {
        if let Some(octet) = self.present.get_mut(column).and_then(|bits| bits.get_mut(row / 8)) {
            *octet &= !(1 << (row % 8));
        }
    }

    /// Whether a row has a value in a column.
    #[must_use]
    pub fn is_present(&self, column: usize, row: u32) -> bool {
        let octet = self.present.get(column).and_then(|bits| bits.get(row as usize / 8));
        row < self.rows && octet.is_some_and(|octet| octet & (1 << (row % 8)) != 0)
    }

    /// Takes `n` more rows into the batch; columns with fewer get absences, those with more are cut.
    pub fn finish_rows(&mut self, n: u32) {
        self.grow_rows(n);
        self.complete();
    }

    /// The same for a writer of many rows: columns that it left alone get their absences when they are written next
    /// or when the batch is handed on, at once.
    pub fn grow_rows(&mut self, n: u32) {
        self.rows = self.rows.saturating_add(n);
        if std::mem::take(&mut self.uncounted) {
            let columns = self.variable.iter().filter_map(|&column| self.values.get(column));
            self.octets = columns.map(Values::octets_len).sum();
        }
    }

    /// Gives every column as many rows as the batch has.
    pub(crate) fn complete(&mut self) {
        let (rows, most) = (self.rows as usize, self.limits.rows as usize);
        for ((values, bits), resting) in self.values.iter_mut().zip(&mut self.present).zip(&mut self.resting)
        {
            let length = values.len();
            *resting = length == 0 || length > most;
            if length > most {
                values.truncate(rows);
            } else if length != rows {
                level(values, bits, rows, most);
            }
        }
    }

    /// Takes back whatever was appended since the last [`Batch::finish_rows`].
    pub fn undo_rows(&mut self) {
        let (rows, most) = (self.rows as usize, self.limits.rows as usize);
        for (values, bits) in self.values.iter_mut().zip(&mut self.present) {
            if (rows + 1..=most).contains(&values.len()) {
                level(values, bits, rows, most);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        self.octets = 0;
        let beyond = self.limits.rows as usize + 1;
        for ((values, bits), resting) in self.values.iter_mut().zip(&mut self.present).zip(&mut self.resting)
        {
            if *resting {
                values.rest(beyond);
            } else {
                values.clear();
            }
            bits.fill(if *resting { 0 } else { u8::MAX });
        }
    }
}

/// Gives a column exactly as many rows as its batch has, which may have `most`: too many are cut, for too few come
/// absences. Rows behind them are present again.
#[cold]
fn level(values: &mut Values, bits: &mut [u8], rows: usize, most: usize) {
    let length = values.len();
    let written = if length > most { 0 } else { length };
    values.truncate(rows);
    values.pad(rows);
    set(bits, written.min(rows)..rows, false);
    set(bits, rows..most, true);
}

/// Sets the bits of some rows.
fn set(bits: &mut [u8], rows: Range<usize>, is_present: bool) {
    let (head, tail) = (0xff_u8 << (rows.start % 8), 0xff_u8 >> ((8 - rows.end % 8) % 8));
    let put = |octet: &mut u8, mask: u8| *octet = if is_present { *octet | mask } else { *octet & !mask };
    match bits.get_mut(rows.start / 8..rows.end.div_ceil(8)).unwrap_or_default() {
        [] => {}
        [only] => put(only, head & tail),
        [octet, middle @ .., last] => {
            put(octet, head);
            middle.fill(if is_present { 0xff } else { 0 });
            put(last, tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Origin, RecordField, TableId};

    fn batch() -> Batch {
        let column =
            |name: &str, field, store| Column { name: name.into(), origin: Origin::Record(field), store };
        let schema = Schema {
            table: TableId::Flows,
            columns: Box::new([
                column("version", RecordField::Version, Store::Fixed1),
                column("record", RecordField::Record, Store::Octets),
                column("template", RecordField::Template, Store::Choice),
            ]),
        };
        Batch::new(Arc::new(schema), WorkerId(0), BatchLimits { rows: 4, octets: 64 })
    }

    #[test]
    fn columns_not_written_are_absent() {
        let mut batch = batch();
        batch.push_integer(0, 10);
        batch.push_octets(1, b"abc");
        batch.finish_rows(1);
        let key = batch.add_choice(2, |to| to.extend_from_slice(b"t")).unwrap();
        batch.push_choice(2, key);
        batch.finish_rows(1);
        assert_eq!(batch.rows, 2);
        assert_eq!(batch.values[0].integer(0), Some(10));
        assert!(batch.is_present(0, 0) && !batch.is_present(0, 1));
        assert_eq!(batch.values[1].octets(0), Some(&b"abc"[..]));
        assert_eq!(batch.values[1].octets(1), Some(&b""[..]));
        assert!(!batch.is_present(2, 0));
        // The absence pushed for row 0 came before the entry of row 1.
        assert_eq!(batch.values[2].octets(1), Some(&b"t"[..]));
        assert_eq!(batch.room(), 2);
    }

    #[test]
    fn columns_left_alone_for_long_are_absent_too() {
        let mut batch = batch();
        batch.grow_rows(2);
        batch.push_integer(0, 9);
        batch.push_octets(1, b"abc");
        batch.grow_rows(1);
        batch.complete();
        assert_eq!(batch.values.iter().map(Values::len).collect::<Vec<_>>(), [3, 3, 3]);
        assert_eq!((batch.is_present(0, 1), batch.values[0].integer(2)), (false, Some(9)));
        assert_eq!(
            (batch.values[1].octets(1), batch.values[1].octets(2)),
            (Some(&b""[..]), Some(&b"abc"[..]))
        );
    }

    #[test]
    fn undone_rows_leave_nothing() {
        let mut batch = batch();
        batch.push_integer(0, 9);
        batch.push_octets(1, b"xyz");
        batch.undo_rows();
        batch.push_integer(0, 10);
        batch.finish_rows(1);
        assert_eq!(batch.values[0].integer(0), Some(10));
        assert!(!batch.is_present(1, 0));
        assert_eq!(batch.values[1].octets(0), Some(&b""[..]));
    }

    #[test]
    fn exactly_the_rows_that_were_written_are_present() {
        let schema = Arc::clone(&batch().schema);
        for (first, n) in (0..20_u32).flat_map(|first| (0..24).map(move |n| (first, n))) {
            let limits = BatchLimits { rows: 48, octets: 64 };
            let mut batch = Batch::new(Arc::clone(&schema), WorkerId(0), limits);
            // The second time it comes from home, with a column that rested.
            for written in [0, 1] {
                batch.clear();
                batch.grow_rows(first);
                (0..n).for_each(|_| batch.push_integer(0, written));
                batch.grow_rows(n);
                batch.complete();
                assert!(batch.values.iter().all(|values| values.len() == batch.rows as usize));
                for row in 0..48 {
                    let is_written = (first..first + n).contains(&row);
                    assert_eq!(batch.is_present(0, row), is_written, "{first} {n} {row}");
                    assert!(!batch.is_present(1, row));
                }
            }
        }
    }

    #[test]
    fn a_column_that_rested_is_written_from_any_row_on() {
        for (first, n) in (0..10).flat_map(|first| (1..4).map(move |n| (first, n))) {
            let limits = BatchLimits { rows: 16, octets: 64 };
            let mut batch = Batch::new(Arc::clone(&batch().schema), WorkerId(0), limits);
            batch.clear();
            batch.grow_rows(16);
            batch.complete();
            batch.clear();
            assert!(batch.resting[0] && batch.values[0].len() > 16);
            batch.grow_rows(first);
            (0..n).for_each(|_| batch.push_integer(0, 7));
            batch.push_absent(0);
            batch.undo_rows();
            (0..n).for_each(|_| batch.push_integer(0, 8));
            batch.grow_rows(n + 1);
            batch.complete();
            let present: Vec<u32> = (0..16).filter(|&row| batch.is_present(0, row)).collect();
            assert_eq!(present, (first..first + n).collect::<Vec<_>>());
            assert!(present.iter().all(|&row| batch.values[0].integer(row as usize) == Some(8)));
        }
    }

    #[test]
    fn some_of_several_rows_are_present() {
        let mut batch =
            Batch::new(Arc::clone(&batch().schema), WorkerId(0), BatchLimits { rows: 64, octets: 64 });
        batch.push_integer(0, 9);
        batch.extend_fixed1(0, &[7; 32], 0x8000_0001);
        batch.extend_fixed1(0, &[8; 2], u32::MAX);
        batch.extend_fixed1(0, &[], u32::MAX);
        batch.finish_rows(35);
        let present: Vec<u32> = (0..64).filter(|&row| batch.is_present(0, row)).collect();
        assert_eq!(present, [0, 1, 32, 33, 34]);
    }

    #[test]
    fn a_batch_is_full_by_octets_too() {
        let mut batch = batch();
        batch.push_octets(1, &[0; 64]);
        batch.finish_rows(1);
        assert_eq!(batch.room(), 0);
    }
}
