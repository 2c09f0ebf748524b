//! Rows by column, in a batch that explains itself: whoever holds it needs nobody to read it.
//!
//! Writers append to the columns they have and then call [`Batch::finish_rows`] or [`Batch::grow_rows`]; columns
//! that were not written get an absence for each new row. Nothing is allocated once a batch has reached its usual size.

use std::sync::Arc;

use crate::message::Context;
use crate::schema::{Column, Schema, Store};

/// Which worker filled a batch: position in the configuration's `workers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// The values of one column, one a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// One octet a row.
    Fixed1(Vec<u8>),
    /// Native-endian `u16`.
    Fixed2(Vec<u16>),
    /// Native-endian `u32`.
    Fixed4(Vec<u32>),
    /// Native-endian `u64`; floats as their bits.
    Fixed8(Vec<u64>),
    /// Addresses as on the wire, IPv4 as IPv4-mapped.
    Fixed16(Vec<[u8; 16]>),
    /// Row `i` is `octets[ends[i - 1]..ends[i]]` (from 0 for the first).
    Octets {
        /// End of each row.
        ends: Vec<i32>,
        /// All rows' octets, one after the other.
        octets: Vec<u8>,
    },
    /// Row `i` is entry `keys[i]`; entry `k` is `octets[ends[k - 1]..ends[k]]`.
    Choice {
        /// Entry of each row.
        keys: Vec<i32>,
        /// End of each entry.
        ends: Vec<i32>,
        /// All entries' octets, one after the other.
        octets: Vec<u8>,
    },
}

impl Values {
    fn new(store: Store, rows: usize) -> Self {
        match store {
            Store::Fixed1 => Self::Fixed1(Vec::with_capacity(rows)),
            Store::Fixed2 => Self::Fixed2(Vec::with_capacity(rows)),
            Store::Fixed4 => Self::Fixed4(Vec::with_capacity(rows)),
            Store::Fixed8 => Self::Fixed8(Vec::with_capacity(rows)),
            Store::Fixed16 => Self::Fixed16(Vec::with_capacity(rows)),
            Store::Octets => {
                Self::Octets { ends: Vec::with_capacity(rows), octets: Vec::with_capacity(rows * 32) }
            }
            Store::Choice => Self::Choice {
                keys: Vec::with_capacity(rows),
                ends: Vec::with_capacity(64),
                octets: Vec::with_capacity(4096),
            },
        }
    }

