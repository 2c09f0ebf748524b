//! The counters of all workers as one page of `u64` words that control reads while workers write.
//!
//! Each worker has a block: its ledgers, its gauges, one entry a ring row, one a UDP socket. It writes the block
//! on its tick into one of two copies in turn, so that a reader never sees half a block, not even of a worker that
//! was killed while it wrote. A worker that starts anew goes on from what the page holds: the page outlives workers and processes, and only grows.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use collector::Ledgers;

use crate::memory::SharedWords;

/// How large the page is: the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Workers.
    pub workers: usize,
    /// Ring rows, (device, RX queue), of each worker.
    pub rings: usize,
    /// UDP sockets of each worker.
    pub sockets: usize,
    /// Words behind the workers' blocks that others lay out: the ledgers of sinks.
    pub others: usize,
}

/// Words of the page that no worker writes. Keeps the page mapped.
#[derive(Clone, Debug)]
pub struct Others {
    page: Arc<SharedWords>,
    range: std::ops::Range<usize>,
}

impl AsRef<[AtomicU64]> for Others {
    fn as_ref(&self) -> &[AtomicU64] {
        self.page.words().get(self.range.clone()).unwrap_or_default()
    }
}

/// One ring of one worker, since the page was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Frames that the worker took from the ring.
    pub received: u64,
    /// Frames for which no memory was free (`rx_dropped`).
    pub rx_dropped: u64,
    /// Frames that found the ring full (`rx_ring_full`).
    pub rx_ring_full: u64,
    /// Times the queue's fill ring was empty; counted by every ring of the queue alike.
    pub rx_fill_ring_empty: u64,
}

/// One UDP socket of one worker, since the page was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// Datagrams that the worker read.
    pub received: u64,
    /// Datagrams that the kernel dropped at the socket.
    pub dropped: u64,
    /// The kernel's own 32-bit count when it was last read; the next worker goes on from it.
    pub kernel_drops: u64,
}

/// The state of one worker. The last three are its own moment; the rest counts since the page was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Turns that gave at least one input.
    pub busy_turns: u64,
    /// Turns that gave none.
    pub idle_turns: u64,
    /// Time in turns that gave at least one input, ns.
    pub busy_ns: u64,
    /// Panics caught.
    pub panics: u64,
    /// Streams accepted.
    pub streams_opened: u64,
    /// Streams ended.
    pub streams_closed: u64,
    /// Streams closed at once for lack of room.
    pub streams_refused: u64,
    /// Octets read from streams.
    pub stream_octets: u64,
    /// Times a ring found its token taken or its fill ring full and kept frames.
    pub refills_put_off: u64,
    /// Notices that found their queue full.
    pub notices_lost: u64,
    /// Full batches that no sink has taken.
    pub backlog: u64,
    /// Streams open.
    pub streams_open: u64,
    /// When the block was last written, monotonic ns.
    pub written_ns: u64,
}

/// Gauges that count, at the front of [`Gauges`]; the rest is the worker's own moment.
const COUNTING_GAUGES: usize = 10;

/// Everything of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The four ledgers, joins, routes.
    pub ledgers: Ledgers,
    /// The state of the worker.
    pub gauges: Gauges,
    /// One a ring row.
    pub rings: Vec<RingCounters>,
    /// One a UDP socket, in the order in which the worker was given them.
    pub sockets: Vec<SocketCounters>,
}

impl Block {
    fn new(layout: &Layout) -> Self {
        Self {
            rings: vec![RingCounters::default(); layout.rings],
            sockets: vec![SocketCounters::default(); layout.sockets],
            ..Self::default()
        }
    }

    /// Visits every word in the order of the page, told whether it counts (as opposed to a moment's value).
    fn each(&mut self, mut visit: impl FnMut(&mut u64, bool)) {
        let Self { ledgers, gauges, rings, sockets } = self;
        let Ledgers {
            packets,
            messages_in,
            messages,
            sets_in,
            sets,
            records_in,
            records,
            joins,
            routes,
            sequence_lost,
            flow_events,
            rib,
        } = ledgers;
        let arrays: [&mut [u64]; 12] = [
            packets,
            messages_in,
            messages.as_flattened_mut(),
            sets_in,
            sets.as_flattened_mut(),
            records_in,
            records.as_flattened_mut(),
            joins.as_flattened_mut(),
            routes,
            sequence_lost,
            flow_events,
            rib,
        ];
        for word in arrays.into_iter().flatten() {
            visit(word, true);
        }
        for (at, word) in gauges.words().into_iter().enumerate() {
            visit(word, at < COUNTING_GAUGES);
        }
        for RingCounters { received, rx_dropped, rx_ring_full, rx_fill_ring_empty } in rings {
            for word in [received, rx_dropped, rx_ring_full, rx_fill_ring_empty] {
                visit(word, true);
            }
        }
        for SocketCounters { received, dropped, kernel_drops } in sockets {
            visit(received, true);
            visit(dropped, true);
            visit(kernel_drops, false);
        }
    }

