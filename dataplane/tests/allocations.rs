//! A worker in steady state allocates nothing: neither for frames of a ring nor for datagrams of a socket, ticks,
//! publishing and counters included.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::net::{SocketAddr, UdpSocket};

use collector::batch::{BatchLimits, WorkerId};
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{Drain, Outlet, Settings};
use dataplane::counters::{Counters, Layout};
use dataplane::datagram::DatagramSocket;
use dataplane::ring::replay::{self, Replay};
use dataplane::settings::{RingSettings, WorkerSettings};
use dataplane::worker::{Remains, Start, Worker};
use lab::exporter::Router;
use lab::frame::Frame;

const LAYOUT: Layout = Layout { workers: 1, rings: 1, sockets: 1, others: 0 };

struct Bench {
    worker: Worker,
    drain: Drain,
    replay: Replay,
    counters: Counters,
    sender: UdpSocket,
    to: SocketAddr,
    payloads: [Vec<u8>; 2],
}

impl Bench {
    fn new() -> Self {
        let mut router = Router::new(0, 16, 3);
        let payloads = [router.template(), router.flows(18)];
        let from = SocketAddr::new(router.address(), 5000);
        let frames = payloads
            .iter()
            .map(|payload| Frame::udp(from, "192.0.2.1:4739".parse().unwrap(), payload).octets().into())
            .collect();
        let settings = RingSettings { ring_frames: 128, spare_frames: 64, ..RingSettings::default() };
        let (replay, rings) = replay::open(frames, 1, &settings).unwrap();
        let interest = Interest {
            kinds: u32::MAX,
            whole_records: false,
            elements: vec![(0, 8), (0, 12), (0, 1), (0, 2)],
            join: true,
        };
        let schemas = schemas(&interest);
        let limits = BatchLimits { rows: 4096, octets: 1 << 20 };
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 8, limits);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let counters = Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap();
        let ports = vec![(4739, PortProtocol::Ipfix), (to.port(), PortProtocol::Ipfix)];
        let (worker, _inbox) = Worker::new(Start {
            id: WorkerId(0),
            core: None,
            // Every step ticks, publishes and writes counters.
            settings: WorkerSettings { tick_ns: 0, publish_ns: 0, ..WorkerSettings::default() },
            collector: Settings { ports, ..Settings::default() },
            schemas,
            outlet,
            rings,
            datagrams: vec![DatagramSocket { place: 0, socket: socket.into() }],
            listeners: Vec::new(),
            remains: Remains::default(),
            counters: counters.writer(0).unwrap(),
        })
        .unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { worker, drain, replay, counters, sender, to, payloads }
    }

    /// 128 packets, half through the ring, half through the socket.
    fn round(&mut self) {
        for packet in 0..64 {
            let packet = usize::from(packet % 16 != 0);
            self.replay.offer(0, packet).unwrap();
            self.sender.send_to(&self.payloads[packet], self.to).unwrap();
        }
        for _ in 0..8 {
            self.worker.step();
        }
    }
}

#[test]
fn a_turn_allocates_nothing() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        bench.round();
        while bench.drain.take().is_some() {}
    }
    let before = bench.counters.read(0).unwrap();
    for _ in 0..20 {
        let counted = allocation_counter::measure(|| bench.round());
        assert_eq!(counted.count_total, 0);
        while bench.drain.take().is_some() {}
    }
    let after = bench.counters.read(0).unwrap();
    assert_eq!(after.rings[0].received - before.rings[0].received, 20 * 64);
    assert_eq!(after.sockets[0].received - before.sockets[0].received, 20 * 64);
    assert_eq!(after.ledgers.unexplained(), 0);
}
