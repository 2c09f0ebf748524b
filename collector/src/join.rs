//! Flow rows meet the routes of the same router: keys of a set of rows in, join columns out.
//!
//! Each distinct route goes once into the dictionary of a batch and side; its key is remembered beside the path,
//! so a row costs a look-up and no allocation. Never looks at the flow's octets: the flow session says what to
//! look up.

pub mod route;

use wire::bgp::IpVersion;

use crate::batch::Batch;
use crate::ledger::{JoinEnd, Ledgers};
use crate::rib::attributes::Stamp;
use crate::rib::{Found, Lookup, PathView, Rib, Standing, TableId, TableKey};
use crate::schema::{Origin, RouteField, Schema, Side, VrfFrom};

pub use route::{JoinedRoute, RouteOctets};

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

/// Positions of one side's columns in the schema of flows.
#[derive(Clone, Copy, Debug)]
struct Columns {
    result: Option<usize>,
    route: Option<usize>,
    used_element: Option<usize>,
    vrf_from: Option<usize>,
    picked_by: Option<usize>,
}

impl Columns {
    fn of(schema: &Schema, side: Side) -> Self {
        let column = |field| schema.position(Origin::Join { side, field });
        Self {
            result: column(RouteField::Result),
            route: column(RouteField::Route),
            used_element: column(RouteField::UsedElement),
            vrf_from: column(RouteField::VrfFrom),
            picked_by: column(RouteField::PickedBy),
        }
    }
}

/// Rows that are looked up before their columns are written: one bit each in a word.
const CHUNK: usize = 32;

/// What the look-ups of some rows came to, by column.
struct Outcomes {
    results: [u8; CHUNK],
    routes: [i32; CHUNK],
    used_elements: [u16; CHUNK],
    vrfs_from: [u8; CHUNK],
    picked_by: [u8; CHUNK],
    /// Rows that had an address, one bit each.
    looked_up: u32,
    /// Rows whose route is in the dictionary.
    found: u32,
}

/// Looks every key up and appends one value for each to the join columns of this side, before
/// [`Batch::finish_rows`]. Counts how each ended.
pub fn join(side: Side, keys: &[Key], rib: &mut Rib, batch: &mut Batch, ledgers: &mut Ledgers) {
    let columns = Columns::of(&batch.schema, side);
    for keys in keys.chunks(CHUNK) {
        let mut lookups = [None; CHUNK];
        for (lookup, key) in lookups.iter_mut().zip(keys) {
            *lookup = self::lookup(key, rib);
        }
        let mut found_paths = std::mem::take(rib.found_mut());
        rib.lookup(lookups.get(..keys.len()).unwrap_or_default(), &mut found_paths);
        let mut outcomes = Outcomes {
            results: [0; CHUNK],
            routes: [0; CHUNK],
            used_elements: [0; CHUNK],
            vrfs_from: [0; CHUNK],
            picked_by: [0; CHUNK],
            looked_up: 0,
            found: 0,
        };
        let Outcomes { results, routes, used_elements, vrfs_from, picked_by, .. } = &mut outcomes;
        let places = results.iter_mut().zip(routes).zip(used_elements).zip(vrfs_from).zip(picked_by);
        let (mut looked_up, mut found) = (0, 0);
        let keys_found = keys.iter().zip(&found_paths);
        for ((bit, (key, path)), ((((result, route), used), vrf_from), picked)) in
            (0..).zip(keys_found).zip(places)
        {
            let end = match *path {
                Some(path) => {
                    *picked = path.picked_by as u8;
                    found |= 1 << bit;
                    if let Some(column) = columns.route {
                        *route = route_key(side, path, rib, batch, column).unwrap_or(0);
                    }
                    JoinEnd::Found
                }
                None => miss(key, rib),
            };
            ledgers.join(side, end, 1);
            *result = end as u8;
            looked_up |= u32::from(key.address.is_some()) << bit;
            *used = key.used_element;
            *vrf_from = key.vrf.from as u8;
        }
        *rib.found_mut() = found_paths;
        outcomes.looked_up = looked_up;
        outcomes.found = found;
        outcomes.write(keys.len(), &columns, batch);
    }
}

