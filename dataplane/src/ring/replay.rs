//! Frames from memory in place of a device: the same rings, batches and frame accounting without a kernel, for
//! tests and benches. It loses frames as the kernel does, and says so by the same counters.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use collector::ledger::PacketEnd;
use crossbeam_queue::ArrayQueue;

use super::frames::{Fill, Frame, Frames};
use super::xsk::RingStatistics;
use super::{Pool, Port, Ring};
use crate::settings::{BATCH, RingSettings};

/// The device's side: puts frames into the rings. One a queue.
#[derive(Debug)]
pub struct Replay {
    frames: Arc<Frames<FillRing>>,
    fill: Arc<ArrayQueue<Frame>>,
    sockets: Vec<Arc<Wire>>,
    packets: Arc<[Box<[u8]>]>,
}

/// What device and ring of one socket share.
#[derive(Debug)]
struct Wire {
    ring: ArrayQueue<(Frame, u32)>,
    dropped: AtomicU64,
    ring_full: AtomicU64,
}

/// Makes a queue whose frames come from `packets`, and a ring for each of `sockets` workers.
///
/// # Errors
/// The name of a setting that is out of range.
pub fn open(
    packets: Vec<Box<[u8]>>,
    sockets: u32,
    settings: &RingSettings,
) -> Result<(Replay, Vec<Ring>), &'static str> {
    settings.check()?;
    let count = settings.frames(sockets);
    let fill = Arc::new(ArrayQueue::new(count as usize));
    let frames = Frames::new(FillRing(Arc::clone(&fill)), count);
    let packets: Arc<[Box<[u8]>]> = packets.into();
    let sockets: Vec<Arc<Wire>> = (0..sockets)
        .map(|_| {
            Arc::new(Wire {
                ring: ArrayQueue::new(settings.ring_frames as usize),
                dropped: AtomicU64::new(0),
                ring_full: AtomicU64::new(0),
            })
        })
        .collect();
    let rings = sockets
        .iter()
        .map(|wire| {
            let receive = Receive {
                wire: Arc::clone(wire),
                packets: Arc::clone(&packets),
                batch: Vec::with_capacity(BATCH),
            };
            Ring::new(Port::Replay(receive), Pool::Replay(Arc::clone(&frames)))
        })
        .collect();
    Ok((Replay { frames, fill, sockets, packets }, rings))
}

impl Replay {
    /// A frame arrives for a socket: packet `packet` of those the queue was made with.
    ///
    /// # Errors
    /// How it was lost: [`PacketEnd::NoFrame`], [`PacketEnd::RingFull`], or [`PacketEnd::Internal`] where the
    /// socket or the packet does not exist.
    pub fn offer(&self, socket: usize, packet: usize) -> Result<(), PacketEnd> {
        let wire = self.sockets.get(socket).ok_or(PacketEnd::Internal)?;
        let packet =
            u32::try_from(packet).ok().filter(|_| packet < self.packets.len()).ok_or(PacketEnd::Internal)?;
        let Some(frame) = self.fill.pop() else {
            wire.dropped.fetch_add(1, Ordering::Relaxed);
            return Err(PacketEnd::NoFrame);
        };
        wire.ring.push((frame, packet)).map_err(|(frame, _)| {
            let pushed = self.fill.push(frame);
            debug_assert!(pushed.is_ok(), "there is room for every frame there is");
            wire.ring_full.fetch_add(1, Ordering::Relaxed);
            PacketEnd::RingFull
        })
    }

    /// Frames that the workers have not brought back yet or that wait in a ring, lost ones included.
    #[must_use]
    pub fn away(&self) -> usize {
        self.frames.count() as usize - self.fill.len()
    }

    /// Looks for every frame, once all rings are closed.
    ///
    /// # Errors
    /// How many frames are missing and how many were found twice.
    pub fn audit(self) -> Result<(), (usize, usize)> {
        let mut found = self.frames.audit(|fill| std::iter::from_fn(|| fill.0.pop()).collect());
        for wire in &self.sockets {
            found.extend(std::iter::from_fn(|| wire.ring.pop()).map(|(frame, _)| frame));
        }
        let all = found.len();
        found.sort();
        found.dedup();
        let missing = (self.frames.count() as usize).saturating_sub(found.len());
        if missing == 0 && all == found.len() { Ok(()) } else { Err((missing, all - found.len())) }
    }
}

/// The fill ring.
#[derive(Debug)]
pub(crate) struct FillRing(Arc<ArrayQueue<Frame>>);

impl Fill for FillRing {
    fn room(&mut self) -> usize {
        self.0.capacity() - self.0.len()
    }

    fn produce(&mut self, frames: &mut Vec<Frame>, n: usize) {
        for frame in frames.drain(frames.len() - n..) {
            let pushed = self.0.push(frame);
            debug_assert!(pushed.is_ok(), "there is room for every frame there is");
        }
    }
}

/// One socket's receive ring.
#[derive(Debug)]
pub(crate) struct Receive {
    wire: Arc<Wire>,
    packets: Arc<[Box<[u8]>]>,
    batch: Vec<(Option<Frame>, u32)>,
}

impl Receive {
    pub(super) fn consume(&mut self) -> usize {
        self.batch.clear();
        while self.batch.len() < BATCH
            && let Some((frame, packet)) = self.wire.ring.pop()
        {
            self.batch.push((Some(frame), packet));
        }
        self.batch.len()
    }

    pub(super) fn octets(&self, at: usize) -> &[u8] {
        match self.batch.get(at) {
            Some((Some(_), packet)) => self.packets.get(*packet as usize).map_or(&[], |octets| octets),
            Some((None, _)) | None => &[],
        }
    }

    pub(super) fn take(&mut self, at: usize) -> Option<Frame> {
        self.batch.get_mut(at)?.0.take()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the kernel's ring answers")]
    pub(super) fn statistics(&self) -> io::Result<RingStatistics> {
        let rx_dropped = self.wire.dropped.load(Ordering::Relaxed);
        let rx_ring_full = self.wire.ring_full.load(Ordering::Relaxed);
        Ok(RingStatistics { rx_dropped, rx_ring_full, rx_fill_ring_empty: rx_dropped })
    }
}
