//! Links and stations of the kernel -> how a packet leaves through a device, and behind which port a station lives.
//!
//! Pure. What is left out goes up the stack: devices that end in no port of ours, bonds whose mode or policy the
//! programs do not follow or one of whose legs is no port, a third tag.

use std::collections::{BTreeMap, BTreeSet};

use dataplane_common::map::forward::{
    EGRESS_UP, Egress, EgressKind, Learned, MAX_LEGS, POLICY_FIRST, POLICY_LAYER2, POLICY_LAYER23,
    POLICY_LAYER34, Station, VlanTag,
};

use crate::kernel::link::SERVICE_TAG;
use crate::kernel::{self, KernelState, Link, Shape};

/// The ways out, by the interface index that the FIB or a bridge may name.
pub(super) fn departures(kernel: &KernelState, ports: &BTreeSet<u32>) -> BTreeMap<u32, Egress> {
    kernel.links.keys().filter_map(|index| Some((*index, departure(kernel, ports, *index)?))).collect()
}

fn departure(kernel: &KernelState, ports: &BTreeSet<u32>, index: u32) -> Option<Egress> {
    let device = kernel.links.get(&index)?;
    let mut egress = Egress {
        flags: EGRESS_UP,
        mtu: device.mtu,
        mac: device.mac,
        generation: kernel.generations.get(&index).copied().unwrap_or(0),
        ..Egress::default()
    };
    // The innermost tag first.
    let mut tags = Vec::new();
    let (mut at, mut link) = (index, device);
    loop {
        if !(link.up && link.running) {
            egress.flags &= !EGRESS_UP;
        }
        let Shape::Vlan { ether_type, id } = link.shape else { break };
        tags.push(VlanTag { ether_type, id });
        at = link.lower?;
        link = kernel.links.get(&at)?;
        if tags.len() > 2 {
            return None;
        }
    }
    match &link.shape {
        Shape::Plain if ports.contains(&at) => {
            egress.kind = EgressKind::Port as u8;
            set_legs(&mut egress, &[at])?;
        }
        Shape::Bond { .. } => {
            let (policy, legs) = legs(kernel, ports, at, link)?;
            egress.kind = EgressKind::Bond as u8;
            egress.policy = policy;
            set_legs(&mut egress, &legs)?;
        }
        Shape::Bridge { vlan_filtering, ether_type } => {
            egress.kind = EgressKind::Bridge as u8;
            egress.bridge = at;
            egress.bridge_vlan = bridge_vlan(link, *vlan_filtering, *ether_type, &tags)?;
            tags.clear();
        }
        Shape::Plain | Shape::Vrf { .. } | Shape::Vlan { .. } => return None,
    }
    let mut outermost = tags.into_iter().rev();
    egress.outer = outermost.next().unwrap_or_default();
    egress.inner = outermost.next().unwrap_or_default();
    Some(egress)
}

fn set_legs(egress: &mut Egress, legs: &[u32]) -> Option<()> {
    egress.legs.get_mut(..legs.len())?.copy_from_slice(legs);
    egress.leg_count = u32::try_from(legs.len()).ok()?;
    Some(())
}

/// Under which VLAN a bridge files what leaves through it or through a VLAN on it.
fn bridge_vlan(bridge: &Link, vlan_filtering: bool, ether_type: u16, tags: &[VlanTag]) -> Option<u16> {
    match (vlan_filtering, tags) {
        (false, []) => Some(0),
        (true, []) => bridge.vlans.iter().find(|(_, vlan)| vlan.pvid).map(|(id, _)| *id),
        (true, [tag]) if tag.ether_type == ether_type && bridge.vlans.contains_key(&tag.id) => Some(tag.id),
        // A bridge that knows no VLANs keeps the tag, which the station's port would have to leave on.
        _ => None,
    }
}

/// Legs that the kernel would choose among, in its order, and how it chooses.
fn legs(kernel: &KernelState, ports: &BTreeSet<u32>, index: u32, bond: &Link) -> Option<(u8, Vec<u32>)> {
    let Shape::Bond { mode, policy, active, aggregator, .. } = bond.shape else { return None };
    let policy = match (mode, policy) {
        // active-backup
        (1, _) => POLICY_FIRST,
        // balance-xor and 802.3ad with layer2, layer3+4, layer2+3, encap2+3, encap3+4
        (2 | 4, 0) => POLICY_LAYER2,
        (2 | 4, 2 | 3) => POLICY_LAYER23,
        (2 | 4, 1 | 4) => POLICY_LAYER34,
        _ => return None,
    };
    let usable = |leg: &u32| {
        let link = kernel.links.get(leg)?;
        let state = link.leg?;
        let chosen = match mode {
            1 => active == Some(*leg),
            4 => state.active && state.aggregator == aggregator,
            _ => state.active,
        };
        (chosen && state.link_up && link.up && link.running).then_some(*leg)
    };
    let legs: Vec<u32> = kernel.legs.get(&index)?.iter().filter_map(usable).collect();
    (legs.len() <= MAX_LEGS && legs.iter().all(|leg| ports.contains(leg))).then_some((policy, legs))
}

/// Where stations live that frames can be bridged to.
pub(super) fn stations(
    state: &KernelState,
    departures: &BTreeMap<u32, Egress>,
) -> BTreeMap<Station, Learned> {
    let learned = |(key, station): (&kernel::StationKey, &kernel::Station)| {
        let departure = departures.get(&station.port)?;
        let port = state.links.get(&station.port)?;
        let reachable = port.port.is_some_and(|port| port.forwarding && !port.special);
        if station.local || !reachable || departure.kind == EgressKind::Bridge as u8 {
            return None;
        }
        let Shape::Bridge { vlan_filtering, ether_type } = state.links.get(&key.bridge)?.shape else {
            return None;
        };
        let tag = match (vlan_filtering, key.vlan) {
            (false, 0) => VlanTag::default(),
            (true, id @ 1..) => match port.vlans.get(&id)? {
                vlan if vlan.untagged => VlanTag::default(),
                _ => VlanTag { ether_type, id },
            },
            _ => return None,
        };
        // Two tags at most, and a service tag only outside.
        let fits = tag == VlanTag::default()
            || departure.outer == VlanTag::default()
            || (departure.inner == VlanTag::default() && tag.ether_type != SERVICE_TAG);
        let at = Station { bridge: key.bridge, vlan: key.vlan, mac: key.mac };
        fits.then_some((at, Learned { port: station.port, tag }))
    };
    state.stations.iter().filter_map(learned).collect()
}
