//! A lease of a batch -> Arrow arrays: numbers point into the batch without a copy, addresses and words become
//! text. The batch comes home when the last array is dropped. Names and nesting are those of the JSON lines.

pub(crate) mod element;
pub(crate) mod attribute;
mod flow;
mod route;
mod message;

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Field, FieldRef, Schema};
use bytes::Bytes;
use collector::batch::Values;
use collector::ledger::Kind;
use collector::outlet::Lease;
use collector::schema::{RecordField, TableId};
use zerocopy::IntoBytes;

use crate::json::Encoder;

/// One column of a leased batch, or its presence bits, as owned octets.
struct Part {
    lease: Lease,
    column: usize,
    which: Which,
}

#[derive(Clone, Copy)]
enum Which {
    Values,
    Octets,
    Present,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        let values = self.lease.values.get(self.column);
        match (self.which, values) {
            (Which::Present, _) => self.lease.present.get(self.column).map_or(&[], Vec::as_slice),
            (Which::Values, Some(Values::Fixed1(values))) => values,
            (Which::Values, Some(Values::Fixed2(values))) => values.as_slice().as_bytes(),
            (Which::Values, Some(Values::Fixed4(values))) => values.as_slice().as_bytes(),
            (Which::Values, Some(Values::Fixed8(values))) => values.as_slice().as_bytes(),
            (Which::Values, Some(Values::Fixed16(values))) => values.as_slice().as_bytes(),
            (Which::Values, Some(Values::Choice { keys, .. })) => keys.as_slice().as_bytes(),
            (Which::Octets, Some(Values::Octets { octets, .. } | Values::Choice { octets, .. })) => octets,
            (Which::Values, Some(Values::Octets { .. } | Values::Routes(_)) | None) | (Which::Octets, _) => {
                &[]
            }
        }
    }
}

/// A column of a lease, to be read as an array.
#[derive(Clone, Debug)]
pub struct Column<'l> {
    lease: &'l Lease,
    column: usize,
}

impl<'l> Column<'l> {
    /// The column at this position of the batch's schema.
    #[must_use]
    pub const fn new(lease: &'l Lease, column: usize) -> Self {
        Self { lease, column }
    }

    fn rows(&self) -> usize {
        self.lease.rows as usize
    }

    fn buffer(&self, which: Which) -> Buffer {
        let part = Part { lease: self.lease.clone(), column: self.column, which };
        Buffer::from(Bytes::from_owner(part))
    }

    pub(crate) fn nulls(&self) -> Option<NullBuffer> {
        let nulls = NullBuffer::new(BooleanBuffer::new(self.buffer(Which::Present), 0, self.rows()));
        (nulls.null_count() > 0).then_some(nulls)
    }

    /// The numbers as they lie in the batch. `None` if the column's width is another.
    #[must_use]
    pub fn numbers<T: ArrowPrimitiveType>(&self) -> Option<PrimitiveArray<T>> {
        let buffer = self.buffer(Which::Values);
        if buffer.len() != self.rows() * size_of::<T::Native>() {
            return None;
        }
        PrimitiveArray::try_new(ScalarBuffer::new(buffer, 0, self.rows()), self.nulls()).ok()
    }

    /// Numbers of a column by its width, unsigned.
    #[must_use]
    pub fn unsigned(&self) -> Option<ArrayRef> {
        Some(match self.lease.values.get(self.column)? {
            Values::Fixed1(_) => Arc::new(self.numbers::<UInt8Type>()?),
            Values::Fixed2(_) => Arc::new(self.numbers::<UInt16Type>()?),
            Values::Fixed4(_) => Arc::new(self.numbers::<UInt32Type>()?),
            Values::Fixed8(_) => Arc::new(self.numbers::<UInt64Type>()?),
            Values::Fixed16(_) | Values::Octets { .. } | Values::Choice { .. } | Values::Routes(_) => {
                return None;
            }
        })
    }

    /// Numbers of a column by its width, signed.
    #[must_use]
    pub fn signed(&self) -> Option<ArrayRef> {
        Some(match self.lease.values.get(self.column)? {
            Values::Fixed1(_) => Arc::new(self.numbers::<Int8Type>()?),
            Values::Fixed2(_) => Arc::new(self.numbers::<Int16Type>()?),
            Values::Fixed4(_) => Arc::new(self.numbers::<Int32Type>()?),
            Values::Fixed8(_) => Arc::new(self.numbers::<Int64Type>()?),
            Values::Fixed16(_) | Values::Octets { .. } | Values::Choice { .. } | Values::Routes(_) => {
                return None;
            }
        })
    }

    /// Floats of a column by its width.
    #[must_use]
    pub fn floats(&self) -> Option<ArrayRef> {
        Some(match self.lease.values.get(self.column)? {
            Values::Fixed4(_) => Arc::new(self.numbers::<Float32Type>()?),
            Values::Fixed8(_) => Arc::new(self.numbers::<Float64Type>()?),
            Values::Fixed1(_)
            | Values::Fixed2(_)
            | Values::Fixed16(_)
            | Values::Octets { .. }
            | Values::Choice { .. }
            | Values::Routes(_) => return None,
        })
    }

