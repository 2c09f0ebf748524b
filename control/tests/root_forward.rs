//! What XDP does with packets on their way through: frame in, verdict, counter and every octet out, against the
//! real routes, neighbours and devices of a network namespace.
//!
//! Needs root, and fails without. Each test runs itself again in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;

use std::net::{IpAddr, SocketAddr};

use control::ebpf::Forward;
use control::ebpf::attach::device_index;
use control::ebpf::probe::probed;
use dataplane_common::PacketEnd as End;
use dataplane_common::map::forward::{Egress, INGRESS_INACTIVE_LEG, INGRESS_UP, Ingress, NextHop};
use dataplane_common::octets_of;
use lab::frame::Frame;
use rig::{
    IN0, NEXT, OUT0, Rig, SENDER, SHAPES, TAG, Tags, address, datagram, in_own_namespace, router, run, sized,
};

/// The frame that leaves: next hop's and port's MAC address, one hop less, other tags.
fn sent(to: IpAddr, tags: Tags) -> Vec<u8> {
    datagram(to, tags).macs(OUT0, NEXT).hop_limit(63).octets()
}

#[test]
fn every_tag_shape_in_and_out_both_families() {
    if !in_own_namespace("every_tag_shape_in_and_out_both_families") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    let trunk = device_index("trunk0").unwrap();
    for arriving in SHAPES {
        rig.arrives(arriving, rig.ingress());
        for leaving in SHAPES {
            let out0 = rig.out0;
            rig.leaves(out0, leaving, &[if leaving.is_empty() { out0 } else { trunk }]);
            for v6 in [false, true] {
                // Behind a next hop, and on the link itself.
                for to in [address(v6, 3, 200), address(v6, 2, 2)] {
                    let frame = datagram(to, arriving).hop_limit(64).octets();
                    let name = format!("{arriving:?} to {leaving:?}, {to}");
                    rig.meets(&name, &frame, End::Forwarded, Some(&sent(to, leaving)));
                }
            }
        }
    }
    let counters = &rig.programs.tables.forwarding.port_ends.list().unwrap();
    assert_eq!(counters[&rig::LOOPBACK].ends[End::Forwarded.index()], 64);
    assert_eq!(counters[&rig.out0].sent, 16);
    assert_eq!(counters[&trunk].sent, 48);
    // A port that is gone takes its own counts along, not what others received for it.
    let port_ends = &mut rig.programs.tables.forwarding.port_ends;
    port_ends.forget(trunk).unwrap();
    port_ends.forget(rig.out0).unwrap();
    let counters = port_ends.list().unwrap();
    assert_eq!(counters.keys().collect::<Vec<_>>(), [&rig::LOOPBACK]);
    assert_eq!(counters[&rig::LOOPBACK].ends[End::Forwarded.index()], 64);
    port_ends.forget(rig::LOOPBACK).unwrap();
    assert_eq!(port_ends.list().unwrap().len(), 0);
}

