//! What the look-ups of some rows came to in, join columns of a batch out.

use crate::batch::Batch;
use crate::rib::SIDE_BY_SIDE;
use crate::schema::{Origin, RouteField, Schema, Side};

/// Rows that are looked up before their columns are written: one bit each in a word.
pub(super) const CHUNK: usize = SIDE_BY_SIDE;

const _: () = assert!(CHUNK == 32);

/// Positions of one side's columns in the schema of flows: found once.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    pub(super) side: Side,
    pub(super) result: Option<usize>,
    pub(super) route: Option<usize>,
    used_element: Option<usize>,
    vrf_from: Option<usize>,
    picked_by: Option<usize>,
}

impl Columns {
    /// Those of a side.
    #[must_use]
    pub fn of(schema: &Schema, side: Side) -> Self {
        let column = |field| schema.position(Origin::Join { side, field });
        Self {
            side,
            result: column(RouteField::Result),
            route: column(RouteField::Route),
            used_element: column(RouteField::UsedElement),
            vrf_from: column(RouteField::VrfFrom),
            picked_by: column(RouteField::PickedBy),
        }
    }

    /// Whether the schema has them at all.
    #[must_use]
    pub const fn are_there(&self) -> bool {
        self.result.is_some()
    }
}

/// What the look-ups of some rows came to, by column. Bit masks have one bit a row.
pub(super) struct Outcomes {
    pub(super) results: [u8; CHUNK],
    pub(super) vrfs_from: [u8; CHUNK],
    pub(super) picked_by: [u8; CHUNK],
    /// Rows that had an address.
    pub(super) looked_up: u32,
    /// Rows that found a route.
    pub(super) found: u32,
}

impl Outcomes {
    /// Appends one value for each row to each column.
    pub(super) fn write(&self, used_elements: &[u16], columns: &Columns, batch: &mut Batch) {
        let rows = used_elements.len();
        let first = |column: Option<usize>, values: &[u8], present: u32, batch: &mut Batch| {
            if let Some(column) = column {
                batch.extend_fixed1(column, values.get(..rows).unwrap_or_default(), present);
            }
        };
        first(columns.result, &self.results, u32::MAX, batch);
        first(columns.vrf_from, &self.vrfs_from, self.looked_up, batch);
        first(columns.picked_by, &self.picked_by, self.found, batch);
        if let Some(column) = columns.used_element {
            batch.extend_fixed2(column, used_elements, self.looked_up);
        }
    }
}
