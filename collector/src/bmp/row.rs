//! Rows of BMP: what a session has decoded, written into the batches of the tables routes and messages. Counts
//! every record and how it ended; never decides what a message means.

use wire::bgp::Family;

use crate::Turn;
use crate::batch::Batch;
use crate::ledger::{Kind, RecordEnd, RouteAction};
use crate::message::Context;
use crate::outlet::Schemas;
use crate::rib::attributes::Stamp;
use crate::schema::{RecordField, Schema, TableId};

/// Positions of the columns that BMP writes; those that no sink wants are missing.
#[derive(Debug)]
pub(crate) struct Columns {
    routes: Option<RouteColumns>,
    messages: Option<MessageColumns>,
}

#[derive(Debug)]
struct RouteColumns {
    common: Common,
    version: Option<usize>,
    session: Option<usize>,
    sequence: Option<usize>,
    peer: Option<usize>,
    peer_timestamp: Option<usize>,
    action: Option<usize>,
    afi: Option<usize>,
    safi: Option<usize>,
    path_id: Option<usize>,
    tlvs: Option<usize>,
    nlri: Option<usize>,
    attributes: Option<usize>,
}

#[derive(Debug)]
struct MessageColumns {
    common: Common,
    version: Option<usize>,
    session: Option<usize>,
    sequence: Option<usize>,
    kind: Option<usize>,
    context: Option<usize>,
    octets: Option<usize>,
}

#[derive(Debug)]
struct Common {
    exporter: Option<usize>,
    receive_time: Option<usize>,
    frame: Option<usize>,
}

impl Common {
    fn of(schema: &Schema) -> Self {
        Self {
            exporter: schema.field(RecordField::Exporter),
            receive_time: schema.field(RecordField::ReceiveTime),
            frame: schema.field(RecordField::Frame),
        }
    }
}

impl Columns {
    pub(crate) fn of(schemas: &Schemas) -> Self {
        let schema = |table: TableId| schemas.iter().find(|schema| schema.table == table);
        Self {
            routes: schema(TableId::Routes).map(|schema| RouteColumns {
                common: Common::of(schema),
                version: schema.field(RecordField::Version),
                session: schema.field(RecordField::Session),
                sequence: schema.field(RecordField::Sequence),
                peer: schema.field(RecordField::Peer),
                peer_timestamp: schema.field(RecordField::PeerTimestamp),
                action: schema.field(RecordField::Action),
                afi: schema.field(RecordField::Afi),
                safi: schema.field(RecordField::Safi),
                path_id: schema.field(RecordField::PathId),
                tlvs: schema.field(RecordField::Tlvs),
                nlri: schema.field(RecordField::Nlri),
                attributes: schema.field(RecordField::Attributes),
            }),
            messages: schema(TableId::Messages).map(|schema| MessageColumns {
                common: Common::of(schema),
                version: schema.field(RecordField::Version),
                session: schema.field(RecordField::Session),
                sequence: schema.field(RecordField::Sequence),
                kind: schema.field(RecordField::Kind),
                context: schema.field(RecordField::Context),
                octets: schema.field(RecordField::Octets),
            }),
        }
    }
}

/// Octets that go into a dictionary, with the key that they have in the open batch.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) stamp: &'a mut Stamp,
}

/// One row of the table of routes.
#[derive(Debug)]
pub(crate) struct RouteRow<'a> {
    pub(crate) version: u8,
    pub(crate) session: u64,
    pub(crate) sequence: u64,
    /// The first 34 octets of the per-peer header.
    pub(crate) peer: Entry<'a>,
    /// Timestamp of the per-peer header, unix ns.
    pub(crate) peer_timestamp: Option<u64>,
    pub(crate) action: RouteAction,
    pub(crate) family: Family,
    pub(crate) path_id: Option<u32>,
    /// Version 4: the profile's number and the TLVs about this NLRI; empty: none.
    pub(crate) tlvs: &'a [u8],
    pub(crate) nlri: &'a [u8],
    /// Canonical attributes; none for withdrawals.
    pub(crate) attributes: Option<Entry<'a>>,
}

/// Whether rows of a kind are wanted by anyone.
pub(crate) fn is_wanted(turn: &Turn<'_>, kind: Kind) -> bool {
    turn.settings.kinds & (1 << kind.index()) != 0
}

