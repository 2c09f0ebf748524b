//! One BMP session: whole messages in, rows and changes of the RIB out, in the order of the stream.

use wire::bgp::{MessageType, Update};
use wire::bmp::{Frame, Message, PeerHeader, PeerType, RouteMonitoring, Tagged};
use wire::{Malformed, Reason};

use super::Shared;
use super::lines::Lines;
use super::peer::{Peers, TooMany};
use super::route::{self, Work};
use super::row::{self, MessageRow};
use crate::Turn;
use crate::input::StreamId;
use crate::ledger::{Kind, MessageEnd, Protocol};
use crate::message::{Context, write_error, write_verdict};
use crate::rib::{Rib, RibLimits};

/// Octets of the router's own name that are kept.
const MAX_NAME: usize = 255;

/// One session. One a stream; a lost one stays as long as its routes count.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) stream: StreamId,
    pub(crate) id: u64,
    /// Its rows, numbered.
    pub(crate) lines: Lines,
    /// The router's port.
    pub(crate) port: u16,
    pub(crate) state: State,
    pub(crate) peers: Peers,
    /// Octets of a message that was not whole when last seen.
    pub(crate) pending: usize,
    /// Whether a whole message was seen: framing is known.
    pub(crate) framed: bool,
    pub(crate) last_unix_ns: u64,
    pub(crate) messages: u64,
    /// `sysName` of its Initiation.
    pub(crate) system: Option<Box<str>>,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its stream is open.
    Open,
    /// Its stream is gone: its routes count as stale.
    Lost {
        /// Since when, monotonic ns.
        since_ns: u64,
        /// Why.
        reason: &'static str,
    },
}

/// What a session wants after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The next one.
    GoOn,
    /// An end, for this reason.
    Close(&'static str),
}

