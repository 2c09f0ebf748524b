//! What a dump sees: each frame that it asks for as it came, and as it left where it was rewritten, with its verdict.
//!
//! In: frames and verdicts. Out: records in a ring that user space reads. A load that does not dump has none of this:
//! the settings make it unreachable, and the verifier removes it. Costs are bounded: one in so many frames, so many a
//! second, and a full ring takes none.

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::maps::ring_buf::RingBufEntry;
use aya_ebpf::programs::XdpContext;
use dataplane_common::map::dump::Record;
use dataplane_common::walk;

use crate::access::{self, Frame};
use crate::maps;
use crate::verdict::Verdict;

/// Nanoseconds of a period, as a power of two: about a second.
const PERIOD_BITS: u32 = 30;

/// A record that user space does not see yet.
pub(crate) type Held = RingBufEntry<Record>;

/// The frame as it comes, before anything is decided. With drops alone it waits: what is dropped was not written.
#[inline(always)]
pub(crate) fn before(ctx: &XdpContext) -> Option<Held> {
    if maps::dump::drops_only() || wanted(ctx.ctx) == 0 { None } else { take(ctx) }
}

/// How it ended.
#[inline(always)]
pub(crate) fn after(ctx: &XdpContext, held: Option<Held>, verdict: Verdict) {
    let held = if maps::dump::drops_only() {
        if verdict.action() != xdp_action::XDP_DROP || wanted(ctx.ctx) == 0 {
            return;
        }
        take(ctx)
    } else {
        held
    };
    let Some(mut held) = held else { return };
    let record = held.as_mut_ptr();
    access::write_field!(record.end, verdict.end());
    access::write_field!(record.action, verdict.action());
    if verdict.is_rewritten() {
        let length = access::copy_frame(ctx, access::field_of!(record.after));
        access::write_field!(record.after_length, length);
        access::write_field!(record.egress, maps::dump::counts().map_or(0, |counts| counts.egress));
    }
    held.submit(0);
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

/// The frame as it is now.
#[inline(always)]
fn take(ctx: &XdpContext) -> Option<Held> {
    let counts = maps::dump::counts()?;
    let Some(mut held) = maps::dump::reserve() else {
        counts.ring_full += 1;
        return None;
    };
    counts.written += 1;
    let record = held.as_mut_ptr();
    access::write_field!(record.monotonic_ns, access::precise_now_ns());
    access::write_field!(record.device, ctx.ingress_ifindex() as u32);
    access::write_field!(record.queue, ctx.rx_queue_index());
    access::write_field!(record.egress, 0);
    access::write_field!(record.after_length, 0);
    access::write_field!(record.reserved, 0);
    let length = access::copy_frame(ctx, access::field_of!(record.before));
    access::write_field!(record.before_length, length);
    Some(held)
}
