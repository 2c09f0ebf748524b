//! The whole state in one go.

use std::collections::BTreeMap;

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{KernelError, KernelState, Shape, socket, transmit};

/// Everything of the network namespace of the calling thread, once.
///
/// # Errors
/// When the kernel refuses or does not answer.
pub fn once() -> Result<KernelState, KernelError> {
    let mut state = KernelState::default();
    let requests = [
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        bridge_vlans(),
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()),
        RouteNetlinkMessage::GetNeighbour(stations()),
    ];
    for request in &requests {
        take(&mut state, request)?;
    }
    state.vlans_unknown = false;
    let bonds = state.links.iter().filter(|(_, link)| matches!(link.shape, Shape::Bond { .. }));
    let read = bonds.filter_map(|(index, link)| Some((*index, legs_in_order(&state, &link.name)?)));
    for (index, order) in read.collect::<BTreeMap<_, _>>() {
        if let Some(legs) = state.legs.get_mut(&index) {
            legs.sort_by_key(|leg| order.iter().position(|other| other == leg));
        }
    }
    state.transmits = transmit::read(&state.links)?;
    Ok(state)
}

/// The VLANs of every bridge and port, anew: the kernel tells no event for some of their changes.
///
/// # Errors
/// As [`once`].
pub(super) fn vlans(state: &mut KernelState) -> Result<(), KernelError> {
    take(state, &bridge_vlans())?;
    state.vlans_unknown = false;
    Ok(())
}

fn take(state: &mut KernelState, request: &RouteNetlinkMessage) -> Result<(), KernelError> {
    for message in socket::dump(request)? {
        state.apply(&NetlinkPayload::InnerMessage(message));
    }
    Ok(())
}

fn bridge_vlans() -> RouteNetlinkMessage {
    let mut request = LinkMessage::default();
    request.header.interface_family = AddressFamily::Bridge;
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::BrvlanCompressed]));
    RouteNetlinkMessage::GetLink(request)
}

fn stations() -> NeighbourMessage {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    request
}

/// Netlink does not tell in which order legs joined their bond; the bond's file lists them so.
fn legs_in_order(state: &KernelState, bond: &str) -> Option<Vec<u32>> {
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/bonding/{bond}")).ok()?;
    let names = text.lines().filter_map(|line| line.strip_prefix("Slave Interface: "));
    Some(names.filter_map(|name| state.index(name.trim())).collect())
}

/// The state that recorded dumps tell: the kernel's answers, octet by octet.
#[must_use]
pub fn recorded(dumps: &[&[u8]]) -> KernelState {
    let mut state = KernelState::default();
    for message in dumps.iter().flat_map(|octets| socket::messages(octets)).flatten() {
        state.apply(&message.payload);
    }
    state.vlans_unknown = false;
    state
}
