//! Messages of exporters in, rows out: the whole collector, fed with datagrams.

use collector::batch::BatchLimits;
use collector::flow::template::TemplateOctets;
use collector::ledger::{FlowEvent, Kind, MessageEnd, PacketEnd, Protocol, RecordEnd, SetEnd};
use collector::message::Context;
use collector::schema::{RecordField, SamplingFrom, TableId, TimeFrom};
use collector::settings::Settings;
use wire::emit::{ipfix::Message, netflow};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};

#[path = "kit/exporters.rs"]
mod exporters;

use exporters::{EXPORT, EXPORT_NS, Rig, SECOND, element, field, integer, octets};

#[test]
fn ipfix_records_become_rows() {
    let fields = [
        Field::iana(8, 4),
        Field::iana(1, 3),
        Field::iana(4, 1),
        Field::iana(152, 8),
        Field::iana(153, 8),
        Field::iana(34, 4),
    ];
    let mut rig = Rig::with(&[(0, 8), (0, 1), (0, 4), (0, 12)]);
    let (start, end) = ((EXPORT_NS / 1_000_000 - 5_000).to_be_bytes(), (EXPORT_NS / 1_000_000).to_be_bytes());
    let record: [&[u8]; 6] = [&[10, 0, 0, 1], &[1, 2, 3], &[17], &start, &end, &[0, 0, 3, 232]];
    let mut message = Message::new(EXPORT, 0, 7);
    message.template(256, &fields).data(256, &fields, &[&record, &record]).pad();
    rig.send(4739, &message.finish());

    let rows = rig.rows(TableId::Flows);
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(integer(row, element(8)), Some(0x0a00_0001));
        assert_eq!(integer(row, element(1)), Some(0x01_0203));
        assert_eq!(integer(row, element(4)), Some(17));
        assert_eq!(integer(row, element(12)), None);
        assert_eq!(integer(row, field(RecordField::FlowStart)), Some(EXPORT_NS - 5 * SECOND));
        assert_eq!(integer(row, field(RecordField::FlowEnd)), Some(EXPORT_NS));
        assert_eq!(integer(row, field(RecordField::TimeFrom)), Some(TimeFrom::Absolute as u64));
        assert_eq!(integer(row, field(RecordField::SamplingRate)).map(f64::from_bits), Some(1000.0));
        assert_eq!(integer(row, field(RecordField::SamplingFrom)), Some(SamplingFrom::Record as u64));
        assert_eq!(integer(row, field(RecordField::ObservationDomainId)), Some(7));
        assert_eq!(integer(row, field(RecordField::TemplateId)), Some(256));
        assert_eq!(integer(row, field(RecordField::ReceiveTime)), Some(EXPORT_NS + 7));
        assert_eq!(octets(row, field(RecordField::Record)).unwrap(), record.concat());
        let template = octets(row, field(RecordField::Template)).unwrap();
        assert_eq!(TemplateOctets::read(&template).unwrap().fields().collect::<Vec<_>>(), fields);
    }
    assert_eq!(rig.collector.ledgers().packets[PacketEnd::Delivered.index()], 1);
    assert_eq!(rig.messages(Protocol::Ipfix, MessageEnd::Decoded), 1);
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::Decoded), 2);
    assert_eq!(rig.records(Kind::Flow, RecordEnd::Row), 2);
}

#[test]
fn variable_fields_and_several_batches() {
    let fields = [Field::iana(82, VARIABLE_LENGTH), Field::iana(4, 1), Field::iana(8, 4)];
    let mut rig =
        Rig::new(&[(0, 82), (0, 8)], BatchLimits { rows: 3, octets: 1 << 20 }, 8, Settings::default());
    let long = [b'x'; 300];
    let records: [[&[u8]; 3]; 4] = [
        [b"eth0\0", &[6], &[1, 1, 1, 1]],
        [b"", &[6], &[2, 2, 2, 2]],
        [&long, &[6], &[3, 3, 3, 3]],
        [b"eth1", &[6], &[4, 4, 4, 4]],
    ];
    let records: Vec<&[&[u8]]> = records.iter().map(|record| &record[..]).collect();
    let mut message = Message::new(EXPORT, 0, 7);
    message.template(300, &fields).data(300, &fields, &records);
    rig.send(4739, &message.finish());
    let rows = rig.rows(TableId::Flows);
    let names: Vec<_> = rows.iter().map(|row| octets(row, element(82))).collect();
    assert_eq!(names, [Some(b"eth0".to_vec()), None, Some(long.to_vec()), Some(b"eth1".to_vec())]);
    assert_eq!(integer(&rows[3], element(8)), Some(0x0404_0404));
    let mut whole = vec![4, b'e', b't', b'h', b'1'];
    whole.extend([6, 4, 4, 4, 4]);
    assert_eq!(octets(&rows[3], field(RecordField::Record)), Some(whole));
}

