//! A lease of messages -> one record batch a kind: the common columns and the JSON line of each row, because what
//! the kinds say has too many shapes for columns.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::{StringBuilder, TimestampNanosecondBuilder};
use arrow_schema::ArrowError;
use collector::ledger::Kind;
use collector::outlet::Lease;
use collector::schema::RecordField;

use super::{Named, element};
use crate::json::Encoder;

/// One kind's columns while they grow.
#[derive(Default)]
struct Rows {
    exporter: StringBuilder,
    receive_time: TimestampNanosecondBuilder,
    line: StringBuilder,
    rows: usize,
}

pub(super) fn record_batches(
    lease: &Lease,
    encoder: &mut Encoder,
) -> Result<Vec<(Kind, RecordBatch)>, ArrowError> {
    let at = |field| lease.schema.field(field).and_then(|column| lease.values.get(column));
    let mut kinds: Vec<(Kind, Rows)> = Vec::new();
    let (mut line, mut text) = (Vec::new(), String::new());
    for row in 0..lease.rows as usize {
        line.clear();
        let Some(kind) = encoder.line(lease, row, &mut line) else { continue };
        let place = match kinds.iter().position(|(known, _)| *known == kind) {
            Some(place) => place,
            None => {
                kinds.push((kind, Rows::default()));
                kinds.len() - 1
            }
        };
        let Some((_, rows)) = kinds.get_mut(place) else { continue };
        text.clear();
        let exporter = at(RecordField::Exporter).and_then(|values| values.sixteen(row));
        element::write_address(&mut text, exporter.copied().unwrap_or_default());
        rows.exporter.append_value(&text);
        let time = at(RecordField::ReceiveTime).and_then(|values| values.integer(row));
        rows.receive_time.append_option(time.and_then(|ns| i64::try_from(ns).ok()));
        rows.line.append_value(String::from_utf8_lossy(line.trim_ascii_end()));
        rows.rows += 1;
    }
    kinds
        .into_iter()
        .map(|(kind, mut rows)| {
            let mut named = Named::default();
            named.push("exporter", Some(Arc::new(rows.exporter.finish())));
            named.push("receiveTime", Some(Arc::new(rows.receive_time.finish().with_timezone("UTC"))));
            named.push("record", Some(Arc::new(rows.line.finish())));
            Ok((kind, named.finish(rows.rows)?))
        })
        .collect()
}
