//! A collector that is fed one router's BMP, and the rows that come out. Part of the tests that include it.
#![allow(unreachable_pub, dead_code, reason = "each test that includes this file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test cannot do without fails it"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use collector::batch::{Batch, BatchLimits, WorkerId};
use collector::ledger::{Kind, RouteAction};
use collector::message::Context;
use collector::schema::{Column, Origin, RecordField, RouteField, Schema, Side, Store, TableId};
use collector::{CLOSE_STREAM, Collector, Drain, Input, Now, Outlet, Schemas, Settings, StreamEnd, StreamId};
use wire::bgp::{AsWidth, Family, Prefix, SegmentKind};
use wire::bmp::PeerHeader;
use wire::emit::{bgp, bmp};

/// The router's address.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// A second, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// A row of the tables routes and messages, as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A route: action, family, path id, profile and TLVs of version 4, NLRI, attributes, session, line number.
    Route {
        action: RouteAction,
        family: Family,
        path_id: Option<u32>,
        tlvs: Vec<u8>,
        nlri: Vec<u8>,
        attributes: Option<Vec<u8>>,
        peer: Vec<u8>,
        sequence: u64,
    },
    /// A BMP message: kind, line number, length.
    Message { kind: Kind, sequence: u64, octets: usize },
    /// What became of the session.
    Session { state: String, reason: String, sequence: u64 },
    /// Lines that were lost.
    Gap { first: u64, last: u64 },
    /// Begin or end of a dump.
    Dump { end: bool, sequence: u64 },
    /// Octets that do not read; of an UPDATE with the verdict.
    Error { reason: String, verdict: String },
}

impl Row {
    /// Line number within the session.
    pub fn sequence(&self) -> Option<u64> {
        match self {
            Self::Route { sequence, .. }
            | Self::Message { sequence, .. }
            | Self::Dump { sequence, .. }
            | Self::Session { sequence, .. } => Some(*sequence),
            Self::Gap { .. } | Self::Error { .. } => None,
        }
    }
}

/// The schemas of all tables with every column that BMP and the join write.
pub fn schemas() -> Schemas {
    use RecordField as F;
    let record =
        |(field, store)| Column { name: format!("{field:?}").into(), origin: Origin::Record(field), store };
    let common = [(F::Exporter, Store::Fixed16), (F::ReceiveTime, Store::Fixed8), (F::Frame, Store::Fixed8)];
    let session = [(F::Version, Store::Fixed1), (F::Session, Store::Fixed8), (F::Sequence, Store::Fixed8)];
    let routes = [
        (F::Peer, Store::Choice),
        (F::PeerTimestamp, Store::Fixed8),
        (F::Action, Store::Fixed1),
        (F::Afi, Store::Fixed2),
        (F::Safi, Store::Fixed1),
        (F::PathId, Store::Fixed4),
        (F::Tlvs, Store::Octets),
        (F::Nlri, Store::Octets),
        (F::Attributes, Store::Choice),
    ];
    let messages = [(F::Kind, Store::Fixed1), (F::Context, Store::Octets), (F::Octets, Store::Octets)];
    let join = [
        (RouteField::Result, Store::Fixed1),
        (RouteField::Route, Store::Route),
        (RouteField::UsedElement, Store::Fixed2),
        (RouteField::VrfFrom, Store::Fixed1),
        (RouteField::PickedBy, Store::Fixed1),
    ];
    TableId::ALL.map(|table| {
        let mut columns: Vec<Column> = common.into_iter().map(record).collect();
        match table {
            TableId::Flows => {
                columns.extend([Side::Destination, Side::Source].into_iter().flat_map(|side| {
                    join.map(|(field, store)| Column {
                        name: format!("{side:?}{field:?}").into(),
                        origin: Origin::Join { side, field },
                        store,
                    })
                }));
            }
            TableId::Routes => columns.extend(session.into_iter().chain(routes).map(record)),
            TableId::Messages => columns.extend(session.into_iter().chain(messages).map(record)),
        }
        Arc::new(Schema { table, columns: columns.into() })
    })
}

