//! Every counter of an instance at one moment, and the chain that holds them against each other.
//!
//! ```text
//! received by devices         ==  sum over XDP's frame ends
//! XDP redirected (row, slot)  ==  worker received + rx_dropped + ring_full + lost in crashes
//! SK_REUSEPORT selected       ==  worker received + dropped at the socket + lost in crashes
//! worker received             ==  sum over the worker's packet ends
//! messages, sets, records in  ==  sum over their ends
//! rows                        ==  sum over the ends of each sink + lost in crashes
//! ```
//! In: what kernel, workers and sinks counted. Out: sums and differences. Each side of a link is another
//! party's count. What a killed process took with it is known only as a difference; it is taken once, at the
//! kill, under a name of its own.

use std::collections::BTreeMap;

use collector::Ledgers;
use collector::ledger::{Kind, PacketEnd, RecordEnd};
use dataplane::counters::{Block, Gauges};
use output::sink::SinkEnd;
use serde::{Deserialize, Serialize};

/// A device that runs the program, and how many packets the kernel counted as received there meanwhile.
///
/// Bounds, since a device cannot be read at the very moment at which the program comes or goes; they are one number
/// unless packets came in at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceTotals {
    /// Name of the device.
    pub device: String,
    /// At least so many.
    pub least: u64,
    /// At most so many.
    pub most: u64,
    /// Whether the kernel counts on this device exactly what the program sees ([`crate::nic::counts_as_seen`]).
    pub held: bool,
}

/// What the kernel counted as received, beside what the program has seen in the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// One a device that runs the program.
    pub devices: Vec<DeviceTotals>,
    /// Frames that the program has ended, on all of them.
    pub frames: u64,
}

impl Received {
    /// What the kernel counted, next to the program's count, if those two cannot be the same; where one of the
    /// devices does not count exactly there is nothing to compare.
    fn difference(&self) -> Option<(u64, u64)> {
        if self.devices.is_empty() || !self.devices.iter().all(|device| device.held) {
            return None;
        }
        let least = self.devices.iter().map(|device| device.least).sum();
        let most = self.devices.iter().map(|device| device.most).sum();
        let nearest = self.frames.clamp(least, most);
        (nearest != self.frames).then_some((nearest, self.frames))
    }
}

/// One ring of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RingTotals {
    /// Name of the device.
    pub device: String,
    /// RX queue, from 0.
    pub queue: u32,
    /// Worker, which is the slot too.
    pub worker: u16,
    /// Frames that XDP redirected there.
    pub redirected: u64,
    /// Frames that the worker took.
    pub received: u64,
    /// Frames that found no free memory or a full ring, as the kernel counted.
    pub dropped: u64,
    /// Frames that went with a killed process.
    pub lost: u64,
}

/// One UDP socket of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketTotals {
    /// Position in the configuration's `listen`.
    pub listen: u16,
    /// Worker, which is the slot too.
    pub worker: u16,
    /// Datagrams for which SK_REUSEPORT selected it; absent without programs.
    pub selected: Option<u64>,
    /// Datagrams that the worker read.
    pub received: u64,
    /// Datagrams that found the socket full.
    pub dropped: u64,
    /// Datagrams that went with a killed process.
    pub lost: u64,
}

/// The rows of one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkTotals {
    /// Name, as in metrics.
    pub name: String,
    /// Rows by [`SinkEnd`].
    pub ends: [u64; SinkEnd::COUNT],
    /// Rows that went with a killed process; negative: rows that its workers had not counted yet.
    pub lost: i64,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// What devices received; absent without programs, and when a device has just gone.
    pub received: Option<Received>,
    /// Frames by their end in XDP; their sum is all that devices gave to the program.
    pub frames: [u64; PacketEnd::COUNT],
    /// Packets by their end in SK_REUSEPORT.
    pub selections: [u64; PacketEnd::COUNT],
    /// One a worker.
    pub workers: Vec<Block>,
    /// One a ring.
    pub rings: Vec<RingTotals>,
    /// One a UDP socket.
    pub sockets: Vec<SocketTotals>,
    /// One a sink.
    pub sinks: Vec<SinkTotals>,
}

impl Default for Totals {
    /// All 0. Written out, because `core` has no default for arrays as long as the list of ends.
    fn default() -> Self {
        let (frames, selections) = ([0; PacketEnd::COUNT], [0; PacketEnd::COUNT]);
        Self {
            received: None,
            frames,
            selections,
            workers: Vec::new(),
            rings: Vec::new(),
            sockets: Vec::new(),
            sinks: Vec::new(),
        }
    }
}

