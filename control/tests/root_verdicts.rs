//! What XDP says to frames of every shape: verdict, counter, and every octet of the frame unchanged.
//!
//! Runs the program by `BPF_PROG_TEST_RUN` on queue 0 of the loopback device: nothing is attached and nothing
//! is sent. Needs CAP_BPF and CAP_NET_ADMIN, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use control::ebpf::{LoadSettings, Programs};
use dataplane_common::map::{PORT_TCP, PORT_UDP, Port, SlotState, Steering};
use dataplane_common::{BUCKETS, MAX_SLOTS, PacketEnd, bucket, octets_of, router_hash};
use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader,
    TcpHeader, UdpHeader,
};

const KEY: [u8; 16] = *b"a key of a test.";
const HERE_4: [u8; 4] = [192, 0, 2, 10];
const HERE_6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
const ROUTER_4: [u8; 4] = [198, 51, 100, 7];
const ROUTER_6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const IPFIX: u16 = 4739;
const BMP: u16 = 1790;
const RING_ROOM: u32 = 1_500;

const DROP: u32 = 1;
const PASS: u32 = 2;
const REDIRECT: u32 = 4;
/// Loopback, where test runs take place.
const LOOPBACK: u32 = 1;

/// Programs with this host's addresses and ports, and every slot a worker's with a ring.
fn programs(settings: &LoadSettings, states: [SlotState; 64]) -> (Programs, u32, Vec<OwnedFd>) {
    let mut programs = Programs::load(settings).expect("load (root, CAP_BPF and CAP_NET_ADMIN are needed)");
    let tables = &mut programs.tables;
    tables.local_addresses.insert(HERE_4.into()).unwrap();
    tables.local_addresses.insert(HERE_6.into()).unwrap();
    tables.ports.set(IPFIX, Port { transports: PORT_UDP, ..Port::default() }).unwrap();
    tables.ports.set(BMP, Port { transports: PORT_TCP, ..Port::default() }).unwrap();
    tables.steering.install(&table(states)).unwrap();
    let row = tables.rings.row(LOOPBACK, 0).unwrap();
    // Nothing is sent in a test run, so the sockets need not be bound.
    let sockets = (0..MAX_SLOTS)
        .map(|slot| {
            use rustix::net::{AddressFamily, SocketType, socket};
            let socket = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
            tables.rings.insert(row, slot, &socket).unwrap();
            socket
        })
        .collect();
    (programs, row, sockets)
}

/// Bucket b on slot b modulo 64, in an order that is not the identity.
fn table(states: [SlotState; 64]) -> Steering {
    let mut table = Steering::EMPTY;
    for (bucket, slot) in table.slots.iter_mut().enumerate() {
        *slot = u8::try_from((bucket * 37 + bucket / 64) % 64).unwrap();
    }
    table.states = states.map(|state| state as u8);
    table
}

fn slot_of(source: IpAddr) -> u32 {
    let bucket = bucket(router_hash(octets_of(source), KEY));
    u32::from(table([SlotState::Millrace; 64]).slots[bucket as usize])
}

