//! Rows -> Parquet files: the arrays of a batch, compressed with zstd, one file a kind and worker.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow_schema::{DataType, Field, Schema};
use collector::Now;
use collector::ledger::Kind;
use collector::outlet::Lease;
use collector::schema::{Interest, TableId};

use crate::columns::record_batches;
use crate::file::{Files, Names, Rotation, end_of};
use crate::journal::Step;
use crate::json::Encoder;
use crate::sink::{Sink, SinkEnd, SinkError, SinkLedger};

/// Elements that are columns unless the configuration names others (IANA ids).
pub const DEFAULT_ELEMENTS: [u16; 34] = [
    1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 21, 22, 23, 24, 27, 28, 29, 30, 32, 56, 58,
    60, 61, 62, 80, 89, 136,
];

/// Rows of a row group, at most.
const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Parquet files. When a writer refuses a batch, its file is given up: a Parquet file is read from its end, which it
/// cannot get any more, so its rows are lost and counted.
#[derive(Debug)]
pub struct ParquetFiles {
    /// Writers with the rows that they hold.
    files: Files<(ArrowWriter<File>, u64)>,
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
        let files = Files::new(rotation, "parquet", has_end)?;
        let wants = Interest { kinds, whole_records: false, elements, join };
        Ok(Self { files, wants, encoder: Encoder::default() })
    }
}

impl Sink for ParquetFiles {
    fn wants(&self) -> Interest {
        self.wants.clone()
    }

    fn write(&mut self, batch: &Lease, ledger: &SinkLedger) -> Result<(), SinkError> {
        let rows = u64::from(batch.rows);
        let skipped = match batch.schema.table {
            TableId::Flows => !self.wants.wants(Kind::Flow),
            TableId::Routes => !self.wants.wants(Kind::Route),
            TableId::Messages => false,
        };
        if skipped {
            ledger.count(SinkEnd::NotWanted, rows);
            return Ok(());
        }
        let batches = match record_batches(batch, &mut self.encoder) {
            Ok(batches) => batches,
            Err(source) => {
                ledger.count(SinkEnd::Failed, rows);
                return Err(SinkError::Columns { source });
            }
        };
        let (mut seen, mut first_error) = (0, None);
        for (kind, columns) in batches {
            let rows = columns.num_rows() as u64;
            seen += rows;
            if !self.wants.wants(kind) {
                ledger.count(SinkEnd::NotWanted, rows);
                continue;
            }
            let refused = |path: &Path, source| SinkError::Parquet { path: path.to_owned(), source };
            let open = self.files.get(kind, batch.worker, |file, path| {
                let writer =
                    ArrowWriter::try_new(file, columns.schema(), Some(properties(&columns.schema())));
                writer.map(|writer| (writer, 0)).map_err(|source| refused(path, source))
            });
            let done = open.and_then(|open| {
                let (writer, held) = &mut open.writer;
                writer.write(&columns).map_err(|source| refused(&open.names.temporary, source))?;
                *held += rows;
                Ok(())
            });
            if let Err(error) = done {
                let end = end_of(&error);
                ledger.count(end, rows);
                if let Some((_, held)) = self.files.give_up(kind, batch.worker) {
                    ledger.release(end, held);
                }
                first_error = first_error.or(Some(error));
            } else {
                ledger.count(SinkEnd::Held, rows);
            }
        }
        // Rows that no encoder can read, which no session writes.
        ledger.count(SinkEnd::Failed, rows.saturating_sub(seen));
        first_error.map_or(Ok(()), Err)
    }

    fn tick(&mut self, now: Now, ledger: &SinkLedger) -> Result<(), SinkError> {
        self.files.tick(now, |open, names| close(open, names, ledger))
    }

    fn finish(&mut self, ledger: &SinkLedger) -> Result<(), SinkError> {
        self.files.complete(|open, names| close(open, names, ledger))
    }
}

/// Integers and times are written as differences in as few bits as they need, so that zstd has less to read. They have
/// no dictionaries: nearly every counter and time is new. Words and addresses have.
fn properties(schema: &Schema) -> WriterProperties {
    let mut numbers = Vec::new();
    schema.fields().iter().for_each(|field| find_numbers(field, &mut Vec::new(), &mut numbers));
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    numbers
        .into_iter()
        .fold(builder, |builder, (path, is_float)| {
            let builder = builder.set_column_dictionary_enabled(path.clone(), false);
            if is_float { builder } else { builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED) }
        })
        .build()
}

/// The paths of all columns of numbers in a field, and whether they are floats.
fn find_numbers(field: &Field, above: &mut Vec<String>, found: &mut Vec<(ColumnPath, bool)>) {
    above.push(field.name().clone());
    if let DataType::Struct(inner) = field.data_type() {
        inner.iter().for_each(|field| find_numbers(field, above, found));
    } else if field.data_type().is_primitive() {
        found.push((ColumnPath::new(above.clone()), field.data_type().is_floating()));
    }
    above.pop();
}

/// Writes the footer; only with it are the rows of a file written. A file that cannot get one is removed.
fn close(
    (writer, held): (ArrowWriter<File>, u64),
    names: &Names,
    ledger: &SinkLedger,
) -> Result<(), SinkError> {
    let path = &names.temporary;
    ledger.begin(Step::Complete { file: &names.complete, rows: held });
    let done = writer
        .into_inner()
        .map_err(|source| SinkError::Parquet { path: path.clone(), source })
        .and_then(|file| file.sync_data().map_err(|source| SinkError::File { path: path.clone(), source }))
        .and_then(|()| names.keep());
    ledger.release(done.as_ref().map_or_else(end_of, |()| SinkEnd::Written), held);
    ledger.done();
    if done.is_err()
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!("{}: {error}", path.display());
    }
    done
}

/// Whether a file has its footer: the last four octets are the format's mark.
fn has_end(file: &mut File) -> io::Result<bool> {
    let mut mark = [0; 4];
    if file.metadata()?.len() < 12 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut mark)?;
    Ok(&mark == b"PAR1")
}

/// Whether there is such a file, with its footer.
pub(crate) fn is_whole(path: &Path) -> bool {
    File::open(path).and_then(|mut file| has_end(&mut file)).unwrap_or(false)
}
