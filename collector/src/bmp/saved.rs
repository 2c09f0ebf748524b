//! BMP sessions as octets, with their peers and the rules by which their UPDATEs read; and back.

use serde::{Deserialize, Serialize};
use wire::bgp::{AsWidth, FamilySet, Session as Rules};

use super::lines::Lines;
use super::peer::{Peer, Peers};
use super::session::{Session, State};
use super::{REASONS, Sessions};
use crate::input::StreamId;
use crate::rib::attributes::Stamp;
use crate::rib::peer::VIEWS;
use crate::rib::{PeerId, PeerKey, Rib};
use crate::saved::{Reader, Refused, Writer};
use crate::settings::Settings;

#[derive(Serialize, Deserialize)]
struct SavedSession {
    stream: u64,
    id: u64,
    sequence: u64,
    /// Lines lost and not told yet, and whether a dump is owed.
    gap: Option<(u64, u64)>,
    is_behind: bool,
    port: u16,
    /// Since when it is lost, and why, as a position in [`REASONS`].
    lost: Option<(u64, u8)>,
    pending: u64,
    framed: bool,
    last_unix_ns: u64,
    messages: u64,
    system: Option<Box<str>>,
    peers: Vec<SavedPeer>,
}

#[derive(Serialize, Deserialize)]
struct SavedPeer {
    kind: u8,
    distinguisher: [u8; 8],
    address: [u8; 16],
    bgp_id: u32,
    rib: u32,
    up: bool,
    assumed: bool,
    told: [bool; 2],
    families: u32,
    rules: [SavedRules; VIEWS],
    since_unix_ns: u64,
    name: Option<Box<str>>,
    routes: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct SavedRules {
    wide: bool,
    add_path: u32,
    multiple_labels: u32,
    external: Option<bool>,
}

impl From<Rules> for SavedRules {
    fn from(rules: Rules) -> Self {
        Self {
            wide: rules.as_width == AsWidth::Four,
            add_path: rules.add_path.bits(),
            multiple_labels: rules.multiple_labels.bits(),
            external: rules.external,
        }
    }
}

impl From<SavedRules> for Rules {
    fn from(saved: SavedRules) -> Self {
        Self {
            as_width: if saved.wide { AsWidth::Four } else { AsWidth::Two },
            add_path: FamilySet::from_bits(saved.add_path),
            multiple_labels: FamilySet::from_bits(saved.multiple_labels),
            external: saved.external,
        }
    }
}

impl Sessions {
    /// Appends the sessions.
    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.last_id);
        to.put(&(self.list.len() as u64));
        for session in &self.list {
            to.put(&saved(session));
        }
    }

    /// Reads sessions, within the limits of these settings. Their peers have the numbers of the saved RIB until
    /// [`Sessions::adopt`].
    pub(crate) fn restore(from: &mut Reader<'_>, settings: &Settings) -> Result<Self, Refused> {
        let last_id = from.take()?;
        let count = from.count()?;
        let most = settings.max_bmp_sessions_per_router.max(1).saturating_mul(2).saturating_add(1);
        if count > most as u64 {
            return Err(Refused::TooMany("BMP sessions"));
        }
        let mut sessions = Self { list: Vec::new(), last_id };
        for _ in 0..count {
            let saved: SavedSession = from.take()?;
            if saved.peers.len() > settings.max_peers_per_session {
                return Err(Refused::TooMany("BMP peers"));
            }
            sessions.list.push(restored(saved)?);
        }
        Ok(sessions)
    }

    /// Gives the peers the numbers that they have in the restored RIB.
    pub(crate) fn adopt(&mut self, numbers: &[Option<PeerId>], rib: &Rib) -> Result<(), Refused> {
        for session in &mut self.list {
            // A lost session may name peers that another session has taken over, or that are gone.
            let is_open = session.is_open();
            let mut missing = false;
            session.peers.by_key.retain(|_, peer| {
                let number = numbers.get(peer.rib.0 as usize).copied().flatten();
                match number.and_then(|id| Some((id, rib.peers().get(id)?))) {
                    Some((id, known)) => {
                        (peer.rib, peer.table) = (id, known.facts().table);
                        true
                    }
                    None => {
                        missing |= is_open;
                        false
                    }
                }
            });
            if missing {
                return Err(Refused::Damaged);
            }
        }
        let open = self.list.iter().filter(|session| session.is_open()).count();
        if u32::try_from(open) == Ok(rib.sessions()) { Ok(()) } else { Err(Refused::Damaged) }
    }

    /// The streams that are open.
    pub(crate) fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.list.iter().filter(|session| session.is_open()).map(|session| session.stream)
    }

    /// Gives a stream another name.
    pub(crate) fn rename_stream(&mut self, from: StreamId, to: StreamId) {
        for session in self.list.iter_mut().filter(|session| session.stream == from) {
            session.stream = to;
        }
    }
}

