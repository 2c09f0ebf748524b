//! Ways out over several ports: legs of bonds by their policies, stations of bridges; frame in, verdict, counter and every
//! octet out.
//!
//! Needs root, and fails without. Each test runs itself again in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;

use std::net::{IpAddr, SocketAddr};

use control::ebpf::Forward;
use control::ebpf::attach::device_index;
use dataplane_common::PacketEnd as End;
use dataplane_common::map::forward::{
    Egress, EgressKind, INGRESS_BRIDGED, INGRESS_UP, Ingress, Learned, POLICY_FIRST, POLICY_LAYER2,
    POLICY_LAYER23, POLICY_LAYER34, Station, VlanTag,
};
use lab::frame::Frame;
use rig::{IN0, NEXT, OUT0, Rig, SENDER, SHAPES, Tags, address, datagram, in_own_namespace, router};

/// The frame that leaves: next hop's and port's MAC address, one hop less, other tags.
fn sent(to: IpAddr, tags: Tags) -> Vec<u8> {
    datagram(to, tags).macs(OUT0, NEXT).hop_limit(63).octets()
}

#[test]
fn bonds_choose_a_leg_by_their_policy() {
    if !in_own_namespace("bonds_choose_a_leg_by_their_policy") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    let (out0, legs) = (rig.out0, ["trunk0", "trunk1"].map(|name| device_index(name).unwrap()));
    for tags in [SHAPES[0], SHAPES[1]] {
        for v6 in [false, true] {
            for policy in [POLICY_FIRST, POLICY_LAYER2, POLICY_LAYER23, POLICY_LAYER34] {
                let bond = Egress { kind: EgressKind::Bond as u8, policy, ..rig::egress(tags, &legs) };
                rig.programs.tables.forwarding.egress.set(&out0, &bond).unwrap();
                let mut used = [0_u64; 2];
                for host in 0..32_u16 {
                    let from = SocketAddr::new(address(v6, 1, 9), 40_000 + 2 * host);
                    let to = SocketAddr::new(address(v6, 3, host as u8), 53);
                    let frame = || Frame::udp(from, to, &[7; 30]);
                    let out = rig::tagged(frame().macs(OUT0, NEXT).hop_limit(63), tags).octets();
                    let before = sent_by(&rig, legs);
                    rig.meets("bond", &frame().macs(SENDER, IN0).octets(), End::Forwarded, Some(&out));
                    let after = sent_by(&rig, legs);
                    let leg = usize::from(after[1] != before[1]);
                    assert_eq!(leg, expected_leg(policy, from, to), "{policy} {from} {to}");
                    used[leg] += 1;
                }
                assert_eq!(
                    used.iter().all(|&count| count > 0),
                    policy >= POLICY_LAYER23,
                    "{policy}: {used:?}"
                );
            }
        }
    }
    let settings = Forward { bonds: false, ..Forward::default() };
    let mut without = Rig::new(settings);
    let bond = Egress { kind: EgressKind::Bond as u8, ..rig::egress(&[], &legs) };
    without.programs.tables.forwarding.egress.set(&out0, &bond).unwrap();
    without.meets("bonds are off", &datagram(address(false, 3, 1), &[]).octets(), End::NoEgress, None);
}

fn sent_by(rig: &Rig, legs: [u32; 2]) -> [u64; 2] {
    let ends = rig.programs.tables.forwarding.port_ends.list().unwrap();
    legs.map(|leg| ends.get(&leg).map_or(0, |counters| counters.sent))
}

/// The leg of two that the bonding driver takes, from its documentation (`Documentation/networking/bonding.rst`,
/// xmit_hash_policy), on the bytes of the packet.
fn expected_leg(policy: u8, from: SocketAddr, to: SocketAddr) -> usize {
    let layer2 = u32::from(OUT0[5] ^ NEXT[5]) ^ if from.is_ipv6() { 0x86dd } else { 0x0800 };
    let ports = u32::from_le_bytes([
        from.port().to_be_bytes()[0],
        from.port().to_be_bytes()[1],
        to.port().to_be_bytes()[0],
        to.port().to_be_bytes()[1],
    ]);
    let words = |address: IpAddr| match address {
        IpAddr::V4(address) => u32::from_le_bytes(address.octets()),
        IpAddr::V6(address) => address
            .octets()
            .chunks(4)
            .fold(0, |fold, word| fold ^ u32::from_le_bytes(word.try_into().unwrap())),
    };
    let fold = |mut hash: u32| {
        hash ^= words(from.ip()) ^ words(to.ip());
        hash ^= hash >> 16;
        hash ^ hash >> 8
    };
    let hash = match policy {
        POLICY_FIRST => 0,
        POLICY_LAYER2 => layer2,
        POLICY_LAYER23 => fold(layer2),
        _ => fold(ports) >> 1,
    };
    (hash % 2) as usize
}

