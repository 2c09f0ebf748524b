//! What BMP sessions look like from outside: answers to `show peers`.

use super::{Sessions, peer::Peer};
use crate::rib::{PeerId, PeerKey};

/// One BMP session.
#[derive(Clone, Debug)]
pub struct SessionState<'a> {
    /// Its id.
    pub id: u64,
    /// Whether its stream is open; else its routes are stale.
    pub is_open: bool,
    /// The router's port.
    pub port: u16,
    /// Line number of its last row.
    pub sequence: u64,
    /// Messages taken.
    pub messages: u64,
    /// Arrival of the last one, unix ns.
    pub last_unix_ns: u64,
    /// The name that the router gave itself.
    pub system: Option<&'a str>,
    /// Its peers, in the order of their keys.
    pub peers: Vec<PeerState<'a>>,
}

/// One peer of a BMP session.
#[derive(Clone, Debug)]
pub struct PeerState<'a> {
    /// What tells it from others.
    pub key: PeerKey,
    /// Its name in the RIB.
    pub rib: PeerId,
    /// Whether it is up.
    pub up: bool,
    /// Whether its Peer Up was never seen.
    pub assumed: bool,
    /// When it came up or went down, unix ns.
    pub since_unix_ns: u64,
    /// The name of its VRF or table.
    pub name: Option<&'a str>,
    /// Announcements and withdrawals since the session began.
    pub routes: u64,
}

impl Sessions {
    /// All BMP sessions, lost ones included, in the order of their beginning.
    #[must_use]
    pub fn states(&self) -> Vec<SessionState<'_>> {
        let mut states: Vec<SessionState<'_>> = self
            .list
            .iter()
            .map(|session| {
                let mut peers: Vec<_> = session.peers.by_key.iter().map(peer).collect();
                peers.sort_unstable_by_key(|peer| {
                    (peer.key.kind, peer.key.distinguisher, peer.key.address, peer.key.bgp_id)
                });
                SessionState {
                    id: session.id,
                    is_open: session.is_open(),
                    port: session.port,
                    sequence: session.lines.last,
                    messages: session.messages,
                    last_unix_ns: session.last_unix_ns,
                    system: session.system.as_deref(),
                    peers,
                }
            })
            .collect();
        states.sort_unstable_by_key(|session| session.id);
        states
    }
}

fn peer<'a>((key, peer): (&PeerKey, &'a Peer)) -> PeerState<'a> {
    PeerState {
        key: *key,
        rib: peer.rib,
        up: peer.up,
        assumed: peer.assumed,
        since_unix_ns: peer.since_unix_ns,
        name: peer.name.as_deref(),
        routes: peer.routes,
    }
}
