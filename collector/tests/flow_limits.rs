//! Every table of a flow session is bounded, and what goes is counted: sessions, templates, options, restarts.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::net::SocketAddr;

use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{FlowEvent, Kind, Protocol, RecordEnd, SetEnd};
use collector::outlet::{Drain, Outlet};
use collector::schema::{Interest, RecordField, SamplingFrom, TableId, schemas};
use collector::settings::{ExporterKey, PortProtocol, Settings};
use collector::{Collector, Input, Now};
use wire::emit::{ipfix::Message, netflow};
use wire::ipfix::template::Field;

const SECOND: u64 = 1_000_000_000;
const EXPORT: u32 = 1_750_000_000;
const FLOW: [Field; 1] = [Field::iana(8, 4)];

struct Rig {
    collector: Collector,
    outlet: Outlet,
    drain: Drain,
    now: Now,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let interest = Interest { kinds: u32::MAX, ..Interest::default() };
        let schemas = schemas(&interest);
        let limits = BatchLimits { rows: 64, octets: 1 << 20 };
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 8, limits);
        let ports = vec![(2055, PortProtocol::Any)];
        let collector = Collector::new(Settings { ports, ..settings }, schemas);
        Self { collector, outlet, drain, now: Now { monotonic_ns: SECOND, unix_ns: 0, frame: 0 } }
    }

    fn send(&mut self, from: &str, payload: &[u8]) {
        let here: SocketAddr = "192.0.2.9:2055".parse().unwrap();
        let input = Input::Datagram { from: from.parse().unwrap(), to: here, payload };
        self.now.monotonic_ns += 1;
        self.collector.accept(self.now, input, &mut self.outlet);
        assert_eq!(self.collector.ledgers().unexplained(), 0);
    }

    fn tick(&mut self, after_ns: u64) {
        self.now.monotonic_ns += after_ns;
        self.collector.tick(self.now, &mut self.outlet);
        assert_eq!(self.collector.ledgers().unexplained(), 0);
    }

    fn event(&self, event: FlowEvent) -> u64 {
        self.collector.ledgers().flow_events[event.index()]
    }

    fn sets(&self, end: SetEnd) -> u64 {
        self.collector.ledgers().sets[Protocol::Ipfix.index()][end.index()]
    }

    fn rows(&self) -> u64 {
        self.collector.ledgers().records[Kind::Flow.index()][RecordEnd::Row.index()]
    }

    /// Sampling rate and its origin of each flow.
    fn sampling(&mut self) -> Vec<Option<(f64, SamplingFrom)>> {
        self.outlet.publish();
        let mut found = Vec::new();
        while let Some(lease) = self.drain.take() {
            if lease.schema.table != TableId::Flows {
                continue;
            }
            let rate = lease.schema.field(RecordField::SamplingRate).unwrap();
            let from = lease.schema.field(RecordField::SamplingFrom).unwrap();
            for row in 0..lease.rows {
                let integer = |column: usize| lease.values[column].integer(row as usize).unwrap();
                found.push(lease.is_present(rate, row).then(|| {
                    let from = SamplingFrom::from_number(u8::try_from(integer(from)).unwrap()).unwrap();
                    (f64::from_bits(integer(rate)), from)
                }));
            }
        }
        found
    }
}

fn template(domain: u32, id: u16, fields: &[Field]) -> Vec<u8> {
    let mut message = Message::new(EXPORT, 0, domain);
    message.template(id, fields);
    message.finish()
}

fn data(domain: u32, id: u16) -> Vec<u8> {
    let mut message = Message::new(EXPORT, 0, domain);
    message.data(id, &FLOW, &[&[&[1; 4]]]);
    message.finish()
}

#[test]
fn the_session_that_rested_longest_makes_room() {
    let mut rig = Rig::new(Settings { max_exporters_per_router: 2, ..Settings::default() });
    rig.send("192.0.2.1:1", &data(1, 256)); // waits
    rig.send("192.0.2.1:1", &template(2, 256, &FLOW));
    assert_eq!(rig.sets(SetEnd::Waiting), 1);
    rig.send("192.0.2.1:1", &template(3, 256, &FLOW));
    assert_eq!(rig.event(FlowEvent::ExporterEvicted), 1);
    assert_eq!((rig.sets(SetEnd::Waiting), rig.sets(SetEnd::NoTemplate)), (0, 1));
    rig.send("192.0.2.1:1", &data(2, 256));
    rig.send("192.0.2.1:1", &data(3, 256));
    assert_eq!(rig.rows(), 2);
}

#[test]
fn templates_make_room_and_expire() {
    let settings =
        Settings { max_templates_per_exporter: 4, template_lifetime_ns: 10 * SECOND, ..Settings::default() };
    let mut rig = Rig::new(settings);
    for id in 256..261 {
        rig.send("192.0.2.1:1", &template(7, id, &FLOW));
    }
    assert_eq!(rig.event(FlowEvent::TemplateEvicted), 1);
    rig.send("192.0.2.1:1", &data(7, 256));
    assert_eq!(rig.sets(SetEnd::Waiting), 1);
    rig.send("192.0.2.1:1", &data(7, 260));
    assert_eq!(rig.rows(), 1);
    rig.tick(5 * SECOND);
    rig.send("192.0.2.1:1", &template(7, 260, &FLOW)); // the same again: its age starts anew
    rig.tick(6 * SECOND);
    assert_eq!(rig.event(FlowEvent::TemplateExpired), 3);
    rig.send("192.0.2.1:1", &data(7, 260));
    assert_eq!(rig.rows(), 2);
}

