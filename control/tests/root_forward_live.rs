//! A router between two hosts, its tables mirrored from the kernel: what XDP forwards arrives, and what it leaves to
//! the stack is answered, resolved, fragmented by it.
//!
//! Needs root, and fails without. Each test runs itself again in a namespace of its own. VLAN, bond and VRF devices
//! are those of the kernel: where it lacks them the test says so, in the machine of `vagrant/vm.sh` they must be there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/hosts.rs"]
mod hosts;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/router.rs"]
mod router;

use std::time::Duration;

use control::ebpf::attach::device_index;
use dataplane_common::PacketEnd as End;
use dataplane_common::map::forward::Arrival;
use hosts::Host;
use rig::{in_own_namespace, run, said};
use router::{Router, address, forwarding, goes_through, here};

#[test]
fn what_goes_to_the_stack_comes_back_from_it() {
    if !in_own_namespace("what_goes_to_the_stack_comes_back_from_it") {
        return;
    }
    let (a, b) = router::hosts();
    let mut router = Router::new(&["in0", "out0"]);
    // ARP and ND are the stack's, and so is the first packet to a neighbour that it has yet to find.
    let resolved = router.more(End::NoNeighbour, || goes_through(&router, &a, ["10.2.0.9", "fd02::9"]));
    assert!(resolved > 0);
    assert!(router.count(End::NotIp) > 0, "ARP");
    // Three fragments each way, reassembled by the hosts.
    for to in ["10.2.0.9", "fd02::9"] {
        assert_eq!(router.more(End::Fragment, || a.hears(to, 2, 4_000).unwrap()), 12, "{to}");
    }
    // The last hop answers.
    for to in ["10.2.0.9", "fd02::9"] {
        let spent = router.more(End::HopLimit, || {
            let said = a.said(&format!("ping -c 1 -W 2 -t 1 {to}"));
            assert!(said.contains("ime to live exceeded") || said.contains("Hop limit"), "{said}");
        });
        assert_eq!(spent, 1, "{to}");
    }
    // Routes that say no, and none at all.
    run("ip route add unreachable 10.5.0.0/16");
    run("ip route add prohibit 10.6.0.0/16");
    run("ip route add blackhole 10.7.0.0/16");
    for (to, end, answer) in [
        ("10.5.0.1", End::Unreachable, "Destination Host Unreachable"),
        ("10.6.0.1", End::Prohibited, "Packet filtered"),
        ("10.7.0.1", End::Blackhole, "100% packet loss"),
        ("10.99.0.1", End::NotForwarded, "Destination Net Unreachable"),
    ] {
        let ended = router.more(end, || {
            let said = a.said(&format!("ping -c 1 -W 1 {to}"));
            assert!(said.contains(answer), "{to}: {said}");
        });
        assert_eq!(ended, 1, "{to}");
    }
    // A smaller MTU on the way out: who may not be fragmented is told, who may is fragmented.
    run("ip link set out0 mtu 1300");
    b.run("ip link set b0 mtu 1300");
    router.follow();
    let long = router.more(End::FragmentationNeeded, || {
        // The answer of 1,428 octets comes in two fragments.
        let said = a.said("ping -c 1 -W 2 -M dont -s 1400 10.2.0.9");
        assert!(said.contains("1 received"), "{said}");
    });
    assert_eq!(long, 1);
    for (to, told) in [("10.2.0.9", "Frag needed"), ("fd02::9", "Packet too big")] {
        let long = router.more(End::FragmentationNeeded, || {
            let said = a.said(&format!("ping -c 1 -W 2 -M do -s 1400 {to}"));
            assert!(said.contains(told) && said.contains("1300"), "{said}");
        });
        assert_eq!(long, 1, "{to}");
    }
    goes_through(&router, &a, ["10.2.0.9", "fd02::9"]);
    // A link that goes down: the very next packet is the stack's.
    run("ip link set out0 down");
    assert_eq!(router.more(End::NotForwarded, || assert!(a.hears("10.2.0.9", 1, 56).is_err())), 1);
    // Nothing was lost in silence: every frame has an end.
    let ends = router.programs.tables.counters.frame_ends().unwrap();
    assert_eq!(ends[End::Internal.index()] + ends[End::FibFailed.index()], 0);
}