#[test]
fn every_answer_of_the_fib() {
    if !in_own_namespace("every_answer_of_the_fib") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    for arriving in SHAPES {
        rig.arrives(arriving, rig.ingress());
        for v6 in [false, true] {
            let mut to = |name: &str, to: IpAddr, end| {
                rig.meets(
                    &format!("{name}, {to}, {arriving:?}"),
                    &datagram(to, arriving).octets(),
                    end,
                    None,
                );
            };
            to("blackhole", address(v6, 4, 1), End::Blackhole);
            to("unreachable", address(v6, 5, 1), End::Unreachable);
            to("prohibit", address(v6, 6, 1), End::Prohibited);
            to("this host", address(v6, 1, 1), End::NotForwarded);
            to("no route", address(v6, 99, 1), End::NotForwarded);
            to("nobody there", address(v6, 2, 77), End::NoNeighbour);
            // A route's MTU of 1,300: with 1,300 octets it goes, with one more it does not.
            let header = if v6 { 48 } else { 28 };
            let fits = sized(address(v6, 7, 1), arriving, 1_300 - header).octets();
            let out = sized(address(v6, 7, 1), &[], 1_300 - header).macs(OUT0, NEXT).hop_limit(63).octets();
            rig.meets("as long as the route's MTU", &fits, End::Forwarded, Some(&out));
            let long = sized(address(v6, 7, 1), arriving, 1_301 - header).octets();
            rig.meets("longer than the route's MTU", &long, End::FragmentationNeeded, None);
        }
        let group = datagram([239, 1, 2, 3].into(), arriving).octets();
        rig.meets("group address", &group, End::NotForwarded, None);
    }
    rig.arrives(&[], Ingress { device: 9_999, ..rig.ingress() });
    rig.meets("no such device", &datagram(address(false, 3, 1), &[]).octets(), End::FibFailed, None);
    rig.arrives(&[], rig.ingress());
    // Routes change under traffic: the next frame follows.
    for v6 in [false, true] {
        let (frame, net) =
            (datagram(address(v6, 3, 1), &[]).octets(), if v6 { "fd03::/64" } else { "10.3.0.0/16" });
        run(&format!("ip route replace blackhole {net}"));
        rig.meets("now a blackhole", &frame, End::Blackhole, None);
    }
    run("ip rule add to 10.2.0.0/24 prohibit");
    rig.meets("a rule", &datagram(address(false, 2, 2), &[]).octets(), End::Prohibited, None);
    rig::sysctl("ipv4/conf/in0/forwarding", "0");
    rig::sysctl("ipv6/conf/in0/forwarding", "0");
    for v6 in [false, true] {
        let frame = datagram(address(v6, 2, 2), &[]).octets();
        rig.meets("forwarding is off", &frame, End::ForwardingDisabled, None);
    }
}

#[test]
fn a_route_that_encapsulates_is_the_stacks() {
    if !in_own_namespace("a_route_that_encapsulates_is_the_stacks") {
        return;
    }
    router();
    run("ip route add 10.8.0.0/16 encap ip id 8 dst 10.2.0.2 via 10.2.0.2 dev out0");
    run("ip -6 route add fd08::/64 encap ip6 id 8 dst fd02::2 via fd02::2 dev out0");
    let mut rig = Rig::new(Forward::default());
    for v6 in [false, true] {
        let frame = datagram(address(v6, 8, 1), &[]).octets();
        rig.meets("encap", &frame, End::RouteEncapsulates, None);
    }
}

/// Changes an IPv4 header behind the Ethernet header and mends its checksum.
fn with_ipv4(mut frame: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut frame[14..34]);
    frame[24..26].fill(0);
    let sum: u32 =
        frame[14..34].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn every_check_before_the_fib() {
    if !in_own_namespace("every_check_before_the_fib") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    for arriving in SHAPES {
        rig.arrives(arriving, rig.ingress());
        for v6 in [false, true] {
            let good = || datagram(address(v6, 3, 1), arriving);
            let mut meets = |name: &str, frame: &[u8], end| {
                rig.meets(&format!("{name}, IPv6 {v6}, {arriving:?}"), frame, end, None);
            };
            for mac in [[2, 0, 0, 0, 0, 0x11], [0xff; 6], [0x33, 0x33, 0, 0, 0, 1], [2, 0, 0, 0, 1, 0x10]] {
                meets("another MAC address", &good().macs(SENDER, mac).octets(), End::OtherMac);
            }
            for hops in [0, 1] {
                meets("no hop left", &good().hop_limit(hops).octets(), End::HopLimit);
            }
            let fragments = sized(address(v6, 3, 1), arriving, 2_000).fragments(7, 1_200);
            for fragment in &fragments {
                meets("a fragment", fragment, End::Fragment);
            }
            let network = 14 + 4 * arriving.len();
            let whole = good().octets();
            let end = whole.len();
            meets("cut short", &whole[..end - 1], End::Truncated);
            let mut version = whole.clone();
            version[network] ^= 0x10;
            meets("another version", &version, End::BadIpHeader);
            // Behind the packet's end a frame may be padded: the padding goes along.
            let padded = [&whole[..], &[0xee; 7]].concat();
            let out = [&sent(address(v6, 3, 1), &[])[..], &[0xee; 7]].concat();
            rig.meets("padded", &padded, End::Forwarded, Some(&out));
        }
        let mut checksum = datagram(address(false, 3, 1), arriving).octets();
        checksum[14 + 4 * arriving.len() + 10] ^= 1;
        rig.meets("checksum", &checksum, End::BadIpChecksum, None);
        let options = datagram(address(false, 3, 1), arriving).ipv4_options(&[1; 4]).octets();
        rig.meets("options", &options, End::IpOptions, None);
        let hop_by_hop = datagram(address(true, 3, 1), arriving).extension(0, &[1, 4, 0, 0, 0, 0]).octets();
        rig.meets("hop-by-hop", &hop_by_hop, End::HopByHop, None);
    }
    for first in [0, 127, 224, 255] {
        let frame = with_ipv4(datagram(address(false, 3, 1), &[]).octets(), |ip| ip[12] = first);
        rig.meets("a source of nobody", &frame, End::Martian, None);
    }
    let short = with_ipv4(datagram(address(false, 3, 1), &[]).octets(), |ip| ip[0] = 0x44);
    rig.meets("header of 16 octets", &short, End::BadIpHeader, None);
    for (from, to, end) in [
        ("ff02::5", "fd03::1", End::Martian),
        ("::", "fd03::1", End::Martian),
        ("::1", "fd03::1", End::Martian),
        ("fd01::9", "::1", End::Martian),
        ("fe80::9", "fd03::1", End::LinkScope),
        ("fd01::9", "fe80::1", End::LinkScope),
    ] {
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 40_000);
        let frame = Frame::udp(at(from), at(to), &[1; 20]).macs(SENDER, IN0).octets();
        rig.meets(&format!("{from} to {to}"), &frame, end, None);
    }
}

