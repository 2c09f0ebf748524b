//! What a script promises is what a collector finds: messages, templates, records, and gaps in sequence numbers.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::collections::HashSet;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};

use bench::generate::bmp::Sessions;
use bench::generate::population::{Class, Population, Protocol};
use bench::generate::script::{Counts, Item, Script};
use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{FlowEvent, Kind, MessageEnd, Protocol as Spoken, RecordEnd, RouteAction, SetEnd};
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{CLOSE_STREAM, Collector, Input, Ledgers, Now, Outlet, Settings, StreamId};
use proptest::prelude::*;

const NETFLOW: u16 = 2055;
const SFLOW: u16 = 6343;

/// Plays the first `sent` datagrams of a script to a collector that knows nothing.
fn play(population: &Population, script: &Script, sent: u64) -> Ledgers {
    let elements = lab::exporter::FIELDS_V4.iter().map(|field| (0, field.id)).collect();
    let schemas = schemas(&Interest { kinds: u32::MAX, whole_records: false, elements, join: false });
    let limits = BatchLimits { rows: 1_024, octets: 1 << 20 };
    let (mut out, drain) = Outlet::new(WorkerId(0), &schemas, 64, limits);
    let ports = vec![(NETFLOW, PortProtocol::Netflow), (SFLOW, PortProtocol::Sflow)];
    let mut collector = Collector::new(Settings { ports, join: false, ..Settings::default() }, schemas);
    let mut now = Now::default();
    for nth in 0..sent {
        let (place, round) = script.at(nth);
        let item = &script.items[place];
        let mut payload = item.octets.clone();
        Item::turn(&item.words, &mut payload, round);
        let class = &population.class[item.class];
        let port = if class.protocol == Protocol::Sflow { SFLOW } else { NETFLOW };
        let to = SocketAddr::new(if class.ipv6 { "::1" } else { "127.0.0.1" }.parse().unwrap(), port);
        now.monotonic_ns += 1_000;
        collector.accept(now, Input::Datagram { from: item.source, to, payload: &payload }, &mut out);
        while drain.take().is_some() {}
    }
    collector.settle(now, &mut out);
    out.publish();
    while drain.take().is_some() {}
    collector.ledgers().clone()
}

const fn spoken(protocol: Protocol) -> Spoken {
    match protocol {
        Protocol::Ipfix => Spoken::Ipfix,
        Protocol::Netflow9 => Spoken::Netflow9,
        Protocol::Netflow5 => Spoken::Netflow5,
        Protocol::Sflow => Spoken::Sflow,
    }
}

fn kind(protocol: Protocol) -> Kind {
    if protocol == Protocol::Sflow { Kind::Sample } else { Kind::Flow }
}

/// Every ledger of a collector against the script's own counts.
fn assert_exact(population: &Population, script: &Script, sent: u64) {
    let ledgers = play(population, script, sent);
    let counts = script.counts(sent);
    assert_eq!(counts.iter().map(|counts| counts.datagrams).sum::<u64>(), sent);
    for protocol in [Protocol::Ipfix, Protocol::Netflow9, Protocol::Netflow5, Protocol::Sflow] {
        let mut sum = Counts::default();
        for (_, counts) in
            population.class.iter().zip(&counts).filter(|(class, _)| class.protocol == protocol)
        {
            sum += *counts;
        }
        let index = spoken(protocol).index();
        let decoded = ledgers.messages[index][MessageEnd::Decoded.index()];
        assert_eq!((ledgers.messages_in[index], decoded), (sum.datagrams, sum.datagrams), "{protocol:?}");
        assert_eq!(ledgers.sequence_lost[index], sum.sequence_gap, "{protocol:?}");
        if protocol == Protocol::Sflow {
            assert_eq!(ledgers.flow_events[FlowEvent::SampleLost.index()], sum.withheld_records);
        }
        let sets = ledgers.sets[index];
        assert_eq!(sets.iter().sum::<u64>(), sets[SetEnd::Decoded.index()], "{protocol:?}: {sets:?}");
    }
    for one in [Kind::Flow, Kind::Sample] {
        let of_kind = population.class.iter().zip(&counts).filter(|(class, _)| kind(class.protocol) == one);
        let records: u64 = of_kind.map(|(_, counts)| counts.records).sum();
        let rows = ledgers.records[one.index()][RecordEnd::Row.index()];
        assert_eq!((ledgers.records_in[one.index()], rows), (records, records), "{one:?}");
    }
    assert_eq!(ledgers.flow_events[FlowEvent::TemplateChanged.index()], 0);
    assert_eq!(ledgers.flow_events[FlowEvent::ExporterRestarted.index()], 0);
    assert_eq!(ledgers.records_in[Kind::Error.index()], 0);
}

fn class() -> impl Strategy<Value = Class> {
    let protocol = prop_oneof![
        Just(Protocol::Ipfix),
        Just(Protocol::Netflow9),
        Just(Protocol::Netflow5),
        Just(Protocol::Sflow)
    ];
    let sizes = (1..4_u32, 1..3_u32, 1..30_u16, any::<bool>(), 200..1_452_u16);
    let rates = (prop::option::of(1..9_u16), 0..12_u32, 1..3_u32, 0..300_u32);
    (protocol, sizes, rates).prop_map(|(protocol, sizes, rates)| {
        let (exporters, domains, templates, ipv6, octets) = sizes;
        let (records, template_every, weight, loss_per_mille) = rates;
        let ipv6 = ipv6 && protocol != Protocol::Netflow5;
        Class {
            protocol,
            exporters,
            domains,
            templates,
            ipv6,
            octets,
            records,
            template_every,
            weight,
            loss_per_mille,
        }
    })
}