#[test]
fn the_kernels_own_vlan_bond_and_vrf_devices() {
    if !in_own_namespace("the_kernels_own_vlan_bond_and_vrf_devices") {
        return;
    }
    let can = |kind: &str| {
        let made = said(&format!("ip link add probe {kind}")).status.success();
        said("ip link del probe");
        made
    };
    run("ip link add probed type veth peer name probedp");
    if !(can("link probed type vlan id 9") && can("type bond") && can("type vrf table 9")) {
        assert!(!std::path::Path::new("/program").exists(), "the virtual machine has them all");
        println!("this kernel lacks VLAN, bond or VRF devices: vagrant/vm.sh has them");
        return;
    }
    forwarding();
    let (a, b) = (Host::new(), Host::new());
    a.join("in0", "a0");
    for (ours, theirs) in [("out0", "b0"), ("leg0", "b1"), ("leg1", "b2")] {
        b.join(ours, theirs);
    }
    // Tagged in; out with two tags, and with one over a bond.
    run("ip link add link in0 name in0.10 type vlan id 10");
    a.run("ip link add link a0 name a0.10 type vlan id 10");
    run("ip link add link out0 name out0.20 type vlan proto 802.1ad id 20");
    run("ip link add link out0.20 name out0.20.30 type vlan id 30");
    b.run("ip link add link b0 name b0.20 type vlan proto 802.1ad id 20");
    b.run("ip link add link b0.20 name b0.20.30 type vlan id 30");
    run("ip link add bond0 type bond mode active-backup miimon 50");
    b.run("ip link add bond0 type bond mode active-backup miimon 50");
    for (ours, theirs) in [("leg0", "b1"), ("leg1", "b2")] {
        run(&format!("ip link set {ours} down"));
        b.run(&format!("ip link set {theirs} down"));
        run(&format!("ip link set {ours} master bond0"));
        b.run(&format!("ip link set {theirs} master bond0"));
        run(&format!("ip link set {ours} up"));
        b.run(&format!("ip link set {theirs} up"));
    }
    run("ip link add link bond0 name bond0.40 type vlan id 40");
    b.run("ip link add link bond0 name bond0.40 type vlan id 40");
    for device in ["in0.10", "out0.20", "out0.20.30", "bond0", "bond0.40"] {
        run(&format!("ip link set {device} up"));
    }
    for device in ["b0.20", "b0.20.30", "bond0", "bond0.40"] {
        b.run(&format!("ip link set {device} up"));
    }
    a.run("ip link set a0.10 up");
    address(&a, "a0.10", 1);
    address(&b, "b0.20.30", 2);
    b.run("ip addr add 10.4.0.9/24 dev bond0.40");
    b.run("ip addr add fd04::9/64 dev bond0.40 nodad");
    here("in0.10", 1);
    here("out0.20.30", 2);
    here("bond0.40", 4);
    std::thread::sleep(Duration::from_millis(500)); // the bond's legs are up once its monitor has looked
    let mut router = Router::new(&["in0", "out0", "leg0", "leg1"]);
    // Without an entry for untagged frames only what XDP sees tagged can be forwarded.
    let untagged = Arrival { port: device_index("in0").unwrap(), ..Arrival::default() };
    router.programs.tables.forwarding.ingress.remove(&untagged).unwrap();
    goes_through(&router, &a, ["10.2.0.9", "fd02::9"]);
    b.run("ip route replace 10.1.0.0/24 via 10.4.0.1");
    b.run("ip -6 route replace fd01::/64 via fd04::1");
    goes_through(&router, &a, ["10.4.0.9", "fd04::9"]);
    // The active leg goes: the other one takes over, once the kernel says so.
    run("ip link set leg0 down");
    std::thread::sleep(Duration::from_millis(500));
    router.follow();
    goes_through(&router, &a, ["10.4.0.9", "fd04::9"]);
    // In a VRF, whose table alone knows the way.
    run("ip link add blue type vrf table 100");
    run("ip link set blue up");
    // Without it the stack goes on to the main table.
    run("ip route add table 100 unreachable default metric 4278198272");
    for (device, net) in [("in0.10", 1), ("bond0.40", 4)] {
        run(&format!("ip link set {device} master blue"));
        said(&format!("ip addr add fd0{net}::1/64 dev {device} nodad"));
    }
    router.follow();
    goes_through(&router, &a, ["10.4.0.9", "fd04::9"]);
    assert!(a.hears("10.2.0.9", 1, 56).is_err(), "it is in another table");
}
