//! The ring that dumped frames go into, and what a dump asks for.
//!
//! In: settings of the load. Out: room in the ring, and counters.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use dataplane_common::map::dump::{Counts, Record};

use super::{SETTINGS, setting};

/// The least that a ring can have; a load that dumps says more.
const PAGE: u32 = 4_096;

#[map]
static DUMP_RING: RingBuf = RingBuf::with_byte_size(PAGE, 0);
#[map]
static DUMP_COUNTS: PerCpuArray<Counts> = PerCpuArray::with_max_entries(1, 0);
#[map]
static DUMP_RECORD: PerCpuArray<Record> = PerCpuArray::with_max_entries(1, 0);

/// Whether this load dumps.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    setting!(dump) != 0
}

/// Whether only frames that XDP drops are wanted.
#[inline(always)]
pub(crate) fn drops_only() -> bool {
    setting!(dump_drops) != 0
}

/// Whether frames of this port are wanted.
#[inline(always)]
pub(crate) fn is_port(device: u32) -> bool {
    let wanted = setting!(dump_port);
    wanted == 0 || wanted == device
}

/// The only source that is wanted.
#[inline(always)]
pub(crate) fn source() -> Option<[u8; 16]> {
    if setting!(dump_has_source) == 0 { None } else { Some(setting!(dump_source)) }
}

/// One in how many is wanted.
#[inline(always)]
pub(crate) fn one_in() -> u32 {
    // At least one, so that no division by it can fail.
    setting!(dump_one_in).max(1)
}

/// How many a period are wanted.
#[inline(always)]
pub(crate) fn most() -> u32 {
    setting!(dump_most)
}

/// This CPU's counters.
#[inline(always)]
pub(crate) fn counts() -> Option<&'static mut Counts> {
    let counts = DUMP_COUNTS.get_ptr_mut(0)?;
    // SAFETY: this CPU's own value, aligned to 8; no other run interrupts this one on its CPU.
    Some(unsafe { &mut *counts })
}

/// This CPU's record, where the frame in hand is kept until it has ended. Reserved in the ring it could not be: the verifier
/// of 6.1 loses sight of a reservation that is carried over a branch.
#[inline(always)]
pub(crate) fn record() -> Option<&'static mut Record> {
    let record = DUMP_RECORD.get_ptr_mut(0)?;
    // SAFETY: as in `counts`.
    Some(unsafe { &mut *record })
}

/// Writes a record into the ring; whether there was room.
#[inline(always)]
pub(crate) fn show(record: &Record) -> bool {
    DUMP_RING.output::<Record>(record, 0).is_ok()
}