/// Ethernet header with tags (EtherType of the tag, control information) before `ether_type`.
fn ethernet(tags: &[(u16, u16)], ether_type: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (kind, control) in tags {
        frame.extend(kind.to_be_bytes());
        frame.extend(control.to_be_bytes());
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(rest);
    frame
}

fn udp(port: u16, payload: usize) -> Vec<u8> {
    let mut octets = UdpHeader::without_ipv4_checksum(40_000, port, payload).unwrap().to_bytes().to_vec();
    octets.resize(octets.len() + payload, 0xa5);
    octets
}

fn tcp(port: u16) -> Vec<u8> {
    TcpHeader::new(40_000, port, 1, 1_000).to_bytes().to_vec()
}

fn ipv4_with(protocol: IpNumber, rest: &[u8], change: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let mut header = Ipv4Header::new(0, 64, protocol, ROUTER_4, HERE_4).unwrap();
    change(&mut header);
    header.set_payload_len(rest.len()).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let mut octets = header.to_bytes().to_vec();
    octets.extend(rest);
    octets
}

fn ipv4(rest: &[u8]) -> Vec<u8> {
    ipv4_with(IpNumber::UDP, rest, |_| {})
}

fn ipv6_with(next: IpNumber, rest: &[u8], change: impl FnOnce(&mut Ipv6Header)) -> Vec<u8> {
    let mut header = Ipv6Header {
        traffic_class: 0,
        flow_label: 0.try_into().unwrap(),
        payload_length: u16::try_from(rest.len()).unwrap(),
        next_header: next,
        hop_limit: 64,
        source: ROUTER_6,
        destination: HERE_6,
    };
    change(&mut header);
    let mut octets = header.to_bytes().to_vec();
    octets.extend(rest);
    octets
}

/// An extension header of 8 octets before `rest`.
fn extension(next: IpNumber, rest: &[u8]) -> Vec<u8> {
    let mut octets = Ipv6RawExtHeader::new_raw(next, &[1, 4, 0, 0, 0, 0]).unwrap().to_bytes().to_vec();
    octets.extend(rest);
    octets
}

fn fragment(offset: u16, more: bool, rest: &[u8]) -> Vec<u8> {
    let header = Ipv6FragmentHeader::new(IpNumber::UDP, IpFragOffset::try_new(offset).unwrap(), more, 7);
    let mut octets = header.to_bytes().to_vec();
    octets.extend(rest);
    octets
}

const V4: u16 = 0x0800;
const V6: u16 = 0x86dd;
const TAG: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;

/// Every shape with the end it must have: all slots are workers' with a ring.
fn shapes() -> Vec<(&'static str, Vec<u8>, PacketEnd)> {
    use PacketEnd as End;
    let u = udp(IPFIX, 40);
    let mut shapes = vec![
        ("IPv4 UDP", ethernet(&[], V4, &ipv4(&u)), End::Redirected),
        ("IPv6 UDP", ethernet(&[], V6, &ipv6_with(IpNumber::UDP, &u, |_| {})), End::Redirected),
        ("one tag", ethernet(&[(TAG, 0x2064)], V4, &ipv4(&u)), End::Redirected),
        ("two tags", ethernet(&[(SERVICE, 7), (TAG, 9)], V4, &ipv4(&u)), End::Redirected),
        (
            "two tags, IPv6",
            ethernet(&[(TAG, 7), (TAG, 9)], V6, &ipv6_with(IpNumber::UDP, &u, |_| {})),
            End::Redirected,
        ),
        ("three tags", ethernet(&[(TAG, 7), (TAG, 8), (TAG, 9)], V4, &ipv4(&u)), End::NotIp),
        ("ARP", ethernet(&[], 0x0806, &[0; 28]), End::NotIp),
        ("802.3 length", ethernet(&[], 0x0026, &[0x42; 38]), End::NotIp),
        ("IPv4 in the type of IPv6", ethernet(&[], V6, &ipv4(&udp(IPFIX, 60))), End::BadIpHeader),
        (
            "IPv6 in the type of IPv4",
            ethernet(&[], V4, &ipv6_with(IpNumber::UDP, &u, |_| {})),
            End::BadIpHeader,
        ),
        (
            "mapped source on the wire",
            ethernet(&[], V6, &ipv6_with(IpNumber::UDP, &u, |ip| ip.source = octets_of(ROUTER_4.into()))),
            End::BadIpHeader,
        ),
        (
            "not for this host",
            ethernet(&[], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.destination = [192, 0, 2, 11])),
            End::NotLocal,
        ),
        (
            "IPv6, not for this host",
            ethernet(&[], V6, &ipv6_with(IpNumber::UDP, &u, |ip| ip.destination[15] ^= 1)),
            End::NotLocal,
        ),
        ("another port", ethernet(&[], V4, &ipv4(&udp(53, 40))), End::NotTelemetry),
        ("UDP to a TCP port", ethernet(&[], V4, &ipv4(&udp(BMP, 40))), End::NotTelemetry),
        (
            "TCP to a UDP port",
            ethernet(&[], V4, &ipv4_with(IpNumber::TCP, &tcp(IPFIX), |_| {})),
            End::NotTelemetry,
        ),
        ("BMP", ethernet(&[], V4, &ipv4_with(IpNumber::TCP, &tcp(BMP), |_| {})), End::Stream),
        ("BMP, IPv6", ethernet(&[], V6, &ipv6_with(IpNumber::TCP, &tcp(BMP), |_| {})), End::Stream),
        ("ICMP", ethernet(&[], V4, &ipv4_with(IpNumber::ICMP, &[8; 40], |_| {})), End::OtherProtocol),
        ("ICMPv6", ethernet(&[], V6, &ipv6_with(IpNumber::IPV6_ICMP, &[8; 40], |_| {})), End::OtherProtocol),
        (
            "ESP",
            ethernet(&[], V6, &ipv6_with(IpNumber::ENCAPSULATING_SECURITY_PAYLOAD, &[8; 40], |_| {})),
            End::OtherProtocol,
        ),
        (
            "first fragment",
            ethernet(&[], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.more_fragments = true)),
            End::Fragment,
        ),
        (
            "last fragment",
            ethernet(
                &[],
                V4,
                &ipv4_with(IpNumber::UDP, &u, |ip| ip.fragment_offset = 185.try_into().unwrap()),
            ),
            End::Fragment,
        ),
        (
            "do not fragment",
            ethernet(&[], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.dont_fragment = true)),
            End::Redirected,
        ),
        (
            "IPv6, first fragment",
            ethernet(
                &[],
                V6,
                &ipv6_with(IpNumber::IPV6_FRAGMENTATION_HEADER, &fragment(0, true, &u), |_| {}),
            ),
            End::Fragment,
        ),
        (
            "IPv6, last fragment",
            ethernet(
                &[],
                V6,
                &ipv6_with(IpNumber::IPV6_FRAGMENTATION_HEADER, &fragment(9, false, &u), |_| {}),
            ),
            End::Fragment,
        ),
        (
            "IPv6, atomic fragment",
            ethernet(
                &[],
                V6,
                &ipv6_with(IpNumber::IPV6_FRAGMENTATION_HEADER, &fragment(0, false, &u), |_| {}),
            ),
            End::Redirected,
        ),
        (
            "hop-by-hop after another",
            ethernet(
                &[],
                V6,
                &ipv6_with(
                    IpNumber::IPV6_DESTINATION_OPTIONS,
                    &extension(IpNumber::IPV6_HEADER_HOP_BY_HOP, &extension(IpNumber::UDP, &u)),
                    |_| {},
                ),
            ),
            End::BadIpHeader,
        ),
        (
            "IPv4 length below its header",
            {
                let mut frame = ethernet(&[], V4, &ipv4(&u));
                frame[16..18].copy_from_slice(&19_u16.to_be_bytes());
                frame
            },
            End::BadIpHeader,
        ),
        (
            "IPv4 header of 16 octets",
            {
                let mut frame = ethernet(&[], V4, &ipv4(&u));
                frame[14] = 0x44;
                frame
            },
            End::BadIpHeader,
        ),
        (
            "IPv4 length without a UDP header",
            {
                let mut frame = ethernet(&[], V4, &ipv4(&u));
                frame[16..18].copy_from_slice(&27_u16.to_be_bytes());
                frame
            },
            End::Truncated,
        ),
        ("as long as the ring's room", ethernet(&[], V4, &ipv4(&udp(IPFIX, 1_500 - 42))), End::Redirected),
        ("longer than the ring's room", ethernet(&[], V4, &ipv4(&udp(IPFIX, 1_501 - 42))), End::TooLong),
    ];
    for options in (4..=40).step_by(4) {
        let rest = ipv4_with(IpNumber::UDP, &u, |ip| {
            ip.options = Ipv4Options::try_from(&vec![1; options][..]).unwrap()
        });
        shapes.push(("IPv4 options", ethernet(&[(TAG, 1)], V4, &rest), End::Redirected));
    }
    // One hop-by-hop header, then destination options: six are followed, the seventh is one too many.
    let mut chain = extension(IpNumber::UDP, &u);
    for count in 1..=7 {
        let first = extension(IpNumber::IPV6_DESTINATION_OPTIONS, &chain);
        let plain = ethernet(&[], V6, &ipv6_with(IpNumber::IPV6_DESTINATION_OPTIONS, &chain, |_| {}));
        shapes.push((
            "extension headers",
            plain,
            if count <= 6 { End::Redirected } else { End::TooManyHeaders },
        ));
        let led = ethernet(&[(TAG, 5)], V6, &ipv6_with(IpNumber::IPV6_HEADER_HOP_BY_HOP, &first, |_| {}));
        shapes.push((
            "behind hop-by-hop",
            led,
            if count < 6 { End::Redirected } else { End::TooManyHeaders },
        ));
        chain = first;
    }
    // Cut anywhere before the end of the fixed UDP header.
    for whole in [
        ethernet(&[], V4, &ipv4(&u)),
        ethernet(&[(TAG, 1), (TAG, 2)], V4, &ipv4(&u)),
        ethernet(&[(TAG, 1)], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.options = [1; 8].into())),
        ethernet(
            &[],
            V6,
            &ipv6_with(IpNumber::IPV6_HEADER_HOP_BY_HOP, &extension(IpNumber::UDP, &u), |_| {}),
        ),
    ] {
        for length in 14..whole.len() - 40 {
            shapes.push(("cut", whole[..length].to_vec(), End::Truncated));
        }
    }
    shapes
}

