//! Entry points of the two programs: XDP on a device, SK_REUSEPORT on a group of sockets.
//!
//! ```text
//! frame -> blocks: walk -> telemetry -> ring, or the stack      one PacketEnd each, counted per CPU
//!                  \-> forward: device -> FIB -> port
//! skb   -> reuseport: walk -> slot -> socket, or dropped        the same walk, hash and table
//! ```
//!
//! In: frames and socket buffers. Out: a verdict.

use aya_ebpf::bindings::sk_action;
use aya_ebpf::macros::{sk_reuseport, xdp};
use aya_ebpf::programs::{SkReuseportContext, XdpContext};
use dataplane_common::PacketEnd;
use dataplane_common::fib::{FibLookup, INET};
use dataplane_common::map::PROBE_TAKEN;

use crate::access::{self, Frame};
use crate::{blocks, counters, reuseport};

/// Every frame that a device of ours receives.
#[xdp]
pub(crate) fn millrace(ctx: XdpContext) -> u32 {
    blocks::run(&ctx)
}

/// Every datagram and every connection request for a socket group of ours.
#[sk_reuseport]
pub(crate) fn millrace_socket(ctx: SkReuseportContext) -> u32 {
    let end = reuseport::select(&ctx);
    counters::socket(end);
    match end {
        PacketEnd::Selected => sk_action::SK_PASS,
        // A dropped connection request is answered with a reset, a datagram with nothing.
        _ => sk_action::SK_DROP,
    }
}

/// Asks the kernel's FIB with the flags that stand in the frame: [`PROBE_TAKEN`], or 1 where it knows them not.
#[xdp]
pub(crate) fn millrace_probe(ctx: XdpContext) -> u32 {
    const INVALID: i64 = -22;
    let Some([low, high]) = Frame::of(&ctx).words(0) else { return 0 };
    let flags = u32::from(low) | u32::from(high) << 16;
    let mut lookup =
        FibLookup { family: INET, device: ctx.ingress_ifindex() as u32, length: 64, ..FibLookup::default() };
    if access::fib_lookup(&ctx, &mut lookup, flags) == INVALID { 1 } else { PROBE_TAKEN }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Read by the kernel: helpers that are GPL-only may be called.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