impl Outcomes {
    /// Appends the first `rows` of each column.
    fn write(&self, rows: usize, columns: &Columns, batch: &mut Batch) {
        let first = |column: Option<usize>, values: &[u8], present: u32, batch: &mut Batch| {
            if let Some(column) = column {
                batch.extend_fixed1(column, values.get(..rows).unwrap_or_default(), present);
            }
        };
        first(columns.result, &self.results, u32::MAX, batch);
        first(columns.vrf_from, &self.vrfs_from, self.looked_up, batch);
        first(columns.picked_by, &self.picked_by, self.found, batch);
        if let Some(column) = columns.used_element {
            batch.extend_fixed2(column, self.used_elements.get(..rows).unwrap_or_default(), self.looked_up);
        }
        if let Some(column) = columns.route {
            batch.extend_choices(column, self.routes.get(..rows).unwrap_or_default(), self.found);
        }
    }
}

/// What is to be looked up for a key; nothing where its address or its table is missing.
fn lookup(key: &Key, rib: &Rib) -> Option<Lookup> {
    let (version, address) = key.address.and_then(native)?;
    let next_hop = key.next_hop.filter(|address| native(*address).is_some());
    Some(Lookup { table: table(&key.vrf, rib)?, version, address, next_hop })
}

/// Why nothing was found.
fn miss(key: &Key, rib: &Rib) -> JoinEnd {
    let Some((version, _)) = key.address.and_then(native) else { return JoinEnd::NoAddress };
    if rib.sessions() == 0 {
        JoinEnd::NoSession
    } else if rib.is_dump_running(version) {
        JoinEnd::DumpRunning
    } else if table(&key.vrf, rib).is_none() {
        JoinEnd::NoVrf
    } else {
        JoinEnd::NoRoute
    }
}

/// The table of a VRF: that of its RD, else the one that BMP knows by its name, else the default one for VRF id 0
/// and where nothing names a VRF.
fn table(vrf: &Vrf, rib: &Rib) -> Option<TableId> {
    let by_rd = match vrf.rd {
        Some(rd) if rd == [0; 8] => return Some(TableId::DEFAULT),
        Some(rd) => rib.tables().find(TableKey::Distinguisher(rd)),
        None => None,
    };
    by_rd.or(vrf.table).or_else(|| {
        let is_default = vrf.rd.is_none() && vrf.id.unwrap_or(0) == 0;
        is_default.then_some(TableId::DEFAULT)
    })
}

/// An address in the form of prefixes: IPv4 in the first 4 octets. `None`: unspecified.
fn native(address: [u8; 16]) -> Option<(IpVersion, [u8; 16])> {
    if address == [0; 16] {
        return None;
    }
    let [.., a, b, c, d] = address;
    if !address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) {
        return Some((IpVersion::V6, address));
    }
    ([a, b, c, d] != [0; 4]).then_some((IpVersion::V4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
}

/// The key of a path in the dictionary of a batch and side; written into it the first time.
fn route_key(side: Side, found: Found, rib: &mut Rib, batch: &mut Batch, column: usize) -> Option<i32> {
    let at = side as usize;
    // A route that became stale is another entry: the lowest bit tells the two apart.
    let mark = batch.sequence << 1 | u64::from(found.stale);
    let known =
        rib.path_mut(found.path).and_then(|path| path.stamps.get(at)).and_then(|stamp| stamp.key(mark));
    if known.is_some() {
        return known;
    }
    let view = rib.view(found.path)?;
    let entry = batch.add_choice(column, |to| write(&view, found, rib, to))?;
    if let Some(stamp) = rib.path_mut(found.path).and_then(|path| path.stamps.get_mut(at)) {
        *stamp = Stamp::new(mark, entry);
    }
    Some(entry)
}

fn write(view: &PathView<'_>, found: Found, rib: &Rib, to: &mut Vec<u8>) {
    let mut labels = [0; route::MAX_LABEL_OCTETS];
    let labels = rib.labels_into(found.path, &mut labels);
    let rd = match view.table {
        TableKey::Distinguisher(rd) => Some(rd),
        TableKey::Default | TableKey::Local(_) => None,
    };
    RouteOctets::write(
        &JoinedRoute {
            prefix: view.prefix,
            peer: view.peer.address,
            peer_as: view.peer.autonomous_system,
            view: view.view,
            rd,
            labels,
            stale: view.standing == Standing::Stale,
            attributes: view.attributes,
        },
        to,
    );
}
