//! Octets of flow export that cannot be, one test an attack: the counter that names them, memory that stays bounded, and
//! the data of good neighbours, which is kept.
#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/attacker.rs"]
mod attacker;
#[path = "kit/exporters.rs"]
mod exporters;

use attacker::{
    EVIL, FLOW, GOOD, MIB, flow, keeps_more, keeps_neighbours, length_of, message, rig, rows, send, sets,
    template,
};
use collector::ledger::{Kind, MessageEnd, PacketEnd, Protocol, RecordEnd, SetEnd};
use collector::schema::TableId;
use collector::settings::Settings;
use collector::{Input, StreamId};
use etherparse::PacketBuilder;
use exporters::{EXPORT, Rig, SECOND};
use wire::emit::netflow;
use wire::ipfix::template::{Field, VARIABLE_LENGTH};

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
