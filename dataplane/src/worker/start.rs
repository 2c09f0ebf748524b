//! Rings, sockets, collector settings and an outlet in; a worker on a thread of its own, pinned to its core, out.

use std::io;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use collector::batch::WorkerId;
use collector::{Outlet, Schemas, StreamId};

use super::Worker;
use crate::counters::Writer;
use crate::datagram::DatagramSocket;
use crate::inbox::{Inbox, Orders, pair};
use crate::poll::Poll;
use crate::ring::Ring;
use crate::settings::WorkerSettings;
use crate::stream::HandedStream;

/// All that a worker starts with.
#[derive(Debug)]
pub struct Start {
    /// Position in the configuration's `workers`.
    pub id: WorkerId,
    /// The core to pin it to; `None`: where the kernel likes.
    pub core: Option<usize>,
    /// How it turns.
    pub settings: WorkerSettings,
    /// For its collector, and for the next one after a panic.
    pub collector: collector::Settings,
    /// The schemas that `outlet` was made with.
    pub schemas: Schemas,
    /// Where rows go.
    pub outlet: Outlet,
    /// One a row; `row` of each is below the `rings` of the counters' layout.
    pub rings: Vec<Ring>,
    /// Bound UDP sockets; the `place` of each is below the `sockets` of the counters' layout.
    pub datagrams: Vec<DatagramSocket>,
    /// Listening TCP sockets.
    pub listeners: Vec<OwnedFd>,
    /// What the worker before it left, if it was stopped so.
    pub remains: Remains,
    /// Its block of the counters page.
    pub counters: Writer,
}

/// What a worker knows and holds, on its way to another one. Nothing of it is lost: not a template, not a route, not
/// an octet of a message that has not come whole.
#[derive(Debug, Default)]
pub struct Remains {
    /// Each router as the collector saves it.
    pub routers: Vec<Vec<u8>>,
    /// Their open streams.
    pub streams: Vec<HandedStream>,
    /// Streams whose sockets were lost on the way: their sessions end, where there are any.
    pub lost: Vec<StreamId>,
    /// Names of streams that have been given out: no later one has any of them.
    pub named: u64,
}

/// A worker's thread.
#[derive(Debug)]
pub struct Running {
    /// Commands to it, notices from it.
    pub inbox: Inbox,
    /// Ends after [`Command::Stop`](crate::inbox::Command::Stop), with what was to be handed over.
    pub thread: JoinHandle<Remains>,
}

/// Starts a worker on a thread of its own. The thread keeps the caller's credentials and network namespace.
///
/// # Errors
/// A ring row beyond the counters' layout, no descriptor or no thread to be had.
pub fn spawn(start: Start) -> io::Result<Running> {
    let (poll, inbox, orders) = prepare(&start)?;
    let thread = std::thread::Builder::new()
        .name(["worker-", start.id.0.to_string().as_str()].concat())
        .spawn(move || Worker::build(start, poll, orders).run())?;
    Ok(Running { inbox, thread })
}

pub(super) fn prepare(start: &Start) -> io::Result<(Poll, Inbox, Orders)> {
    let rows = start.counters.now.rings.len();
    if start.rings.iter().any(|ring| ring.row as usize >= rows) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a ring's row is beyond the counters' layout",
        ));
    }
    let poll = Poll::new()?;
    let (inbox, orders) = pair(poll.bell());
    Ok((poll, inbox, orders))
}