#[test]
fn every_shape_ends_as_it_must_and_no_octet_changes() {
    let (mut programs, row, _sockets) =
        programs(&LoadSettings::new(KEY, RING_ROOM), [SlotState::Millrace; 64]);
    let shapes = shapes();
    assert!(shapes.len() > 200);
    for (name, frame, end) in &shapes {
        let before = programs.tables.counters.frame_ends().unwrap();
        let run = programs.run_frame(frame, 1).unwrap();
        let verdict = if *end == PacketEnd::Redirected { REDIRECT } else { PASS };
        assert_eq!(run.verdict, verdict, "{name}, {} octets", frame.len());
        assert_eq!(&run.frame, frame, "{name}");
        let mut expected = before;
        expected[end.index()] += 1;
        let after = programs.tables.counters.frame_ends().unwrap();
        assert_eq!(after, expected, "{name}, {} octets, must be {}", frame.len(), end.name());
    }
    let ends = programs.tables.counters.frame_ends().unwrap();
    assert_eq!(ends.iter().sum::<u64>(), shapes.len() as u64);
    let redirected: u64 = (0..64).map(|slot| programs.tables.counters.redirected(row, slot).unwrap()).sum();
    assert_eq!(redirected, ends[PacketEnd::Redirected.index()]);
}

