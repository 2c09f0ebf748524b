//! The lab itself: it stands, its exporters say what its hosts did, and nothing of it stays behind.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use lab::daemon::{Crossed, Exporters, Hosts};
use lab::topology::Topology;

#[test]
fn a_pair_carries_datagrams_and_leaves_nothing() {
    let pair = Topology::pair(2).unwrap();
    let (a, b) = (pair.path("a"), pair.path("b"));
    assert!(a.exists() && b.exists());
    std::thread::scope(|threads| {
        threads.spawn(|| {
            pair.enter("a").unwrap();
            let receiver = UdpSocket::bind("[fd73::1]:4739").unwrap();
            receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            std::thread::scope(|inner| {
                inner.spawn(|| {
                    pair.enter("b").unwrap();
                    let sender = UdpSocket::bind("[fd73::2]:0").unwrap();
                    sender.send_to(b"telemetry", "[fd73::1]:4739").unwrap();
                });
            });
            let mut octets = [0; 64];
            let (length, from) = receiver.recv_from(&mut octets).unwrap();
            assert_eq!((&octets[..length], from.ip().to_string().as_str()), (&b"telemetry"[..], "fd73::2"));
        });
    });
    assert!(Path::new("/run/netns").join(pair.namespace("a")).exists());
    drop(pair);
    assert!(!a.exists() && !b.exists());
}

#[test]
fn exporters_come_up_and_hosts_are_counted_exactly() {
    let topology = Topology::routers(2).unwrap();
    let exporters = Exporters::start(&topology, 20).unwrap();
    let crossed = Hosts::start(&topology, 400, 400).unwrap().finish().unwrap();
    assert_eq!(crossed, Crossed { sent: 1_200, answered: 300 });
    exporters.flush().unwrap();
    let namespaces = ["col", "far", "r1", "r2", "r3", "h1", "h2", "h3"].map(|who| topology.path(who));
    drop(exporters);
    drop(topology);
    assert!(namespaces.iter().all(|path| !path.exists()));
}
