//! Questions to a worker: what its sessions and RIBs hold, answered a slice at a time as rows.
//!
//! Answers are not telemetry: they are written into an outlet of the asker's, and no ledger counts them. What is
//! asked may change between two slices; every answer is true at the moment of its own slice.

mod state;

use wire::bgp::{Family, IpVersion, Prefix, family};
use wire::bmp::RibView;

use crate::Collector;
use crate::batch::Batch;
use crate::input::Now;
use crate::ledger::{Kind, RouteAction};
use crate::message::Context;
use crate::outlet::Outlet;
use crate::rib::{PathId, PathView, Rib, Standing, TableKey};
use crate::router::{Router, RouterId};
use crate::schema::{RecordField, TableId};

/// Answers of one slice.
const SLICE: usize = 256;

/// A question. Routers are named by their address, IPv4 as IPv4-mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Flow sessions: rows of kind [`Kind::Exporter`].
    Exporters,
    /// Templates of flow sessions: rows of kind [`Kind::Template`].
    Templates,
    /// Peers of BMP sessions, and sessions without any: rows of kind [`Kind::Peer`].
    Peers,
    /// Routes that count, as announcements in the table of routes.
    Rib {
        /// Of this router only.
        router: Option<[u8; 16]>,
        /// Of exactly this prefix, in all tables.
        prefix: Option<Prefix>,
    },
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    router: u32,
    place: u32,
}

/// How one router's part of a slice ended.
enum Part {
    /// All told.
    Done,
    /// To be gone on with from this place: the slice is full, or the outlet is.
    From(u32),
}

impl Collector {
    /// Writes the next slice of an answer into `out`, an outlet with this collector's schemas that is not the one
    /// of its telemetry. Start with `Cursor::default()`, go on with the cursor returned until there is none.
    pub fn answer(&mut self, now: Now, query: &Query, from: Cursor, out: &mut Outlet) -> Option<Cursor> {
        let mut left = SLICE;
        let mut place = from.place;
        for number in from.router.. {
            if number as usize >= self.routers.len() {
                break;
            }
            let part = match self.routers.get(RouterId(number)) {
                Some(router) => one(router, now, query, place, &mut left, out),
                None => Part::Done,
            };
            match part {
                Part::Done => place = 0,
                Part::From(place) => return Some(Cursor { router: number, place }),
            }
        }
        None
    }
}

fn one(router: &Router, now: Now, query: &Query, from: u32, left: &mut usize, out: &mut Outlet) -> Part {
    let texts = match query {
        Query::Exporters => state::exporters(router),
        Query::Templates => state::templates(router),
        Query::Peers => state::peers(router),
        Query::Rib { router: Some(address), .. } if *address != router.address => return Part::Done,
        Query::Rib { prefix, .. } => return routes(router, now, *prefix, from, left, out),
    };
    let kind = match query {
        Query::Exporters => Kind::Exporter,
        Query::Templates => Kind::Template,
        Query::Peers | Query::Rib { .. } => Kind::Peer,
    };
    for (place, json) in (0..).zip(&texts).skip(from as usize) {
        if *left == 0 {
            return Part::From(place);
        }
        let Some(batch) = out.batch(TableId::Messages) else { return Part::From(place) };
        *left -= 1;
        common(batch, router, now);
        put(batch, RecordField::Kind, Some(kind.index() as u64));
        if let Some(column) = batch.schema.field(RecordField::Context) {
            let mut octets = Vec::new();
            Context::Answer { json }.write(&mut octets);
            batch.push_octets(column, &octets);
        }
        batch.finish_rows(1);
    }
    Part::Done
}

fn routes(
    router: &Router,
    now: Now,
    prefix: Option<Prefix>,
    from: u32,
    left: &mut usize,
    out: &mut Outlet,
) -> Part {
    let rib = &router.rib;
    let mut next = from;
    let listed: Option<Vec<PathId>> = prefix.map(|prefix| {
        let mut paths: Vec<PathId> =
            rib.tables().ids().flat_map(|table| rib.paths_of(table, &prefix)).collect();
        paths.sort_unstable();
        paths
    });
    loop {
        let id = match &listed {
            Some(paths) => paths.iter().copied().find(|id| id.0 >= next),
            None => rib.next_path(next),
        };
        let Some(id) = id else { return Part::Done };
        if let Some(view) = rib.view(id).filter(|view| view.standing != Standing::Dead) {
            if *left == 0 {
                return Part::From(id.0);
            }
            let Some(batch) = out.batch(TableId::Routes) else { return Part::From(id.0) };
            *left -= 1;
            route(batch, router, now, id, &view);
        }
        next = id.0.saturating_add(1);
    }
}