#[test]
fn slots_in_every_state() {
    let cases = [
        (SlotState::Millrace, false, PacketEnd::Redirected, REDIRECT),
        (SlotState::Empty, false, PacketEnd::EmptySlot, PASS),
        (SlotState::Empty, true, PacketEnd::EmptySlot, DROP),
        (SlotState::Foreign, false, PacketEnd::ForeignSlot, PASS),
        (SlotState::Draining, false, PacketEnd::SlotMoving, PASS),
        (SlotState::Moving, false, PacketEnd::SlotMoving, PASS),
    ];
    let frame = ethernet(&[], V4, &ipv4(&udp(IPFIX, 40)));
    for (state, drop_empty_udp, end, verdict) in cases {
        let mut states = [SlotState::Millrace; 64];
        states[slot_of(ROUTER_4.into()) as usize] = state;
        let settings = LoadSettings { drop_empty_udp, ..LoadSettings::new(KEY, RING_ROOM) };
        let (mut programs, _row, _sockets) = programs(&settings, states);
        assert_eq!(programs.run_frame(&frame, 3).unwrap().verdict, verdict, "{state:?}");
        assert_eq!(programs.tables.counters.frame_ends().unwrap()[end.index()], 3, "{state:?}");
    }
}

#[test]
fn a_slot_without_ring_and_a_queue_without_row_pass() {
    let (mut programs, row, _sockets) =
        programs(&LoadSettings::new(KEY, RING_ROOM), [SlotState::Millrace; 64]);
    let frame = ethernet(&[], V4, &ipv4(&udp(IPFIX, 40)));
    let slot = slot_of(ROUTER_4.into());
    programs.tables.rings.remove(row, slot).unwrap();
    assert_eq!(programs.run_frame(&frame, 1).unwrap().verdict, PASS);
    programs.tables.rings.remove_row(LOOPBACK, 0).unwrap();
    assert_eq!(programs.run_frame(&frame, 1).unwrap().verdict, PASS);
    let counters = &programs.tables.counters;
    assert_eq!(counters.frame_ends().unwrap()[PacketEnd::NoRing.index()], 2);
    assert_eq!(counters.redirected(row, slot).unwrap(), 0);
}

#[test]
fn a_damaged_table_passes_and_says_so() {
    let (mut programs, _row, _sockets) =
        programs(&LoadSettings::new(KEY, RING_ROOM), [SlotState::Millrace; 64]);
    let mut damaged = table([SlotState::Millrace; 64]);
    damaged.slots = [64; BUCKETS as usize];
    programs.tables.steering.install(&damaged).unwrap();
    let frame = ethernet(&[], V4, &ipv4(&udp(IPFIX, 40)));
    assert_eq!(programs.run_frame(&frame, 1).unwrap().verdict, PASS);
    assert_eq!(programs.tables.counters.frame_ends().unwrap()[PacketEnd::Internal.index()], 1);
}

