//! Counts that ask for memory, in sFlow: attack 10 of the list, with its counters and its neighbours.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/agents.rs"]
mod agents;
#[path = "kit/exporters.rs"]
mod exporters;

use agents::{SOURCE, counters, datagram, flow};
use collector::batch::BatchLimits;
use collector::ledger::{Kind, MessageEnd, Protocol, RecordEnd};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Input};
use exporters::Rig;
use wire::emit::sflow::{Sample, address, words};
use wire::sflow::{Address, Format};

fn rig() -> Rig {
    let mut rig = Rig::new(&[], BatchLimits { rows: 256, octets: 1 << 20 }, 8, Settings::default());
    let settings = Settings { ports: vec![(6343, PortProtocol::Sflow)], ..Settings::default() };
    rig.collector = Collector::new(settings, rig.collector.schemas().clone());
    rig
}

fn send(rig: &mut Rig, payload: &[u8]) {
    let input = Input::Datagram {
        from: "192.0.2.1:50000".parse().unwrap(),
        to: "192.0.2.9:6343".parse().unwrap(),
        payload,
    };
    assert_eq!(rig.collector.accept(rig.now, input, &mut rig.outlet), payload.len());
    assert_eq!(rig.collector.ledgers().unexplained(), 0);
}

#[test]
fn attack_10_counts_of_two_to_the_thirty_two() {
    let mut rig = rig();
    let good = || vec![flow(1, [192, 0, 2, 1], [198, 51, 100, 7], 0x0a00_0001), counters(1)];
    // A gateway record whose AS path has 2^32 - 1 segments, then one whose communities have as many.
    let mut path = Vec::new();
    address(&mut path, Address::Ipv4([192, 0, 2, 9]));
    words(&mut path, &[65_000, 65_001, 65_002, u32::MAX, 2, u32::MAX, 7]);
    let mut evil = Sample::flow(2, SOURCE, 512, 9_000, 0, (3, 4));
    evil.record(Format::standard(1003), &path);
    let mut samples = good();
    samples.push(evil);
    let mut hostile = vec![datagram(1, samples)];
    // The count of samples, the count of records of the first sample, the length of a record: all 2^32 - 1.
    for at in [24, 64, 72] {
        let mut octets = datagram(2, good());
        octets[at..at + 4].copy_from_slice(&[0xff; 4]);
        hostile.push(octets);
    }
    let used = allocation_counter::measure(|| hostile.iter().for_each(|payload| send(&mut rig, payload)));
    assert!(used.bytes_max < 1 << 20, "{used:?}");
    let ledgers = rig.collector.ledgers();
    let sampled = ledgers.records[Kind::Sample.index()][RecordEnd::Row.index()];
    let counted = ledgers.records[Kind::Counters.index()][RecordEnd::Row.index()];
    // Samples before the damage are rows; the damaged ones are told.
    assert!(sampled >= 3 && counted >= 2, "{sampled} {counted}");
    let ends = ledgers.messages[Protocol::Sflow.index()];
    assert!(ends[MessageEnd::Partial.index()] + ends[MessageEnd::Malformed.index()] >= 2, "{ends:?}");
    let before = sampled;
    send(&mut rig, &datagram(9, good()));
    assert_eq!(rig.records(Kind::Sample, RecordEnd::Row), before + 1);
}