#[test]
fn every_check_of_the_device_table() {
    if !in_own_namespace("every_check_of_the_device_table") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    let (out0, trunk) = (rig.out0, device_index("trunk0").unwrap());
    for v6 in [false, true] {
        let to = address(v6, 3, 1);
        let frame = datagram(to, &[]).octets();
        rig.meets("a tag nobody has", &datagram(to, &[(TAG, 11)]).octets(), End::UnknownArrival, None);
        rig.meets("priority tag", &datagram(to, &[(TAG, 0)]).octets(), End::UnknownArrival, None);
        let three = datagram(to, &[(TAG, 1), (TAG, 2), (TAG, 3)]).octets();
        rig.meets("three tags", &three, End::NotIp, None);
        rig.arrives(&[], Ingress { flags: 0, ..rig.ingress() });
        rig.meets("down", &frame, End::ArrivalDown, None);
        rig.arrives(&[], Ingress { flags: INGRESS_UP | INGRESS_INACTIVE_LEG, ..rig.ingress() });
        rig.meets("inactive leg", &frame, End::InactiveLeg, None);
        rig.arrives(&[], Ingress { device: 0, ..rig.ingress() });
        rig.meets("only bridged", &frame, End::OtherMac, None);
        rig.arrives(&[], rig.ingress());

        let forwarding = &mut rig.programs.tables.forwarding;
        forwarding.egress.remove(&out0).unwrap();
        rig.meets("no way out", &frame, End::NoEgress, None);
        let good = rig::egress(&[], &[out0]);
        let cases = [
            ("down", Egress { flags: 0, ..good }, End::NoEgress),
            ("no leg", rig::egress(&[], &[]), End::NoLeg),
            ("no member", rig::egress(&[], &[rig.in0]), End::NotMember),
            ("damaged", Egress { kind: 9, ..good }, End::Internal),
        ];
        for (name, egress, end) in cases {
            rig.programs.tables.forwarding.egress.set(&out0, &egress).unwrap();
            rig.meets(name, &frame, end, None);
        }
        // Full-length packets: with one tag they fit what the port takes, with two they do not.
        let full = sized(to, &[], 1_500 - if v6 { 48 } else { 28 });
        let out = |tags| rig::tagged(full.clone().macs(OUT0, NEXT).hop_limit(63), tags).octets();
        rig.leaves(out0, SHAPES[1], &[trunk]);
        rig.meets("full, one tag", &full.octets(), End::Forwarded, Some(&out(SHAPES[1])));
        rig.leaves(out0, SHAPES[3], &[trunk]);
        rig.meets("full, two tags", &full.octets(), End::PortMtu, None);
        rig.leaves(out0, &[], &[out0]);
        rig.meets("good again", &frame, End::Forwarded, Some(&sent(to, &[])));
        // The kernel takes a port out of the map with its device.
        run("ip link del trunk1");
        rig.programs.tables.forwarding.egress.set(&out0, &rig::egress(&[], &[9_998])).unwrap();
        rig.meets("a port that is gone", &frame, End::NotMember, None);
        rig.leaves(out0, &[], &[out0]);
        run("ip link add trunk1 type veth peer name trunk1p");
    }
}