//= RFC 3954 section 5.3
//# The Collector MUST use the FlowSet ID to find the corresponding Template Record and decode the Flow
//# Records from the FlowSet.
#[test]
fn netflow_9_and_5() {
    let fields = [Field::iana(8, 4), Field::iana(22, 4), Field::iana(21, 4), Field::iana(10, 2)];
    let mut rig = Rig::with(&[(0, 8), (0, 10)]);
    let mut packet = netflow::Packet::new(60_000, EXPORT, 1, 5);
    let record: [&[u8]; 4] = [&[10, 0, 0, 2], &50_000_u32.to_be_bytes(), &59_000_u32.to_be_bytes(), &[0, 3]];
    packet.template(260, &fields).data(260, &fields, &[&record]);
    rig.send(2055, &packet.finish());
    let rows = rig.rows(TableId::Flows);
    assert_eq!(rows.len(), 1);
    assert_eq!(integer(&rows[0], element(10)), Some(3));
    assert_eq!(integer(&rows[0], field(RecordField::FlowStart)), Some(EXPORT_NS - 10 * SECOND));
    assert_eq!(integer(&rows[0], field(RecordField::FlowEnd)), Some(EXPORT_NS - SECOND));
    assert_eq!(integer(&rows[0], field(RecordField::TimeFrom)), Some(TimeFrom::SysUptime as u64));
    assert_eq!(integer(&rows[0], field(RecordField::Version)), Some(9));

    let header = netflow::HeaderV5 {
        sys_uptime_ms: 60_000,
        unix_seconds: EXPORT,
        sampling: 0x4000 | 100,
        ..netflow::HeaderV5::default()
    };
    let record =
        netflow::RecordV5 { source: [10, 0, 0, 3], first_ms: 59_000, last_ms: 60_000, ..Default::default() };
    rig.send(2055, &netflow::packet_v5(&header, &[record, record]));
    let rows = rig.rows(TableId::Flows);
    assert_eq!(rows.len(), 2);
    assert_eq!(integer(&rows[1], element(8)), Some(0x0a00_0003));
    assert_eq!(integer(&rows[1], field(RecordField::FlowStart)), Some(EXPORT_NS - SECOND));
    assert_eq!(integer(&rows[1], field(RecordField::SamplingRate)).map(f64::from_bits), Some(100.0));
    assert_eq!(integer(&rows[1], field(RecordField::TemplateId)), None);
    assert_eq!(rig.sets(Protocol::Netflow5, SetEnd::Decoded), 1);
}

//= RFC 7011 section 8
//# However, a Collecting Process MUST NOT assume that the Data Set and the associated Template Set (or
//# Options Template Set) are exported in the same IPFIX Message.
//= RFC 7011 section 9.3
//# The Collecting Process SHOULD accept Data Records without the associated Template Record (or other
//# definitions such as Common Properties) required to decode the Data Record.
#[test]
fn data_waits_for_its_template() {
    let fields = [Field::iana(8, 4)];
    let mut rig = Rig::with(&[(0, 8)]);
    for number in 0..3_u8 {
        let mut message = Message::new(EXPORT, u32::from(number), 7);
        message.data(256, &fields, &[&[&[number; 4]]]);
        rig.now.frame = u64::from(number) + 1;
        rig.send(4739, &message.finish());
    }
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::Waiting), 3);
    assert!(rig.rows(TableId::Flows).is_empty());
    let mut message = Message::new(EXPORT, 3, 7);
    message.template(256, &fields);
    rig.now.frame = 4;
    rig.send(4739, &message.finish());
    let rows = rig.rows(TableId::Flows);
    let seen: Vec<_> =
        rows.iter().map(|row| (integer(row, element(8)), integer(row, field(RecordField::Frame)))).collect();
    assert_eq!(seen, [(Some(0), Some(1)), (Some(0x0101_0101), Some(2)), (Some(0x0202_0202), Some(3))]);
    assert_eq!(
        (rig.sets(Protocol::Ipfix, SetEnd::Waiting), rig.sets(Protocol::Ipfix, SetEnd::Decoded)),
        (0, 4)
    );
}

