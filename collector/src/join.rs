//! Flow rows meet the routes of the same router: keys of a set of rows in, join columns out.

use crate::batch::Batch;
use crate::ledger::{JoinEnd, Ledgers};
use crate::rib::Rib;
use crate::schema::{Origin, RouteField, Side};

/// Where a look-up is to be made, as far as the flow tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// Route distinguisher, if the record, the options or the configuration give one.
    pub rd: Option<[u8; 8]>,
    /// VRF id of the record (IE 234 towards the source, IE 235 or else 234 towards the destination); 0: default.
    pub id: Option<u32>,
    /// Where it comes from.
    pub from: crate::schema::VrfFrom,
}

/// What one side of one row is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Address, IPv4 as IPv4-mapped; `None`: the record has no usable one.
    pub address: Option<[u8; 16]>,
    /// Element the address comes from (8, 12, 27, 28).
    pub used_element: u16,
    /// Next hop of the flow, IPv4 as IPv4-mapped: chooses among several paths.
    pub next_hop: Option<[u8; 16]>,
    /// The VRF.
    pub vrf: Vrf,
}

/// Appends the join columns of one side for the rows that `keys` belong to, and counts the results.
pub fn join(side: Side, keys: &[Key], _rib: &mut Rib, batch: &mut Batch, ledgers: &mut Ledgers) {
    let column = batch.schema.position(Origin::Join { side, field: RouteField::Result });
    for key in keys {
        let end = if key.address.is_some() { JoinEnd::NoSession } else { JoinEnd::NoAddress };
        if let Some(column) = column {
            batch.push_integer(column, end as u64);
        }
        ledgers.join(side, end, 1);
    }
}