impl Session {
    pub(crate) fn new(stream: StreamId, id: u64, port: u16, unix_ns: u64) -> Self {
        Self {
            stream,
            id,
            lines: Lines::default(),
            port,
            state: State::Open,
            peers: Peers::default(),
            pending: 0,
            framed: false,
            last_unix_ns: unix_ns,
            messages: 0,
            system: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Takes one whole message and counts how it ended.
    pub(crate) fn message(
        &mut self,
        frame: &Frame<'_>,
        rib: &mut Rib,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) -> Wish {
        self.framed = true;
        self.messages = self.messages.saturating_add(1);
        self.last_unix_ns = turn.now.unix_ns;
        let message = match frame.message() {
            Ok(message) => message,
            Err(malformed) => {
                write_error(turn, Protocol::Bmp, malformed, frame.octets);
                turn.ledgers.message(Protocol::Bmp, MessageEnd::Malformed);
                return Wish::GoOn;
            }
        };
        let limits = RibLimits::from(turn.settings);
        let end = match &message {
            Message::RouteMonitoring(monitoring) => self.routes(frame, monitoring, limits, rib, shared, turn),
            Message::PeerUp(up) => {
                let now = turn.now.unix_ns;
                let max = turn.settings.max_peers_per_session;
                let told = self.peers.up(up, self.id, now, rib, &limits, max);
                self.row(Kind::PeerUp, frame, shared, turn);
                told.map_or_else(|TooMany| MessageEnd::TooManyPeers, |()| MessageEnd::Decoded)
            }
            Message::PeerDown(down) => {
                let was_up = self.peers.down(&down.peer, turn.now.unix_ns, rib);
                self.row(Kind::PeerDown, frame, shared, turn);
                if was_up { MessageEnd::Decoded } else { MessageEnd::NoPeer }
            }
            Message::StatisticsReport(_) => self.told(Kind::Stats, frame, shared, turn),
            Message::RouteMirroring(_) => self.told(Kind::Mirror, frame, shared, turn),
            Message::Initiation(initiation) => {
                if let Some(name) = initiation.sys_name().and_then(|name| name.valid()) {
                    self.system = name.get(..name.len().min(MAX_NAME)).map(Into::into);
                }
                self.told(Kind::Initiation, frame, shared, turn)
            }
            Message::Termination(_) => self.told(Kind::Termination, frame, shared, turn),
            Message::Unknown { .. } => MessageEnd::UnknownType,
        };
        turn.ledgers.message(Protocol::Bmp, end);
        match message {
            // RFC 7854 section 4.5: the station must close after it.
            Message::Termination(_) => Wish::Close("termination"),
            Message::RouteMonitoring(_)
            | Message::PeerUp(_)
            | Message::PeerDown(_)
            | Message::StatisticsReport(_)
            | Message::RouteMirroring(_)
            | Message::Initiation(_)
            | Message::Unknown { .. } => Wish::GoOn,
        }
    }

    fn told(
        &mut self,
        kind: Kind,
        frame: &Frame<'_>,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) -> MessageEnd {
        self.row(kind, frame, shared, turn);
        MessageEnd::Decoded
    }

    fn routes(
        &mut self,
        frame: &Frame<'_>,
        monitoring: &RouteMonitoring<'_>,
        limits: RibLimits,
        rib: &mut Rib,
        shared: &mut Shared,
        turn: &mut Turn<'_>,
    ) -> MessageEnd {
        let Reading { update, tagged, trailing } = match read(monitoring) {
            Ok(read) => read,
            Err(malformed) => {
                write_error(turn, Protocol::Bmp, malformed, frame.octets);
                return MessageEnd::Malformed;
            }
        };
        let header = &monitoring.peer;
        if self.peers.find(header).is_none() {
            // Several routers show their Loc-RIB without any Peer Up (GoBGP 3.10, FRR); its AS numbers always have
            // 4 octets (RFC 9069 section 5.4.1), so nothing is guessed that a Peer Up would have told.
            let is_loc_rib = header.peer_type() == PeerType::LocRib;
            if !is_loc_rib && !turn.settings.bmp_assume_peers {
                return MessageEnd::NoPeer;
            }
            let (now, max) = (turn.now.unix_ns, turn.settings.max_peers_per_session);
            if self.peers.assume(header, self.id, now, rib, &limits, max).is_err() {
                return MessageEnd::TooManyPeers;
            }
        }
        let Some(peer) = self.peers.find(header) else { return MessageEnd::NoPeer };
        let message = route::Message::new(self.id, frame.version, *header, frame.octets, limits);
        let lines = &mut self.lines;
        let tagged = tagged.as_ref();
        let mut work = Work { message: &message, tagged, peer, ordinal: None, lines, rib, shared, turn };
        let defect = work.update(&update).or_else(|| trailing.map(|malformed| (malformed, None)));
        match defect {
            None => MessageEnd::Decoded,
            Some((malformed, verdict)) => {
                write_verdict(turn, malformed, verdict, frame.octets);
                MessageEnd::Partial
            }
        }
    }

    /// A row that carries the whole message.
    fn row(&mut self, kind: Kind, frame: &Frame<'_>, shared: &mut Shared, turn: &mut Turn<'_>) {
        let Some(sequence) = self.next_sequence(kind, turn) else { return };
        let four_octet_as = peer_header(frame).is_none_or(|header| !header.is_legacy_as_path());
        let row = MessageRow {
            kind,
            of: Some((frame.version, self.id, sequence)),
            context: Context::Bmp { session: self.id, sequence, four_octet_as },
            octets: frame.octets,
        };
        let end = row::message(&shared.columns, &mut shared.context, turn, &row);
        self.lines.ended(sequence, end);
    }

    /// A row that says what became of the session.
    pub(crate) fn tell(&mut self, state: &str, reason: &str, shared: &mut Shared, turn: &mut Turn<'_>) {
        let Some(sequence) = self.next_sequence(Kind::Session, turn) else { return };
        let context = Context::Session { session: self.id, sequence, port: self.port, state, reason };
        self.bare(Kind::Session, context, Some(sequence), shared, turn);
    }

    /// The next line number; none for a kind that nobody wants, which is counted.
    pub(crate) fn next_sequence(&mut self, kind: Kind, turn: &mut Turn<'_>) -> Option<u64> {
        if !row::is_wanted(turn, kind) {
            turn.ledgers.records_in(kind, 1);
            turn.ledgers.records(kind, crate::ledger::RecordEnd::NotWanted, 1);
            return None;
        }
        Some(self.lines.next())
    }
}

/// What a Route Monitoring message holds.
struct Reading<'a> {
    update: Update<'a>,
    /// Version 4, which wraps the UPDATE into TLVs (draft-ietf-grow-bmp-tlv): those.
    tagged: Option<Tagged<'a>>,
    /// Octets behind the UPDATE of version 3, which has it alone.
    trailing: Option<Malformed>,
}

fn read<'a>(monitoring: &RouteMonitoring<'a>) -> Result<Reading<'a>, Malformed> {
    if monitoring.version >= 4 {
        let tagged = monitoring.tagged(None)?;
        return Ok(Reading { update: tagged.update, tagged: Some(tagged), trailing: None });
    }
    let (message, trailing) = monitoring.message()?;
    if message.kind != MessageType::Update {
        return Err(monitoring.body.malformed(Reason::BadMessageType, message.octets.len()));
    }
    let end = message.body.offset() + message.body.remaining();
    let trailing = (trailing > 0).then(|| Malformed::new(Reason::TrailingOctets, end, trailing));
    Ok(Reading { update: Update::parse(message.body), tagged: None, trailing })
}

fn peer_header(frame: &Frame<'_>) -> Option<PeerHeader> {
    frame.message().ok()?.peer().copied()
}
