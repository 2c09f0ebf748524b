//! Rings for real: two workers on the queues of a veth, native and generic, frames steered by source. Every
//! frame that XDP redirects is received by the worker of its router or has a named loss at that worker's ring,
//! and a worker that stands still costs its neighbour nothing.
//!
//! Each test has a pair of network namespaces of its own. Needs root, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::batch::{BatchLimits, WorkerId};
use collector::schema::{Schema, TableId};
use collector::settings::PortProtocol;
use collector::{Drain, Outlet, Schemas};
use control::ebpf::{Attachment, LoadSettings, Mode, Programs, attach};
use control::kernel::ask;
use dataplane::counters::{Block, Counters, Layout};
use dataplane::inbox;
use dataplane::ring::{self, Ring};
use dataplane::settings::{Copy, RingSettings, WorkerSettings};
use dataplane::source::Source as _;
use dataplane::worker::{Remains, Running, Start, spawn};
use dataplane_common::map::{PORT_UDP, Port, SlotState, Steering};
use dataplane_common::{PacketEnd, bucket, octets_of, router_hash};
use lab::topology::Topology;

const KEY: [u8; 16] = *b"key of the rings";
const WORKERS: u32 = 2;
/// A veth in generic mode says one less than the queue the frame was sent on (0 for the first): of two queues it
/// would use one.
const QUEUES: u32 = 3;
const PORT: u16 = 4739;
/// Routers of each address family.
const ROUTERS: u8 = 16;
/// The ring of one queue between the two ends of a veth holds 256 frames; what is beyond is lost before XDP.
const BURST: u64 = 64;
const LAYOUT: Layout = Layout { workers: WORKERS as usize, rings: QUEUES as usize, sockets: 1, others: 0 };

