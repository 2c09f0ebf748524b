//! Where rows go: a sink takes leases of batches and says what became of each row.

use std::sync::atomic::{AtomicU64, Ordering};

use collector::Now;
use collector::ledger::Kind;
use collector::outlet::Lease;
use collector::schema::{Interest, RecordField, TableId};
use dataplane_common::ledger;

ledger! {
    /// How a record ended at one sink.
    pub SinkEnd counts "records" {
        /// Handed to the file system, the broker or the client.
        Written = "written",
        /// In a file that cannot be read before it is complete (an end only while it is open: the row moves on
        /// when the file is completed, and is lost with a process that is killed).
        Held = "held",
        /// The sink's queue had no room for its batch.
        QueueFull = "queue_full",
        /// The disk is full or the sink's own limit of octets is reached.
        DiskFull = "disk_full",
        /// The sink could not write it.
        Failed = "failed",
        /// The sink does not want this kind.
        NotWanted = "not_wanted",
    }
}

/// What a sink did with the rows of one batch. The sum is the batch's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows by end.
    pub records: [u64; SinkEnd::COUNT],
}

impl Written {
    /// `n` rows that all ended the same way.
    #[must_use]
    pub fn all(end: SinkEnd, n: u64) -> Self {
        let mut written = Self::default();
        written.add(end, n);
        written
    }

    /// Counts `n` more rows.
    pub fn add(&mut self, end: SinkEnd, n: u64) {
        if let Some(count) = self.records.get_mut(end.index()) {
            *count += n;
        }
    }
}

/// Why a sink could not take rows or could not start.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file or directory refused.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The Parquet writer refused.
    #[error("{path}: {source}")]
    Parquet {
        /// Which file.
        path: std::path::PathBuf,
        /// What the writer said.
        source: parquet::errors::ParquetError,
    },
}

/// A place for rows. Driven by one thread of its own, never by a worker.
pub trait Sink: Send {
    /// What it wants to see; asked once, before any worker starts.
    fn wants(&self) -> Interest;

    /// Takes the rows of one batch.
    ///
    /// # Errors
    /// Rows that could not be written are in the error's place: the caller counts the whole batch as failed.
    fn write(&mut self, batch: &Lease) -> Result<Written, SinkError>;

    /// Time passes: rotation, flushing. Called at least every second.
    ///
    /// # Errors
    /// When a file cannot be completed; the sink goes on with a new one.
    fn tick(&mut self, now: Now) -> Result<(), SinkError>;

    /// Completes what is open. Nothing is written afterwards.
    ///
    /// # Errors
    /// When a file cannot be completed.
    fn finish(&mut self) -> Result<(), SinkError>;

    /// How rows that were [`SinkEnd::Held`] have ended since the last call; asked after every tick and at the end.
    fn settled(&mut self) -> Written {
        Written::default()
    }
}

/// The ledger of one sink, shared with whoever reports it.
#[derive(Debug, Default)]
pub struct SinkLedger {
    offered: AtomicU64,
    ends: [AtomicU64; SinkEnd::COUNT],
}

impl SinkLedger {
    pub(crate) fn offer(&self, n: u64) {
        self.offered.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, written: &Written) {
        for (count, n) in self.ends.iter().zip(written.records) {
            count.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Rows that were held end otherwise.
    pub(crate) fn settle(&self, settled: &Written) {
        self.count(settled);
        if let Some(held) = self.ends.get(SinkEnd::Held.index()) {
            held.fetch_sub(settled.records.iter().sum(), Ordering::Relaxed);
        }
    }

    /// Rows that were offered to the sink.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered.load(Ordering::Relaxed)
    }

    /// Rows by end.
    #[must_use]
    pub fn ends(&self) -> [u64; SinkEnd::COUNT] {
        std::array::from_fn(|end| self.ends.get(end).map_or(0, |count| count.load(Ordering::Relaxed)))
    }
}

/// The kind of a row: of its table, or of the row itself in the messages table.
#[must_use]
pub fn kind_of(batch: &collector::batch::Batch, row: usize) -> Option<Kind> {
    match batch.schema.table {
        TableId::Flows => Some(Kind::Flow),
        TableId::Routes => Some(Kind::Route),
        TableId::Messages => {
            let column = batch.schema.field(RecordField::Kind)?;
            let number = usize::try_from(batch.values.get(column)?.integer(row)?).ok()?;
            Kind::ALL.get(number).copied()
        }
    }
}
