//! rtnetlink -> [`KernelState`]: what this network namespace has that packets meet, now: links of every kind,
//! addresses, what bridges have learned, neighbours.
//!
//! ```text
//! socket   octets -> messages            link, neighbour   message -> what it says (pure)
//! generic  questions to drivers          ethtool, transmit features, queues, whether redirected frames are sent
//! dump     the whole state               follow            events -> the state as it is; lost events -> dump again
//! ```
//! A state that may be wrong is never used. Nothing here changes the kernel.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "netlink has hundreds of messages and attributes, and grows: those that are not named change nothing"
)]

pub mod ask;
pub mod dump;
pub mod follow;
pub mod link;
pub mod neighbour;
pub(crate) mod transmit;
pub mod ethtool;
pub(crate) mod generic;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::NeighbourMessage;

pub use follow::Follower;
pub use link::{Link, Shape};
pub use neighbour::{Neighbour, Station, StationKey};

use link::Said;
use neighbour::About;

/// Stations and neighbours kept at most, each; what is beyond takes the stack's way.
pub const MAX_NEIGHBOURS: usize = 1 << 18;

/// What the kernel has. One a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    /// Links by interface index.
    pub links: BTreeMap<u32, Link>,
    /// Addresses of each interface.
    pub addresses: BTreeSet<(u32, IpAddr)>,
    /// What bridges know: their forwarding databases.
    pub stations: BTreeMap<StationKey, Station>,
    /// Neighbours by device and address.
    pub neighbours: BTreeMap<(u32, IpAddr), Neighbour>,
    /// Legs of each bond, in the order in which they joined: the kernel chooses by that order.
    pub legs: BTreeMap<u32, Vec<u32>>,
    /// For each link how many links had gone when it came: another number is another device, though the kernel
    /// gave it the same index.
    pub generations: BTreeMap<u32, u32>,
    /// Whether a device sends what XDP redirects to it; one that is not here has not said.
    pub transmits: BTreeMap<u32, bool>,
    /// Addresses that a dump showed while the kernel still asked whether somebody else has them; the event comes when
    /// nobody has.
    pub(crate) tentative: BTreeSet<(u32, IpAddr)>,
    /// Links that have gone so far.
    pub(crate) gone: u32,
    /// A bridge's VLANs have changed in a way that no event tells.
    pub(crate) vlans_unknown: bool,
}

/// Why netlink gives no state.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The socket could not be opened.
    #[error("netlink socket: {0}")]
    Open(std::io::Error),
    /// The kernel answered something else.
    #[error("netlink: {0}")]
    Answer(String),
}

