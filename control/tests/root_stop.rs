//! TERM under load: everything that was taken is accounted for, and nothing stays in the kernel. kill -9 of either
//! process under load: the other goes on, a new one is at work in a moment, and what it cost has a name.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lab::exporter::population;
use lab::topology::Topology;
use running::{Instance, inside, ip, signal};
use rustix::process::Signal;
use serde_json::Value;

fn config(mode: &str) -> String {
    format!(
        "mode = \"{mode}\"\nworkers = [0, 1]\ndevices = [\"eth0\"]\n\
         [metrics]\nlisten = \"127.0.0.1:9810\"\n\
         [steering]\nhash_key = \"00000000000000000000000000000001\"\n\
         [[listen]]\nprotocol = \"netflow\"\naddress = \"::\"\nport = 2055\n\
         [[sink]]\ntype = \"json\"\npath = \"OUT\"\n"
    )
}

/// Sixteen routers behind `b`, sending until told to stop; how many datagrams they sent.
fn load(topology: &Topology, stop: &AtomicBool, sent: &AtomicU64) {
    inside(topology, "b", || {
        let mut routers: Vec<_> =
            population(16, 1, 7).into_iter().filter(|router| !router.is_ipv6()).collect();
        let sockets: Vec<UdpSocket> =
            routers.iter().map(|router| UdpSocket::bind((router.address(), 0)).unwrap()).collect();
        let mut round = 0_u32;
        while !stop.load(Ordering::Relaxed) {
            for (router, socket) in routers.iter_mut().zip(&sockets) {
                let octets = if round.is_multiple_of(50) { router.template() } else { router.flows(4) };
                socket.send_to(&octets, "10.73.0.1:2055").unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
            round += 1;
            std::thread::sleep(Duration::from_millis(3));
        }
    });
}

fn raise() -> Topology {
    let topology = Topology::pair(2).unwrap();
    for router in population(16, 1, 7).iter().filter(|router| !router.is_ipv6()) {
        ip(&topology, "b", &format!("addr add {}/32 dev eth0", router.address()));
        ip(&topology, "a", &format!("route add {}/32 dev eth0", router.address()));
    }
    topology
}

fn number(totals: &Value, path: &str) -> u64 {
    totals.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

fn sum(totals: &Value, path: &str) -> u64 {
    let ends = totals.pointer(path).and_then(Value::as_object);
    ends.map_or(0, |ends| ends.values().filter_map(Value::as_u64).sum())
}

fn run(mode: &str, act: impl FnOnce(&mut Instance) + Send) -> (Topology, Instance, u64) {
    let topology = raise();
    let mut instance = Instance::start(&topology, "a", &config(mode));
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        threads.spawn(|| load(&topology, &stop, &sent));
        instance.until(|counters| number(counters, "/packets/delivered") > 200);
        act(&mut instance);
        stop.store(true, Ordering::Relaxed);
    });
    (topology, instance, sent.into_inner())
}

fn terminate_under_load(mode: &str) {
    let (topology, instance, _) = run(mode, |instance| {
        let ended = instance.stop();
        assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
        assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
        assert_eq!(ended.totals["differences"], serde_json::json!([]), "{}", ended.totals);
        assert_eq!(ended.totals["unexplained"], 0);
        let rows = number(&ended.totals, "/rows");
        assert!(rows > 0);
        assert_eq!(number(&ended.totals, "/sinks/json/written"), rows);
        assert_eq!(lines(instance), rows);
    });
    assert!(!ip(&topology, "a", "link show dev eth0").contains("xdp"));
    assert!(!instance.directory().join("control.sock").exists());
}

/// Lines in the files that were completed.
fn lines(instance: &Instance) -> u64 {
    let files = std::fs::read_dir(instance.directory().join("out")).unwrap().flatten();
    let texts = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "jsonl"));
    texts.map(|file| std::fs::read_to_string(file.path()).unwrap().lines().count() as u64).sum()
}

#[test]
fn term_under_load_in_native_mode() {
    terminate_under_load("native");
}

#[test]
fn term_under_load_in_generic_mode() {
    terminate_under_load("generic");
}

#[test]
fn term_under_load_in_socket_mode() {
    terminate_under_load("socket");
}

fn killed(mode: &str, role: &str) {
    let (_topology, mut instance, sent) = run(mode, |instance| {
        let old = instance.part(role).unwrap();
        let before = number(&instance.counters(), "/packets/delivered");
        signal(old, Signal::KILL);
        let began = Instant::now();
        while instance.part(role).is_none_or(|new| new == old)
            || number(&instance.counters(), "/packets/delivered") < before + 200
        {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", instance.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let accounted = |totals: &Value| sum(totals, "/packets") == sent;
    let counters = instance.until(|counters| accounted(counters) && counters["unexplained"] == 0);
    if role == "control" {
        assert_eq!(number(&counters, "/packets/lost_in_crash"), 0);
    }
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["differences"], serde_json::json!([]));
    assert!(accounted(&ended.totals), "{sent} sent: {}", ended.totals);
}

#[test]
fn a_killed_dataplane_costs_what_the_counters_name_in_native_mode() {
    killed("native", "dataplane");
}

#[test]
fn a_killed_dataplane_costs_what_the_counters_name_in_socket_mode() {
    killed("socket", "dataplane");
}

#[test]
fn a_killed_control_process_costs_nothing() {
    killed("native", "control");
}
