//! The tables of forwarding: what no helper of the kernel tells, mirrored from the kernel by user space.
//!
//! ```text
//! frame on a port -> Arrival  (device, tags) -> Ingress   which device the stack would receive it on, whose MAC
//!   bridged?      -> Station  (bridge, VLAN, MAC) -> Learned: port and tag behind which the station lives
//!   routed?       -> the kernel's FIB -> interface index -> Egress: tags to push, leg to take
//!                 -> FORWARD_PORTS: only its members are redirected to
//! ```
//! An entry that is missing, or that says what the programs do not do, sends the frame up the stack. So the
//! tables may lag behind or be empty, and no frame is lost by it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Hash: [`Arrival`] -> [`Ingress`].
pub const INGRESS: &str = "INGRESS";
/// Hash: interface index (u32) -> [`Egress`].
pub const EGRESS: &str = "EGRESS";
/// DEVMAP_HASH: interface index of a port -> itself. A frame leaves only through members.
pub const FORWARD_PORTS: &str = "FORWARD_PORTS";
/// Hash: [`Station`] -> [`Learned`]: the kernel's forwarding database of bridges.
pub const STATIONS: &str = "STATIONS";
/// LRU hash: [`NextHop`] -> [`NextHopUse`]. Written by the programs, at most once a period for each.
pub const NEXT_HOPS: &str = "NEXT_HOPS";
/// Array of [`NEXT_HOP_STAMPS_LENGTH`] u32: which next hop last refreshed its time. The programs' own.
pub const NEXT_HOP_STAMPS: &str = "NEXT_HOP_STAMPS";
/// Entries of [`NEXT_HOP_STAMPS`]: two busy next hops on one entry only cost each other time.
pub const NEXT_HOP_STAMPS_LENGTH: u32 = 1 << 12;
/// Per-CPU hash: [`PortEnd`] -> u64 frames. Only with [`super::Settings::port_counters`].
pub const PORT_ENDS: &str = "PORT_ENDS";

/// Entries of [`INGRESS`] and of [`EGRESS`], unless the load says otherwise.
pub const MAX_DEVICES: u32 = 16_384;
/// Ports that frames leave through, and legs of all bonds, unless the load says otherwise.
pub const MAX_FORWARD_PORTS: u32 = 1024;
/// Entries of [`STATIONS`], unless the load says otherwise.
pub const MAX_STATIONS: u32 = 65_536;
/// Next hops whose use is remembered, unless the load says otherwise.
pub const MAX_NEXT_HOPS: u32 = 16_384;
/// Entries of [`PORT_ENDS`], unless the load says otherwise.
pub const MAX_PORT_ENDS: u32 = 32_768;
/// Legs of a bond that the programs choose among; frames for a bond with more go up the stack.
pub const MAX_LEGS: usize = 16;

/// A VLAN tag as a frame carries it. All zero: none.
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
#[repr(C)]
pub struct VlanTag {
    /// EtherType, [`crate::walk::ETHER_TAG`] or [`crate::walk::ETHER_SERVICE_TAG`]; 0: no tag.
    pub ether_type: u16,
    /// VLAN id, 1-4094. Priority and DEI are no part of it: they are ignored on arrival and 0 on leaving.
    pub id: u16,
}

/// Key of [`INGRESS`]: how a frame arrives.
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
#[repr(C)]
pub struct Arrival {
    /// Interface index of the port whose XDP program runs: a leg itself, never its bond.
    pub port: u32,
    /// Tag next to the MAC addresses.
    pub outer: VlanTag,
    /// Tag inside it (QinQ).
    pub inner: VlanTag,
}

/// [`Ingress::flags`]: frames that arrive so may be forwarded here; without it they go up the stack.
/// Set when every device from the port to [`Ingress::device`] is up.
pub const INGRESS_UP: u32 = 1;
/// [`Ingress::flags`]: an inactive leg of a bond: the kernel drops what arrives, and so do we.
pub const INGRESS_INACTIVE_LEG: u32 = 2;
/// [`Ingress::flags`]: [`Ingress::bridge`] bridges frames that are not for [`Ingress::mac`].
pub const INGRESS_BRIDGED: u32 = 4;

/// Value of [`INGRESS`]: what the stack would make of a frame that arrives so, its tags taken off.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Ingress {
    /// `INGRESS_*`.
    pub flags: u32,
    /// Device on which the stack would receive the packet (port, VLAN, bond, bridge, VLAN on a bridge): the
    /// FIB look-up's. 0: none, the frame can only be bridged.
    pub device: u32,
    /// The VRF's table that the look-up uses; 0: the rules (`ip rule`) say.
    pub table: u32,
    /// Firewall mark for the rules; 0: none.
    pub mark: u32,
    /// Bridge that the frame's port belongs to; meaningful with [`INGRESS_BRIDGED`].
    pub bridge: u32,
    /// The bridge's port on which the frame arrives: the port itself, its bond, or a VLAN device of it. A
    /// source that [`STATIONS`] knows behind another goes up the stack, which learns.
    pub bridge_port: u32,
    /// VLAN that the bridge files the frame under (PVID, or the tag's); 0 where the bridge knows no VLANs.
    pub bridge_vlan: u16,
    /// MAC address of [`Ingress::device`]: a frame for another is bridged or goes up the stack.
    pub mac: [u8; 6],
    /// Counts how often user space has filled an index with another device; the programs do not read it.
    pub generation: u32,
}

