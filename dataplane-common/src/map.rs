//! The maps that programs and user space share: names, keys, values, and the settings of a load.
//!
//! Every key and value is plain octets (`zerocopy`), in the host's order unless a type of network order
//! says otherwise, without padding. Nothing here opens or updates a map.

use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::router::{BUCKETS, MAX_SLOTS};

pub mod forward;
pub mod rules;
pub mod dump;
pub mod lost;
pub mod generate;
pub mod bare;

use forward::{EGRESS, FORWARD_PORTS, INGRESS, NEXT_HOP_STAMPS, NEXT_HOPS, PORT_ENDS, STATIONS};
use rules::{ACTIVE_SHAPES, EXPORTERS, POLICERS, RULE_HITS, RULES, SHAPES, SHARED_BUCKETS, SOURCE_BUCKETS};

/// Hash: local address (16 octets, IPv4 mapped) -> [`LocalAddress`].
pub const LOCAL_ADDRESSES: &str = "LOCAL_ADDRESSES";
/// Array of 65,536: destination port -> [`Port`].
pub const PORTS: &str = "PORTS";
/// Hash: address -> the router's 16 octets. Looked up only with [`Settings::aliases`].
pub const ALIASES: &str = "ALIASES";
/// Longest prefix: address -> the router's 16 octets. Looked up only with [`Settings::alias_prefixes`].
pub const ALIAS_PREFIXES: &str = "ALIAS_PREFIXES";
/// Array of 2: the steering tables, [`Steering`]; one is in use, the other is written.
pub const STEERING: &str = "STEERING";
/// Array of 1: which of [`STEERING`] is in use (u32, 0 or 1).
pub const ACTIVE: &str = "ACTIVE";
/// Hash: [`Queue`] -> row of the rings (u32).
pub const RING_ROWS: &str = "RING_ROWS";
/// XSKMAP: `entry(ring row, slot)` -> AF_XDP socket.
pub const RINGS: &str = "RINGS";
/// Hash: [`Bound`] -> row of the sockets (u32).
pub const SOCKET_ROWS: &str = "SOCKET_ROWS";
/// REUSEPORT_SOCKARRAY: `entry(socket row, slot)` -> socket.
pub const SOCKETS: &str = "SOCKETS";
/// Per-CPU array of u64 by [`crate::PacketEnd`]: verdicts of XDP.
pub const FRAME_ENDS: &str = "FRAME_ENDS";
/// Per-CPU array of u64 by [`crate::PacketEnd`]: verdicts of SK_REUSEPORT.
pub const SOCKET_ENDS: &str = "SOCKET_ENDS";
/// Per-CPU array of u64 by `entry(ring row, slot)`: frames redirected to that ring.
pub const REDIRECTED: &str = "REDIRECTED";
/// Per-CPU array of u64 by `entry(socket row, slot)`: packets for which that socket was selected.
pub const SELECTED: &str = "SELECTED";
/// LRU hash: router's 16 octets -> [`Seen`]. Written only with [`Settings::last_seen`].
pub const ROUTERS_SEEN: &str = "ROUTERS_SEEN";
/// Array of [`SEEN_STAMPS_LENGTH`] u32: which router last refreshed its time, and in which period. The programs' own.
pub const SEEN_STAMPS: &str = "SEEN_STAMPS";
/// Entries of [`SEEN_STAMPS`]: two busy routers on one entry only cost each other time.
pub const SEEN_STAMPS_LENGTH: u32 = 1 << 16;
/// The read-only [`Settings`] of a load.
pub const SETTINGS: &str = "SETTINGS";

/// Every map that the programs share with user space.
pub const MAPS: [&str; 31] = [
    LOCAL_ADDRESSES,
    PORTS,
    ALIASES,
    ALIAS_PREFIXES,
    STEERING,
    ACTIVE,
    RING_ROWS,
    RINGS,
    SOCKET_ROWS,
    SOCKETS,
    FRAME_ENDS,
    SOCKET_ENDS,
    REDIRECTED,
    SELECTED,
    ROUTERS_SEEN,
    SEEN_STAMPS,
    INGRESS,
    EGRESS,
    FORWARD_PORTS,
    STATIONS,
    NEXT_HOPS,
    NEXT_HOP_STAMPS,
    PORT_ENDS,
    SHAPES,
    ACTIVE_SHAPES,
    RULES,
    RULE_HITS,
    EXPORTERS,
    POLICERS,
    SOURCE_BUCKETS,
    SHARED_BUCKETS,
];

