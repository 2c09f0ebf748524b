//! Steps -> entries of maps; entries of maps -> what they hold.
//!
//! In: a step of the reconciler, handles of maps. Out: one system call a step; or all that the maps hold. Attaches
//! nothing and decides nothing.

use crate::ebpf::{self, EbpfError};
use crate::reconcile::{Step, Tables};

/// Takes a step that is about entries of maps; of others only what it leaves in maps.
///
/// # Errors
/// When a table is full or the kernel refuses.
pub fn write(tables: &mut ebpf::Tables, step: &Step) -> Result<(), EbpfError> {
    let forwarding = &mut tables.forwarding;
    match step {
        Step::AddAddress(address) => tables.local_addresses.insert(*address),
        Step::RemoveAddress(address) => tables.local_addresses.remove(*address),
        Step::SetPort(port, value) => tables.ports.set(*port, *value),
        Step::ClearPort(port) => tables.ports.clear(*port),
        Step::SetRules(wanted) => {
            let rules = &mut tables.rules;
            for (policer, rate) in (1..).zip(&wanted.policers) {
                rules.set_policer(policer, *rate)?;
            }
            let [arriving, forwarded] = &wanted.lists;
            rules.replace([arriving, forwarded])?;
            rules.replace_exporters(&wanted.exporters).map(drop)
        }
        Step::AddMember(port, _) => forwarding.ports.insert(*port),
        Step::SetEgress(device, egress) => forwarding.egress.set(device, egress),
        Step::SetStation(station, learned) => forwarding.stations.set(station, learned),
        Step::SetIngress(arrival, ingress) => forwarding.ingress.set(arrival, ingress),
        Step::RemoveIngress(arrival) => forwarding.ingress.remove(arrival),
        Step::RemoveStation(station) => forwarding.stations.remove(station),
        Step::RemoveEgress(device) => forwarding.egress.remove(device),
        Step::RemoveMember(port) => forwarding.ports.remove(*port),
        Step::Attach(..) => Ok(()),
        // Its index may become another's.
        Step::Gone(_, device) => forwarding.port_ends.forget(device.index),
    }
}

/// What the maps hold. `held` is what was written: it tells what no map does, the generations of members, and the
/// map of telemetry ports, which is as long as there are ports, is taken from there.
///
/// # Errors
/// When the kernel refuses.
pub fn read(tables: &ebpf::Tables, held: &Tables) -> Result<Tables, EbpfError> {
    let mut actual = held.clone();
    let forwarding = &tables.forwarding;
    actual.local_addresses = tables.local_addresses.list()?;
    actual.forward.egress = forwarding.egress.list()?;
    actual.forward.stations = forwarding.stations.list()?;
    actual.forward.ingress = forwarding.ingress.list()?;
    let members = forwarding.ports.list()?;
    actual.forward.members.retain(|port, _| members.contains(port));
    for port in members {
        actual.forward.members.entry(port).or_insert(u32::MAX);
    }
    Ok(actual)
}
