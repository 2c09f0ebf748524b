//! What anybody who can send a UDP datagram may try on a flow session, one test an attack: the counter that
//! names it, memory that stays bounded, and the data of good neighbours, which is kept.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use collector::batch::BatchLimits;
use collector::ledger::{FlowEvent, Kind, MessageEnd, PacketEnd, Protocol, RecordEnd, SetEnd};
use collector::message::Context;
use collector::schema::{RecordField, TableId};
use collector::settings::{ExporterKey, Settings};
use collector::{Input, StreamId};
use etherparse::PacketBuilder;
use wire::emit::{ipfix::Message, netflow};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};

#[path = "kit/exporters.rs"]
mod exporters;

use exporters::{EXPORT, Rig, SECOND, field, integer, octets};

const FLOW: [Field; 1] = [Field::iana(8, 4)];
const GOOD: &str = "192.0.2.1:50000";
const EVIL: &str = "192.0.2.66:50000";
const MIB: u64 = 1 << 20;

fn rig(settings: Settings) -> Rig {
    Rig::new(&[(0, 8)], BatchLimits { rows: 256, octets: 1 << 20 }, 64, settings)
}

fn message(write: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(EXPORT, 0, 7);
    write(&mut message);
    message.finish()
}

fn template(id: u16, fields: &[Field]) -> Vec<u8> {
    message(|message| _ = message.template(id, fields))
}

fn flow(id: u16) -> Vec<u8> {
    message(|message| _ = message.data(id, &FLOW, &[&[&[10, 0, 0, 1]]]))
}

fn send(rig: &mut Rig, from: &str, payload: &[u8]) {
    rig.now.monotonic_ns += 1_000;
    rig.send_from(from, 2055, payload);
}

fn sets(rig: &Rig, end: SetEnd) -> u64 {
    rig.sets(Protocol::Ipfix, end)
}

fn rows(rig: &Rig) -> u64 {
    rig.records(Kind::Flow, RecordEnd::Row)
}

/// Reasons of the error rows, with their octets.
fn errors(rig: &mut Rig) -> Vec<(String, Vec<u8>)> {
    let read = |row| {
        let context = octets(row, field(RecordField::Context))?;
        let Some(Context::Error { reason, .. }) = Context::read(&context) else { return None };
        Some((reason.to_owned(), octets(row, field(RecordField::Octets)).unwrap_or_default()))
    };
    rig.rows(TableId::Messages).iter().filter_map(read).collect()
}

/// Asserts that a message with this behind two good records loses neither them nor what follows.
fn keeps_neighbours(rig: &mut Rig, evil: &[u8]) {
    keeps_more(rig, evil, 0);
}

/// The same with good records in what stands behind.
fn keeps_more(rig: &mut Rig, evil: &[u8], good: u64) {
    let before = rows(rig);
    let mut octets =
        message(|message| _ = message.template(256, &FLOW).data(256, &FLOW, &[&[&[1; 4]], &[&[2; 4]]]));
    octets.extend_from_slice(evil);
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    send(rig, GOOD, &octets);
    assert_eq!(rows(rig), before + good + 2);
    send(rig, GOOD, &flow(256));
    assert_eq!(rows(rig), before + good + 3);
}

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
fn attack_05_templates_of_no_octets_and_of_padding() {
    for fields in [vec![Field::iana(8, 0)], vec![Field::iana(8, 0); 500]] {
        let mut rig = rig(Settings::default());
        let evil =
            [vec![0, 2], length_of(8 + 4 * fields.len()), vec![2, 0], length_of(fields.len())].concat();
        let specifiers: Vec<u8> = fields.iter().flat_map(|_| [0, 8, 0, 0]).collect();
        keeps_neighbours(&mut rig, &[evil, specifiers].concat());
        assert_eq!(sets(&rig, SetEnd::Malformed), 1);
        // No data was ever read by it: a set for it waits like any other, as one unit.
        send(&mut rig, GOOD, &message(|message| _ = message.raw(512, &[0; 60_000], 0)));
        assert_eq!((sets(&rig, SetEnd::Waiting), rows(&rig)), (1, 3));
    }
    // Padding of one octet is a record: as many as there are octets, each with its end, and not one more.
    let mut rig = rig(Settings::default());
    let padding = [Field::iana(210, 1)];
    send(&mut rig, EVIL, &template(256, &padding));
    send(&mut rig, EVIL, &message(|message| _ = message.raw(256, &[0; 60_000], 0)));
    let full = rig.records(Kind::Flow, RecordEnd::OutletFull);
    assert_eq!(rows(&rig) + full, 60_000);
    rig.rows(TableId::Flows);
    send(&mut rig, GOOD, &template(256, &FLOW));
    send(&mut rig, GOOD, &flow(256));
    assert_eq!(rows(&rig) + full, 60_001);
}

