//! A collector, a good exporter and an evil one. Part of the tests that include it.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "each test that includes this file uses a part of it, and fails where that part does"
)]

use collector::batch::BatchLimits;
use collector::ledger::{Kind, Protocol, RecordEnd, SetEnd};
use collector::message::Context;
use collector::schema::{RecordField, TableId};
use collector::settings::Settings;
use wire::emit::ipfix::Message;
use wire::ipfix::template::Field;

use crate::exporters::{EXPORT, Rig, field, octets};

pub const FLOW: [Field; 1] = [Field::iana(8, 4)];
pub const GOOD: &str = "192.0.2.1:50000";
pub const EVIL: &str = "192.0.2.66:50000";
pub const MIB: u64 = 1 << 20;

pub fn rig(settings: Settings) -> Rig {
    Rig::new(&[(0, 8)], BatchLimits { rows: 256, octets: 1 << 20 }, 64, settings)
}

pub fn message(write: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(EXPORT, 0, 7);
    write(&mut message);
    message.finish()
}

pub fn template(id: u16, fields: &[Field]) -> Vec<u8> {
    message(|message| _ = message.template(id, fields))
}

pub fn flow(id: u16) -> Vec<u8> {
    message(|message| _ = message.data(id, &FLOW, &[&[&[10, 0, 0, 1]]]))
}

pub fn send(rig: &mut Rig, from: &str, payload: &[u8]) {
    rig.now.monotonic_ns += 1_000;
    rig.send_from(from, 2055, payload);
}

pub fn sets(rig: &Rig, end: SetEnd) -> u64 {
    rig.sets(Protocol::Ipfix, end)
}

pub fn rows(rig: &Rig) -> u64 {
    rig.records(Kind::Flow, RecordEnd::Row)
}

/// Reasons of the error rows, with their octets.
pub fn errors(rig: &mut Rig) -> Vec<(String, Vec<u8>)> {
    let read = |row| {
        let context = octets(row, field(RecordField::Context))?;
        let Some(Context::Error { reason, .. }) = Context::read(&context) else { return None };
        Some((reason.to_owned(), octets(row, field(RecordField::Octets)).unwrap_or_default()))
    };
    rig.rows(TableId::Messages).iter().filter_map(read).collect()
}

/// Asserts that a message with this behind two good records loses neither them nor what follows.
pub fn keeps_neighbours(rig: &mut Rig, evil: &[u8]) {
    keeps_more(rig, evil, 0);
}

/// The same with good records in what stands behind.
pub fn keeps_more(rig: &mut Rig, evil: &[u8], good: u64) {
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

/// A length in two octets.
pub fn length_of(length: usize) -> Vec<u8> {
    u16::try_from(length).unwrap().to_be_bytes().to_vec()
}
