//! Whatever frames come, in whatever order workers turn or stand still: every frame has one end with a name, every
//! ledger balances, and every frame of memory comes home.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]
#![expect(clippy::disallowed_macros, reason = "a failed property says what it found")]

use std::net::SocketAddr;

use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{Kind, PacketEnd, RecordEnd};
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{Collector, Drain, Now, Outlet, Settings};
use dataplane::ring::{Ring, replay};
use dataplane::settings::RingSettings;
use dataplane::source::Source;
use lab::exporter::{Router, population};
use lab::frame::Frame;
use proptest::prelude::*;

const SOCKETS: usize = 2;

/// A worker without a thread: one ring, one collector.
struct Station {
    ring: Ring,
    collector: Collector,
    outlet: Outlet,
    drain: Drain,
    now: Now,
}

impl Station {
    fn new(id: u16, ring: Ring, batches: usize) -> Self {
        let elements = vec![(0, 8), (0, 12), (0, 27), (0, 28), (0, 1), (0, 2)];
        let schemas = schemas(&Interest { kinds: u32::MAX, whole_records: true, elements, join: true });
        let limits = BatchLimits { rows: 64, octets: 1 << 16 };
        let (outlet, drain) = Outlet::new(WorkerId(id), &schemas, batches, limits);
        let settings = Settings { ports: vec![(4739, PortProtocol::Netflow)], ..Settings::default() };
        Self { ring, collector: Collector::new(settings, schemas), outlet, drain, now: Now::default() }
    }

    fn turn(&mut self, budget: u32) -> u32 {
        self.now.monotonic_ns += 1_000;
        let Self { ring, collector, outlet, now, .. } = self;
        let given = ring.receive(budget, |input| collector.accept(*now, input, outlet));
        ring.recycle();
        given
    }

    /// Turns until nothing comes and nothing is held.
    fn settle(&mut self) {
        while self.turn(64) > 0 || self.ring.held() > 0 {}
        // Data that waits for a template gives up.
        self.now.monotonic_ns += 1 << 40;
        self.collector.tick(self.now, &mut self.outlet);
        while self.drain.take().is_some() {}
    }

    /// Packets with an end: those the collector was given, and those its ring lost.
    fn ended(&self) -> u64 {
        let lost = self.ring.statistics().unwrap();
        self.collector.ledgers().packets.iter().sum::<u64>() + lost.rx_dropped + lost.rx_ring_full
    }
}

fn frame(router: &Router, payload: &[u8], port: u16) -> Vec<u8> {
    let to = if router.is_ipv6() { "[2001:db8::1]:0" } else { "192.0.2.1:0" };
    let mut to: SocketAddr = to.parse().unwrap();
    to.set_port(port);
    Frame::udp(SocketAddr::new(router.address(), 5000), to, payload).octets()
}

/// Good messages of eight routers, and each of them cut, turned over in one octet, sent elsewhere, or cut into
/// fragments; then noise.
fn packets() -> Vec<Box<[u8]>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for mut router in population(8, 16, 1) {
        for payload in [router.template(), router.flows(10), router.flows(1)] {
            let whole = frame(&router, &payload, 4739);
            for cut in [0, 13, 20, 33, 60, whole.len() - 1] {
                packets.push(whole[..cut.min(whole.len())].to_vec());
            }
            for at in (0..whole.len()).step_by(7) {
                let mut turned = whole.clone();
                turned[at] ^= 0x41;
                packets.push(turned);
            }
            packets.push(frame(&router, &payload, 4740));
            packets.push(frame(&router, &[payload.as_slice(), &[0; 3]].concat(), 4739));
            let to = if router.is_ipv6() { "[2001:db8::1]:4739" } else { "192.0.2.1:4739" };
            let whole_packet =
                Frame::udp(SocketAddr::new(router.address(), 1), to.parse().unwrap(), &payload);
            packets.extend(whole_packet.fragments(7, 64));
            packets.push(whole);
        }
    }
    packets.extend((0..64).map(|length| vec![0x45; length * 3]));
    packets.into_iter().map(Vec::into_boxed_slice).collect()
}

