//! A worker over a replay: what a panic leaves, what a stalled neighbour costs, how it stops.

use std::net::UdpSocket;
use std::sync::Arc;

use collector::batch::{BatchLimits, WorkerId};
use collector::schema::{Schema, TableId};
use collector::settings::PortProtocol;
use collector::{Drain, Schemas};

use super::*;
use crate::counters::{Block, Counters, Layout};
use crate::datagram::DatagramSocket;
use crate::ring::replay::{self, Replay};
use crate::settings::RingSettings;

const LAYOUT: Layout = Layout { workers: 2, rings: 1, sockets: 2, others: 0 };

fn schemas() -> Schemas {
    TableId::ALL.map(|table| Arc::new(Schema { table, columns: Box::new([]) }))
}

fn start(id: u16, rings: Vec<Ring>, counters: &Counters) -> (Start, Drain) {
    let schemas = schemas();
    let (outlet, drain) = Outlet::new(WorkerId(id), &schemas, 4, BatchLimits { rows: 64, octets: 1 << 16 });
    let collector =
        collector::Settings { ports: vec![(4739, PortProtocol::Ipfix)], ..collector::Settings::default() };
    let start = Start {
        id: WorkerId(id),
        core: None,
        settings: WorkerSettings { tick_ns: 1_000_000, ..WorkerSettings::default() },
        collector,
        schemas,
        outlet,
        rings,
        datagrams: Vec::new(),
        listeners: Vec::new(),
        remains: Remains::default(),
        counters: counters.writer(id.into()).unwrap(),
    };
    (start, drain)
}

fn worker(start: Start) -> (Worker, Inbox) {
    Worker::new(start).unwrap()
}

fn counters() -> Counters {
    Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap()
}

/// Small rings, no spare beyond what the settings demand.
fn queue(packets: &[&[u8]]) -> (Replay, Vec<Ring>) {
    let settings = RingSettings { ring_frames: 128, spare_frames: 64, ..RingSettings::default() };
    replay::open(packets.iter().map(|&packet| packet.into()).collect(), 2, &settings).unwrap()
}

fn packets(block: &Block) -> u64 {
    block.ledgers.packets.iter().sum()
}

/// Steps until a step gives nothing, then writes the counters.
fn settle(worker: &mut Worker) {
    loop {
        worker.step();
        if worker.given() == 0 {
            break;
        }
    }
    let now = clock();
    worker.tick_safely(now);
}

#[test]
fn a_panic_costs_one_packet_and_the_other_worker_nothing() {
    let (replay, rings) = queue(&[b"any", b"poison"]);
    let counters = counters();
    let mut rings = rings.into_iter();
    let (start0, _drain0) = start(0, vec![rings.next().unwrap()], &counters);
    let (start1, _drain1) = start(1, vec![rings.next().unwrap()], &counters);
    let ((mut first, inbox), (mut second, _)) = (worker(start0), worker(start1));
    first.poison = Some(b"poison".to_vec());
    for n in 0..100 {
        replay.offer(0, usize::from(n % 10 == 5)).unwrap();
        replay.offer(1, 1).unwrap();
    }
    settle(&mut first);
    settle(&mut second);
    let (one, two) = (counters.read(0).unwrap(), counters.read(1).unwrap());
    assert_eq!(one.ledgers.packets[PacketEnd::WorkerPanic.index()], 10);
    assert_eq!((packets(&one), one.rings[0].received, one.gauges.panics), (100, 100, 10));
    assert_eq!(one.ledgers.unexplained(), 0);
    assert_eq!((packets(&two), two.rings[0].received, two.gauges.panics), (100, 100, 0));
    let panicked = std::iter::from_fn(|| inbox.notice()).filter(|n| matches!(n, Notice::Panicked)).count();
    assert_eq!(panicked, 1);
    drop((first, second));
    assert_eq!(replay.audit(), Ok(()));
}