/// What one event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing that tables are made of has changed.
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

    /// One thing in which tables made of the other state would be different: all but neighbours, whose state the kernel
    /// changes all the time, and generations, which no dump tells.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        first("link", &self.links, &other.links)
            .or_else(|| first("station", &self.stations, &other.stations))
            .or_else(|| first("legs of bond", &self.legs, &other.legs))
            .or_else(|| first("redirects to", &self.transmits, &other.transmits))
            .or_else(|| {
                let mut addresses = self.addresses.symmetric_difference(&other.addresses);
                // One that is asked about anew when its link comes up stays ours.
                let address = addresses.find(|address| !other.tentative.contains(address))?;
                Some(format!("address {address:?}"))
            })
    }

    /// Gives each link the generation that the same link had in an earlier state, or a new one.
    pub fn descend_from(&mut self, earlier: &Self) {
        self.gone = earlier.gone.wrapping_add(1);
        for (index, link) in &self.links {
            let same =
                earlier.links.get(index).is_some_and(|old| old.name == link.name && old.kind == link.kind);
            let generation = earlier.generations.get(index).filter(|_| same).copied();
            self.generations.insert(*index, generation.unwrap_or(self.gone));
        }
    }

    /// Takes one netlink message, of a dump or of an event.
    pub(crate) fn apply(&mut self, payload: &NetlinkPayload<RouteNetlinkMessage>) -> Event {
        let message = match payload {
            NetlinkPayload::InnerMessage(message) => message,
            NetlinkPayload::Overrun(_) => return Event::Lost,
            _ => return Event::Same,
        };
        if self.take(message) { Event::Changed } else { Event::Same }
    }

    /// Whether something changed that tables are made of.
    fn take(&mut self, message: &RouteNetlinkMessage) -> bool {
        match message {
            RouteNetlinkMessage::NewLink(link) => self.set_link(link),
            RouteNetlinkMessage::DelLink(link) => self.remove_link(link),
            RouteNetlinkMessage::NewAddress(address) => {
                let key = local(address).map(|ip| (address.header.index, ip));
                match key {
                    Some(key) if is_tentative(address) => {
                        self.tentative.insert(key);
                        false
                    }
                    Some(key) => {
                        self.tentative.remove(&key);
                        self.addresses.insert(key)
                    }
                    None => false,
                }
            }
            RouteNetlinkMessage::DelAddress(address) => {
                local(address).is_some_and(|ip| self.addresses.remove(&(address.header.index, ip)))
            }
            RouteNetlinkMessage::NewNeighbour(neighbour) => self.set_neighbour(neighbour),
            RouteNetlinkMessage::DelNeighbour(neighbour) => match neighbour::read(neighbour) {
                About::Station(key, _) => self.stations.remove(&key).is_some(),
                About::Neighbour(key, _) => {
                    self.neighbours.remove(&key);
                    false
                }
                About::Nothing => false,
            },
            _ => false,
        }
    }

    fn set_link(&mut self, message: &LinkMessage) -> bool {
        let index = message.header.index;
        let mut link = match link::read(message) {
            Said::Link(link) => *link,
            Said::Vlans(vlans) => {
                let held = self.links.get_mut(&index);
                return held.is_some_and(|link| std::mem::replace(&mut link.vlans, vlans.clone()) != vlans);
            }
            Said::Nothing => return false,
        };
        let before = self.links.get(&index);
        let is_bridge = matches!(link.shape, Shape::Bridge { .. });
        if let Some(before) = before.filter(|before| is_bridge || before.master == link.master) {
            link.vlans.clone_from(&before.vlans);
        }
        let same_shape = before.is_some_and(|before| before.shape == link.shape);
        let same_master = before.is_some_and(|before| before.master == link.master);
        self.vlans_unknown |= (is_bridge && !same_shape) || (link.port.is_some() && !same_master);
        if before.is_none() {
            self.generations.insert(index, self.gone);
        }
        if !same_master {
            self.leave_bonds(index);
        }
        if let Some(bond) = link.master.filter(|_| link.leg.is_some()) {
            let legs = self.legs.entry(bond).or_default();
            if !legs.contains(&index) {
                legs.push(index);
            }
        }
        if let Some(held) = self.links.get_mut(&index) {
            return std::mem::replace(held, link.clone()) != link;
        }
        self.links.insert(index, link);
        true
    }

    fn leave_bonds(&mut self, index: u32) {
        for legs in self.legs.values_mut() {
            legs.retain(|leg| *leg != index);
        }
        self.legs.retain(|_, legs| !legs.is_empty());
    }

    fn remove_link(&mut self, message: &LinkMessage) -> bool {
        let index = message.header.index;
        // A port that leaves its bridge is no link that goes.
        if message.header.interface_family == netlink_packet_route::AddressFamily::Bridge {
            let held = self.links.get_mut(&index);
            return held.is_some_and(|link| !std::mem::take(&mut link.vlans).is_empty());
        }
        // What belongs to a link goes with it; the kernel may say so only afterwards.
        let (addresses, stations) = (self.addresses.len(), self.stations.len());
        self.addresses.retain(|(of, _)| *of != index);
        self.tentative.retain(|(of, _)| *of != index);
        self.stations.retain(|key, station| key.bridge != index && station.port != index);
        self.neighbours.retain(|(of, _), _| *of != index);
        self.legs.remove(&index);
        self.leave_bonds(index);
        self.generations.remove(&index);
        let gone = self.links.remove(&index).is_some();
        self.gone = self.gone.wrapping_add(u32::from(gone));
        gone || self.addresses.len() != addresses || self.stations.len() != stations
    }

    fn set_neighbour(&mut self, message: &NeighbourMessage) -> bool {
        match neighbour::read(message) {
            About::Station(key, station) => {
                if self.stations.len() >= MAX_NEIGHBOURS && !self.stations.contains_key(&key) {
                    return false;
                }
                self.stations.insert(key, station) != Some(station)
            }
            About::Neighbour(key, neighbour) => {
                if self.neighbours.len() < MAX_NEIGHBOURS || self.neighbours.contains_key(&key) {
                    self.neighbours.insert(key, neighbour);
                }
                false
            }
            About::Nothing => false,
        }
    }
}

fn is_tentative(message: &AddressMessage) -> bool {
    message.attributes.iter().any(|attribute| match attribute {
        AddressAttribute::Flags(flags) => flags.contains(AddressFlags::Tentative),
        _ => false,
    })
}

/// The first entry that is not the same in both.
fn first<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    ours: &BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
) -> Option<String> {
    let mut keys = ours.keys().chain(theirs.keys());
    let key = keys.find(|key| ours.get(key) != theirs.get(key))?;
    Some(format!("{what} {key:?}: {:?} is {:?}", ours.get(key), theirs.get(key)))
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
    use netlink_packet_route::link::LinkAttribute;

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
        assert_eq!(state.generations, [(7, 0)].into());
        assert_eq!(state.apply(&inner(RouteNetlinkMessage::DelLink(link.clone()))), Event::Changed);
        assert_eq!(state, KernelState { gone: 1, ..KernelState::default() });
        // The same index again is another device.
        state.apply(&inner(RouteNetlinkMessage::NewLink(link)));
        assert_eq!(state.generations, [(7, 1)].into());
    }

    #[test]
    fn lost_events_are_said() {
        assert_eq!(KernelState::default().apply(&NetlinkPayload::Overrun(Vec::new())), Event::Lost);
    }
}
