//! rtnetlink -> [`KernelState`]: the links and addresses of this network namespace, now.
//!
//! `dump` reads all of it, `follow` keeps it current. Events that the kernel had to drop mean a new dump: a
//! state that may be wrong is never used. Nothing here changes the kernel.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "netlink has hundreds of messages and attributes, and grows: those that are not named change nothing"
)]

pub mod ask;
pub mod dump;
pub mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

pub use follow::Follower;

/// A link of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Name of the device.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Octets of the longest packet, without the Ethernet header.
    pub mtu: u32,
    /// Kind of a virtual device: `veth`, `bridge`, ..
    pub kind: Option<String>,
}

/// What the kernel has. One a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    /// Links by interface index.
    pub links: BTreeMap<u32, Link>,
    /// Addresses of each interface.
    pub addresses: BTreeSet<(u32, IpAddr)>,
}

/// Why netlink gives no state.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The socket could not be opened.
    #[error("cannot open a netlink socket: {0}")]
    Open(std::io::Error),
    /// A dump failed.
    #[error("cannot read links and addresses: {0}")]
    Dump(#[from] rtnetlink::Error),
    /// The kernel answered something else.
    #[error("netlink: {0}")]
    Answer(String),
    /// The socket was closed.
    #[error("the netlink socket closed")]
    Closed,
}

/// What one event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The state is what it was.
    Same,
    /// The state changed.
    Changed,
    /// Events were lost: dump again.
    Lost,
}

impl KernelState {
    /// Index of a device.
    #[must_use]
    pub fn index(&self, device: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.name == device).map(|(index, _)| *index)
    }

    /// Kind of a virtual device; `None`: there is no such device, or it is none.
    #[must_use]
    pub fn kind(&self, device: &str) -> Option<&str> {
        self.links.values().find(|link| link.name == device)?.kind.as_deref()
    }

    /// Takes one netlink message, of a dump or of an event.
    pub(crate) fn apply(&mut self, payload: &NetlinkPayload<RouteNetlinkMessage>) -> Event {
        let message = match payload {
            NetlinkPayload::InnerMessage(message) => message,
            NetlinkPayload::Overrun(_) => return Event::Lost,
            _ => return Event::Same,
        };
        let changed = match message {
            RouteNetlinkMessage::NewLink(link) => self.set_link(link),
            RouteNetlinkMessage::DelLink(link) => {
                let index = link.header.index;
                // The kernel takes the addresses of a link away with it, and may say so only afterwards.
                let before = self.addresses.len();
                self.addresses.retain(|(of, _)| *of != index);
                self.links.remove(&index).is_some() || self.addresses.len() != before
            }
            RouteNetlinkMessage::NewAddress(address) => {
                local(address).is_some_and(|ip| self.addresses.insert((address.header.index, ip)))
            }
            RouteNetlinkMessage::DelAddress(address) => {
                local(address).is_some_and(|ip| self.addresses.remove(&(address.header.index, ip)))
            }
            _ => false,
        };
        if changed { Event::Changed } else { Event::Same }
    }

    fn set_link(&mut self, message: &LinkMessage) -> bool {
        let mut link = Link {
            name: String::new(),
            up: message.header.flags.contains(LinkFlags::Up),
            mtu: 0,
            kind: None,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        // Events of other families (bridge ports) carry no whole link.
        if link.name.is_empty() {
            return false;
        }
        self.links.insert(message.header.index, link.clone()) != Some(link)
    }
}

/// Our end: `IFA_LOCAL` where there is one, since `IFA_ADDRESS` of a point-to-point link is the other end.
fn local(message: &AddressMessage) -> Option<IpAddr> {
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(local) => return Some(*local),
            AddressAttribute::Address(other) => address = Some(*other),
            _ => {}
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(index: u32, attributes: Vec<AddressAttribute>) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.attributes = attributes;
        message
    }

    fn inner(message: RouteNetlinkMessage) -> NetlinkPayload<RouteNetlinkMessage> {
        NetlinkPayload::InnerMessage(message)
    }

    #[test]
    fn the_local_end_counts() {
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut state = KernelState::default();
        let new = address(7, vec![AddressAttribute::Address(there), AddressAttribute::Local(here)]);
        assert_eq!(state.apply(&inner(RouteNetlinkMessage::NewAddress(new.clone()))), Event::Changed);
        assert_eq!(state.apply(&inner(RouteNetlinkMessage::NewAddress(new.clone()))), Event::Same);
        assert_eq!(state.addresses, BTreeSet::from([(7, here)]));
        assert_eq!(state.apply(&inner(RouteNetlinkMessage::DelAddress(new))), Event::Changed);
        assert!(state.addresses.is_empty());
    }

    #[test]
    fn a_link_takes_its_addresses_along() {
        let mut state = KernelState::default();
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.attributes = vec![LinkAttribute::IfName("eth7".into()), LinkAttribute::Mtu(1500)];
        assert_eq!(state.apply(&inner(RouteNetlinkMessage::NewLink(link.clone()))), Event::Changed);
        assert_eq!((state.index("eth7"), state.index("eth8")), (Some(7), None));
        let new = address(7, vec![AddressAttribute::Address("2001:db8::1".parse().unwrap())]);
        state.apply(&inner(RouteNetlinkMessage::NewAddress(new)));
        assert_eq!(state.apply(&inner(RouteNetlinkMessage::DelLink(link))), Event::Changed);
        assert_eq!(state, KernelState::default());
    }

    #[test]
    fn lost_events_are_said() {
        assert_eq!(KernelState::default().apply(&NetlinkPayload::Overrun(Vec::new())), Event::Lost);
    }
}
