//! The dataplane process: orders and descriptors in, workers and sinks running, then no privilege at all.
//!
//! ```text
//! Start, Serve.., Open.., Remains, Adopt.., Begin
//!   -> sinks, rings -> Ring.. (AF_XDP sockets) -> capabilities dropped -> Adopted -> workers -> Running
//!   -> Exporters.., Notice.. -> Drain, or HandOver -> Remains, Hold.. -> Drained
//! ```
//! It opens nothing but what control has told it and the files of its sinks. What fails ends the process: the
//! keeper starts another one.

mod orders;
mod asked;
mod hand_over;
pub(crate) mod sinks;
mod tally;

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use collector::batch::{BatchLimits, WorkerId};
use collector::schema::Interest;
use collector::{Outlet, Schemas};
use dataplane::counters::{Counters, Layout};
use dataplane::inbox::{Command, Inbox, Notice};
use dataplane::ring::{self, Ring};
use dataplane::settings::{Copy, RingSettings, WorkerSettings};
use dataplane::worker::{self, Remains, Running, Start};
use dataplane_common::MAX_SLOTS;
use output::distribute::Distribution;
use output::sink::SinkLedger;
use rustix::thread::CapabilitySet;

use super::channel::{Channel, ChannelError, Received};
use super::message::{Order, Report};
use super::privilege;
use crate::config::Config;
use orders::{Orders, Part, Queue};

/// Time between looks at notices and sink ledgers.
const LOOK: Duration = Duration::from_millis(10);
/// Panics of one process whose message is printed; the counters count all of them.
const MAX_PANIC_MESSAGES: u32 = 16;
/// Octets of the longest memory file that is read.
const MAX_FILE: u64 = 16 << 20;

/// Runs the process until control drains it or is gone for good; returns the exit status.
///
/// # Errors
/// What keeps it from running, where control could not be told.
pub fn run() -> anyhow::Result<u8> {
    privilege::keep_only(privilege::RINGS, CapabilitySet::empty()).context("cannot give up capabilities")?;
    limit_panic_messages();
    let channel = Channel::from_stdin().context("standard input is not the keeper's channel")?;
    match Orders::read(&channel).and_then(|orders| Process::start(&channel, orders)) {
        Ok(process) => process.serve(&channel).map(|()| 0),
        Err(error) => {
            // Control says why, in one place.
            let told = channel.send(&Report::Failed { text: format!("{error:#}") }, &[]);
            told.map(|()| 1).map_err(|_| error)
        }
    }
}

/// Workers catch panics and go on: whoever can cause one must not fill the log with them.
fn limit_panic_messages() {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if TOLD.fetch_add(1, Ordering::Relaxed) < MAX_PANIC_MESSAGES {
            tell(panic);
        }
    }));
}

/// The text in a sealed memory file.
pub(super) fn text_of(file: impl AsFd) -> anyhow::Result<String> {
    Ok(String::from_utf8(octets_of(file)?)?)
}

/// The octets in a sealed memory file.
pub(super) fn octets_of(file: impl AsFd) -> anyhow::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let file = File::from(file.as_fd().try_clone_to_owned()?);
    let length = file.metadata()?.len();
    ensure!(length <= MAX_FILE, "a memory file is longer than {MAX_FILE} octets");
    let mut octets = vec![0; usize::try_from(length)?];
    // The offset is shared with every holder of this file: read at one of our own.
    file.read_exact_at(&mut octets, 0)?;
    Ok(octets)
}

/// Sinks that an instance can have had since it began: each has a ledger on the counters page.
pub(super) const SINK_PLACES: usize = 256;

/// The sizes of the counters page, from the configuration alone: both processes compute the same.
#[must_use]
pub fn layout(config: &Config) -> Layout {
    // Not as many as are configured: workers, listeners and sinks come and go, and each keeps its place. What nobody
    // writes takes no memory.
    Layout {
        workers: MAX_SLOTS as usize,
        rings: config.limits.max_ring_rows as usize,
        sockets: config.limits.max_socket_rows as usize,
        others: SINK_PLACES * SinkLedger::WORDS,
    }
}

/// What rings are opened with: control tells XDP the longest frame that fits.
#[must_use]
pub fn ring_settings(config: &Config, generic: bool) -> RingSettings {
    RingSettings {
        frame_size_bytes: config.limits.frame_size_bytes,
        ring_frames: config.limits.ring_frames,
        spare_frames: config.limits.spare_frames,
        copy: if generic { Copy::Always } else { Copy::Auto },
        huge_pages: config.process.huge_pages,
        ..RingSettings::default()
    }
}