#[test]
fn next_hops_in_use_are_reported() {
    if !in_own_namespace("next_hops_in_use_are_reported") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    for v6 in [false, true] {
        rig.programs.run_frame(&datagram(address(v6, 3, 1), &[]).octets(), 3).unwrap();
        rig.programs.run_frame(&datagram(address(v6, 2, 77), &[]).octets(), 3).unwrap();
        rig.programs.run_frame(&datagram(address(v6, 4, 1), &[]).octets(), 3).unwrap();
    }
    let hops = rig.programs.tables.forwarding.next_hops.list().unwrap();
    let of = |v6, host| hops[&NextHop { device: rig.out0, address: octets_of(address(v6, 2, host)) }];
    assert_eq!(hops.len(), 4, "{hops:?}");
    for v6 in [false, true] {
        assert!(of(v6, 2).used_ns > 0 && of(v6, 2).missing_ns == 0, "{hops:?}");
        assert!(of(v6, 77).missing_ns > 0 && of(v6, 77).used_ns == 0, "{hops:?}");
    }
}

#[test]
fn a_vrf_looks_in_its_own_table() {
    if !in_own_namespace("a_vrf_looks_in_its_own_table") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    for v6 in [false, true] {
        let to = address(v6, 9, 1);
        rig.arrives(&[], rig.ingress());
        rig.meets("main table", &datagram(to, &[]).octets(), End::NotForwarded, None);
        rig.arrives(&[], Ingress { table: 77, ..rig.ingress() });
        // An older kernel finds the table by the device's VRF alone, and this device is in none.
        let (end, out) = if probed().table_lookup {
            (End::Forwarded, Some(sent(to, &[])))
        } else {
            (End::NotForwarded, None)
        };
        rig.meets("table 77", &datagram(to, &[]).octets(), end, out.as_deref());
    }
}

#[test]
fn a_mark_meets_its_rules() {
    if !in_own_namespace("a_mark_meets_its_rules") {
        return;
    }
    router();
    run("ip rule add fwmark 7 prohibit");
    run("ip -6 rule add fwmark 7 prohibit");
    let mut rig = Rig::new(Forward::default());
    for v6 in [false, true] {
        let to = address(v6, 3, 1);
        rig.arrives(&[], rig.ingress());
        rig.meets("no mark", &datagram(to, &[]).octets(), End::Forwarded, Some(&sent(to, &[])));
        rig.arrives(&[], Ingress { mark: 7, ..rig.ingress() });
        // An older kernel's look-up knows no mark: the stack does. Of IPv6 rules the look-up tells no reason.
        let end = match (probed().mark_lookup, v6) {
            (false, _) => End::FibFailed,
            (true, false) => End::Prohibited,
            (true, true) => End::NotForwarded,
        };
        rig.meets("mark", &datagram(to, &[]).octets(), end, None);
    }
}

#[test]
fn blocks_that_are_off_leave_their_frames_to_the_stack() {
    if !in_own_namespace("blocks_that_are_off_leave_their_frames_to_the_stack") {
        return;
    }
    router();
    let off = Forward { vlans: false, bonds: false, bridges: false, next_hops: false, port_counters: false };
    let mut rig = Rig::new(off);
    let to = address(false, 3, 1);
    let frame = datagram(to, &[]).octets();
    rig.meets("plain", &frame, End::Forwarded, Some(&sent(to, &[])));
    rig.arrives(SHAPES[1], rig.ingress());
    rig.meets("tagged", &datagram(to, SHAPES[1]).octets(), End::UnknownArrival, None);
    let out0 = rig.out0;
    rig.leaves(out0, SHAPES[1], &[out0]);
    rig.meets("tag to push", &frame, End::NoEgress, None);
    assert_eq!(rig.programs.tables.forwarding.next_hops.list().unwrap().len(), 0);
    assert_eq!(rig.programs.tables.forwarding.port_ends.list().unwrap().len(), 0);
}
