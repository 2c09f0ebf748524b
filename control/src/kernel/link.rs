//! One message about a link -> what it says of the link: name, state, what kind of device it is, what it belongs to.
//!
//! Pure. A message of the bridge family says only which VLANs a bridge's port has; the rest of a link comes with
//! messages of no family.

use std::collections::BTreeMap;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecBridge, BondMode, BondPortState, BondXmitHashPolicy, BridgePortState, BridgeVlanInfoFlags,
    InfoBond, InfoBondPort, InfoBridge, InfoBridgePort, InfoData, InfoPortData, InfoVlan, InfoVrf,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MiiStatus, VlanProtocol,
};

/// EtherType of a customer's tag (802.1Q).
pub const CUSTOMER_TAG: u16 = 0x8100;
/// EtherType of a service tag (802.1ad).
pub const SERVICE_TAG: u16 = 0x88a8;

/// A link of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Name of the device.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier too.
    pub running: bool,
    /// Octets of the longest packet, without the Ethernet header.
    pub mtu: u32,
    /// MAC address; zeros where it has none of six octets.
    pub mac: [u8; 6],
    /// Kind of a virtual device: `veth`, `bridge`, ..
    pub kind: Option<String>,
    /// What its kind makes of it.
    pub shape: Shape,
    /// Of a VLAN: index of the device that it lies on, in this network namespace.
    pub lower: Option<u32>,
    /// Index of the bond, bridge or VRF that it belongs to.
    pub master: Option<u32>,
    /// Its state as a leg of a bond.
    pub leg: Option<Leg>,
    /// Its state as a port of a bridge.
    pub port: Option<Port>,
    /// VLANs of a bridge's port, or of the bridge itself: id -> how.
    pub vlans: BTreeMap<u16, PortVlan>,
}

/// What a link is to a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A port, or something that Millrace leaves to the stack.
    #[default]
    Plain,
    /// A VLAN on [`Link::lower`].
    Vlan {
        /// EtherType of the tag.
        ether_type: u16,
        /// VLAN id.
        id: u16,
    },
    /// A bond.
    Bond {
        /// `mode`: 1 active-backup, 2 balance-xor, 4 802.3ad, .. (`linux/if_bonding.h`).
        mode: u8,
        /// `xmit_hash_policy` (`BOND_XMIT_POLICY_*`).
        policy: u8,
        /// The active leg, where the mode has one.
        active: Option<u32>,
        /// Frames of inactive legs are taken too (`all_slaves_active`).
        all_active: bool,
        /// The active aggregator of 802.3ad.
        aggregator: u16,
    },
    /// A bridge.
    Bridge {
        /// Whether it tells VLANs apart.
        vlan_filtering: bool,
        /// EtherType of its VLANs' tag.
        ether_type: u16,
    },
    /// A VRF, with its routing table.
    Vrf {
        /// Table id.
        table: u32,
    },
}

/// A leg of a bond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// `BOND_STATE_ACTIVE`.
    pub active: bool,
    /// The bond holds its link for up.
    pub link_up: bool,
    /// Aggregator of 802.3ad.
    pub aggregator: u16,
}

/// A port of a bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// It forwards (spanning tree).
    pub forwarding: bool,
    /// Frames go to ports that are not isolated only, or it wants something else that only the stack does: isolated,
    /// locked, VLAN tunnels, proxy or suppressed ARP.
    pub special: bool,
}

/// How a bridge's port has a VLAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortVlan {
    /// Untagged frames belong to it.
    pub pvid: bool,
    /// Its frames leave without a tag.
    pub untagged: bool,
}

/// What a message says of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// All of it, but its VLANs.
    Link(Box<Link>),
    /// The VLANs of a bridge's port.
    Vlans(BTreeMap<u16, PortVlan>),
    /// Nothing that is kept.
    Nothing,
}

/// Reads a message.
pub(super) fn read(message: &LinkMessage) -> Said {
    if message.header.interface_family == AddressFamily::Bridge {
        return vlans(message);
    }
    let mut link = Link {
        up: message.header.flags.contains(LinkFlags::Up),
        running: message.header.flags.contains(LinkFlags::Running),
        ..Link::default()
    };
    let mut foreign = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(mac) => {
                link.mac = <[u8; 6]>::try_from(mac.as_slice()).unwrap_or_default();
            }
            LinkAttribute::Link(lower) => link.lower = Some(*lower),
            // What it lies on is in another network namespace.
            LinkAttribute::LinkNetNsId(_) => foreign = true,
            LinkAttribute::Controller(master) => link.master = Some(*master).filter(|index| *index != 0),
            LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|info| kind(info, &mut link)),
            _ => {}
        }
    }
    // Of other kinds it is another relation: the other end of a veth, what a tunnel goes over.
    if foreign || !matches!(link.shape, Shape::Vlan { .. }) {
        link.lower = None;
    }
    // Messages of other families carry no whole link.
    if link.name.is_empty() { Said::Nothing } else { Said::Link(Box::new(link)) }
}