/// What an [`Egress`] leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EgressKind {
    /// One port: `legs[0]`.
    Port = 1,
    /// A bond: one of its legs, by [`Egress::policy`].
    Bond = 2,
    /// A bridge, or a VLAN on it: the port behind which [`STATIONS`] knows the next hop's MAC.
    Bridge = 3,
}

impl EgressKind {
    /// The kind that an octet names; `None`: the entry is damaged.
    #[must_use]
    #[inline(always)]
    pub const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Port),
            2 => Some(Self::Bond),
            3 => Some(Self::Bridge),
            _ => None,
        }
    }
}

/// [`Egress::policy`]: always the first leg (active-backup: the active one).
pub const POLICY_FIRST: u8 = 0;
/// [`Egress::policy`]: `layer2`: MAC addresses and EtherType.
pub const POLICY_LAYER2: u8 = 1;
/// [`Egress::policy`]: `layer2+3` and, for what is no tunnel, `encap2+3`.
pub const POLICY_LAYER23: u8 = 2;
/// [`Egress::policy`]: `layer3+4` and, for what is no tunnel, `encap3+4`.
pub const POLICY_LAYER34: u8 = 3;

/// [`Egress::flags`]: the device and what it leads to are up; without it frames go up the stack.
pub const EGRESS_UP: u16 = 1;

/// Value of [`EGRESS`]: how a packet leaves through a device that the FIB or a bridge names.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Egress {
    /// [`EgressKind`].
    pub kind: u8,
    /// `POLICY_*`: which leg of a bond; numbered by the kernel's `xmit_hash_policy`.
    pub policy: u8,
    /// `EGRESS_*`.
    pub flags: u16,
    /// Tag that the frame leaves with, next to the MAC addresses.
    pub outer: VlanTag,
    /// Tag inside it; only behind an outer one.
    pub inner: VlanTag,
    /// Octets of the longest packet that the device takes, without Ethernet header and tags.
    pub mtu: u32,
    /// Bridge of an [`EgressKind::Bridge`]; else 0.
    pub bridge: u32,
    /// VLAN under which that bridge files the frame; 0 where it knows none.
    pub bridge_vlan: u16,
    /// MAC address of the device; the look-up gives the same one, so the programs do not read it.
    pub mac: [u8; 6],
    /// As [`Ingress::generation`].
    pub generation: u32,
    /// How many of [`Egress::legs`] there are; 0: the frame goes up the stack.
    pub leg_count: u32,
    /// Interface indexes of ports: of a bond its active legs, in the order in which the kernel counts them.
    pub legs: [u32; MAX_LEGS],
}

/// Key of [`STATIONS`]: a MAC address that a bridge has learned or was told.
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
#[repr(C)]
pub struct Station {
    /// Interface index of the bridge.
    pub bridge: u32,
    /// VLAN; 0 where the bridge knows none.
    pub vlan: u16,
    /// The address.
    pub mac: [u8; 6],
}

/// Value of [`STATIONS`]: the bridge's port behind which the station lives. Entries of the bridge itself, of
/// blocked and of isolated ports are left out.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Learned {
    /// Interface index of the bridge's port: a key of [`EGRESS`], and the [`Ingress::bridge_port`] of its frames.
    pub port: u32,
    /// Tag that the bridge leaves on the frame at that port, inside the tags of the port's own [`Egress`].
    pub tag: VlanTag,
}

/// Key of [`NEXT_HOPS`].
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
#[repr(C)]
pub struct NextHop {
    /// Interface index of the device that the FIB names.
    pub device: u32,
    /// The next hop, or the destination where it is on the link; IPv4 mapped.
    pub address: [u8; 16],
}

/// Value of [`NEXT_HOPS`]. Nanoseconds of `CLOCK_MONOTONIC_COARSE`, refreshed about once a second; 0: never.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NextHopUse {
    /// When a packet was last forwarded there.
    pub used_ns: u64,
    /// When the look-up last said that its neighbour is not resolved.
    pub missing_ns: u64,
}

/// Key of [`PORT_ENDS`].
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
#[repr(C)]
pub struct PortEnd {
    /// Interface index of the port.
    pub port: u32,
    /// The [`crate::PacketEnd`]'s index.
    pub end: u32,
    /// Interface index of the port that the frames left through, both counted by one look-up; 0: none.
    pub out: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_the_sizes_that_the_maps_declare() {
        assert_eq!(size_of::<Arrival>(), 12);
        assert_eq!(size_of::<Ingress>(), 36);
        assert_eq!(size_of::<Egress>(), 100);
        assert_eq!(size_of::<Station>(), 12);
        assert_eq!(size_of::<Learned>(), 8);
        assert_eq!(size_of::<NextHop>(), 20);
        assert_eq!(size_of::<NextHopUse>(), 16);
        assert_eq!(size_of::<PortEnd>(), 12);
    }

    #[test]
    fn kinds_come_back_and_others_are_refused() {
        for octet in 0..=u8::MAX {
            let known = (1..=3).contains(&octet);
            assert!(EgressKind::from_octet(octet).map_or(!known, |kind| known && kind as u8 == octet));
        }
    }
}
