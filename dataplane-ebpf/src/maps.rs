//! The maps of steering, under the names of `dataplane_common::map`, and the settings of the load.
//!
//! In: keys. Out: copies of values. What is shared with user space is written there: the programs write
//! only counters and the routers last seen.

pub(crate) mod forward;
pub(crate) mod rules;
pub(crate) mod dump;

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{
    Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, ReusePortSockArray, XskMap,
};
use aya_ebpf::programs::SkReuseportContext;
use dataplane_common::map::lost::{Lost, MAX_LOST};
use dataplane_common::map::{
    Bound, LocalAddress, MAX_ALIASES, MAX_LOCAL_ADDRESSES, MAX_RING_ROWS, MAX_ROUTERS_SEEN, MAX_SOCKET_ROWS,
    Port, Queue, SEEN_STAMPS_LENGTH, Seen, Settings, SlotState, Steering,
};
use dataplane_common::{MAX_SLOTS, PacketEnd};

/// `BPF_F_NO_PREALLOC`: memory follows use; the kernel demands it of a prefix tree.
const NO_PREALLOC: u32 = 1;

#[map]
static LOCAL_ADDRESSES: HashMap<[u8; 16], LocalAddress> = HashMap::with_max_entries(MAX_LOCAL_ADDRESSES, 0);
#[map]
static PORTS: Array<Port> = Array::with_max_entries(1 << 16, 0);
#[map]
static ALIASES: HashMap<[u8; 16], [u8; 16]> = HashMap::with_max_entries(MAX_ALIASES, NO_PREALLOC);
#[map]
static ALIAS_PREFIXES: LpmTrie<[u8; 16], [u8; 16]> = LpmTrie::with_max_entries(MAX_ALIASES, NO_PREALLOC);
#[map]
static STEERING: Array<Steering> = Array::with_max_entries(2, 0);
#[map]
static ACTIVE: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static RING_ROWS: HashMap<Queue, u32> = HashMap::with_max_entries(MAX_RING_ROWS, 0);
#[map]
static RINGS: XskMap = XskMap::with_max_entries(MAX_RING_ROWS * MAX_SLOTS, 0);
#[map]
static SOCKET_ROWS: HashMap<Bound, u32> = HashMap::with_max_entries(MAX_SOCKET_ROWS, 0);
#[map]
static SOCKETS: ReusePortSockArray = ReusePortSockArray::with_max_entries(MAX_SOCKET_ROWS * MAX_SLOTS, 0);
#[map]
static FRAME_ENDS: PerCpuArray<u64> = PerCpuArray::with_max_entries(PacketEnd::COUNT as u32, 0);
#[map]
static SOCKET_ENDS: PerCpuArray<u64> = PerCpuArray::with_max_entries(PacketEnd::COUNT as u32, 0);
#[map]
static REDIRECTED: PerCpuArray<u64> = PerCpuArray::with_max_entries(MAX_RING_ROWS * MAX_SLOTS, 0);
#[map]
static SELECTED: PerCpuArray<u64> = PerCpuArray::with_max_entries(MAX_SOCKET_ROWS * MAX_SLOTS, 0);
#[map]
static ROUTERS_SEEN: LruHashMap<[u8; 16], Seen> = LruHashMap::with_max_entries(MAX_ROUTERS_SEEN, 0);
#[map]
static SEEN_STAMPS: Array<u32> = Array::with_max_entries(SEEN_STAMPS_LENGTH, 0);
#[map]
static LOST: PerCpuHashMap<Lost, u64> = PerCpuHashMap::with_max_entries(MAX_LOST, 0);

/// Written by the loader before the map it lies in is frozen, so the verifier knows every value.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    key: [0; 16],
    ring_room: 0,
    drop_empty_udp: 0,
    aliases: 0,
    alias_prefixes: 0,
    last_seen: 0,
    forward: 0,
    vlans: 0,
    bonds: 0,
    bridges: 0,
    next_hops: 0,
    port_counters: 0,
    mark_lookup: 0,
    table_lookup: 0,
    arriving_rules: 0,
    forwarded_rules: 0,
    exporters: 0,
    dump: 0,
    dump_drops: 0,
    dump_port: 0,
    dump_one_in: 0,
    dump_most: 0,
    dump_has_source: 0,
    dump_source: [0; 16],
};

/// One field of [`SETTINGS`] as the loader wrote it; the compiler must not use the zeros it sees.
macro_rules! setting {
    ($field:ident) => {{
        // SAFETY: a field of a static, aligned, never written once the program is loaded.
        unsafe { (&raw const SETTINGS.$field).read_volatile() }
    }};
}

use setting;

#[inline(always)]
pub(crate) fn key() -> [u8; 16] {
    setting!(key)
}

#[inline(always)]
pub(crate) fn ring_room() -> u32 {
    setting!(ring_room)
}

#[inline(always)]
pub(crate) fn drop_empty_udp() -> bool {
    setting!(drop_empty_udp) != 0
}

#[inline(always)]
pub(crate) fn aliases() -> bool {
    setting!(aliases) != 0
}

#[inline(always)]
pub(crate) fn alias_prefixes() -> bool {
    setting!(alias_prefixes) != 0
}

#[inline(always)]
pub(crate) fn last_seen() -> bool {
    setting!(last_seen) != 0
}

#[inline(always)]
pub(crate) fn forward() -> bool {
    setting!(forward) != 0
}

#[inline(always)]
pub(crate) fn vlans() -> bool {
    setting!(vlans) != 0
}