/// Name of the XDP program.
pub const XDP_PROGRAM: &str = "millrace";
/// Name of the XDP program that asks the kernel which flags of its FIB look-up it takes: they stand in the
/// frame's first four octets.
pub const PROBE_PROGRAM: &str = "millrace_probe";
/// Return value of [`PROBE_PROGRAM`]: the flags are known.
pub const PROBE_TAKEN: u32 = 2;
/// Name of the SK_REUSEPORT program.
pub const REUSEPORT_PROGRAM: &str = "millrace_socket";

/// Local addresses held at most, unless the load says otherwise.
pub const MAX_LOCAL_ADDRESSES: u32 = 4096;
/// Aliases held at most, exact and prefixes each, unless the load says otherwise.
pub const MAX_ALIASES: u32 = 16_384;
/// Rows of rings, (device, RX queue), unless the load says otherwise.
pub const MAX_RING_ROWS: u32 = 256;
/// Rows of sockets, (protocol, address, port), unless the load says otherwise.
pub const MAX_SOCKET_ROWS: u32 = 64;
/// Routers whose last packet is remembered, unless the load says otherwise.
pub const MAX_ROUTERS_SEEN: u32 = 65_536;

/// Constants that a load writes into the programs. The kernel's verifier removes what they switch off.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// Key of the router hash. Secret: who knows it can aim addresses at one slot.
    pub key: [u8; 16],
    /// Octets of the longest frame that a ring takes; a longer one passes to the stack.
    pub ring_room: u32,
    /// 1: UDP for an empty slot is dropped in XDP; 0: it passes and SK_REUSEPORT drops it.
    pub drop_empty_udp: u32,
    /// 1: look addresses up in [`ALIASES`].
    pub aliases: u32,
    /// 1: look addresses up in [`ALIAS_PREFIXES`] (75-500 ns a packet).
    pub alias_prefixes: u32,
    /// 1: remember when each router was last seen.
    pub last_seen: u32,
    /// 1: forward what is not for this host; 0: every table of [`forward`] is unread.
    pub forward: u32,
    /// 1: take tags off and put them on; 0: tagged frames that are no telemetry go up the stack.
    pub vlans: u32,
    /// 1: choose legs of bonds; 0: what leaves through a bond goes up the stack.
    pub bonds: u32,
    /// 1: bridge frames and forward into bridges; 0: both go up the stack.
    pub bridges: u32,
    /// 1: remember which next hops are in use.
    pub next_hops: u32,
    /// 1: count ends by port as well.
    pub port_counters: u32,
    /// 1: the kernel's look-up takes a firewall mark (`BPF_FIB_LOOKUP_MARK`, since 6.10).
    pub mark_lookup: u32,
    /// 1: the kernel's look-up takes a table (`BPF_FIB_LOOKUP_TBID`, since 6.5).
    pub table_lookup: u32,
    /// 1: rules for every packet that arrives.
    pub arriving_rules: u32,
    /// 1: rules for packets that are forwarded.
    pub forwarded_rules: u32,
    /// 1: only the exporters of [`rules::EXPORTERS`] may send telemetry.
    pub exporters: u32,
    /// 1: write frames into [`dump::DUMP_RING`], those that the fields below ask for.
    pub dump: u32,
    /// 1: of these only frames that XDP drops.
    pub dump_drops: u32,
    /// Of these only frames that arrive on the port with this interface index; 0: on any.
    pub dump_port: u32,
    /// Of these only one in so many, from 1.
    pub dump_one_in: u32,
    /// Of these at most so many a period (2^30 nanoseconds) and CPU.
    pub dump_most: u32,
    /// 1: of these only frames from [`Settings::dump_source`].
    pub dump_has_source: u32,
    /// Address, IPv4 mapped.
    pub dump_source: [u8; 16],
}

/// Value of [`LOCAL_ADDRESSES`]: the address is there; nothing more yet.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LocalAddress {
    /// 0.
    pub reserved: u32,
}

/// [`Port::transports`]: UDP is taken here.
pub const PORT_UDP: u8 = 1;
/// [`Port::transports`]: TCP is taken here.
pub const PORT_TCP: u8 = 2;