/// A path as the announcement that it came from.
fn route(batch: &mut Batch, router: &Router, now: Now, id: PathId, view: &PathView<'_>) {
    common(batch, router, now);
    put(batch, RecordField::Version, Some(3));
    put(batch, RecordField::Session, Some(view.session));
    put(batch, RecordField::Action, Some(RouteAction::Announce.index() as u64));
    let afi = if view.prefix.version == IpVersion::V4 { family::AFI_IPV4 } else { family::AFI_IPV6 };
    let family = Family::new(afi, view.safi);
    put(batch, RecordField::Afi, Some(family.afi.into()));
    put(batch, RecordField::Safi, Some(family.safi.into()));
    put(batch, RecordField::PathId, view.path_id.map(u64::from));
    if let Some(column) = batch.schema.field(RecordField::Nlri) {
        batch.push_octets(column, &nlri(&router.rib, id, view));
    }
    choose(batch, RecordField::Peer, &peer_octets(view));
    choose(batch, RecordField::Attributes, view.attributes);
    batch.finish_rows(1);
}

/// The NLRI of a path, made anew: length, labels, RD, prefix.
pub(crate) fn nlri(rib: &Rib, id: PathId, view: &PathView<'_>) -> Vec<u8> {
    let mut room = [0; crate::join::route::MAX_LABEL_OCTETS];
    let labels = rib.labels_into(id, &mut room);
    let mut octets = vec![0];
    octets.extend_from_slice(labels);
    if view.safi == family::SAFI_VPN {
        octets.extend(match view.table {
            TableKey::Distinguisher(rd) => rd,
            TableKey::Default | TableKey::Local(_) => [0; 8],
        });
    }
    let bits = (octets.len() - 1) * 8 + usize::from(view.prefix.length);
    if let Some(length) = octets.first_mut() {
        *length = u8::try_from(bits).unwrap_or(u8::MAX);
    }
    let kept = usize::from(view.prefix.length).div_ceil(8);
    octets.extend_from_slice(view.prefix.octets.get(..kept).unwrap_or_default());
    octets
}

/// The first 34 octets of the per-peer header of a path, made anew (RFC 7854 section 4.2).
pub(crate) fn peer_octets(view: &PathView<'_>) -> Vec<u8> {
    let is_ipv6 = view
        .peer
        .address
        .is_some_and(|address| !address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]));
    let policy = match view.view {
        RibView::AdjRibInPre | RibView::LocRib => 0,
        RibView::AdjRibInPost => 0x40,
        RibView::AdjRibOutPre => 0x10,
        RibView::AdjRibOutPost => 0x50,
    };
    let key = &view.peer.key;
    let mut octets = vec![key.kind, policy | if is_ipv6 { 0x80 } else { 0 }];
    octets.extend(key.distinguisher);
    octets.extend(key.address);
    octets.extend(view.peer.autonomous_system.to_be_bytes());
    octets.extend(key.bgp_id.to_be_bytes());
    octets
}

fn common(batch: &mut Batch, router: &Router, now: Now) {
    if let Some(column) = batch.schema.field(RecordField::Exporter) {
        batch.push_sixteen(column, router.address);
    }
    put(batch, RecordField::ReceiveTime, Some(now.unix_ns));
}

fn put(batch: &mut Batch, field: RecordField, value: Option<u64>) {
    match (batch.schema.field(field), value) {
        (Some(column), Some(value)) => batch.push_integer(column, value),
        (Some(column), None) => batch.push_absent(column),
        (None, _) => {}
    }
}

fn choose(batch: &mut Batch, field: RecordField, octets: &[u8]) {
    let Some(column) = batch.schema.field(field) else { return };
    if let Some(key) = batch.add_choice(column, |to| to.extend_from_slice(octets)) {
        batch.push_choice(column, key);
    }
}
