//! TERM under load: everything that was taken is accounted for, and nothing stays in the kernel. kill -9 of either
//! process under load: the other goes on, a new one is at work in a moment, and what it cost has a name.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;
#[path = "instance/load.rs"]
mod load;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use lab::exporter::population;
use lab::topology::Topology;
use load::{lines, load, number, raise, sum};
use running::{Instance, Until, inside, ip, signal};
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

fn run(mode: &str, act: impl FnOnce(&mut Instance) + Send) -> (Topology, Instance, u64) {
    let topology = raise();
    let mut instance = Instance::start(&topology, "a", &config(mode));
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        let _sending = Until(&stop);
        threads.spawn(|| load(&topology, &stop, &sent));
        instance.until(|counters| number(counters, "/packets/delivered") > 200);
        act(&mut instance);
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
        if mode != "socket" {
            // The first link of the chain was held: the kernel's own count of the device.
            let (most, seen) = (number(&ended.totals, "/received/0/most"), sum(&ended.totals, "/xdp"));
            assert_eq!(ended.totals["received"][0]["exact"], true, "{}", ended.totals);
            assert!(most > 200 && most >= seen, "{most} received, {seen} seen");
        }
        let rows = number(&ended.totals, "/rows");
        assert!(rows > 0);
        assert_eq!(number(&ended.totals, "/sinks/json/written"), rows);
        assert_eq!(lines(&instance.directory().join("out")), rows);
    });
    assert!(!ip(&topology, "a", "link show dev eth0").contains("xdp"));
    assert!(!instance.directory().join("control.sock").exists());
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
        for _ in 0..3 {
            let old = instance.part(role).unwrap();
            let before = number(&instance.counters(), "/packets/delivered");
            signal(old, Signal::KILL);
            let began = Instant::now();
            while instance.part(role).is_none_or(|new| new == old)
                || number(&instance.counters(), "/packets/delivered") < before + 200
            {
                assert!(began.elapsed() < Duration::from_secs(20), "{}", instance.log());
                std::thread::sleep(Duration::from_millis(10));
            }
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
    // What the killed processes had written stands in files that the next ones have finished.
    let written = number(&ended.totals, "/sinks/json/written");
    assert_eq!(lines(&instance.directory().join("out")), written, "{}", ended.totals);
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

/// Without a keeper nobody would start anything again: control takes everything down by itself.
#[test]
fn a_killed_keeper_leaves_nothing_behind() {
    let (topology, _instance, _) = run("native", |instance| {
        let parts = ["control", "dataplane"].map(|role| instance.part(role).unwrap());
        signal(instance.keeper(), Signal::KILL);
        let began = Instant::now();
        while parts.iter().any(|pid| runs(*pid)) {
            assert!(began.elapsed() < Duration::from_secs(5), "{}", instance.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(!ip(&topology, "a", "link show dev eth0").contains("xdp"));
}

/// Whether the process is there and no zombie.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// A device that is made anew under its old name: its rings come with the next dataplane process.
#[test]
fn a_device_made_anew_gets_its_rings_again() {
    let topology = raise();
    let mut instance = Instance::start(&topology, "a", &config("native"));
    let first = instance.part("dataplane").unwrap();
    let send = |address: &str| {
        inside(&topology, "b", || {
            let socket = UdpSocket::bind("10.73.0.2:0").unwrap();
            let mut router = population(1, 1, 7).remove(0);
            socket.send_to(&router.template(), (address, 2055)).unwrap();
        });
    };
    send("10.73.0.1");
    instance.until(|counters| number(counters, "/path/xsk") == 1);
    ip(&topology, "a", "link del eth0");
    let other = topology.namespace("b");
    ip(
        &topology,
        "a",
        &format!("link add eth0 numrxqueues 2 type veth peer name eth0 numtxqueues 2 netns {other}"),
    );
    for (who, address) in [("a", "10.73.0.1/24"), ("b", "10.73.0.2/24")] {
        ip(&topology, who, &format!("addr add {address} dev eth0"));
        ip(&topology, who, "link set dev eth0 up");
    }
    let until = Instant::now() + Duration::from_secs(10);
    let rings = |instance: &Instance| {
        let devices = instance.show(control::process::control::answers::What::Devices);
        devices.first().and_then(|device| device["rings"].as_u64()).unwrap_or(0)
    };
    while instance.part("dataplane").is_none_or(|pid| pid == first) || rings(&instance) != 4 {
        assert!(Instant::now() < until, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    instance.until(|_| instance.workers().iter().all(|worker| worker["state"] == "running"));
    // A veth whose sender leaves checksums to the card would be refused: a datagram's is optional over IPv4 only.
    send("10.73.0.1");
    let counters =
        instance.until(|counters| number(counters, "/path/xsk") == 2 || sum(counters, "/packets") == 2);
    assert_eq!(counters["differences"], serde_json::json!([]), "{counters}");
    assert_eq!(instance.stop().status, 0);
}
