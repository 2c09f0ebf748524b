//! Legs of a bond: each flow leaves by XDP through the leg through which the kernel's bonding driver sends it.
//!
//! Needs root, and fails without. The test runs itself again in a namespace of its own. Where the kernel has no bonds it
//! says so; in the machine of `vagrant/vm.sh` there must be some.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "forward/hosts.rs"]
mod hosts;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/router.rs"]
mod router;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use control::ebpf::attach::device_index;
use control::kernel::{ask, dump};
use dataplane_common::PacketEnd as End;
use hosts::Host;
use rig::{in_own_namespace, run, said};
use router::{Router, forwarding};

/// Datagrams of a flow: more than anything else that passes meanwhile.
const DATAGRAMS: u64 = 20;
/// Source port, and last octet of the next hop, of each flow.
const FLOWS: [(u16, u8); 16] = [
    (1_025, 20),
    (1_026, 20),
    (1_027, 21),
    (4_000, 21),
    (4_001, 22),
    (4_002, 22),
    (33_000, 23),
    (33_001, 23),
    (33_002, 24),
    (33_007, 24),
    (50_001, 25),
    (50_011, 25),
    (50_021, 26),
    (61_000, 26),
    (61_001, 27),
    (61_003, 27),
];

/// What each of the far ends has received.
fn received(b: &Host) -> [u64; 2] {
    b.inside(|| ["b1", "b2"].map(|device| ask::received(device_index(device).unwrap()).unwrap()))
}

/// The leg that each flow takes now.
fn legs(a: &Host, b: &Host) -> Vec<usize> {
    let one = |(port, host): (u16, u8)| {
        let before = received(b);
        a.inside(|| {
            let socket = UdpSocket::bind(("10.1.0.9", port)).unwrap();
            (0..DATAGRAMS).for_each(|_| _ = socket.send_to(b"flow", (format!("10.4.0.{host}"), 53)).unwrap());
        });
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let now = received(b);
            let more = [0, 1].map(|leg| now[leg] - before[leg]);
            if let Some(leg) = more.iter().position(|more| *more >= DATAGRAMS) {
                return leg;
            }
            assert!(Instant::now() < until, "port {port} to {host}: {more:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    FLOWS.map(one).into()
}

/// A bond here, and over the far ends where both sides must have one.
fn bond(b: &Host, mode: &str, policy: &str) {
    said("ip link del bond0");
    b.said("ip link del bond0");
    let make = format!("ip link add bond0 type bond mode {mode} miimon 20 xmit_hash_policy {policy}");
    let both = mode == "802.3ad";
    run(&if both { format!("{make} lacp_rate fast") } else { make.clone() });
    if both {
        b.run(&format!("{make} lacp_rate fast"));
    }
    for (ours, theirs) in [("leg0", "b1"), ("leg1", "b2")] {
        run(&format!("ip link set {ours} down"));
        run(&format!("ip link set {ours} master bond0"));
        run(&format!("ip link set {ours} up"));
        if both {
            b.run(&format!("ip link set {theirs} down"));
            b.run(&format!("ip link set {theirs} master bond0"));
        }
        b.run(&format!("ip link set {theirs} up"));
    }
    run("ip link set bond0 up");
    if both {
        b.run("ip link set bond0 up");
    }
    run("ip addr add 10.4.0.1/24 dev bond0");
    for (_, host) in FLOWS {
        // Neither the parity of the address nor the opposite one: their difference counts.
        run(&format!("ip neigh replace 10.4.0.{host} lladdr 02:00:00:00:00:{:02x} dev bond0", host / 2));
    }
    // Until both legs send.
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let state = dump::once().unwrap();
        let legs = ["leg0", "leg1"].map(|leg| state.links[&state.index(leg).unwrap()].clone());
        let states = legs.clone().map(|leg| leg.leg.unwrap());
        let ready =
            states.iter().all(|leg| leg.active && leg.link_up && leg.aggregator == states[0].aggregator);
        if ready && legs.iter().all(|leg| leg.running) {
            return;
        }
        assert!(Instant::now() < until, "{mode} {policy}: {states:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn flows_take_the_legs_that_the_bonding_driver_gives_them() {
    if !in_own_namespace("flows_take_the_legs_that_the_bonding_driver_gives_them") {
        return;
    }
    let has_bonds = said("ip link add probe type bond").status.success();
    said("ip link del probe");
    if !has_bonds {
        assert!(!std::path::Path::new("/program").exists(), "the virtual machine has them");
        println!("this kernel lacks bonds: vagrant/vm.sh has them");
        return;
    }
    forwarding();
    let (a, b) = (Host::new(), Host::new());
    a.join("in0", "a0");
    b.join("leg0", "b1");
    b.join("leg1", "b2");
    run("ip addr add 10.1.0.1/24 dev in0");
    a.run("ip addr add 10.1.0.9/24 dev a0");
    a.run("ip route add default via 10.1.0.1");
    for (mode, policy) in [
        ("balance-xor", "layer2"),
        ("balance-xor", "layer2+3"),
        ("balance-xor", "layer3+4"),
        ("802.3ad", "layer2+3"),
        ("802.3ad", "layer3+4"),
    ] {
        bond(&b, mode, policy);
        let kernels = legs(&a, &b);
        let router = Router::new(&["in0", "leg0", "leg1"]);
        let before = router.count(End::Forwarded);
        let ours = legs(&a, &b);
        let forwarded = router.count(End::Forwarded) - before;
        println!("{mode} {policy}: {ours:?}, {forwarded} frames");
        assert_eq!(ours, kernels, "{mode} {policy}");
        assert_eq!(forwarded, DATAGRAMS * FLOWS.len() as u64, "{mode} {policy}: all through XDP");
        assert!(ours.contains(&0) && ours.contains(&1), "{mode} {policy}: both legs are used");
    }
}
