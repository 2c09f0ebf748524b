//! Links of the kernel -> what the stack would make of a frame, by the port and the tags with which it arrives.
//!
//! ```text
//! port -+- its VLANs, then theirs (a VLAN on a port takes the frame before the port's master does)
//!       `- its master: a bond -> as if it had arrived there
//!                      a bridge -> bridged, or received by the bridge or a VLAN on it
//!                      a VRF -> the VRF's table
//! ```
//! Pure. What is left out goes up the stack: a third tag, tags that a bridge without VLANs would keep, masters of
//! other kinds.

use std::collections::{BTreeMap, BTreeSet};

use dataplane_common::map::forward::{
    Arrival, INGRESS_BRIDGED, INGRESS_INACTIVE_LEG, INGRESS_UP, Ingress, VlanTag,
};

use crate::kernel::{KernelState, Link, Shape};

/// The ways on which frames arrive at `ports`.
pub(super) fn arrivals(kernel: &KernelState, ports: &BTreeSet<u32>) -> BTreeMap<Arrival, Ingress> {
    let mut vlans: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (index, link) in &kernel.links {
        if let (Shape::Vlan { .. }, Some(lower)) = (&link.shape, link.lower) {
            vlans.entry(lower).or_default().push(*index);
        }
    }
    let mut walk = Walk { kernel, vlans, found: BTreeMap::new() };
    for port in ports {
        walk.at(*port, Way { port: *port, tags: Vec::new(), flags: INGRESS_UP });
    }
    walk.found
}

/// How a frame came to a device.
#[derive(Clone)]
struct Way {
    port: u32,
    /// Tags taken off so far, the outermost first.
    tags: Vec<VlanTag>,
    flags: u32,
}

impl Way {
    /// One more tag taken off; `None`: more than the programs take off.
    fn through(&self, ether_type: u16, id: u16) -> Option<Self> {
        let mut way = self.clone();
        way.tags.push(VlanTag { ether_type, id });
        (way.tags.len() <= 2).then_some(way)
    }

    fn arrival(&self) -> Arrival {
        let tag = |n: usize| self.tags.get(n).copied().unwrap_or_default();
        Arrival { port: self.port, outer: tag(0), inner: tag(1) }
    }
}

struct Walk<'a> {
    kernel: &'a KernelState,
    /// VLAN devices by what they lie on.
    vlans: BTreeMap<u32, Vec<u32>>,
    found: BTreeMap<Arrival, Ingress>,
}

impl<'a> Walk<'a> {
    /// A frame is at a device.
    fn at(&mut self, index: u32, mut way: Way) {
        let Some(link) = self.kernel.links.get(&index) else { return };
        if !link.up {
            way.flags &= !INGRESS_UP;
        }
        self.vlans_on(index, &way);
        let master = link.master.and_then(|master| Some((master, self.kernel.links.get(&master)?)));
        let Some((master_index, master)) = master else {
            if link.master.is_none() {
                self.received(index, link, &way, None);
            }
            return;
        };
        match &master.shape {
            Shape::Vrf { .. } => self.received(index, link, &way, None),
            Shape::Bond { mode, all_active, .. } => {
                if !all_active && is_inactive(*mode, link) {
                    way.flags |= INGRESS_INACTIVE_LEG;
                }
                self.at(master_index, way);
            }
            Shape::Bridge { .. } => self.bridged(index, link, master_index, master, way),
            // A team, an Open vSwitch: the stack's.
            Shape::Plain | Shape::Vlan { .. } => {}
        }
    }

    fn vlans_on(&mut self, index: u32, way: &Way) {
        for vlan in self.vlans.get(&index).cloned().unwrap_or_default() {
            let Some(Shape::Vlan { ether_type, id }) = self.kernel.links.get(&vlan).map(|link| &link.shape)
            else {
                continue;
            };
            if let Some(way) = way.through(*ether_type, *id) {
                self.at(vlan, way);
            }
        }
    }

