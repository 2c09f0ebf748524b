//! `show fib`, `show neighbours`: what the maps hold beside what the kernel has now, differences marked.
//!
//! In: maps read back, and a dump of this moment, not the state that events left. Out: one item an entry.

use std::collections::{BTreeMap, BTreeSet};

use dataplane_common::address_of;
use dataplane_common::map::forward::{
    Arrival, EGRESS_UP, Egress, EgressKind, INGRESS_BRIDGED, INGRESS_INACTIVE_LEG, INGRESS_UP, Ingress,
    Learned, NextHopUse, POLICY_LAYER2, POLICY_LAYER23, POLICY_LAYER34, Station, VlanTag,
};
use serde_json::{Value, json};

use super::Control;
use crate::kernel::{KernelState, dump};
use crate::reconcile::desired;

impl Control {
    /// Every entry of the tables of forwarding.
    pub(super) fn show_fib(&self) -> Vec<Value> {
        let fresh = match dump::once() {
            Ok(mut fresh) => {
                fresh.descend_from(self.follower.state());
                fresh
            }
            Err(error) => {
                tracing::error!("{error}");
                return Vec::new();
            }
        };
        let Ok(held) = self.plane.read_back() else { return Vec::new() };
        let (held, wanted) = (held.forward, desired(&fresh, &self.config).forward);
        let names = Names(&fresh);
        let mut items = Vec::new();
        let members = |members: BTreeMap<u32, u32>| -> BTreeMap<u32, ()> {
            members.into_keys().map(|port| (port, ())).collect()
        };
        let (ours, kernels) = (members(held.members), members(wanted.members));
        compare(&mut items, "port", &ours, &kernels, |port| names.of(*port), |()| "member".to_owned());
        compare(
            &mut items,
            "arrival",
            &held.ingress,
            &wanted.ingress,
            |at| names.arrival(at),
            |ingress| names.ingress(ingress),
        );
        let (ours, kernels) = (&held.egress, &wanted.egress);
        compare(
            &mut items,
            "departure",
            ours,
            kernels,
            |device| names.of(*device),
            |egress| names.egress(egress),
        );
        let (ours, kernels) = (&held.stations, &wanted.stations);
        compare(
            &mut items,
            "station",
            ours,
            kernels,
            |station| names.station(station),
            |learned| names.learned(learned),
        );
        items
    }

    /// Neighbours of devices that packets leave through, and next hops that XDP uses.
    pub(super) fn show_neighbours(&self) -> Vec<Value> {
        let Ok(fresh) = dump::once() else { return Vec::new() };
        let names = Names(&fresh);
        let programs = self.plane.programs.as_ref();
        let uses = programs.and_then(|programs| programs.tables.forwarding.next_hops.list().ok());
        let uses = uses.unwrap_or_default();
        let used: BTreeMap<_, NextHopUse> =
            uses.iter().map(|(hop, uses)| ((hop.device, address_of(hop.address)), *uses)).collect();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
        let devices = &self.plane.held.forward.egress;
        let of_kernel = fresh.neighbours.keys().filter(|(device, _)| devices.contains_key(device));
        let keys: BTreeSet<_> = of_kernel.chain(used.keys()).copied().collect();
        let one = |key: (u32, std::net::IpAddr)| {
            let (kernel, uses) = (fresh.neighbours.get(&key), used.get(&key));
            let ago = uses.filter(|uses| uses.used_ns > 0).map(|uses| {
                now.saturating_sub(i64::try_from(uses.used_ns / 1_000_000_000).unwrap_or(i64::MAX)).max(0)
            });
            let kept = self.audit.kept.holds(&key);
            let resolved = kernel.is_some_and(|neighbour| neighbour.mac.is_some());
            let difference = match kernel {
                _ if ago.is_some() && !resolved => Some("used, not resolved"),
                Some(neighbour) if kept && !neighbour.managed => Some("kept, not managed"),
                _ => None,
            };
            json!({
                "device": names.of(key.0),
                "address": key.1.to_string(),
                "mac": kernel.and_then(|neighbour| neighbour.mac).map(mac),
                "state": kernel.map(crate::kernel::Neighbour::state_name),
                "managed": kernel.is_some_and(|neighbour| neighbour.managed),
                "kept": kept,
                "usedSecondsAgo": ago,
                "difference": difference,
            })
        };
        keys.into_iter().map(one).collect()
    }
}