/// Writes a route, counts how it ended and says so. The caller has made sure that routes are wanted.
pub(crate) fn route(columns: &Columns, turn: &mut Turn<'_>, row: RouteRow<'_>) -> RecordEnd {
    let end = match (&columns.routes, turn.out.batch(TableId::Routes)) {
        (Some(columns), Some(batch)) => {
            common(&columns.common, batch, turn.exporter, turn.now);
            put(batch, columns.version, Some(row.version.into()));
            put(batch, columns.session, Some(row.session));
            put(batch, columns.sequence, Some(row.sequence));
            choice(batch, columns.peer, Some(row.peer));
            put(batch, columns.peer_timestamp, row.peer_timestamp);
            put(batch, columns.action, Some(row.action.index() as u64));
            put(batch, columns.afi, Some(row.family.afi.into()));
            put(batch, columns.safi, Some(row.family.safi.into()));
            put(batch, columns.path_id, row.path_id.map(u64::from));
            if let Some(column) = columns.tlvs
                && !row.tlvs.is_empty()
            {
                batch.push_octets(column, row.tlvs);
            }
            if let Some(column) = columns.nlri {
                batch.push_octets(column, row.nlri);
            }
            choice(batch, columns.attributes, row.attributes);
            batch.grow_rows(1);
            RecordEnd::Row
        }
        (None, _) => RecordEnd::NotWanted,
        (Some(_), None) => RecordEnd::OutletFull,
    };
    turn.ledgers.records(Kind::Route, end, 1);
    end
}

/// One row of the table of messages.
#[derive(Debug)]
pub(crate) struct MessageRow<'a> {
    pub(crate) kind: Kind,
    /// BMP version, session and line number, where the row has them.
    pub(crate) of: Option<(u8, u64, u64)>,
    pub(crate) context: Context<'a>,
    pub(crate) octets: &'a [u8],
}

/// Writes a message, counts it and how it ended and says so.
pub(crate) fn message(
    columns: &Columns,
    scratch: &mut Vec<u8>,
    turn: &mut Turn<'_>,
    row: &MessageRow<'_>,
) -> RecordEnd {
    turn.ledgers.records_in(row.kind, 1);
    let end = match (&columns.messages, turn.out.batch(TableId::Messages)) {
        (Some(columns), Some(batch)) => {
            common(&columns.common, batch, turn.exporter, turn.now);
            put(batch, columns.version, row.of.map(|(version, ..)| version.into()));
            put(batch, columns.session, row.of.map(|(_, session, _)| session));
            put(batch, columns.sequence, row.of.map(|(.., sequence)| sequence));
            put(batch, columns.kind, Some(row.kind.index() as u64));
            if let Some(column) = columns.context {
                scratch.clear();
                row.context.write(scratch);
                batch.push_octets(column, scratch);
            }
            if let Some(column) = columns.octets {
                batch.push_octets(column, row.octets);
            }
            batch.grow_rows(1);
            RecordEnd::Row
        }
        (None, _) => RecordEnd::NotWanted,
        (Some(_), None) => RecordEnd::OutletFull,
    };
    turn.ledgers.records(row.kind, end, 1);
    end
}

fn common(columns: &Common, batch: &mut Batch, exporter: [u8; 16], now: crate::Now) {
    if let Some(column) = columns.exporter {
        batch.push_sixteen(column, exporter);
    }
    put(batch, columns.receive_time, Some(now.unix_ns));
    put(batch, columns.frame, (now.frame != 0).then_some(now.frame));
}

/// A column without a value is left alone: it gets its absence with those of the next rows.
fn put(batch: &mut Batch, column: Option<usize>, value: Option<u64>) {
    if let (Some(column), Some(value)) = (column, value) {
        batch.push_integer(column, value);
    }
}

fn choice(batch: &mut Batch, column: Option<usize>, entry: Option<Entry<'_>>) {
    let Some(column) = column else { return };
    let Some(entry) = entry else { return };
    let known = entry.stamp.key(batch.sequence);
    if let Some(key) = known.or_else(|| batch.add_choice(column, |to| to.extend_from_slice(entry.octets))) {
        *entry.stamp = Stamp::new(batch.sequence, key);
        batch.push_choice(column, key);
    }
}
