//! (kernel state, configuration) -> what the maps must hold, and the ordered steps from what they hold now.
//!
//! ```text
//! addresses, listeners -> what telemetry reads                   links -> devices that run the program
//! links, stations -> arrival: (port, tags) -> device             -> departure: device -> port, tags, leg; station -> port
//! ```
//! Pure: no map, no netlink. Adding comes before removing, so an address that moves from one device to another
//! is never absent, and a device gets the program only when the tables it reads are right. Of forwarding, a port is a
//! member before a way out leads to it, a way out is there before a station or an arrival names it, and all go in the
//! opposite order; whatever is missing between two steps sends the frame up the stack.

mod arrival;
mod departure;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dataplane_common::map::forward::{Arrival, Egress, Ingress, Learned, Station};
use dataplane_common::map::{PORT_TCP, PORT_UDP, Port};

use crate::config::{Config, Mode, Protocol};
use crate::kernel::KernelState;

pub use rules::Rules;

/// What the maps of the programs and the devices are to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Addresses whose telemetry is taken; IPv4-mapped ones as IPv4.
    pub local_addresses: BTreeSet<IpAddr>,
    /// Who listens on which port.
    pub ports: BTreeMap<u16, Port>,
    /// Configured devices that exist.
    pub devices: BTreeMap<String, Device>,
    /// What forwarding reads; empty where it is off.
    pub forward: Forward,
    /// Who may pass.
    pub rules: Rules,
}

/// One device of the kernel. Another generation is another device, whatever its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Interface index.
    pub index: u32,
    /// [`KernelState::generations`].
    pub generation: u32,
}

/// What the maps of forwarding are to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Ports that frames may leave through, with their generation: the kernel removes a member with its device. One
    /// whose driver sends nothing that is redirected to it is none: frames for it go up the stack.
    pub members: BTreeMap<u32, u32>,
    /// How packets leave.
    pub egress: BTreeMap<u32, Egress>,
    /// Where stations live.
    pub stations: BTreeMap<Station, Learned>,
    /// How frames arrive.
    pub ingress: BTreeMap<Arrival, Ingress>,
    /// Entries for which the configured limits have no room: their frames go up the stack.
    pub left_out: usize,
}

/// One change. In the order given, no step needs a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Telemetry to this address is taken.
    AddAddress(IpAddr),
    /// Telemetry to this port is taken.
    SetPort(u16, Port),
    /// These are the rules, all of them.
    SetRules(Box<Rules>),
    /// Frames may leave through this port; its generation.
    AddMember(u32, u32),
    /// So packets leave through this device.
    SetEgress(u32, Box<Egress>),
    /// There lives a station.
    SetStation(Station, Learned),
    /// So frames arrive.
    SetIngress(Arrival, Ingress),
    /// The device is gone.
    Gone(String, Device),
    /// The device has appeared, or is another than before.
    Attach(String, Device),
    /// No frame arrives so any more.
    RemoveIngress(Arrival),
    /// No station lives there any more.
    RemoveStation(Station),
    /// No packet leaves through this device any more.
    RemoveEgress(u32),
    /// No frame leaves through this port any more.
    RemoveMember(u32),
    /// Nobody listens there any more.
    ClearPort(u16),
    /// Telemetry to this address passes.
    RemoveAddress(IpAddr),
}

impl Step {
    /// Whether it only says how frames are forwarded: where it fails, they take the stack's way.
    #[must_use]
    pub const fn is_forwarding(&self) -> bool {
        match self {
            Self::AddMember(..)
            | Self::SetEgress(..)
            | Self::SetStation(..)
            | Self::SetIngress(..)
            | Self::RemoveIngress(_)
            | Self::RemoveStation(_)
            | Self::RemoveEgress(_)
            | Self::RemoveMember(_) => true,
            Self::AddAddress(_)
            | Self::SetPort(..)
            | Self::SetRules(_)
            | Self::Gone(..)
            | Self::Attach(..)
            | Self::ClearPort(_)
            | Self::RemoveAddress(_) => false,
        }
    }
}

/// What must be, given the kernel and the configuration.
#[must_use]
pub fn desired(kernel: &KernelState, config: &Config) -> Tables {
    let local_addresses = kernel.addresses.iter().map(|(_, address)| address.to_canonical()).collect();
    let mut ports: BTreeMap<u16, Port> = BTreeMap::new();
    for (group, listen) in (1_u16..).zip(&config.listen) {
        let port = ports.entry(listen.port).or_default();
        port.transports |= if listen.protocol.is_stream() { PORT_TCP } else { PORT_UDP };
        port.protocol = number(listen.protocol);
        port.group = group.into();
    }
    let device = |name: &String| {
        let index = kernel.index(name)?;
        Some(Device { index, generation: kernel.generations.get(&index).copied().unwrap_or(0) })
    };
    let devices = config.devices.iter().filter_map(|name| Some((name.clone(), device(name)?))).collect();
    let forward = if config.forwards() { forward(kernel, config) } else { Forward::default() };
    Tables { local_addresses, ports, devices, forward, rules: rules::rules(kernel, config) }
}

