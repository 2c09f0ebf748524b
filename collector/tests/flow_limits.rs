//! Every table of a flow session is bounded, and what goes is counted: sessions, templates, options, restarts.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::net::SocketAddr;

use collector::batch::BatchLimits;
use collector::ledger::{FlowEvent, Kind, Protocol, RecordEnd, SetEnd};
use collector::schema::{RecordField, SamplingFrom, TableId};
use collector::settings::{ExporterKey, Settings};
use wire::emit::{ipfix::Message, netflow};
use wire::ipfix::template::Field;

#[path = "kit/exporters.rs"]
mod exporters;

use exporters::{EXPORT, Rig, SECOND, field, integer};

const FLOW: [Field; 1] = [Field::iana(8, 4)];

fn rig(settings: Settings) -> Rig {
    Rig::new(&[], BatchLimits { rows: 64, octets: 1 << 20 }, 8, settings)
}

/// Each message a moment after the one before.
fn send(rig: &mut Rig, from: &str, payload: &[u8]) {
    rig.now.monotonic_ns += 1;
    rig.send_from(from, 2055, payload);
}

fn sets(rig: &Rig, end: SetEnd) -> u64 {
    rig.sets(Protocol::Ipfix, end)
}

fn rows(rig: &Rig) -> u64 {
    rig.records(Kind::Flow, RecordEnd::Row)
}

