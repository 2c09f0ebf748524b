//! Which blocks a frame runs through, in the order of the path.
//!
//! In: a frame. Out: the one way it ended, counted, and XDP's action. A block that the load has switched off costs
//! nothing: the verifier removes what the settings make unreachable. Each block is a function of its own in
//! the kernel too, so their stacks do not add up.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use dataplane_common::walk;

use crate::access::Frame;
use crate::verdict::Verdict;
use crate::{counters, dump, forward, maps, rules, telemetry};

#[inline(always)]
pub(crate) fn run(ctx: &XdpContext) -> u32 {
    let is_dumped = maps::dump::is_on();
    let is_held = is_dumped && dump::before(ctx);
    let mut verdict = Verdict::NONE;
    if maps::arriving_rules() || maps::exporters() {
        verdict = rules::arriving(ctx);
    }
    if verdict.is_none() {
        verdict = Verdict(collect(ctx.ctx));
        if maps::forward() && verdict.is_transit() {
            verdict = Verdict(forward::transit(ctx.ctx, verdict.0));
        }
    }
    let action = counters::frame(ctx.ingress_ifindex() as u32, verdict.0) as u32;
    if is_dumped {
        dump::after(ctx, is_held, verdict);
    }
    action
}

/// Telemetry for this box goes to its ring.
#[inline(never)]
fn collect(ctx: *mut xdp_md) -> u64 {
    let ctx = &XdpContext::new(ctx);
    let frame = Frame::of(ctx);
    let verdict = match walk(&frame) {
        Ok(headers) => {
            let verdict = Verdict::of(telemetry::take(ctx, frame.length(), &headers));
            if maps::forward() { verdict.seen(&headers) } else { verdict }
        }
        Err(end) => Verdict::of(end),
    };
    verdict.0
}
