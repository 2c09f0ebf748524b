//! What forwarding reads: arrivals, ways out, ports, stations of bridges; and the next hops and ports it used.
//!
//! In: entries that the reconciler wants. Out: entries of maps, one system call each; an update replaces an entry
//! whole, so a frame meets the old or the new one. Never decides what belongs there.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use aya::Ebpf;
use aya::maps::xdp::XdpMapError;
use aya::maps::{DevMapHash, HashMap, MapData, PerCpuHashMap};
use dataplane_common::PacketEnd;
use dataplane_common::map::forward::{
    Arrival, EGRESS, Egress, FORWARD_PORTS, INGRESS, Ingress, Learned, NEXT_HOPS, NextHop, NextHopUse,
    PORT_ENDS, PortEnd, SENT, STATIONS, Station,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Changed, EbpfError, at, full_or, gone_is_fine, typed};
use crate::ebpf::TableLimits;

/// A map whose keys and values are plain octets: `K` of `KEY` octets, `V` of `VALUE`.
pub struct Mirror<K, V, const KEY: usize, const VALUE: usize> {
    map: HashMap<MapData, [u8; KEY], [u8; VALUE]>,
    name: &'static str,
    limit: u32,
    holds: PhantomData<(K, V)>,
}

impl<K, V, const KEY: usize, const VALUE: usize> std::fmt::Debug for Mirror<K, V, KEY, VALUE> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The octets of a key or value, whose size the map's type repeats.
fn octets<T: IntoBytes + Immutable, const SIZE: usize>(value: &T) -> [u8; SIZE] {
    const { assert!(size_of::<T>() == SIZE, "the map's type repeats the size of its entries") };
    let mut octets = [0; SIZE];
    octets.copy_from_slice(value.as_bytes());
    octets
}

/// A key or value of its octets.
fn of_octets<T: FromBytes + IntoBytes, const SIZE: usize>(octets: [u8; SIZE]) -> T {
    const { assert!(size_of::<T>() == SIZE, "the map's type repeats the size of its entries") };
    let mut value = T::new_zeroed();
    value.as_mut_bytes().copy_from_slice(&octets);
    value
}

impl<K, V, const KEY: usize, const VALUE: usize> Mirror<K, V, KEY, VALUE>
where
    K: FromBytes + IntoBytes + Immutable + Ord + Copy,
    V: FromBytes + IntoBytes + Immutable + PartialEq + Copy,
{
    pub(super) fn take(ebpf: &mut Ebpf, name: &'static str, limit: u32) -> Result<Self, EbpfError> {
        Ok(Self { map: typed(ebpf, name)?, name, limit, holds: PhantomData })
    }

    /// Makes or replaces an entry.
    ///
    /// # Errors
    /// When the table is full.
    pub fn set(&mut self, key: &K, value: &V) -> Result<(), EbpfError> {
        let (key, value): ([u8; KEY], [u8; VALUE]) = (octets(key), octets(value));
        self.map.insert(key, value, 0).map_err(full_or(self.name, self.limit))
    }

    /// Removes an entry; one that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&mut self, key: &K) -> Result<(), EbpfError> {
        gone_is_fine(self.map.remove(&octets(key))).map_err(at(self.name))
    }

    /// One entry.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&self, key: &K) -> Result<Option<V>, EbpfError> {
        match self.map.get(&octets(key), 0) {
            Ok(value) => Ok(Some(of_octets(value))),
            Err(aya::maps::MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(at(self.name)(error)),
        }
    }

    /// Every entry. One that changes meanwhile may be missed.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self) -> Result<BTreeMap<K, V>, EbpfError> {
        let items = self.map.iter().map(|item| {
            let (key, value) = item.map_err(at(self.name))?;
            Ok((of_octets(key), of_octets(value)))
        });
        items.collect()
    }

    /// Makes the table hold exactly `wanted`, adding before removing.
    ///
    /// # Errors
    /// When the table is full; what was added until then stays.
    pub fn replace(&mut self, wanted: &BTreeMap<K, V>) -> Result<Changed, EbpfError> {
        let held = self.list()?;
        let mut changed = Changed::default();
        for (key, value) in wanted.iter().filter(|(key, value)| held.get(key) != Some(value)) {
            self.set(key, value)?;
            changed.added += usize::from(!held.contains_key(key));
        }
        for key in held.keys().filter(|key| !wanted.contains_key(key)) {
            self.remove(key)?;
            changed.removed += 1;
        }
        Ok(changed)
    }
}

