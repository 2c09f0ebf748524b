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

/// Looks every key up and appends one value for each to the join columns of this side, before
/// [`Batch::finish_rows`]. Counts how each ended.
pub fn join(side: Side, keys: &[Key], rib: &mut Rib, batch: &mut Batch, ledgers: &mut Ledgers) {
    let columns = Columns::of(&batch.schema, side);
    for key in keys {
        let (end, found) = match look_up(key, rib) {
            Ok(found) => (JoinEnd::Found, Some(found)),
            Err(miss) => (miss, None),
        };
        ledgers.join(side, end, 1);
        put(batch, columns.result, Some(end.index() as u64));
        let looked_up = key.address.is_some();
        put(batch, columns.used_element, looked_up.then_some(u64::from(key.used_element)));
        put(batch, columns.vrf_from, looked_up.then_some(key.vrf.from as u64));
        put(batch, columns.picked_by, found.map(|found| found.picked_by as u64));
        let Some(column) = columns.route else { continue };
        match found.and_then(|found| route_key(side, found, rib, batch, column)) {
            Some(entry) => batch.push_choice(column, entry),
            None => batch.push_absent(column),
        }
    }
}

fn put(batch: &mut Batch, column: Option<usize>, value: Option<u64>) {
    match (column, value) {
        (Some(column), Some(value)) => batch.push_integer(column, value),
        (Some(column), None) => batch.push_absent(column),
        (None, _) => {}
    }
}

fn look_up(key: &Key, rib: &mut Rib) -> Result<Found, JoinEnd> {
    let (version, address) = key.address.and_then(native).ok_or(JoinEnd::NoAddress)?;
    let table = table(&key.vrf, rib);
    let next_hop = key.next_hop.filter(|address| native(*address).is_some());
    if let Some(table) = table
        && let Some(found) = rib.find(&Lookup { table, version, address, next_hop })
    {
        return Ok(found);
    }
    Err(if rib.sessions() == 0 {
        JoinEnd::NoSession
    } else if rib.is_dump_running(version) {
        JoinEnd::DumpRunning
    } else if table.is_none() {
        JoinEnd::NoVrf
    } else {
        JoinEnd::NoRoute
    })
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