#[test]
fn bridges_send_to_known_stations() {
    if !in_own_namespace("bridges_send_to_known_stations") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    let (out0, trunk) = (rig.out0, device_index("trunk0").unwrap());
    let (bridge, other): (u32, [u8; 6]) = (500, [2, 0, 0, 0, 0, 0x77]);
    let know = |rig: &mut Rig, vlan, mac, port, tag: Tags| {
        let tag = tag.first().map_or(VlanTag::default(), |&(ether_type, id)| VlanTag { ether_type, id });
        let station = Station { bridge, vlan, mac };
        rig.programs.tables.forwarding.stations.set(&station, &Learned { port, tag }).unwrap();
    };
    rig.leaves(trunk, &[], &[trunk]);
    for (vlan, arriving) in [(0, SHAPES[0]), (10, SHAPES[1])] {
        let port = Ingress {
            flags: INGRESS_UP | INGRESS_BRIDGED,
            bridge,
            bridge_port: rig.in0,
            bridge_vlan: vlan,
            ..rig.ingress()
        };
        rig.arrives(arriving, port);
        for v6 in [false, true] {
            let frame = |to: [u8; 6], tags| datagram(address(v6, 3, 1), tags).macs(SENDER, to).octets();
            let forget = |rig: &mut Rig, mac| {
                rig.programs.tables.forwarding.stations.remove(&Station { bridge, vlan, mac }).unwrap();
            };
            forget(&mut rig, SENDER);
            know(&mut rig, vlan, other, trunk, &[]);
            rig.meets("source not learned", &frame(other, arriving), End::UnknownStation, None);
            let elsewhere = rig.out0;
            know(&mut rig, vlan, SENDER, elsewhere, &[]);
            rig.meets("source moved", &frame(other, arriving), End::UnknownStation, None);
            let in0 = rig.in0;
            know(&mut rig, vlan, SENDER, in0, &[]);
            // Bridged: no hop less, no other MAC address; tags as the bridge's port has them.
            rig.meets("known", &frame(other, arriving), End::Bridged, Some(&frame(other, &[])));
            know(&mut rig, vlan, other, trunk, SHAPES[1]);
            rig.meets("tagged there", &frame(other, arriving), End::Bridged, Some(&frame(other, SHAPES[1])));
            know(&mut rig, vlan, other, in0, &[]);
            rig.meets("back where it came from", &frame(other, arriving), End::UnknownStation, None);
            forget(&mut rig, other);
            rig.meets("not learned", &frame(other, arriving), End::UnknownStation, None);
            for group in [[0xff; 6], [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
                rig.meets("group", &frame(group, arriving), End::UnknownStation, None);
            }
            // For the bridge's own address: routed, and out again through a bridge's port.
            know(&mut rig, vlan, NEXT, trunk, SHAPES[1]);
            let into =
                Egress { kind: EgressKind::Bridge as u8, bridge, bridge_vlan: vlan, ..rig::egress(&[], &[]) };
            rig.programs.tables.forwarding.egress.set(&out0, &into).unwrap();
            let to = address(v6, 3, 1);
            let frame = datagram(to, arriving).octets();
            rig.meets("into a bridge", &frame, End::Forwarded, Some(&sent(to, SHAPES[1])));
            forget(&mut rig, NEXT);
            rig.meets("into a bridge, not learned", &frame, End::UnknownStation, None);
        }
    }
    // The priority of a tag that a bridge keeps stays; a router's tag has none.
    know(&mut rig, 10, other, trunk, SHAPES[1]);
    let mut frame = datagram(address(false, 3, 1), SHAPES[1]).macs(SENDER, other).octets();
    frame[14] |= 0xb0;
    rig.meets("priority", &frame, End::Bridged, Some(&frame.clone()));
    rig.leaves(out0, SHAPES[1], &[trunk]);
    let mut routed = datagram(address(false, 3, 1), SHAPES[1]).octets();
    routed[14] |= 0xb0;
    rig.meets("priority, routed", &routed, End::Forwarded, Some(&sent(address(false, 3, 1), SHAPES[1])));
}
