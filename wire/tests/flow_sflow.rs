//! sFlow: what the encoder writes is what the views read, and no octets make them panic or read outside.

#[path = "walk/sflow.rs"]
mod walk;

use proptest::collection::vec;
use proptest::prelude::*;
use walk::{Found, walk};
use wire::emit::sflow as emit;
use wire::frame::{Headers, Start};
use wire::sflow::sample::{Interface, Sample, Source};
use wire::sflow::{Address, Datagram, Format};

const PORT: Source = Source { kind: 0, index: 17 };

/// One sample of each kind, with records of every shape.
fn datagram() -> Vec<u8> {
    let mut datagram = emit::Datagram::new(Address::Ipv6([0x20; 16]), 1, 2, 3);
    let mut sample = emit::Sample::flow(1, PORT, 512, 9_000, 0, (17, 18));
    let packet = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
        0, 53, 0, 53, 0, 8, 0, 0, // UDP
    ];
    sample.raw_header(1, 60, 4, &packet);
    let mut gateway = Vec::new();
    emit::address(&mut gateway, Address::Ipv4([192, 0, 2, 9]));
    emit::words(&mut gateway, &[65_000, 65_001, 65_002, 1, 2, 2, 65_003, 65_004, 1, 0x0001_0002, 100]);
    sample.record(Format::standard(1003), &gateway);
    let mut user = Vec::new();
    emit::words(&mut user, &[106]);
    emit::opaque(&mut user, b"alice");
    emit::words(&mut user, &[106]);
    emit::opaque(&mut user, b"");
    sample.record(Format::standard(1004), &user);
    datagram.sample(sample);
    datagram.sample(emit::Sample::flow(2, Source { kind: 0, index: 1 << 24 }, 512, 9_001, 0, (1 << 30, 5)));
    let mut counters = emit::Sample::counters(3, PORT);
    counters.record(Format::standard(1), &[1; 88]).record(Format { enterprise: 9, number: 1 }, &[9; 8]);
    datagram.sample(counters);
    let mut discarded = emit::Sample::discarded(4, PORT, 1, (17, 0), 256);
    discarded.raw_header(11, 40, 0, &packet[14..]);
    datagram.sample(discarded);
    datagram.finish()
}

#[test]
fn what_was_written_is_read() {
    let octets = datagram();
    let items = 4 + 7 + 4 + 19 + 4;
    let fields = (3 + 9 + 3) + 2 + 1 + (9 + 3);
    assert_eq!(walk(&octets), Found { samples: 4, records: 6, items, fields, errors: 0 });

    let datagram = Datagram::parse(&octets).unwrap();
    assert_eq!((datagram.agent, datagram.sequence, datagram.count), (Address::Ipv6([0x20; 16]), 2, 4));
    let samples: Vec<_> = datagram.samples().map(Result::unwrap).collect();
    let (Sample::Flow(compact), Sample::Flow(expanded)) = (samples[0], samples[1]) else { panic!() };
    assert_eq!((compact.source, compact.sampling_rate, compact.input), (PORT, 512, Interface::Port(17)));
    assert_eq!((expanded.source.index, expanded.input), (1 << 24, Interface::Port(1 << 30)));
}

#[test]
fn cut_anywhere_and_any_bit_flipped() {
    let octets = datagram();
    let whole = walk(&octets);
    let mut samples = 0;
    for end in 0..octets.len() {
        let found = walk(&octets[..end]);
        assert!(found.errors > 0 && found.samples >= samples && found.samples <= whole.samples, "{end}");
        samples = found.samples;
    }
    for bit in 0..octets.len() * 8 {
        let mut flipped = octets.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        walk(&flipped);
    }
}