/// The running workers and sinks. One a dataplane process.
struct Process {
    workers: Vec<Running>,
    sinks: Option<Distribution>,
    /// Workers that have not said yet that they turn.
    starting: usize,
    exporters: tally::Changed,
    asked: asked::Asked,
}

impl Process {
    fn start(channel: &Channel, orders: Orders) -> anyhow::Result<Self> {
        let Orders { config, page, workers: parts, queues, sinks: places, key, left } = orders;
        let counters = Counters::map(page, layout(&config)).context("cannot map the counters page")?;
        let rings = open(channel, &config, &queues)?;
        let mut outputs = sinks::build(&config, &places, &counters)?;
        let (tally, exporters) = tally::pair(config.metrics.max_exporters as usize);
        // The tally is nobody's output: its ledger is not told.
        outputs.push(("tally".to_owned(), Box::new(tally), SinkLedger::default()));
        privilege::keep_only(CapabilitySet::empty(), CapabilitySet::empty())
            .context("cannot give up capabilities")?;
        // From here on nothing of this process can gain a privilege.

        let wanted = outputs.iter().fold(Interest::default(), |all, (_, sink, _)| all.union(&sink.wants()));
        let schemas = collector::schema::schemas(&wanted);
        let limits = BatchLimits { rows: config.limits.batch_rows, octets: config.limits.batch_octets };
        let (outlets, drains): (Vec<_>, Vec<_>) = (0..config.workers.len())
            .map(|n| Outlet::new(worker_id(n), &schemas, config.limits.batches_per_table, limits))
            .unzip();
        let sinks = Distribution::start(drains, outputs, config.limits.sink_queue_batches)?;
        let asked = asked::Asked::new(&schemas);
        let remains = hand_over::take(channel, &config, key, left)?;
        let parts = parts.into_iter().zip(remains).collect();
        let workers = spawn(&config, &schemas, &counters, outlets, rings, parts)?;
        Ok(Self { starting: workers.len(), workers, sinks: Some(sinks), exporters, asked })
    }

