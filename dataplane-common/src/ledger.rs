//! Every way a unit of work ends, as one list that makes the enum, its names and its counters.
//!
//! A ledger balances when what came in equals the sum over its ends; each unit has exactly one end.

/// Declares one ledger: an enum with one variant an end.
///
/// `ledger! { /// doc  pub PacketEnd counts "packets" { /// doc  Delivered = "delivered", .. } }` makes
/// the enum (`repr(u8)`, numbered from 0), `ALL`, `COUNT`, `UNIT`, `name()` and `index()`.
#[macro_export]
macro_rules! ledger {
    ($(#[$doc:meta])* $vis:vis $name:ident counts $unit:literal {
        $($(#[$end_doc:meta])* $end:ident = $text:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        $vis enum $name { $($(#[$end_doc])* $end,)+ }

        impl $name {
            /// Every end, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$end,)+];
            /// How many ends there are.
            pub const COUNT: usize = Self::ALL.len();
            /// What this ledger counts.
            pub const UNIT: &'static str = $unit;

            /// The value of the label `end` in metrics, snake case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$end => $text,)+ }
            }

            /// Position in a counter array of `COUNT` entries.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

ledger! {
    /// How a packet ended, wherever it ended: in the XDP or SK_REUSEPORT program, in a ring, in a worker.
    ///
    /// The first group ends in the kernel; the rest in user space. `Redirected` is a verdict of XDP, not an
    /// end of the packet: the frame goes on to a ring and ends there.
    pub PacketEnd counts "packets" {
        /// A session has taken its message.
        Delivered = "delivered",
        /// XDP handed the frame to a ring (counted again by the worker that takes it).
        Redirected = "redirected",
        /// Shorter than its headers say.
        Truncated = "truncated",
        /// Neither IPv4 nor IPv6 behind at most two tags.
        NotIp = "not_ip",
        /// IP version, header length or total length contradict each other.
        BadIpHeader = "bad_ip_header",
        /// More extension headers than the walk follows.
        TooManyHeaders = "too_many_headers",
        /// A fragment: the stack reassembles it, its datagram reaches a kernel socket.
        Fragment = "fragment",
        /// Neither UDP nor TCP.
        OtherProtocol = "other_protocol",
        /// Destination is not an address of this host.
        NotLocal = "not_local",
        /// No listener on this port.
        NotTelemetry = "not_telemetry",
        /// TCP for a telemetry port: the kernel's stack carries it.
        Stream = "stream",
        /// Longer than a frame of the ring: the stack takes it.
        TooLong = "too_long",
        /// The slot of this bucket has no owner and the policy is to drop.
        EmptySlot = "empty_slot",
        /// The slot is moving or draining: its kernel socket takes the packet.
        SlotMoving = "slot_moving",
        /// The slot belongs to a program outside Millrace.
        ForeignSlot = "foreign_slot",
        /// Redirect found no socket in the XSKMAP; the stack takes the packet.
        NoRing = "no_ring",
        /// SK_REUSEPORT handed the packet to a socket.
        Selected = "selected",
        /// SK_REUSEPORT found no socket in the slot.
        NoSocket = "no_socket",
        /// A table that the program needs is missing or damaged: a fault of ours.
        Internal = "internal",
        /// XDP sent it on by the kernel's FIB. What the port does with it, the kernel counts.
        Forwarded = "forwarded",
        /// XDP sent it on to the bridge's port that the station lives behind.
        Bridged = "bridged",
        /// It arrived on a device, or with tags, that the device table does not have; the stack takes it.
        UnknownArrival = "unknown_arrival",
        /// The device it arrived on is down or does not forward here; the stack takes it.
        ArrivalDown = "arrival_down",
        /// It arrived on an inactive leg of a bond: dropped, as the kernel does.
        InactiveLeg = "inactive_leg",
        /// The destination MAC address is not that of the device; the stack takes it.
        OtherMac = "other_mac",
        /// The bridge does not know the destination or the source there; the stack floods and learns.
        UnknownStation = "unknown_station",
        /// IPv4 options; the stack takes it.
        IpOptions = "ip_options",
        /// IPv6 hop-by-hop options; the stack takes it.
        HopByHop = "hop_by_hop",
        /// A source address that no router may forward; the stack takes it.
        Martian = "martian",
        /// A source or destination that never leaves its link; the stack takes it.
        LinkScope = "link_scope",
        /// TTL or hop limit is spent; the stack answers.
        HopLimit = "hop_limit",
        /// `bpf_fib_lookup` failed: the arguments, or the device went away.
        FibFailed = "fib_failed",
        /// `BPF_FIB_LKUP_RET_BLACKHOLE`: dropped.
        Blackhole = "blackhole",
        /// `BPF_FIB_LKUP_RET_UNREACHABLE`: the stack answers.
        Unreachable = "unreachable",
        /// `BPF_FIB_LKUP_RET_PROHIBIT`: the stack answers.
        Prohibited = "prohibited",
        /// `BPF_FIB_LKUP_RET_NOT_FWDED`: for this host, no route, group or link address; the stack takes it.
        NotForwarded = "not_forwarded",
        /// `BPF_FIB_LKUP_RET_FWD_DISABLED`: forwarding is off on the device it arrived on.
        ForwardingDisabled = "forwarding_disabled",
        /// `BPF_FIB_LKUP_RET_UNSUPP_LWT`: the route encapsulates; the stack takes it.
        RouteEncapsulates = "route_encapsulates",
        /// `BPF_FIB_LKUP_RET_NO_NEIGH`: the stack resolves the next hop.
        NoNeighbour = "no_neighbour",
        /// `BPF_FIB_LKUP_RET_FRAG_NEEDED`: longer than the route's MTU; the stack fragments or answers.
        FragmentationNeeded = "fragmentation_needed",
        /// `BPF_FIB_LKUP_RET_NO_SRC_ADDR`: the stack takes it.
        NoSourceAddress = "no_source_address",
        /// `BPF_FIB_LKUP_RET_VLAN_FAILURE`: the stack takes it.
        FibVlanFailure = "fib_vlan_failure",
        /// A result of `bpf_fib_lookup` that this version does not know; the stack takes it.
        UnknownFibResult = "unknown_fib_result",
        /// The FIB names a device that the device table does not have or that is down; the stack takes it.
        NoEgress = "no_egress",
        /// The bond has no active leg; the stack takes it.
        NoLeg = "no_leg",
        /// The port is no member of the device map, as one whose driver sends nothing that is redirected to it; the
        /// stack takes it.
        NotMember = "not_member",
        /// Longer than the port's MTU; the stack takes it.
        PortMtu = "port_mtu",
        /// No room before the frame for the tags it leaves with; the stack takes it.
        NoHeadroom = "no_headroom",
        /// A rule for arriving packets denies it: dropped.
        Denied = "denied",
        /// A rule for forwarded packets denies it: dropped.
        EgressDenied = "egress_denied",
        /// Above the rate of its rule: dropped.
        Policed = "policed",
        /// Telemetry of an exporter that is not on the list: dropped.
        ExporterDenied = "exporter_denied",
        /// Telemetry above the exporter's rate: dropped.
        ExporterPoliced = "exporter_policed",
        /// The receive ring of the socket was full.
        RingFull = "ring_full",
        /// No frame was free for the packet.
        NoFrame = "no_frame",
        /// The kernel dropped it at the ring for another reason.
        RingDropped = "ring_dropped",
        /// The receive buffer of the kernel socket was full.
        SocketFull = "socket_full",
        /// IPv4 header checksum is wrong.
        BadIpChecksum = "bad_ip_checksum",
        /// UDP length contradicts the IP length.
        BadUdpLength = "bad_udp_length",
        /// UDP checksum is wrong, or zero over IPv6.
        BadUdpChecksum = "bad_udp_checksum",
        /// No session speaks what arrived on this port.
        UnknownProtocol = "unknown_protocol",
        /// More routers than the limit allows.
        TooManyRouters = "too_many_routers",
        /// The worker panicked over it; the worker starts again empty.
        WorkerPanic = "worker_panic",
    }
}