fn length_of(length: usize) -> Vec<u8> {
    u16::try_from(length).unwrap().to_be_bytes().to_vec()
}

#[test]
fn attack_06_options_scopes_and_counts_beyond_the_set() {
    // IPFIX: more fields than octets, a scope count of 0 and above the fields.
    for body in
        [[1, 1, 0xff, 0xff, 0, 1, 0, 1, 0, 4], [1, 1, 0, 1, 0, 0, 0, 1, 0, 4], [1, 1, 0, 1, 0, 9, 0, 1, 0, 4]]
    {
        let mut rig = rig(Settings::default());
        keeps_neighbours(&mut rig, &[vec![0, 3, 0, 14], body.to_vec()].concat());
        assert_eq!(sets(&rig, SetEnd::Malformed), 1, "{body:?}");
    }
    // NetFlow v9 counts octets of scope and of options: no multiple of 4, beyond the set.
    for lengths in [[0, 3, 0, 4], [0, 4, 0, 5], [0xff, 0xfc, 0, 4], [0, 4, 0xff, 0xfc]] {
        let mut rig = rig(Settings::default());
        let mut packet = netflow::Packet::new(60_000, EXPORT, 0, 7);
        packet.template(256, &FLOW).data(256, &FLOW, &[&[&[1; 4]]]);
        packet.raw(1, &[&[1, 1][..], &lengths, &[0, 1, 0, 4, 0, 34, 0, 4]].concat(), 1);
        send(&mut rig, GOOD, &packet.finish());
        assert_eq!(rig.sets(Protocol::Netflow9, SetEnd::Malformed), 1, "{lengths:?}");
        assert_eq!(rows(&rig), 1);
    }
}

#[test]
fn attack_07_sets_of_length_zero() {
    for length in 0..4 {
        let mut rig = rig(Settings::default());
        keeps_neighbours(&mut rig, &[1, 0, 0, length, 0, 0, 0, 0]);
        assert_eq!(
            (sets(&rig, SetEnd::Malformed), rig.messages(Protocol::Ipfix, MessageEnd::Partial)),
            (1, 1)
        );
        let mut packet = netflow::Packet::new(60_000, EXPORT, 0, 7);
        packet.template(256, &FLOW).data(256, &FLOW, &[&[&[1; 4]]]);
        let mut octets = packet.finish();
        octets.extend([1, 0, 0, length, 0, 0, 0, 0]);
        send(&mut rig, GOOD, &octets);
        assert_eq!((rig.sets(Protocol::Netflow9, SetEnd::Malformed), rows(&rig)), (1, 4));
    }
}

#[test]
fn attack_08_variable_lengths_past_the_end() {
    let text = [Field::iana(82, VARIABLE_LENGTH), Field::iana(8, 4)];
    for length in [vec![5], vec![254], vec![255, 0, 9], vec![255, 0xff, 0xff], vec![255], vec![255, 0]] {
        let mut rig = rig(Settings::default());
        let record = [&length[..], &[1, 2, 3, 4]].concat();
        let good = [2, b'o', b'k', 10, 0, 0, 1];
        send(&mut rig, GOOD, &template(300, &text));
        let set = [vec![1, 44], length_of(4 + good.len() + record.len()), good.to_vec(), record].concat();
        // The record before the bad one is a row too, and the bad one no row.
        keeps_more(&mut rig, &set, 1);
        assert_eq!(sets(&rig, SetEnd::Malformed), 1, "{length:?}");
    }
}