#[test]
fn waiting_is_bounded_in_octets_and_time() {
    let settings = Settings { max_waiting_octets_per_exporter: 300, ..Settings::default() };
    let mut rig = Rig::new(&[], BatchLimits { rows: 64, octets: 1 << 20 }, 8, settings);
    let mut message = Message::new(EXPORT, 0, 7);
    for _ in 0..4 {
        message.raw(256, &[0; 40], 1);
    }
    rig.send(4739, &message.finish());
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::Waiting), 2);
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::WaitingFull), 2);
    rig.tick(59 * SECOND);
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::NoTemplate), 0);
    rig.tick(SECOND);
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::NoTemplate), 2);
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::Waiting), 0);
}

//= RFC 7011 section 4
//# The Collecting Process MUST check the possible combinations of Information Elements within the Options
//# Template Records to correctly interpret the following Options Templates.
#[test]
fn options_tell_about_flows() {
    let sampler = [Field::iana(302, 8), Field::iana(305, 4), Field::iana(306, 4)];
    let interface = [Field::iana(10, 4), Field::iana(82, VARIABLE_LENGTH)];
    let vrf = [Field::iana(234, 4), Field::iana(236, 8), Field::iana(90, 8)];
    let boot = [Field::iana(144, 4), Field::iana(160, 8)];
    let boot_ms = EXPORT_NS / 1_000_000 - 3_600_000;
    let flow = [
        Field::iana(8, 4),
        Field::iana(302, 8),
        Field::iana(10, 4),
        Field::iana(14, 4),
        Field::iana(234, 4),
        Field::iana(22, 4),
        Field::iana(21, 4),
    ];
    let mut rig = Rig::with(&[]);
    let mut message = Message::new(EXPORT, 0, 7);
    message
        .options_template(400, 1, &sampler)
        .options_template(401, 1, &interface)
        .options_template(402, 1, &vrf)
        .options_template(403, 1, &boot)
        .template(500, &flow)
        .data(400, &sampler, &[&[&9_u64.to_be_bytes(), &1_u32.to_be_bytes(), &99_u32.to_be_bytes()]])
        .data(401, &interface, &[&[&3_u32.to_be_bytes(), b"eth3"], &[&4_u32.to_be_bytes(), b"eth4"]])
        .data(402, &vrf, &[&[&5_u32.to_be_bytes(), b"blue\0\0\0\0", &[0, 0, 0xfd, 0xe8, 0, 0, 0, 1]]])
        .data(403, &boot, &[&[&[0; 4], &boot_ms.to_be_bytes()]])
        .data(
            500,
            &flow,
            &[&[
                &[1; 4],
                &9_u64.to_be_bytes(),
                &3_u32.to_be_bytes(),
                &4_u32.to_be_bytes(),
                &5_u32.to_be_bytes(),
                &1_000_u32.to_be_bytes(),
                &2_000_u32.to_be_bytes(),
            ]],
        );
    rig.send(4739, &message.finish());
    let options = rig.records(Kind::Options, RecordEnd::Row);
    assert_eq!(options, 5);
    rig.outlet.publish();
    let leases: Vec<_> = std::iter::from_fn(|| rig.drain.take()).collect();
    let find = |table| leases.iter().find(|lease| lease.schema.table == table).unwrap().clone();
    let row = (find(TableId::Flows), 0);
    assert_eq!(integer(&row, field(RecordField::SamplingRate)).map(f64::from_bits), Some(100.0));
    assert_eq!(integer(&row, field(RecordField::SamplingFrom)), Some(SamplingFrom::Options as u64));
    assert_eq!(octets(&row, field(RecordField::IngressInterfaceName)).unwrap(), b"eth3");
    assert_eq!(octets(&row, field(RecordField::EgressInterfaceName)).unwrap(), b"eth4");
    assert_eq!(octets(&row, field(RecordField::IngressVrfName)).unwrap(), b"blue");
    assert_eq!(octets(&row, field(RecordField::EgressVrfName)), None);
    assert_eq!(integer(&row, field(RecordField::FlowStart)), Some((boot_ms + 1_000) * 1_000_000));
    let message_row = (find(TableId::Messages), 0);
    assert_eq!(integer(&message_row, field(RecordField::Kind)), Some(Kind::Options as u64));
    let context = octets(&message_row, field(RecordField::Context)).unwrap();
    let Some(Context::Options { template, template_id: 400, observation_domain_id: 7, .. }) =
        Context::read(&context)
    else {
        panic!("{context:?}")
    };
    let template = TemplateOctets::read(template).unwrap();
    assert_eq!((template.is_options, template.scope_count), (true, 1));
    assert_eq!(octets(&message_row, field(RecordField::Octets)).unwrap().len(), 16);
}

