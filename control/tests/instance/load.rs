//! Routers that send until they are told to stop, and what was counted of them.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lab::exporter::population;
use lab::topology::Topology;
use serde_json::Value;

use crate::running::{inside, ip};

/// Sixteen routers behind `b`, sending until told to stop; how many datagrams they sent.
pub(crate) fn load(topology: &Topology, stop: &AtomicBool, sent: &AtomicU64) {
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

/// Two namespaces; every router's address is `b`'s, and `a` knows the way.
pub(crate) fn raise() -> Topology {
    let topology = Topology::pair(2).unwrap();
    for router in population(16, 1, 7).iter().filter(|router| !router.is_ipv6()) {
        ip(&topology, "b", &format!("addr add {}/32 dev eth0", router.address()));
        ip(&topology, "a", &format!("route add {}/32 dev eth0", router.address()));
    }
    topology
}

/// A count by its path; absent is 0.
pub(crate) fn number(totals: &Value, path: &str) -> u64 {
    totals.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// The sum over an object of counts.
pub(crate) fn sum(totals: &Value, path: &str) -> u64 {
    let ends = totals.pointer(path).and_then(Value::as_object);
    ends.map_or(0, |ends| ends.values().filter_map(Value::as_u64).sum())
}

/// Lines in complete files of JSON.
pub(crate) fn lines(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap().flatten();
    let texts = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "jsonl"));
    texts.map(|file| std::fs::read_to_string(file.path()).unwrap().lines().count() as u64).sum()
}
