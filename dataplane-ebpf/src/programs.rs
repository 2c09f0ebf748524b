//! Entry points of the two programs: XDP on a device, SK_REUSEPORT on a group of sockets.
//!
//! ```text
//! frame -> blocks: walk -> telemetry -> ring, or the stack      one PacketEnd each, counted per CPU
//! skb   -> reuseport: walk -> slot -> socket, or dropped        the same walk, hash and table
//! ```
//!
//! In: frames and socket buffers. Out: a verdict. Never writes to a packet.

use aya_ebpf::bindings::{sk_action, xdp_action};
use aya_ebpf::macros::{sk_reuseport, xdp};
use aya_ebpf::programs::{SkReuseportContext, XdpContext};
use dataplane_common::PacketEnd;

use crate::{blocks, counters, maps, reuseport};

/// Every frame that a device of ours receives.
#[xdp]
pub(crate) fn millrace(ctx: XdpContext) -> u32 {
    let end = blocks::run(&ctx);
    counters::frame(end);
    action(end)
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

/// What XDP does with a frame that ended so. Everything that no ring takes is the stack's.
#[inline(always)]
fn action(end: PacketEnd) -> u32 {
    match end {
        PacketEnd::Redirected => xdp_action::XDP_REDIRECT,
        PacketEnd::Forwarded | PacketEnd::Bridged => xdp_action::XDP_REDIRECT,
        PacketEnd::EmptySlot if maps::drop_empty_udp() => xdp_action::XDP_DROP,
        PacketEnd::InactiveLeg
        | PacketEnd::Blackhole
        | PacketEnd::Denied
        | PacketEnd::EgressDenied
        | PacketEnd::Policed
        | PacketEnd::ExporterDenied
        | PacketEnd::ExporterPoliced => xdp_action::XDP_DROP,
        PacketEnd::EmptySlot
        | PacketEnd::Truncated
        | PacketEnd::NotIp
        | PacketEnd::BadIpHeader
        | PacketEnd::TooManyHeaders
        | PacketEnd::Fragment
        | PacketEnd::OtherProtocol
        | PacketEnd::NotLocal
        | PacketEnd::NotTelemetry
        | PacketEnd::Stream
        | PacketEnd::TooLong
        | PacketEnd::SlotMoving
        | PacketEnd::ForeignSlot
        | PacketEnd::NoRing
        | PacketEnd::BadIpChecksum
        | PacketEnd::UnknownArrival
        | PacketEnd::ArrivalDown
        | PacketEnd::OtherMac
        | PacketEnd::UnknownStation
        | PacketEnd::IpOptions
        | PacketEnd::HopByHop
        | PacketEnd::Martian
        | PacketEnd::LinkScope
        | PacketEnd::HopLimit
        | PacketEnd::FibFailed
        | PacketEnd::Unreachable
        | PacketEnd::Prohibited
        | PacketEnd::NotForwarded
        | PacketEnd::ForwardingDisabled
        | PacketEnd::RouteEncapsulates
        | PacketEnd::NoNeighbour
        | PacketEnd::FragmentationNeeded
        | PacketEnd::NoSourceAddress
        | PacketEnd::FibVlanFailure
        | PacketEnd::UnknownFibResult
        | PacketEnd::NoEgress
        | PacketEnd::NoLeg
        | PacketEnd::NotMember
        | PacketEnd::PortMtu
        | PacketEnd::NoHeadroom
        | PacketEnd::Internal => xdp_action::XDP_PASS,
        // Ends of the socket program and of user space: no block returns them.
        PacketEnd::Delivered
        | PacketEnd::Selected
        | PacketEnd::NoSocket
        | PacketEnd::RingFull
        | PacketEnd::NoFrame
        | PacketEnd::RingDropped
        | PacketEnd::SocketFull
        | PacketEnd::BadUdpLength
        | PacketEnd::BadUdpChecksum
        | PacketEnd::UnknownProtocol
        | PacketEnd::TooManyRouters
        | PacketEnd::WorkerPanic => xdp_action::XDP_PASS,
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Read by the kernel: helpers that are GPL-only may be called.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