#[derive(Clone, Debug)]
enum Act {
    Offer { socket: usize, packet: usize, times: usize },
    Turn { socket: usize, budget: u32 },
    Drain { socket: usize },
}

fn act(packets: usize) -> impl Strategy<Value = Act> {
    let socket = 0..SOCKETS;
    prop_oneof![
        4 => (socket.clone(), 0..packets, 1..200usize)
            .prop_map(|(socket, packet, times)| Act::Offer { socket, packet, times }),
        3 => (socket.clone(), 1..=64u32).prop_map(|(socket, budget)| Act::Turn { socket, budget }),
        1 => socket.prop_map(|socket| Act::Drain { socket }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_has_one_end_and_comes_home(acts in proptest::collection::vec(act(packets().len()), 1..200)) {
        let packets = packets();
        let total = packets.len();
        // The smallest queue there is: rings overrun, frames run out.
        let settings = RingSettings { ring_frames: 64, spare_frames: 64, ..RingSettings::default() };
        let (replay, rings) = replay::open(packets, SOCKETS as u32, &settings).unwrap();
        let mut stations: Vec<Station> =
            rings.into_iter().zip(0..).map(|(ring, id)| Station::new(id, ring, 2)).collect();
        let mut offered = [0u64; SOCKETS];
        for act in acts {
            match act {
                Act::Offer { socket, packet, times } => {
                    for nth in 0..times {
                        let end = replay.offer(socket, (packet + nth) % total);
                        prop_assert!(matches!(end, Ok(()) | Err(PacketEnd::RingFull | PacketEnd::NoFrame)));
                        offered[socket] += 1;
                    }
                }
                Act::Turn { socket, budget } => {
                    stations[socket].turn(budget);
                }
                Act::Drain { socket } => while stations[socket].drain.take().is_some() {},
            }
        }
        for (station, offered) in stations.iter_mut().zip(offered) {
            station.settle();
            prop_assert_eq!(station.ended(), offered);
            prop_assert_eq!(station.collector.ledgers().unexplained(), 0);
        }
        prop_assert_eq!(replay.away(), 0);
        drop(stations);
        prop_assert_eq!(replay.audit(), Ok(()));
    }
}

#[test]
fn what_routers_count_is_what_comes_out() {
    let mut routers = population(16, 16, 7);
    let mut packets = Vec::new();
    for round in 0..20 {
        for router in &mut routers {
            let payload = if round == 0 { router.template() } else { router.flows(10) };
            packets.push(frame(router, &payload, 4739).into_boxed_slice());
        }
    }
    let count = packets.len();
    let settings = RingSettings { ring_frames: 64, spare_frames: 64, ..RingSettings::default() };
    let (replay, rings) = replay::open(packets, 1, &settings).unwrap();
    let mut station = Station::new(0, rings.into_iter().next().unwrap(), 512);
    for packet in 0..count {
        replay.offer(0, packet).unwrap();
        if packet % 50 == 0 {
            station.turn(64);
        }
    }
    station.settle();
    let made = routers.iter().map(Router::counts).fold((0, 0, 0), |sum, counts| {
        (sum.0 + counts.messages, sum.1 + counts.sets, sum.2 + counts.records)
    });
    let ledgers = station.collector.ledgers();
    assert_eq!(ledgers.packets[PacketEnd::Delivered.index()], made.0);
    assert_eq!(ledgers.messages_in.iter().sum::<u64>(), made.0);
    assert_eq!(ledgers.sets_in.iter().sum::<u64>(), made.1);
    assert_eq!(ledgers.records[Kind::Flow.index()][RecordEnd::Row.index()], made.2);
    assert_eq!((ledgers.unexplained(), station.ended()), (0, count as u64));
    drop(station);
    assert_eq!(replay.audit(), Ok(()));
}
