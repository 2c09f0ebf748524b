//! Questions that only workers can answer: each worker's slices -> one JSON object on the client's own stream.
//!
//! One thread a question, at most [`MOST`]; a client that does not read is given up after a while. Neither workers
//! nor control wait for it.

use std::io::{self, BufWriter, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use collector::batch::BatchLimits;
use collector::query::Query;
use collector::{Drain, Outlet, Schemas, sixteen};
use dataplane::inbox::{Command, Inbox};
use dataplane::worker::Ask;
use output::json::Encoder;
use wire::bgp::Prefix;

use super::worker_id;
use crate::process::control::answers::{now_unix_ns, unix_ns_text};
use crate::process::message::Topic;

/// Questions under way at once; more clients find their stream closed.
const MOST: usize = 4;
/// How long a client may leave its answer unread, and a worker its slice unwritten.
const PATIENCE: Duration = Duration::from_secs(5);
/// Batches of an answer that a worker may be ahead.
const BATCHES: usize = 2;
const LIMITS: BatchLimits = BatchLimits { rows: 256, octets: 1 << 18 };

/// One a dataplane process.
#[derive(Debug)]
pub(super) struct Asked {
    schemas: Schemas,
    open: Arc<AtomicUsize>,
}

impl Asked {
    pub(super) fn new(schemas: &Schemas) -> Self {
        Self { schemas: schemas.clone(), open: Arc::default() }
    }

    /// Begins to answer; returns at once.
    pub(super) fn answer(&self, topic: Topic, client: OwnedFd, workers: &[Inbox]) {
        if self.open.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let query = query(topic);
        let parts: Vec<Part> = workers
            .iter()
            .enumerate()
            .filter_map(|(n, inbox)| Part::ask(query, n, inbox, &self.schemas))
            .collect();
        let open = Arc::clone(&self.open);
        let thread = std::thread::Builder::new().name("answer".into()).spawn(move || {
            // The client sees an answer that does not end.
            let _ = write(UnixStream::from(client), parts);
            open.fetch_sub(1, Ordering::Relaxed);
        });
        if thread.is_err() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn query(topic: Topic) -> Query {
    match topic {
        Topic::Sessions => Query::Exporters,
        Topic::Templates => Query::Templates,
        Topic::Peers => Query::Peers,
        Topic::Rib { router, prefix } => Query::Rib {
            router: router.map(sixteen),
            prefix: prefix.map(|(address, length)| Prefix::new(address, length)),
        },
    }
}

/// One worker's part of an answer.
struct Part {
    worker: usize,
    drain: Drain,
    done: Arc<AtomicBool>,
}

impl Part {
    fn ask(query: Query, worker: usize, inbox: &Inbox, schemas: &Schemas) -> Option<Self> {
        let (outlet, drain) = Outlet::new(worker_id(worker), schemas, BATCHES, LIMITS);
        let done = Arc::new(AtomicBool::new(false));
        let ask = Ask { query, outlet, done: Arc::clone(&done) };
        inbox.send(Command::Ask(Box::new(ask))).ok()?;
        Some(Self { worker, drain, done })
    }
}

fn write(client: UnixStream, parts: Vec<Part>) -> io::Result<()> {
    client.set_write_timeout(Some(PATIENCE))?;
    let mut client = BufWriter::new(client);
    write!(client, "{{\"schema\":1,\"time\":\"{}\",\"items\":[", unix_ns_text(now_unix_ns()))?;
    let mut encoder = Encoder::default();
    let (mut line, mut first) = (Vec::new(), true);
    for part in parts {
        let mut moved = Instant::now();
        loop {
            // Read before the drain: what is done has published all.
            let done = part.done.load(Ordering::Acquire);
            let mut any = false;
            while let Some(batch) = part.drain.take() {
                any = true;
                for row in 0..batch.rows as usize {
                    line.clear();
                    if encoder.line(&batch, row, &mut line).is_none() {
                        continue;
                    }
                    if !std::mem::take(&mut first) {
                        client.write_all(b",")?;
                    }
                    item(&mut client, &line, part.worker)?;
                }
            }
            if any {
                moved = Instant::now();
            } else if done {
                break;
            } else if moved.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            } else {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    client.write_all(b"]}\n")?;
    client.flush()
}

/// The object of a line, with the worker that said it.
fn item(client: &mut impl io::Write, line: &[u8], worker: usize) -> io::Result<()> {
    let body = line.trim_ascii_end();
    match body.strip_suffix(b"}") {
        Some(open) => {
            client.write_all(open)?;
            write!(client, ",\"worker\":{worker}}}")
        }
        None => client.write_all(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_names_its_worker() {
        let mut out = Vec::new();
        item(&mut out, b"{\"kind\":\"peer\"}\n", 3).unwrap();
        assert_eq!(out, b"{\"kind\":\"peer\",\"worker\":3}");
    }
}
