//! What XDP says to frames of every shape: verdict, counter, and every octet of the frame unchanged.
//!
//! Runs the program by `BPF_PROG_TEST_RUN` on queue 0 of the loopback device: nothing is attached and nothing
//! is sent. Needs CAP_BPF and CAP_NET_ADMIN, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "verdicts/shapes.rs"]
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use control::ebpf::{LoadSettings, Programs};
use dataplane_common::map::{PORT_TCP, PORT_UDP, Port, SlotState, Steering};
use dataplane_common::{BUCKETS, MAX_SLOTS, PacketEnd, bucket, octets_of, router_hash};
use etherparse::IpNumber;
use shapes::{
    BMP, HERE_4, HERE_6, IPFIX, RING_ROOM, ROUTER_4, ROUTER_6, TAG, V4, V6, ethernet, ipv4, ipv4_with,
    ipv6_with, shapes, udp,
};

const KEY: [u8; 16] = *b"a key of a test.";

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
