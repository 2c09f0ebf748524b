//! Tracepoints that say what became of frames after the program: redirects that failed, ports that did not send.
//!
//! In: the records of `xdp_redirect_err`, `xdp_devmap_xmit` and `xdp_exception` (`include/trace/events/xdp.h`, their
//! fields where `format` has them since 5.6). Out: counters. They run only when something is lost, `xdp_devmap_xmit` once
//! a batch.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use dataplane_common::map::lost::{EXCEPTION, Lost, REDIRECT, TRANSMIT};

use crate::maps;

/// A field of a tracepoint's record.
#[inline(always)]
fn field(ctx: &TracePointContext, offset: usize) -> u32 {
    // SAFETY: an address within or near the record; the helper fails instead of faulting.
    let read = unsafe { bpf_probe_read_kernel::<u32>(ctx.as_ptr().wrapping_byte_add(offset).cast()) };
    read.unwrap_or(0)
}

/// A redirect that was refused.
#[tracepoint]
pub(crate) fn millrace_redirect(ctx: TracePointContext) -> u32 {
    let (target, key) = (field(&ctx, 24), field(&ctx, 32));
    let lost = Lost {
        point: REDIRECT,
        program: field(&ctx, 8),
        device: field(&ctx, 16),
        to: if target == 0 { key } else { target },
        error: field(&ctx, 20).wrapping_neg(),
    };
    maps::count_lost(&lost, 1);
    0
}

/// A batch of frames for a port, some of which it did not send.
#[tracepoint]
pub(crate) fn millrace_transmit(ctx: TracePointContext) -> u32 {
    let drops = field(&ctx, 20);
    if drops == 0 {
        return 0;
    }
    let lost = Lost {
        point: TRANSMIT,
        program: 0,
        device: field(&ctx, 8),
        to: field(&ctx, 16),
        error: field(&ctx, 28).wrapping_neg(),
    };
    maps::count_lost(&lost, u64::from(drops));
    0
}

/// An action that the driver could not carry out.
#[tracepoint]
pub(crate) fn millrace_exception(ctx: TracePointContext) -> u32 {
    let lost = Lost {
        point: EXCEPTION,
        program: field(&ctx, 8),
        device: field(&ctx, 16),
        to: 0,
        error: field(&ctx, 12),
    };
    maps::count_lost(&lost, 1);
    0
}