proptest! {
    /// What a sample says is read as it was written, compact or expanded as its numbers need, and records whose
    /// format nobody knows keep their octets.
    #[test]
    fn samples_of_any_numbers(
        numbers: [u32; 5],
        index in prop_oneof![0_u32..1 << 24, 1_u32 << 24..1 << 30],
        ports in (1_u32..0x3fff_ffff, 1_u32..0x3fff_ffff),
        agent: [u8; 16],
        records in vec((1_u32..1 << 20, 1_u16..4096, vec(any::<u8>(), 0..40)), 0..5),
    ) {
        let [sequence, rate, pool, drops, uptime] = numbers;
        let source = Source { kind: 0, index };
        let mut sample = emit::Sample::flow(sequence, source, rate, pool, drops, ports);
        let padded: Vec<_> = records
            .iter()
            .map(|(enterprise, number, body)| {
                let mut body = body.clone();
                body.resize(body.len().next_multiple_of(4), 0);
                (Format { enterprise: *enterprise, number: *number }, body)
            })
            .collect();
        for (format, body) in &padded {
            sample.record(*format, body);
        }
        let mut datagram = emit::Datagram::new(Address::Ipv6(agent), 7, sequence, uptime);
        datagram.sample(sample);
        let octets = datagram.finish();

        let datagram = Datagram::parse(&octets).unwrap();
        prop_assert_eq!((datagram.agent, datagram.sub_agent, datagram.uptime_ms), (Address::Ipv6(agent), 7, uptime));
        let samples: Vec<_> = datagram.samples().map(Result::unwrap).collect();
        let [Sample::Flow(flow)] = samples[..] else { panic!("{samples:?}") };
        prop_assert_eq!((flow.sequence, flow.source, flow.sampling_rate), (sequence, source, rate));
        prop_assert_eq!((flow.pool, flow.drops), (pool, drops));
        prop_assert_eq!((flow.input, flow.output), (Interface::Port(ports.0), Interface::Port(ports.1)));
        let read: Vec<_> = samples[0]
            .records()
            .map(|record| record.map(|record| (record.format, record.body.rest().to_vec())).unwrap())
            .collect();
        prop_assert_eq!(read, padded);
    }

    #[test]
    fn any_octets(mut octets in vec(any::<u8>(), 0..300)) {
        walk(&octets);
        if let Some(start) = octets.first_chunk_mut::<8>() {
            *start = [0, 0, 0, 5, 0, 0, 0, 1];
        }
        walk(&octets);
    }

    #[test]
    fn any_packet(octets in vec(any::<u8>(), 0..100), ethernet: bool, ether_type in 0_usize..7) {
        let mut octets = octets;
        if let Some(place) = octets.get_mut(12..14) {
            let types = [0x0800_u16, 0x86dd, 0x8847, 0x8100, 0x88a8, 0x9100, 0x0806];
            place.copy_from_slice(&types[ether_type].to_be_bytes());
        }
        let starts = if ethernet { [Start::Ethernet].to_vec() } else { vec![Start::Ipv4, Start::Ipv6, Start::Mpls] };
        for start in starts {
            let headers = Headers::read(start, wire::Cursor::new(&octets));
            prop_assert!(headers.fields().count() <= 40);
            prop_assert!(headers.payload().offset() <= octets.len());
        }
    }
}

/// What each hostile seed of the fuzzer holds: (file, records, items, errors).
const SEEDS: [(&str, usize, usize, usize); 7] = [
    ("gateway-counts-2-32", 1, 4, 1),
    ("ipv4-header-length-60", 1, 4, 0),
    ("ipv6-extension-headers", 1, 4, 0),
    ("mpls-without-bottom", 1, 4, 0),
    ("opaque-length-2-32", 1, 3, 1),
    ("record-count-2-32", 0, 0, 1),
    ("sample-count-2-32", 0, 0, 1),
];

#[test]
fn attacks_end_as_they_should() {
    for (name, records, items, errors) in SEEDS {
        let path = format!("{}/fuzz/seeds/sflow/{name}", env!("CARGO_MANIFEST_DIR"));
        let found = walk(&std::fs::read(path).unwrap());
        assert_eq!((found.records, found.items, found.errors), (records, items, errors), "{name}");
    }
}

/// Every seed, whatever it holds: the fuzzer's finds are added to the folder.
#[test]
fn seeds_are_read_to_the_end() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/sflow");
    let read = std::fs::read_dir(seeds).unwrap().map(|seed| {
        walk(&std::fs::read(seed.unwrap().path()).unwrap());
    });
    assert!(read.count() >= SEEDS.len());
}
