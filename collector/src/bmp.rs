//! BMP sessions of one router: octets of streams become changes of the RIB and rows of routes and messages.
//!
//! ```text
//! octets -> resync (captures only) -> framed message -> session -+-> peer: both OPENs -> rules of each view
//!                                                                +-> route: UPDATE -> canonical -> rib, rows
//!                                                                +-> rows with the whole message
//! ```
//! Decodes in place and says how many octets it took; the source keeps the rest. Never sends anything.

mod canonical;
mod lines;
mod peer;
mod resync;
mod route;
mod row;
mod saved;
mod session;
mod state;

use std::net::SocketAddr;

use wire::Reason;
use wire::bmp::{Framed, frame};

use crate::Turn;
use crate::input::{CLOSE_STREAM, StreamEnd, StreamId};
use crate::ledger::{MessageEnd, Protocol};
use crate::message::write_error;
use crate::outlet::Schemas;
use crate::rib::Rib;

pub use state::{PeerState, SessionState};

use resync::Start;
use session::{Session, State, Wish};

/// Places of paths that one tick looks at to free dead ones.
const SWEEP_PLACES: usize = 4_096;

/// Why sessions end, as records say it.
const REASONS: [&str; 7] = ["closed", "fin", "rst", "timeout", "termination", "bad_framing", "replaced"];

/// What all BMP sessions of a worker share: columns and scratch space. One a worker.
#[derive(Debug)]
pub struct Shared {
    columns: row::Columns,
    attributes: Vec<u8>,
    context: Vec<u8>,
    /// TLVs about one NLRI, as the column has them.
    tlvs: Vec<u8>,
}

impl Shared {
    /// Prepares for rows of these schemas.
    #[must_use]
    pub fn new(schemas: &Schemas) -> Self {
        Self {
            columns: row::Columns::of(schemas),
            attributes: Vec::new(),
            context: Vec::new(),
            tlvs: Vec::new(),
        }
    }
}

/// The BMP sessions of one router: those with an open stream, and lost ones whose routes still count.
#[derive(Debug, Default)]
pub struct Sessions {
    list: Vec<Session>,
    last_id: u64,
}

impl Sessions {
    /// A stream has begun. With more streams than the limit allows, the one that was silent longest is given up:
    /// a router that comes back before its old stream timed out must not be locked out.
    pub(crate) fn opened(
        &mut self,
        stream: StreamId,
        from: SocketAddr,
        rib: &mut Rib,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) {
        let open = self.list.iter().filter(|session| session.is_open());
        if open.clone().count() >= turn.settings.max_bmp_sessions_per_router.max(1)
            && let Some(oldest) =
                open.min_by_key(|session| session.last_unix_ns).map(|session| session.stream)
        {
            self.lose(oldest, "replaced", rib, shared, turn);
        }
        // Microseconds of the beginning: unique within a router, and exact in any JSON reader.
        self.last_id = (turn.now.unix_ns / 1_000).max(self.last_id.saturating_add(1));
        let mut session = Session::new(stream, self.last_id, from.port(), turn.now.unix_ns);
        rib.session_opened(turn.now.monotonic_ns);
        session.tell("open", "", shared, turn);
        self.list.push(session);
    }

    /// Takes the whole messages at the front of `octets`. Returns the octets consumed, or [`CLOSE_STREAM`].
    pub(crate) fn received(
        &mut self,
        stream: StreamId,
        octets: &[u8],
        rib: &mut Rib,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) -> usize {
        let Some(session) =
            self.list.iter_mut().find(|session| session.stream == stream && session.is_open())
        else {
            return CLOSE_STREAM;
        };
        let mut consumed = 0;
        let reason = loop {
            let Some(rest) = octets.get(consumed..) else { return consumed };
            if turn.settings.bmp_resync && !session.framed {
                match resync::find(rest, turn.settings.max_bmp_message_octets) {
                    Start::Here => {}
                    Start::Skip(skipped) => {
                        turn.ledgers.message_in(Protocol::Bmp);
                        turn.ledgers.message(Protocol::Bmp, MessageEnd::CutOff);
                        consumed += skipped;
                        continue;
                    }
                    Start::NeedMore => {
                        session.pending = rest.len();
                        return consumed;
                    }
                }
            }
            match frame(rest, turn.settings.max_bmp_message_octets) {
                Framed::Whole(frame) => {
                    turn.ledgers.message_in(Protocol::Bmp);
                    let wish = session.message(&frame, rib, shared, turn);
                    consumed += frame.octets.len();
                    if let Wish::Close(reason) = wish {
                        session.pending = 0;
                        break reason;
                    }
                }
                Framed::NeedMore(_) => {
                    session.pending = rest.len();
                    return consumed;
                }
                Framed::Malformed(malformed) => {
                    turn.ledgers.message_in(Protocol::Bmp);
                    let is_long = malformed.reason == Reason::OverLimit;
                    let end = if is_long { MessageEnd::TooLong } else { MessageEnd::Malformed };
                    turn.ledgers.message(Protocol::Bmp, end);
                    write_error(turn, Protocol::Bmp, malformed, rest);
                    session.pending = 0;
                    break "bad_framing";
                }
            }
        };
        self.lose(stream, reason, rib, shared, turn);
        CLOSE_STREAM
    }