fn compare<K: Ord, V: PartialEq>(
    items: &mut Vec<Value>,
    table: &str,
    held: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    key_text: impl Fn(&K) -> String,
    value_text: impl Fn(&V) -> String,
) {
    let keys: BTreeSet<&K> = held.keys().chain(wanted.keys()).collect();
    items.extend(keys.into_iter().map(|key| {
        let (map, kernel) = (held.get(key), wanted.get(key));
        let difference = match (map, kernel) {
            (Some(map), Some(kernel)) if map == kernel => None,
            (Some(_), Some(_)) => Some("other"),
            (Some(_), None) => Some("not in the kernel"),
            (None, _) => Some("not in the map"),
        };
        json!({
            "table": table,
            "entry": key_text(key),
            "map": map.map(&value_text),
            "kernel": kernel.map(&value_text),
            "difference": difference,
        })
    }));
}

/// Six octets as people write them.
pub(super) fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

/// Names for what entries hold as indexes.
pub(crate) struct Names<'a>(pub(crate) &'a KernelState);

impl Names<'_> {
    /// A device's name, or its index where it is gone.
    pub(crate) fn of(&self, index: u32) -> String {
        self.0.links.get(&index).map_or_else(|| format!("index {index}"), |link| link.name.clone())
    }

    pub(super) fn arrival(&self, arrival: &Arrival) -> String {
        format!("{}{}", self.of(arrival.port), tags(&[arrival.outer, arrival.inner]))
    }

    pub(super) fn ingress(&self, ingress: &Ingress) -> String {
        let mut words = Vec::new();
        if ingress.device != 0 {
            words.push(format!("{} {}", self.of(ingress.device), mac(ingress.mac)));
        }
        if ingress.table != 0 {
            words.push(format!("table {}", ingress.table));
        }
        if ingress.flags & INGRESS_BRIDGED != 0 {
            let port = self.of(ingress.bridge_port);
            words.push(format!(
                "bridged {} vlan {} port {port}",
                self.of(ingress.bridge),
                ingress.bridge_vlan
            ));
        }
        if ingress.flags & INGRESS_INACTIVE_LEG != 0 {
            words.push("inactive leg".to_owned());
        }
        words.push(if ingress.flags & INGRESS_UP != 0 { "up" } else { "down" }.to_owned());
        words.join(", ")
    }

    fn egress(&self, egress: &Egress) -> String {
        let legs = egress.legs.iter().take(egress.leg_count as usize);
        let legs: Vec<String> = legs.map(|leg| self.of(*leg)).collect();
        let policy = match egress.policy {
            POLICY_LAYER2 => "layer2 of ",
            POLICY_LAYER23 => "layer2+3 of ",
            POLICY_LAYER34 => "layer3+4 of ",
            _ => "",
        };
        let to = match EgressKind::from_octet(egress.kind) {
            Some(EgressKind::Port) => format!("port {}", legs.join(" ")),
            Some(EgressKind::Bond) => format!("{policy}legs {}", legs.join(" ")),
            Some(EgressKind::Bridge) => format!("{} vlan {}", self.of(egress.bridge), egress.bridge_vlan),
            None => "damaged".to_owned(),
        };
        let state = if egress.flags & EGRESS_UP != 0 { "up" } else { "down" };
        format!("{to}{}, mtu {}, {state}", tags(&[egress.outer, egress.inner]), egress.mtu)
    }

    fn station(&self, station: &Station) -> String {
        format!("{} vlan {} {}", self.of(station.bridge), station.vlan, mac(station.mac))
    }

    fn learned(&self, learned: &Learned) -> String {
        format!("{}{}", self.of(learned.port), tags(&[learned.tag]))
    }
}

fn tags(tags: &[VlanTag]) -> String {
    let tags = tags.iter().filter(|tag| tag.ether_type != 0);
    tags.map(|tag| match tag.ether_type {
        crate::kernel::link::SERVICE_TAG => format!(" 802.1ad {}", tag.id),
        _ => format!(" 802.1q {}", tag.id),
    })
    .collect()
}