/// One router's BMP on its way into a collector.
pub struct Station {
    pub collector: Collector,
    pub out: Outlet,
    pub drain: Drain,
    pub now: Now,
    rest: Vec<u8>,
}

impl Station {
    pub fn new(settings: Settings) -> Self {
        Self::with_batches(settings, 64, BatchLimits { rows: 1_000, octets: 1 << 20 })
    }

    pub fn with_batches(settings: Settings, batches: usize, limits: BatchLimits) -> Self {
        let schemas = schemas();
        let (out, drain) = Outlet::new(WorkerId(0), &schemas, batches, limits);
        let now = Now { monotonic_ns: SECOND, unix_ns: 1_700_000_000 * SECOND, frame: 0 };
        Self { collector: Collector::new(settings, schemas), out, drain, now, rest: Vec::new() }
    }

    pub fn wait(&mut self, ns: u64) {
        self.now.monotonic_ns += ns;
        self.now.unix_ns += ns;
        // A sweep goes in slices: as a worker would, until nothing is due.
        while self.collector.tick(self.now, &mut self.out).is_some_and(|next| next <= self.now.monotonic_ns) {
        }
    }

    pub fn open(&mut self, stream: u64) {
        let from = SocketAddr::new(IpAddr::V4(ROUTER), 33_000);
        let to = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1_790);
        self.rest.clear();
        let opened = Input::Opened { stream: StreamId(stream), from, to };
        self.collector.accept(self.now, opened, &mut self.out);
    }

    /// Gives octets as a source does: with what was not consumed before in front. False: the stream is to be closed.
    pub fn feed(&mut self, stream: u64, octets: &[u8]) -> bool {
        self.rest.extend_from_slice(octets);
        let received = Input::Received { stream: StreamId(stream), octets: &self.rest };
        let consumed = self.collector.accept(self.now, received, &mut self.out);
        if consumed == CLOSE_STREAM {
            self.rest.clear();
            return false;
        }
        self.rest.drain(..consumed);
        true
    }

    pub fn close(&mut self, stream: u64, end: StreamEnd) {
        let closed = Input::Closed { stream: StreamId(stream), end };
        self.collector.accept(self.now, closed, &mut self.out);
    }

    /// Another worker takes the router over: what was saved, the undecoded octets, the time.
    pub fn taken_over(&self, settings: Settings) -> Self {
        let mut saved = Vec::new();
        let id = self.collector.router(collector::sixteen(ROUTER.into())).unwrap();
        self.collector.save(id, &mut saved);
        let mut other = Self::new(settings);
        other.collector.restore(&saved).unwrap();
        other.rest = self.rest.clone();
        other.now = self.now;
        other
    }

    /// Octets given and not consumed yet.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// All rows since the last call; those of one table in order.
    pub fn rows(&mut self) -> Vec<Row> {
        self.out.publish();
        let mut rows = Vec::new();
        while let Some(batch) = self.drain.take() {
            rows.extend((0..batch.rows).map(|row| read(&batch, row)));
        }
        rows
    }

    /// A session on stream 1.
    pub fn opened(settings: Settings) -> Self {
        let mut station = Self::new(settings);
        station.open(1);
        station
    }

    /// A session with these peers up and nothing else said.
    pub fn with_peers(settings: Settings, peers: &[PeerHeader]) -> Self {
        let mut station = Self::opened(settings);
        let ups: Vec<u8> = peers.iter().flat_map(|header| peer_up(header, |_| {})).collect();
        assert!(station.feed(1, &ups));
        station.rows();
        station
    }

    /// All rows in the order of their line numbers.
    pub fn session_rows(&mut self) -> Vec<Row> {
        let mut rows = self.rows();
        rows.retain(|row| row.sequence().is_some());
        rows.sort_by_key(Row::sequence);
        rows
    }
}