fn saved(session: &Session) -> SavedSession {
    let peers = session.peers.by_key.iter().map(|(key, peer)| SavedPeer {
        kind: key.kind,
        distinguisher: key.distinguisher,
        address: key.address,
        bgp_id: key.bgp_id,
        rib: peer.rib.0,
        up: peer.up,
        assumed: peer.assumed,
        told: peer.told,
        families: peer.families.bits(),
        rules: peer.rules.map(SavedRules::from),
        since_unix_ns: peer.since_unix_ns,
        name: peer.name.clone(),
        routes: peer.routes,
    });
    let number = |reason| REASONS.iter().position(|known| *known == reason);
    SavedSession {
        stream: session.stream.0,
        id: session.id,
        sequence: session.lines.last,
        gap: session.lines.lost,
        is_behind: session.lines.is_owed(),
        port: session.port,
        lost: match session.state {
            State::Open => None,
            State::Lost { since_ns, reason } => {
                Some((since_ns, number(reason).and_then(|n| u8::try_from(n).ok()).unwrap_or(0)))
            }
        },
        pending: session.pending as u64,
        framed: session.framed,
        last_unix_ns: session.last_unix_ns,
        messages: session.messages,
        system: session.system.clone(),
        peers: peers.collect(),
    }
}

fn restored(saved: SavedSession) -> Result<Session, Refused> {
    let state = match saved.lost {
        None => State::Open,
        Some((since_ns, reason)) => State::Lost {
            since_ns,
            reason: REASONS.get(usize::from(reason)).copied().ok_or(Refused::Damaged)?,
        },
    };
    let mut session = Session::new(StreamId(saved.stream), saved.id, saved.port, saved.last_unix_ns);
    session.lines = Lines::restored(saved.sequence, saved.gap, saved.is_behind);
    session.state = state;
    session.pending = usize::try_from(saved.pending).map_err(|_| Refused::Damaged)?;
    session.framed = saved.framed;
    session.messages = saved.messages;
    session.system = saved.system;
    session.peers = Peers { by_key: saved.peers.into_iter().map(peer).collect() };
    Ok(session)
}

fn peer(saved: SavedPeer) -> (PeerKey, Peer) {
    let key = PeerKey {
        kind: saved.kind,
        distinguisher: saved.distinguisher,
        address: saved.address,
        bgp_id: saved.bgp_id,
    };
    let peer = Peer {
        rib: PeerId(saved.rib),
        table: crate::rib::TableId::DEFAULT,
        up: saved.up,
        assumed: saved.assumed,
        told: saved.told,
        families: FamilySet::from_bits(saved.families),
        rules: saved.rules.map(Rules::from),
        since_unix_ns: saved.since_unix_ns,
        name: saved.name,
        routes: saved.routes,
        stamp: Stamp::default(),
        stamp_flags: 0,
    };
    (key, peer)
}