/// Every table of forwarding (one per instance).
#[derive(Debug)]
pub struct Forwarding {
    /// How frames arrive: (port, tags) -> what the stack would make of it.
    pub ingress: Mirror<Arrival, Ingress, 12, 36>,
    /// How packets leave, by the interface index that the FIB or a bridge names.
    pub egress: Mirror<u32, Egress, 4, 100>,
    /// Ports that frames may leave through.
    pub ports: ForwardPorts,
    /// The forwarding databases of bridges.
    pub stations: Mirror<Station, Learned, 12, 8>,
    /// Next hops in use, and those that were wanted but not resolved.
    pub next_hops: Mirror<NextHop, NextHopUse, 20, 16>,
    /// Frames by port.
    pub port_ends: PortEnds,
}

impl Forwarding {
    pub(super) fn take(ebpf: &mut Ebpf, limits: &TableLimits) -> Result<Self, EbpfError> {
        Ok(Self {
            ingress: Mirror::take(ebpf, INGRESS, limits.devices)?,
            egress: Mirror::take(ebpf, EGRESS, limits.devices)?,
            ports: ForwardPorts { map: typed(ebpf, FORWARD_PORTS)?, limit: limits.forward_ports },
            stations: Mirror::take(ebpf, STATIONS, limits.stations)?,
            next_hops: Mirror::take(ebpf, NEXT_HOPS, limits.next_hops)?,
            port_ends: PortEnds { map: typed(ebpf, PORT_ENDS)? },
        })
    }
}

/// Ports that frames may leave through. The kernel removes a port with its device.
pub struct ForwardPorts {
    map: DevMapHash<MapData>,
    limit: u32,
}

impl ForwardPorts {
    /// Frames may leave through the port with this interface index.
    ///
    /// # Errors
    /// When the table is full or there is no such device.
    pub fn insert(&mut self, port: u32) -> Result<(), EbpfError> {
        self.map.insert(port, port, None, 0).map_err(|error| match error {
            XdpMapError::MapError(error) => full_or(FORWARD_PORTS, self.limit)(error),
            // Only with a program, which no port has.
            XdpMapError::ChainedProgramNotSupported => EbpfError::Missing(FORWARD_PORTS),
        })
    }

    /// Frames leave through that port no more; one that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&mut self, port: u32) -> Result<(), EbpfError> {
        gone_is_fine(self.map.remove(port)).map_err(at(FORWARD_PORTS))
    }

    /// Every member.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self) -> Result<BTreeSet<u32>, EbpfError> {
        self.map.keys().map(|key| key.map_err(at(FORWARD_PORTS))).collect()
    }
}

/// Frames by port and by how they ended there.
pub struct PortEnds {
    map: PerCpuHashMap<MapData, [u8; 8], u64>,
}

/// What the programs counted at one port. Frames since the maps were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortCounters {
    /// Received, by [`PacketEnd::index`].
    pub ends: [u64; PacketEnd::COUNT],
    /// Redirected to the port.
    pub sent: u64,
}

impl Default for PortCounters {
    fn default() -> Self {
        Self { ends: [0; PacketEnd::COUNT], sent: 0 }
    }
}

impl PortEnds {
    /// Every port that saw a frame, by interface index.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self) -> Result<BTreeMap<u32, PortCounters>, EbpfError> {
        let mut ports: BTreeMap<u32, PortCounters> = BTreeMap::new();
        for item in self.map.iter() {
            let (key, values) = item.map_err(at(PORT_ENDS))?;
            let key: PortEnd = of_octets(key);
            let total = values.iter().fold(0_u64, |total, value| total.wrapping_add(*value));
            let port = ports.entry(key.port).or_default();
            if key.end == SENT {
                port.sent = total;
            } else if let Some(end) = port.ends.get_mut(key.end as usize) {
                *end = total;
            }
        }
        Ok(ports)
    }

    /// Forgets a port: its device is gone, and its index may become another's.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget(&mut self, port: u32) -> Result<(), EbpfError> {
        let ends = (0..PacketEnd::COUNT as u32).chain([SENT]);
        for end in ends {
            gone_is_fine(self.map.remove(&octets(&PortEnd { port, end }))).map_err(at(PORT_ENDS))?;
        }
        Ok(())
    }
}

super::opaque!(ForwardPorts, PortEnds);