#[test]
fn a_damaged_set_spares_the_earlier_ones() {
    let fields = [Field::iana(8, 4)];
    let mut rig = Rig::with(&[(0, 8)]);
    let mut message = Message::new(EXPORT, 0, 7);
    message.template(256, &fields).data(256, &fields, &[&[&[1; 4]]]);
    let mut octets_ = message.finish();
    octets_.extend([1, 0, 0, 200, 1, 2, 3, 4]);
    let length = u16::try_from(octets_.len()).unwrap().to_be_bytes();
    octets_[2..4].copy_from_slice(&length);
    rig.send(4739, &octets_);
    assert_eq!(rig.records(Kind::Flow, RecordEnd::Row), 1);
    assert_eq!(rig.messages(Protocol::Ipfix, MessageEnd::Partial), 1);
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::Malformed), 1);
    let rows = rig.rows(TableId::Messages);
    let context = octets(&rows[0], field(RecordField::Context)).unwrap();
    let offset = u32::try_from(octets_.len() - 8).unwrap();
    assert_eq!(
        Context::read(&context),
        Some(Context::Error { protocol: "ipfix", reason: "truncated", offset, length: 200, verdict: "" })
    );
}

//= RFC 7011 section 8.1
//# The continued receipt and interpretation of Data Records are still possible, but the Collecting Process
//# MUST ignore the Template Withdrawal and SHOULD log the error.
//= RFC 7011 section 8.4
//# Template Withdrawals (Section 8.1) MUST NOT be sent by Exporting Processes exporting via UDP and MUST be
//# ignored by Collecting Processes collecting via UDP.
#[test]
fn withdrawals_over_udp_are_refused() {
    let fields = [Field::iana(8, 4)];
    let mut rig = Rig::with(&[(0, 8)]);
    let mut message = Message::new(EXPORT, 0, 7);
    message.template(256, &fields).withdrawal(256, false).withdrawal(2, false).data(
        256,
        &fields,
        &[&[&[1; 4]]],
    );
    rig.send(4739, &message.finish());
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::WithdrawalRefused), 2);
    assert_eq!(rig.records(Kind::Flow, RecordEnd::Row), 1);
}

//= RFC 7011 section 8
//# Different Observation Domains within a Transport Session MAY use the same Template ID value to refer to
//# different Templates; Collecting Processes MUST properly handle this case.
//= RFC 7011 section 8.4
//# When a Collecting Process receives a new Template Record or Options Template Record for an
//# already-allocated Template ID, and that Template or Options Template is different from the
//# already-received Template or Options Template, the Collecting Process MUST replace the Template or Options
//# Template for that Template ID with the newly received Template or Options Template.
//= RFC 7011 section 3.1
//# Collecting Processes SHOULD use the Transport Session and the Observation Domain ID field to separate
//# different export streams originating from the same Exporter.
#[test]
fn templates_are_redefined_and_domains_kept_apart() {
    let (one, two) = ([Field::iana(8, 4)], [Field::iana(12, 4), Field::iana(4, 1)]);
    let mut rig = Rig::with(&[(0, 8), (0, 12)]);
    let mut message = Message::new(EXPORT, 0, 7);
    message.template(256, &one).data(256, &one, &[&[&[1; 4]]]);
    message.template(256, &two).data(256, &two, &[&[&[2; 4], &[6]]]);
    rig.send(4739, &message.finish());
    let mut message = Message::new(EXPORT, 0, 8);
    message.template(256, &one).data(256, &one, &[&[&[3; 4]]]);
    rig.send(4739, &message.finish());
    let rows = rig.rows(TableId::Flows);
    assert_eq!(integer(&rows[0], element(8)), Some(0x0101_0101));
    assert_eq!(integer(&rows[1], element(12)), Some(0x0202_0202));
    assert_eq!(integer(&rows[2], element(8)), Some(0x0303_0303));
    assert_eq!(rig.collector.ledgers().flow_events[FlowEvent::TemplateChanged.index()], 1);
}

