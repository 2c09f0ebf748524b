//! sFlow datagrams in: rows of samples and counters, joined with the exporter's routes; every datagram and sample
//! has one end, whatever the octets are.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/agents.rs"]
mod agents;
#[path = "kit/exporters.rs"]
mod exporters;
#[path = "kit/station.rs"]
mod station;

use agents::{counters, datagram, discarded, flow, of_agent};
use collector::batch::BatchLimits;
use collector::ledger::{FlowEvent, JoinEnd, Kind, MessageEnd, Protocol, RecordEnd};
use collector::message::Context;
use collector::outlet::Lease;
use collector::saved::Refused;
use collector::schema::{Origin, RecordField, RouteField, Side, TableId};
use collector::{Collector, Input, Settings, StreamId};
use exporters::{Rig, SECOND, field, integer, octets};
use proptest::prelude::*;
use wire::sflow::{Address, Format};

const PORT: u16 = 6343;
const LIMITS: BatchLimits = BatchLimits { rows: 64, octets: 1 << 20 };

fn rig(settings: Settings) -> Rig {
    Rig::new(&[], LIMITS, 8, settings)
}

/// The same with routes of the exporter 192.0.2.1.
fn with_routes() -> Rig {
    let mut rig = rig(Settings::default());
    let stream = StreamId(1);
    let [from, to] = ["192.0.2.1:40000", "192.0.2.9:11019"].map(|address| address.parse().unwrap());
    rig.collector.accept(rig.now, Input::Opened { stream, from, to }, &mut rig.outlet);
    let peers = [station::peer(1), station::peer(2)];
    for (peer, next_hop) in peers.iter().zip([[10, 0, 0, 1], [10, 0, 0, 2]]) {
        let prefixes = ["198.51.100.0/24", "10.1.0.0/16"];
        let announced = station::announce(peer, &prefixes, &[65_000, u32::from(next_hop[3])], next_hop);
        for octets in [station::peer_up(peer, |_| {}), announced] {
            let input = Input::Received { stream, octets: &octets };
            assert_eq!(rig.collector.accept(rig.now, input, &mut rig.outlet), octets.len());
        }
    }
    rig.rows(TableId::Messages);
    rig
}

fn join(side: Side, field: RouteField) -> Origin {
    Origin::Join { side, field }
}

fn kind(row: &(Lease, usize)) -> Kind {
    Kind::ALL[usize::try_from(integer(row, field(RecordField::Kind)).unwrap()).unwrap()]
}

#[test]
fn samples_meet_the_routes_of_their_exporter() {
    let mut rig = with_routes();
    let sample = || flow(1, [10, 1, 2, 3], [198, 51, 100, 7], u32::from_be_bytes([10, 0, 0, 2]));
    let elsewhere = discarded(1, [203, 0, 113, 1], [0; 4]);
    rig.send(PORT, &datagram(1, vec![sample(), counters(1), elsewhere]));
    // The agent is another address, and the exporter one without routes.
    rig.send_from("192.0.2.77:6343", PORT, &datagram(1, vec![sample()]));

    let rows = rig.rows(TableId::Messages);
    assert_eq!(
        rows.iter().map(kind).collect::<Vec<_>>(),
        [Kind::Sample, Kind::Counters, Kind::Sample, Kind::Sample]
    );
    let result = |at: usize, side| {
        let end = integer(&rows[at], join(side, RouteField::Result))?;
        Some(JoinEnd::ALL[usize::try_from(end).unwrap()])
    };
    let (lease, row) = &rows[0];
    let column = lease.schema.position(join(Side::Destination, RouteField::Route)).unwrap();
    let route = lease.values[column].route(*row).unwrap();
    assert_eq!(route.prefix.to_string(), "198.51.100.0/24");
    assert_eq!(route.peer, Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2]));
    assert_eq!(integer(&rows[0], join(Side::Destination, RouteField::UsedElement)), Some(12));
    assert_eq!(result(0, Side::Source), Some(JoinEnd::Found));
    assert_eq!((result(1, Side::Destination), result(1, Side::Source)), (None, None));
    assert_eq!(result(2, Side::Destination), Some(JoinEnd::NoAddress));
    assert_eq!(result(3, Side::Destination), Some(JoinEnd::NoSession));
    let context = octets(&rows[3], field(RecordField::Context)).unwrap();
    let Some(Context::Sflow { agent, sub_agent: 0, format }) = Context::read(&context) else { panic!() };
    assert_eq!(agent, Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]));
    assert_eq!(Format::from_wire(format), Format::standard(1));
    assert_eq!(rig.messages(Protocol::Sflow, MessageEnd::Decoded), 2);
    assert_eq!(rig.collector.ledgers().sets_in[Protocol::Sflow.index()], 0);
}