/// Sampling rate and its origin of each flow.
fn sampling(rig: &mut Rig) -> Vec<Option<(f64, SamplingFrom)>> {
    let told = |row| {
        let rate = integer(row, field(RecordField::SamplingRate))?;
        let from = integer(row, field(RecordField::SamplingFrom))?;
        Some((f64::from_bits(rate), SamplingFrom::from_number(u8::try_from(from).unwrap()).unwrap()))
    };
    rig.rows(TableId::Flows).iter().map(told).collect()
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

//= RFC 7011 section 11.4
//# These rate and state limits MAY be provided by a Collecting Process, and if provided, the limits SHOULD be
//# user configurable.
#[test]
fn the_session_that_rested_longest_makes_room() {
    let mut rig = rig(Settings { max_exporters_per_router: 2, ..Settings::default() });
    send(&mut rig, "192.0.2.1:1", &data(1, 256)); // waits
    send(&mut rig, "192.0.2.1:1", &template(2, 256, &FLOW));
    assert_eq!(sets(&rig, SetEnd::Waiting), 1);
    send(&mut rig, "192.0.2.1:1", &template(3, 256, &FLOW));
    assert_eq!(rig.event(FlowEvent::ExporterEvicted), 1);
    assert_eq!((sets(&rig, SetEnd::Waiting), sets(&rig, SetEnd::NoTemplate)), (0, 1));
    send(&mut rig, "192.0.2.1:1", &data(2, 256));
    send(&mut rig, "192.0.2.1:1", &data(3, 256));
    assert_eq!(rows(&rig), 2);
}

//= RFC 7011 section 8
//# The Collecting Process MUST store all received Template Record information for the duration of each
//# Transport Session until reuse or withdrawal as described in Section 8.1, or expiry over UDP as described
//# in Section 8.4, so that it can interpret the corresponding Data Records.
#[test]
fn templates_make_room_and_expire() {
    let settings =
        Settings { max_templates_per_exporter: 4, template_lifetime_ns: 10 * SECOND, ..Settings::default() };
    let mut rig = rig(settings);
    for id in 256..261 {
        send(&mut rig, "192.0.2.1:1", &template(7, id, &FLOW));
    }
    assert_eq!(rig.event(FlowEvent::TemplateEvicted), 1);
    send(&mut rig, "192.0.2.1:1", &data(7, 256));
    assert_eq!(sets(&rig, SetEnd::Waiting), 1);
    send(&mut rig, "192.0.2.1:1", &data(7, 260));
    assert_eq!(rows(&rig), 1);
    rig.tick(5 * SECOND);
    send(&mut rig, "192.0.2.1:1", &template(7, 260, &FLOW)); // the same again: its age starts anew
    rig.tick(6 * SECOND);
    assert_eq!(rig.event(FlowEvent::TemplateExpired), 3);
    send(&mut rig, "192.0.2.1:1", &data(7, 260));
    assert_eq!(rows(&rig), 2);
}

#[test]
fn templates_with_too_many_fields_are_refused() {
    let mut rig = rig(Settings { max_fields_per_template: 3, ..Settings::default() });
    send(&mut rig, "192.0.2.1:1", &template(7, 256, &[FLOW[0]; 4]));
    assert_eq!((sets(&rig, SetEnd::Refused), rig.event(FlowEvent::TemplateTooLong)), (1, 1));
}

#[test]
fn options_entries_are_bounded() {
    let fields = [Field::iana(302, 4), Field::iana(34, 4)];
    let mut rig = rig(Settings { max_options_entries_per_exporter: 2, ..Settings::default() });
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
    send(&mut rig, "192.0.2.1:1", &message.finish());
    assert_eq!(rig.event(FlowEvent::OptionsEntryRefused), 1);
    let told = Some((9.0, SamplingFrom::Options));
    assert_eq!(sampling(&mut rig), [told, told, None]);
}

#[test]
fn source_ports_count_only_where_they_are_asked_to() {
    for (key, read) in [(ExporterKey::Address, 1), (ExporterKey::AddressAndPort, 0)] {
        let mut rig = rig(Settings { exporter_key: key, ..Settings::default() });
        send(&mut rig, "192.0.2.1:1000", &template(7, 256, &FLOW));
        send(&mut rig, "192.0.2.1:2000", &data(7, 256));
        assert_eq!(rows(&rig), read);
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
    let mut rig = rig(settings);
    send(&mut rig, "192.0.2.1:1", &template(7, 256, &FLOW));
    send(&mut rig, "192.0.2.2:1", &data(7, 256));
    assert_eq!((rows(&rig), sets(&rig, SetEnd::Waiting)), (0, 1));
    send(&mut rig, "192.0.2.2:1", &template(7, 256, &FLOW));
    let configured = Some((64.0, SamplingFrom::Config));
    assert_eq!(sampling(&mut rig), [configured]);
}

#[test]
fn a_rate_of_zero_is_none() {
    let fields = [Field::iana(34, 4), Field::iana(8, 4)];
    let spaced = [Field::iana(305, 4), Field::iana(306, 4)];
    let population = [Field::iana(309, 4), Field::iana(310, 4)];
    let number = |number: u32| number.to_be_bytes();
    let mut rig = rig(Settings::default());
    let mut message = Message::new(EXPORT, 0, 7);
    message
        .template(256, &fields)
        .template(257, &spaced)
        .template(258, &population)
        .data(256, &fields, &[&[&number(0), &[1; 4]], &[&number(1), &[1; 4]]])
        .data(257, &spaced, &[&[&number(0), &number(9)], &[&number(2), &number(18)]])
        .data(258, &population, &[&[&number(0), &number(7)], &[&number(5), &number(1_000)]]);
    send(&mut rig, "192.0.2.1:1", &message.finish());
    let told = |rate| Some((rate, SamplingFrom::Record));
    assert_eq!(sampling(&mut rig), [None, told(1.0), None, told(10.0), None, told(200.0)]);
}

#[test]
fn an_uptime_that_falls_is_a_restart_and_no_loss() {
    let mut rig = rig(Settings::default());
    for (uptime, sequence) in [(5_000_000, 900), (5_001_000, 901), (4_999_000, 899), (3_000, 0), (4_000, 1)] {
        send(&mut rig, "192.0.2.1:1", &netflow::Packet::new(uptime, EXPORT, sequence, 5).finish());
    }
    rig.tick(10 * SECOND);
    assert_eq!(rig.event(FlowEvent::ExporterRestarted), 1);
    assert_eq!(rig.collector.ledgers().sequence_lost[Protocol::Netflow9.index()], 0);
}

#[test]
fn plans_beyond_the_bound_work_unshared() {
    let mut rig = rig(Settings { max_shared_plans: 2, ..Settings::default() });
    for id in 256..262_u16 {
        let fields = [Field::iana(8, 4), Field::iana(4, id - 255)];
        let mut message = Message::new(EXPORT, 0, 7);
        message.template(id, &fields).raw(id, &[1; 10], 1);
        send(&mut rig, "192.0.2.1:1", &message.finish());
    }
    assert!(rig.event(FlowEvent::PlanNotShared) > 0);
    // Ten octets hold two records of 5, and one of 6 to 10.
    assert_eq!(rows(&rig), 7);
}
