//! The values of one column in, each by its row out. Knows nothing of presence: every row has a value.

use super::routes::Routes;
use crate::join::JoinedRoute;
use crate::schema::Store;

/// Values that a column has room for beyond its rows: loops of several values a step write whole steps, and what is
/// too much is cut off.
const SPARE: usize = 16;

/// The values of one column, one a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// One octet a row.
    Fixed1(Vec<u8>),
    /// Native-endian `u16`.
    Fixed2(Vec<u16>),
    /// Native-endian `u32`.
    Fixed4(Vec<u32>),
    /// Native-endian `u64`; floats as their bits.
    Fixed8(Vec<u64>),
    /// Addresses as on the wire, IPv4 as IPv4-mapped.
    Fixed16(Vec<[u8; 16]>),
    /// Row `i` is `octets[ends[i - 1]..ends[i]]` (from 0 for the first).
    Octets {
        /// End of each row.
        ends: Vec<i32>,
        /// All rows' octets, one after the other.
        octets: Vec<u8>,
    },
    /// Row `i` is entry `keys[i]`; entry `k` is `octets[ends[k - 1]..ends[k]]`.
    Choice {
        /// Entry of each row.
        keys: Vec<i32>,
        /// End of each entry.
        ends: Vec<i32>,
        /// All entries' octets, one after the other.
        octets: Vec<u8>,
    },
    /// What rows were joined with.
    Routes(Routes),
}

impl Values {
    pub(super) fn new(store: Store, rows: usize) -> Self {
        let rows = rows + SPARE;
        match store {
            Store::Fixed1 => Self::Fixed1(Vec::with_capacity(rows)),
            Store::Fixed2 => Self::Fixed2(Vec::with_capacity(rows)),
            Store::Fixed4 => Self::Fixed4(Vec::with_capacity(rows)),
            Store::Fixed8 => Self::Fixed8(Vec::with_capacity(rows)),
            Store::Fixed16 => Self::Fixed16(Vec::with_capacity(rows)),
            Store::Octets => {
                Self::Octets { ends: Vec::with_capacity(rows), octets: Vec::with_capacity(rows * 32) }
            }
            Store::Choice => Self::Choice {
                keys: Vec::with_capacity(rows),
                ends: Vec::with_capacity(64),
                octets: Vec::with_capacity(4096),
            },
            Store::Route => Self::Routes(Routes::new(rows)),
        }
    }

