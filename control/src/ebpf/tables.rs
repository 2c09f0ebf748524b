//! Typed handles of the maps that the programs read and count in.
//!
//! In: addresses, ports, slots, sockets. Out: entries of maps, and counters summed over CPUs. Never decides
//! what belongs there: that is the reconciler's and the steering's word.

pub mod aliases;
pub mod steering;
pub mod sockets;
pub mod counters;
pub mod forward;
pub mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use dataplane_common::map::lost::LOST;
use dataplane_common::map::{self, Port};
use dataplane_common::{address_of, octets_of};

use super::lost::LostCounters;
use super::{EbpfError, TableLimits};
pub use aliases::Aliases;
pub use counters::{Counters, RoutersSeen};
pub use forward::Forwarding;
pub use rules::Rules;
pub use sockets::{Rings, Sockets};
pub use steering::SteeringTable;

/// Every table of a load (one per instance of Millrace).
#[derive(Debug)]
pub struct Tables {
    /// Addresses whose telemetry is taken.
    pub local_addresses: LocalAddresses,
    /// Ports where telemetry is taken.
    pub ports: Ports,
    /// Addresses that stand for another router.
    pub aliases: Aliases,
    /// Bucket -> slot -> state.
    pub steering: SteeringTable,
    /// AF_XDP sockets by (device, RX queue) and slot.
    pub rings: Rings,
    /// Kernel sockets by group and slot.
    pub sockets: Sockets,
    /// What the programs counted.
    pub counters: Counters,
    /// When each router was last seen.
    pub routers_seen: RoutersSeen,
    /// What forwarding reads and counts.
    pub forwarding: Forwarding,
    /// Rules, rates and the list of exporters.
    pub rules: Rules,
    /// Frames that were lost after the program.
    pub lost: LostCounters,
}

impl Tables {
    pub(super) fn take(ebpf: &mut Ebpf, limits: &TableLimits) -> Result<Self, EbpfError> {
        Ok(Self {
            local_addresses: LocalAddresses {
                map: typed(ebpf, map::LOCAL_ADDRESSES)?,
                limit: limits.local_addresses,
            },
            ports: Ports { map: typed(ebpf, map::PORTS)? },
            aliases: Aliases {
                exact: typed(ebpf, map::ALIASES)?,
                prefixes: typed(ebpf, map::ALIAS_PREFIXES)?,
                limit: limits.aliases,
            },
            steering: SteeringTable::new(typed(ebpf, map::STEERING)?, typed(ebpf, map::ACTIVE)?)?,
            rings: Rings::new(typed(ebpf, map::RING_ROWS)?, typed(ebpf, map::RINGS)?, limits.ring_rows),
            sockets: Sockets::new(
                typed(ebpf, map::SOCKET_ROWS)?,
                typed(ebpf, map::SOCKETS)?,
                limits.socket_rows,
            ),
            counters: Counters {
                frame_ends: typed(ebpf, map::FRAME_ENDS)?,
                socket_ends: typed(ebpf, map::SOCKET_ENDS)?,
                redirected: typed(ebpf, map::REDIRECTED)?,
                selected: typed(ebpf, map::SELECTED)?,
            },
            routers_seen: RoutersSeen { map: typed(ebpf, map::ROUTERS_SEEN)? },
            forwarding: Forwarding::take(ebpf, limits)?,
            rules: Rules::take(ebpf, limits)?,
            lost: LostCounters { map: typed(ebpf, LOST)? },
        })
    }
}

fn typed<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, EbpfError> {
    let map = ebpf.take_map(name).ok_or(EbpfError::Missing(name))?;
    T::try_from(map).map_err(|error| EbpfError::Map { name, error })
}

/// Turns a map's error into ours.
pub(super) fn at(name: &'static str) -> impl Fn(MapError) -> EbpfError {
    move |error| EbpfError::Map { name, error }
}

/// How many entries a change touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Entries that were not there.
    pub added: usize,
    /// Entries that are there no more.
    pub removed: usize,
}

