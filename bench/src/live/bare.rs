//! The limit that a pipeline is held against: the same ring, but every offset is known beforehand.
//!
//! In: frames of IPv4 without options, UDP, IPFIX with one data set of one 23-field template. Out: the same columns
//! that a collector fills, without sessions, templates or a sink. It verifies the UDP checksum, as a collector must.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use collector::Input;
use control::ebpf::{LoadSettings, Mode, Programs, attach};
use dataplane::ring::{self, Ring};
use dataplane::settings::RingSettings;
use dataplane::source::Source as _;
use dataplane_common::map::{PORT_UDP, Port, SlotState, Steering};
use lab::exporter::FIELDS_V4;

use super::collect::Worked;
use super::stage::{ADDRESS, Offer, Offered, PORT, Stage};

/// Key of the router hash: one worker takes all, whatever it is.
pub(super) const KEY: [u8; 16] = *b"a bench of rings";
/// Ethernet, IPv4 and UDP headers.
const PAYLOAD: usize = 14 + 20 + 8;
/// Header of the message and of its set.
const RECORDS: usize = PAYLOAD + 16 + 4;
/// Octets of a record.
const RECORD: usize = 76;
/// Rows of a batch; then it is thrown away and the next one begins.
const ROWS: usize = 4_096;
/// Frames of a turn.
const BUDGET: u32 = 64;
/// Without frames for so long after the generator has ended, all have come.
const QUIET: Duration = Duration::from_millis(300);

/// Offers to a bare loop on the receiver's core.
///
/// # Errors
/// Program, ring or generator failed.
pub fn take(stage: &Stage, offer: &Offer) -> anyhow::Result<(Offered, Worked)> {
    let (ready, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let looping = threads.spawn(|| turn(stage, &ready, &over));
        while !ready.load(Ordering::Acquire) && !looping.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let offered = if looping.is_finished() { None } else { Some(stage.offer(offer)) };
        over.store(true, Ordering::Release);
        let worked = looping.join().ok().context("the bare loop panicked")??;
        Ok((offered.context("the bare loop ended early")??, worked))
    })
}

fn turn(stage: &Stage, ready: &AtomicBool, over: &AtomicBool) -> anyhow::Result<Worked> {
    stage.pair().enter("a")?;
    let id = stage.receiver_core;
    ensure!(core_affinity::set_for_current(core_affinity::CoreId { id }), "cannot run on core {id}");
    let (_programs, mut ring) = open()?;
    let mut columns: Vec<Vec<u64>> = FIELDS_V4.iter().map(|_| Vec::with_capacity(2 * ROWS)).collect();
    let mut worked = Worked::default();
    let mut last = Instant::now();
    ready.store(true, Ordering::Release);
    loop {
        let began = Instant::now();
        let given = ring.receive(BUDGET, |input| {
            let Input::Frame(frame) = input else { return 0 };
            worked.records += read(frame, &mut columns);
            frame.len()
        });
        ring.recycle();
        if given > 0 {
            if columns.first().is_some_and(|column| column.len() >= ROWS) {
                columns.iter_mut().for_each(|column| {
                    std::hint::black_box(&*column);
                    column.clear();
                });
            }
            worked.datagrams += u64::from(given);
            worked.busy_ns += u64::try_from(began.elapsed().as_nanos())?;
            last = Instant::now();
        } else if over.load(Ordering::Acquire) && last.elapsed() > QUIET {
            return Ok(worked);
        }
    }
}

/// XDP that sends all telemetry to one ring, and that ring.
pub(super) fn open() -> anyhow::Result<(Programs, Ring)> {
    let settings = RingSettings::default();
    let mut programs = Programs::load(&LoadSettings::new(KEY, settings.frame_room_bytes()))?;
    let tables = &mut programs.tables;
    tables.local_addresses.insert(ADDRESS.parse()?)?;
    tables.ports.set(PORT, Port { transports: PORT_UDP, ..Port::default() })?;
    let mut table = Steering::EMPTY;
    table.states[0] = SlotState::Millrace as u8;
    tables.steering.install(&table)?;
    let row = tables.rings.row(attach::device_index("eth0")?, 0)?;
    let mut rings = ring::open("eth0", 0, 1, &settings)?.rings;
    let mut ring = rings.pop().context("no ring")?;
    ring.row = row;
    programs.tables.rings.insert(row, 0, ring.descriptor().context("no socket")?)?;
    programs.attach("eth0", Mode::Native)?;
    Ok((programs, ring))
}

/// Reads every field of every record at its known place. Returns how many records there were.
#[inline]
fn read(frame: &[u8], columns: &mut [Vec<u64>]) -> u64 {
    if frame.len() < RECORDS || !verified(frame) {
        return 0;
    }
    let set = &frame[RECORDS - 4..];
    // Template sets have nothing to read.
    if set[0] == 0 {
        return 0;
    }
    let records = set[4..].chunks_exact(RECORD);
    let count = records.len();
    let mut at = 0;
    for (column, field) in columns.iter_mut().zip(&FIELDS_V4) {
        let body = records.clone();
        match field.length {
            1 => column.extend(body.map(|record| u64::from(record[at]))),
            2 => column.extend(body.map(|record| number::<2>(record, at))),
            4 => column.extend(body.map(|record| number::<4>(record, at))),
            _ => column.extend(body.map(|record| number::<8>(record, at))),
        }
        at += usize::from(field.length);
    }
    count as u64
}

#[inline]
fn number<const N: usize>(record: &[u8], at: usize) -> u64 {
    let mut octets = [0; 8];
    octets[8 - N..].copy_from_slice(&record[at..at + N]);
    u64::from_be_bytes(octets)
}

/// The UDP checksum with its pseudo header (RFC 768), eight octets at a time.
#[inline]
fn verified(frame: &[u8]) -> bool {
    let mut sum = 17 + (frame.len() - 34) as u64;
    let words = frame[26..].chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        sum += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_be_bytes(last));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

#[cfg(test)]
mod tests {
    use lab::frame::Frame;

    use super::*;
    use crate::generate::population::{Class, Population};
    use crate::generate::script::Script;

    #[test]
    fn the_bare_loop_reads_every_record_and_refuses_a_wrong_checksum() {
        let class = Class { exporters: 3, ..Class::default() };
        let population = Population { class: vec![class], datagrams: 30, ..Population::default() };
        let script = Script::new(&population, 1_700_000_000);
        let mut columns = vec![Vec::new(); FIELDS_V4.len()];
        let mut records = 0;
        for item in &script.items {
            let mut frame = Frame::udp(item.source, "10.73.0.1:4739".parse().unwrap(), &item.octets).octets();
            records += read(&frame, &mut columns);
            frame[60] ^= 1;
            assert_eq!(read(&frame, &mut columns), 0);
        }
        let counts = script.counts(script.items.len() as u64);
        assert_eq!(records, counts[0].records);
        assert!(columns.iter().all(|column| column.len() as u64 == records));
        // ipVersion, the seventeenth field, is 4 in every record.
        assert!(columns[16].iter().all(|version| *version == 4));
    }
}