/// An IPFIX message without sets (RFC 7011 3.1): version 10, length 16, export time, sequence, domain.
const MESSAGE: [u8; 16] = [0, 10, 0, 16, 0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn router(number: u8, is_ipv6: bool) -> IpAddr {
    if is_ipv6 {
        Ipv6Addr::new(0xfd73, 0, 0, 0, 0, 0, 1, number.into()).into()
    } else {
        Ipv4Addr::new(10, 73, 0, 100 + number).into()
    }
}

fn routers() -> impl Iterator<Item = IpAddr> {
    (0..ROUTERS).flat_map(|number| [router(number, false), router(number, true)])
}

fn here(router: IpAddr) -> SocketAddr {
    let address: IpAddr = if router.is_ipv6() { "fd73::2" } else { "10.73.0.2" }.parse().unwrap();
    SocketAddr::new(address, PORT)
}

fn slot_of(router: IpAddr) -> usize {
    (bucket(router_hash(octets_of(router), KEY)) % WORKERS) as usize
}

/// Runs `test` on a thread of its own in namespace `b`, with routers on `a`. The calling thread stays outside:
/// whoever is inside ends when the namespaces are taken down.
fn in_pair(test: impl FnOnce(&Topology) + Send) {
    let lab = pair();
    let result = std::thread::scope(|scope| {
        let inside = || {
            lab.enter("b").unwrap();
            test(&lab);
        };
        scope.spawn(inside).join()
    });
    drop(lab);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn pair() -> Topology {
    let lab = Topology::pair(QUEUES).expect("vagrant/lab.sh pair (root is needed)");
    for router in routers() {
        let address = format!("{router}/{}", if router.is_ipv6() { 128 } else { 32 });
        let mut add = lab.command("a", "ip");
        add.args(["addr", "add", &address, "dev", "eth0"]);
        if router.is_ipv6() {
            add.arg("nodad");
        }
        done(&mut add);
        let mut back = lab.command("b", "ip");
        back.args(["route", "add", &address, "dev", "eth0"]);
        done(&mut back);
    }
    lab
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// XDP on `eth0`, both queues bound for both workers, all sockets in the XSKMAP.
struct Steered {
    programs: Programs,
    /// By worker, then by queue.
    rings: Vec<Vec<Ring>>,
    /// What the kernel had received just before the program came, and just after.
    opened: [u64; 2],
}

fn steer(mode: Mode, settings: &RingSettings) -> Steered {
    let mut programs =
        Programs::load(&LoadSettings::new(KEY, settings.frame_room_bytes())).expect("load (root is needed)");
    let tables = &mut programs.tables;
    for address in [here(router(0, false)), here(router(0, true))] {
        tables.local_addresses.insert(address.ip()).unwrap();
    }
    tables.ports.set(PORT, Port { transports: PORT_UDP, ..Port::default() }).unwrap();
    let mut table = Steering::EMPTY;
    for (bucket, slot) in table.slots.iter_mut().enumerate() {
        *slot = u8::try_from(bucket % WORKERS as usize).unwrap();
    }
    for state in table.states.iter_mut().take(WORKERS as usize) {
        *state = SlotState::Millrace as u8;
    }
    tables.steering.install(&table).unwrap();
    let device = attach::device_index("eth0").unwrap();
    let mut rings: Vec<Vec<Ring>> = (0..WORKERS).map(|_| Vec::new()).collect();
    for queue in 0..QUEUES {
        let row = programs.tables.rings.row(device, queue).unwrap();
        let opened = ring::open("eth0", queue, WORKERS, settings).unwrap();
        assert_eq!(opened.frames, settings.frames(WORKERS));
        for (slot, mut ring) in (0..).zip(opened.rings) {
            assert_eq!(ring.zero_copy().unwrap(), Some(false), "a veth copies");
            ring.row = row;
            programs.tables.rings.insert(row, slot, ring.descriptor().unwrap()).unwrap();
            rings[slot as usize].push(ring);
        }
    }
    let before = ask::received(device).unwrap();
    let attached = programs.attach("eth0", mode).unwrap();
    let opened = [before, ask::received(device).unwrap()];
    let wanted = if mode == Mode::Native { Attachment::Native } else { Attachment::Generic };
    assert_eq!(attached.attachment, wanted);
    Steered { programs, rings, opened }
}

fn start(worker: usize, rings: Vec<Ring>, counters: &Counters) -> (Running, Drain) {
    let schemas: Schemas = TableId::ALL.map(|table| Arc::new(Schema { table, columns: Box::new([]) }));
    let id = WorkerId(u16::try_from(worker).unwrap());
    let (outlet, drain) = Outlet::new(id, &schemas, 8, BatchLimits { rows: 1024, octets: 1 << 20 });
    let running = spawn(Start {
        id,
        core: Some(worker),
        settings: WorkerSettings { tick_ns: 2_000_000, ..WorkerSettings::default() },
        collector: collector::Settings {
            ports: vec![(PORT, PortProtocol::Ipfix)],
            ..collector::Settings::default()
        },
        schemas,
        outlet,
        rings,
        datagrams: Vec::new(),
        listeners: Vec::new(),
        remains: Remains::default(),
        counters: counters.writer(worker).unwrap(),
    })
    .unwrap();
    (running, drain)
}

fn stop(running: Running) {
    running.inbox.send(inbox::Command::Stop { hand_over: false }).unwrap();
    assert!(running.thread.join().unwrap().streams.is_empty());
}

/// Router number n sends `rounds * (n + 1)` datagrams, from both cores, so that both queues are used. After every
/// burst it waits until XDP has seen all of it and `caught_up` agrees to what was sent, by slot.
fn send(
    lab: &Topology,
    programs: &Programs,
    rounds: u64,
    caught_up: impl Fn(&[u64; WORKERS as usize]) -> bool,
) -> [u64; WORKERS as usize] {
    let mut senders: Vec<(IpAddr, UdpSocket)> = Vec::new();
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                lab.enter("a").unwrap();
                senders = routers().map(|router| (router, UdpSocket::bind((router, 0)).unwrap())).collect();
            })
            .join()
            .unwrap();
    });
    let seen = || programs.tables.counters.frame_ends().unwrap()[PacketEnd::Redirected.index()];
    let before = seen();
    let mut sent = [0; WORKERS as usize];
    let mut in_all = 0;
    for round in 0..rounds {
        let _ = dataplane::cores::pin((round % 2) as usize);
        for (number, (router, socket)) in (1..).zip(&senders) {
            for _ in 0..number {
                while let Err(error) = socket.send_to(&MESSAGE, here(*router)) {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                }
                sent[slot_of(*router)] += 1;
                in_all += 1;
                if in_all % BURST == 0 {
                    wait_for("XDP to see a burst", || seen() - before == in_all);
                    wait_for("workers to catch up", || caught_up(&sent));
                }
            }
        }
    }
    wait_for("XDP to see everything", || seen() - before == in_all);
    sent
}