#[inline(always)]
pub(crate) fn bonds() -> bool {
    setting!(bonds) != 0
}

#[inline(always)]
pub(crate) fn bridges() -> bool {
    setting!(bridges) != 0
}

#[inline(always)]
pub(crate) fn next_hops() -> bool {
    setting!(next_hops) != 0
}

#[inline(always)]
pub(crate) fn port_counters() -> bool {
    setting!(port_counters) != 0
}

#[inline(always)]
pub(crate) fn mark_lookup() -> bool {
    setting!(mark_lookup) != 0
}

#[inline(always)]
pub(crate) fn table_lookup() -> bool {
    setting!(table_lookup) != 0
}

#[inline(always)]
pub(crate) fn arriving_rules() -> bool {
    setting!(arriving_rules) != 0
}

#[inline(always)]
pub(crate) fn forwarded_rules() -> bool {
    setting!(forwarded_rules) != 0
}

#[inline(always)]
pub(crate) fn exporters() -> bool {
    setting!(exporters) != 0
}

#[inline(always)]
pub(crate) fn is_local(address: &[u8; 16]) -> bool {
    LOCAL_ADDRESSES.get_ptr(address).is_some()
}

#[inline(always)]
pub(crate) fn transports(port: u16) -> u8 {
    PORTS.get(u32::from(port)).map_or(0, |port| port.transports)
}

#[inline(always)]
pub(crate) fn alias(address: &[u8; 16]) -> Option<[u8; 16]> {
    let router = ALIASES.get_ptr(address)?;
    // SAFETY: a value of the map, whole while this run of the program lasts (RCU).
    Some(unsafe { router.read() })
}

#[inline(always)]
pub(crate) fn alias_prefix(address: [u8; 16]) -> Option<[u8; 16]> {
    ALIAS_PREFIXES.get(Key::new(128, address)).copied()
}

/// Slot of a bucket and its state, by the table in use.
#[inline(always)]
pub(crate) fn slot(bucket: u32) -> Option<(u32, SlotState)> {
    let active = *ACTIVE.get(0)?;
    STEERING.get(active & 1)?.slot(bucket)
}

#[inline(always)]
pub(crate) fn ring_row(queue: &Queue) -> Option<u32> {
    let row = RING_ROWS.get_ptr(queue)?;
    // SAFETY: a value of the map, whole while this run of the program lasts (RCU).
    Some(unsafe { row.read() })
}

/// Whether a socket stands at `entry`; if so the kernel hands it the frame on `XDP_REDIRECT`.
#[inline(always)]
pub(crate) fn redirect(entry: u32) -> bool {
    RINGS.redirect(entry, u64::from(XDP_PASS)).is_ok()
}

#[inline(always)]
pub(crate) fn socket_row(bound: &Bound) -> Option<u32> {
    let row = SOCKET_ROWS.get_ptr(bound)?;
    // SAFETY: a value of the map, whole while this run of the program lasts (RCU).
    Some(unsafe { row.read() })
}

#[inline(always)]
pub(crate) fn select(ctx: &SkReuseportContext, entry: u32) -> bool {
    SOCKETS.select_reuseport(ctx, entry).is_ok()
}

#[inline(always)]
pub(crate) fn count_frame(end: u32) {
    add_one(&FRAME_ENDS, end);
}

#[inline(always)]
pub(crate) fn count_socket(end: PacketEnd) {
    add_one(&SOCKET_ENDS, end as u32);
}

#[inline(always)]
pub(crate) fn count_redirected(entry: u32) {
    add_one(&REDIRECTED, entry);
}

#[inline(always)]
pub(crate) fn count_selected(entry: u32) {
    add_one(&SELECTED, entry);
}

/// Frames that were lost so.
#[inline(always)]
pub(crate) fn count_lost(lost: &Lost, frames: u64) {
    if let Some(counter) = LOST.get_ptr_mut(lost) {
        // SAFETY: this CPU's own value, aligned to 8; tracepoints of XDP do not interrupt each other on a CPU.
        let counter = unsafe { &mut *counter };
        *counter = counter.wrapping_add(frames);
        return;
    }
    // The first of its kind. There is nothing to do about a full table.
    let _ = LOST.insert(lost, frames, 0);
}

#[inline(always)]
fn add_one(counters: &PerCpuArray<u64>, index: u32) {
    if let Some(counter) = counters.get_ptr_mut(index) {
        // SAFETY: this CPU's own value, aligned to 8; no other run interrupts this one on its CPU.
        let counter = unsafe { &mut *counter };
        *counter = counter.wrapping_add(1);
    }
}

/// Writes `stamp` to its entry; whether another stood there.
#[inline(always)]
pub(crate) fn stamp(index: u32, stamp: u32) -> bool {
    replace_stamp(&SEEN_STAMPS, index, stamp)
}

#[inline(always)]
fn replace_stamp(stamps: &Array<u32>, index: u32, stamp: u32) -> bool {
    let Some(held) = stamps.get_ptr_mut(index) else { return false };
    // SAFETY: a value of the map, aligned; CPUs that race here at worst refresh a time twice.
    let held = unsafe { &mut *held };
    if *held == stamp {
        return false;
    }
    *held = stamp;
    true
}

/// Remembers when a router was last seen.
#[inline(always)]
pub(crate) fn see(router: &[u8; 16], monotonic_ns: u64) {
    // A full table forgets its oldest router; there is nothing to do about another failure.
    let _ = ROUTERS_SEEN.insert(router, Seen { monotonic_ns }, 0);
}
