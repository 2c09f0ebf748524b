//! What flow rows are looked up by: one side of the rows of a set, by column.

use wire::bgp::IpVersion;

use crate::rib::{Rib, TableId, TableKey};
use crate::schema::VrfFrom;

/// Where a look-up is to be made, as far as the flow tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// Route distinguisher, if the record, the options or the configuration give one.
    pub rd: Option<[u8; 8]>,
    /// VRF id of the record (IE 234 towards the source, IE 235 or else 234 towards the destination); 0: default.
    pub id: Option<u32>,
    /// The table that BMP knows by the name that options give to `id`: `rib.tables().named(name)`.
    pub table: Option<TableId>,
    /// Where it comes from.
    pub from: VrfFrom,
}

impl Vrf {
    /// The default table, because nothing says otherwise.
    pub const DEFAULT: Self = Self { rd: None, id: None, table: None, from: VrfFrom::Default };

    /// The table: that of the RD, else the one that BMP knows by its name, else the default one for VRF id 0 and
    /// where nothing names a VRF.
    pub(super) fn table(&self, rib: &Rib) -> Option<TableId> {
        let by_rd = match self.rd {
            Some(rd) if rd == [0; 8] => return Some(TableId::DEFAULT),
            Some(rd) => rib.tables().find(TableKey::Distinguisher(rd)),
            None => None,
        };
        by_rd.or(self.table).or_else(|| {
            let is_default = self.rd.is_none() && self.id.unwrap_or(0) == 0;
            is_default.then_some(TableId::DEFAULT)
        })
    }
}

/// What one side of some rows is looked up by. Addresses are as on the wire, IPv4 as IPv4-mapped; the unspecified
/// address of either protocol stands for none.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Address of each row; none: the record has no usable one.
    pub addresses: &'a [[u8; 16]],
    /// Element that each address comes from (8, 12, 27, 28).
    pub used_elements: &'a [u16],
    /// Next hop of each flow: chooses among several paths. Empty: no row has one.
    pub next_hops: &'a [[u8; 16]],
    /// VRF of each row. Empty: [`Vrf::DEFAULT`] for all.
    pub vrfs: &'a [Vrf],
}

impl Keys<'_> {
    /// At most `n` rows from `first` on.
    pub(super) fn part(&self, first: usize, n: usize) -> Self {
        fn part<T>(column: &[T], first: usize, n: usize) -> &[T] {
            let rest = column.get(first..).unwrap_or_default();
            rest.get(..n).unwrap_or(rest)
        }
        Self {
            addresses: part(self.addresses, first, n),
            used_elements: part(self.used_elements, first, n),
            next_hops: part(self.next_hops, first, n),
            vrfs: part(self.vrfs, first, n),
        }
    }

    pub(super) fn vrf(&self, row: usize) -> Vrf {
        self.vrfs.get(row).copied().unwrap_or(Vrf::DEFAULT)
    }
}

/// The protocol of an address and its number, IPv4 in the low 32 bits. `None`: unspecified.
pub(super) fn native(address: [u8; 16]) -> Option<(IpVersion, u128)> {
    let number = u128::from_be_bytes(address);
    match number >> 32 {
        0xffff => (number & 0xffff_ffff != 0).then_some((IpVersion::V4, number & 0xffff_ffff)),
        _ => (number != 0).then_some((IpVersion::V6, number)),
    }
}
