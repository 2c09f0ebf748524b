//! Bucket -> slot -> state, in two copies: one in use, one to write.
//!
//! In: a whole table. Out: the same table in the kernel, between one packet and the next. A run of the program
//! that began before the flip ends with the table it began with.

use aya::maps::{Array, MapData};
use dataplane_common::map::{self, SlotState, Steering};

use super::{EbpfError, at};

/// Octets of a table in the map.
const LENGTH: usize = size_of::<Steering>();

/// The steering table (one per instance).
pub struct SteeringTable {
    tables: Array<MapData, [u8; LENGTH]>,
    active: Array<MapData, u32>,
    current: Box<Steering>,
}

super::opaque!(SteeringTable);

impl SteeringTable {
    pub(super) fn new(
        tables: Array<MapData, [u8; LENGTH]>,
        active: Array<MapData, u32>,
    ) -> Result<Self, EbpfError> {
        let index = active.get(&0, 0).map_err(at(map::ACTIVE))? & 1;
        let current = tables.get(&index, 0).map_err(at(map::STEERING))?;
        Ok(Self { tables, active, current: Box::new(zerocopy::transmute!(current)) })
    }

    /// The table in use. In a map taken over from an earlier process: what that one left.
    #[must_use]
    pub fn current(&self) -> &Steering {
        &self.current
    }

    /// Writes `table` into the copy that is not in use and flips.
    ///
    /// # Errors
    /// When the kernel refuses; the table in use stays.
    pub fn install(&mut self, table: &Steering) -> Result<(), EbpfError> {
        let other = (self.active.get(&0, 0).map_err(at(map::ACTIVE))? & 1) ^ 1;
        let octets: [u8; LENGTH] = zerocopy::transmute!(*table);
        self.tables.set(other, octets, 0).map_err(at(map::STEERING))?;
        self.active.set(0, other, 0).map_err(at(map::ACTIVE))?;
        *self.current = *table;
        Ok(())
    }

    /// Changes the state of one slot; the buckets stay.
    ///
    /// # Errors
    /// When there is no such slot or the kernel refuses.
    pub fn set_state(&mut self, slot: u32, state: SlotState) -> Result<(), EbpfError> {
        let mut table = *self.current;
        let octet = table.states.get_mut(slot as usize);
        *octet.ok_or(EbpfError::OutOfRange { name: map::STEERING, row: 0, slot })? = state as u8;
        self.install(&table)
    }
}
