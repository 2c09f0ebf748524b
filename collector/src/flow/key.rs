//! Records in; what each side of a flow is looked up by in the RIB out.

use dataplane_common::walk::mapped;

use super::options::Options;
use super::place::{Place, Records};
use super::plan::Found;
use crate::join::{Key, Vrf};
use crate::schema::{Side, VrfFrom};

/// Addresses towards the destination: destinationIPv4Address, destinationIPv6Address.
const DESTINATIONS: &[u16] = &[12, 28];
/// Addresses towards the source: sourceIPv4Address, sourceIPv6Address.
const SOURCES: &[u16] = &[8, 27];
/// Next hops, the BGP next hop first because it is what paths carry: bgpNextHop, then ipNextHop, IPv4 and IPv6.
const NEXT_HOPS: [u16; 4] = [18, 63, 15, 62];

/// Where the keys of the join lie in records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// Last in template order first: the inner header of a tunnel comes behind the outer one.
    destinations: Box<[(u16, Place)]>,
    sources: Box<[(u16, Place)]>,
    next_hops: Box<[Place]>,
    /// mplsVpnRouteDistinguisher (90).
    distinguisher: Option<Place>,
    /// ingressVRFID (234) and egressVRFID (235).
    ingress_vrf: Option<Place>,
    egress_vrf: Option<Place>,
}

impl Keys {
    /// The keys of a template.
    pub(crate) fn of(found: &Found<'_>) -> Self {
        let is_address = |place: &Place| matches!(place.length(), Some(4 | 16));
        let backwards = |ids| found.any_of(ids).rev().filter(|(_, place)| is_address(place)).collect();
        let next_hop = |id| found.first(id).filter(is_address);
        Self {
            destinations: backwards(DESTINATIONS),
            sources: backwards(SOURCES),
            next_hops: NEXT_HOPS.into_iter().filter_map(next_hop).collect(),
            distinguisher: found.first(90).filter(|place| place.length() == Some(8)),
            ingress_vrf: found.first(234),
            egress_vrf: found.first(235),
        }
    }

    /// Puts the key of each record for one side in the place of whatever is in `keys`.
    pub(crate) fn fill(&self, side: Side, records: &Records<'_>, options: &Options, keys: &mut Vec<Key>) {
        let (addresses, vrf) = match side {
            Side::Destination => (&self.destinations, self.egress_vrf.or(self.ingress_vrf)),
            Side::Source => (&self.sources, self.ingress_vrf),
        };
        keys.clear();
        keys.extend((0..records.len()).map(|row| {
            let mut found = addresses.iter().map(|&(id, place)| (id, address(records.value(place, row))));
            let (used_element, address) = found.find(|(_, address)| address.is_some()).unwrap_or((0, None));
            let next_hop = match side {
                Side::Destination => self.next_hop(records, row),
                // What forwards towards the source is not in the record.
                Side::Source => None,
            };
            Key { address, used_element, next_hop, vrf: self.vrf(vrf, records, row, options) }
        }));
    }

    fn next_hop(&self, records: &Records<'_>, row: usize) -> Option<[u8; 16]> {
        self.next_hops.iter().find_map(|&place| address(records.value(place, row)))
    }

    fn vrf(&self, place: Option<Place>, records: &Records<'_>, row: usize, options: &Options) -> Vrf {
        let id = place.and_then(|place| records.number(place, row)).and_then(|id| u32::try_from(id).ok());
        let own = self.distinguisher.and_then(|place| records.value(place, row).try_into().ok());
        let own = own.filter(|distinguisher| *distinguisher != [0; 8]);
        let told = || id.and_then(|id| options.distinguisher(id));
        match own {
            Some(rd) => Vrf { rd: Some(rd), id, from: VrfFrom::Record },
            None => match told() {
                Some(rd) => Vrf { rd: Some(rd), id, from: VrfFrom::Options },
                None if id.is_some() => Vrf { rd: None, id, from: VrfFrom::Record },
                None => Vrf { rd: None, id, from: VrfFrom::Default },
            },
        }
    }
}

/// An address that is not unspecified, IPv4 as IPv4-mapped.
fn address(octets: &[u8]) -> Option<[u8; 16]> {
    let address = match octets.len() {
        4 => mapped(octets.try_into().ok().filter(|octets| *octets != [0; 4])?),
        _ => octets.try_into().ok()?,
    };
    (address != [0; 16]).then_some(address)
}