fn forward(kernel: &KernelState, config: &Config) -> Forward {
    let ports: BTreeSet<u32> = config.forward_devices().filter_map(|name| kernel.index(name)).collect();
    let generation = |index: &u32| (*index, kernel.generations.get(index).copied().unwrap_or(0));
    let mut egress = departure::departures(kernel, &ports);
    let mut stations = departure::stations(kernel, &egress);
    let mut ingress = arrival::arrivals(kernel, &ports);
    let transmits = |port: &&u32| transmits(kernel, config, **port);
    let mut members: BTreeMap<u32, u32> = ports.iter().filter(transmits).map(generation).collect();
    let limits = &config.limits;
    let left_out = keep(&mut members, limits.max_forward_ports)
        + keep(&mut egress, limits.max_forward_devices)
        + keep(&mut stations, limits.max_stations)
        + keep(&mut ingress, limits.max_forward_devices);
    Forward { members, egress, stations, ingress, left_out }
}

/// Whether frames that are redirected to a port leave through it: its driver's word, else the configuration's. In
/// generic mode they go through the port's queue of the stack, which every device has.
fn transmits(kernel: &KernelState, config: &Config, port: u32) -> bool {
    let named = || {
        let name = kernel.links.get(&port).map(|link| &link.name);
        name.is_some_and(|name| config.forward.assume_transmit.contains(name))
    };
    config.mode == Mode::Generic || kernel.transmits.get(&port).copied().unwrap_or_else(named)
}

/// Leaves out what is beyond `limit`; how many that were.
fn keep<K: Ord + Copy, V>(table: &mut BTreeMap<K, V>, limit: u32) -> usize {
    let limit = limit as usize;
    let first_out = table.keys().nth(limit).copied();
    first_out.map_or(0, |key| table.split_off(&key).len())
}

/// The protocol's number in the port map; the programs do not read it.
const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Ipfix => 1,
        Protocol::Netflow => 2,
        Protocol::Sflow => 3,
        Protocol::Bmp => 4,
        Protocol::UdpNotif => 5,
    }
}

impl Tables {
    /// The steps from here to `wanted`, in the order in which they must be taken.
    #[must_use]
    pub fn steps_to(&self, wanted: &Self) -> Vec<Step> {
        let mut steps = Vec::new();
        steps.extend(wanted.local_addresses.difference(&self.local_addresses).copied().map(Step::AddAddress));
        steps.extend(set(&self.ports, &wanted.ports).map(|(port, value)| Step::SetPort(*port, *value)));
        let rules = (self.rules != wanted.rules).then(|| Step::SetRules(Box::new(wanted.rules.clone())));
        steps.extend(rules);
        let (held, want) = (&self.forward, &wanted.forward);
        steps.extend(set(&held.members, &want.members).map(|(port, at)| Step::AddMember(*port, *at)));
        let egress = set(&held.egress, &want.egress);
        steps.extend(egress.map(|(device, value)| Step::SetEgress(*device, Box::new(*value))));
        steps.extend(set(&held.stations, &want.stations).map(|(key, value)| Step::SetStation(*key, *value)));
        steps.extend(set(&held.ingress, &want.ingress).map(|(key, value)| Step::SetIngress(*key, *value)));
        let gone = self.devices.iter().filter(|(name, device)| wanted.devices.get(*name) != Some(device));
        steps.extend(gone.map(|(name, device)| Step::Gone(name.clone(), *device)));
        let new = set(&self.devices, &wanted.devices);
        steps.extend(new.map(|(name, device)| Step::Attach(name.clone(), *device)));
        steps.extend(gone_from(&held.ingress, &want.ingress).map(Step::RemoveIngress));
        steps.extend(gone_from(&held.stations, &want.stations).map(Step::RemoveStation));
        steps.extend(gone_from(&held.egress, &want.egress).map(Step::RemoveEgress));
        steps.extend(gone_from(&held.members, &want.members).map(Step::RemoveMember));
        steps.extend(gone_from(&self.ports, &wanted.ports).map(Step::ClearPort));
        let remove = self.local_addresses.difference(&wanted.local_addresses);
        steps.extend(remove.copied().map(Step::RemoveAddress));
        steps
    }