    /// The device's own protocols take the packet. `bridge`: bridge, its port, its VLAN.
    fn received(&mut self, index: u32, link: &Link, way: &Way, bridge: Option<(u32, u32, u16)>) {
        let (bridge, bridge_port, bridge_vlan) = bridge.unwrap_or_default();
        let ingress = Ingress {
            flags: way.flags,
            device: index,
            table: table(self.kernel, link),
            mark: 0,
            bridge,
            bridge_port,
            bridge_vlan,
            mac: link.mac,
            generation: self.kernel.generations.get(&index).copied().unwrap_or(0),
        };
        // A VLAN on a port came first.
        self.found.entry(way.arrival()).or_insert(ingress);
    }

    /// A frame is at a bridge's port.
    fn bridged(&mut self, index: u32, link: &Link, bridge_index: u32, bridge: &Link, mut way: Way) {
        let Shape::Bridge { vlan_filtering, ether_type } = bridge.shape else { return };
        let Some(port) = link.port.filter(|port| port.forwarding) else { return };
        if !bridge.up {
            way.flags &= !INGRESS_UP;
        }
        let local_only = way.clone();
        if !port.special {
            way.flags |= INGRESS_BRIDGED;
        }
        if !vlan_filtering {
            self.received(bridge_index, bridge, &way, Some((bridge_index, index, 0)));
            // What is tagged keeps its tag on the bridge, so only what is for the VLAN itself is taken.
            self.vlans_on(bridge_index, &local_only);
            return;
        }
        for (id, vlan) in &link.vlans {
            let at = Some((bridge_index, index, *id));
            let untagged = vlan.pvid.then(|| way.clone());
            for way in untagged.into_iter().chain(way.through(ether_type, *id)) {
                match self.receiver(bridge_index, bridge, ether_type, *id) {
                    Some((receiver, link)) => self.received(receiver, link, &way, at),
                    None => self.only_bridged(bridge_index, &way, *id, index),
                }
            }
        }
    }

    /// What receives the frames of a bridge's VLAN: the bridge, where it has that VLAN untagged, else a VLAN on it.
    fn receiver(
        &self,
        bridge_index: u32,
        bridge: &Link,
        ether_type: u16,
        id: u16,
    ) -> Option<(u32, &'a Link)> {
        let kernel = self.kernel;
        let own = bridge.vlans.get(&id)?;
        if own.untagged {
            return kernel.links.get(&bridge_index).map(|link| (bridge_index, link));
        }
        let on_bridge = self.vlans.get(&bridge_index).into_iter().flatten();
        let mut links = on_bridge.filter_map(|index| Some((*index, kernel.links.get(index)?)));
        links.find(|(_, link)| link.up && link.shape == Shape::Vlan { ether_type, id })
    }

    fn only_bridged(&mut self, bridge: u32, way: &Way, bridge_vlan: u16, bridge_port: u32) {
        let generation = self.kernel.generations.get(&bridge).copied().unwrap_or(0);
        let ingress =
            Ingress { flags: way.flags, bridge, bridge_port, bridge_vlan, generation, ..Ingress::default() };
        self.found.entry(way.arrival()).or_insert(ingress);
    }
}

/// Table of the VRF that a device belongs to; 0: none.
fn table(kernel: &KernelState, link: &Link) -> u32 {
    match link.master.and_then(|master| kernel.links.get(&master)).map(|master| &master.shape) {
        Some(Shape::Vrf { table }) => *table,
        _ => 0,
    }
}

/// Whether the kernel drops what arrives on this leg: modes with legs in waiting, and it waits.
fn is_inactive(mode: u8, link: &Link) -> bool {
    /// `BOND_MODE_ACTIVEBACKUP` and `BOND_MODE_8023AD`; what the balancing modes do depends on the frame.
    const WITH_BACKUP: [u8; 2] = [1, 4];
    WITH_BACKUP.contains(&mode) && link.leg.is_some_and(|leg| !leg.active)
}