/// What earlier dataplane processes left, and where the counters of maps stood when the instance began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Rows lost by sink, as [`SinkTotals::lost`].
    pub rows_lost: Vec<i64>,
    /// Frames lost by (ring row, worker).
    pub frames_lost: BTreeMap<(u32, u16), u64>,
    /// Datagrams lost by (place of the listener in the counters page, worker).
    pub datagrams_lost: BTreeMap<(u16, u16), u64>,
    /// XDP's ends when the instance began.
    pub frames: Vec<u64>,
    /// SK_REUSEPORT's ends when the instance began.
    pub selections: Vec<u64>,
    /// Redirected by (row, slot) when the instance began, where that was not 0.
    pub redirected: BTreeMap<(u32, u16), u64>,
    /// Selected by (row, slot) when the instance began, where that was not 0.
    pub selected: BTreeMap<(u32, u16), u64>,
}

/// One difference of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which link.
    pub link: &'static str,
    /// Where in that link: a device and queue, a worker, a sink.
    pub place: String,
    /// One party's count.
    pub left: u64,
    /// The other's.
    pub right: u64,
}

impl Totals {
    /// The ledgers of all workers.
    #[must_use]
    pub fn ledgers(&self) -> Ledgers {
        let mut sum = Ledgers::default();
        for Block { ledgers, .. } in &self.workers {
            add(&mut sum.packets, &ledgers.packets);
            add(&mut sum.messages_in, &ledgers.messages_in);
            add(sum.messages.as_flattened_mut(), ledgers.messages.as_flattened());
            add(&mut sum.sets_in, &ledgers.sets_in);
            add(sum.sets.as_flattened_mut(), ledgers.sets.as_flattened());
            add(&mut sum.records_in, &ledgers.records_in);
            add(sum.records.as_flattened_mut(), ledgers.records.as_flattened());
            add(sum.joins.as_flattened_mut(), ledgers.joins.as_flattened());
            add(&mut sum.routes, &ledgers.routes);
            add(&mut sum.rib, &ledgers.rib);
            add(&mut sum.flow_events, &ledgers.flow_events);
            add(&mut sum.sequence_lost, &ledgers.sequence_lost);
        }
        sum
    }

    /// Rows that workers wrote.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let of = |block: &Block, kind: &Kind| {
            let ends = block.ledgers.records.get(kind.index());
            ends.and_then(|ends| ends.get(RecordEnd::Row.index())).copied().unwrap_or(0)
        };
        self.workers.iter().flat_map(|block| Kind::ALL.iter().map(move |kind| of(block, kind))).sum()
    }

    /// Packets that went with killed processes.
    #[must_use]
    pub fn packets_lost(&self) -> u64 {
        let frames: u64 = self.rings.iter().map(|ring| ring.lost).sum();
        frames + self.sockets.iter().map(|socket| socket.lost).sum::<u64>()
    }

    /// Every link of the chain whose two sides differ. Under load what is on the way differs too; at rest, and
    /// after a drain, nothing does.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut hold = |link, place: String, left: u64, right: u64| {
            if left != right {
                found.push(Difference { link, place, left, right });
            }
        };
        if let Some((kernel, program)) = self.received.as_ref().and_then(Received::difference) {
            hold("received by devices = xdp ends", String::new(), kernel, program);
        }
        let redirected = self.frames.get(PacketEnd::Redirected.index()).copied().unwrap_or(0);
        let rings = self.rings.iter().map(|ring| ring.redirected).sum();
        hold("xdp redirected = by ring", String::new(), redirected, rings);
        for ring in &self.rings {
            let place = format!("{} queue {} worker {}", ring.device, ring.queue, ring.worker);
            let right = ring.received + ring.dropped + ring.lost;
            hold("redirected = received + dropped + lost", place, ring.redirected, right);
        }
        for socket in &self.sockets {
            let place = format!("listener {} worker {}", socket.listen, socket.worker);
            let right = socket.received + socket.dropped + socket.lost;
            hold("selected = received + dropped + lost", place, socket.selected.unwrap_or(right), right);
        }
        for (n, block) in self.workers.iter().enumerate() {
            let rings: u64 =
                block.rings.iter().map(|ring| ring.received + ring.rx_dropped + ring.rx_ring_full).sum();
            let sockets: u64 = block.sockets.iter().map(|socket| socket.received + socket.dropped).sum();
            let ends = block.ledgers.packets.iter().sum();
            hold("worker packets in = ends", format!("worker {n}"), rings + sockets, ends);
            hold("messages, sets, records in = ends", format!("worker {n}"), block.ledgers.unexplained(), 0);
        }
        let rows = self.rows();
        for sink in &self.sinks {
            let right = sink.ends.iter().sum::<u64>().saturating_add_signed(sink.lost);
            hold("rows = sink ends + lost", sink.name.clone(), rows, right);
        }
        found
    }

    /// Sum of all differences: 0 when everything that came in is accounted for.
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        self.differences().iter().map(|difference| difference.left.abs_diff(difference.right)).sum()
    }

    /// Gauges of all workers, summed.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.workers.iter().fold(Gauges::default(), |mut sum, block| {
            sum.panics += block.gauges.panics;
            sum.streams_opened += block.gauges.streams_opened;
            sum.streams_closed += block.gauges.streams_closed;
            sum.streams_refused += block.gauges.streams_refused;
            sum.streams_open += block.gauges.streams_open;
            sum.backlog += block.gauges.backlog;
            sum
        })
    }
}

