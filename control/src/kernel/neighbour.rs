//! One message about a neighbour -> a station that a bridge knows, or the MAC address of a next hop.
//!
//! Pure. The kernel files both under one kind of message; the family tells them apart.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};

/// A neighbour of a device: one entry of `ip neigh`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// MAC address; `None`: not known.
    pub mac: Option<[u8; 6]>,
    /// `NUD_*` of `linux/neighbour.h`.
    pub state: u16,
    /// `NTF_MANAGED`: the kernel keeps it fresh.
    pub managed: bool,
    /// `NTF_EXT_LEARNED`: someone else than the kernel has put it there.
    pub extern_learned: bool,
}

/// `NUD_FAILED`: resolution failed.
pub const FAILED: u16 = 0x20;
/// `NUD_NOARP`: needs no resolution.
pub const NOARP: u16 = 0x40;
/// `NUD_PERMANENT`: configured by somebody.
pub const PERMANENT: u16 = 0x80;

impl Neighbour {
    /// The state's word, as `ip neigh` prints it in lower case.
    #[must_use]
    pub const fn state_name(&self) -> &'static str {
        match self.state {
            0x01 => "incomplete",
            0x02 => "reachable",
            0x04 => "stale",
            0x08 => "delay",
            0x10 => "probe",
            FAILED => "failed",
            NOARP => "noarp",
            PERMANENT => "permanent",
            0 => "none",
            _ => "several",
        }
    }

    /// Whether nobody may change it but who configured it.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.state & (NOARP | PERMANENT) != 0
    }
}

/// Where a bridge's entry belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StationKey {
    /// Index of the bridge.
    pub bridge: u32,
    /// VLAN; 0: none.
    pub vlan: u16,
    /// MAC address.
    pub mac: [u8; 6],
}

/// An entry of a bridge's forwarding database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Index of the bridge's port; the bridge itself for its own addresses.
    pub port: u32,
    /// An address of the bridge or of its port: frames for it go up.
    pub local: bool,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Station(StationKey, Station),
    Neighbour((u32, IpAddr), Neighbour),
    Nothing,
}

/// Reads a message.
pub(super) fn read(message: &NeighbourMessage) -> About {
    let mut destination = None;
    let (mut mac, mut vlan, mut bridge) = (None, 0, None);
    let mut managed = false;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                destination = Some(IpAddr::from(*address));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                destination = Some(IpAddr::from(*address));
            }
            NeighbourAttribute::LinkLayerAddress(octets) => mac = <[u8; 6]>::try_from(octets.as_slice()).ok(),
            NeighbourAttribute::Vlan(id) => vlan = *id,
            NeighbourAttribute::Controller(index) => bridge = Some(*index),
            NeighbourAttribute::ExtFlags(flags) => {
                managed = flags.contains(netlink_packet_route::neighbour::NeighbourExtFlags::Managed);
            }
            _ => {}
        }
    }
    let header = &message.header;
    let state = u16::from(header.state);
    match header.family {
        AddressFamily::Bridge => {
            // Without a bridge it is an entry of the card's own filter.
            let (Some(bridge), Some(mac)) = (bridge, mac) else { return About::Nothing };
            if header.flags.contains(NeighbourFlags::Own) {
                return About::Nothing;
            }
            let local = header.state == NeighbourState::Permanent;
            let key = StationKey { bridge, vlan, mac };
            About::Station(key, Station { port: header.ifindex, local })
        }
        AddressFamily::Inet | AddressFamily::Inet6 => destination.map_or(About::Nothing, |address| {
            if header.flags.contains(NeighbourFlags::Proxy) {
                return About::Nothing;
            }
            let extern_learned = header.flags.contains(NeighbourFlags::ExtLearned);
            let neighbour = Neighbour { mac, state, managed, extern_learned };
            About::Neighbour((header.ifindex, address), neighbour)
        }),
        _ => About::Nothing,
    }
}
