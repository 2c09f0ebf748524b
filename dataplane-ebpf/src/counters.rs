//! What is counted, each on its own CPU: ends of frames and of socket packets, and who got them; and when a
//! router was last seen.
//!
//! In: an end, a map entry or a router. Nothing comes out and nothing is read back here: user space sums the CPUs.

use dataplane_common::PacketEnd;
use dataplane_common::fib::{FibLookup, INET};
use dataplane_common::map::SEEN_STAMPS_LENGTH;
use dataplane_common::map::forward::{NEXT_HOP_STAMPS_LENGTH, NextHop, PortEnd};

use crate::verdict::Verdict;
use crate::{access, maps};

/// Clock ticks of a period, as a power of two: about a second at 250 Hz, a quarter at 1,000 Hz.
const PERIOD_BITS: u32 = 8;

/// How a frame ended in XDP that arrived on the port with this interface index; the action. A function of its own in
/// the kernel too: what it keeps on the stack does not add up with what the blocks keep.
#[inline(never)]
pub(crate) fn frame(port: u32, verdict: u64) -> u64 {
    let verdict = Verdict(verdict);
    maps::count_frame(verdict.end());
    if maps::port_counters() {
        maps::forward::count_port(&PortEnd { port, end: verdict.end(), out: verdict.out() });
    }
    verdict.action().into()
}

/// A next hop that a packet was forwarded to, or (`missing`) that is not resolved.
///
/// As with routers, an array tells which next hop was written in which period.
#[inline(always)]
pub(crate) fn next_hop(lookup: &FibLookup, missing: bool) {
    let [a, b, c, d] = lookup.destination;
    let hash = (a ^ b ^ c ^ d ^ lookup.device.rotate_left(16)).wrapping_mul(0x9e37_79b1);
    let period = (access::jiffies() >> PERIOD_BITS) as u32;
    let stamp = (hash << 16) ^ (u32::from(missing) << 31) | period & 0xffff;
    if maps::forward::stamp_next_hop((hash >> 16) & (NEXT_HOP_STAMPS_LENGTH - 1), stamp) {
        let address = if lookup.family == INET { [0, 0, 0xffff_0000, a] } else { lookup.destination };
        let hop = NextHop { device: lookup.device, address: zerocopy::transmute!(address) };
        maps::forward::use_next_hop(&hop, access::now_ns(), missing);
    }
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

/// A frame of this router, whose hash is `hash`.
///
/// Its time is written once a period. Which router wrote in which period stands in an array: looking that up costs a
/// tenth of looking up the time itself.
#[inline(always)]
pub(crate) fn seen(router: &[u8; 16], hash: u64) {
    // Bits that neither bucket nor box use: 12-27 choose the entry, 44-59 tell its routers apart.
    let index = (hash >> 12) as u32 & (SEEN_STAMPS_LENGTH - 1);
    let period = (access::jiffies() >> PERIOD_BITS) as u32;
    let stamp = ((hash >> 44) as u32) << 16 | period & 0xffff;
    if maps::stamp(index, stamp) {
        maps::see(router, access::now_ns());
    }
}
