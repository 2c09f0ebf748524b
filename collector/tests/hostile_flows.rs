//! Octets cut anywhere and flipped anywhere: no panic, every unit has one end, and the next message is read.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::net::SocketAddr;

use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{Kind, RecordEnd};
use collector::outlet::{Drain, Outlet, Schemas};
use collector::schema::{Interest, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Input, Now};
use proptest::prelude::*;
use wire::emit::{ipfix::Message, netflow};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};

struct Rig {
    schemas: Schemas,
    outlet: Outlet,
    drain: Drain,
    now: Now,
}

impl Rig {
    fn new() -> Self {
        let elements = vec![(0, 8), (0, 28), (0, 1), (0, 82), (0, 4)];
        let interest = Interest { kinds: u32::MAX, whole_records: true, elements, join: true };
        let schemas = schemas(&interest);
        // Small enough to be full in the middle of a message.
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 2, BatchLimits { rows: 4, octets: 4096 });
        Self { schemas, outlet, drain, now: Now::default() }
    }

    fn collector(&self) -> Collector {
        let ports = vec![(2055, PortProtocol::Any)];
        let settings = Settings {
            ports,
            max_templates_per_exporter: 8,
            max_exporters_per_router: 4,
            max_waiting_octets_per_exporter: 2_000,
            max_options_entries_per_exporter: 4,
            max_shared_plans: 4,
            template_lifetime_ns: 500,
            max_waiting_ns: 200,
            ..Settings::default()
        };
        Collector::new(settings, self.schemas.clone())
    }

    fn feed(&mut self, collector: &mut Collector, payload: &[u8]) {
        let here: SocketAddr = "192.0.2.1:2055".parse().unwrap();
        self.now.monotonic_ns += 1;
        collector.accept(self.now, Input::Datagram { from: here, to: here, payload }, &mut self.outlet);
        assert_eq!(collector.ledgers().unexplained(), 0, "{payload:02x?}");
    }

    fn empty(&mut self) {
        self.outlet.publish();
        while self.drain.take().is_some() {}
    }
}

/// One message of each protocol with everything in it.
fn messages() -> [Vec<u8>; 3] {
    let flow = [
        Field::iana(8, 4),
        Field::iana(28, 16),
        Field::iana(1, 4),
        Field::iana(22, 4),
        Field::iana(302, 4),
        Field::iana(10, 4),
        Field::iana(234, 4),
    ];
    let text = [
        Field::iana(82, VARIABLE_LENGTH),
        Field::iana(4, 1),
        Field { pen: 9, id: 5, length: VARIABLE_LENGTH },
    ];
    let options = [Field::iana(10, 4), Field::iana(82, VARIABLE_LENGTH), Field::iana(34, 4)];
    let number = &7_u32.to_be_bytes()[..];
    let record: [&[u8]; 7] = [&[1; 4], &[2; 16], number, number, number, number, number];
    let mut ipfix = Message::new(1_750_000_000, 0, 7);
    ipfix
        .options_template(257, 1, &options)
        .data(257, &options, &[&[number, b"eth0", number]])
        .template(256, &flow)
        .data(256, &flow, &[&record, &record])
        .template(258, &text)
        .data(258, &text, &[&[b"abc", &[6], b"xyz"], &[b"", &[17], b""]])
        .withdrawal(256, false)
        .pad();
    let mut v9 = netflow::Packet::new(60_000, 1_750_000_000, 1, 5);
    let scope = [Field::iana(2, 4)];
    let values = [Field::iana(82, 8), Field::iana(34, 4)];
    let whole = [scope[0], values[0], values[1]];
    v9.options_template(257, &scope, &values)
        .data(257, &whole, &[&[number, b"eth0\0\0\0\0", number]])
        .template(256, &flow)
        .data(256, &flow, &[&record, &record]);
    let v5 = netflow::packet_v5(&netflow::HeaderV5::default(), &[netflow::RecordV5::default(); 3]);
    [ipfix.finish(), v9.finish(), v5]
}

#[test]
fn cut_anywhere() {
    let mut rig = Rig::new();
    for message in messages() {
        for length in 0..message.len() {
            let mut collector = rig.collector();
            rig.feed(&mut collector, &message[..length]);
            rig.empty();
            rig.feed(&mut collector, &message);
            rig.empty();
            let rows: u64 = [Kind::Flow, Kind::Options]
                .iter()
                .map(|kind| collector.ledgers().records[kind.index()][RecordEnd::Row.index()])
                .sum();
            assert!(rows >= 3, "cut at {length}");
        }
    }
}

#[test]
fn flipped_anywhere() {
    let mut rig = Rig::new();
    let mut lasting = rig.collector();
    for message in messages() {
        for at in 0..message.len() {
            for mask in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
                let mut flipped = message.clone();
                flipped[at] ^= mask;
                let mut fresh = rig.collector();
                rig.feed(&mut fresh, &flipped);
                rig.feed(&mut fresh, &message);
                rig.feed(&mut lasting, &flipped);
                if at % 7 == 0 {
                    rig.empty();
                }
                if at % 5 == 0 {
                    lasting.tick(rig.now, &mut rig.outlet);
                    assert_eq!(lasting.ledgers().unexplained(), 0);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn noise_behind_a_version(version in prop::sample::select(&[5_u8, 9, 10]), noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut rig = Rig::new();
        let mut collector = rig.collector();
        let payload = [&[0, version][..], &noise].concat();
        rig.feed(&mut collector, &payload);
        rig.feed(&mut collector, &payload);
    }

    /// Template sets and data sets of random ids and lengths, which noise seldom is.
    #[test]
    fn sets_of_noise(sets in prop::collection::vec((0..6_u8, prop::collection::vec(0..8_u8, 0..40)), 0..12), version in prop::sample::select(&[9_u8, 10])) {
        let mut rig = Rig::new();
        let mut collector = rig.collector();
        let mut message = Message::new(1_750_000_000, 0, 7);
        for (id, mut body) in sets {
            let id = [0, 1, 2, 3, 256, 257][usize::from(id)];
            if id < 4 && body.len() > 2 {
                body[0] = 1; // ids from 256 on
            }
            message.raw(id, &body, 0);
        }
        let mut payload = message.finish();
        payload[1] = version;
        if version == 9 {
            payload.splice(4..4, [0; 4]);
        }
        for _ in 0..2 {
            rig.feed(&mut collector, &payload);
        }
        rig.now.monotonic_ns += 1_000;
        collector.tick(rig.now, &mut rig.outlet);
        prop_assert_eq!(collector.ledgers().unexplained(), 0);
    }
}
