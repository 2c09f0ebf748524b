//! The maps of forwarding, under the names of `dataplane_common::map::forward`.
//!
//! In: keys. Out: pointers to values, whole while a run of the program lasts, or copies. The programs write only
//! next hops in use and counters.

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMapHash, HashMap, LruHashMap, PerCpuHashMap};
use dataplane_common::map::forward::{
    Arrival, Egress, Ingress, Learned, MAX_DEVICES, MAX_FORWARD_PORTS, MAX_NEXT_HOPS, MAX_PORT_ENDS,
    MAX_STATIONS, NEXT_HOP_STAMPS_LENGTH, NextHop, NextHopUse, PortEnd, Station,
};

use super::NO_PREALLOC;

#[map]
static INGRESS: HashMap<Arrival, Ingress> = HashMap::with_max_entries(MAX_DEVICES, NO_PREALLOC);
#[map]
static EGRESS: HashMap<u32, Egress> = HashMap::with_max_entries(MAX_DEVICES, NO_PREALLOC);
#[map]
static FORWARD_PORTS: DevMapHash = DevMapHash::with_max_entries(MAX_FORWARD_PORTS, 0);
#[map]
static STATIONS: HashMap<Station, Learned> = HashMap::with_max_entries(MAX_STATIONS, NO_PREALLOC);
#[map]
static NEXT_HOPS: LruHashMap<NextHop, NextHopUse> = LruHashMap::with_max_entries(MAX_NEXT_HOPS, 0);
#[map]
static NEXT_HOP_STAMPS: Array<u32> = Array::with_max_entries(NEXT_HOP_STAMPS_LENGTH, 0);
#[map]
static PORT_ENDS: PerCpuHashMap<PortEnd, u64> = PerCpuHashMap::with_max_entries(MAX_PORT_ENDS, 0);

/// What a frame that arrives so is to the stack.
#[inline(always)]
pub(crate) fn ingress(arrival: &Arrival) -> Option<&'static Ingress> {
    // SAFETY: a value of the map, whole while this run of the program lasts (RCU; entries are replaced, not rewritten).
    unsafe { INGRESS.get(arrival) }
}

/// How a packet leaves through a device.
#[inline(always)]
pub(crate) fn egress(device: u32) -> Option<&'static Egress> {
    // SAFETY: as in `ingress`.
    unsafe { EGRESS.get(device) }
}

/// Where a bridge knows a station.
#[inline(always)]
pub(crate) fn station(station: &Station) -> Option<&'static Learned> {
    // SAFETY: as in `ingress`.
    unsafe { STATIONS.get(station) }
}

/// Whether the port is a member; if so the kernel sends it the frame on `XDP_REDIRECT`.
#[inline(always)]
pub(crate) fn send(port: u32) -> bool {
    FORWARD_PORTS.redirect(port, u64::from(XDP_PASS)).is_ok()
}

/// Writes `stamp` to its entry; whether another stood there.
#[inline(always)]
pub(crate) fn stamp_next_hop(index: u32, stamp: u32) -> bool {
    super::replace_stamp(&NEXT_HOP_STAMPS, index, stamp)
}

/// Remembers that a next hop is used (`missing`: wanted, but not resolved).
#[inline(always)]
pub(crate) fn use_next_hop(hop: &NextHop, now_ns: u64, missing: bool) {
    if let Some(held) = NEXT_HOPS.get_ptr_mut(hop) {
        // SAFETY: a value of the map, aligned to 8; racing CPUs write nearly the same time.
        let held = unsafe { &mut *held };
        if missing {
            held.missing_ns = now_ns;
        } else {
            held.used_ns = now_ns;
        }
        return;
    }
    let new = if missing {
        NextHopUse { used_ns: 0, missing_ns: now_ns }
    } else {
        NextHopUse { used_ns: now_ns, missing_ns: 0 }
    };
    // A full table forgets its oldest next hop; there is nothing to do about another failure.
    let _ = NEXT_HOPS.insert(hop, new, 0);
}

/// One more frame that ended so on its port.
#[inline(always)]
pub(crate) fn count_port(end: &PortEnd) {
    if let Some(counter) = PORT_ENDS.get_ptr_mut(end) {
        // SAFETY: this CPU's own value, aligned to 8; no other run interrupts this one on its CPU.
        let counter = unsafe { &mut *counter };
        *counter = counter.wrapping_add(1);
        return;
    }
    // The first of its kind. A full table leaves it to the counters of all ports.
    let _ = PORT_ENDS.insert(end, 1, 0);
}