#[test]
fn lost_datagrams_and_lost_samples_are_counted_apart() {
    let mut rig = rig(Settings::default());
    let sample = |number| flow(number, [1; 4], [2; 4], 0);
    rig.send(PORT, &datagram(10, vec![sample(100), counters(7)]));
    // Two datagrams are missing, and in them three samples; counters go on without a gap.
    rig.send(PORT, &datagram(13, vec![sample(104), counters(8)]));
    // One of them was only late.
    rig.send(PORT, &datagram(12, vec![sample(103)]));
    rig.tick(2 * SECOND);
    assert_eq!(rig.lost(Protocol::Sflow), 1);
    assert_eq!(rig.event(FlowEvent::SampleLost), 2);
    assert_eq!(rig.event(FlowEvent::ExporterRestarted), 0);
    // The agent starts again: nothing is lost by that.
    let mut again = wire::emit::sflow::Datagram::new(Address::Ipv4([192, 0, 2, 1]), 0, 1, 10);
    again.sample(sample(1));
    rig.now.monotonic_ns += SECOND;
    let mut late = datagram(14, vec![sample(105)]);
    late[20..24].copy_from_slice(&10_000_000_u32.to_be_bytes());
    rig.send(PORT, &late);
    rig.send(PORT, &again.finish());
    rig.tick(2 * SECOND);
    assert_eq!((rig.lost(Protocol::Sflow), rig.event(FlowEvent::SampleLost)), (1, 2));
    assert_eq!(rig.event(FlowEvent::ExporterRestarted), 1);
}

#[test]
fn gaps_of_many_moments_are_settled_together() {
    let mut rig = rig(Settings::default());
    for number in 0..10 {
        rig.send(PORT, &datagram(number * 2, vec![counters(number * 3)]));
        rig.now.monotonic_ns += SECOND / 100;
    }
    rig.now.monotonic_ns += SECOND - SECOND / 10 + SECOND / 50;
    // The first gap is a second old; the next moment is not that of the second one, 10 ms later.
    let next = rig.collector.tick(rig.now, &mut rig.outlet).unwrap();
    assert_eq!(next, rig.now.monotonic_ns + SECOND / 10);
    rig.tick(SECOND / 10);
    assert_eq!((rig.lost(Protocol::Sflow), rig.event(FlowEvent::SampleLost)), (9, 18));
}

#[test]
fn damage_keeps_what_stands_before_it() {
    let mut rig = rig(Settings::default());
    let whole = datagram(1, vec![counters(1), flow(1, [1; 4], [2; 4], 0)]);
    // A count of 2^32-1 over two samples.
    let mut many = whole.clone();
    many[24..28].fill(0xff);
    rig.send(PORT, &many);
    assert_eq!(rig.messages(Protocol::Sflow, MessageEnd::Partial), 1);
    assert_eq!(rig.records(Kind::Counters, RecordEnd::Row), 1);
    assert_eq!(rig.records(Kind::Sample, RecordEnd::Row), 1);
    assert_eq!(rig.records(Kind::Sample, RecordEnd::Malformed), 1);
    assert_eq!(rig.records(Kind::Error, RecordEnd::Row), 1);
    // A count of 2^32-1 records in the first sample: the sample is kept with the record that is there.
    let mut many = whole.clone();
    many[44..48].fill(0xff);
    rig.send(PORT, &many);
    assert_eq!(rig.records(Kind::Counters, RecordEnd::Row), 2);
    assert_eq!(rig.records(Kind::Error, RecordEnd::Row), 2);
    // The last sample is cut off.
    rig.send(PORT, &whole[..whole.len() - 1]);
    assert_eq!(rig.records(Kind::Sample, RecordEnd::Malformed), 2);
    // No header, and another version.
    rig.send(PORT, &whole[..20]);
    rig.send(PORT, &[0, 0, 0, 4, 0, 0, 0, 1]);
    assert_eq!(rig.messages(Protocol::Sflow, MessageEnd::Malformed), 1);
    assert_eq!(rig.messages(Protocol::Sflow, MessageEnd::UnknownVersion), 1);
}