fn wait_for(what: &str, ready: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !ready() {
        assert!(Instant::now() < until, "waited for {what}");
        std::thread::yield_now();
    }
}

fn received(block: &Block) -> u64 {
    block.rings.iter().map(|ring| ring.received).sum()
}

fn lost(block: &Block) -> u64 {
    block.rings.iter().map(|ring| ring.rx_dropped + ring.rx_ring_full).sum()
}

/// What XDP redirected to each ring of a worker is what the worker received there and what the ring lost.
fn assert_rings_balance(programs: &Programs, worker: usize, block: &Block) {
    for (row, ring) in (0..).zip(&block.rings) {
        let redirected = programs.tables.counters.redirected(row, u32::try_from(worker).unwrap()).unwrap();
        assert_eq!(redirected, ring.received + ring.rx_dropped + ring.rx_ring_full, "row {row}: {ring:?}");
    }
}

/// The kernel's own count of the device's packets is what the program has seen, whatever became of each.
fn assert_the_kernel_received(steered: &Steered) {
    let received = || ask::received(attach::device_index("eth0").unwrap()).unwrap();
    let seen = || steered.programs.tables.counters.frame_ends().unwrap().iter().sum::<u64>();
    let [before, after] = steered.opened;
    assert!(after - before <= 4, "{} packets came in while the program was attached", after - before);
    // A neighbour or router solicitation may be on its way between the two counts.
    wait_for("both counts to agree", || (received() - after..=received() - before).contains(&seen()));
    assert!(seen() > 0);
}

fn every_frame_reaches_its_worker(mode: Mode, lab: &Topology) {
    let settings = RingSettings { copy: Copy::Always, ..RingSettings::default() };
    let mut steered = steer(mode, &settings);
    let counters = Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap();
    let workers: Vec<(Running, Drain)> = std::mem::take(&mut steered.rings)
        .into_iter()
        .enumerate()
        .map(|(worker, rings)| start(worker, rings, &counters))
        .collect();
    let sent = send(lab, &steered.programs, 20, |_| true);
    workers.into_iter().for_each(|(running, _)| stop(running));
    let mut by_row = [0; QUEUES as usize];
    for (worker, &sent) in sent.iter().enumerate() {
        let block = counters.read(worker).unwrap();
        assert!(sent > 0);
        assert_eq!((received(&block), lost(&block)), (sent, 0), "worker {worker}");
        assert_eq!(block.ledgers.packets[PacketEnd::Delivered.index()], sent);
        assert_eq!(block.ledgers.packets.iter().sum::<u64>(), sent);
        assert_rings_balance(&steered.programs, worker, &block);
        for (row, ring) in block.rings.iter().enumerate() {
            by_row[row] += ring.received;
        }
    }
    assert!(
        by_row.iter().filter(|frames| **frames > 0).count() >= 2,
        "several queues carry frames: {by_row:?}"
    );
    assert_the_kernel_received(&steered);
    // Everything is closed: the same queues can be had again at once.
    steered.programs.detach("eth0").unwrap();
    for queue in 0..QUEUES {
        assert_eq!(ring::open("eth0", queue, WORKERS, &settings).unwrap().rings.len(), 2);
    }
}

#[test]
fn every_frame_reaches_its_worker_native() {
    in_pair(|lab| every_frame_reaches_its_worker(Mode::Native, lab));
}

#[test]
fn every_frame_reaches_its_worker_generic() {
    in_pair(|lab| every_frame_reaches_its_worker(Mode::Generic, lab));
}