#[test]
fn a_full_outlet_is_counted() {
    let fields = [Field::iana(8, 4)];
    let mut rig = Rig::new(&[(0, 8)], BatchLimits { rows: 2, octets: 1 << 20 }, 2, Settings::default());
    let mut message = Message::new(EXPORT, 0, 7);
    message.template(256, &fields).raw(256, &[9; 4 * 7], 7);
    message.options_template(257, 1, &fields).raw(257, &[9; 4 * 7], 7);
    rig.send(4739, &message.finish());
    assert_eq!(rig.records(Kind::Flow, RecordEnd::Row), 4);
    assert_eq!(rig.records(Kind::Flow, RecordEnd::OutletFull), 3);
    assert_eq!(rig.records(Kind::Options, RecordEnd::Row), 4);
    assert_eq!(rig.records(Kind::Options, RecordEnd::OutletFull), 3);
}

#[test]
fn kinds_that_nobody_wants_are_counted_only() {
    let fields = [Field::iana(8, 4)];
    let settings = Settings { kinds: 1 << Kind::Options.index(), ..Settings::default() };
    let mut rig = Rig::new(&[(0, 8)], BatchLimits { rows: 8, octets: 1 << 20 }, 2, settings);
    let mut message = Message::new(EXPORT, 0, 7);
    message.template(256, &fields).raw(256, &[9; 4 * 7], 7).raw(255, &[], 0);
    rig.send(4739, &message.finish());
    assert_eq!(rig.records(Kind::Flow, RecordEnd::NotWanted), 7);
    assert_eq!(rig.records(Kind::Error, RecordEnd::NotWanted), 1);
    assert_eq!(rig.sets(Protocol::Ipfix, SetEnd::ReservedId), 1);
    assert!(rig.rows(TableId::Flows).is_empty());
}

//= RFC 7011 section 9
//# A Collector SHOULD provide a logging mechanism for tracking out-of-sequence IPFIX Messages.
//= RFC 7011 section 11.6
//# IPFIX Collecting Processes MUST detect potential IPFIX Message insertion or loss conditions by tracking
//# the IPFIX Sequence Number and SHOULD provide a logging mechanism for reporting out-of-sequence messages.
//= RFC 3954 section 5.1
//# This value MUST be cumulative, and SHOULD be used by the Collector to identify whether any Export Packets
//# have been missed.
//= RFC 7011 section 10.3.2
//# The Collecting Process SHOULD deduce the loss and reordering of IPFIX Data Records by looking at the
//# discontinuities in the IPFIX Sequence Number.
//= RFC 7011 section 10.3.2
//# A Collector SHOULD detect out-of-sequence, dropped, or duplicate IPFIX Messages by tracking the Sequence
//# Number.
#[test]
fn losses_are_counted_by_each_protocols_rule() {
    let fields = [Field::iana(8, 4)];
    let mut rig = Rig::with(&[]);
    for sequence in [0, 7, 27] {
        let mut message = Message::new(EXPORT, sequence, 7);
        message.template(256, &fields).raw(256, &[9; 4 * 7], 7);
        rig.send(4739, &message.finish());
    }
    for sequence in [10, 11, 14] {
        rig.send(2055, &netflow::Packet::new(60_000, EXPORT, sequence, 5).finish());
    }
    for sequence in [100, 102] {
        let header = netflow::HeaderV5 { sequence, ..netflow::HeaderV5::default() };
        rig.send(2055, &netflow::packet_v5(&header, &[netflow::RecordV5::default()]));
    }
    assert_eq!(rig.lost(Protocol::Ipfix), 0);
    rig.tick(SECOND);
    assert_eq!(rig.lost(Protocol::Ipfix), 13);
    assert_eq!(rig.lost(Protocol::Netflow9), 2);
    assert_eq!(rig.lost(Protocol::Netflow5), 1);
}

//= RFC 7011 section 10.1
//# It MUST be possible to configure both the Exporting and Collecting Processes to use different ports than
//# the default.
#[test]
fn what_is_no_flow_export_is_told_apart() {
    let mut rig = Rig::with(&[]);
    rig.send(2055, &[0, 0, 0, 5]);
    rig.send(2055, &[]);
    rig.send(9999, &[0, 10]);
    assert_eq!(rig.collector.ledgers().packets[PacketEnd::UnknownProtocol.index()], 2);
    assert_eq!(rig.collector.ledgers().packets[PacketEnd::NotTelemetry.index()], 1);
    rig.send(4739, &[0, 9, 0, 0]);
    assert_eq!(rig.messages(Protocol::Ipfix, MessageEnd::UnknownVersion), 1);
    rig.send(4739, &[0, 10, 0]);
    rig.send(4739, &[0]);
    assert_eq!(rig.messages(Protocol::Ipfix, MessageEnd::Malformed), 2);
}