fn integer(batch: &Batch, row: u32, field: RecordField) -> Option<u64> {
    let column = batch.schema.field(field)?;
    batch.is_present(column, row).then(|| batch.values[column].integer(row as usize))?
}

fn octets(batch: &Batch, row: u32, field: RecordField) -> Option<Vec<u8>> {
    let column = batch.schema.field(field)?;
    batch.is_present(column, row).then(|| batch.values[column].octets(row as usize).map(Into::into))?
}

fn read(batch: &Batch, row: u32) -> Row {
    use RecordField as F;
    let number = |field| integer(batch, row, field);
    if batch.schema.table == TableId::Routes {
        return Row::Route {
            action: RouteAction::ALL[number(F::Action).unwrap() as usize],
            family: Family::new(number(F::Afi).unwrap() as u16, number(F::Safi).unwrap() as u8),
            path_id: number(F::PathId).map(|id| id as u32),
            tlvs: octets(batch, row, F::Tlvs).unwrap_or_default(),
            nlri: octets(batch, row, F::Nlri).unwrap(),
            attributes: octets(batch, row, F::Attributes),
            peer: octets(batch, row, F::Peer).unwrap(),
            sequence: number(F::Sequence).unwrap(),
        };
    }
    let kind = Kind::ALL[number(F::Kind).unwrap() as usize];
    let context = octets(batch, row, F::Context).unwrap();
    let length = octets(batch, row, F::Octets).unwrap().len();
    match Context::read(&context).unwrap() {
        Context::Bmp { sequence, .. } => Row::Message { kind, sequence, octets: length },
        Context::Session { state, reason, sequence, .. } => {
            Row::Session { state: state.into(), reason: reason.into(), sequence }
        }
        Context::Gap { first, last, .. } => Row::Gap { first, last },
        Context::Dump { sequence, end, .. } => Row::Dump { end, sequence },
        Context::Error { reason, verdict, .. } => {
            Row::Error { reason: reason.into(), verdict: verdict.into() }
        }
        other => panic!("{other:?}"),
    }
}

/// A peer of the default table, before policy.
pub fn peer(last: u8) -> PeerHeader {
    let address = Ipv4Addr::new(10, 0, 0, last);
    bmp::peer(address.into(), 65_000 + u32::from(last), address)
}

/// Its Peer Up: both sides speak IPv4 and IPv6 with 4-octet AS numbers, and what `more` adds to both.
pub fn peer_up(header: &PeerHeader, more: impl Fn(&mut bgp::Open)) -> Vec<u8> {
    let open = |autonomous_system, id| {
        let mut open = bgp::Open::new(autonomous_system, 180, id);
        open.multiprotocol(Family::IPV4_UNICAST).multiprotocol(Family::IPV6_UNICAST).four_octet_as();
        more(&mut open);
        open.finish()
    };
    let (sent, received) = (open(64_999, ROUTER), open(header.autonomous_system, header.bgp_id));
    bmp::peer_up(header, (ROUTER.into(), 179), 40_000, &sent, &received, &[])
}

/// A prefix.
pub fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(address.parse().unwrap(), length.parse().unwrap())
}

/// An UPDATE that announces IPv4 prefixes with this AS path and next hop.
pub fn announce(header: &PeerHeader, prefixes: &[&str], path: &[u32], next_hop: [u8; 4]) -> Vec<u8> {
    let mut update = bgp::Update::new(AsWidth::Four);
    update.origin(wire::bgp::attribute::Origin::Igp).as_path(&[(SegmentKind::Sequence, path)]);
    update.next_hop(next_hop.into());
    for text in prefixes {
        update.announce(None, &prefix(text));
    }
    bmp::route_monitoring(header, &update.finish())
}

/// An UPDATE that withdraws IPv4 prefixes.
pub fn withdraw(header: &PeerHeader, prefixes: &[&str]) -> Vec<u8> {
    let mut update = bgp::Update::new(AsWidth::Four);
    for text in prefixes {
        update.withdraw(None, &prefix(text));
    }
    bmp::route_monitoring(header, &update.finish())
}