    /// A stream has ended.
    pub(crate) fn closed(
        &mut self,
        stream: StreamId,
        end: StreamEnd,
        rib: &mut Rib,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) {
        let reason = match end {
            StreamEnd::Fin => "fin",
            StreamEnd::Reset => "rst",
            StreamEnd::Timeout => "timeout",
            StreamEnd::Closed => "closed",
        };
        self.lose(stream, reason, rib, shared, turn);
    }

    /// Expires stale routes, frees a slice of dead ones. Returns the next monotonic ns with something to do.
    pub(crate) fn tick(&mut self, rib: &mut Rib, shared: &mut Shared, turn: &mut Turn<'_>) -> Option<u64> {
        let now = turn.now.monotonic_ns;
        let mut next = rib.tick(now);
        let mut at = 0;
        while let Some(session) = self.list.get(at) {
            match session.state {
                State::Lost { since_ns, .. } => {
                    let until = since_ns.saturating_add(turn.settings.stale_routes_ns);
                    if until <= now {
                        self.expire(at, rib, shared, turn);
                        continue;
                    }
                    next = [next, Some(until)].into_iter().flatten().min();
                }
                State::Open => {}
            }
            at += 1;
        }
        for session in &mut self.list {
            next = [next, session.make_good(rib, shared, turn)].into_iter().flatten().min();
        }
        if rib.sweep(SWEEP_PLACES) { Some(now) } else { next }
    }

    /// A session is over: what it told counts as stale for a while.
    fn lose(
        &mut self,
        stream: StreamId,
        reason: &'static str,
        rib: &mut Rib,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) {
        let Some(at) = self.list.iter().position(|session| session.stream == stream && session.is_open())
        else {
            return;
        };
        let Some(session) = self.list.get_mut(at) else { return };
        if session.pending > 0 {
            session.pending = 0;
            turn.ledgers.message_in(Protocol::Bmp);
            turn.ledgers.message(Protocol::Bmp, MessageEnd::CutOff);
        }
        session.state = State::Lost { since_ns: turn.now.monotonic_ns, reason };
        rib.session_closed();
        session.tell("closed", reason, shared, turn);
        let mut is_stale = false;
        for peer in session.peers.by_key.values() {
            if peer.up {
                rib.lose_peer(peer.rib, turn.now.monotonic_ns);
                is_stale = true;
            } else {
                rib.remove_peer(peer.rib);
            }
        }
        if !is_stale || turn.settings.stale_routes_ns == 0 {
            return self.expire(at, rib, shared, turn);
        }
        session.tell("stale", reason, shared, turn);
        let lost = self.list.iter().filter(|session| !session.is_open()).count();
        if lost > turn.settings.max_bmp_sessions_per_router.max(1)
            && let Some(oldest) = self.list.iter().position(|session| !session.is_open())
        {
            self.expire(oldest, rib, shared, turn);
        }
    }

    /// A lost session's routes are gone, but for those of peers that another session has taken over.
    fn expire(&mut self, at: usize, rib: &mut Rib, shared: &mut Shared, turn: &mut Turn<'_>) {
        if at >= self.list.len() {
            return;
        }
        let mut session = self.list.remove(at);
        let State::Lost { reason, .. } = session.state else { return };
        let mut had_peers = false;
        for peer in session.peers.by_key.values().filter(|peer| peer.up) {
            had_peers = true;
            let owner = rib.peers().get(peer.rib).map(|peer| (peer.session(), peer.is_stale()));
            if owner == Some((session.id, true)) {
                rib.remove_peer(peer.rib);
            }
        }
        if had_peers {
            session.tell("expired", reason, shared, turn);
        }
    }
}