/// Addresses of this host whose telemetry is taken. What is not here passes.
pub struct LocalAddresses {
    map: HashMap<MapData, [u8; 16], [u8; 4]>,
    limit: u32,
}

impl LocalAddresses {
    /// Adds an address; one that is there stays.
    ///
    /// # Errors
    /// When the table is full.
    pub fn insert(&mut self, address: IpAddr) -> Result<(), EbpfError> {
        self.map.insert(octets_of(address), [0; 4], 0).map_err(full_or(map::LOCAL_ADDRESSES, self.limit))
    }

    /// Removes an address; one that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&mut self, address: IpAddr) -> Result<(), EbpfError> {
        gone_is_fine(self.map.remove(&octets_of(address))).map_err(at(map::LOCAL_ADDRESSES))
    }

    /// Every address.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self) -> Result<BTreeSet<IpAddr>, EbpfError> {
        self.map.keys().map(|key| key.map(address_of).map_err(at(map::LOCAL_ADDRESSES))).collect()
    }

    /// Makes the table hold exactly `wanted`, adding before removing.
    ///
    /// # Errors
    /// When the table is full; what was added until then stays.
    pub fn replace(&mut self, wanted: &BTreeSet<IpAddr>) -> Result<Changed, EbpfError> {
        let wanted: BTreeSet<IpAddr> = wanted.iter().map(|address| address.to_canonical()).collect();
        let held = self.list()?;
        let mut changed = Changed::default();
        for &address in wanted.difference(&held) {
            self.insert(address)?;
            changed.added += 1;
        }
        for &address in held.difference(&wanted) {
            self.remove(address)?;
            changed.removed += 1;
        }
        Ok(changed)
    }
}

/// Which ports take telemetry, by destination port.
pub struct Ports {
    map: Array<MapData, [u8; 4]>,
}

impl Ports {
    /// Who listens on a port; `None`: nobody.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&self, port: u16) -> Result<Option<Port>, EbpfError> {
        let value = self.map.get(&port.into(), 0).map_err(at(map::PORTS))?;
        let value: Port = zerocopy::transmute!(value);
        Ok((value.transports != 0).then_some(value))
    }

    /// Takes telemetry on a port.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set(&mut self, port: u16, value: Port) -> Result<(), EbpfError> {
        let value: [u8; 4] = zerocopy::transmute!(value);
        self.map.set(port.into(), value, 0).map_err(at(map::PORTS))
    }

    /// Takes telemetry on a port no more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn clear(&mut self, port: u16) -> Result<(), EbpfError> {
        self.set(port, Port::default())
    }

    /// Makes the table hold exactly `wanted`. Reads all 65,536 ports, some tens of milliseconds.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn replace(&mut self, wanted: &BTreeMap<u16, Port>) -> Result<Changed, EbpfError> {
        let mut changed = Changed::default();
        for port in 0..=u16::MAX {
            let held = self.read(port)?;
            let wanted = wanted.get(&port).copied();
            if held == wanted {
                continue;
            }
            self.set(port, wanted.unwrap_or_default())?;
            changed.added += usize::from(wanted.is_some());
            changed.removed += usize::from(held.is_some());
        }
        Ok(changed)
    }
}

/// A removal of what is not there has done its work.
fn gone_is_fine(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// E2BIG of an update says that the map is full.
fn full_or(name: &'static str, limit: u32) -> impl Fn(MapError) -> EbpfError {
    use std::io::ErrorKind::{ArgumentListTooLong, StorageFull};
    move |error| {
        if let MapError::SyscallError(call) = &error
            && matches!(call.io_error.kind(), ArgumentListTooLong | StorageFull)
        {
            return EbpfError::Full { name, limit };
        }
        EbpfError::Map { name, error }
    }
}

/// Handles say what they are, not what they hold: reading a map is a system call.
macro_rules! opaque {
    ($($handle:ty),+) => {$(
        impl std::fmt::Debug for $handle {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($handle))
            }
        }
    )+};
}
pub(super) use opaque;
opaque!(LocalAddresses, Ports);
