//! What the programs counted, summed over CPUs, and when each router was last seen.
//!
//! In: a map, read with one call a counter. Out: totals since the maps were made (pinned maps outlive this
//! process). Never reset: who wants a rate keeps the reading before.

use std::net::IpAddr;

use aya::maps::{HashMap, MapData, PerCpuArray};
use dataplane_common::{MAX_SLOTS, PacketEnd, address_of, entry, map};

use super::{EbpfError, at};

/// Counters of both programs. Packets.
pub struct Counters {
    pub(super) frame_ends: PerCpuArray<MapData, u64>,
    pub(super) socket_ends: PerCpuArray<MapData, u64>,
    pub(super) redirected: PerCpuArray<MapData, u64>,
    pub(super) selected: PerCpuArray<MapData, u64>,
}

impl Counters {
    /// Frames by how they ended in XDP, indexed by [`PacketEnd::index`]. Their sum is every frame that the
    /// devices gave to the program.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn frame_ends(&self) -> Result<[u64; PacketEnd::COUNT], EbpfError> {
        ends(map::FRAME_ENDS, &self.frame_ends)
    }

    /// Packets by how they ended in SK_REUSEPORT, indexed by [`PacketEnd::index`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn socket_ends(&self) -> Result<[u64; PacketEnd::COUNT], EbpfError> {
        ends(map::SOCKET_ENDS, &self.socket_ends)
    }

    /// Frames redirected to the ring at (row, slot).
    ///
    /// # Errors
    /// When row or slot is out of range.
    pub fn redirected(&self, row: u32, slot: u32) -> Result<u64, EbpfError> {
        sum(map::REDIRECTED, &self.redirected, index(map::REDIRECTED, row, slot)?)
    }

    /// Packets given to the socket at (row, slot).
    ///
    /// # Errors
    /// When row or slot is out of range.
    pub fn selected(&self, row: u32, slot: u32) -> Result<u64, EbpfError> {
        sum(map::SELECTED, &self.selected, index(map::SELECTED, row, slot)?)
    }
}

fn index(name: &'static str, row: u32, slot: u32) -> Result<u32, EbpfError> {
    let fits = slot < MAX_SLOTS && row < u32::MAX / MAX_SLOTS;
    if fits { Ok(entry(row, slot)) } else { Err(EbpfError::OutOfRange { name, row, slot }) }
}

fn ends(name: &'static str, map: &PerCpuArray<MapData, u64>) -> Result<[u64; PacketEnd::COUNT], EbpfError> {
    let mut totals = [0; PacketEnd::COUNT];
    for (total, index) in totals.iter_mut().zip(0..) {
        *total = sum(name, map, index)?;
    }
    Ok(totals)
}

fn sum(name: &'static str, map: &PerCpuArray<MapData, u64>, index: u32) -> Result<u64, EbpfError> {
    let per_cpu = map.get(&index, 0).map_err(at(name))?;
    Ok(per_cpu.iter().fold(0, |total: u64, count| total.wrapping_add(*count)))
}

/// When each router was last seen in XDP; the least recently seen are forgotten first.
pub struct RoutersSeen {
    pub(super) map: HashMap<MapData, [u8; 16], u64>,
}

impl RoutersSeen {
    /// Every router with the nanoseconds of `CLOCK_MONOTONIC` of its last packet, exact to about a second.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self) -> Result<Vec<(IpAddr, u64)>, EbpfError> {
        self.map
            .iter()
            .map(|item| item.map(|(router, seen)| (address_of(router), seen)).map_err(at(map::ROUTERS_SEEN)))
            .collect()
    }
}

super::opaque!(Counters, RoutersSeen);
