//! The limit that a pipeline is held against: the same ring, and a loop that knows every offset beforehand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use collector::Input;
use control::ebpf::{LoadSettings, Mode, Programs, attach};
use dataplane::ring::{self, Ring};
use dataplane::settings::RingSettings;
use dataplane::source::Source as _;
use dataplane_common::map::{PORT_UDP, Port, SlotState, Steering};

use super::collect::Worked;
use super::stage::{ADDRESS, Offer, Offered, PORT, Stage};
use crate::bare::Columns;

/// Key of the router hash: one worker takes all, whatever it is.
pub(super) const KEY: [u8; 16] = *b"a bench of rings";
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
    let mut columns = Columns::default();
    let mut worked = Worked::default();
    let mut last = Instant::now();
    ready.store(true, Ordering::Release);
    loop {
        let began = Instant::now();
        let given = ring.receive(BUDGET, |input| {
            let Input::Frame(frame) = input else { return 0 };
            worked.records += columns.take(frame, |_, _| ()) as u64;
            frame.len()
        });
        ring.recycle();
        if given > 0 {
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