#[test]
fn attack_09_lists_in_lists() {
    // A list whose records are made by its own template, as deep as a message holds. Sessions never follow lists:
    // the record is one row, its octets are kept (how deep readers follow is tested with them).
    let list = [Field::iana(292, VARIABLE_LENGTH)];
    let mut octets = Vec::new();
    for _ in 0..60 {
        // Semantic, template 256, then one record: the list so far.
        let mut outer = Vec::new();
        wire::emit::ipfix::variable_length(&mut outer, octets.len() + 3);
        outer.extend([255, 1, 0]);
        outer.extend_from_slice(&octets);
        octets = outer;
    }
    let mut rig = rig(Settings::default());
    send(&mut rig, EVIL, &template(256, &list));
    let used = allocation_counter::measure(|| {
        send(&mut rig, EVIL, &message(|message| _ = message.raw(256, &octets, 1)));
    });
    assert!(used.bytes_current < MIB as i64, "{used:?}");
    assert_eq!(rows(&rig), 1);
    keeps_neighbours(&mut rig, &[]);
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

#[test]
fn attack_13_a_flood_of_errors() {
    // Sixteen thousand damaged sets in one datagram: counted one by one, told a hundred times a second.
    let mut rig = rig(Settings { max_error_rows_per_second: 100, ..Settings::default() });
    let evil = [0, 9, 0, 4].repeat(16_000);
    keeps_neighbours(&mut rig, &evil);
    assert_eq!(sets(&rig, SetEnd::ReservedId), 16_000);
    let told = |rig: &Rig| {
        (rig.records(Kind::Error, RecordEnd::Row), rig.records(Kind::Error, RecordEnd::RateLimited))
    };
    assert_eq!(told(&rig), (100, 15_900));
    rig.tick(SECOND);
    keeps_neighbours(&mut rig, &evil[..8]);
    assert_eq!(told(&rig), (102, 15_900));
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

//= RFC 7011 section 10
//# A Collecting Process MUST be able to handle IPFIX Message lengths of up to 65535 octets.
#[test]
fn attack_15_fragments_and_the_longest_datagram() {
    let mut rig = rig(Settings::default());
    let frame = |payload: &[u8], fragment: Option<(bool, u16)>| {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
        let mut frame = Vec::new();
        builder.udp(50_000, 2055).write(&mut frame, payload).unwrap();
        if let Some((more, offset)) = fragment {
            let field = u16::from(more) << 13 | offset;
            frame[20..22].copy_from_slice(&field.to_be_bytes());
            frame[24..26].copy_from_slice(&[0; 2]);
            let sum: u32 =
                frame[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
            let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
            frame[24..26].copy_from_slice(&(!folded).to_be_bytes());
        }
        frame
    };
    let mut feed = |frame: &[u8]| {
        let taken = rig.collector.accept(rig.now, Input::Frame(frame), &mut rig.outlet);
        assert_eq!(taken, frame.len());
    };
    // A ring never reassembles: a fragment that got there has an end of its own and no session sees it.
    feed(&frame(&template(256, &FLOW), Some((true, 0))));
    feed(&frame(&template(256, &FLOW), Some((false, 100))));
    feed(&frame(&template(256, &FLOW), None));
    assert_eq!(rig.collector.ledgers().packets[PacketEnd::Fragment.index()], 2);
    assert_eq!(rig.messages(Protocol::Ipfix, MessageEnd::Decoded), 1);
    // The longest datagram that UDP carries.
    send(&mut rig, GOOD, &message(|message| _ = message.raw(256, &[1; 65_484], 0)));
    assert_eq!(rows(&rig) + rig.records(Kind::Flow, RecordEnd::OutletFull), 65_484 / 4);
}

#[test]
fn attack_16_counts_that_ask_for_memory() {
    let mut rig = rig(Settings::default());
    let netflow5 = {
        let mut packet = netflow::packet_v5(&netflow::HeaderV5::default(), &[netflow::RecordV5::default()]);
        packet[2..4].copy_from_slice(&[0xff; 2]);
        packet
    };
    // A template of 65,535 fields and an options template of as many scopes, in twelve octets each.
    let mut ipfix = message(|message| _ = message.template(256, &FLOW).data(256, &FLOW, &[&[&[1; 4]]]));
    ipfix.extend([0, 2, 0, 12, 1, 44, 0xff, 0xff, 0, 8, 0, 4]);
    ipfix.extend([0, 3, 0, 14, 1, 45, 0xff, 0xff, 0xff, 0xff, 0, 8, 0, 4]);
    let length = length_of(ipfix.len());
    ipfix[2..4].copy_from_slice(&length);
    let used = allocation_counter::measure(|| {
        send(&mut rig, GOOD, &ipfix);
        send(&mut rig, GOOD, &netflow5);
    });
    assert!(used.bytes_max < 64 * 1024, "{used:?}");
    assert_eq!(sets(&rig, SetEnd::Malformed), 2);
    // A header that counts what cannot be in a packet is not believed at all.
    assert_eq!((rig.messages(Protocol::Netflow5, MessageEnd::Malformed), rows(&rig)), (1, 1));
    // A stream that no session owns is read and forgotten.
    let received = Input::Received { stream: StreamId(9), octets: &[0xff; 64] };
    assert_eq!(rig.collector.accept(rig.now, received, &mut rig.outlet), 64);
}
