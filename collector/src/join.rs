//! Flow rows meet the routes of the same router: keys of a set of rows in, join columns out.
//!
//! ```text
//! Keys -> rows of one table and protocol -> Rib::lookup -> paths -+-> met before: their keys in the router's book
//!         (nearly always all at once)                            +-> new: what they say, written into it once
//! ```
//! A row costs its look-up and the key of the path; neither the path nor its attributes are read, and nothing is
//! allocated. The batch holds on to the book, whose entries never change. Rows go through each step together, so that
//! what one waits for is fetched while the others are looked at. Never looks at the flow's octets: the flow session
//! says what to look up.

mod key;
mod column;
pub(crate) mod book;
pub(crate) mod route;

use wire::bgp::IpVersion;

use crate::batch::Batch;
use crate::ledger::{JoinEnd, Ledgers};
use crate::rib::{Asked, Found, Rib, TableId, Told};
use crate::schema::{PickedBy, Side};

pub use book::{Book, RouteKey};
pub use column::Columns;
pub use key::{Keys, Vrf};
pub use route::JoinedRoute;

use column::{CHUNK, Outcomes};
use key::native;

/// Looks every key up and appends one value for each to the join columns of a side, before
/// [`Batch::finish_rows`]. Counts how each ended.
pub fn join(columns: &Columns, keys: &Keys<'_>, rib: &mut Rib, batch: &mut Batch, ledgers: &mut Ledgers) {
    join_sides([columns], [*keys], rib, batch, ledgers);
}

/// The same for some sides of the same rows at once: what one side waits for is fetched while the other is looked at.
pub fn join_sides<const SIDES: usize>(
    columns: [&Columns; SIDES],
    keys: [Keys<'_>; SIDES],
    rib: &mut Rib,
    batch: &mut Batch,
    ledgers: &mut Ledgers,
) {
    let rows = keys.iter().map(|keys| keys.addresses.len()).max().unwrap_or(0);
    for first in (0..rows).step_by(CHUNK) {
        let mut sides = keys.map(|keys| Part::ask(keys.part(first, CHUNK), rib));
        let mut asked = 0;
        for (part, columns) in sides.iter_mut().zip(columns) {
            if part.look_up(columns.side, rib, ledgers) {
                asked ^= rib.ask_keys(part.found.get(..part.keys.addresses.len()).unwrap_or_default());
            }
        }
        std::hint::black_box(asked);
        for (part, columns) in sides.iter().zip(columns) {
            part.write(columns, rib, batch);
        }
    }
}

/// One side of at most [`CHUNK`] rows on its way.
struct Part<'k> {
    keys: Keys<'k>,
    entries: [u32; CHUNK],
    found: [Found; CHUNK],
    outcomes: Outcomes,
}

impl<'k> Part<'k> {
    #[inline]
    fn ask(keys: Keys<'k>, rib: &mut Rib) -> Self {
        let mut entries = [0; CHUNK];
        rib.ask(keys.addresses, &mut entries);
        let outcomes = Outcomes {
            results: [JoinEnd::Found as u8; CHUNK],
            vrfs_from: [Vrf::DEFAULT.from as u8; CHUNK],
            picked_by: [PickedBy::Only as u8; CHUNK],
            looked_up: 0,
            found: 0,
        };
        Self { keys, entries, found: [Found::NOTHING; CHUNK], outcomes }
    }

    /// Finds the paths. Returns whether the table is a large one, of which no cache holds what belongs to it.
    #[inline]
    fn look_up(&mut self, side: Side, rib: &mut Rib, ledgers: &mut Ledgers) -> bool {
        let Self { keys, entries, found, outcomes } = self;
        let all = u32::MAX.checked_shr(u32::try_from(CHUNK - keys.addresses.len()).unwrap_or(0)).unwrap_or(0);
        let told = match keys.vrfs {
            [] => rib.plain(entries.get(..keys.addresses.len()).unwrap_or_default(), found),
            [..] => Told { found: 0, nothing: 0 },
        };
        // Nearly always that is all of them.
        (outcomes.looked_up, outcomes.found) = ((told.found | told.nothing) & all, told.found);
        if told.found != all {
            others(side, keys, all & !told.found, rib, ledgers, found, outcomes);
        }
        ledgers.join(side, JoinEnd::Found, u64::from(outcomes.found.count_ones()));
        told.found != 0
    }

    #[inline]
    fn write(&self, columns: &Columns, rib: &mut Rib, batch: &mut Batch) {
        let (keys, rows) = (&self.keys, self.keys.addresses.len());
        self.outcomes.write(keys.used_elements, columns, batch);
        if let Some(column) = columns.route {
            let mut routes = [RouteKey::default(); CHUNK];
            let book = rib.keys(self.found.get(..rows).unwrap_or_default(), &mut routes);
            let routes = routes.get(..rows).unwrap_or_default();
            batch.extend_routes(column, keys.addresses, routes, book, self.outcomes.found);
        }
    }
}

