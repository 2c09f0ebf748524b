//! The maps of rules and rates, under the names of `dataplane_common::map::rules`.
//!
//! In: keys. Out: pointers to values, whole while a run of the program lasts, or copies. The programs write only
//! counters and buckets.

use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray};
use dataplane_common::map::rules::{
    Bucket, DENY, DIRECTIONS, Exporter, MAX_EXPORTERS, MAX_POLICERS, MAX_RULE_HITS, MAX_RULES, MAX_SHAPES,
    MAX_SOURCE_BUCKETS, Match, Policer, Rule, Shape, Source,
};

use super::NO_PREALLOC;

#[map]
static SHAPES: Array<Shape> = Array::with_max_entries(2 * DIRECTIONS * MAX_SHAPES, 0);
#[map]
static ACTIVE_SHAPES: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static RULES: HashMap<Match, Rule> = HashMap::with_max_entries(MAX_RULES, NO_PREALLOC);
#[map]
static RULE_HITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(MAX_RULE_HITS, 0);
#[map]
static EXPORTERS: LpmTrie<[u8; 16], Exporter> = LpmTrie::with_max_entries(MAX_EXPORTERS, NO_PREALLOC);
#[map]
static POLICERS: Array<Policer> = Array::with_max_entries(MAX_POLICERS, 0);
#[map]
static SOURCE_BUCKETS: LruHashMap<Source, Bucket> = LruHashMap::with_max_entries(MAX_SOURCE_BUCKETS, 0);
#[map]
static SHARED_BUCKETS: Array<Bucket> = Array::with_max_entries(MAX_POLICERS, 0);

/// What rules are looked up for, on this CPU, while this run of the program lasts. It stands here because the stacks of
/// functions that call each other hold 512 octets together.
#[repr(C)]
struct Noted {
    packet: Match,
    exporter: Key<[u8; 16]>,
}

#[map]
static NOTED: PerCpuArray<Noted> = PerCpuArray::with_max_entries(1, 0);

/// Notes the packet that rules are to be looked up for.
#[inline(always)]
pub(crate) fn note(packet: Match) -> Option<()> {
    let noted = NOTED.get_ptr_mut(0)?;
    // SAFETY: this CPU's own value; no other run interrupts this one on its CPU, and nobody holds a reference now.
    unsafe { (&raw mut (*noted).packet).write(packet) };
    Some(())
}

/// The packet that was noted.
#[inline(always)]
pub(crate) fn noted() -> Option<&'static Match> {
    NOTED.get(0).map(|noted| &noted.packet)
}

/// The entry of the list that takes the noted source's telemetry.
#[inline(always)]
pub(crate) fn exporter() -> Option<&'static Exporter> {
    let noted = NOTED.get_ptr_mut(0)?;
    // SAFETY: as in `note`.
    let noted = unsafe { &mut *noted };
    noted.exporter = Key::new(128, noted.packet.source);
    EXPORTERS.get(&noted.exporter).filter(|exporter| exporter.action != u32::from(DENY))
}

/// Which of the two lists is in use.
#[inline(always)]
pub(crate) fn active_list() -> u32 {
    ACTIVE_SHAPES.get(0).copied().unwrap_or(0) & 1
}

/// A shape of the lists.
#[inline(always)]
pub(crate) fn shape(index: u32) -> Option<&'static Shape> {
    SHAPES.get(index)
}

/// The rule of a shape for these bits.
#[inline(always)]
pub(crate) fn rule(key: &Match) -> Option<&'static Rule> {
    // SAFETY: a value of the map, whole while this run of the program lasts (RCU; entries are replaced, not rewritten).
    unsafe { RULES.get(key) }
}

/// One more packet that the rule decided.
#[inline(always)]
pub(crate) fn count_rule(counter: u32) {
    super::add_one(&RULE_HITS, counter);
}

/// A rate.
#[inline(always)]
pub(crate) fn policer(policer: u32) -> Option<&'static Policer> {
    POLICERS.get(policer)
}

/// Takes a packet out of the bucket that all sources share.
#[inline(always)]
pub(crate) fn take_shared(policer: u32, rate: &Policer, now_ns: u64, length: u32) -> bool {
    SHARED_BUCKETS.get_ptr_mut(policer).is_none_or(|bucket| take(bucket, rate, now_ns, length))
}

/// Takes a packet out of a source's own bucket; a source seen anew has a full one.
#[inline(always)]
pub(crate) fn take_of_source(source: &Source, rate: &Policer, now_ns: u64, length: u32) -> bool {
    if let Some(bucket) = SOURCE_BUCKETS.get_ptr_mut(source) {
        return take(bucket, rate, now_ns, length);
    }
    let full = rate.take(0, now_ns, length);
    let bucket = Bucket { full_ns: full.unwrap_or(now_ns), dropped: u64::from(full.is_none()) };
    // A full table forgets its oldest source; there is nothing to do about another failure.
    let _ = SOURCE_BUCKETS.insert(source, bucket, 0);
    full.is_some()
}

#[inline(always)]
fn take(bucket: *mut Bucket, rate: &Policer, now_ns: u64, length: u32) -> bool {
    // SAFETY: a value of the map, aligned to 8; CPUs that race let one packet each through above the rate.
    let bucket = unsafe { &mut *bucket };
    match rate.take(bucket.full_ns, now_ns, length) {
        Some(full_ns) => {
            bucket.full_ns = full_ns;
            true
        }
        None => {
            bucket.dropped = bucket.dropped.wrapping_add(1);
            false
        }
    }
}

/// One more packet of a source whose telemetry is not taken.
#[inline(always)]
pub(crate) fn refuse(source: &Source) {
    if let Some(bucket) = SOURCE_BUCKETS.get_ptr_mut(source) {
        // SAFETY: as in `take`; a race loses a count of one source, never of the frames.
        let bucket = unsafe { &mut *bucket };
        bucket.dropped = bucket.dropped.wrapping_add(1);
        return;
    }
    let _ = SOURCE_BUCKETS.insert(source, Bucket { full_ns: 0, dropped: 1 }, 0);
}
