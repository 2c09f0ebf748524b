//! Records in; what each side of a flow is looked up by in the RIB out.

use dataplane_common::walk::mapped;

use super::exporter::Knowledge;
use super::place::{Place, Records};
use super::plan::Found;
use crate::join::{Key, Vrf};
use crate::rib::{TableId, Tables};
use crate::schema::{Side, VrfFrom};
use crate::settings::JoinAddress;

/// Addresses towards the destination: destinationIPv4Address, destinationIPv6Address.
const DESTINATIONS: &[u16] = &[12, 28];
/// Addresses towards the source: sourceIPv4Address, sourceIPv6Address.
const SOURCES: &[u16] = &[8, 27];
/// Next hops, the BGP next hop first because it is what paths carry: bgpNextHop, then ipNextHop, IPv4 and IPv6.
const NEXT_HOPS: [u16; 4] = [18, 63, 15, 62];

/// The distinguisher that routers give to the default table.
const DEFAULT_TABLE: [u8; 8] = [0; 8];

/// Where the keys of the join lie in records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// In the order in which they are tried. The inner header of a tunnel comes behind the outer one.
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
    pub(crate) fn of(found: &Found<'_>, wanted: JoinAddress) -> Self {
        let is_address = |place: &Place| matches!(place.length(), Some(4 | 16));
        let addresses = |ids| {
            let places = found.any_of(ids).filter(|(_, place)| is_address(place));
            match wanted {
                JoinAddress::Last => places.rev().collect(),
                JoinAddress::First => places.collect(),
            }
        };
        let next_hop = |id| found.first(id).filter(is_address);
        Self {
            destinations: addresses(DESTINATIONS),
            sources: addresses(SOURCES),
            next_hops: NEXT_HOPS.into_iter().filter_map(next_hop).collect(),
            distinguisher: found.first(90).filter(|place| place.length() == Some(8)),
            ingress_vrf: found.first(234),
            egress_vrf: found.first(235),
        }
    }

    /// Puts the key of each record for one side in the place of whatever is in `keys`.
    pub(crate) fn fill(
        &self,
        side: Side,
        records: &Records<'_>,
        knowledge: &Knowledge,
        tables: &Tables,
        keys: &mut Vec<Key>,
    ) {
        // The nearer VRF first: prefixes of the destination lie in the one that the flow leaves through.
        let (addresses, vrfs) = match side {
            Side::Destination => (&self.destinations, [self.egress_vrf, self.ingress_vrf]),
            Side::Source => (&self.sources, [self.ingress_vrf, self.egress_vrf]),
        };
        let names_a_vrf = self.distinguisher.is_some() || vrfs.iter().any(Option::is_some);
        keys.clear();
        keys.extend((0..records.len()).map(|row| {
            let mut found = addresses.iter().map(|&(id, place)| (id, address(records.value(place, row))));
            let (used_element, address) = found.find(|(_, address)| address.is_some()).unwrap_or((0, None));
            let next_hop = match side {
                Side::Destination => self.next_hop(records, row),
                // What forwards towards the source is not in the record.
                Side::Source => None,
            };
            let vrf = match names_a_vrf {
                true => self.vrf(vrfs, records, row, knowledge, tables),
                false => Vrf::DEFAULT,
            };
            Key { address, used_element, next_hop, vrf }
        }));
    }

    fn next_hop(&self, records: &Records<'_>, row: usize) -> Option<[u8; 16]> {
        self.next_hops.iter().find_map(|&place| address(records.value(place, row)))
    }

    /// The VRF of a look-up: by the record's own RD, by the RD that options give to its VRF ids, by the table that
    /// BMP knows by the name that they give, by the RD that the configuration gives to its VRF. A flow between a VRF and the core has the default table on one end,
    /// which an RD of zeros tells: its routes are in the table of the other end.
    fn vrf(
        &self,
        vrfs: [Option<Place>; 2],
        records: &Records<'_>,
        row: usize,
        knowledge: &Knowledge,
        tables: &Tables,
    ) -> Vrf {
        let options = &knowledge.options;
        let ids = vrfs.map(|place| u32::try_from(records.number(place?, row)?).ok());
        let ids = || ids.into_iter().flatten();
        let own = self.distinguisher.and_then(|place| records.value(place, row).try_into().ok());
        if let Some(rd) = own.filter(|own| *own != DEFAULT_TABLE) {
            return Vrf { rd: Some(rd), id: ids().next(), table: None, from: VrfFrom::Record };
        }
        let told = || ids().filter_map(|id| Some((id, options.distinguisher(id)?)));
        if let Some((id, rd)) = told().find(|(_, rd)| *rd != DEFAULT_TABLE).or_else(|| told().next()) {
            return Vrf { rd: Some(rd), id: Some(id), table: None, from: VrfFrom::Options };
        }
        if own.is_some() {
            return Vrf { rd: own, id: ids().next(), table: None, from: VrfFrom::Record };
        }
        let named = || ids().filter_map(|id| Some((id, tables.named(options.vrf_name(id)?)?)));
        let by_name = named().find(|(_, table)| *table != TableId::DEFAULT).or_else(|| named().next());
        if let Some((id, table)) = by_name {
            return Vrf { rd: None, id: Some(id), table: Some(table), from: VrfFrom::Options };
        }
        let configured = || ids().filter_map(|id| Some((id, knowledge.configured(id)?)));
        if let Some((id, rd)) =
            configured().find(|(_, rd)| *rd != DEFAULT_TABLE).or_else(|| configured().next())
        {
            return Vrf { rd: Some(rd), id: Some(id), table: None, from: VrfFrom::Config };
        }
        let from = if ids().next().is_some() { VrfFrom::Record } else { VrfFrom::Default };
        Vrf { rd: None, id: ids().next(), table: None, from }
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