/// Value of [`PORTS`]: who listens on a port. All zero: nobody.
#[derive(
    FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
#[repr(C)]
pub struct Port {
    /// [`PORT_UDP`] and [`PORT_TCP`].
    pub transports: u8,
    /// The telemetry protocol's number, user space's own; the programs do not read it.
    pub protocol: u8,
    /// Listeners that belong together, user space's own; the programs do not read it.
    pub group: U16,
}

/// Key of [`RING_ROWS`]: one RX queue of one device.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Queue {
    /// Index of the device in the namespace of the program.
    pub device: u32,
    /// RX queue, from 0.
    pub queue: u32,
}

/// Key of [`SOCKET_ROWS`]: what the sockets of one reuseport group are bound to.
#[derive(
    FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, PartialEq, Eq, Hash,
)]
#[repr(C)]
pub struct Bound {
    /// Local address: of an IPv4 socket mapped (`::ffff:0.0.0.0` for any), else as bound (`::` for any).
    pub address: [u8; 16],
    /// Local port.
    pub port: U16,
    /// 17 (UDP) or 6 (TCP).
    pub protocol: u8,
    /// 0.
    pub reserved: u8,
}

/// Who takes what falls on a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotState {
    /// Nobody.
    Empty = 0,
    /// A worker, through its ring where it has one, else its socket.
    Millrace = 1,
    /// Another daemon's socket.
    Foreign = 2,
    /// A worker that is leaving: its socket takes what still comes, its ring nothing.
    Draining = 3,
    /// On the way to another worker: the socket takes it until the table flips.
    Moving = 4,
}

impl SlotState {
    /// The state that a table's octet names; `None`: the table is damaged.
    #[must_use]
    #[inline(always)]
    pub const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            0 => Some(Self::Empty),
            1 => Some(Self::Millrace),
            2 => Some(Self::Foreign),
            3 => Some(Self::Draining),
            4 => Some(Self::Moving),
            _ => None,
        }
    }
}

/// Value of [`STEERING`]: bucket -> slot, and the state of each slot. Written whole, then made active.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Steering {
    /// Slot of each bucket, below [`MAX_SLOTS`].
    pub slots: [u8; BUCKETS as usize],
    /// [`SlotState`] of each slot.
    pub states: [u8; MAX_SLOTS as usize],
}

impl Steering {
    /// Every bucket on slot 0, every slot empty: what a fresh map holds.
    pub const EMPTY: Self = Self { slots: [0; BUCKETS as usize], states: [0; MAX_SLOTS as usize] };

    /// Slot of a bucket (taken modulo [`BUCKETS`]) and its state; `None`: the table is damaged.
    #[must_use]
    #[inline(always)]
    pub fn slot(&self, bucket: u32) -> Option<(u32, SlotState)> {
        let slot = *self.slots.get((bucket & (BUCKETS - 1)) as usize)?;
        let state = *self.states.get(slot as usize)?;
        Some((u32::from(slot), SlotState::from_octet(state)?))
    }
}

/// Value of [`ROUTERS_SEEN`].
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Seen {
    /// Nanoseconds of `CLOCK_MONOTONIC_COARSE` at the last packet, refreshed about once a second.
    pub monotonic_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_and_others_are_refused() {
        for octet in 0..=u8::MAX {
            assert!(SlotState::from_octet(octet).map_or(octet > 4, |state| state as u8 == octet));
        }
    }

    #[test]
    fn a_damaged_table_is_no_slot() {
        let mut table = Steering::EMPTY;
        table.states[3] = SlotState::Millrace as u8;
        table.slots[4095] = 3;
        table.slots[1] = 64;
        table.slots[2] = 5;
        table.states[5] = 9;
        assert_eq!(table.slot(4095), Some((3, SlotState::Millrace)));
        assert_eq!(table.slot(4096), Some((0, SlotState::Empty)));
        assert_eq!(table.slot(1), None);
        assert_eq!(table.slot(2), None);
    }

    #[test]
    fn layouts_have_the_sizes_that_the_maps_declare() {
        assert_eq!(size_of::<Settings>(), 120);
        assert_eq!(size_of::<Port>(), 4);
        assert_eq!(size_of::<Bound>(), 20);
        assert_eq!(size_of::<Steering>(), 4160);
    }
}