#[test]
fn a_worker_panicking_all_the_time_takes_nothing_from_one_under_load() {
    let (replay, rings) = queue(&[b"any", b"poison"]);
    let counters = counters();
    let mut drains = Vec::new();
    let running = rings.into_iter().zip(0..).map(|(ring, id)| {
        let (start, drain) = start(id, vec![ring], &counters);
        drains.push(drain);
        let (inboxes, inbox) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (mut worker, inbox) = Worker::new(start).unwrap();
            worker.poison = (id == 0).then(|| b"poison".to_vec());
            inboxes.send(inbox).unwrap();
            worker.run()
        });
        Running { inbox: inbox.recv().unwrap(), thread }
    });
    let running: Vec<Running> = running.collect();
    let (mut offered, mut lost) = (0u64, 0u64);
    for n in 0..20_000 {
        // Every tenth frame of the first worker kills it; it may lose frames, by name.
        lost += u64::from(replay.offer(0, usize::from(n % 10 == 0)).is_err());
        offered += 1;
        while replay.offer(1, 1) == Err(PacketEnd::RingFull) {
            // The second worker has not had its turn on a core yet: this frame was not sent.
            offered += 1;
            std::thread::yield_now();
        }
    }
    for running in running {
        running.inbox.send(Command::Stop { hand_over: false }).unwrap();
        running.thread.join().unwrap();
    }
    let (one, two) = (counters.read(0).unwrap(), counters.read(1).unwrap());
    assert!(one.gauges.panics > 0);
    assert_eq!(one.ledgers.packets[PacketEnd::WorkerPanic.index()], one.gauges.panics);
    assert_eq!((packets(&one), one.rings[0].rx_ring_full), (20_000, lost));
    assert_eq!((two.rings[0].received, two.gauges.panics), (20_000, 0));
    assert_eq!(packets(&two), offered);
    assert_eq!(two.ledgers.packets[PacketEnd::NoFrame.index()], 0);
    assert_eq!(replay.audit(), Ok(()));
}

#[test]
fn a_stalled_worker_takes_nothing_from_its_neighbour() {
    let (replay, rings) = queue(&[b"any"]);
    let counters = counters();
    let mut rings = rings.into_iter();
    let (start0, _drain0) = start(0, vec![rings.next().unwrap()], &counters);
    let (start1, _drain1) = start(1, vec![rings.next().unwrap()], &counters);
    let ((mut stalled, _), (mut turning, _)) = (worker(start0), worker(start1));
    let mut lost = 0;
    for _ in 0..10_000 {
        lost += u64::from(replay.offer(0, 0).is_err());
        replay.offer(1, 0).unwrap();
        turning.step();
    }
    settle(&mut turning);
    let block = counters.read(1).unwrap();
    assert_eq!((block.rings[0].received, packets(&block)), (10_000, 10_000));
    assert_eq!(lost, 10_000 - 128);
    // When it goes on, its losses have a name and the sum is what was sent.
    settle(&mut stalled);
    let block = counters.read(0).unwrap();
    assert_eq!(block.ledgers.packets[PacketEnd::RingFull.index()], lost);
    assert_eq!(packets(&block), 10_000);
    drop((stalled, turning));
    assert_eq!(replay.audit(), Ok(()));
}

#[test]
fn a_thread_serves_sockets_and_rings_until_it_is_stopped() {
    let (replay, rings) = queue(&[b"any"]);
    let counters = counters();
    let (mut start, _drain) = start(0, rings, &counters);
    // Two rings of one worker: both in row 0 would share a counter, so the second stays unused.
    start.rings.truncate(1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap();
    start.datagrams = vec![DatagramSocket { place: 0, socket: socket.into() }];
    let running = spawn(start).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..50 {
        sender.send_to(b"octets", to).unwrap();
        replay.offer(0, 0).unwrap();
    }
    running.inbox.send(Command::Drain).unwrap();
    let mut notices = Vec::new();
    for _ in 0..5000 {
        notices.extend(running.inbox.notice());
        if matches!(notices.last(), Some(Notice::Drained)) {
            break;
        }
        std::thread::yield_now();
    }
    running.inbox.send(Command::Stop { hand_over: false }).unwrap();
    assert!(running.thread.join().unwrap().streams.is_empty());
    let block = counters.read(0).unwrap();
    assert_eq!((block.sockets[0].received, block.rings[0].received, packets(&block)), (50, 50, 100));
    assert!(block.gauges.busy_ns > 0 && block.gauges.busy_turns > 0);
    assert_eq!(replay.audit(), Ok(()));
}

#[test]
fn a_full_socket_is_a_counted_drop_also_for_the_next_worker() {
    let counters = counters();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let small = WorkerSettings { socket_buffer_bytes: 0, ..WorkerSettings::default() };
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    for round in 1..=2u64 {
        // Half of the drops come while no worker has the socket.
        for _ in 0..100 {
            sender.send_to(&[0; 1000], to).unwrap();
        }
        let (mut start, _drain) = start(0, Vec::new(), &counters);
        start.settings = small;
        start.datagrams = vec![DatagramSocket { place: 1, socket: socket.try_clone().unwrap().into() }];
        let (mut worker, _) = worker(start);
        settle(&mut worker);
        for _ in 0..100 {
            sender.send_to(&[0; 1000], to).unwrap();
        }
        settle(&mut worker);
        let block = counters.read(0).unwrap();
        let full = block.ledgers.packets[PacketEnd::SocketFull.index()];
        assert_eq!((full, block.sockets[0].received), (block.sockets[1].dropped, 0));
        assert!(full > 100 * round);
        assert_eq!(packets(&block), 200 * round);
    }
}
