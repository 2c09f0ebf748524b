//! The packet generator's program: run with `BPF_F_TEST_XDP_LIVE_FRAMES`, it turns each empty frame into the next
//! one of the script and redirects it to the device that sends.
//!
//! In: empty frames of `FRAME_CAPACITY` octets. Out: frames, counted. On a device that it is attached to it does
//! nothing: it is attached so that the kernel keeps its dispatcher between two calls.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod program {
    use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_PASS, XDP_REDIRECT};
    use aya_ebpf::helpers::generated::{bpf_redirect, bpf_xdp_adjust_tail, bpf_xdp_store_bytes};
    use aya_ebpf::macros::{map, xdp};
    use aya_ebpf::maps::Array;
    use aya_ebpf::programs::XdpContext;
    use dataplane_common::map::generate::{Cursor, FRAME_CAPACITY, MAX_WORDS, Planned, checksum};

    /// Where test runs take place: the loopback device, in every network namespace.
    const LOOPBACK: u32 = 1;
    /// Octets of the shortest frame.
    const SHORTEST: u32 = 14;

    #[map]
    static FRAMES: Array<Planned> = Array::with_max_entries(1, 0);
    #[map]
    static CURSOR: Array<Cursor> = Array::with_max_entries(1, 0);

    #[xdp]
    pub(crate) fn millrace_generate(ctx: XdpContext) -> u32 {
        // SAFETY: the kernel gives every run a context.
        if unsafe { (*ctx.ctx).ingress_ifindex } != LOOPBACK {
            return XDP_PASS;
        }
        let Some(cursor) = CURSOR.get_ptr_mut(0) else { return XDP_ABORTED };
        // SAFETY: the entry lives as long as the map, and one sender runs at a time.
        let cursor = unsafe { &mut *cursor };
        let (next, round) = (cursor.next, cursor.round);
        if next + 1 < cursor.frames {
            cursor.next = next + 1;
        } else {
            cursor.next = cursor.cycle;
            cursor.round = round.wrapping_add(1);
        }
        if write(&ctx, next, round).is_none() {
            cursor.failed += 1;
            return XDP_ABORTED;
        }
        // SAFETY: takes numbers; the kernel checks them.
        let action = unsafe { bpf_redirect(cursor.device, 0) } as u32;
        if action == XDP_REDIRECT {
            cursor.sent += 1;
        } else {
            cursor.failed += 1;
        }
        action
    }

    /// Writes the whole frame: octets, words, checksum.
    #[inline(always)]
    fn write(ctx: &XdpContext, index: u32, round: u32) -> Option<()> {
        // SAFETY: the entry lives as long as the map; user space does not write while frames are sent.
        let frame = unsafe { &*FRAMES.get_ptr(index)? };
        let length = frame.length;
        if length < SHORTEST || length > FRAME_CAPACITY as u32 {
            return None;
        }
        // Each frame comes with all of its octets, also one that was recycled.
        // SAFETY: no packet pointer is used after it.
        if unsafe { bpf_xdp_adjust_tail(ctx.ctx, length as i32 - FRAME_CAPACITY as i32) } != 0 {
            return None;
        }
        store(ctx, 0, frame.octets.as_ptr(), length)?;
        let mut sum = frame.sum;
        let mut nth = 0;
        while nth < MAX_WORDS {
            if nth as u32 >= frame.words {
                break;
            }
            let word = &frame.word[nth];
            let value = word.base.wrapping_add(word.step.wrapping_mul(round));
            let octets = value.to_be_bytes();
            store(ctx, word.at, octets.as_ptr(), 4)?;
            sum += (value >> 16) + (value & 0xffff);
            nth += 1;
        }
        let octets = checksum(sum).to_be_bytes();
        store(ctx, frame.checksum_at, octets.as_ptr(), 2)
    }

    #[inline(always)]
    fn store(ctx: &XdpContext, at: u32, octets: *const u8, length: u32) -> Option<()> {
        // SAFETY: callers own `length` octets at `octets`, which the helper only reads.
        let failed = unsafe { bpf_xdp_store_bytes(ctx.ctx, at, octets.cast_mut().cast(), length) };
        (failed == 0).then_some(())
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }

    /// Read by the kernel.
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