fn kind(info: &LinkInfo, link: &mut Link) {
    match info {
        LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
        LinkInfo::Data(data) => link.shape = shape(data),
        LinkInfo::PortData(InfoPortData::BondPort(attributes)) => {
            let mut leg = Leg::default();
            for attribute in attributes {
                match attribute {
                    InfoBondPort::BondPortState(state) => leg.active = *state == BondPortState::Active,
                    InfoBondPort::MiiStatus(status) => leg.link_up = *status == MiiStatus::Up,
                    InfoBondPort::AdAggregatorId(id) => leg.aggregator = *id,
                    _ => {}
                }
            }
            link.leg = Some(leg);
        }
        LinkInfo::PortData(InfoPortData::BridgePort(attributes)) => link.port = Some(port(attributes)),
        _ => {}
    }
}

fn shape(data: &InfoData) -> Shape {
    match data {
        InfoData::Vlan(attributes) => {
            let (mut ether_type, mut vlan) = (CUSTOMER_TAG, 0);
            for attribute in attributes {
                match attribute {
                    InfoVlan::Id(id) => vlan = *id,
                    InfoVlan::Protocol(protocol) => ether_type = tag(*protocol),
                    _ => {}
                }
            }
            Shape::Vlan { ether_type, id: vlan }
        }
        InfoData::Bond(attributes) => bond(attributes),
        InfoData::Bridge(attributes) => {
            let (mut vlan_filtering, mut ether_type) = (false, CUSTOMER_TAG);
            for attribute in attributes {
                match attribute {
                    InfoBridge::VlanFiltering(on) => vlan_filtering = *on,
                    InfoBridge::VlanProtocol(protocol) => ether_type = tag(*protocol),
                    _ => {}
                }
            }
            Shape::Bridge { vlan_filtering, ether_type }
        }
        InfoData::Vrf(attributes) => {
            let table = attributes.iter().find_map(|attribute| match attribute {
                InfoVrf::TableId(table) => Some(*table),
                _ => None,
            });
            table.map_or(Shape::Plain, |table| Shape::Vrf { table })
        }
        _ => Shape::Plain,
    }
}

fn bond(attributes: &[InfoBond]) -> Shape {
    let mut bond = (0, 0, None, false, 0);
    for attribute in attributes {
        match attribute {
            InfoBond::Mode(mode) => bond.0 = mode_number(*mode),
            InfoBond::XmitHashPolicy(policy) => bond.1 = policy_number(*policy),
            InfoBond::ActivePort(index) => bond.2 = Some(*index).filter(|index| *index != 0),
            InfoBond::AllPortsActive(all) => bond.3 = u8::from(*all) != 0,
            InfoBond::AdInfo(infos) => {
                bond.4 = infos
                    .iter()
                    .find_map(|info| match info {
                        netlink_packet_route::link::BondAdInfo::Aggregator(id) => Some(*id),
                        _ => None,
                    })
                    .unwrap_or(0);
            }
            _ => {}
        }
    }
    let (mode, policy, active, all_active, aggregator) = bond;
    Shape::Bond { mode, policy, active, all_active, aggregator }
}

fn mode_number(mode: BondMode) -> u8 {
    u8::from(mode)
}

fn policy_number(policy: BondXmitHashPolicy) -> u8 {
    u8::from(policy)
}

fn port(attributes: &[InfoBridgePort]) -> Port {
    let mut port = Port::default();
    for attribute in attributes {
        match attribute {
            InfoBridgePort::State(state) => port.forwarding = *state == BridgePortState::Forwarding,
            InfoBridgePort::Isolated(on)
            | InfoBridgePort::Locked(on)
            | InfoBridgePort::VlanTunnel(on)
            | InfoBridgePort::HairpinMode(on)
            | InfoBridgePort::ProxyARP(on)
            | InfoBridgePort::ProxyARPWifi(on)
            | InfoBridgePort::NeighSupress(on) => port.special |= *on,
            _ => {}
        }
    }
    port
}

const fn tag(protocol: VlanProtocol) -> u16 {
    match protocol {
        VlanProtocol::Ieee8021Q => CUSTOMER_TAG,
        VlanProtocol::Ieee8021Ad => SERVICE_TAG,
        _ => 0,
    }
}

/// VLANs of a port, which the kernel writes as ranges.
fn vlans(message: &LinkMessage) -> Said {
    let mut vlans = BTreeMap::new();
    let mut begin = None;
    let mut some = false;
    for attribute in &message.attributes {
        let LinkAttribute::AfSpecBridge(attributes) = attribute else { continue };
        for attribute in attributes {
            let AfSpecBridge::VlanInfo(info) = attribute else { continue };
            some = true;
            let vlan = PortVlan {
                pvid: info.flags.contains(BridgeVlanInfoFlags::Pvid),
                untagged: info.flags.contains(BridgeVlanInfoFlags::Untagged),
            };
            if info.flags.contains(BridgeVlanInfoFlags::RangeBegin) {
                begin = Some(info.vid);
                continue;
            }
            let from = begin.take().filter(|_| info.flags.contains(BridgeVlanInfoFlags::RangeEnd));
            for id in from.unwrap_or(info.vid)..=info.vid.min(4094) {
                vlans.insert(id, vlan);
            }
        }
    }
    // Without an AF_SPEC the message says nothing of VLANs.
    let spec = message.attributes.iter().any(|attribute| {
        matches!(attribute, LinkAttribute::AfSpecBridge(_) | LinkAttribute::AfSpecUnknown(_))
    });
    if some || spec { Said::Vlans(vlans) } else { Said::Nothing }
}