#[test]
fn the_kernel_and_user_space_choose_the_same_slot() {
    let (mut programs, row, _sockets) =
        programs(&LoadSettings::new(KEY, RING_ROOM), [SlotState::Millrace; 64]);
    let mut expected = [0_u64; 64];
    let mut sources = BTreeSet::new();
    for number in 0..2_000_u64 {
        // Any well-mixed numbers do: the hash of the number under another key.
        let random = router_hash(octets_of(IpAddr::from(u128::from(number).to_be_bytes())), [9; 16]);
        let (source, frame): (IpAddr, _) = if number % 2 == 0 {
            let [a, b, c, d, ..] = random.to_be_bytes();
            let rest = ipv4_with(IpNumber::UDP, &udp(IPFIX, 40), |ip| ip.source = [a, b, c, d]);
            ([a, b, c, d].into(), ethernet(&[], V4, &rest))
        } else {
            let mut source = ROUTER_6;
            source[8..].copy_from_slice(&random.to_be_bytes());
            let rest = ipv6_with(IpNumber::UDP, &udp(IPFIX, 40), |ip| ip.source = source);
            (source.into(), ethernet(&[(TAG, 3)], V6, &rest))
        };
        sources.insert(source);
        let slot = slot_of(source);
        expected[slot as usize] += 1;
        assert_eq!(programs.run_frame(&frame, 1).unwrap().verdict, REDIRECT);
        assert_eq!(
            programs.tables.counters.redirected(row, slot).unwrap(),
            expected[slot as usize],
            "{source}"
        );
    }
    let counted = std::array::from_fn(|slot| programs.tables.counters.redirected(row, slot as u32).unwrap());
    assert_eq!(expected, counted);
    assert!(expected.iter().all(|&count| count > 0), "2,000 sources fall on every one of 64 slots");
    let seen: BTreeMap<_, _> = programs.tables.routers_seen.list().unwrap().into_iter().collect();
    assert_eq!(seen.len(), sources.len());
    assert!(sources.iter().all(|source| seen[source] > 0));
}

#[test]
fn a_router_is_seen_again() {
    let (mut programs, _row, _sockets) =
        programs(&LoadSettings::new(KEY, RING_ROOM), [SlotState::Millrace; 64]);
    let frame = ethernet(&[], V4, &ipv4(&udp(IPFIX, 40)));
    programs.run_frame(&frame, 1).unwrap();
    let [(router, first)] = programs.tables.routers_seen.list().unwrap()[..] else { panic!("one router") };
    assert_eq!(router, IpAddr::from(ROUTER_4));
    // A period is 256 ticks of the clock: 2.6 s at 100 Hz.
    let refreshed = (0..60).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        programs.run_frame(&frame, 1).unwrap();
        programs.tables.routers_seen.list().unwrap()[0].1 > first
    });
    assert!(refreshed);
    let settings = LoadSettings { last_seen: false, ..LoadSettings::new(KEY, RING_ROOM) };
    let (mut programs, _row, _sockets) = self::programs(&settings, [SlotState::Millrace; 64]);
    programs.run_frame(&frame, 1).unwrap();
    assert_eq!(programs.tables.routers_seen.list().unwrap(), []);
}

#[test]
fn an_alias_is_its_router() {
    let settings = LoadSettings { aliases: true, alias_prefixes: true, ..LoadSettings::new(KEY, RING_ROOM) };
    let (mut programs, row, _sockets) = programs(&settings, [SlotState::Millrace; 64]);
    let (exact, by_prefix, other): (IpAddr, IpAddr, IpAddr) =
        ([198, 51, 100, 8].into(), [203, 0, 113, 77].into(), [198, 51, 100, 9].into());
    let router: IpAddr = ROUTER_6.into();
    let aliases = &mut programs.tables.aliases;
    aliases.insert(other, router).unwrap();
    aliases.insert_prefix([198, 51, 100, 0].into(), 25, router).unwrap();
    let changed = aliases.replace(&[(exact, router)].into()).unwrap();
    assert_eq!((changed.added, changed.removed), (1, 1));
    let changed = aliases.replace_prefixes(&[(([203, 0, 113, 0].into(), 24), router)].into()).unwrap();
    assert_eq!((changed.added, changed.removed), (1, 1));
    for (source, slot) in [(exact, slot_of(router)), (by_prefix, slot_of(router)), (other, slot_of(other))] {
        let IpAddr::V4(address) = source else { unreachable!("the sources are IPv4") };
        let rest = ipv4_with(IpNumber::UDP, &udp(IPFIX, 40), |ip| ip.source = address.octets());
        let before = programs.tables.counters.redirected(row, slot).unwrap();
        programs.run_frame(&ethernet(&[], V4, &rest), 1).unwrap();
        assert_eq!(programs.tables.counters.redirected(row, slot).unwrap(), before + 1, "{source}");
    }
}
