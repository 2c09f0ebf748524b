//! What forwarding reads: arrivals, ways out, ports, stations of bridges; and the next hops and ports it used.
//!
//! In: entries that the reconciler wants. Out: entries of maps, one system call each; an update replaces an entry
//! whole, so a frame meets the old or the new one. Never decides what belongs there.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use aya::Ebpf;
use aya::maps::xdp::XdpMapError;
use aya::maps::{DevMapHash, HashMap, MapData, PerCpuHashMap, PerCpuValues};
use dataplane_common::PacketEnd;
use dataplane_common::map::forward::{
    Arrival, EGRESS, Egress, FORWARD_PORTS, INGRESS, Ingress, Learned, NEXT_HOPS, NextHop, NextHopUse,
    PORT_ENDS, PortEnd, STATIONS, Station,
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
    map: PerCpuHashMap<MapData, [u8; size_of::<PortEnd>()], u64>,
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
            if let Some(end) = ports.entry(key.port).or_default().ends.get_mut(key.end as usize) {
                *end = end.wrapping_add(total);
            }
            if key.out != 0 {
                let sent = &mut ports.entry(key.out).or_default().sent;
                *sent = sent.wrapping_add(total);
            }
        }
        Ok(ports)
    }

    /// Forgets a port: its device is gone, and its index may become another's. What other ports received for it stays
    /// with them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget(&mut self, port: u32) -> Result<(), EbpfError> {
        let keys: Vec<[u8; size_of::<PortEnd>()]> =
            self.map.keys().collect::<Result<_, _>>().map_err(at(PORT_ENDS))?;
        for octets_of_key in keys {
            let key: PortEnd = of_octets(octets_of_key);
            if key.port != port && key.out != port {
                continue;
            }
            if key.port != port {
                self.keep_received(&key)?;
            }
            gone_is_fine(self.map.remove(&octets_of_key)).map_err(at(PORT_ENDS))?;
        }
        Ok(())
    }

    /// Adds what a pair of ports counted to what its first received for ports that are gone. The programs count no frame
    /// there, and none for a port that is gone.
    fn keep_received(&mut self, pair: &PortEnd) -> Result<(), EbpfError> {
        let kept: [u8; size_of::<PortEnd>()] = octets(&PortEnd { out: 0, ..*pair });
        let more = self.map.get(&octets(pair), 0).map_err(at(PORT_ENDS))?;
        let sums = match self.map.get(&kept, 0) {
            Ok(held) => held.iter().zip(more.iter()).map(|(held, more)| held.wrapping_add(*more)).collect(),
            Err(aya::maps::MapError::KeyNotFound) => more.iter().copied().collect::<Vec<u64>>(),
            Err(error) => return Err(at(PORT_ENDS)(error)),
        };
        let sums = PerCpuValues::try_from(sums).map_err(|error| at(PORT_ENDS)(error.into()))?;
        self.map.insert(kept, sums, 0).map_err(at(PORT_ENDS))
    }
}

super::opaque!(ForwardPorts, PortEnds);