/// Rings far too small, nobody waits for the workers: what is lost is lost by name, at the ring and in the ledger.
fn what_an_overrun_ring_loses_has_a_name(mode: Mode, lab: &Topology) {
    let settings =
        RingSettings { ring_frames: 64, spare_frames: 64, copy: Copy::Always, ..RingSettings::default() };
    let mut steered = steer(mode, &settings);
    let counters = Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap();
    let workers: Vec<(Running, Drain)> = std::mem::take(&mut steered.rings)
        .into_iter()
        .enumerate()
        .map(|(worker, rings)| start(worker, rings, &counters))
        .collect();
    let sent = send(lab, &steered.programs, 40, |_| true);
    workers.into_iter().for_each(|(running, _)| stop(running));
    for (worker, &sent) in sent.iter().enumerate() {
        let block = counters.read(worker).unwrap();
        assert_eq!(received(&block) + lost(&block), sent, "worker {worker}");
        assert_rings_balance(&steered.programs, worker, &block);
        let ends = &block.ledgers.packets;
        let named = ends[PacketEnd::RingFull.index()] + ends[PacketEnd::NoFrame.index()];
        assert_eq!((ends[PacketEnd::Delivered.index()], named), (received(&block), lost(&block)));
        assert_eq!(ends.iter().sum::<u64>(), sent);
    }
}

#[test]
fn what_an_overrun_ring_loses_has_a_name_native() {
    in_pair(|lab| what_an_overrun_ring_loses_has_a_name(Mode::Native, lab));
}

#[test]
fn what_an_overrun_ring_loses_has_a_name_generic() {
    in_pair(|lab| what_an_overrun_ring_loses_has_a_name(Mode::Generic, lab));
}

fn a_stalled_worker_costs_the_other_nothing(mode: Mode, lab: &Topology) {
    // Small, so that the one that stands still overruns its rings many times over.
    let settings =
        RingSettings { ring_frames: 128, spare_frames: 512, copy: Copy::Always, ..RingSettings::default() };
    let mut steered = steer(mode, &settings);
    let counters = Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap();
    let mut rings = std::mem::take(&mut steered.rings).into_iter();
    let mut stalled = rings.next().unwrap();
    let (running, _drain) = start(1, rings.next().unwrap(), &counters);
    let received_by_one = || received(&counters.read(1).unwrap());
    let sent = send(lab, &steered.programs, 20, |sent| received_by_one() == sent[1]);
    stop(running);
    let block = counters.read(1).unwrap();
    assert_eq!((received(&block), lost(&block)), (sent[1], 0));
    assert_eq!(block.ledgers.packets[PacketEnd::Delivered.index()], sent[1]);
    assert_rings_balance(&steered.programs, 1, &block);
    // The one that stood still finds what its rings could hold; the rest has a name.
    let (mut found, mut named, mut full) = (0, 0, 0);
    for (row, ring) in (0..).zip(&mut stalled) {
        while ring.receive(64, |_| 0) > 0 {
            ring.recycle();
        }
        let told = ring.statistics().unwrap();
        let redirected = steered.programs.tables.counters.redirected(row, 0).unwrap();
        assert_eq!((ring.received(), told.rx_dropped), (redirected.min(128), 0), "{told:?}");
        found += ring.received();
        named += told.rx_ring_full;
        full += u32::from(told.rx_ring_full > 0);
    }
    assert!(full >= 2, "several rings were overrun");
    assert_eq!(found + named, sent[0]);
}

#[test]
fn a_stalled_worker_costs_the_other_nothing_native() {
    in_pair(|lab| a_stalled_worker_costs_the_other_nothing(Mode::Native, lab));
}

#[test]
fn a_stalled_worker_costs_the_other_nothing_generic() {
    in_pair(|lab| a_stalled_worker_costs_the_other_nothing(Mode::Generic, lab));
}

#[test]
fn a_queue_that_cannot_be_had_is_named() {
    in_pair(|_| {
        let settings = RingSettings { rebind_ms: 100, ..RingSettings::default() };
        let first = ring::open("eth0", 0, WORKERS, &settings).unwrap();
        let busy = ring::open("eth0", 0, WORKERS, &settings).unwrap_err().to_string();
        assert!(busy.starts_with("AF_XDP socket on eth0 queue 0: ") && busy.contains("busy"), "{busy}");
        drop(first);
        // The kernel lets go of a queue some time after its sockets are closed: that is waited for.
        let waits = RingSettings { rebind_ms: 2000, ..settings };
        assert_eq!(ring::open("eth0", 0, WORKERS, &waits).unwrap().rings.len(), 2);
        for (device, queue) in [("eth0", 99), ("none0", 0)] {
            let none = ring::open(device, queue, 1, &settings).unwrap_err().to_string();
            assert!(none.starts_with(&format!("AF_XDP socket on {device} queue {queue}: ")), "{none}");
        }
    });
}
