//! Rules, rates and the list of exporters in XDP: verdict, counter and octets, thousands of rules at once.
//!
//! Needs root, and fails without. Each test runs itself again in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use control::ebpf::tables::rules::Entry;
use control::ebpf::{Forward, LoadSettings, Programs, RuleBlocks};
use dataplane_common::map::rules::{ALLOW, DENY, Exporter, Match, Policer, Rule};
use dataplane_common::map::{PORT_TCP, PORT_UDP, Port};
use dataplane_common::{PacketEnd as End, octets_of};
use lab::frame::Frame;
use rig::{
    DROP, IN0, NEXT, OUT0, PASS, REDIRECT, Rig, SENDER, SHAPES, address, datagram, in_own_namespace, router,
    sized,
};

/// A prefix as bits and mask.
fn prefix(address: IpAddr, bits: u32) -> ([u8; 16], [u8; 16]) {
    let bits = if address.is_ipv4() { bits + 96 } else { bits };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    (octets_of(address), mask.to_be_bytes())
}

/// An entry that compares nothing yet.
fn entry(order: u32, action: u8) -> Entry {
    let rule = Rule { order, counter: order, action, ..Rule::default() };
    Entry { bits: Match::default(), mask: Match::default(), rule }
}

fn from(order: u32, action: u8, source: IpAddr, bits: u32) -> Entry {
    let mut entry = entry(order, action);
    (entry.bits.source, entry.mask.source) = prefix(source, bits);
    entry
}

fn to_port(order: u32, action: u8, protocol: u8, port: u16) -> Entry {
    let mut entry = entry(order, action);
    (entry.bits.protocol, entry.mask.protocol) = (protocol, 0xff);
    (entry.bits.destination_port, entry.mask.destination_port) = (port, 0xffff);
    entry
}

/// A datagram from any source through the router.
fn datagram_from(source: IpAddr, port: u16) -> Frame {
    let to = SocketAddr::new(address(source.is_ipv6(), 3, 1), port);
    Frame::udp(SocketAddr::new(source, 40_000), to, &[5; 40]).macs(SENDER, IN0)
}

fn verdict_of(rig: &mut Rig, frame: &[u8]) -> (u32, End) {
    let before = rig.programs.tables.counters.frame_ends().unwrap();
    let run = rig.programs.run_frame(frame, 1).unwrap();
    let after = rig.programs.tables.counters.frame_ends().unwrap();
    let end = *End::ALL.iter().find(|end| after[end.index()] != before[end.index()]).unwrap();
    if run.verdict != REDIRECT {
        assert_eq!(run.frame, frame, "{}", end.name());
    }
    (run.verdict, end)
}

fn rig(rules: RuleBlocks) -> Rig {
    router();
    Rig::with(LoadSettings { rules, forward: Some(Forward::default()), ..LoadSettings::new([3; 16], 2_048) })
}

