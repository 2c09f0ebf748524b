//! In steady state a message of known templates allocates nothing, whatever its protocol.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{JoinEnd, Kind, RecordEnd};
use collector::outlet::{Drain, Outlet};
use collector::schema::{Interest, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Input, Now, StreamId};
use etherparse::PacketBuilder;
use wire::emit::{ipfix::Message, netflow, udp_notif};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};

#[path = "kit/agents.rs"]
mod agents;
#[path = "kit/station.rs"]
mod station;

const EXPORT: u32 = 1_750_000_000;

struct Rig {
    collector: Collector,
    outlet: Outlet,
    drain: Drain,
    now: Now,
}

impl Rig {
    fn new() -> Self {
        let elements = vec![(0, 8), (0, 12), (0, 28), (0, 1), (0, 2), (0, 4), (0, 7), (0, 11), (0, 82)];
        let interest = Interest { kinds: u32::MAX, whole_records: true, elements, join: true };
        let schemas = schemas(&interest);
        let limits = BatchLimits { rows: 256, octets: 1 << 18 };
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 4, limits);
        let ports = vec![(2055, PortProtocol::Any)];
        let collector = Collector::new(Settings { ports, ..Settings::default() }, schemas);
        Self { collector, outlet, drain, now: Now::default() }
    }

    /// The same with routes of the exporter for the addresses of its flows.
    fn with_routes() -> Self {
        let mut rig = Self::new();
        let stream = StreamId(1);
        let [from, to] = ["192.0.2.1:40000", "192.0.2.2:11019"].map(|address| address.parse().unwrap());
        rig.collector.accept(rig.now, Input::Opened { stream, from, to }, &mut rig.outlet);
        let peer = station::peer(9);
        let announced = station::announce(&peer, &["1.1.0.0/16", "2.2.0.0/16"], &[65_000, 65_001], [9; 4]);
        for octets in [station::peer_up(&peer, |_| {}), announced] {
            let consumed =
                rig.collector.accept(rig.now, Input::Received { stream, octets: &octets }, &mut rig.outlet);
            assert_eq!(consumed, octets.len());
        }
        rig
    }

    /// Feeds a frame and forgets the full batches that follow from it.
    fn feed(&mut self, frame: &[u8]) {
        self.now.monotonic_ns += 1_000;
        self.collector.accept(self.now, Input::Frame(frame), &mut self.outlet);
        self.collector.tick(self.now, &mut self.outlet);
    }

    /// Empties the outlet as sinks do, which is not the worker's part and does allocate (the lease).
    fn empty(&mut self) {
        while self.drain.take().is_some() {}
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
    let mut frame = Vec::new();
    builder.udp(5000, 2055).write(&mut frame, payload).unwrap();
    frame
}

fn ipfix_messages() -> [Vec<u8>; 2] {
    let flow = [
        Field::iana(8, 4),
        Field::iana(12, 4),
        Field::iana(1, 4),
        Field::iana(2, 8),
        Field::iana(4, 1),
        Field::iana(22, 4),
        Field::iana(21, 4),
        Field::iana(10, 4),
        Field::iana(302, 4),
        Field::iana(234, 4),
    ];
    let text = [Field::iana(28, 16), Field::iana(82, VARIABLE_LENGTH)];
    let interface = [Field::iana(10, 4), Field::iana(82, VARIABLE_LENGTH)];
    let sampler = [Field::iana(302, 4), Field::iana(34, 4)];
    let number = &7_u32.to_be_bytes()[..];
    let eight = &7_u64.to_be_bytes()[..];
    let record: [&[u8]; 10] =
        [&[1; 4], &[2; 4], number, eight, &[6], number, number, number, number, &[0; 4]];
    let mut templates = Message::new(EXPORT, 0, 7);
    templates
        .template(256, &flow)
        .template(257, &text)
        .options_template(258, 1, &interface)
        .options_template(259, 1, &sampler)
        .data(258, &interface, &[&[number, b"eth7"]])
        .data(259, &sampler, &[&[number, number]]);
    let mut data = Message::new(EXPORT, 0, 7);
    let named: [&[u8]; 2] = [&[3; 16], b"name"];
    data.data(256, &flow, &[&record[..]; 12]).data(257, &text, &[&named[..]; 7]);
    [templates.finish(), data.finish()]
}

fn netflow9_messages() -> [Vec<u8>; 2] {
    let flow = [Field::iana(8, 4), Field::iana(12, 4), Field::iana(1, 4), Field::iana(22, 4)];
    let number = &7_u32.to_be_bytes()[..];
    let mut templates = netflow::Packet::new(60_000, EXPORT, 0, 5);
    templates.template(256, &flow);
    let mut data = netflow::Packet::new(60_000, EXPORT, 0, 5);
    let record: [&[u8]; 4] = [&[1; 4], &[2; 4], number, number];
    data.data(256, &flow, &[&record[..]; 20]);
    [templates.finish(), data.finish()]
}