    fn words(layout: &Layout) -> usize {
        let mut words = 0;
        Self::new(layout).each(|_, _| words += 1);
        words
    }
}

impl Gauges {
    const fn words(&mut self) -> [&mut u64; 13] {
        let Self {
            busy_turns,
            idle_turns,
            busy_ns,
            panics,
            streams_opened,
            streams_closed,
            streams_refused,
            stream_octets,
            refills_put_off,
            notices_lost,
            backlog,
            streams_open,
            written_ns,
        } = self;
        [
            busy_turns,
            idle_turns,
            busy_ns,
            panics,
            streams_opened,
            streams_closed,
            streams_refused,
            stream_octets,
            refills_put_off,
            notices_lost,
            backlog,
            streams_open,
            written_ns,
        ]
    }
}

/// The page, mapped. Cheap to clone; any number of readers, one [`Writer`] a worker.
#[derive(Clone, Debug)]
pub struct Counters {
    page: Arc<SharedWords>,
    layout: Layout,
    block_words: usize,
}

impl Counters {
    /// A new page of zeros, as a sealed memory file that can be sent to another process.
    ///
    /// # Errors
    /// The kernel has no memory for it.
    pub fn file(layout: &Layout) -> io::Result<OwnedFd> {
        SharedWords::file(page_words(layout))
    }

    /// Maps a page made by [`Counters::file`] with the same layout.
    ///
    /// # Errors
    /// The file is not such a page or cannot be mapped.
    pub fn map(file: impl AsFd, layout: Layout) -> io::Result<Self> {
        let page = Arc::new(SharedWords::map(file, page_words(&layout))?);
        Ok(Self { page, layout, block_words: block_words(&layout) })
    }

    /// The sizes.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A worker's block as it was at one moment, a tick ago at most. `None`: there is no such worker.
    #[must_use]
    pub fn read(&self, worker: usize) -> Option<Block> {
        let mut block = Block::new(&self.layout);
        let (sequence, copies) = self.words(worker)?;
        for attempt in 0..2000 {
            let before = sequence.load(Ordering::Acquire);
            let mut from = current(copies, before).iter();
            block.each(|word, _| *word = from.next().map_or(0, |word| word.load(Ordering::Relaxed)));
            fence(Ordering::Acquire);
            if sequence.load(Ordering::Relaxed) == before {
                break;
            }
            if attempt < 100 {
                std::hint::spin_loop();
            } else {
                // The writer may be far faster than this reader has a core.
                std::thread::yield_now();
            }
        }
        Some(block)
    }

    /// The writing end of a worker's block. `None`: there is no such worker.
    #[must_use]
    pub fn writer(&self, worker: usize) -> Option<Writer> {
        let mut found = self.read(worker)?;
        let mut base = Vec::with_capacity(self.block_words);
        found.each(|word, counts| base.push(if counts { *word } else { 0 }));
        let kernel_drops = found.sockets.iter().map(|socket| socket.kernel_drops).collect();
        Some(Writer { page: self.clone(), worker, now: Block::new(&self.layout), base, kernel_drops })
    }

    /// `words` of the [`Layout::others`], from `start` of them on. Empty: there are not so many.
    #[must_use]
    pub fn others(&self, start: usize, words: usize) -> Others {
        let first = self.layout.workers.max(1) * self.block_words + start;
        Others { page: Arc::clone(&self.page), range: first..first + words }
    }

    /// The sequence number of a worker's block, and its two copies.
    fn words(&self, worker: usize) -> Option<(&AtomicU64, [&[AtomicU64]; 2])> {
        let start = (worker < self.layout.workers).then_some(worker * self.block_words)?;
        let (sequence, copies) = self.page.words().get(start..start + self.block_words)?.split_first()?;
        let (first, second) = copies.split_at(copies.len() / 2);
        Some((sequence, [first, second]))
    }
}

/// The copy that a sequence number stands for. The other one is being written, or was left by a writer that died.
const fn current([even, odd]: [&[AtomicU64]; 2], sequence: u64) -> &[AtomicU64] {
    if sequence.is_multiple_of(2) { even } else { odd }
}

/// A sequence number and two copies of the block.
fn block_words(layout: &Layout) -> usize {
    1 + 2 * Block::words(layout)
}

fn page_words(layout: &Layout) -> usize {
    layout.workers.max(1) * block_words(layout) + layout.others
}

/// The writing end of one worker's block. One a worker.
#[derive(Debug)]
pub struct Writer {
    page: Counters,
    worker: usize,
    /// What this worker has counted since it started; filled before [`Writer::write`].
    pub(crate) now: Block,
    /// What stood in the page when it started, and what its panicked collectors counted, word by word.
    base: Vec<u64>,
    kernel_drops: Vec<u64>,
}

