//! What a block tells the next: how the frame ended, what XDP does with it, and what the walk learned.
//!
//! In: ends. Out: one scalar, because a function of eBPF returns no more:
//! ```text
//!  63       48 47       32 31      24 23     16 15      8 7       0
//! | dst port  | src port  | protocol |    0    | action  |   end   |
//! | index of the port out |    0     |    0    | action  |   end   |   of a frame that is sent on
//! ```

use aya_ebpf::bindings::xdp_action;
use dataplane_common::{Headers, PacketEnd};

use crate::maps;

/// A frame's end and action, and the ports of a packet whose end may still change.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Verdict(pub(crate) u64);

impl Verdict {
    /// None yet: the frame goes on to the next block. No end has this action.
    pub(crate) const NONE: Self = Self(0xffff);

    /// Whether there is none yet.
    #[inline(always)]
    pub(crate) fn is_none(self) -> bool {
        self.0 == Self::NONE.0
    }

    /// The end with the action that belongs to it.
    #[inline(always)]
    pub(crate) fn of(end: PacketEnd) -> Self {
        Self::with(end, action(end))
    }

    /// The end with another action than its own.
    #[inline(always)]
    pub(crate) fn with(end: PacketEnd, action: u32) -> Self {
        Self(u64::from(end as u8) | u64::from(action) << 8)
    }

    /// With the ports and the protocol of a packet that may still be forwarded.
    #[inline(always)]
    pub(crate) fn seen(self, headers: &Headers) -> Self {
        Self(
            self.0
                | u64::from(headers.protocol) << 24
                | u64::from(headers.source_port) << 32
                | u64::from(headers.destination_port) << 48,
        )
    }

    /// With the interface index of the port that the frame leaves through.
    #[inline(always)]
    pub(crate) fn through(self, port: u32) -> Self {
        Self(self.0 | u64::from(port) << 32)
    }

    /// Interface index of the port that the frame leaves through; 0: it is not sent on.
    #[inline(always)]
    pub(crate) fn out(self) -> u32 {
        if self.is_rewritten() { (self.0 >> 32) as u32 } else { 0 }
    }

    /// Index of the end.
    #[inline(always)]
    pub(crate) fn end(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    /// `enum xdp_action`.
    #[inline(always)]
    pub(crate) fn action(self) -> u32 {
        (self.0 >> 8 & 0xff) as u32
    }

    /// Whether the frame leaves otherwise than it came.
    #[inline(always)]
    pub(crate) fn is_rewritten(self) -> bool {
        let end = self.end();
        end == PacketEnd::Forwarded as u32 || end == PacketEnd::Bridged as u32
    }

    /// Whether the packet is for somebody else to take: no telemetry, and nothing wrong with it.
    #[inline(always)]
    pub(crate) fn is_transit(self) -> bool {
        let end = self.end();
        end == PacketEnd::NotTelemetry as u32
            || end == PacketEnd::NotLocal as u32
            || end == PacketEnd::OtherProtocol as u32
    }

    /// IP protocol behind extension headers; 0 unless [`Verdict::seen`] set it.
    #[inline(always)]
    pub(crate) fn protocol(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Source port.
    #[inline(always)]
    pub(crate) fn source_port(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// Destination port.
    #[inline(always)]
    pub(crate) fn destination_port(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

/// What XDP does with a frame that ended so. What nothing here takes is the stack's.
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