    /// Rows written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Fixed1(values) => values.len(),
            Self::Fixed2(values) => values.len(),
            Self::Fixed4(values) => values.len(),
            Self::Fixed8(values) => values.len(),
            Self::Fixed16(values) => values.len(),
            Self::Octets { ends, .. } => ends.len(),
            Self::Choice { keys, .. } => keys.len(),
        }
    }

    /// Whether no row was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of variable length held, entries of dictionaries included.
    #[must_use]
    pub fn octets_len(&self) -> usize {
        match self {
            Self::Octets { octets, .. } | Self::Choice { octets, .. } => octets.len(),
            Self::Fixed1(_) | Self::Fixed2(_) | Self::Fixed4(_) | Self::Fixed8(_) | Self::Fixed16(_) => 0,
        }
    }

    /// The octets of a row of an `Octets` column or of the entry of a row of a `Choice` column.
    #[must_use]
    pub fn octets(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Octets { ends, octets } => slice(ends, octets, row),
            Self::Choice { keys, ends, octets } => {
                slice(ends, octets, usize::try_from(*keys.get(row)?).ok()?)
            }
            Self::Fixed1(_) | Self::Fixed2(_) | Self::Fixed4(_) | Self::Fixed8(_) | Self::Fixed16(_) => None,
        }
    }

    /// The integer of a row of a column of width 1 to 8.
    #[must_use]
    pub fn integer(&self, row: usize) -> Option<u64> {
        match self {
            Self::Fixed1(values) => values.get(row).map(|&v| u64::from(v)),
            Self::Fixed2(values) => values.get(row).map(|&v| u64::from(v)),
            Self::Fixed4(values) => values.get(row).map(|&v| u64::from(v)),
            Self::Fixed8(values) => values.get(row).copied(),
            Self::Fixed16(_) | Self::Octets { .. } | Self::Choice { .. } => None,
        }
    }

    /// The sixteen octets of a row of a `Fixed16` column.
    #[must_use]
    pub fn sixteen(&self, row: usize) -> Option<&[u8; 16]> {
        if let Self::Fixed16(values) = self { values.get(row) } else { None }
    }

    /// The values of a `Fixed1` column.
    pub(crate) const fn fixed1(&mut self) -> Option<&mut Vec<u8>> {
        if let Self::Fixed1(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed2` column.
    pub(crate) const fn fixed2(&mut self) -> Option<&mut Vec<u16>> {
        if let Self::Fixed2(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed4` column.
    pub(crate) const fn fixed4(&mut self) -> Option<&mut Vec<u32>> {
        if let Self::Fixed4(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed8` column.
    pub(crate) const fn fixed8(&mut self) -> Option<&mut Vec<u64>> {
        if let Self::Fixed8(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed16` column.
    pub(crate) const fn fixed16(&mut self) -> Option<&mut Vec<[u8; 16]>> {
        if let Self::Fixed16(values) = self { Some(values) } else { None }
    }

    fn clear(&mut self) {
        self.truncate(0);
        if let Self::Choice { ends, octets, .. } = self {
            ends.clear();
            octets.clear();
        }
    }

    /// Entries of a dictionary that no row refers to any more stay until the batch is cleared.
    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Fixed1(values) => values.truncate(rows),
            Self::Fixed2(values) => values.truncate(rows),
            Self::Fixed4(values) => values.truncate(rows),
            Self::Fixed8(values) => values.truncate(rows),
            Self::Fixed16(values) => values.truncate(rows),
            Self::Octets { ends, octets } => {
                ends.truncate(rows);
                octets.truncate(ends.last().map_or(0, |&end| usize::try_from(end).unwrap_or(0)));
            }
            Self::Choice { keys, .. } => keys.truncate(rows),
        }
    }

    #[cold]
    fn pad(&mut self, rows: usize) {
        match self {
            Self::Fixed1(values) => values.resize(rows, 0),
            Self::Fixed2(values) => values.resize(rows, 0),
            Self::Fixed4(values) => values.resize(rows, 0),
            Self::Fixed8(values) => values.resize(rows, 0),
            Self::Fixed16(values) => values.resize(rows, [0; 16]),
            Self::Octets { ends, octets } => ends.resize(rows, end(octets)),
            Self::Choice { keys, .. } => keys.resize(rows, 0),
        }
    }
}

fn end(octets: &[u8]) -> i32 {
    i32::try_from(octets.len()).unwrap_or(i32::MAX)
}

fn slice<'a>(ends: &[i32], octets: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let start = match at.checked_sub(1) {
        Some(before) => usize::try_from(*ends.get(before)?).ok()?,
        None => 0,
    };
    octets.get(start..usize::try_from(*ends.get(at)?).ok()?)
}

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
    /// One bit a row, least significant first (Arrow's order); one entry a column of the schema.
    pub present: Box<[Vec<u8>]>,
    limits: BatchLimits,
    /// Octets of variable length in finished rows.
    octets: usize,
    /// Columns that hold octets of variable length.
    variable: Box<[usize]>,
}