#[test]
fn agents_and_sources_are_bounded() {
    let settings = Settings { max_agents_per_router: 4, max_sources_per_agent: 2, ..Settings::default() };
    let mut rig = rig(settings);
    for number in 0..100_u32 {
        rig.now.monotonic_ns += 1;
        let agent = Address::Ipv4((0x0a00_0000 + number).to_be_bytes());
        rig.send(
            PORT,
            &of_agent(agent, 1, vec![flow(1, [1; 4], [2; 4], 0), counters(1), discarded(1, [1; 4], [2; 4])]),
        );
    }
    assert_eq!(rig.event(FlowEvent::AgentEvicted), 96);
    assert_eq!(rig.event(FlowEvent::SourceRefused), 100);
    let id = rig.collector.routers().next().unwrap();
    let mut saved = Vec::new();
    rig.collector.save(id, &mut saved);
    let schemas = rig.collector.schemas().clone();
    let restore = |settings| Collector::new(settings, schemas.clone()).restore(&saved).map(|_| ());
    assert_eq!(
        restore(Settings { max_agents_per_router: 3, ..Settings::default() }),
        Err(Refused::TooMany("sFlow agents"))
    );
    assert_eq!(
        restore(Settings { max_sources_per_agent: 1, ..Settings::default() }),
        Err(Refused::TooMany("sFlow sources"))
    );
    assert_eq!(restore(Settings::default()), Ok(()));
}

#[test]
fn a_restored_router_counts_on() {
    let mut before = rig(Settings::default());
    let sample = |number| flow(number, [1; 4], [2; 4], 0);
    before.send(PORT, &datagram(1, vec![sample(1)]));
    before.send(PORT, &datagram(5, vec![sample(9)]));
    let mut saved = Vec::new();
    let id = before.collector.routers().next().unwrap();
    before.collector.save(id, &mut saved);
    let mut after = rig(Settings::default());
    after.now = before.now;
    after.collector.restore(&saved).unwrap();
    // What was missing when it was saved comes late, in part; what comes next continues.
    after.send(PORT, &datagram(3, vec![sample(5)]));
    after.send(PORT, &datagram(6, vec![sample(10)]));
    after.tick(2 * SECOND);
    assert_eq!(after.lost(Protocol::Sflow), 2);
    assert_eq!(after.event(FlowEvent::SampleLost), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn octets_cut_and_flipped_anywhere_balance(
        cut in 0..400_usize,
        at in proptest::collection::vec((0..400_usize, any::<u8>()), 0..6),
    ) {
        let limits = BatchLimits { rows: 4, octets: 2_048 };
        let mut rig = Rig::new(&[], limits, 2, Settings::default());
        let samples = vec![flow(1, [1; 4], [2; 4], 7), counters(1), discarded(1, [3; 4], [4; 4])];
        let mut octets = datagram(1, samples);
        octets.truncate(octets.len().saturating_sub(cut % 60));
        for (at, value) in at {
            let length = octets.len();
            octets[at % length] = value;
        }
        // The rig holds every ledger after each datagram.
        rig.send(PORT, &octets);
        rig.send(PORT, &datagram(2, vec![counters(2)]));
        prop_assert!(rig.messages(Protocol::Sflow, MessageEnd::Decoded) >= 1);
    }
}
