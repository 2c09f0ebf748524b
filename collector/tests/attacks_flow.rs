//! What anybody who can send a UDP datagram may try on what a flow session knows, one test an attack: the counter that
//! names it, memory that stays bounded, and the data of good neighbours, which is kept. Octets that cannot be are in
//! `attacks_flow_octets`.
#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/attacker.rs"]
mod attacker;
#[path = "kit/exporters.rs"]
mod exporters;

use attacker::{EVIL, FLOW, GOOD, MIB, errors, flow, message, rig, rows, send, sets, template};
use collector::ledger::{FlowEvent, Kind, PacketEnd, Protocol, RecordEnd, SetEnd};
use collector::schema::{RecordField, TableId};
use collector::settings::{ExporterKey, Settings};
use exporters::{EXPORT, Rig, SECOND, field, integer};
use wire::emit::ipfix::Message;
use wire::ipfix::template::Field;

#[test]
fn attack_01_a_spoofed_router() {
    // Whoever takes the address of a router shares its session, unless the source port is part of the identity.
    for (exporter_key, kept) in [(ExporterKey::AddressAndPort, 1), (ExporterKey::Address, 0)] {
        let mut rig = rig(Settings { exporter_key, ..Settings::default() });
        send(&mut rig, GOOD, &template(256, &FLOW));
        send(&mut rig, "192.0.2.1:666", &template(256, &[Field::iana(8, 16)]));
        send(&mut rig, GOOD, &flow(256));
        assert_eq!(rows(&rig), kept);
        assert_eq!(rig.event(FlowEvent::TemplateChanged), 1 - kept);
    }
    // A flood of other addresses fills the table of routers and no more; known ones are served on.
    let mut rig = rig(Settings { max_routers: 8, ..Settings::default() });
    send(&mut rig, GOOD, &template(256, &FLOW));
    for last in 0..=u16::MAX {
        let [c, d] = last.to_be_bytes();
        send(&mut rig, &format!("10.0.{c}.{d}:1"), &flow(256));
    }
    assert_eq!(rig.collector.ledgers().packets[PacketEnd::TooManyRouters.index()], 65_536 - 7);
    send(&mut rig, GOOD, &flow(256));
    assert_eq!(rows(&rig), 1);
}

//= RFC 7011 section 8.1
//# The continued receipt and unambiguous interpretation of Data Records for this Template ID are no longer
//# possible, and the Collecting Process SHOULD log the error.
//= RFC 7011 section 8.4
//# When a Collecting Process receives a new Template Record or Options Template Record via UDP for an
//# already-allocated Template ID, and that Template or Options Template is identical to the already-received
//# Template or Options Template, it SHOULD NOT log the retransmission, as this is the normal operation of
//# Template refresh over UDP.
#[test]
fn attack_02_template_poisoning() {
    let mut rig = rig(Settings::default());
    send(&mut rig, GOOD, &message(|message| _ = message.template(256, &FLOW).template(257, &FLOW)));
    let other = [Field::iana(1, 8), Field::iana(2, 8)];
    send(&mut rig, GOOD, &template(256, &other));
    assert_eq!(rig.event(FlowEvent::TemplateChanged), 1);
    // The alarm shows the new layout as it was sent.
    assert_eq!(errors(&mut rig), [("template_changed".to_owned(), vec![0, 1, 0, 8, 0, 2, 0, 8])]);
    // The data that the true exporter still sends by the old layout does not fit, and is no row of garbage.
    send(&mut rig, GOOD, &flow(256));
    assert_eq!((rows(&rig), rig.records(Kind::Flow, RecordEnd::Malformed)), (0, 1));
    send(&mut rig, GOOD, &flow(257));
    assert_eq!(rows(&rig), 1);
    // Sent again as it is, a template is no change.
    send(&mut rig, GOOD, &template(256, &other));
    assert_eq!(rig.event(FlowEvent::TemplateChanged), 1);
}

#[test]
fn attack_03_withdrawals() {
    let mut rig = rig(Settings::default());
    send(&mut rig, GOOD, &template(256, &FLOW));
    for id in [256, 2, 3] {
        send(&mut rig, GOOD, &message(|message| _ = message.withdrawal(id, id == 3)));
    }
    assert_eq!(sets(&rig, SetEnd::WithdrawalRefused), 3);
    send(&mut rig, GOOD, &flow(256));
    assert_eq!(rows(&rig), 1);
}

#[test]
fn attack_04_a_flood_of_templates() {
    let settings = Settings { max_templates_per_exporter: 256, max_shared_plans: 512, ..Settings::default() };
    let mut rig = rig(settings);
    send(&mut rig, GOOD, &template(256, &FLOW));
    let flood: Vec<Vec<u8>> = (0..24)
        .map(|n| {
            message(|message| {
                for id in 0..512_u16 {
                    // Each of another layout, so that no plan is shared.
                    let fields = [Field::iana(1 + id, 1 + n), Field::iana(8, 4), Field::iana(12, 1 + id)];
                    message.template(256 + n * 512 + id, &fields);
                }
            })
        })
        .collect();
    let used = allocation_counter::measure(|| flood.iter().for_each(|payload| send(&mut rig, EVIL, payload)));
    assert!(used.bytes_current < 2 * MIB as i64, "{used:?}");
    assert!(rig.event(FlowEvent::TemplateEvicted) >= 24 * 512 - 256);
    assert!(rig.event(FlowEvent::PlanNotShared) > 0);
    // Fields beyond the limit: refused, and what stands beside is kept.
    let long = vec![Field::iana(1, 1); 2_049];
    send(&mut rig, EVIL, &message(|message| _ = message.template(300, &long).template(301, &FLOW)));
    assert_eq!((rig.event(FlowEvent::TemplateTooLong), sets(&rig, SetEnd::Refused)), (1, 1));
    send(&mut rig, EVIL, &flow(301));
    send(&mut rig, GOOD, &flow(256));
    assert_eq!(rows(&rig), 2);
}

