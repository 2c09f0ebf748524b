//! Line numbers of a session, and what becomes of lines that could not be handed out: they are told as a gap as soon
//! as there is room, and made good by a dump of the routes that count, a slice a tick. Never waits for room.

use wire::bgp::{Family, IpVersion, family};

use super::Shared;
use super::row::{self, Entry, MessageRow, RouteRow};
use super::session::Session;
use crate::Turn;
use crate::ledger::{Kind, RecordEnd, RouteAction};
use crate::message::Context;
use crate::query;
use crate::rib::attributes::Stamp;
use crate::rib::{Rib, Standing};
use crate::schema::TableId;

/// Routes that one tick dumps.
const SLICE: usize = 256;
/// How long to wait for room before looking again.
const RETRY_NS: u64 = 100_000_000;
/// Between the beginnings of two dumps: what overruns its sinks must not be made to send yet more.
const PAUSE_NS: u64 = 60_000_000_000;

/// The lines of one session.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Number of the last one.
    pub(crate) last: u64,
    /// First and last of those lost and not told yet. Lines handed out between two losses count as lost too.
    pub(crate) lost: Option<(u64, u64)>,
    /// Whether a consumer misses changes since the last dump.
    is_behind: bool,
    /// The path that a running dump goes on from.
    dump: Option<u32>,
    /// When the last dump began, monotonic ns.
    dumped_ns: Option<u64>,
}

impl Lines {
    /// Lines as they were saved: a dump that ran then starts anew.
    pub(crate) const fn restored(last: u64, lost: Option<(u64, u64)>, is_behind: bool) -> Self {
        Self { last, lost, is_behind, dump: None, dumped_ns: None }
    }

    /// Whether a dump is owed or running.
    pub(crate) const fn is_owed(&self) -> bool {
        self.is_behind || self.dump.is_some()
    }

    /// The next line number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// Notes how the line of a number ended.
    pub(crate) fn ended(&mut self, number: u64, end: RecordEnd) {
        if end == RecordEnd::OutletFull {
            self.lost = Some((self.lost.map_or(number, |(first, _)| first), number));
        }
    }
}

impl Session {
    /// Tells a gap and goes on with a dump, as far as there is room. Returns when to look again, monotonic ns.
    pub(crate) fn make_good(&mut self, rib: &Rib, shared: &mut Shared, turn: &mut Turn<'_>) -> Option<u64> {
        let now = turn.now.monotonic_ns;
        if let Some((first, last)) = self.lines.lost {
            if turn.out.batch(TableId::Messages).is_none() {
                return Some(now.saturating_add(RETRY_NS));
            }
            self.lines.lost = None;
            self.lines.is_behind = row::is_wanted(turn, Kind::Route);
            if row::is_wanted(turn, Kind::Gap) {
                let context = Context::Gap { session: self.id, first, last };
                self.bare(Kind::Gap, context, None, shared, turn);
            } else {
                turn.ledgers.records_in(Kind::Gap, 1);
                turn.ledgers.records(Kind::Gap, RecordEnd::NotWanted, 1);
            }
        }
        if !self.is_open() {
            return None;
        }
        if self.lines.dump.is_none() {
            if !self.lines.is_behind {
                return None;
            }
            let earliest = self.lines.dumped_ns.map_or(0, |then| then.saturating_add(PAUSE_NS));
            // A dump is for sinks that have caught up.
            if turn.out.backlog() > 0 || now < earliest {
                return Some(earliest.max(now.saturating_add(RETRY_NS)));
            }
            self.lines.is_behind = false;
            self.lines.dumped_ns = Some(now);
            self.lines.dump = Some(0);
            self.bound(false, shared, turn);
        }
        self.dump(rib, shared, turn)
    }

    /// One slice of a dump: the routes that this session's peers have.
    fn dump(&mut self, rib: &Rib, shared: &mut Shared, turn: &mut Turn<'_>) -> Option<u64> {
        let now = turn.now.monotonic_ns;
        let mut place = self.lines.dump?;
        for _ in 0..SLICE {
            let Some(id) = rib.next_path(place) else {
                self.lines.dump = None;
                self.bound(true, shared, turn);
                return None;
            };
            self.lines.dump = Some(id.0);
            place = id.0.saturating_add(1);
            let counts =
                rib.view(id).filter(|view| view.session == self.id && view.standing == Standing::Live);
            let Some(view) = counts else { continue };
            if turn.out.batch(TableId::Routes).is_none() {
                return Some(now.saturating_add(RETRY_NS));
            }
            let afi = if view.prefix.version == IpVersion::V4 { family::AFI_IPV4 } else { family::AFI_IPV6 };
            let (mut peer, mut attributes) = (Stamp::default(), Stamp::default());
            let sequence = self.lines.next();
            turn.ledgers.records_in(Kind::Route, 1);
            let end = row::route(
                &shared.columns,
                turn,
                RouteRow {
                    version: 3,
                    session: self.id,
                    sequence,
                    peer: Entry { octets: &query::peer_octets(&view), stamp: &mut peer },
                    peer_timestamp: None,
                    action: RouteAction::Announce,
                    family: Family::new(afi, view.safi),
                    path_id: view.path_id,
                    tlvs: &[],
                    nlri: &query::nlri(rib, id, &view),
                    attributes: Some(Entry { octets: view.attributes, stamp: &mut attributes }),
                },
            );
            self.lines.ended(sequence, end);
        }
        self.lines.dump = Some(place);
        Some(now)
    }

    /// Begin or end of a dump.
    fn bound(&mut self, end: bool, shared: &mut Shared, turn: &mut Turn<'_>) {
        let Some(sequence) = self.next_sequence(Kind::Dump, turn) else { return };
        let context = Context::Dump { session: self.id, sequence, end };
        self.bare(Kind::Dump, context, Some(sequence), shared, turn);
    }

    /// A row without octets of the wire.
    pub(crate) fn bare(
        &mut self,
        kind: Kind,
        context: Context<'_>,
        sequence: Option<u64>,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) {
        let of = sequence.map(|sequence| (3, self.id, sequence));
        let row = MessageRow { kind, of, context, octets: &[] };
        let end = row::message(&shared.columns, &mut shared.context, turn, &row);
        if let Some(sequence) = sequence {
            self.lines.ended(sequence, end);
        }
    }
}
