//! BMP routers over loopback TCP into a real worker: one in order, one that drips, one that is reset in the middle
//! of a message. What each sent is what the ledgers say, and none disturbs another.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{Kind, MessageEnd, Protocol, RecordEnd, RouteAction};
use collector::query::Query;
use collector::schema::TableId;
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{Outlet, Schemas, Settings, sixteen};
use dataplane::counters::{Block, Counters, Layout};
use dataplane::inbox::{Command, Notice};
use dataplane::settings::WorkerSettings;
use dataplane::worker::{Ask, Remains, Running, Start, spawn};
use lab::exporter::Router;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};

const LAYOUT: Layout = Layout { workers: 1, rings: 0, sockets: 0, others: 0 };

struct Bench {
    running: Running,
    counters: Counters,
    to: SocketAddr,
    schemas: Schemas,
    _drain: collector::Drain,
}

impl Bench {
    fn new() -> Self {
        Self::going_on(Remains::default())
    }

    fn going_on(remains: Remains) -> Self {
        let schemas =
            schemas(&Interest { kinds: u32::MAX, whole_records: true, elements: Vec::new(), join: true });
        let limits = BatchLimits { rows: 4096, octets: 1 << 20 };
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 64, limits);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let counters = Counters::map(Counters::file(&LAYOUT).unwrap(), LAYOUT).unwrap();
        let running = spawn(Start {
            id: WorkerId(0),
            core: None,
            settings: WorkerSettings { tick_ns: 1_000_000, ..WorkerSettings::default() },
            collector: Settings { ports: vec![(to.port(), PortProtocol::Bmp)], ..Settings::default() },
            schemas: schemas.clone(),
            outlet,
            rings: Vec::new(),
            datagrams: Vec::new(),
            listeners: vec![listener.into()],
            remains,
            counters: counters.writer(0).unwrap(),
        })
        .unwrap();
        Self { running, counters, to, schemas, _drain: drain }
    }

    /// A connection of the router with this number: 127.0.1.n.
    fn connect(&self, router: u8) -> TcpStream {
        let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&descriptor, &SocketAddr::from((Ipv4Addr::new(127, 0, 1, router), 0))).unwrap();
        connect(&descriptor, &self.to).unwrap();
        sockopt::set_tcp_nodelay(&descriptor, true).unwrap();
        descriptor.into()
    }

    /// Rows of the answer to a question, read slowly through an outlet of two small batches.
    fn ask(&self, query: Query, table: TableId) -> u32 {
        let limits = BatchLimits { rows: 4, octets: 1 << 16 };
        let (outlet, drain) = Outlet::new(WorkerId(0), &self.schemas, 2, limits);
        let done = Arc::new(AtomicBool::new(false));
        let ask = Ask { query, outlet, done: Arc::clone(&done) };
        self.running.inbox.send(Command::Ask(Box::new(ask))).unwrap();
        let mut rows = 0;
        for _ in 0..2000 {
            let complete = done.load(Ordering::Acquire);
            while let Some(batch) = drain.take() {
                assert_eq!(batch.schema.table, table);
                rows += batch.rows;
            }
            if complete {
                return rows;
            }
            wait_ms(1);
        }
        panic!("no answer to {query:?}, {rows} rows so far");
    }

    fn until(&self, what: &str, ready: impl Fn(&Block) -> bool) -> Block {
        for _ in 0..2000 {
            let block = self.counters.read(0).unwrap();
            if ready(&block) {
                return block;
            }
            wait_ms(5);
        }
        panic!("waited for {what}: {:?}", self.counters.read(0).unwrap().gauges);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may wait for a worker")]
fn wait_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn bmp(block: &Block, end: MessageEnd) -> u64 {
    block.ledgers.messages[Protocol::Bmp.index()][end.index()]
}

#[test]
fn each_router_counts_for_itself() {
    let bench = Bench::new();
    let mut routers: Vec<Router> = [0, 2, 4].map(|index| Router::new(index, 40, 5)).into();

    // In order, to the FIN.
    let orderly =
        [routers[0].opening(), routers[0].table(), routers[0].withdraw(3), routers[0].closing()].concat();
    let mut stream = bench.connect(1);
    stream.write_all(&orderly).unwrap();
    drop(stream);

    // An octet at a time, then the rest of it.
    let dripping = [routers[1].opening(), routers[1].table()].concat();
    let mut drip = bench.connect(2);
    for octet in &dripping[..200] {
        drip.write_all(&[*octet]).unwrap();
    }
    drip.write_all(&dripping[200..]).unwrap();

    // Reset behind two whole messages and half of the third.
    let opening = routers[2].opening();
    let table = routers[2].table();
    let mut cut = bench.connect(3);
    cut.write_all(&[opening.as_slice(), &table[..30]].concat()).unwrap();
    bench.until("the opening of the one that is cut", |block| {
        block.gauges.stream_octets == (orderly.len() + dripping.len() + opening.len() + 30) as u64
    });
    sockopt::set_socket_linger(&cut, Some(Duration::ZERO)).unwrap();
    drop(cut);

    let block = bench.until("two ends", |block| block.gauges.streams_closed == 2);
    let whole = routers[0].counts().bmp_messages + routers[1].counts().bmp_messages + 2;
    assert_eq!((block.gauges.streams_opened, block.gauges.streams_open), (3, 1));
    assert_eq!((bmp(&block, MessageEnd::Decoded), bmp(&block, MessageEnd::CutOff)), (whole, 1));
    assert_eq!(block.ledgers.messages_in[Protocol::Bmp.index()], whole + 1);
    let announced = routers[0].counts().announced + routers[1].counts().announced;
    assert_eq!(block.ledgers.routes[RouteAction::Announce.index()], announced);
    assert_eq!(block.ledgers.routes[RouteAction::Withdraw.index()], 1);

    // The one that dripped goes on; stopping closes it.
    let more = routers[1].announce(0..10);
    drip.write_all(&more).unwrap();
    bench.until("one more message", |block| bmp(block, MessageEnd::Decoded) == whole + 1);
    let router = Some(sixteen(Ipv4Addr::new(127, 0, 1, 2).into()));
    assert_eq!(bench.ask(Query::Rib { router, prefix: None }, TableId::Routes), 40);
    assert_eq!(bench.ask(Query::Templates, TableId::Messages), 0);
    // Askers that go away before they have read anything leave room for others.
    for _ in 0..20 {
        let (outlet, _) =
            Outlet::new(WorkerId(0), &bench.schemas, 2, BatchLimits { rows: 4, octets: 1 << 16 });
        let done = Arc::new(AtomicBool::new(false));
        let ask = Ask { query: Query::Rib { router, prefix: None }, outlet, done };
        bench.running.inbox.send(Command::Ask(Box::new(ask))).unwrap();
        wait_ms(2);
    }
    assert!(bench.ask(Query::Peers, TableId::Messages) > 0);
    bench.running.inbox.send(Command::Stop { hand_over: false }).unwrap();
    assert!(bench.running.thread.join().unwrap().streams.is_empty());
    let block = bench.counters.read(0).unwrap();
    assert_eq!(block.gauges.streams_closed, 3);
    assert_eq!(block.ledgers.unexplained(), 0);
    let routes = &block.ledgers.records[Kind::Route.index()];
    assert_eq!(routes[RecordEnd::OutletFull.index()], 0);
}

#[test]
fn a_router_moves_to_the_next_worker_in_the_middle_of_a_message() {
    let mut router = Router::new(0, 40, 5);
    let octets = [router.opening(), router.table()].concat();
    let first = Bench::new();
    let mut stream = first.connect(1);
    let half = octets.len() - 100;
    stream.write_all(&octets[..half]).unwrap();
    first.until("the first part", |block| block.gauges.stream_octets == half as u64);
    first.running.inbox.send(Command::Stop { hand_over: true }).unwrap();
    let remains = first.running.thread.join().unwrap();
    assert_eq!((remains.routers.len(), remains.streams.len()), (1, 1));
    assert!(!remains.streams[0].rest.is_empty());
    let before = first.counters.read(0).unwrap();

    let next = Bench::going_on(remains);
    stream.write_all(&octets[half..]).unwrap();
    stream.write_all(&router.closing()).unwrap();
    drop(stream);
    let after = next.until("the end of the stream", |block| block.gauges.streams_closed == 1);
    assert_eq!(
        bmp(&before, MessageEnd::Decoded) + bmp(&after, MessageEnd::Decoded),
        router.counts().bmp_messages
    );
    for block in [&before, &after] {
        assert_eq!((block.ledgers.unexplained(), bmp(block, MessageEnd::CutOff)), (0, 0));
    }
    // Routes told to the first worker are known to the next one.
    let address = Some(sixteen(Ipv4Addr::new(127, 0, 1, 1).into()));
    assert_eq!(next.ask(Query::Rib { router: address, prefix: None }, TableId::Routes), 40);
    next.running.inbox.send(Command::Stop { hand_over: false }).unwrap();
    next.running.thread.join().unwrap();
}

#[test]
fn a_damaged_router_is_refused_and_its_stream_closed() {
    let mut router = Router::new(0, 40, 5);
    let first = Bench::new();
    let mut stream = first.connect(1);
    stream.write_all(&router.opening()).unwrap();
    first.until("the opening", |block| bmp(block, MessageEnd::Decoded) == 2);
    first.running.inbox.send(Command::Stop { hand_over: true }).unwrap();
    let mut remains = first.running.thread.join().unwrap();
    remains.routers[0].truncate(40);
    let next = Bench::going_on(remains);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    let notices: Vec<Notice> = std::iter::from_fn(|| next.running.inbox.notice()).collect();
    assert!(matches!(notices.first(), Some(Notice::RouterRefused(_))), "{notices:?}");
    next.running.inbox.send(Command::Stop { hand_over: false }).unwrap();
    next.running.thread.join().unwrap();
}

#[test]
fn a_session_whose_socket_was_lost_ends_and_no_name_comes_back() {
    let mut router = Router::new(0, 40, 5);
    let first = Bench::new();
    let mut stream = first.connect(1);
    stream.write_all(&[router.opening(), router.table()].concat()).unwrap();
    first.until("the table", |block| block.ledgers.routes[RouteAction::EndOfRib.index()] == 1);
    first.running.inbox.send(Command::Stop { hand_over: true }).unwrap();
    let mut remains = first.running.thread.join().unwrap();
    let name = remains.streams[0].name;
    assert_eq!(remains.streams[0].router, sixteen(Ipv4Addr::new(127, 0, 1, 1).into()));
    remains.lost = vec![name];
    remains.streams.clear();
    let next = Bench::going_on(remains);
    let mut again = next.connect(1);
    again.write_all(&router.opening()).unwrap();
    let block = next.until("the next session", |block| bmp(block, MessageEnd::Decoded) == 2);
    assert_eq!(
        (block.gauges.streams_opened, block.gauges.streams_closed, block.gauges.streams_open),
        (1, 1, 1)
    );
    // Opened; the one before closed and stale.
    assert!(block.ledgers.records[Kind::Session.index()][RecordEnd::Row.index()] >= 2);
    next.running.inbox.send(Command::Stop { hand_over: true }).unwrap();
    let remains = next.running.thread.join().unwrap();
    assert_ne!(remains.streams[0].name, name);
    assert!(next.counters.read(0).unwrap().ledgers.unexplained() == 0);
}