impl Batch {
    /// An empty batch with room for `limits.rows` rows.
    #[must_use]
    pub fn new(schema: Arc<Schema>, worker: WorkerId, limits: BatchLimits) -> Self {
        let rows = limits.rows as usize;
        let values = schema.columns.iter().map(|column| Values::new(column.store, rows)).collect();
        let present = schema.columns.iter().map(|_| vec![0; rows.div_ceil(8)]).collect();
        let is_variable = |column: &Column| matches!(column.store, Store::Octets | Store::Choice);
        let variable = schema.columns.iter().zip(0..).filter(|(column, _)| is_variable(column));
        let variable = variable.map(|(_, at)| at).collect();
        Self { schema, worker, sequence: 0, rows: 0, values, present, limits, octets: 0, variable }
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
    /// not in the batch yet.
    #[inline]
    pub fn values_mut(&mut self, column: usize) -> Option<&mut Values> {
        let rows = self.rows as usize;
        let values = self.values.get_mut(column)?;
        if values.len() < rows {
            values.pad(rows);
        }
        Some(values)
    }

    /// Marks `n` rows of a column from `first` on as present.
    #[inline]
    pub fn mark_present(&mut self, column: usize, first: u32, n: u32) {
        let Some(bits) = self.present.get_mut(column) else { return };
        let rest = bits.get_mut(first as usize / 8..).unwrap_or_default();
        // The rows of a datagram and the odd bits before them fit into one word, nearly always.
        match rest.first_chunk_mut() {
            Some(word) if n <= 56 => {
                let marks = !(u64::MAX << n) << (first % 8);
                *word = (u64::from_le_bytes(*word) | marks).to_le_bytes();
            }
            _ => Self::mark_range(bits, first, n),
        }
    }

    fn mark_range(bits: &mut [u8], first: u32, n: u32) {
        let (first, end) = (first as usize, first.saturating_add(n) as usize);
        let (head, tail) = (0xff_u8 << (first % 8), 0xff_u8 >> ((8 - end % 8) % 8));
        match bits.get_mut(first / 8..end.div_ceil(8)).unwrap_or_default() {
            [] => {}
            [only] => *only |= head & tail,
            [octet, middle @ .., last] => {
                *octet |= head;
                middle.fill(0xff);
                *last |= tail;
            }
        }
    }

    fn mark_row(&mut self, column: usize, row: usize) {
        if let Some(octet) = self.present.get_mut(column).and_then(|bits| bits.get_mut(row / 8)) {
            *octet |= 1 << (row % 8);
        }
    }

    /// Whether a row has a value in a column.
    #[must_use]
    pub fn is_present(&self, column: usize, row: u32) -> bool {
        self.present
            .get(column)
            .and_then(|bits| bits.get(row as usize / 8))
            .is_some_and(|b| b & (1 << (row % 8)) != 0)
    }

    /// Appends an integer for the next row of a column of width 1 to 8, cut to that width, and marks it present.
    pub fn push_integer(&mut self, column: usize, value: u64) {
        let Some(values) = self.values_mut(column) else { return };
        let row = values.len();
        #[expect(clippy::cast_possible_truncation, reason = "the column's width is the value's width")]
        match values {
            Values::Fixed1(values) => values.push(value as u8),
            Values::Fixed2(values) => values.push(value as u16),
            Values::Fixed4(values) => values.push(value as u32),
            Values::Fixed8(values) => values.push(value),
            Values::Fixed16(_) | Values::Octets { .. } | Values::Choice { .. } => return,
        }
        self.mark_row(column, row);
    }

    /// Appends sixteen octets for the next row of a `Fixed16` column and marks it present.
    pub fn push_sixteen(&mut self, column: usize, value: [u8; 16]) {
        let Some(Values::Fixed16(values)) = self.values_mut(column) else { return };
        values.push(value);
        let row = values.len() - 1;
        self.mark_row(column, row);
    }

    /// Appends octets for the next row of an `Octets` column and marks it present.
    pub fn push_octets(&mut self, column: usize, value: &[u8]) {
        let Some(Values::Octets { ends, octets }) = self.values_mut(column) else { return };
        octets.extend_from_slice(value);
        ends.push(end(octets));
        let row = ends.len() - 1;
        self.mark_row(column, row);
    }

    /// Appends a context for the next row of an `Octets` column and marks it present.
    pub fn push_context(&mut self, column: usize, context: &Context<'_>) {
        let Some(Values::Octets { ends, octets }) = self.values_mut(column) else { return };
        context.write(octets);
        ends.push(end(octets));
        let row = ends.len() - 1;
        self.mark_row(column, row);
    }

    /// Adds an entry to the dictionary of a `Choice` column and returns its key. Entries are not compared:
    /// the caller remembers the key with this batch's `sequence` and uses it again.
    pub fn add_choice(&mut self, column: usize, write: impl FnOnce(&mut Vec<u8>)) -> Option<i32> {
        let Some(Values::Choice { ends, octets, .. }) = self.values.get_mut(column) else { return None };
        write(octets);
        ends.push(end(octets));
        i32::try_from(ends.len() - 1).ok()
    }

    /// Appends a dictionary key for the next row of a `Choice` column and marks it present.
    pub fn push_choice(&mut self, column: usize, key: i32) {
        let Some(Values::Choice { keys, .. }) = self.values_mut(column) else { return };
        keys.push(key);
        let row = keys.len() - 1;
        self.mark_row(column, row);
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

    /// The same for dictionary keys of a `Choice` column.
    pub fn extend_choices(&mut self, column: usize, values: &[i32], present: u32) {
        let Some(Values::Choice { keys, .. }) = self.values_mut(column) else { return };
        let first = keys.len();
        keys.extend_from_slice(values);
        self.mark_bits(column, first, values.len(), present);
    }

    fn mark_bits(&mut self, column: usize, first: usize, rows: usize, present: u32) {
        let within = u64::MAX.checked_shr(u32::try_from(64 - rows.min(32)).unwrap_or(64)).unwrap_or(0);
        let octets = ((u64::from(present) & within) << (first % 8)).to_le_bytes();
        let bits = self.present.get_mut(column).and_then(|bits| bits.get_mut(first / 8..));
        for (to, octet) in bits.unwrap_or_default().iter_mut().zip(octets) {
            *to |= octet;
        }
    }

    /// Appends an absence for the next row of a column.
    pub fn push_absent(&mut self, column: usize) {
        match self.values_mut(column) {
            Some(Values::Fixed1(values)) => values.push(0),
            Some(Values::Fixed2(values)) => values.push(0),
            Some(Values::Fixed4(values)) => values.push(0),
            Some(Values::Fixed8(values)) => values.push(0),
            Some(values) => values.pad(values.len() + 1),
            None => {}
        }
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
        let values = &self.values;
        self.octets =
            self.variable.iter().filter_map(|&column| values.get(column)).map(Values::octets_len).sum();
    }

    /// Gives every column as many rows as the batch has.
    pub(crate) fn complete(&mut self) {
        let rows = self.rows as usize;
        for values in &mut self.values {
            if values.len() != rows {
                values.truncate(rows);
                values.pad(rows);
            }
        }
    }

    /// Takes back whatever was appended since the last [`Batch::finish_rows`].
    pub fn undo_rows(&mut self) {
        let rows = self.rows as usize;
        for (values, present) in self.values.iter_mut().zip(&mut self.present) {
            let written = values.len();
            values.truncate(rows);
            for row in rows..written {
                if let Some(octet) = present.get_mut(row / 8) {
                    *octet &= !(1 << (row % 8));
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        self.octets = 0;
        self.values.iter_mut().for_each(Values::clear);
        self.present.iter_mut().for_each(|bits| bits.fill(0));
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
    fn exactly_the_rows_of_a_range_are_marked() {
        let schema = Arc::clone(&batch().schema);
        for (first, n) in (0..20).flat_map(|first| (0..24).map(move |n| (first, n))) {
            let limits = BatchLimits { rows: 48, octets: 64 };
            let mut batch = Batch::new(Arc::clone(&schema), WorkerId(0), limits);
            batch.mark_present(0, first, n);
            for row in 0..48 {
                assert_eq!(batch.is_present(0, row), (first..first + n).contains(&row), "{first} {n} {row}");
            }
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