#[test]
fn attack_11_an_explosion_of_observation_domains() {
    let mut rig = rig(Settings { max_exporters_per_router: 16, ..Settings::default() });
    send(&mut rig, GOOD, &template(256, &FLOW));
    let used = allocation_counter::measure(|| {
        for domain in 0..20_000 {
            let mut message = Message::new(EXPORT, 0, domain);
            message.template(256, &FLOW).data(300, &FLOW, &[&[&[1; 4]]]);
            send(&mut rig, EVIL, &message.finish());
        }
    });
    assert_eq!(rig.event(FlowEvent::ExporterEvicted), 20_000 - 16);
    assert_eq!((sets(&rig, SetEnd::Waiting), sets(&rig, SetEnd::NoTemplate)), (16, 20_000 - 16));
    assert!(used.bytes_current < MIB as i64, "{used:?}");
    send(&mut rig, GOOD, &flow(256));
    assert_eq!(rows(&rig), 1);
}

//= RFC 7011 section 11.4
//# These rate and state limits MAY be provided by a Collecting Process, and if provided, the limits SHOULD be
//# user configurable.
#[test]
fn attack_11_data_without_templates_at_many_exporters() {
    let settings = Settings { max_waiting_octets_per_worker: 100_000, ..Settings::default() };
    let mut rig = rig(settings);
    send(&mut rig, GOOD, &template(256, &FLOW));
    for last in 0..100 {
        let from = format!("10.0.0.{last}:1");
        send(&mut rig, &from, &message(|message| _ = message.raw(300, &[0; 10_000], 0)));
    }
    assert_eq!((sets(&rig, SetEnd::Waiting), sets(&rig, SetEnd::WaitingFull)), (9, 91));
    send(&mut rig, GOOD, &flow(256));
    assert_eq!(rows(&rig), 1);
    rig.tick(61 * SECOND);
    assert_eq!((sets(&rig, SetEnd::Waiting), sets(&rig, SetEnd::NoTemplate)), (0, 9));
}

#[test]
fn attack_12_fake_sampling_rates() {
    let rate = |octets: [u8; 8], from: [Field; 1]| {
        let mut rig = rig(Settings::default());
        let fields = [from[0], FLOW[0]];
        let mut message = Message::new(EXPORT, 0, 7);
        message.template(256, &fields).data(256, &fields, &[&[&octets, &[1; 4]]]);
        send(&mut rig, EVIL, &message.finish());
        let rows = rig.rows(TableId::Flows);
        assert_eq!(rows.len(), 1);
        integer(&rows[0], field(RecordField::SamplingRate)).map(f64::from_bits)
    };
    for id in [34, 50] {
        for (told, expected) in [
            (0, None),
            (1, Some(1.0)),
            (u64::from(u32::MAX), Some(4_294_967_295.0)),
            (1 << 32, None),
            (u64::MAX, None),
        ] {
            assert_eq!(rate(told.to_be_bytes(), [Field::iana(id, 8)]), expected, "{told}");
        }
    }
}

//= RFC 7011 section 11.6
//# IPFIX Collecting Processes MUST detect potential IPFIX Message insertion or loss conditions by tracking
//# the IPFIX Sequence Number and SHOULD provide a logging mechanism for reporting out-of-sequence messages.
//= RFC 7011 section 10.3.2
//# A Collector SHOULD detect out-of-sequence, dropped, or duplicate IPFIX Messages by tracking the Sequence
//# Number.
#[test]
fn attack_14_jumping_sequence_numbers() {
    let sequence = |rig: &mut Rig, sequence| {
        let mut message = Message::new(EXPORT, sequence, 7);
        message.template(256, &FLOW).data(256, &FLOW, &[&[&[1; 4]]]);
        send(rig, GOOD, &message.finish());
    };
    // A number half the circle away is a new numbering, not two thousand million lost records.
    let mut far = rig(Settings::default());
    for number in [0, 1, 2, 1 << 31, 3, 4, 5] {
        sequence(&mut far, number);
    }
    far.tick(10 * SECOND);
    assert_eq!((rows(&far), far.lost(Protocol::Ipfix)), (7, 0));
    assert!(far.event(FlowEvent::ExporterRestarted) >= 1);
    // One forged message a thousand ahead costs at most what it claims, once; the true numbering is taken up again.
    let mut near = rig(Settings::default());
    for number in [0, 1, 1_000, 2, 3, 4, 5, 6] {
        sequence(&mut near, number);
    }
    near.tick(10 * SECOND);
    assert_eq!(rows(&near), 8);
    assert!(near.lost(Protocol::Ipfix) <= 998, "{}", near.lost(Protocol::Ipfix));
    let before = near.lost(Protocol::Ipfix);
    for number in 7..100 {
        sequence(&mut near, number);
    }
    near.tick(10 * SECOND);
    assert_eq!(near.lost(Protocol::Ipfix), before);
}