#[test]
fn templates_with_too_many_fields_are_refused() {
    let mut rig = Rig::new(Settings { max_fields_per_template: 3, ..Settings::default() });
    rig.send("192.0.2.1:1", &template(7, 256, &[FLOW[0]; 4]));
    assert_eq!((rig.sets(SetEnd::Refused), rig.event(FlowEvent::TemplateTooLong)), (1, 1));
}

#[test]
fn options_entries_are_bounded() {
    let fields = [Field::iana(302, 4), Field::iana(34, 4)];
    let mut rig = Rig::new(Settings { max_options_entries_per_exporter: 2, ..Settings::default() });
    let mut message = Message::new(EXPORT, 0, 7);
    message.options_template(257, 1, &fields);
    for sampler in 0..3_u32 {
        message.data(257, &fields, &[&[&sampler.to_be_bytes(), &[0, 0, 0, 9]]]);
    }
    let flow = [Field::iana(302, 4)];
    message.template(256, &flow);
    for sampler in 0..3_u32 {
        message.data(256, &flow, &[&[&sampler.to_be_bytes()]]);
    }
    rig.send("192.0.2.1:1", &message.finish());
    assert_eq!(rig.event(FlowEvent::OptionsEntryRefused), 1);
    let told = Some((9.0, SamplingFrom::Options));
    assert_eq!(rig.sampling(), [told, told, None]);
}

#[test]
fn source_ports_count_only_where_they_are_asked_to() {
    for (key, rows) in [(ExporterKey::Address, 1), (ExporterKey::AddressAndPort, 0)] {
        let mut rig = Rig::new(Settings { exporter_key: key, ..Settings::default() });
        rig.send("192.0.2.1:1000", &template(7, 256, &FLOW));
        rig.send("192.0.2.1:2000", &data(7, 256));
        assert_eq!(rig.rows(), rows);
    }
}

#[test]
fn addresses_of_one_router_are_different_exporters() {
    let one: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let other: SocketAddr = "192.0.2.2:1".parse().unwrap();
    let sixteen = |address: SocketAddr| collector::sixteen(address.ip());
    let settings = Settings {
        aliases: vec![(sixteen(other), sixteen(one))],
        sampling: vec![(sixteen(one), 64.0)],
        ..Settings::default()
    };
    let mut rig = Rig::new(settings);
    rig.send("192.0.2.1:1", &template(7, 256, &FLOW));
    rig.send("192.0.2.2:1", &data(7, 256));
    assert_eq!((rig.rows(), rig.sets(SetEnd::Waiting)), (0, 1));
    rig.send("192.0.2.2:1", &template(7, 256, &FLOW));
    let configured = Some((64.0, SamplingFrom::Config));
    assert_eq!(rig.sampling(), [configured]);
}

#[test]
fn a_rate_of_zero_is_none() {
    let fields = [Field::iana(34, 4), Field::iana(8, 4)];
    let spaced = [Field::iana(305, 4), Field::iana(306, 4)];
    let population = [Field::iana(309, 4), Field::iana(310, 4)];
    let number = |number: u32| number.to_be_bytes();
    let mut rig = Rig::new(Settings::default());
    let mut message = Message::new(EXPORT, 0, 7);
    message
        .template(256, &fields)
        .template(257, &spaced)
        .template(258, &population)
        .data(256, &fields, &[&[&number(0), &[1; 4]], &[&number(1), &[1; 4]]])
        .data(257, &spaced, &[&[&number(0), &number(9)], &[&number(2), &number(18)]])
        .data(258, &population, &[&[&number(0), &number(7)], &[&number(5), &number(1_000)]]);
    rig.send("192.0.2.1:1", &message.finish());
    let told = |rate| Some((rate, SamplingFrom::Record));
    assert_eq!(rig.sampling(), [None, told(1.0), None, told(10.0), None, told(200.0)]);
}

#[test]
fn an_uptime_that_falls_is_a_restart_and_no_loss() {
    let mut rig = Rig::new(Settings::default());
    for (uptime, sequence) in [(5_000_000, 900), (5_001_000, 901), (4_999_000, 899), (3_000, 0), (4_000, 1)] {
        rig.send("192.0.2.1:1", &netflow::Packet::new(uptime, EXPORT, sequence, 5).finish());
    }
    rig.tick(10 * SECOND);
    assert_eq!(rig.event(FlowEvent::ExporterRestarted), 1);
    assert_eq!(rig.collector.ledgers().sequence_lost[Protocol::Netflow9.index()], 0);
}

#[test]
fn plans_beyond_the_bound_work_unshared() {
    let mut rig = Rig::new(Settings { max_shared_plans: 2, ..Settings::default() });
    for id in 256..262_u16 {
        let fields = [Field::iana(8, 4), Field::iana(4, id - 255)];
        let mut message = Message::new(EXPORT, 0, 7);
        message.template(id, &fields).raw(id, &[1; 10], 1);
        rig.send("192.0.2.1:1", &message.finish());
    }
    assert!(rig.event(FlowEvent::PlanNotShared) > 0);
    // Ten octets hold two records of 5, and one of 6 to 10.
    assert_eq!(rig.rows(), 7);
}
