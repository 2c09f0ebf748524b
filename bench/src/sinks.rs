//! Sinks: rows of the population, decoded once and held, into the files of a sink.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::Kind;
use collector::schema::schemas;
use collector::settings::PortProtocol;
use collector::{Collector, Input as Given, Lease, Now, Outlet, Settings};
use output::file::Rotation;
use output::lines::JsonFiles;
use output::parquet::ParquetFiles;
use output::sink::{Sink, SinkEnd, SinkLedger};

use crate::cpu::Cpu;
use crate::input::Input;

const FLOW_PORT: u16 = 4739;

/// A sink's files on the disk of the machine's temporary directory, and the batches that go into them.
pub struct Filling {
    leases: Vec<Lease>,
    directory: PathBuf,
    make: fn(Rotation) -> anyhow::Result<Box<dyn Sink>>,
}

/// Whole records as lines.
///
/// # Errors
/// The directory cannot be made.
pub fn json(rotation: Rotation) -> anyhow::Result<Box<dyn Sink>> {
    Ok(Box::new(JsonFiles::new(rotation, 1 << Kind::Flow.index(), false)?))
}

/// The same 23 elements as columns, zstd.
///
/// # Errors
/// The directory cannot be made.
pub fn parquet(rotation: Rotation) -> anyhow::Result<Box<dyn Sink>> {
    let elements = lab::exporter::FIELDS_V4.iter().map(|field| (field.pen, field.id)).collect();
    Ok(Box::new(ParquetFiles::new(rotation, 1 << Kind::Flow.index(), false, elements)?))
}

impl Filling {
    /// Decodes `input` into batches as this sink wants them.
    ///
    /// # Errors
    /// No room for its directory, or rows that did not come out.
    pub fn new(input: &Input, make: fn(Rotation) -> anyhow::Result<Box<dyn Sink>>) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("mr-sinks-{}", std::process::id()));
        let wants = make(rotation(&directory))?.wants();
        let schemas = schemas(&wants);
        let records = usize::try_from(input.records)?;
        let limits = BatchLimits { rows: 1_024, octets: 1 << 20 };
        let (mut outlet, drain) = Outlet::new(WorkerId(0), &schemas, records / 512 + 16, limits);
        let ports = vec![(FLOW_PORT, PortProtocol::Ipfix)];
        let mut collector = Collector::new(Settings { ports, ..Settings::default() }, schemas);
        let to = SocketAddr::from(([127, 0, 0, 1], FLOW_PORT));
        let sent = input.sources.iter().zip(&input.templates);
        let data = input.messages.iter().map(|(router, message)| (&input.sources[*router], message));
        for (from, payload) in sent.chain(data) {
            let given = Given::Datagram { from: *from, to, payload };
            collector.accept(Now::default(), given, &mut outlet);
        }
        outlet.publish();
        let leases: Vec<Lease> = std::iter::from_fn(|| drain.take()).collect();
        let filling = Self { leases, directory, make };
        ensure!(filling.rows() >= input.records, "{} rows of {records} records", filling.rows());
        Ok(filling)
    }

    /// Rows that are held.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.leases.iter().map(|lease| u64::from(lease.rows)).sum()
    }

    /// Writes all of them into fresh files, completes the files and removes them. Rows a second of this thread's time.
    ///
    /// # Errors
    /// A row that was not written.
    pub fn fill(&self) -> anyhow::Result<f64> {
        let ledger = SinkLedger::default();
        let filled = self.write(&ledger);
        // Also after a failure, which is what is told then.
        let removed = std::fs::remove_dir_all(&self.directory);
        let seconds = filled?;
        removed?;
        let ends = ledger.ends();
        let written = ends.get(SinkEnd::Written.index()).copied().unwrap_or_default();
        let unwanted = ends.get(SinkEnd::NotWanted.index()).copied().unwrap_or_default();
        ensure!(written + unwanted == self.rows(), "{ledger:?} of {} rows", self.rows());
        Ok(written as f64 / seconds)
    }

    /// Writes all rows into files. Seconds of this thread's time.
    fn write(&self, ledger: &SinkLedger) -> anyhow::Result<f64> {
        let mut sink = (self.make)(rotation(&self.directory))?;
        let started = Cpu::start();
        for lease in &self.leases {
            sink.write(lease, ledger)?;
        }
        sink.finish(ledger)?;
        Ok(started.seconds())
    }
}

fn rotation(directory: &Path) -> Rotation {
    Rotation { path: directory.to_owned(), rotate_s: 3_600, max_disk_bytes: 0 }
}
