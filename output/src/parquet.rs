//! Rows -> Parquet files: the arrays of a batch, compressed with zstd, one file a kind and worker.

use std::fs::File;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use collector::Now;
use collector::ledger::Kind;
use collector::outlet::Lease;
use collector::schema::{Interest, TableId};

use crate::columns::record_batches;
use crate::file::{Files, Rotation, end_of};
use crate::json::Encoder;
use crate::sink::{Sink, SinkEnd, SinkError, Written};

/// Elements that are columns unless the configuration names others (IANA ids).
pub const DEFAULT_ELEMENTS: [u16; 34] = [
    1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 21, 22, 23, 24, 27, 28, 29, 30, 32, 56, 58,
    60, 61, 62, 80, 89, 136,
];

/// Rows of a row group, at most.
const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Parquet files. A batch that a writer refuses is lost whole and counted; its file is given up.
#[derive(Debug)]
pub struct ParquetFiles {
    /// Writers with the rows that they hold.
    files: Files<(ArrowWriter<File>, u64)>,
    settled: Written,
    wants: Interest,
    encoder: Encoder,
}

impl ParquetFiles {
    /// Writes the kinds of the mask `kinds` (one bit each at `Kind::index`) with these elements as columns.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(
        rotation: Rotation,
        kinds: u32,
        join: bool,
        elements: Vec<(u32, u16)>,
    ) -> Result<Self, SinkError> {
        let files = Files::new(rotation, "parquet")?;
        let wants = Interest { kinds, whole_records: false, elements, join };
        Ok(Self { files, settled: Written::default(), wants, encoder: Encoder::default() })
    }
}

impl Sink for ParquetFiles {
    fn wants(&self) -> Interest {
        self.wants.clone()
    }

    fn write(&mut self, batch: &Lease) -> Result<Written, SinkError> {
        let mut written = Written::default();
        let rows = u64::from(batch.rows);
        let skipped = match batch.schema.table {
            TableId::Flows => !self.wants.wants(Kind::Flow),
            TableId::Routes => !self.wants.wants(Kind::Route),
            TableId::Messages => false,
        };
        if skipped {
            return Ok(Written::all(SinkEnd::NotWanted, rows));
        }
        let batches = match record_batches(batch, &mut self.encoder) {
            Ok(batches) => batches,
            Err(error) => {
                tracing::error!("{rows} rows do not fit into columns: {error}");
                return Ok(Written::all(SinkEnd::Failed, rows));
            }
        };
        let mut seen = 0;
        for (kind, columns) in batches {
            let rows = columns.num_rows() as u64;
            seen += rows;
            if !self.wants.wants(kind) {
                written.add(SinkEnd::NotWanted, rows);
                continue;
            }
            let done = self
                .files
                .get(kind, batch.worker, |file, path| {
                    ArrowWriter::try_new(file, columns.schema(), Some(properties()))
                        .map(|writer| (writer, 0))
                        .map_err(|source| SinkError::Parquet { path: path.to_owned(), source })
                })
                .and_then(|open| {
                    let (path, (writer, held)) = (&open.temporary, &mut open.writer);
                    writer
                        .write(&columns)
                        .map(|()| *held += rows)
                        .map_err(|source| SinkError::Parquet { path: path.clone(), source })
                });
            match done {
                Ok(()) => written.add(SinkEnd::Held, rows),
                Err(error) => {
                    tracing::error!("{error}: {rows} records lost");
                    written.add(end_of(&error), rows);
                }
            }
        }
        // Rows that no encoder can read, which no session writes.
        written.add(SinkEnd::Failed, rows.saturating_sub(seen));
        Ok(written)
    }

    fn tick(&mut self, now: Now) -> Result<(), SinkError> {
        self.files.tick(now, |open, path| finish(open, path, &mut self.settled))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.files.complete(|open, path| finish(open, path, &mut self.settled))
    }

    fn settled(&mut self) -> Written {
        std::mem::take(&mut self.settled)
    }
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build()
}

/// Writes the footer; only with it are the rows of a file written.
fn finish(
    (writer, held): (ArrowWriter<File>, u64),
    path: &std::path::Path,
    settled: &mut Written,
) -> Result<(), SinkError> {
    let failed = |source: ParquetError| SinkError::Parquet { path: path.to_owned(), source };
    let done = writer.into_inner().map_err(failed).and_then(|file| {
        file.sync_data().map_err(|source| SinkError::File { path: path.to_owned(), source })
    });
    settled.add(done.as_ref().map_or_else(end_of, |()| SinkEnd::Written), held);
    done
}
