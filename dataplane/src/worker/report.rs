//! What a worker's sources counted -> its ledgers and its block of the counters page, on the tick.

use collector::ledger::PacketEnd;
use collector::{Ledgers, Now};

use crate::counters::{RingCounters, Writer};
use crate::datagram::Datagrams;
use crate::ring::{Ring, RingStatistics};
use crate::stream::StreamCounts;

/// One a worker.
#[derive(Debug)]
pub(crate) struct Report {
    counters: Writer,
    /// What the kernel said of each ring at the last tick.
    last: Vec<RingStatistics>,
}

impl Report {
    pub(crate) fn new(counters: Writer, rings: usize) -> Self {
        Self { counters, last: vec![RingStatistics::default(); rings] }
    }

    /// A step is over: how many inputs it gave, how long it took.
    pub(crate) const fn turned(&mut self, given: u32, took_ns: u64) {
        let gauges = &mut self.counters.now.gauges;
        if given > 0 {
            gauges.busy_turns += 1;
            gauges.busy_ns += took_ns;
        } else {
            gauges.idle_turns += 1;
        }
    }

    /// Frames that a ring kept because another worker was refilling.
    pub(crate) const fn put_off(&mut self, held: usize) {
        if held > 0 {
            self.counters.now.gauges.refills_put_off += 1;
        }
    }

    /// Whether the page has this place for a socket.
    pub(crate) fn has_place(&self, place: u16) -> bool {
        usize::from(place) < self.counters.now.sockets.len()
    }

    /// What the kernel dropped at the rings becomes packets with an end.
    pub(crate) fn rings(&mut self, rings: &[Ring], ledgers: &mut Ledgers) {
        for (ring, last) in rings.iter().zip(&mut self.last) {
            // A socket that does not answer has answered before; its counts stay as they were.
            let told = ring.statistics().unwrap_or(*last);
            let full = told.rx_ring_full.saturating_sub(last.rx_ring_full);
            let dropped = told.rx_dropped.saturating_sub(last.rx_dropped);
            add(ledgers, PacketEnd::RingFull, full);
            add(ledgers, PacketEnd::NoFrame, dropped);
            *last = told;
            if let Some(row) = self.counters.now.rings.get_mut(ring.row as usize) {
                *row = RingCounters {
                    received: ring.received(),
                    rx_dropped: told.rx_dropped,
                    rx_ring_full: told.rx_ring_full,
                    rx_fill_ring_empty: told.rx_fill_ring_empty,
                };
            }
        }
    }

    /// What the kernel dropped at the UDP sockets becomes packets with an end.
    pub(crate) fn sockets(&mut self, datagrams: &Datagrams, ledgers: &mut Ledgers) {
        for state in datagrams.states().flatten() {
            let place = usize::from(state.place);
            let Some(last) = self.counters.kernel_drops(place) else { continue };
            let told = u64::from(state.kernel_drops);
            // The kernel counts modulo 2^32.
            let dropped = told.wrapping_sub(*last) & u64::from(u32::MAX);
            *last = told;
            add(ledgers, PacketEnd::SocketFull, dropped);
            if let Some(socket) = self.counters.now.sockets.get_mut(place) {
                socket.received = state.received;
                socket.dropped += dropped;
                socket.kernel_drops = told;
            }
        }
    }

    /// What streams, outlet and notices say.
    pub(crate) const fn rest(&mut self, streams: &StreamCounts, open: usize, backlog: usize, lost: u64) {
        let gauges = &mut self.counters.now.gauges;
        gauges.streams_opened = streams.opened;
        gauges.streams_closed = streams.closed;
        gauges.streams_refused = streams.refused;
        gauges.stream_octets = streams.octets;
        gauges.streams_open = open as u64;
        gauges.backlog = backlog as u64;
        gauges.notices_lost = lost;
    }

    /// The collector has panicked; its counts stay.
    pub(crate) fn panicked(&mut self, ledgers: &Ledgers) {
        self.counters.keep(ledgers);
        self.counters.now.gauges.panics += 1;
    }

    /// Writes the block.
    pub(crate) fn write(&mut self, now: Now, ledgers: &Ledgers) {
        self.counters.now.ledgers.clone_from(ledgers);
        self.counters.now.gauges.written_ns = now.monotonic_ns;
        self.counters.write();
    }
}

fn add(ledgers: &mut Ledgers, end: PacketEnd, n: u64) {
    if let Some(count) = ledgers.packets.get_mut(end.index()) {
        *count = count.wrapping_add(n);
    }
}