#[test]
fn the_first_rule_that_matches_decides_on_both_sides() {
    if !in_own_namespace("the_first_rule_that_matches_decides_on_both_sides") {
        return;
    }
    let mut rig = rig(RuleBlocks { arriving: true, forwarded: true, exporters: false });
    rig.arrives(SHAPES[1], rig.ingress());
    let (good, bad): (IpAddr, IpAddr) = ([10, 1, 0, 9].into(), [10, 1, 0, 66].into());
    let six: IpAddr = "fd01::66".parse().unwrap();
    let mut vlan = entry(9, DENY);
    (vlan.bits.vlan, vlan.mask.vlan) = (10, 0x0fff);
    let mut out = entry(21, DENY);
    (out.bits.device, out.mask.device) = (rig.out0, u32::MAX);
    (out.bits.destination_port, out.mask.destination_port) = (99, 0xffff);
    let arriving = [
        to_port(3, ALLOW, 17, 53),
        from(5, DENY, bad, 32),
        from(6, DENY, six, 64),
        from(4, ALLOW, six, 128),
        to_port(7, DENY, 17, 161),
        vlan,
    ];
    assert_eq!(rig.programs.tables.rules.replace([&arriving, &[out]]).unwrap().added, 7);
    let mut meets = |frame: Frame, verdict, end| {
        assert_eq!(verdict_of(&mut rig, &frame.octets()), (verdict, end));
    };
    meets(datagram_from(good, 80), REDIRECT, End::Forwarded);
    meets(datagram_from(bad, 80), DROP, End::Denied);
    meets(datagram_from(bad, 53), REDIRECT, End::Forwarded);
    meets(datagram_from(good, 161), DROP, End::Denied);
    meets(datagram_from("fd01::67".parse().unwrap(), 80), DROP, End::Denied);
    meets(datagram_from(six, 80), REDIRECT, End::Forwarded);
    meets(datagram_from(good, 80).tag(10), DROP, End::Denied);
    meets(datagram_from(good, 99), DROP, End::EgressDenied);
    // Whatever carries the address is denied: fragments, other protocols, and what is for this host.
    let fragments =
        Frame::udp(SocketAddr::new(bad, 1), SocketAddr::new(address(false, 3, 1), 80), &[1; 3_000])
            .fragments(7, 1_200);
    for fragment in fragments {
        assert_eq!(verdict_of(&mut rig, &fragment), (DROP, End::Denied));
    }
    let here = Frame::udp(SocketAddr::new(bad, 1), SocketAddr::new(address(false, 1, 1), 80), &[1; 30]);
    assert_eq!(verdict_of(&mut rig, &here.macs(SENDER, IN0).octets()), (DROP, End::Denied));
    // What carries no IP meets no rule.
    assert_eq!(
        verdict_of(&mut rig, &[&[0xff; 6][..], &SENDER, &[8, 6], &[0; 28]].concat()),
        (PASS, End::NotIp)
    );
    let rules = &mut rig.programs.tables.rules;
    let hits = [3, 4, 5, 6, 7, 9, 21].map(|counter| rules.hits(counter).unwrap());
    assert_eq!(hits, [1, 1, 5, 1, 1, 1, 1]);
    // New rules take the place of the old ones at once.
    assert_eq!(rules.replace([&[from(0, DENY, good, 32)], &[]]).unwrap().removed, 7);
    assert_eq!(verdict_of(&mut rig, &datagram_from(good, 80).octets()), (DROP, End::Denied));
    assert_eq!(verdict_of(&mut rig, &datagram_from(bad, 80).octets()), (REDIRECT, End::Forwarded));
    assert_eq!(rig.programs.tables.rules.replace([&[], &[]]).unwrap().removed, 1);
    assert_eq!(verdict_of(&mut rig, &datagram_from(good, 99).octets()), (REDIRECT, End::Forwarded));
}

#[test]
fn twenty_thousand_rules_in_sixteen_shapes() {
    if !in_own_namespace("twenty_thousand_rules_in_sixteen_shapes") {
        return;
    }
    let mut rig = rig(RuleBlocks { arriving: true, ..RuleBlocks::default() });
    // Prefix lengths 17 to 32: of those that hold an address the lowest order decides, here the longest.
    let mut entries = Vec::new();
    for bits in 17..=32_u32 {
        for n in 0..1_250_u32 {
            let source = Ipv4Addr::from(0x6400_0000 | n << 15 | (n & 0x7fff));
            entries.push(from(
                (32 - bits) * 10_000 + n,
                if bits % 2 == 0 { DENY } else { ALLOW },
                source.into(),
                bits,
            ));
        }
    }
    rig.programs.tables.rules.replace([&entries, &[]]).unwrap();
    for n in (0..1_250_u32).step_by(50) {
        for flipped in 0..16_u32 {
            // The last bit that differs from the rules' address decides how long a prefix still holds it.
            let source = Ipv4Addr::from((0x6400_0000 | n << 15 | (n & 0x7fff)) ^ (1 << flipped) >> 1);
            let longest = if flipped == 0 { 32 } else { 32 - flipped };
            let expected = if longest % 2 == 0 { (DROP, End::Denied) } else { (REDIRECT, End::Forwarded) };
            let frame = datagram_from(source.into(), 80).octets();
            assert_eq!(verdict_of(&mut rig, &frame), expected, "{source}, {longest} bits");
        }
    }
}