/// Feeds messages until every batch of the outlet has grown to its usual size, then counts.
fn steady(templates: Option<&[u8]>, data: &[u8]) -> Rig {
    steady_of(Kind::Flow, templates, data)
}

fn steady_of(kind: Kind, templates: Option<&[u8]>, data: &[u8]) -> Rig {
    let mut rig = Rig::with_routes();
    let frames: Vec<_> = templates.into_iter().chain([data]).map(frame).collect();
    for _ in 0..800 {
        for frame in &frames {
            rig.feed(frame);
        }
        rig.empty();
    }
    let rows = |rig: &Rig| rig.collector.ledgers().records[kind.index()][RecordEnd::Row.index()];
    let before = rows(&rig);
    for _ in 0..200 {
        let counted = allocation_counter::measure(|| {
            for frame in &frames {
                rig.feed(frame);
            }
        });
        assert_eq!(counted.count_total, 0);
        rig.empty();
    }
    assert!(rows(&rig) > before);
    assert_eq!(rig.collector.ledgers().unexplained(), 0);
    assert_eq!(rig.collector.ledgers().records[kind.index()][RecordEnd::OutletFull.index()], 0);
    rig
}

#[test]
fn ipfix_allocates_nothing() {
    let [templates, data] = ipfix_messages();
    let rig = steady(Some(&templates), &data);
    for side in &rig.collector.ledgers().joins {
        assert!(side[JoinEnd::Found.index()] > 0);
    }
}

#[test]
fn netflow_9_allocates_nothing() {
    let [templates, data] = netflow9_messages();
    steady(Some(&templates), &data);
}

#[test]
fn netflow_5_allocates_nothing() {
    let records = [netflow::RecordV5 { source: [10, 0, 0, 1], ..netflow::RecordV5::default() }; 30];
    steady(None, &netflow::packet_v5(&netflow::HeaderV5::default(), &records));
}

#[test]
fn sflow_allocates_nothing() {
    let flow = |number| agents::flow(number, [1, 1, 0, 1], [2, 2, 0, 2], 9);
    let samples =
        vec![flow(1), flow(2), agents::counters(1), agents::discarded(1, [1, 1, 0, 3], [2, 2, 0, 4])];
    let rig = steady_of(Kind::Sample, None, &agents::datagram(7, samples));
    for side in &rig.collector.ledgers().joins {
        assert!(side[JoinEnd::Found.index()] > 0);
    }
}

#[test]
fn whole_notifications_allocate_nothing() {
    let header = udp_notif::Header { media: 1, publisher_id: 7, message_id: 9 };
    let whole = udp_notif::datagram(&header, &[], &[b' '; 900]);
    // Twice a turn, so that every batch has been in use.
    steady_of(Kind::Notification, Some(&whole), &whole);
}

#[test]
fn a_full_outlet_allocates_nothing() {
    let [templates, data] = ipfix_messages();
    let mut rig = Rig::new();
    let (templates, data) = (frame(&templates), frame(&data));
    rig.feed(&templates);
    for _ in 0..300 {
        rig.feed(&data);
    }
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| rig.feed(&data)));
    assert_eq!(counted.count_total, 0);
    assert!(rig.collector.ledgers().records[Kind::Flow.index()][RecordEnd::OutletFull.index()] > 0);
    assert_eq!(rig.collector.ledgers().unexplained(), 0);
}

/// Octets that a worker may hold for a router that sends flows by one template, of whatever many fields.
const EXPORTER_OCTETS: i64 = 4_096;

#[test]
fn an_exporter_at_rest_is_small() {
    const EXPORTERS: u32 = 2_000;
    let ids = [8, 12, 15, 10, 14, 2, 1, 152, 153, 7, 11, 4, 6, 5, 136, 61, 60, 9, 13, 16, 17, 58, 192];
    let fields = ids.map(|id| Field::iana(id, 4));
    let mut message = Message::new(EXPORT, 0, 1);
    let record = [0; 4 * 23];
    message.template(256, &fields).raw(256, &record, 0);
    let payload = message.finish();
    let mut rig = Rig::new();
    let mut feed = |source: u32| {
        let source = source.to_be_bytes();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(source, [192, 0, 2, 2], 64);
        let mut frame = Vec::new();
        builder.udp(5000, 2055).write(&mut frame, &payload).unwrap();
        rig.feed(&frame);
    };
    feed(0x0a00_0000);
    let counted =
        allocation_counter::measure(|| (1..=EXPORTERS).for_each(|number| feed(0x0a00_0000 + number)));
    let each = counted.bytes_current / i64::from(EXPORTERS);
    assert!(each <= EXPORTER_OCTETS, "{each} octets for each exporter");
    assert!(each > 0);
    assert_eq!(rig.collector.ledgers().unexplained(), 0);
}