/// Looks up those of some rows of which [`Rib::plain`] told nothing, and says why nothing was found where that is so.
#[inline(never)]
fn others(
    side: Side,
    keys: &Keys<'_>,
    rows: u32,
    rib: &mut Rib,
    ledgers: &mut Ledgers,
    found: &mut [Found; CHUNK],
    outcomes: &mut Outcomes,
) {
    let left = rows & !outcomes.looked_up;
    if left != 0 {
        outcomes.looked_up |= look_up(keys, left, rib, found);
    }
    for (to, vrf) in outcomes.vrfs_from.iter_mut().zip(keys.vrfs) {
        *to = vrf.from as u8;
    }
    for row in each(rows) {
        let found = found.get(row).copied().unwrap_or(Found::NOTHING);
        let mut end = JoinEnd::Found;
        if found.is_found() {
            outcomes.found |= 1 << row;
        } else {
            end = miss(keys, row, rib);
            ledgers.join(side, end, 1);
        }
        if let (Some(result), Some(picked_by)) =
            (outcomes.results.get_mut(row), outcomes.picked_by.get_mut(row))
        {
            (*result, *picked_by) = (end as u8, found.picked_by as u8);
        }
    }
}

/// Looks the addresses of some rows up, those of one table and protocol together. Returns which rows have one, one
/// bit each.
fn look_up(keys: &Keys<'_>, rows: u32, rib: &mut Rib, found: &mut [Found; CHUNK]) -> u32 {
    let mut numbers = [0; CHUNK];
    let [mut v4, mut v6] = [0_u32; 2];
    for (row, (number, address)) in numbers.iter_mut().zip(keys.addresses).enumerate() {
        let version = native(*address).map(|(version, native)| {
            *number = native;
            version
        });
        v4 |= u32::from(version == Some(IpVersion::V4)) << row;
        v6 |= u32::from(version == Some(IpVersion::V6)) << row;
    }
    for (version, of_version) in [(IpVersion::V4, v4), (IpVersion::V6, v6)] {
        let mut left = of_version & rows;
        while left != 0 {
            let (table, same) = one_table(keys, left, rib);
            left &= !same;
            if let Some(table) = table {
                look_up_in(table, version, same, &numbers, keys, rib, found);
            }
        }
    }
    (v4 | v6) & rows
}

/// The table of the first of some rows, and which of them have the same one.
fn one_table(keys: &Keys<'_>, rows: u32, rib: &Rib) -> (Option<TableId>, u32) {
    if keys.vrfs.is_empty() {
        return (Some(TableId::DEFAULT), rows);
    }
    let first = keys.vrf(rows.trailing_zeros() as usize);
    let same = each(rows).filter(|&row| keys.vrf(row) == first).fold(0, |same, row| same | 1 << row);
    (first.table(rib), same)
}

/// Looks the addresses of some rows up in one table.
fn look_up_in(
    table: TableId,
    version: IpVersion,
    rows: u32,
    numbers: &[u128; CHUNK],
    keys: &Keys<'_>,
    rib: &mut Rib,
    found: &mut [Found; CHUNK],
) {
    let n = rows.count_ones() as usize;
    if n == keys.addresses.len() {
        let addresses = numbers.get(..n).unwrap_or_default();
        return rib.lookup(&Asked { table, version, addresses, next_hops: keys.next_hops }, found);
    }
    let (mut addresses, mut next_hops) = ([0; CHUNK], [[0; 16]; CHUNK]);
    let mut answers = [Found::NOTHING; CHUNK];
    let places = addresses.iter_mut().zip(&mut next_hops);
    for (row, (address, next_hop)) in each(rows).zip(places) {
        *address = numbers.get(row).copied().unwrap_or_default();
        *next_hop = keys.next_hops.get(row).copied().unwrap_or_default();
    }
    let addresses = addresses.get(..n).unwrap_or_default();
    rib.lookup(&Asked { table, version, addresses, next_hops: &next_hops }, &mut answers);
    for (row, answer) in each(rows).zip(answers) {
        if let Some(to) = found.get_mut(row) {
            *to = answer;
        }
    }
}

/// The rows whose bits are set.
fn each(mut rows: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let row = (rows != 0).then(|| rows.trailing_zeros() as usize)?;
        rows &= rows - 1;
        Some(row)
    })
}

/// Why nothing was found for a row.
#[cold]
fn miss(keys: &Keys<'_>, row: usize, rib: &Rib) -> JoinEnd {
    let address = keys.addresses.get(row).copied().and_then(native);
    let Some((version, _)) = address else { return JoinEnd::NoAddress };
    if rib.sessions() == 0 {
        JoinEnd::NoSession
    } else if rib.is_dump_running(version) {
        JoinEnd::DumpRunning
    } else if keys.vrf(row).table(rib).is_none() {
        JoinEnd::NoVrf
    } else {
        JoinEnd::NoRoute
    }
}
