//! One worker's end of one RX queue: frames in batches out of the receive ring, read in place, and back again.
//!
//! ```text
//!  fill ring -> kernel -> receive ring -> batch -> each(Input::Frame) -> held -+
//!      ^                                                                       |
//!      +------------------------------- token, tried once a batch -------------+
//! ```
//! One a (device, queue) and worker, over the queue's shared memory. Never waits, never loses a frame: what
//! could not be brought back is held until the next turn.

pub(crate) mod xsk;
pub(crate) mod frames;
pub mod replay;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use collector::Input;

pub use xsk::{OpenError, RingStatistics};

use crate::settings::{BATCH, RingSettings};
use crate::source::Source;
use frames::{Frame, Frames};

/// One worker's end of one RX queue.
#[derive(Debug)]
pub struct Ring {
    /// The row that this ring's counters stand in; control's number for the (device, queue).
    pub row: u32,
    port: Port,
    pool: Pool,
    /// Frames of the batch that are not yet given to the collector: `next..len`.
    next: usize,
    len: usize,
    held: Vec<Frame>,
    received: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one of a kind, made once, never moved while packets pass")]
enum Port {
    Socket(xsk::Receive),
    Replay(replay::Receive),
}

#[derive(Debug)]
enum Pool {
    Socket(Arc<Frames<xsk::FillRing>>),
    Replay(Arc<Frames<replay::FillRing>>),
}

/// What opening a queue gave.
#[derive(Debug)]
pub struct Queue {
    /// One ring a worker, in the order of the workers. Each socket is bound, its fill ring full; it gets nothing
    /// before it stands in the XSKMAP.
    pub rings: Vec<Ring>,
    /// Frames of the queue's memory.
    pub frames: u32,
    /// Set when huge pages were asked for and ordinary ones had to do: what the kernel said.
    pub huge_pages_refused: Option<io::Error>,
}

/// Opens RX queue `queue` of `device` (a name in the caller's network namespace) for `workers` workers.
///
/// Needs CAP_NET_RAW, and CAP_IPC_LOCK for the memory. All rings of a queue must be dropped before the queue
/// can be opened again; the kernel may still say EBUSY for a moment, which is waited for.
///
/// # Errors
/// Settings out of range, memory or socket refused by the kernel.
pub fn open(device: &str, queue: u32, workers: u32, settings: &RingSettings) -> Result<Queue, OpenError> {
    let opened = xsk::open(device, queue, workers, settings)?;
    // xsk-rs gives the fill ring out only once its first socket is bound; filled here, it is full before any
    // socket can be put into the XSKMAP.
    let frames = Frames::new(opened.fill, opened.frames);
    let rings = opened
        .receive
        .into_iter()
        .map(|receive| {
            let mut ring = Ring::new(Port::Socket(receive), Pool::Socket(Arc::clone(&frames)));
            // A driver that came up with an empty fill ring sleeps.
            ring.wake();
            ring
        })
        .collect();
    Ok(Queue { rings, frames: opened.frames, huge_pages_refused: opened.huge_pages_refused })
}

impl Ring {
    fn new(port: Port, pool: Pool) -> Self {
        Self { row: 0, port, pool, next: 0, len: 0, held: Vec::with_capacity(4 * BATCH), received: 0 }
    }

    /// The AF_XDP socket: control puts it into the XSKMAP, the worker polls it. `None`: a replay.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.port {
            Port::Socket(receive) => Some(receive.descriptor()),
            Port::Replay(_) => None,
        }
    }

    /// Whether the driver writes into our memory without a copy. `None`: a replay.
    ///
    /// # Errors
    /// What the kernel says to `XDP_OPTIONS`.
    pub fn zero_copy(&self) -> io::Result<Option<bool>> {
        let Some(socket) = self.descriptor() else { return Ok(None) };
        let options = rustix::net::sockopt::xdp_options(socket)?;
        Ok(Some(options.contains(rustix::net::xdp::XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY)))
    }

    /// What the kernel counted for this socket.
    ///
    /// # Errors
    /// What the kernel says to `XDP_STATISTICS`.
    pub fn statistics(&self) -> io::Result<RingStatistics> {
        match &self.port {
            Port::Socket(receive) => receive.statistics(),
            Port::Replay(receive) => receive.statistics(),
        }
    }

    /// Frames given to the collector so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Frames that wait for the token.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn wake(&mut self) {
        if let Port::Socket(receive) = &mut self.port {
            receive.wake();
        }
    }

    fn octets(&self) -> &[u8] {
        match &self.port {
            Port::Socket(receive) => receive.octets(self.next),
            Port::Replay(receive) => receive.octets(self.next),
        }
    }

    fn give_up(&mut self) {
        let frame = match &mut self.port {
            Port::Socket(receive) => receive.take(self.next),
            Port::Replay(receive) => receive.take(self.next),
        };
        self.held.extend(frame);
        self.next += 1;
    }
}

impl Source for Ring {
    /// At most one batch.
    fn receive(&mut self, budget: u32, mut each: impl FnMut(Input<'_>) -> usize) -> u32 {
        if self.next == self.len {
            self.next = 0;
            // Who holds many frames takes no more: what it holds must come home first.
            self.len = if self.held.len() + BATCH > self.held.capacity() {
                0
            } else {
                match &mut self.port {
                    Port::Socket(receive) => receive.consume(),
                    Port::Replay(receive) => receive.consume(),
                }
            };
        }
        let mut given = 0;
        while self.next < self.len && given < budget {
            // Counted first: a frame over which the collector panics was received.
            self.received += 1;
            each(Input::Frame(self.octets()));
            self.give_up();
            given += 1;
        }
        given
    }

    fn recycle(&mut self) {
        let mut asleep = false;
        match &self.pool {
            Pool::Socket(frames) => {
                // An empty hand still asks now and then: the driver may sleep on a fill ring that others filled.
                frames.refill(&mut self.held, |fill| asleep = fill.needs_wakeup());
            }
            Pool::Replay(frames) => {
                frames.refill(&mut self.held, |_| ());
            }
        }
        if asleep {
            self.wake();
        }
    }

    fn skip(&mut self) {
        if self.next < self.len {
            self.give_up();
        }
    }
}

impl Drop for Ring {
    /// The frames it holds, and those that still lie in its receive ring, go to the other rings of the queue.
    fn drop(&mut self) {
        loop {
            while self.next < self.len {
                self.give_up();
            }
            match &self.pool {
                Pool::Socket(frames) => frames.leave(&mut self.held),
                Pool::Replay(frames) => frames.leave(&mut self.held),
            }
            self.next = 0;
            self.len = match &mut self.port {
                Port::Socket(receive) => receive.consume(),
                Port::Replay(receive) => receive.consume(),
            };
            if self.len == 0 {
                return;
            }
        }
    }
}
