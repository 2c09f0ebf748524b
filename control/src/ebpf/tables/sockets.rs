//! Who takes what the programs hand over: rings by (device, RX queue) and slot, sockets by group and slot.
//!
//! In: a queue or what a group is bound to, a slot, a socket. Out: entries of the map of rings and of the
//! array of sockets. A row is given out once and kept until it is removed, so nothing is re-indexed.
//!
//! The kernel forgets a socket when it closes; neither map can be read back, so owners are the caller's to
//! remember.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _};

use aya::Pod;
use aya::maps::{HashMap, MapData, ReusePortSockArray, XskMap};
use dataplane_common::map::{self, Bound, Queue};
use dataplane_common::{MAX_SLOTS, entry, octets_of};

use super::{EbpfError, at, full_or, gone_is_fine};

/// Key -> row, the lowest free one first.
struct Rows<K: Pod> {
    name: &'static str,
    map: HashMap<MapData, K, u32>,
    limit: u32,
}

impl<K: Pod + PartialEq> Rows<K> {
    fn list(&self) -> Result<Vec<(K, u32)>, EbpfError> {
        self.map.iter().map(|item| item.map_err(at(self.name))).collect()
    }

    fn row(&mut self, key: K) -> Result<u32, EbpfError> {
        let held = self.list()?;
        if let Some(&(_, row)) = held.iter().find(|(held, _)| *held == key) {
            return Ok(row);
        }
        let free = (0..self.limit).find(|row| held.iter().all(|(_, held)| held != row));
        let row = free.ok_or(EbpfError::Full { name: self.name, limit: self.limit })?;
        self.map.insert(key, row, 0).map_err(full_or(self.name, self.limit))?;
        Ok(row)
    }

    fn remove(&mut self, key: K) -> Result<Option<u32>, EbpfError> {
        let Some((_, row)) = self.list()?.into_iter().find(|(held, _)| *held == key) else {
            return Ok(None);
        };
        gone_is_fine(self.map.remove(&key)).map_err(at(self.name))?;
        Ok(Some(row))
    }

    fn entry(&self, name: &'static str, row: u32, slot: u32) -> Result<u32, EbpfError> {
        if row < self.limit && slot < MAX_SLOTS {
            Ok(entry(row, slot))
        } else {
            Err(EbpfError::OutOfRange { name, row, slot })
        }
    }
}

/// AF_XDP sockets: where XDP redirects frames to.
pub struct Rings {
    rows: Rows<[u8; 8]>,
    map: XskMap<MapData>,
}

impl Rings {
    pub(super) fn new(rows: HashMap<MapData, [u8; 8], u32>, map: XskMap<MapData>, limit: u32) -> Self {
        Self { rows: Rows { name: map::RING_ROWS, map: rows, limit }, map }
    }

    /// The row of a device's RX queue, given out now if it had none. From here on its frames are counted by
    /// (row, slot).
    ///
    /// # Errors
    /// When all rows are given out.
    pub fn row(&mut self, device_index: u32, queue: u32) -> Result<u32, EbpfError> {
        self.rows.row(zerocopy::transmute!(Queue { device: device_index, queue }))
    }

    /// Takes the row of a queue back, with its sockets. Its frames pass to the stack.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_row(&mut self, device_index: u32, queue: u32) -> Result<(), EbpfError> {
        let row = self.rows.remove(zerocopy::transmute!(Queue { device: device_index, queue }))?;
        row.into_iter().try_for_each(|row| (0..MAX_SLOTS).try_for_each(|slot| self.remove(row, slot)))
    }

    /// Every (device index, queue) with its row.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn rows(&self) -> Result<Vec<(Queue, u32)>, EbpfError> {
        let rows = self.rows.list()?;
        Ok(rows.into_iter().map(|(key, row)| (zerocopy::transmute!(key), row)).collect())
    }

    /// Hands the frames of (row, slot) to an AF_XDP socket. It must be bound already: the kernel takes an
    /// unbound one too, and loses its frames without a counter.
    ///
    /// # Errors
    /// When it is no AF_XDP socket, or row or slot is out of range.
    pub fn insert(&mut self, row: u32, slot: u32, socket: impl AsFd) -> Result<(), EbpfError> {
        let entry = self.rows.entry(map::RINGS, row, slot)?;
        self.map.set(entry, socket.as_fd().as_raw_fd(), 0).map_err(at(map::RINGS))
    }

    /// Frames of (row, slot) pass to the stack.
    ///
    /// # Errors
    /// When row or slot is out of range or the kernel refuses.
    pub fn remove(&mut self, row: u32, slot: u32) -> Result<(), EbpfError> {
        let entry = self.rows.entry(map::RINGS, row, slot)?;
        gone_is_fine(self.map.unset(entry)).map_err(at(map::RINGS))
    }
}

/// Kernel sockets: what SK_REUSEPORT selects among.
pub struct Sockets {
    rows: Rows<[u8; 20]>,
    map: ReusePortSockArray<MapData>,
}

impl Sockets {
    pub(super) fn new(
        rows: HashMap<MapData, [u8; 20], u32>,
        map: ReusePortSockArray<MapData>,
        limit: u32,
    ) -> Self {
        Self { rows: Rows { name: map::SOCKET_ROWS, map: rows, limit }, map }
    }

    /// The row of the group of sockets bound to `address` for `protocol` (17 UDP, 6 TCP), given out now if it
    /// had none. A dual-stack socket is bound to `[::]`: IPv4 packets find its row too.
    ///
    /// # Errors
    /// When all rows are given out.
    pub fn row(&mut self, protocol: u8, address: SocketAddr) -> Result<u32, EbpfError> {
        self.rows.row(bound(protocol, address))
    }

    /// Takes the row of a group back, with its sockets. The group's packets are dropped.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_row(&mut self, protocol: u8, address: SocketAddr) -> Result<(), EbpfError> {
        let row = self.rows.remove(bound(protocol, address))?;
        row.into_iter().try_for_each(|row| (0..MAX_SLOTS).try_for_each(|slot| self.remove(row, slot)))
    }

    /// Every group with its row.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn rows(&self) -> Result<Vec<(Bound, u32)>, EbpfError> {
        let rows = self.rows.list()?;
        Ok(rows.into_iter().map(|(key, row)| (zerocopy::transmute!(key), row)).collect())
    }

    /// Gives the packets of (row, slot) to a socket: SO_REUSEPORT set before bind, bound (TCP: listening),
    /// and in no other entry.
    ///
    /// # Errors
    /// When the kernel refuses the socket, or row or slot is out of range.
    pub fn insert(&mut self, row: u32, slot: u32, socket: impl AsFd) -> Result<(), EbpfError> {
        let entry = self.rows.entry(map::SOCKETS, row, slot)?;
        self.map.set(entry, &socket.as_fd().as_raw_fd(), 0).map_err(at(map::SOCKETS))
    }

    /// Packets of (row, slot) are dropped (TCP: reset).
    ///
    /// # Errors
    /// When row or slot is out of range or the kernel refuses.
    pub fn remove(&mut self, row: u32, slot: u32) -> Result<(), EbpfError> {
        let entry = self.rows.entry(map::SOCKETS, row, slot)?;
        gone_is_fine(self.map.clear_index(&entry)).map_err(at(map::SOCKETS))
    }
}

super::opaque!(Rings, Sockets);

fn bound(protocol: u8, address: SocketAddr) -> [u8; 20] {
    let key = Bound { address: octets_of(address.ip()), port: address.port().into(), protocol, reserved: 0 };
    zerocopy::transmute!(key)
}