#[test]
fn a_rate_passes_its_burst_each_source_its_own() {
    if !in_own_namespace("a_rate_passes_its_burst_each_source_its_own") {
        return;
    }
    let mut rig = rig(RuleBlocks { arriving: true, ..RuleBlocks::default() });
    // One packet an hour, bucket of five; of octets one kilobyte.
    let hour = 3_600_000_000_000;
    let rate = Policer { packet_ns: hour, burst_ns: 5 * hour, ..Policer::default() };
    rig.programs.tables.rules.set_policer(1, rate).unwrap();
    rig.programs.tables.rules.set_policer(2, Policer { per_source: 1, ..rate }).unwrap();
    let octets = Policer { octet_ps: hour, burst_ns: hour, ..Policer::default() };
    rig.programs.tables.rules.set_policer(3, octets).unwrap();
    let limited = |port, policer| {
        let mut entry = to_port(policer, ALLOW, 17, port);
        entry.rule.policer = policer;
        entry
    };
    rig.programs.tables.rules.replace([&[limited(81, 1), limited(82, 2), limited(83, 3)], &[]]).unwrap();
    let mut passed = |source: u8, port: u16, frames: usize| {
        let frame = datagram_from([10, 1, 0, source].into(), port).octets();
        let ends: Vec<_> = (0..frames).map(|_| verdict_of(&mut rig, &frame)).collect();
        let passed = ends.iter().take_while(|end| **end == (REDIRECT, End::Forwarded)).count();
        assert!(ends[passed..].iter().all(|end| *end == (DROP, End::Policed)), "{ends:?}");
        passed
    };
    assert_eq!((passed(9, 81, 4), passed(10, 81, 4)), (4, 1));
    assert_eq!((passed(9, 82, 8), passed(10, 82, 8)), (5, 5));
    // Frames of 82 octets: twelve are 984, the thirteenth does not fit a thousand.
    assert_eq!(passed(9, 83, 20), 12);
    let rules = &rig.programs.tables.rules;
    assert_eq!((rules.dropped(1).unwrap(), rules.dropped(2).unwrap(), rules.dropped(3).unwrap()), (3, 0, 8));
    let of: Vec<_> = rules.dropped_by_source().unwrap().into_iter().collect();
    assert_eq!(of, [((2, [10, 1, 0, 9].into()), 3), ((2, [10, 1, 0, 10].into()), 3)]);
}

#[test]
fn only_listed_exporters_within_their_rate() {
    if !in_own_namespace("only_listed_exporters_within_their_rate") {
        return;
    }
    let blocks = RuleBlocks { exporters: true, ..RuleBlocks::default() };
    let settings = LoadSettings { rules: blocks, ..LoadSettings::new([3; 16], 2_048) };
    let mut programs = Programs::load(&settings).unwrap();
    let here: IpAddr = [192, 0, 2, 10].into();
    let tables = &mut programs.tables;
    tables.local_addresses.insert(here).unwrap();
    tables.ports.set(4739, Port { transports: PORT_UDP, ..Port::default() }).unwrap();
    tables.ports.set(1790, Port { transports: PORT_TCP, ..Port::default() }).unwrap();
    let hour = 3_600_000_000_000;
    let rate = Policer { packet_ns: hour, burst_ns: 3 * hour, per_source: 1, ..Policer::default() };
    tables.rules.set_policer(7, rate).unwrap();
    let allow = |policer| Exporter { action: u32::from(ALLOW), policer };
    let deny = Exporter { action: u32::from(DENY), policer: 0 };
    let listed = [
        (([198, 51, 100, 0].into(), 24), allow(0)),
        (([198, 51, 100, 128].into(), 25), allow(7)),
        (([198, 51, 100, 13].into(), 32), deny),
    ];
    let changed = tables.rules.replace_exporters(&listed.into()).unwrap();
    assert_eq!((changed.added, changed.removed), (3, 0));
    let mut end = |source: [u8; 4], port: u16| {
        let (from, to) = (SocketAddr::new(source.into(), 9_995), SocketAddr::new(here, port));
        let frame = if port == 1790 { Frame::syn(from, to) } else { Frame::udp(from, to, &[1; 20]) };
        let before = programs.tables.counters.frame_ends().unwrap();
        let run = programs.run_frame(&frame.octets(), 1).unwrap();
        let after = programs.tables.counters.frame_ends().unwrap();
        let end = *End::ALL.iter().find(|end| after[end.index()] != before[end.index()]).unwrap();
        (run.verdict, end)
    };
    // No slot is anybody's here: telemetry that is taken ends there.
    let taken = (PASS, End::EmptySlot);
    assert_eq!(end([198, 51, 100, 7], 4739), taken);
    assert_eq!(end([198, 51, 101, 7], 4739), (DROP, End::ExporterDenied));
    assert_eq!(end([198, 51, 100, 13], 4739), (DROP, End::ExporterDenied));
    assert_eq!(end([198, 51, 101, 7], 1790), (DROP, End::ExporterDenied));
    assert_eq!(end([198, 51, 100, 7], 1790), (PASS, End::Stream));
    assert_eq!(end([198, 51, 101, 7], 53), (PASS, End::NotTelemetry));
    for source in [200, 201] {
        let ends: Vec<_> = (0..5).map(|_| end([198, 51, 100, source], 4739)).collect();
        let above = (DROP, End::ExporterPoliced);
        assert_eq!(ends, [taken, taken, taken, above, above]);
    }
    // Each drop is counted to its exporter.
    let of: Vec<_> = programs.tables.rules.dropped_by_source().unwrap().into_iter().collect();
    let at = |policer, last: [u8; 4], count| ((policer, IpAddr::from(last)), count);
    let expected = [
        at(0, [198, 51, 100, 13], 1),
        at(0, [198, 51, 101, 7], 2),
        at(7, [198, 51, 100, 200], 2),
        at(7, [198, 51, 100, 201], 2),
    ];
    assert_eq!(of, expected);
}