    /// Until control says [`Order::Drain`], or neither it nor the keeper is there any more.
    fn serve(mut self, channel: &Channel) -> anyhow::Result<()> {
        loop {
            match channel.receive::<Order>(Some(LOOK)) {
                Ok(Some(Received { message: Order::Drain, .. })) => {
                    self.end(channel, false);
                    return Ok(channel.send(&Report::Drained, &[])?);
                }
                Ok(Some(Received { message: Order::HandOver, .. })) => {
                    hand_over::give(channel, self.end(channel, true))?;
                    return Ok(channel.send(&Report::Drained, &[])?);
                }
                Ok(Some(Received { message: Order::Ask { topic }, descriptors })) => {
                    let inboxes: Vec<Inbox> =
                        self.workers.iter().map(|worker| worker.inbox.clone()).collect();
                    descriptors.into_iter().for_each(|client| self.asked.answer(topic, client, &inboxes));
                }
                Ok(Some(Received { message: other, .. })) => {
                    bail!("control gave an order out of turn: {other:?}")
                }
                Ok(None) => {}
                Err(ChannelError::Closed) => {
                    tracing::error!("control and keeper are gone: completing the files and ending");
                    self.end(channel, false);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            self.notices(channel)?;
            self.tell(channel);
            if let Some(n) = self.workers.iter().position(|worker| worker.thread.is_finished()) {
                bail!("worker {n} ended by itself");
            }
        }
    }

    fn notices(&mut self, channel: &Channel) -> anyhow::Result<()> {
        for (n, worker) in self.workers.iter().enumerate() {
            while let Some(notice) = worker.inbox.notice() {
                let text = match notice {
                    Notice::Running { pinned } => {
                        self.starting = self.starting.saturating_sub(1);
                        if self.starting == 0 {
                            channel.send(&Report::Running, &[])?;
                        }
                        if pinned {
                            continue;
                        }
                        format!("worker {n} could not be pinned to its core")
                    }
                    Notice::Panicked => format!("worker {n} panicked and began again, empty"),
                    Notice::Drained => continue,
                    Notice::RouterRefused(refused) => {
                        format!("worker {n} did not take a saved router: {refused}")
                    }
                    Notice::SocketRefused(error) => format!("worker {n} could not take a socket: {error}"),
                };
                // A log line is worth no restart.
                let _ = channel.send(&Report::Notice { text }, &[]);
            }
        }
        Ok(())
    }

    /// Tells control of exporters whose counts have changed.
    fn tell(&mut self, channel: &Channel) {
        for exporters in self.exporters.take() {
            // What could not be told is told with its next change.
            let _ = channel.send(&Report::Exporters { exporters }, &[]);
        }
    }

    /// Stops the workers and completes the files; what each worker leaves.
    fn end(mut self, channel: &Channel, hand_over: bool) -> Vec<Remains> {
        for worker in &self.workers {
            // A worker that reads no commands any more is left behind with the process.
            let _ = worker.inbox.send(Command::Stop { hand_over });
        }
        let mut left = Vec::new();
        for (n, worker) in std::mem::take(&mut self.workers).into_iter().enumerate() {
            left.push(worker.thread.join().unwrap_or_else(|_| {
                tracing::error!("worker {n} panicked while it ended");
                Remains::default()
            }));
        }
        if let Some(sinks) = self.sinks.take() {
            sinks.finish();
        }
        self.tell(channel);
        left
    }
}

fn worker_id(n: usize) -> WorkerId {
    WorkerId(u16::try_from(n).unwrap_or(u16::MAX))
}

/// Opens every queue and hands control each AF_XDP socket. Rings by worker.
fn open(channel: &Channel, config: &Config, queues: &[Queue]) -> anyhow::Result<Vec<Vec<Ring>>> {
    let workers = config.workers.len();
    let mut ordinary_pages = None;
    let mut by_worker: Vec<Vec<Ring>> = (0..workers).map(|_| Vec::new()).collect();
    for Queue { device, queue, row, generic, only } in queues {
        let takers: Vec<usize> = match only {
            Some(worker) => vec![usize::from(*worker)],
            None => (0..workers).collect(),
        };
        let settings = ring_settings(config, *generic);
        let opened = ring::open(device, *queue, u32::try_from(takers.len())?, &settings)
            .with_context(|| format!("device {device}, RX queue {queue}"))?;
        ordinary_pages = ordinary_pages.or(opened.huge_pages_refused);
        for (mut ring, worker) in opened.rings.into_iter().zip(takers) {
            ring.row = *row;
            let zero_copy = ring.zero_copy()?.unwrap_or(false);
            let socket = ring.descriptor().context("a ring without a socket")?;
            let report = Report::Ring { row: *row, worker: u16::try_from(worker)?, zero_copy };
            channel.send(&report, &[socket.as_fd()])?;
            by_worker.get_mut(worker).context("control named no worker of ours")?.push(ring);
        }
    }
    if let Some(error) = ordinary_pages {
        let text = format!(
            "rings stand in ordinary pages, not in huge ones ({error}): sysctl -w vm.nr_hugepages=64"
        );
        channel.send(&Report::Notice { text }, &[])?;
    }
    Ok(by_worker)
}

fn spawn(
    config: &Config,
    schemas: &Schemas,
    counters: &Counters,
    outlets: Vec<Outlet>,
    rings: Vec<Vec<Ring>>,
    parts: Vec<(Part, Remains)>,
) -> anyhow::Result<Vec<Running>> {
    let settings = WorkerSettings {
        socket_buffer_bytes: config.limits.socket_buffer_bytes,
        stream_buffer_bytes: WorkerSettings::default()
            .stream_buffer_bytes
            .max(2 * config.limits.max_bmp_message_octets),
        max_streams: config.limits.max_streams_per_worker,
        ..WorkerSettings::default()
    };
    let mut workers = Vec::new();
    let parts = outlets.into_iter().zip(rings).zip(parts).zip(&config.workers);
    for (n, (((outlet, rings), (Part { datagrams, listeners }, remains)), core)) in parts.enumerate() {
        let start = Start {
            id: worker_id(n),
            core: Some(usize::from(*core)),
            settings,
            collector: config.collector_settings(),
            schemas: schemas.clone(),
            outlet,
            rings,
            datagrams,
            listeners,
            remains,
            counters: counters.writer(n).context("the counters page is too small")?,
        };
        workers.push(worker::spawn(start).with_context(|| format!("cannot start worker {n}"))?);
    }
    Ok(workers)
}