    /// What is there once `step` has been taken.
    pub fn apply(&mut self, step: &Step) {
        let forward = &mut self.forward;
        match step {
            Step::AddAddress(address) => drop(self.local_addresses.insert(*address)),
            Step::RemoveAddress(address) => drop(self.local_addresses.remove(address)),
            Step::SetPort(port, value) => drop(self.ports.insert(*port, *value)),
            Step::ClearPort(port) => drop(self.ports.remove(port)),
            Step::Attach(name, device) => drop(self.devices.insert(name.clone(), *device)),
            Step::Gone(name, _) => drop(self.devices.remove(name)),
            Step::SetRules(rules) => self.rules.clone_from(rules),
            Step::AddMember(port, generation) => drop(forward.members.insert(*port, *generation)),
            Step::SetEgress(device, egress) => drop(forward.egress.insert(*device, **egress)),
            Step::SetStation(station, learned) => drop(forward.stations.insert(*station, *learned)),
            Step::SetIngress(arrival, ingress) => drop(forward.ingress.insert(*arrival, *ingress)),
            Step::RemoveIngress(arrival) => drop(forward.ingress.remove(arrival)),
            Step::RemoveStation(station) => drop(forward.stations.remove(station)),
            Step::RemoveEgress(device) => drop(forward.egress.remove(device)),
            Step::RemoveMember(port) => drop(forward.members.remove(port)),
        }
    }
}

/// Entries that are new or another than before.
fn set<'a, K: Ord, V: PartialEq>(
    held: &'a BTreeMap<K, V>,
    wanted: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    wanted.iter().filter(|(key, value)| held.get(key) != Some(value))
}

/// Keys of entries that are to go.
fn gone_from<K: Ord + Copy, V>(held: &BTreeMap<K, V>, wanted: &BTreeMap<K, V>) -> impl Iterator<Item = K> {
    held.keys().filter(|key| !wanted.contains_key(key)).copied()
}

#[cfg(test)]
mod recorded;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Link;

    fn config() -> Config {
        Config::parse(
            "devices = [\"eth0\"]\n\
             [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n\
             [[listen]]\nprotocol = \"bmp\"\naddress = \"::\"\nport = 11019\n",
        )
        .unwrap()
    }

    const fn device(index: u32) -> Device {
        Device { index, generation: 0 }
    }

    fn kernel(index: u32, addresses: &[&str]) -> KernelState {
        let link = Link { name: "eth0".into(), up: true, mtu: 1500, ..Link::default() };
        KernelState {
            links: [(index, link)].into(),
            addresses: addresses.iter().map(|address| (index, address.parse().unwrap())).collect(),
            ..KernelState::default()
        }
    }

    #[test]
    fn one_map_entry_an_address_and_port() {
        let tables = desired(&kernel(3, &["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"]), &config());
        assert_eq!(tables.local_addresses.len(), 2);
        assert_eq!(tables.ports[&4739].transports, PORT_UDP);
        assert_eq!(tables.ports[&11019].transports, PORT_TCP);
        assert_eq!(tables.devices, [("eth0".to_owned(), device(3))].into());
        assert_eq!(tables.forward, Forward::default(), "it is off");
    }

    #[test]
    fn adding_comes_before_removing_and_a_new_index_is_a_new_device() {
        let before = desired(&kernel(3, &["192.0.2.1"]), &config());
        let after = desired(&kernel(9, &["192.0.2.2"]), &config());
        let steps = before.steps_to(&after);
        assert_eq!(
            steps,
            [
                Step::AddAddress("192.0.2.2".parse().unwrap()),
                Step::Gone("eth0".into(), device(3)),
                Step::Attach("eth0".into(), device(9)),
                Step::RemoveAddress("192.0.2.1".parse().unwrap()),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn the_steps_lead_there(before: Vec<(u8, bool)>, after: Vec<(u8, bool)>) {
            let tables = |entries: &[(u8, bool)]| {
                let mut tables = Tables::default();
                for (n, address) in entries {
                    if *address {
                        tables.local_addresses.insert(IpAddr::from([192, 0, 2, *n]));
                    } else {
                        let port = Port { transports: 1 + n % 3, ..Port::default() };
                        tables.ports.insert(u16::from(*n), port);
                        tables.devices.insert(format!("eth{}", n % 4), device(u32::from(*n)));
                        let index = u32::from(n % 8);
                        tables.forward.members.insert(index, u32::from(n / 8));
                        tables.forward.egress.insert(index, Egress { mtu: (*n).into(), ..Egress::default() });
                    }
                }
                tables
            };
            let (mut now, wanted) = (tables(&before), tables(&after));
            for step in now.steps_to(&wanted) {
                now.apply(&step);
            }
            proptest::prop_assert_eq!(now, wanted);
        }
    }
}
