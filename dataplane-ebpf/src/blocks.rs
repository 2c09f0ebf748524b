//! Which blocks a frame runs through, in the order of the path.
//!
//! In: a frame. Out: the one way it ended. A block that the load has switched off costs nothing: the
//! verifier removes what the settings make unreachable.

use aya_ebpf::programs::XdpContext;
use dataplane_common::{PacketEnd, walk};

use crate::access::Frame;
use crate::telemetry;

#[inline(always)]
pub(crate) fn run(ctx: &XdpContext) -> PacketEnd {
    let frame = Frame::of(ctx);
    match walk(&frame) {
        Ok(headers) => telemetry::take(ctx, frame.length(), &headers),
        Err(end) => end,
    }
}
