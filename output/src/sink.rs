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
    /// Rows do not fit into columns.
    #[error("rows do not fit into columns: {source}")]
    Columns {
        /// What the arrays said.
        source: arrow_schema::ArrowError,
    },
}

/// A place for rows. Driven by one thread of its own, never by a worker. It counts every row in its ledger itself,
/// as it happens: what is counted stays exact also when the process is killed.
pub trait Sink: Send {
    /// What it wants to see; asked once, before any worker starts.
    fn wants(&self) -> Interest;

    /// Takes the rows of one batch and counts how each of them ended.
    ///
    /// # Errors
    /// Why rows were lost, for the log; they are counted already.
    fn write(&mut self, batch: &Lease, ledger: &SinkLedger) -> Result<(), SinkError>;

    /// Time passes: rotation, flushing. Called at least every second.
    ///
    /// # Errors
    /// When a file cannot be completed; the sink goes on with a new one.
    fn tick(&mut self, now: Now, ledger: &SinkLedger) -> Result<(), SinkError>;

    /// Completes what is open. Nothing is written afterwards.
    ///
    /// # Errors
    /// When a file cannot be completed.
    fn finish(&mut self, ledger: &SinkLedger) -> Result<(), SinkError>;
}

/// The ledger of one sink: words that may lie in memory shared with whoever reports it, so that they outlive the
/// process. One writer of ends and one of offers; any number of readers.
pub struct SinkLedger {
    words: Box<dyn Words>,
}

/// Where the words of a ledger lie.
trait Words: AsRef<[AtomicU64]> + Send + Sync {}
impl<W: AsRef<[AtomicU64]> + Send + Sync> Words for W {}

/// Rows offered, ends, then the journal.
const ENDS: usize = 1;
pub(crate) const JOURNAL: usize = ENDS + SinkEnd::COUNT;

impl SinkLedger {
    /// Words that a ledger takes.
    pub const WORDS: usize = JOURNAL + crate::journal::WORDS;

    /// A ledger over the first [`Self::WORDS`] words of a memory, going on from what stands there. `None`: they are
    /// fewer.
    #[must_use]
    pub fn over(words: impl AsRef<[AtomicU64]> + Send + Sync + 'static) -> Option<Self> {
        (words.as_ref().len() >= Self::WORDS).then(|| Self { words: Box::new(words) })
    }

    pub(crate) fn word(&self, at: usize) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        // Never out of range: `over` has seen that all words are there.
        (*self.words).as_ref().get(at).unwrap_or(&NONE)
    }

    pub(crate) fn end(&self, end: SinkEnd) -> &AtomicU64 {
        self.word(ENDS + end.index())
    }

    pub(crate) fn offer(&self, n: u64) {
        self.word(0).fetch_add(n, Ordering::Relaxed);
    }

    /// `n` rows ended this way.
    pub fn count(&self, end: SinkEnd, n: u64) {
        self.end(end).fetch_add(n, Ordering::Relaxed);
    }

    /// `n` rows that were [`SinkEnd::Held`] ended this way.
    pub(crate) fn release(&self, end: SinkEnd, n: u64) {
        self.end(SinkEnd::Held).fetch_sub(n, Ordering::Relaxed);
        self.count(end, n);
    }

    /// Rows that were offered to the sink.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.word(0).load(Ordering::Relaxed)
    }

    /// Rows by end.
    #[must_use]
    pub fn ends(&self) -> [u64; SinkEnd::COUNT] {
        std::array::from_fn(|end| self.word(ENDS + end).load(Ordering::Relaxed))
    }
}

impl Default for SinkLedger {
    /// In memory of this process.
    fn default() -> Self {
        let words: Vec<AtomicU64> = (0..Self::WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { words: Box::new(words) }
    }
}

impl std::fmt::Debug for SinkLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkLedger").field("offered", &self.offered()).field("ends", &self.ends()).finish()
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
