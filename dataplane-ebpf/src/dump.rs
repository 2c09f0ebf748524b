//! What a dump sees: each frame that it asks for as it came, and as it left where it was rewritten, with its verdict.
//!
//! In: frames and verdicts. Out: records in a ring that user space reads. A load that does not dump has none of this:
//! the settings make it unreachable, and the verifier removes it. Costs are bounded: one in so many frames, so many a
//! second, and a full ring takes none.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::programs::XdpContext;
use dataplane_common::walk;

use crate::access::{self, Frame};
use crate::maps;
use crate::verdict::Verdict;

/// Nanoseconds of a period, as a power of two: about a second.
const PERIOD_BITS: u32 = 30;

/// Keeps the frame as it comes, before anything is decided; whether it is asked for. With drops alone that waits: what is
/// dropped was not written.
#[inline(always)]
pub(crate) fn before(ctx: &XdpContext) -> bool {
    !maps::dump::drops_only() && take(ctx)
}

/// Shows how it ended, and the frame as it leaves where it was rewritten.
#[inline(always)]
pub(crate) fn after(ctx: &XdpContext, is_held: bool, verdict: Verdict) {
    if maps::dump::drops_only() {
        if verdict.action() != xdp_action::XDP_DROP || !take(ctx) {
            return;
        }
    } else if !is_held {
        return;
    }
    let (Some(record), Some(counts)) = (maps::dump::record(), maps::dump::counts()) else { return };
    record.end = verdict.end();
    record.action = verdict.action();
    if verdict.is_rewritten() {
        record.after_length = access::copy_frame(ctx, &mut record.after);
        record.egress = counts.egress;
    }
    if maps::dump::show(record) {
        counts.written += 1;
    } else {
        counts.ring_full += 1;
    }
}

/// Notes the port that the frame in hand leaves through.
#[inline(always)]
pub(crate) fn leaves(port: u32) {
    if let Some(counts) = maps::dump::counts() {
        counts.egress = port;
    }
}

/// Whether this frame is asked for; counted if not.
#[inline(never)]
fn wanted(ctx: *mut xdp_md) -> u64 {
    let ctx = &XdpContext::new(ctx);
    if !maps::dump::is_port(ctx.ingress_ifindex() as u32) {
        return 0;
    }
    if let Some(source) = maps::dump::source() {
        match walk::endpoints(&Frame::of(ctx)) {
            Some(ends) if ends.source == source => {}
            _ => return 0,
        }
    }
    let Some(counts) = maps::dump::counts() else { return 0 };
    counts.matched += 1;
    if counts.matched % u64::from(maps::dump::one_in()) != 0 {
        counts.sampled_out += 1;
        return 0;
    }
    let period = (access::now_ns() >> PERIOD_BITS) as u32;
    if counts.period != period {
        counts.period = period;
        counts.in_period = 0;
    }
    if counts.in_period >= maps::dump::most() {
        counts.over_rate += 1;
        return 0;
    }
    counts.in_period += 1;
    1
}

/// Keeps the frame as it is now, if it is asked for; whether it is.
#[inline(always)]
fn take(ctx: &XdpContext) -> bool {
    if wanted(ctx.ctx) == 0 {
        return false;
    }
    let Some(record) = maps::dump::record() else { return false };
    record.monotonic_ns = access::precise_now_ns();
    record.device = ctx.ingress_ifindex() as u32;
    record.queue = ctx.rx_queue_index();
    record.egress = 0;
    record.after_length = 0;
    record.before_length = access::copy_frame(ctx, &mut record.before);
    true
}