    /// Unix nanoseconds, in UTC.
    #[must_use]
    pub fn nanoseconds(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.numbers::<TimestampNanosecondType>()?.with_timezone("UTC")))
    }

    /// Unix milliseconds, in UTC.
    #[must_use]
    pub fn milliseconds(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.numbers::<TimestampMillisecondType>()?.with_timezone("UTC")))
    }

    /// Text of the value of each row, made by `write`; rows without a value are null. Equal values in a row, as
    /// exporters are, are written once.
    pub(crate) fn texts<V: Copy + Default + PartialEq>(
        &self,
        values: &[V],
        write: impl Fn(&mut String, V),
    ) -> ArrayRef {
        let mut builder = StringBuilder::with_capacity(self.rows(), self.rows() * 16);
        let (mut text, mut written) = (String::new(), None);
        for row in 0..self.rows() {
            if self.lease.is_present(self.column, u32::try_from(row).unwrap_or(u32::MAX)) {
                let value = values.get(row).copied().unwrap_or_default();
                if written.replace(value) != Some(value) {
                    text.clear();
                    write(&mut text, value);
                }
                builder.append_value(&text);
            } else {
                builder.append_null();
            }
        }
        Arc::new(builder.finish())
    }

    /// Small numbers that stand for words.
    #[must_use]
    pub fn words(&self, words: &[&str]) -> Option<ArrayRef> {
        let keys = self.numbers::<UInt8Type>()?;
        let words = Arc::new(StringArray::from_iter_values(words));
        DictionaryArray::try_new(keys, words).ok().map(|array| Arc::new(array) as ArrayRef)
    }

    /// Octets as they lie in the batch.
    #[must_use]
    pub fn octets(&self) -> Option<BinaryArray> {
        let Values::Octets { ends, .. } = self.lease.values.get(self.column)? else { return None };
        let offsets: Vec<i32> = std::iter::once(0).chain(ends.iter().copied()).collect();
        BinaryArray::try_new(OffsetBuffer::new(offsets.into()), self.buffer(Which::Octets), self.nulls()).ok()
    }

    /// Text of an octets column: without a copy if all of it is UTF-8, else with U+FFFD where it is not.
    #[must_use]
    pub fn strings(&self) -> Option<ArrayRef> {
        let binary = self.octets()?;
        let (offsets, values, nulls) = binary.clone().into_parts();
        if let Ok(strings) = StringArray::try_new(offsets, values, nulls) {
            return Some(Arc::new(strings));
        }
        let strings: StringArray = binary
            .iter()
            .map(|octets| octets.map(|octets| String::from_utf8_lossy(octets).into_owned()))
            .collect();
        Some(Arc::new(strings))
    }

    /// The dictionary keys of a choice column.
    #[must_use]
    pub fn keys(&self) -> Option<PrimitiveArray<Int32Type>> {
        self.numbers::<Int32Type>()
    }

    /// The entries of a choice column's dictionary.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &'l [u8]> {
        let (ends, octets): (&[i32], &[u8]) = match self.lease.values.get(self.column) {
            Some(Values::Choice { ends, octets, .. }) => (ends, octets),
            _ => (&[], &[]),
        };
        let mut start = 0;
        ends.iter().map(move |&end| {
            let end = usize::try_from(end).unwrap_or(0);
            let entry = octets.get(start..end).unwrap_or_default();
            start = end;
            entry
        })
    }

    /// A choice column as a dictionary of text.
    pub(crate) fn choice_texts(&self, text: impl Fn(&[u8]) -> String) -> Option<ArrayRef> {
        let mut values: Vec<String> = self.entries().map(text).collect();
        if values.is_empty() {
            // Rows without a value carry key 0, which must exist.
            values.push(String::new());
        }
        let values = Arc::new(StringArray::from(values));
        let keys = self.keys()?;
        DictionaryArray::try_new(keys, values).ok().map(|array| Arc::new(array) as ArrayRef)
    }
}

/// The rows of a leased batch as Arrow record batches, one a kind.
///
/// # Errors
/// When arrays do not fit together, which no batch of a worker causes.
pub fn record_batches(lease: &Lease, encoder: &mut Encoder) -> Result<Vec<(Kind, RecordBatch)>, ArrowError> {
    Ok(match lease.schema.table {
        TableId::Flows => vec![(Kind::Flow, flow::record_batch(lease)?)],
        TableId::Routes => vec![(Kind::Route, route::record_batch(lease)?)],
        TableId::Messages => message::record_batches(lease, encoder)?,
    })
}

/// Columns being put together under their names; what a batch lacks is left out.
#[derive(Default)]
struct Named {
    fields: Vec<FieldRef>,
    arrays: Vec<ArrayRef>,
}

impl Named {
    fn push(&mut self, name: &str, array: Option<ArrayRef>) {
        if let Some(array) = array {
            self.fields.push(Arc::new(Field::new(name, array.data_type().clone(), true)));
            self.arrays.push(array);
        }
    }

    fn push_struct(&mut self, name: &str, columns: Self, rows: usize) -> Result<(), ArrowError> {
        if !columns.arrays.is_empty() {
            let array = StructArray::try_new_with_length(columns.fields.into(), columns.arrays, None, rows)?;
            self.push(name, Some(Arc::new(array)));
        }
        Ok(())
    }

    fn finish(self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(self.fields)), self.arrays, &options)
    }
}

/// Columns that rows of every table begin with.
fn common(lease: &Lease) -> Named {
    let mut named = Named::default();
    let at = |field| lease.schema.field(field);
    named.push("exporter", at(RecordField::Exporter).map(|column| element::addresses(lease, column)));
    named.push(
        "receiveTime",
        at(RecordField::ReceiveTime).and_then(|column| Column::new(lease, column).nanoseconds()),
    );
    named
}
