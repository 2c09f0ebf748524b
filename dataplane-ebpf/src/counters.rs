//! What is counted, each on its own CPU: ends of frames and of socket packets, and who got them; and when a
//! router was last seen.
//!
//! In: an end, a map entry or a router. Nothing comes out and nothing is read back here: user space sums the CPUs.

use dataplane_common::PacketEnd;

use crate::{access, maps};

/// How old a router's time may grow before it is written again.
const STALE_NS: u64 = 1_000_000_000;

/// A frame's end in XDP.
#[inline(always)]
pub(crate) fn frame(end: PacketEnd) {
    maps::count_frame(end);
}

/// A packet's end in SK_REUSEPORT.
#[inline(always)]
pub(crate) fn socket(end: PacketEnd) {
    maps::count_socket(end);
}

/// A frame for the ring at `entry`.
#[inline(always)]
pub(crate) fn redirected(entry: u32) {
    maps::count_redirected(entry);
}

/// A packet for the socket at `entry`.
#[inline(always)]
pub(crate) fn selected(entry: u32) {
    maps::count_selected(entry);
}

/// A frame of this router.
#[inline(always)]
pub(crate) fn seen(router: &[u8; 16]) {
    maps::see(router, access::now_ns(), STALE_NS);
}