impl Base {
    /// A dataplane process has ended and its sinks' ledgers are settled: what of its rows reached no end is lost.
    pub fn ended(&mut self, totals: &Totals) {
        let rows = totals.rows();
        let lost = |sink: &SinkTotals| rows.wrapping_sub(sink.ends.iter().sum()).cast_signed();
        self.rows_lost = totals.sinks.iter().map(lost).collect();
    }
}

fn add(sum: &mut [u64], more: &[u64]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.wrapping_add(*more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collector::ledger::Protocol;
    use dataplane::counters::{RingCounters, SocketCounters};

    fn balanced() -> Totals {
        let mut block = Block::default();
        block.ledgers.packets[PacketEnd::Delivered.index()] = 12;
        block.ledgers.packets[PacketEnd::RingFull.index()] = 2;
        block.ledgers.messages_in[Protocol::Ipfix.index()] = 12;
        block.ledgers.messages[Protocol::Ipfix.index()][0] = 12;
        block.ledgers.records_in[Kind::Flow.index()] = 30;
        block.ledgers.records[Kind::Flow.index()][RecordEnd::Row.index()] = 30;
        block.rings = vec![RingCounters { received: 9, rx_ring_full: 2, ..RingCounters::default() }];
        block.sockets = vec![SocketCounters { received: 3, ..SocketCounters::default() }];
        let mut frames = [0; PacketEnd::COUNT];
        frames[PacketEnd::Redirected.index()] = 15;
        let device = |least: u64, most: u64| DeviceTotals { device: "eth0".into(), least, most, held: true };
        Totals {
            received: Some(Received { devices: vec![device(10, 10), device(6, 7)], frames: 17 }),
            frames,
            selections: [0; PacketEnd::COUNT],
            workers: vec![block],
            rings: vec![RingTotals {
                redirected: 15,
                received: 9,
                dropped: 2,
                lost: 4,
                ..RingTotals::default()
            }],
            sockets: vec![SocketTotals { selected: Some(3), received: 3, ..SocketTotals::default() }],
            sinks: vec![SinkTotals { name: "json".into(), ends: [25, 0, 0, 0, 1, 0], lost: 4 }],
        }
    }

    #[test]
    fn a_balanced_chain_has_no_difference() {
        assert_eq!(balanced().differences(), []);
        assert_eq!((balanced().unexplained(), balanced().rows(), balanced().packets_lost()), (0, 30, 4));
    }

    #[test]
    fn a_device_that_does_not_count_exactly_is_not_held() {
        let mut totals = balanced();
        let received = totals.received.as_mut().unwrap();
        received.devices[1].held = false;
        received.frames = 1_000;
        assert_eq!(totals.differences(), []);
        totals.received = None;
        assert_eq!(totals.differences(), []);
    }

    #[test]
    fn what_a_kill_cost_is_named_once() {
        let mut totals = balanced();
        totals.sinks[0].lost = 0;
        assert_eq!(totals.unexplained(), 4);
        let mut base = Base::default();
        base.ended(&totals);
        assert_eq!(base.rows_lost, [4]);
        totals.sinks[0].lost = base.rows_lost[0];
        assert_eq!(totals.unexplained(), 0);
        // A sink that wrote rows which the page did not count yet.
        totals.sinks[0].ends[0] += 9;
        base.ended(&totals);
        assert_eq!(base.rows_lost, [-5]);
    }

    #[test]
    fn every_link_notices_one_unit() {
        let breaks: [fn(&mut Totals); 9] = [
            |t| t.received.as_mut().unwrap().frames += 1,
            |t| t.received.as_mut().unwrap().frames -= 2,
            |t| t.frames[PacketEnd::Redirected.index()] += 1,
            |t| t.rings[0].dropped += 1,
            |t| t.sockets[0].selected = Some(4),
            |t| t.workers[0].sockets[0].received += 1,
            |t| t.workers[0].ledgers.messages_in[0] += 1,
            |t| t.sinks[0].lost += 1,
            |t| t.workers[0].ledgers.packets[PacketEnd::Delivered.index()] -= 1,
        ];
        for (n, spoil) in breaks.into_iter().enumerate() {
            let mut totals = balanced();
            spoil(&mut totals);
            assert_eq!(totals.unexplained(), 1, "break {n}");
        }
    }
}
