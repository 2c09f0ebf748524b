//! A dataplane process that makes way for the next one: sessions of routers stay open in the middle of a message,
//! what they told is known, and every ledger balances. A reload does so when it must; one that cannot be leaves all
//! as it was. A crash closes the sessions at once.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lab::exporter::Router;
use lab::topology::Topology;
use running::{Instance, Until, inside, ip, signal};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustix::process::Signal;
use serde_json::Value;

/// Routes that each router tells.
const ROUTES: u32 = 40;

const CONFIG: &str = "mode = \"native\"\nworkers = [0, 1]\ndevices = [\"eth0\"]\n\
    [metrics]\nlisten = \"127.0.0.1:9810\"\n\
    [steering]\nhash_key = \"00000000000000000000000000000001\"\n\
    [[listen]]\nprotocol = \"netflow\"\naddress = \"::\"\nport = 2055\n\
    [[listen]]\nprotocol = \"bmp\"\naddress = \"::\"\nport = 11019\n\
    [[sink]]\ntype = \"json\"\npath = \"OUT\"\n";

/// A router behind `b`: its BMP session and its flow exports.
struct Session {
    router: Router,
    stream: TcpStream,
    flows: UdpSocket,
    /// Octets of BMP not sent yet.
    rest: Vec<u8>,
}

impl Session {
    /// Connected, with all but the last 100 octets of its table sent: the last message hangs in the middle.
    fn begin(topology: &Topology, index: u32) -> Self {
        let mut router = Router::new(index, ROUTES, 5);
        let octets = [router.opening(), router.table()].concat();
        let (stream, flows) = inside(topology, "b", || {
            let stream = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            bind(&stream, &SocketAddr::new(router.address(), 0)).unwrap();
            connect(&stream, &SocketAddr::from((Ipv4Addr::new(10, 73, 0, 1), 11019))).unwrap();
            sockopt::set_tcp_nodelay(&stream, true).unwrap();
            (TcpStream::from(stream), UdpSocket::bind((router.address(), 0)).unwrap())
        });
        flows.send_to(&router.template(), "10.73.0.1:2055").unwrap();
        let mut session = Self { router, stream, flows, rest: octets };
        session.send(session.rest.len() - 100);
        session
    }

    fn send(&mut self, octets: usize) {
        self.stream.write_all(&self.rest[..octets]).unwrap();
        self.rest.drain(..octets);
    }

    fn export(&mut self, flows: u16) {
        self.flows.send_to(&self.router.flows(flows), "10.73.0.1:2055").unwrap();
    }