    /// Rows written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Fixed1(values) => values.len(),
            Self::Fixed2(values) => values.len(),
            Self::Fixed4(values) => values.len(),
            Self::Fixed8(values) => values.len(),
            Self::Fixed16(values) => values.len(),
            Self::Octets { ends, .. } => ends.len(),
            Self::Choice { keys, .. } => keys.len(),
            Self::Routes(routes) => routes.len(),
        }
    }

    /// Whether no row was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of variable length held, entries of dictionaries included.
    #[must_use]
    pub fn octets_len(&self) -> usize {
        match self {
            Self::Octets { octets, .. } | Self::Choice { octets, .. } => octets.len(),
            Self::Fixed1(_)
            | Self::Fixed2(_)
            | Self::Fixed4(_)
            | Self::Fixed8(_)
            | Self::Fixed16(_)
            | Self::Routes(_) => 0,
        }
    }

    /// The octets of a row of an `Octets` column or of the entry of a row of a `Choice` column.
    #[must_use]
    pub fn octets(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Octets { ends, octets } => slice(ends, octets, row),
            Self::Choice { keys, ends, octets } => {
                slice(ends, octets, usize::try_from(*keys.get(row)?).ok()?)
            }
            Self::Fixed1(_)
            | Self::Fixed2(_)
            | Self::Fixed4(_)
            | Self::Fixed8(_)
            | Self::Fixed16(_)
            | Self::Routes(_) => None,
        }
    }

    /// The route that a row was joined with. `None`: it has none, or the column is another.
    #[must_use]
    pub fn route(&self, row: usize) -> Option<JoinedRoute<'_>> {
        if let Self::Routes(routes) = self { routes.get(row) } else { None }
    }

    /// The integer of a row of a column of width 1 to 8.
    #[must_use]
    pub fn integer(&self, row: usize) -> Option<u64> {
        match self {
            Self::Fixed1(values) => values.get(row).map(|&v| u64::from(v)),
            Self::Fixed2(values) => values.get(row).map(|&v| u64::from(v)),
            Self::Fixed4(values) => values.get(row).map(|&v| u64::from(v)),
            Self::Fixed8(values) => values.get(row).copied(),
            Self::Fixed16(_) | Self::Octets { .. } | Self::Choice { .. } | Self::Routes(_) => None,
        }
    }

    /// The sixteen octets of a row of a `Fixed16` column.
    #[must_use]
    pub fn sixteen(&self, row: usize) -> Option<&[u8; 16]> {
        if let Self::Fixed16(values) = self { values.get(row) } else { None }
    }

    /// The values of a `Fixed1` column.
    pub(crate) const fn fixed1(&mut self) -> Option<&mut Vec<u8>> {
        if let Self::Fixed1(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed2` column.
    pub(crate) const fn fixed2(&mut self) -> Option<&mut Vec<u16>> {
        if let Self::Fixed2(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed4` column.
    pub(crate) const fn fixed4(&mut self) -> Option<&mut Vec<u32>> {
        if let Self::Fixed4(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed8` column.
    pub(crate) const fn fixed8(&mut self) -> Option<&mut Vec<u64>> {
        if let Self::Fixed8(values) = self { Some(values) } else { None }
    }

    /// The values of a `Fixed16` column.
    pub(crate) const fn fixed16(&mut self) -> Option<&mut Vec<[u8; 16]>> {
        if let Self::Fixed16(values) = self { Some(values) } else { None }
    }

    pub(super) fn clear(&mut self) {
        self.truncate(0);
        self.forget();
    }

    /// The same for a column of nothing but absences: it keeps them, `rows` of them.
    pub(super) fn rest(&mut self, rows: usize) {
        self.forget();
        self.pad(rows);
    }

    /// Clears the dictionary.
    fn forget(&mut self) {
        if let Self::Choice { ends, octets, .. } = self {
            ends.clear();
            octets.clear();
        }
    }

    /// Entries of a dictionary that no row refers to any more stay until the batch is cleared.
    pub(super) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Fixed1(values) => values.truncate(rows),
            Self::Fixed2(values) => values.truncate(rows),
            Self::Fixed4(values) => values.truncate(rows),
            Self::Fixed8(values) => values.truncate(rows),
            Self::Fixed16(values) => values.truncate(rows),
            Self::Octets { ends, octets } => {
                ends.truncate(rows);
                octets.truncate(ends.last().map_or(0, |&end| usize::try_from(end).unwrap_or(0)));
            }
            Self::Choice { keys, .. } => keys.truncate(rows),
            Self::Routes(routes) => routes.truncate(rows),
        }
    }

    pub(super) fn pad(&mut self, rows: usize) {
        match self {
            Self::Fixed1(values) => values.resize(rows, 0),
            Self::Fixed2(values) => values.resize(rows, 0),
            Self::Fixed4(values) => values.resize(rows, 0),
            Self::Fixed8(values) => values.resize(rows, 0),
            Self::Fixed16(values) => values.resize(rows, [0; 16]),
            Self::Octets { ends, octets } => ends.resize(rows, end(octets)),
            Self::Choice { keys, .. } => keys.resize(rows, 0),
            Self::Routes(routes) => routes.pad(rows),
        }
    }
}

pub(super) fn end(octets: &[u8]) -> i32 {
    i32::try_from(octets.len()).unwrap_or(i32::MAX)
}

fn slice<'a>(ends: &[i32], octets: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let start = match at.checked_sub(1) {
        Some(before) => usize::try_from(*ends.get(before)?).ok()?,
        None => 0,
    };
    octets.get(start..usize::try_from(*ends.get(at)?).ok()?)
}