#[test]
fn rules_change_no_octet_of_what_passes() {
    if !in_own_namespace("rules_change_no_octet_of_what_passes") {
        return;
    }
    let mut rig = rig(RuleBlocks { arriving: true, forwarded: true, exporters: true });
    rig.programs.tables.rules.replace([&[entry(1, ALLOW)], &[entry(2, ALLOW)]]).unwrap();
    for arriving in SHAPES {
        rig.arrives(arriving, rig.ingress());
        for v6 in [false, true] {
            let to = address(v6, 3, 1);
            let out = datagram(to, &[]).macs(OUT0, NEXT).hop_limit(63).octets();
            rig.meets("allowed", &datagram(to, arriving).octets(), End::Forwarded, Some(&out));
            rig.meets(
                "long",
                &sized(address(v6, 7, 1), arriving, 1_400).octets(),
                End::FragmentationNeeded,
                None,
            );
        }
    }
    assert_eq!(rig.programs.tables.rules.hits(1).unwrap(), 16);
    assert_eq!(rig.programs.tables.rules.hits(2).unwrap(), 8);
}

#[test]
fn blocks_that_are_off_cost_no_instruction() {
    let forward = |change: fn(&mut Forward)| {
        let mut forward =
            Forward { vlans: false, bonds: false, bridges: false, next_hops: false, port_counters: false };
        change(&mut forward);
        LoadSettings { forward: Some(forward), ..LoadSettings::new([3; 16], 2_048) }
    };
    let rules = |change: fn(&mut RuleBlocks), settings: LoadSettings| {
        let mut rules = RuleBlocks::default();
        change(&mut rules);
        LoadSettings { rules, ..settings }
    };
    let instructions = |name: &str, settings: &LoadSettings| {
        let size = Programs::load(settings).unwrap().size().unwrap();
        println!("{name:<34}{:>6} instructions, {:>7} verified", size.instructions, size.verified);
        assert!(size.instructions > 0 && size.verified < 300_000, "{size:?}");
        size.instructions
    };
    let off = LoadSettings::new([3; 16], 2_048);
    let bare = instructions("telemetry alone", &off);
    let plain = instructions("forwarding, untagged", &forward(|_| {}));
    assert!(bare + 100 < plain, "{bare} and {plain}");
    for (name, block) in [
        ("forwarding, VLANs", forward(|forward| forward.vlans = true)),
        ("forwarding, bonds", forward(|forward| forward.bonds = true)),
        ("forwarding, bridges", forward(|forward| forward.bridges = true)),
        ("forwarding, next hops", forward(|forward| forward.next_hops = true)),
        ("forwarding, counters by port", forward(|forward| forward.port_counters = true)),
        ("forwarding, rules", rules(|rules| rules.forwarded = true, forward(|_| {}))),
    ] {
        assert!(instructions(name, &block) > plain, "{name}");
    }
    for (name, block) in [
        ("telemetry, rules", rules(|rules| rules.arriving = true, off.clone())),
        ("telemetry, list of exporters", rules(|rules| rules.exporters = true, off)),
    ] {
        assert!(instructions(name, &block) > bare, "{name}");
    }
    let everything = RuleBlocks { arriving: true, forwarded: true, exporters: true };
    let all = LoadSettings {
        forward: Some(Forward::default()),
        rules: everything,
        ..LoadSettings::new([3; 16], 2_048)
    };
    instructions("everything", &all);
}
