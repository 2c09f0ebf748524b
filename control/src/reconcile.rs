//! (kernel state, configuration) -> what the maps must hold, and the ordered steps from what they hold now.
//!
//! Pure: no map, no netlink. Adding comes before removing, so an address that moves from one device to another
//! is never absent, and a device gets the program only when the tables it reads are right.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dataplane_common::map::{PORT_TCP, PORT_UDP, Port};

use crate::config::{Config, Protocol};
use crate::kernel::KernelState;

/// What the maps of the programs and the devices are to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Addresses whose telemetry is taken; IPv4-mapped ones as IPv4.
    pub local_addresses: BTreeSet<IpAddr>,
    /// Who listens on which port.
    pub ports: BTreeMap<u16, Port>,
    /// Configured devices that exist: name and interface index.
    pub devices: BTreeMap<String, u32>,
}

/// One change. In the order given, no step needs a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Telemetry to this address is taken.
    AddAddress(IpAddr),
    /// Telemetry to this port is taken.
    SetPort(u16, Port),
    /// The device has appeared, or has another index than before.
    Attach(String, u32),
    /// The device is gone.
    Gone(String, u32),
    /// Nobody listens there any more.
    ClearPort(u16),
    /// Telemetry to this address passes.
    RemoveAddress(IpAddr),
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
    let devices =
        config.devices.iter().filter_map(|name| Some((name.clone(), kernel.index(name)?))).collect();
    Tables { local_addresses, ports, devices }
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
        let set = wanted.ports.iter().filter(|(port, value)| self.ports.get(port) != Some(value));
        steps.extend(set.map(|(port, value)| Step::SetPort(*port, *value)));
        let gone = self.devices.iter().filter(|(name, index)| wanted.devices.get(*name) != Some(index));
        steps.extend(gone.map(|(name, index)| Step::Gone(name.clone(), *index)));
        let new = wanted.devices.iter().filter(|(name, index)| self.devices.get(*name) != Some(index));
        steps.extend(new.map(|(name, index)| Step::Attach(name.clone(), *index)));
        let clear = self.ports.keys().filter(|port| !wanted.ports.contains_key(port));
        steps.extend(clear.copied().map(Step::ClearPort));
        let remove = self.local_addresses.difference(&wanted.local_addresses);
        steps.extend(remove.copied().map(Step::RemoveAddress));
        steps
    }

    /// What is there once `step` has been taken.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::AddAddress(address) => drop(self.local_addresses.insert(*address)),
            Step::RemoveAddress(address) => drop(self.local_addresses.remove(address)),
            Step::SetPort(port, value) => drop(self.ports.insert(*port, *value)),
            Step::ClearPort(port) => drop(self.ports.remove(port)),
            Step::Attach(name, index) => drop(self.devices.insert(name.clone(), *index)),
            Step::Gone(name, _) => drop(self.devices.remove(name)),
        }
    }
}

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

    fn kernel(index: u32, addresses: &[&str]) -> KernelState {
        let link = Link { name: "eth0".into(), up: true, mtu: 1500, kind: None };
        KernelState {
            links: [(index, link)].into(),
            addresses: addresses.iter().map(|address| (index, address.parse().unwrap())).collect(),
        }
    }

    #[test]
    fn one_map_entry_an_address_and_port() {
        let tables = desired(&kernel(3, &["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"]), &config());
        assert_eq!(tables.local_addresses.len(), 2);
        assert_eq!(tables.ports[&4739].transports, PORT_UDP);
        assert_eq!(tables.ports[&11019].transports, PORT_TCP);
        assert_eq!(tables.devices, [("eth0".to_owned(), 3)].into());
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
                Step::Gone("eth0".into(), 3),
                Step::Attach("eth0".into(), 9),
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
                        tables.devices.insert(format!("eth{}", n % 4), u32::from(*n));
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
