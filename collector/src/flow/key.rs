//! Records in; what each side of a flow is looked up by in the RIB out.

use dataplane_common::walk::mapped;

use super::exporter::Knowledge;
use super::place::{Place, Records};
use super::plan::Found;
use crate::join::{self, Vrf};
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

/// No address.
const NONE: [u8; 16] = [0; 16];

/// Space for the keys of a set, destinations first, kept so that nothing is allocated for a set.
pub(crate) type KeySpace = [SideSpace; 2];

/// The same for one side.
#[derive(Debug, Default)]
pub(crate) struct SideSpace {
    addresses: Vec<[u8; 16]>,
    used_elements: Vec<u16>,
    next_hops: Vec<[u8; 16]>,
    vrfs: Vec<Vrf>,
}

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

    /// Puts the keys of each record, for destination and source, in the place of whatever is in `space`.
    pub(crate) fn fill<'s>(
        &self,
        records: &Records<'_>,
        knowledge: &Knowledge,
        tables: &Tables,
        [destinations, sources]: &'s mut KeySpace,
    ) -> [join::Keys<'s>; 2] {
        [
            self.fill_side(Side::Destination, records, knowledge, tables, destinations),
            self.fill_side(Side::Source, records, knowledge, tables, sources),
        ]
    }

    fn fill_side<'s>(
        &self,
        side: Side,
        records: &Records<'_>,
        knowledge: &Knowledge,
        tables: &Tables,
        space: &'s mut SideSpace,
    ) -> join::Keys<'s> {
        // The nearer VRF first: prefixes of the destination lie in the one that the flow leaves through.
        let (from, vrfs_from) = match side {
            Side::Destination => (&self.destinations, [self.egress_vrf, self.ingress_vrf]),
            Side::Source => (&self.sources, [self.ingress_vrf, self.egress_vrf]),
        };
        let SideSpace { addresses, used_elements, next_hops, vrfs } = space;
        let rows = records.len();
        addresses.clear();
        next_hops.clear();
        vrfs.clear();
        used_elements.clear();
        used_elements.resize(rows, from.first().map_or(0, |(id, _)| *id));
        for (nth, (id, place)) in from.iter().enumerate() {
            column(records, *place, addresses, |row| {
                if nth > 0
                    && let Some(used) = used_elements.get_mut(row)
                {
                    *used = *id;
                }
            });
        }
        addresses.resize(rows, NONE);
        if side == Side::Destination {
            // What forwards towards the source is not in the record.
            for place in &self.next_hops {
                column(records, *place, next_hops, |_| ());
            }
        }
        if self.distinguisher.is_some() || vrfs_from.iter().any(Option::is_some) {
            vrfs.extend((0..rows).map(|row| self.vrf(vrfs_from, records, row, knowledge, tables)));
        }
        join::Keys { addresses, used_elements, next_hops, vrfs }
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

/// Reads the addresses at a place of all records into an empty column, or those that a column still lacks; says which
/// of those it has.
fn column(records: &Records<'_>, place: Place, to: &mut Vec<[u8; 16]>, mut found: impl FnMut(usize)) {
    if to.is_empty() {
        return match place.length() {
            Some(4) => records.extend::<4, _>(place, to, v4),
            _ => records.extend::<16, _>(place, to, |address| address),
        };
    }
    for (row, address) in to.iter_mut().enumerate().filter(|(_, address)| **address == NONE) {
        let octets = records.value(place, row);
        *address = match octets.first_chunk() {
            Some(octets) if place.length() == Some(4) => v4(*octets),
            _ => octets.try_into().unwrap_or(NONE),
        };
        if *address != NONE {
            found(row);
        }
    }
}

/// IPv4-mapped, unless it is unspecified.
const fn v4(address: [u8; 4]) -> [u8; 16] {
    if u32::from_ne_bytes(address) == 0 { NONE } else { mapped(address) }
}
