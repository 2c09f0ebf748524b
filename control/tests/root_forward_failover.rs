//! A link goes down, a neighbour is forgotten, a device is deleted and comes back under another index, all of it under
//! traffic: the next packets take the right path or the stack, and what is lost is counted.
//!
//! Needs root, and fails without. The test runs itself again in a namespace of its own: a router, a host that sends,
//! and two hosts that take whatever the router sends them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "says what was lost, and where")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/hosts.rs"]
mod hosts;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/router.rs"]
mod router;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use control::ebpf::attach::device_index;
use dataplane_common::PacketEnd as End;
use hosts::Host;
use rig::{in_own_namespace, run, said};
use router::{Router, address, forwarding, here};
use traffic::{Journey, takes_all, travel};

const DEVICES: [&str; 3] = ["in0", "out0", "out1"];
const DESTINATIONS: u32 = 100;
/// Datagrams of one act, and how many a second.
const COUNT: u32 = 9_000;
const RATE: u32 = 3_000;
/// Frames that stand in the ring of a veth at most.
const RING: u64 = 256;

/// What a datagram may end as: it is forwarded, or the stack takes it.
const ENDS: [End; 7] = [
    End::Forwarded,
    End::NoNeighbour,
    End::NoEgress,
    End::NotMember,
    End::NotForwarded,
    End::Unreachable,
    End::PortMtu,
];

/// Joins a receiver, gives it its addresses and the way to every destination by it.
fn join(host: &Host, nth: u8) {
    let (ours, theirs, net) = (format!("out{nth}"), format!("h{nth}"), nth + 2);
    host.join(&ours, &theirs);
    address(host, &theirs, net);
    here(&ours, net);
    run(&format!("ip route add 20.0.0.0/8 via 10.{net}.0.9 metric {}", 10 + nth));
}

/// What one act did to the datagrams.
#[derive(Debug)]
struct Outcome {
    arrived: [u64; 2],
    lost: u64,
    /// Ends in XDP.
    ends: BTreeMap<&'static str, u64>,
    /// Frames that the kernel could not redirect, by the receiving device's count.
    unsent: u64,
    /// Whether the last hundred arrived, and where.
    last: Option<usize>,
}

/// Sends while `act` changes something a third of the way in.
fn under_traffic(router: &mut Router, from: &Host, to: [&Host; 2], act: impl FnOnce()) -> Outcome {
    let counted = |router: &Router| ENDS.map(|end| router.count(end));
    let (before, dropped) = (counted(router), unsent());
    let over = AtomicBool::new(false);
    let (journeys, ()) = std::thread::scope(|threads| {
        threads.spawn(|| router.follow_until(&over));
        let travelled = travel(
            from,
            to,
            COUNT,
            RATE,
            |number| number % DESTINATIONS,
            || {
                std::thread::sleep(Duration::from_millis(1_000));
                act();
            },
        );
        over.store(true, Ordering::Release);
        travelled
    });
    let after = counted(router);
    let more =
        ENDS.iter().zip(before.iter().zip(after)).map(|(end, (before, after))| (end.name(), after - before));
    let at = |host| journeys.iter().filter(|journey| site(journey) == Some(host)).count() as u64;
    assert!(journeys.iter().all(|journey| journey.arrived.len() < 2), "a datagram came twice");
    let arrived = [at(0), at(1)];
    let last: Vec<_> = journeys.iter().rev().take(100).map(site).collect();
    let outcome = Outcome {
        arrived,
        lost: u64::from(COUNT) - arrived[0] - arrived[1],
        ends: more.filter(|(_, count)| *count > 0).collect(),
        unsent: unsent() - dropped,
        last: last[0].filter(|_| last.iter().all(|at| *at == last[0])),
    };
    println!("{outcome:?}");
    assert_eq!(
        outcome.ends.values().sum::<u64>(),
        u64::from(COUNT),
        "every datagram has an end: {outcome:?}"
    );
    outcome
}

fn site(journey: &Journey) -> Option<usize> {
    journey.arrived.first().map(|(host, _)| *host)
}

/// Frames of the sender's device that could not be redirected.
fn unsent() -> u64 {
    let said = said("ethtool -S in0");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
    let drops = lines.filter(|(name, _)| name.starts_with("rx_queue_") && name.ends_with("_drops"));
    drops.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
}

#[test]
fn links_neighbours_and_devices_go_under_traffic() {
    if !in_own_namespace("links_neighbours_and_devices_go_under_traffic") {
        return;
    }
    forwarding();
    let [from, first, second] = [Host::new(), Host::new(), Host::new()];
    from.join("in0", "a0");
    address(&from, "a0", 1);
    here("in0", 1);
    for (host, nth) in [(&first, 0), (&second, 1)] {
        join(host, nth);
        takes_all(host);
        host.run(&format!("ping -c 1 -W 5 10.{}.0.1", nth + 2));
    }
    from.run("ping -c 1 -W 5 10.1.0.1");
    let to = [&first, &second];
    let mut router = Router::new(&DEVICES);

    // Nothing happens.
    let calm = under_traffic(&mut router, &from, to, || ());
    assert_eq!((calm.arrived, calm.last), ([COUNT.into(), 0], Some(0)), "{calm:?}");
    assert_eq!(calm.ends, [("forwarded", COUNT.into())].into());

    // The neighbour is forgotten: the stack asks for it again, and keeps what waits.
    let forgotten = under_traffic(&mut router, &from, to, || run("ip neigh del 10.2.0.9 dev out0"));
    assert_eq!((forgotten.arrived, forgotten.last), ([COUNT.into(), 0], Some(0)), "{forgotten:?}");
    assert!(forgotten.ends["no_neighbour"] > 0);

    // The link goes down: the other way is taken. What was on its way to the port is counted.
    let down = under_traffic(&mut router, &from, to, || run("ip link set out0 down"));
    assert_eq!((down.last, down.lost), (Some(1), down.unsent), "{down:?}");
    run("ip link set out0 up");
    run("ip route add 20.0.0.0/8 via 10.2.0.9 metric 10");
    first.run("ping -c 1 -W 5 10.2.0.1");
    router.follow();

    // The device is deleted, with its peer and what stood in the peer's ring.
    let index = device_index("out0").unwrap();
    let deleted = under_traffic(&mut router, &from, to, || run("ip link del out0"));
    assert_eq!(deleted.last, Some(1), "{deleted:?}");
    assert!(deleted.lost <= deleted.unsent + RING, "{deleted:?}");
    assert!(deleted.arrived[0] > 0);

    // It comes back under another index.
    let back = under_traffic(&mut router, &from, to, || join(&first, 0));
    assert_ne!(device_index("out0").unwrap(), index);
    assert_eq!(back.last, Some(0), "{back:?}");
    assert_eq!(back.lost, back.unsent, "{back:?}");
    let again = under_traffic(&mut router, &from, to, || ());
    assert_eq!((again.arrived, again.ends), ([COUNT.into(), 0], [("forwarded", COUNT.into())].into()));
}
