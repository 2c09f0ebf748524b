//! Workers' full batches -> one bounded queue a sink. Nobody waits for a slow sink: its full queue is a counted end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use collector::Now;
use collector::outlet::{Drain, Lease};
use crossbeam_queue::ArrayQueue;

use crate::sink::{Sink, SinkEnd, SinkLedger};

const IDLE: Duration = Duration::from_millis(2);
const TICK: Duration = Duration::from_millis(200);

/// A sink under its name, as metrics show it, and the ledger that it counts in.
pub type Named = (String, Box<dyn Sink>, SinkLedger);

/// The running sinks. One a dataplane process.
#[derive(Debug)]
pub struct Distribution {
    stop: Arc<AtomicBool>,
    distributor: JoinHandle<()>,
    sinks: Vec<SinkThread>,
}

#[derive(Debug)]
struct SinkThread {
    name: String,
    stop: Arc<AtomicBool>,
    ledger: Arc<SinkLedger>,
    thread: JoinHandle<()>,
}

impl Distribution {
    /// Starts a thread a sink, which counts in the ledger beside it, and one that hands out. `queue` is the number of
    /// batches that may wait for one sink.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(drains: Vec<Drain>, sinks: Vec<Named>, queue: usize) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        for (name, sink, ledger) in sinks {
            let waiting = Arc::new(ArrayQueue::<Lease>::new(queue.max(1)));
            let ledger = Arc::new(ledger);
            let stop = Arc::new(AtomicBool::new(false));
            let thread = thread::Builder::new().name(format!("sink-{name}")).spawn({
                let (waiting, ledger, stop, name) =
                    (Arc::clone(&waiting), Arc::clone(&ledger), Arc::clone(&stop), name.clone());
                move || serve(&name, sink, &waiting, &ledger, &stop)
            })?;
            queues.push((waiting, Arc::clone(&ledger), thread.thread().clone()));
            threads.push(SinkThread { name, stop, ledger, thread });
        }
        let distributor = thread::Builder::new().name("distribute".into()).spawn({
            let stop = Arc::clone(&stop);
            move || {
                loop {
                    // Read before the drains: what the workers published before the stop is still handed out.
                    let stopping = stop.load(Ordering::Acquire);
                    let mut moved = false;
                    for lease in drains.iter().filter_map(Drain::take) {
                        moved = true;
                        for (waiting, ledger, thread) in &queues {
                            let rows = u64::from(lease.rows);
                            ledger.offer(rows);
                            if waiting.push(lease.clone()).is_err() {
                                ledger.count(SinkEnd::QueueFull, rows);
                            }
                            thread.unpark();
                        }
                    }
                    if !moved {
                        if stopping {
                            return;
                        }
                        thread::sleep(IDLE);
                    }
                }
            }
        })?;
        Ok(Self { stop, distributor, sinks: threads })
    }

    /// The ledger of every sink, by name.
    #[must_use]
    pub fn ledgers(&self) -> Vec<(String, Arc<SinkLedger>)> {
        self.sinks.iter().map(|sink| (sink.name.clone(), Arc::clone(&sink.ledger))).collect()
    }

    /// Hands out what the workers have published, lets every sink complete its files and ends all threads.
    /// The workers must have published for the last time before this is called.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Release);
        if self.distributor.join().is_err() {
            tracing::error!("the distributor of batches panicked");
        }
        for sink in self.sinks {
            sink.stop.store(true, Ordering::Release);
            sink.thread.thread().unpark();
            if sink.thread.join().is_err() {
                tracing::error!(sink = sink.name, "the sink panicked");
            }
        }
    }
}

fn serve(
    name: &str,
    mut sink: Box<dyn Sink>,
    waiting: &ArrayQueue<Lease>,
    ledger: &SinkLedger,
    stop: &AtomicBool,
) {
    let mut ticked = Instant::now();
    let mut complained: Option<Instant> = None;
    let started = Instant::now();
    let mut complain = |error: &crate::sink::SinkError| {
        // One line a second at most: a full disk says the same for every batch.
        if complained.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            tracing::error!(sink = name, "{error}: its rows are counted as lost");
            complained = Some(Instant::now());
        }
    };
    loop {
        let stopping = stop.load(Ordering::Acquire);
        let mut idle = true;
        while let Some(lease) = waiting.pop() {
            idle = false;
            if let Err(error) = sink.write(&lease, ledger) {
                complain(&error);
            }
            if ticked.elapsed() >= TICK {
                break;
            }
        }
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            if let Err(error) = sink.tick(now(started), ledger) {
                complain(&error);
            }
        }
        if idle {
            if stopping {
                break;
            }
            thread::park_timeout(TICK);
        }
    }
    if let Err(error) = sink.finish(ledger) {
        complain(&error);
    }
}

fn now(started: Instant) -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        monotonic_ns: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        unix_ns: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
        frame: 0,
    }
}