fn population() -> impl Strategy<Value = Population> {
    let shape = (any::<u64>(), 1..200_u32, 1..9_u32, 1..50_u32);
    (prop::collection::vec(class(), 1..4), shape).prop_map(|(class, (seed, datagrams, run, prefixes))| {
        Population { seed, datagrams, run, prefixes, class, ..Population::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_collector_finds_what_a_script_promises(population in population(), rounds in 0..4_u64, part in 0.0..1.0) {
        population.check().unwrap();
        let script = Script::new(&population, 1_700_000_000);
        let cycle = (script.items.len() - script.cycle) as u64;
        let sent = script.cycle as u64 + rounds * cycle + (part * cycle as f64) as u64;
        assert_exact(&population, &script, sent);
        // Within the prelude too.
        assert_exact(&population, &script, (part * script.cycle as f64) as u64);
    }
}

#[test]
fn withheld_datagrams_leave_the_gap_that_is_promised() {
    let class = |protocol| Class { protocol, loss_per_mille: 100, ..Class::default() };
    let all = [Protocol::Ipfix, Protocol::Netflow9, Protocol::Netflow5, Protocol::Sflow].map(class);
    let population = Population { class: all.to_vec(), datagrams: 2_000, ..Population::default() };
    let script = Script::new(&population, 1_700_000_000);
    let sent = script.items.len() as u64 * 3;
    for counts in script.counts(sent) {
        assert!(counts.withheld > 50 && counts.sequence_gap >= counts.withheld, "{counts:?}");
    }
    assert_exact(&population, &script, sent);
}

/// Payloads of at most what was asked for, all sources different, enough distinct addresses to miss the caches.
#[test]
fn datagrams_are_as_large_as_asked_and_varied() {
    for octets in [64_u16, 512, 1_400] {
        let class = Class { exporters: 1_000, octets, ..Class::default() };
        let population =
            Population { class: vec![class], datagrams: 4_000, prefixes: 20_000, ..Population::default() };
        let script = Script::new(&population, 1_700_000_000);
        let data = &script.items[script.cycle..];
        let sources: HashSet<SocketAddr> = data.iter().map(|item| item.source).collect();
        assert_eq!(sources.len(), 1_000);
        // A message of one record does not fit into 64 octets, and is made all the same.
        let largest = data.iter().map(|item| item.octets.len()).max().unwrap();
        assert!(largest <= usize::from(octets).max(96), "{largest}");
        assert!(largest + 76 > usize::from(octets));
        let distinct: HashSet<&[u8]> = data.iter().map(|item| &item.octets[20..]).collect();
        assert_eq!(distinct.len(), 4_000);
    }
}

/// Three routers over loopback: their tables, 20 flaps, an orderly end; all of it understood and counted alike.
#[test]
fn bmp_sessions_are_counted_as_a_collector_counts_them() {
    const ROUTERS: u32 = 3;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let population = Population {
        source_v4: [127, 2, 0, 1].into(),
        prefixes: 333,
        class: vec![Class { exporters: ROUTERS, ..Class::default() }],
        ..Population::default()
    };
    let reading = std::thread::spawn(move || {
        let streams: Vec<_> = (0..ROUTERS).map(|_| listener.accept().unwrap()).collect();
        let read = |(mut stream, from): (TcpStream, SocketAddr)| {
            let mut octets = Vec::new();
            stream.read_to_end(&mut octets).unwrap();
            (from, octets)
        };
        // Each on a thread of its own: a session that is not read stands still.
        let threads: Vec<_> = streams.into_iter().map(|one| std::thread::spawn(move || read(one))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sessions = Sessions::open(&population, ROUTERS, to).unwrap();
    for _ in 0..20 {
        sessions.flap().unwrap();
    }
    let sent = sessions.close().unwrap();
    let received = reading.join().unwrap();
    assert_eq!(received.iter().map(|(_, octets)| octets.len() as u64).sum::<u64>(), sent.octets);

    let schemas =
        schemas(&Interest { kinds: u32::MAX, whole_records: false, elements: Vec::new(), join: true });
    let limits = BatchLimits { rows: 1_024, octets: 1 << 20 };
    let (mut out, drain) = Outlet::new(WorkerId(0), &schemas, 64, limits);
    let mut collector = Collector::new(Settings::default(), schemas);
    let now = Now::default();
    for (id, (from, octets)) in (0..).zip(&received) {
        let stream = StreamId(id);
        collector.accept(now, Input::Opened { stream, from: *from, to }, &mut out);
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(32 * 1024)];
            let consumed = collector.accept(now, Input::Received { stream, octets: piece }, &mut out);
            // What follows a Termination is nothing: the session is to be closed.
            if consumed == CLOSE_STREAM {
                break;
            }
            assert!(consumed > 0);
            rest = &rest[consumed..];
            while drain.take().is_some() {}
        }
    }
    let ledgers = collector.ledgers();
    let ends = &ledgers.messages[Spoken::Bmp.index()];
    assert_eq!(
        (ledgers.messages_in[Spoken::Bmp.index()], ends[MessageEnd::Decoded.index()]),
        (sent.messages, sent.messages)
    );
    assert_eq!(ledgers.routes[RouteAction::Announce.index()], sent.announced);
    assert_eq!(ledgers.routes[RouteAction::Withdraw.index()], sent.withdrawn);
    assert_eq!(ledgers.routes[RouteAction::EndOfRib.index()], u64::from(ROUTERS));
    assert_eq!((sent.sessions, sent.announced, sent.withdrawn), (3, 3 * 333 + 20, 20));
}