impl Writer {
    /// A collector has panicked; what it counted stays, the next one starts from zero.
    pub(crate) fn keep(&mut self, ledgers: &Ledgers) {
        // Ledgers come first in every block; the gauges of this one are zero.
        let mut gone = Block { ledgers: ledgers.clone(), ..Block::default() };
        let mut base = self.base.iter_mut();
        gone.each(|word, _| {
            if let Some(base) = base.next() {
                *base = base.wrapping_add(*word);
            }
        });
    }

    /// The kernel's drop count of a socket when it was last read, by this worker or the one before.
    pub(crate) fn kernel_drops(&mut self, socket: usize) -> Option<&mut u64> {
        self.kernel_drops.get_mut(socket)
    }

    /// Writes the copy that nobody reads, then makes it the current one: a few hundred relaxed stores, no allocation.
    /// Killed in between, the worker leaves the block as it was.
    pub(crate) fn write(&mut self) {
        let Some((sequence, copies)) = self.page.words(self.worker) else { return };
        let next = sequence.load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release);
        let mut places = current(copies, next).iter().zip(&self.base);
        self.now.each(|word, _| {
            if let Some((place, base)) = places.next() {
                place.store(base.wrapping_add(*word), Ordering::Relaxed);
            }
        });
        sequence.store(next, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collector::ledger::PacketEnd;

    const LAYOUT: Layout = Layout { workers: 2, rings: 3, sockets: 2, others: 4 };

    #[test]
    fn counters_outlive_their_writer_and_gauges_do_not() {
        let file = Counters::file(&LAYOUT).unwrap();
        let page = Counters::map(&file, LAYOUT).unwrap();
        for round in 1..=3u64 {
            let mut writer = page.writer(1).unwrap();
            assert_eq!(*writer.kernel_drops(1).unwrap(), if round == 1 { 0 } else { 77 });
            writer.now.ledgers.packet(PacketEnd::Delivered);
            writer.now.rings[2].received = 10;
            writer.now.sockets[1] = SocketCounters { received: 5, dropped: 1, kernel_drops: 77 };
            writer.now.gauges.backlog = 4;
            writer.now.gauges.busy_turns = 2;
            writer.write();
            writer.write();
            let read = Counters::map(&file, LAYOUT).unwrap().read(1).unwrap();
            assert_eq!(read.ledgers.packets[PacketEnd::Delivered.index()], round);
            assert_eq!(read.rings[2].received, 10 * round);
            assert_eq!(read.sockets[1].received, 5 * round);
            assert_eq!((read.sockets[1].dropped, read.sockets[1].kernel_drops), (round, 77));
            assert_eq!((read.gauges.backlog, read.gauges.busy_turns), (4, 2 * round));
        }
        assert_eq!(page.read(0), Some(Block::new(&LAYOUT)));
        assert!(page.read(2).is_none() && page.writer(2).is_none());
    }

    #[test]
    fn a_panicked_collector_keeps_its_counts() {
        let page = Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap();
        let mut writer = page.writer(0).unwrap();
        let mut gone = Ledgers::default();
        gone.packet(PacketEnd::WorkerPanic);
        writer.keep(&gone);
        writer.now.ledgers.packet(PacketEnd::Delivered);
        writer.now.gauges.panics = 1;
        writer.write();
        let read = page.read(0).unwrap();
        assert_eq!(read.ledgers.packets.iter().sum::<u64>(), 2);
        assert_eq!(read.gauges.panics, 1);
    }

    #[test]
    fn a_copy_is_of_one_moment() {
        let page = Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap();
        let mut writer = page.writer(0).unwrap();
        let reader = page.clone();
        let watching = std::thread::spawn(move || {
            let mut seen = 0;
            while seen < 20_000 {
                let block = reader.read(0).unwrap();
                assert_eq!(block.gauges.busy_turns, block.rings[2].rx_dropped);
                seen = block.gauges.busy_turns;
            }
        });
        while !watching.is_finished() {
            writer.now.gauges.busy_turns += 1;
            writer.now.rings[2].rx_dropped += 1;
            writer.write();
            // A worker writes once a tick; without a pause no reader ever finds it at rest.
            (0..1000).for_each(|_| std::hint::spin_loop());
        }
        watching.join().unwrap();
    }

    #[test]
    fn words_of_others_are_nobodys_block() {
        let file = Counters::file(&LAYOUT).unwrap();
        let page = Counters::map(&file, LAYOUT).unwrap();
        page.others(1, 3).as_ref().iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
        assert_eq!(page.read(1), Some(Block::new(&LAYOUT)));
        let again = Counters::map(&file, LAYOUT).unwrap().others(0, 4);
        let read: Vec<u64> = again.as_ref().iter().map(|word| word.load(Ordering::Relaxed)).collect();
        assert_eq!(read, [0, u64::MAX, u64::MAX, u64::MAX]);
        assert!(page.others(2, 3).as_ref().is_empty());
    }

    #[test]
    fn another_layout_is_refused() {
        let file = Counters::file(&LAYOUT).unwrap();
        assert!(Counters::map(&file, Layout { rings: 4, ..LAYOUT }).is_err());
    }
}