    /// What the router sees of our end.
    fn is_open(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let read = self.stream.read(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

fn raise(indices: &[u32]) -> Topology {
    let topology = Topology::pair(2).unwrap();
    for index in indices {
        let address = Router::new(*index, ROUTES, 5).address();
        ip(&topology, "b", &format!("addr add {address}/32 dev eth0"));
        ip(&topology, "a", &format!("route add {address}/32 dev eth0"));
    }
    topology
}

fn number(counters: &Value, path: &str) -> u64 {
    counters.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// A file's text, in the place of the one before.
fn configure(instance: &Instance, change: impl Fn(String) -> String) {
    let file = instance.directory().join("millrace.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, change(text)).unwrap();
}

fn until(instance: &Instance, what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "waited for {what}: {}\n{}", instance.counters(), instance.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Tells the keeper to read the file again, and waits for the dataplane process that follows.
fn reload(instance: &Instance) {
    let old = instance.part("dataplane");
    signal(instance.keeper(), Signal::HUP);
    until(instance, "the next dataplane process", || {
        instance.part("dataplane").is_some_and(|new| Some(new) != old)
            && instance.workers().iter().all(|worker| worker["state"] == "running")
    });
}

/// Rows of all completed files.
fn rows(instance: &Instance) -> Vec<Value> {
    let files = std::fs::read_dir(instance.directory().join("out")).unwrap().flatten();
    let complete = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "jsonl"));
    let texts: Vec<String> = complete.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect();
    texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn metric(topology: &Topology, name: &str) -> String {
    inside(topology, "a", || {
        let mut stream = TcpStream::connect("127.0.0.1:9810").unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or("none").to_owned()
    })
}

const RELOADED: &str = "millrace_config_last_reload_successful";

/// Routers on both workers, each cut in the middle of a message; the file changes what only a new dataplane process
/// can do, twice. All sessions live on, and flows are joined at once with what was told two processes ago.
#[test]
fn sessions_live_through_planned_restarts() {
    let indices = [0, 2, 4, 6];
    let topology = raise(&indices);
    let mut instance = Instance::start(&topology, "a", CONFIG);
    let mut sessions: Vec<Session> = indices.iter().map(|index| Session::begin(&topology, *index)).collect();
    let told = |counters: &Value| number(counters, "/routes/announce");
    let before = instance.until(|counters| number(counters, "/streams/open") == 4 && told(counters) >= 120);

    configure(&instance, |text| text + "[bmp]\nstale_routes_s = 7\n");
    reload(&instance);
    assert_eq!(told(&instance.counters()), told(&before));
    for session in &mut sessions {
        session.send(session.rest.len());
    }
    let all = u64::from(ROUTES) * 4;
    instance.until(|counters| told(counters) == all && number(counters, "/routes/endOfRib") == 4);
    for session in &mut sessions {
        session.export(8);
        session.rest = session.router.withdraw(0);
        session.send(20);
    }
    instance.until(|counters| number(counters, "/records/flow/row") == 32);

    configure(&instance, |text| text.replace("stale_routes_s = 7", "stale_routes_s = 9"));
    reload(&instance);
    for session in &mut sessions {
        session.export(8);
    }
    instance.until(|counters| number(counters, "/records/flow/row") == 64);
    for session in &mut sessions {
        session.send(session.rest.len());
    }
    let counters =
        instance.until(|counters| number(counters, "/routes/withdraw") == 4 && counters["unexplained"] == 0);
    assert_eq!(counters["differences"], serde_json::json!([]));
    assert_eq!((told(&counters), number(&counters, "/packets/lost_in_crash")), (all, 0), "{counters}");
    assert_eq!((number(&counters, "/streams/opened"), number(&counters, "/streams/closed")), (4, 0));
    for session in &mut sessions {
        assert!(session.is_open());
    }
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["differences"], serde_json::json!([]), "{}", ended.totals);

    let rows = rows(&instance);
    assert_eq!(rows.len() as u64, number(&ended.totals, "/rows"));
    let of = |kind: &str| rows.iter().filter(|row| row["kind"] == kind).collect::<Vec<_>>();
    let announced: Vec<(&Value, &Value)> = of("route")
        .into_iter()
        .filter(|row| row["action"] == "announce")
        .map(|row| (&row["exporter"], &row["prefix"]))
        .collect();
    assert_eq!(announced.len() as u64, u64::from(ROUTES) * 4);
    for (n, route) in announced.iter().enumerate() {
        assert!(!announced[..n].contains(route), "twice: {route:?}");
    }
    // One session each, from its opening to the stop; no message of it is missing or there twice.
    for session in &sessions {
        let exporter = session.router.address().to_string();
        let of_session: Vec<&Value> =
            rows.iter().filter(|row| row["exporter"] == exporter && row["seq"].is_u64()).collect();
        let mut numbers: Vec<u64> = of_session.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        let first = numbers[0];
        assert!(numbers.iter().copied().eq(first..first + numbers.len() as u64), "{numbers:?}");
        assert!(of_session.iter().all(|row| row["session"] == of_session[0]["session"]));
        // Completed files come in any order.
        let mut states: Vec<&str> = of("session")
            .iter()
            .filter(|row| row["exporter"] == exporter)
            .map(|row| row["state"].as_str().unwrap())
            .collect();
        states.sort_unstable();
        assert_eq!(states, ["closed", "open", "stale"]);
    }
    let flows = of("flow");
    let joined = flows.iter().filter(|row| row["join"]["destination"]["prefix"].is_string()).count();
    let routed: u64 = sessions.iter().map(|session| session.router.counts().routed).sum();
    assert!(routed > 0);
    assert_eq!((flows.len(), joined as u64), (64, routed), "{:?}", flows.first());
}

/// Twelve routers that export all the time while the dataplane makes way three times, once for one worker more: every
/// datagram has its end, none was lost in rings or sockets, and wherever a router went, its templates were
/// there before its data.
fn restarts_under_load(mode: &str) {
    let indices: Vec<u32> = (0..16).filter(|index| !Router::new(*index, 1, 7).is_ipv6()).collect();
    let topology = raise(&indices);
    let mut instance =
        Instance::start(&topology, "a", &CONFIG.replace("native", mode).replace("[0, 1]", "[0]"));
    let mut session = Session::begin(&topology, 0);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(1));
    std::thread::scope(|threads| {
        let _sending = Until(&stop);
        threads.spawn(|| {
            inside(&topology, "b", || {
                let mut routers: Vec<_> = indices.iter().map(|index| Router::new(*index, 1, 7)).collect();
                let sockets: Vec<UdpSocket> =
                    routers.iter().map(|router| UdpSocket::bind((router.address(), 0)).unwrap()).collect();
                let mut round = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    for (router, socket) in routers.iter_mut().zip(&sockets) {
                        let octets = if round == 0 { router.template() } else { router.flows(4) };
                        socket.send_to(&octets, "10.73.0.1:2055").unwrap();
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                    round += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        });
        for (stale, workers) in ["[1]", "[0, 1]", "[1, 0]"].into_iter().enumerate() {
            configure(&instance, |text| {
                let (_, rest) = text.split_once("devices").unwrap();
                let rest = rest.split("[bmp]").next().unwrap();
                let (before, _) = text.split_once("workers").unwrap();
                format!("{before}workers = {workers}\ndevices{rest}[bmp]\nstale_routes_s = {stale}\n")
            });
            let before = number(&instance.counters(), "/packets/delivered");
            reload(&instance);
            instance.until(|counters| number(counters, "/packets/delivered") > before + 500);
        }
    });
    let sent = sent.into_inner();
    let counters = instance
        .until(|counters| number(counters, "/packets/delivered") >= sent && counters["unexplained"] == 0);
    let ends: u64 = counters["packets"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!((ends, number(&counters, "/packets/delivered")), (sent, sent), "{counters}");
    let templates = indices.len() as u64 + 1;
    // A sink that has no core drops by name; what the collector knew is seen by what was decoded.
    let records = |end: &str| number(&counters, &format!("/records/flow/{end}"));
    assert_eq!(records("row") + records("outlet_full"), 4 * (sent - templates), "{counters}");
    // Both workers have some of the routers.
    let flows = |n: usize| instance.workers()[n]["flows"].as_u64().unwrap();
    assert!(flows(0) > 0 && flows(1) > 0, "{:?}", instance.workers());
    session.send(session.rest.len());
    instance.until(|counters| number(counters, "/routes/endOfRib") == 1);
    assert!(session.is_open());
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["differences"], serde_json::json!([]), "{}", ended.totals);
    assert_eq!(rows(&instance).len() as u64, number(&ended.totals, "/rows"));
}

#[test]
fn restarts_under_load_lose_nothing_in_native_mode() {
    restarts_under_load("native");
}

#[test]
fn restarts_under_load_lose_nothing_in_generic_mode() {
    restarts_under_load("generic");
}

#[test]
fn restarts_under_load_lose_nothing_in_socket_mode() {
    restarts_under_load("socket");
}

/// A port more and a sink less, then the port gone again: the session does not notice, a set that waits for its
/// template waits on, and what a listener that is gone had counted still counts.
#[test]
fn a_reload_opens_and_closes_ports_and_no_session() {
    let topology = raise(&[0, 2]);
    let mut instance = Instance::start(&topology, "a", CONFIG);
    let mut session = Session::begin(&topology, 0);
    let mut early = Session::begin(&topology, 2);
    instance.until(|counters| {
        number(counters, "/streams/open") == 2 && number(counters, "/packets/delivered") == 2
    });
    // A template that only its router knows yet.
    let mut waiting = Router::new(2, ROUTES, 6);
    let template = waiting.template();
    let flows = early.flows.try_clone().unwrap();
    let send = |octets: &[u8], port: u16| flows.send_to(octets, ("10.73.0.1", port)).unwrap();
    let mut other = waiting.flows(3);
    // Domain 9 (RFC 7011 3.1), which has told no template.
    other[12..16].copy_from_slice(&9_u32.to_be_bytes());
    send(&other, 2055);
    instance.until(|counters| number(counters, "/sets/ipfix/waiting") == 1);

    let more = "[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n[[sink]]\ntype = \"null\"\n";
    configure(&instance, |text| text + more);
    reload(&instance);
    assert_eq!(metric(&topology, RELOADED), "1");
    let mut told = template.clone();
    told[12..16].copy_from_slice(&9_u32.to_be_bytes());
    // By the new port: another socket, the same exporter.
    send(&told, 4739);
    let counters =
        instance.until(|counters| number(counters, "/records/flow/row") == 3 && counters["unexplained"] == 0);
    assert_eq!(number(&counters, "/sets/ipfix/waiting"), 0, "{counters}");
    assert_eq!(number(&counters, "/sets/ipfix/decoded"), 4, "{counters}");
    assert!(number(&counters, "/sinks/null/not_wanted") > 0, "{counters}");

    configure(&instance, |text| text.replace(more, ""));
    reload(&instance);
    send(&told, 4739);
    session.send(session.rest.len());
    early.send(early.rest.len());
    session.export(5);
    let counters = instance.until(|counters| {
        number(counters, "/routes/endOfRib") == 2
            && number(counters, "/records/flow/row") == 8
            && counters["unexplained"] == 0
    });
    assert_eq!(counters["sinks"]["null"], Value::Null);
    assert_eq!((number(&counters, "/streams/opened"), number(&counters, "/streams/closed")), (2, 0));
    // Nobody listens there now: the datagram is the kernel's, which knows no such port.
    assert_eq!(number(&counters, "/packets/delivered"), 5, "{counters}");
    assert!(session.is_open() && early.is_open());
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["differences"], serde_json::json!([]), "{}", ended.totals);
    assert_eq!(rows(&instance).len() as u64, number(&ended.totals, "/rows"));
}

/// Three files that cannot be: one is no configuration, one would need a start, with one the next dataplane process
/// cannot begin. Each is one line, and all is as it was.
#[test]
fn a_reload_that_cannot_be_leaves_everything_as_it_was() {
    let topology = raise(&[0]);
    let mut instance = Instance::start(&topology, "a", &CONFIG.replace("[0, 1]", "[0]"));
    let mut session = Session::begin(&topology, 0);
    instance.until(|counters| number(counters, "/streams/open") == 1);
    let first = instance.part("dataplane");
    let good = std::fs::read_to_string(instance.directory().join("millrace.toml")).unwrap();
    let lines = |instance: &Instance| instance.log().matches("the configuration stays as it was").count();
    let file = instance.directory().join("file");
    std::fs::write(&file, "").unwrap();
    let elsewhere = format!("[[sink]]\ntype = \"json\"\npath = \"{}/out\"\n", file.display());
    let bad = [
        (good.replace("port = 2055", "port = 0"), "key `listen[0].port`, value `0`: legal is 1 to 65535"),
        (good.replace("native", "generic"), "key `mode`: only a start can change it"),
        (format!("{}{elsewhere}", good.replace("[0]", "[0, 1]")), "Not a directory"),
    ];
    for (n, (text, why)) in bad.iter().enumerate() {
        configure(&instance, |_| text.clone());
        signal(instance.keeper(), Signal::HUP);
        until(&instance, why, || lines(&instance) == n + 1);
        let line = instance.log().lines().rfind(|line| line.contains("stays as it was")).map(str::to_owned);
        assert!(line.as_ref().unwrap().contains(why), "{line:?}");
        assert_eq!(metric(&topology, RELOADED), "0");
    }
    until(&instance, "a dataplane process", || {
        instance.part("dataplane").is_some_and(|new| Some(new) != first)
            && instance.workers().iter().all(|worker| worker["state"] == "running")
    });
    session.send(session.rest.len());
    session.export(6);
    let counters = instance.until(|counters| {
        number(counters, "/routes/endOfRib") == 1
            && number(counters, "/records/flow/row") == 6
            && counters["unexplained"] == 0
    });
    assert_eq!((number(&counters, "/streams/opened"), number(&counters, "/streams/closed")), (1, 0));
    assert!(session.is_open());

    // The file is mended: what it changes concerns control alone, so no process makes way.
    let running = instance.part("dataplane");
    configure(&instance, |_| good.clone() + "[process]\nrestart_max_ms = 500\n");
    signal(instance.keeper(), Signal::HUP);
    until(&instance, "a good reload", || metric(&topology, RELOADED) == "1");
    assert_eq!(instance.part("dataplane"), running);
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["differences"], serde_json::json!([]), "{}", ended.totals);
}

/// Octets that a dead process had read are nowhere else: its sessions end at once, so that routers tell all again.
#[test]
fn a_crash_closes_the_sessions_at_once_and_the_next_ones_are_whole() {
    let topology = raise(&[0]);
    let mut instance = Instance::start(&topology, "a", CONFIG);
    let mut cut = Session::begin(&topology, 0);
    instance.until(|counters| number(counters, "/streams/open") == 1);
    let old = instance.part("dataplane").unwrap();
    signal(old, Signal::KILL);
    // The router hears of it from the kernel: nobody else holds the stream.
    cut.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let heard = cut.stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(heard, Ok(0) | Err(ErrorKind::ConnectionReset)), "{heard:?}");
    until(&instance, "the next dataplane process", || {
        instance.part("dataplane").is_some_and(|new| new != old)
            && instance.workers().iter().all(|worker| worker["state"] == "running")
    });
    let mut again = Session::begin(&topology, 0);
    again.send(again.rest.len());
    let all = u64::from(ROUTES);
    instance.until(|counters| {
        number(counters, "/routes/endOfRib") == 1 && number(counters, "/routes/announce") >= all
    });
    again.export(8);
    let counters =
        instance.until(|counters| number(counters, "/records/flow/row") == 8 && counters["unexplained"] == 0);
    let routed = again.router.counts().routed;
    assert!(routed > 0);
    assert_eq!(number(&counters, "/join/destination/found"), routed, "{counters}");
    assert!(again.is_open());
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["differences"], serde_json::json!([]), "{}", ended.totals);
}

/// More streams than descriptors go beside one message, on one worker and without XDP.
#[test]
fn hundreds_of_streams_are_handed_over() {
    const STREAMS: u8 = 200;
    let topology = Topology::pair(1).unwrap();
    let config = CONFIG.replace("native", "socket").replace("[0, 1]", "[0]");
    let mut instance = Instance::start(&topology, "a", &config);
    let mut routers: Vec<(Router, TcpStream)> = inside(&topology, "a", || {
        let connect = |n: u8| {
            let stream = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            bind(&stream, &SocketAddr::from((Ipv4Addr::new(127, 0, 1, n), 0))).unwrap();
            connect(&stream, &SocketAddr::from((Ipv4Addr::LOCALHOST, 11019))).unwrap();
            (Router::new(u32::from(n) * 4, ROUTES, 5), TcpStream::from(stream))
        };
        (1..=STREAMS).map(connect).collect()
    });
    let mut rests = Vec::new();
    for (n, (router, stream)) in routers.iter_mut().enumerate() {
        let octets = [router.opening(), router.table()].concat();
        let (now, later) = octets.split_at(octets.len() - 3 * n);
        stream.write_all(now).unwrap();
        rests.push(later.to_vec());
    }
    let open = |counters: &Value| number(counters, "/streams/open") == u64::from(STREAMS);
    instance.until(open);
    configure(&instance, |text| text + "[bmp]\nstale_routes_s = 7\n");
    reload(&instance);
    for ((_, stream), rest) in routers.iter_mut().zip(rests) {
        stream.write_all(&rest).unwrap();
    }
    let all = u64::from(ROUTES) * u64::from(STREAMS);
    let counters = instance.until(|counters| {
        open(counters) && number(counters, "/routes/announce") == all && counters["unexplained"] == 0
    });
    assert_eq!(number(&counters, "/routes/endOfRib"), u64::from(STREAMS));
    assert_eq!((number(&counters, "/streams/opened"), number(&counters, "/streams/closed")), (200, 0));
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["differences"], serde_json::json!([]), "{}", ended.totals);
}

/// A process that stands still cannot hand over: it is killed, and what that costs is what a crash costs.
#[test]
fn a_process_that_does_not_hand_over_is_replaced() {
    let topology = raise(&[0]);
    let mut instance = Instance::start(&topology, "a", CONFIG);
    let mut cut = Session::begin(&topology, 0);
    instance.until(|counters| number(counters, "/streams/open") == 1);
    let old = instance.part("dataplane").unwrap();
    signal(old, Signal::STOP);
    configure(&instance, |text| text + "[bmp]\nstale_routes_s = 7\n");
    signal(instance.keeper(), Signal::HUP);
    cut.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let heard = cut.stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(heard, Ok(0) | Err(ErrorKind::ConnectionReset)), "{heard:?}");
    until(&instance, "a dataplane process with the new configuration", || {
        instance.part("dataplane").is_some_and(|new| new != old)
            && metric(&topology, RELOADED) == "1"
            && instance.workers().iter().all(|worker| worker["state"] == "running")
    });
    let mut again = Session::begin(&topology, 0);
    again.send(again.rest.len());
    instance.until(|counters| number(counters, "/routes/endOfRib") == 1 && counters["unexplained"] == 0);
    assert!(instance.log().contains("does not hand over"));
    assert_eq!(instance.stop().status, 0);
}
