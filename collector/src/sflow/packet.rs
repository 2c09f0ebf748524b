//! A sample in; what each side of its packet is looked up by in the RIB out.

use dataplane_common::walk::mapped;
use wire::sflow::Address;
use wire::sflow::packet::{Packet, next_hop};
use wire::sflow::sample::Sample;
use wire::value::Value;

/// What one side of a packet is looked up by: address, the element that it would come from, next hop. Addresses are
/// IPv4-mapped or IPv6; the unspecified one stands for none.
pub(super) struct Key {
    pub(super) address: [u8; 16],
    pub(super) used_element: u16,
    pub(super) next_hop: [u8; 16],
}

/// Keys of the destination and of the source, in this order. sFlow names no VRF, so both are of the default table.
pub(super) fn keys(sample: &Sample<'_>) -> [Key; 2] {
    let (mut destination, mut source) = ((None, 0), (None, 0));
    if let Some(packet) = Packet::of(sample) {
        for (id, value) in packet.headers.fields() {
            match id {
                8 | 27 => source = (address(value), id),
                12 | 28 => destination = (address(value), id),
                _ => {}
            }
        }
    }
    let hop = next_hop(sample).and_then(|hop| match hop {
        Address::Ipv4(octets) => Some(mapped(octets)),
        Address::Ipv6(octets) => Some(octets),
        Address::Unknown => None,
    });
    [(destination, hop), (source, None)].map(|((address, used_element), next_hop)| Key {
        address: address.unwrap_or_default(),
        used_element,
        next_hop: next_hop.unwrap_or_default(),
    })
}

/// An address that is not unspecified, IPv4 as IPv4-mapped.
fn address(value: Value<'_>) -> Option<[u8; 16]> {
    if let Value::Ipv4(octets) = value {
        return (octets != [0; 4]).then(|| mapped(octets));
    }
    let Value::Ipv6(octets) = value else { return None };
    (octets != [0; 16]).then_some(octets)
}
