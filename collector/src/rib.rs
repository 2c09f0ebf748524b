//! The routes of one router: changes of BMP sessions in, longest prefixes and chosen paths out. One a router.
//!
//! ```text
//! announce, withdraw --> table (default, VRF by RD) --> index: prefix --> paths of (peer, view, family, path id)
//! peer down: one generation higher, freed by `sweep` in slices       |      |--> attributes, interned
//!                                                                    v
//! lookup: addresses, a batch at a time --> trie or direct table: longest prefix with a path that counts --> path chosen
//! ```
//! Bounded by [`RibLimits`]; never touches octets of BMP, never makes rows.

pub mod attributes;
mod change;
mod lookup;
mod booked;
pub mod path;
mod place;
mod question;
mod index;
mod choice;
pub mod peer;
mod direct;
mod strides;
mod prefix;
pub mod table;
mod saved;

use wire::bgp::{Family, IpVersion, Prefix};
use wire::bmp::RibView;

use crate::settings::Settings;

pub use attributes::{Full, Interned, InternedId};
pub(crate) use direct::Told;
pub use path::PathId;
pub use peer::{Peer, PeerFacts, PeerId, PeerKey, Peers, Standing};
pub use question::{Asked, Found, Lookup, PathView, Route};
pub(crate) use strides::SIDE_BY_SIDE;
pub use table::{TableId, TableKey, Tables};

use booked::Booked;
use choice::Choice;
use path::Paths;

/// How often it is worked out whether a dump is running, ns.
const REFRESH_NS: u64 = 1_000_000_000;

/// How much one router may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RibLimits {
    /// Paths, of all tables, peers and views.
    pub paths: usize,
    /// Octets of interned attributes and label stacks.
    pub attribute_octets: usize,
    /// Tables: VRFs and RDs.
    pub tables: usize,
    /// How long routes of a lost session count, ns.
    pub stale_ns: u64,
}

impl From<&Settings> for RibLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            paths: settings.max_paths_per_router,
            attribute_octets: settings.max_attribute_octets_per_router,
            tables: settings.max_tables_per_router,
            stale_ns: settings.stale_routes_ns,
        }
    }
}

/// The RIB of one router.
#[derive(Debug, Default)]
pub struct Rib {
    tables: Tables,
    paths: Paths,
    peers: Peers,
    attributes: Interned,
    stacks: Interned,
    /// BMP sessions that are open, and when the last one was opened.
    sessions: u32,
    opened_ns: u64,
    /// Where the running sweep stands, and the place at which it ends; 0: none is running.
    sweep_at: usize,
    sweep_end: usize,
    /// Whether something died since it began, perhaps where it has been: then another one follows.
    sweep_again: bool,
    /// Whether a dump is running, for IPv4 and IPv6, and when that was last worked out.
    dump_running: [bool; 2],
    refreshed_ns: u64,
    /// When the next stale generation of a peer that came back ends.
    old_until: Option<u64>,
    /// Whether every path held is live; `None`: to be worked out.
    settled: Option<bool>,
    choice: Choice,
    booked: Booked,
}

impl Rib {
    /// Its tables.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Its peers.
    #[must_use]
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Paths held, dead ones that wait to be freed included.
    #[must_use]
    pub const fn paths(&self) -> usize {
        self.paths.held()
    }

    /// Prefixes with paths.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.paths.prefixes()
    }

    /// Its sets of attributes.
    #[must_use]
    pub const fn attributes(&self) -> &Interned {
        &self.attributes
    }

    /// BMP sessions that are open.
    #[must_use]
    pub const fn sessions(&self) -> u32 {
        self.sessions
    }

    /// A BMP session has begun.
    pub fn session_opened(&mut self, now_ns: u64) {
        self.sessions += 1;
        self.opened_ns = now_ns;
        self.dump_running = [true; 2];
    }

    /// A BMP session has ended. Its peers are told one by one.
    pub fn session_closed(&mut self) {
        self.sessions = self.sessions.saturating_sub(1);
    }

    /// The table of a key, made if it is not there. `None`: the limit is reached.
    pub fn table(&mut self, key: TableKey, limits: &RibLimits) -> Option<TableId> {
        self.tables.resolve(key, limits.tables)
    }

    /// Remembers what the router calls a table.
    pub fn name_table(&mut self, table: TableId, name: &str) {
        self.tables.name(table, name);
    }

    /// A peer that a session tells of for the first time. If it stands for one of a lost session, that one's
    /// routes count as stale until they are told again, or all families are told, or `limits.stale_ns` is over.
    pub fn add_peer(&mut self, facts: PeerFacts, session: u64, limits: &RibLimits) -> PeerId {
        self.tables.hold(facts.table);
        let before = self.peers.lost_table(&facts.key);
        self.settled = None;
        let (id, until) = self.peers.add(facts, session, limits.stale_ns);
        self.old_until = [self.old_until, until].into_iter().flatten().min();
        if let Some(table) = before {
            // Its paths are of a peer of which other things may be true now.
            self.booked.begin();
            self.tables.release(table);
        }
        id
    }

    /// All routes of some views of a peer are gone: O(1), freed by [`Rib::sweep`].
    pub fn peer_down(&mut self, peer: PeerId, views: impl Iterator<Item = RibView>) {
        self.settled = None;
        if self.peers.down(peer, views) {
            self.start_sweep();
        }
    }

    /// The session of a peer was lost: its routes are stale from now on.
    pub fn lose_peer(&mut self, peer: PeerId, now_ns: u64) {
        self.peers.lose(peer, now_ns);
        self.settled = None;
    }

    /// A peer will not come back: its routes are gone, its place is free once they are freed.
    pub fn remove_peer(&mut self, peer: PeerId) {
        let Some(table) = self.peers.get(peer).map(|peer| peer.facts.table) else { return };
        self.settled = None;
        if self.peers.remove(peer) {
            self.start_sweep();
        }
        self.tables.release(table);
    }

    /// Keeps attributes for [`Rib::announce`]; to be given back by [`Rib::release`].
    ///
    /// # Errors
    /// [`Full`] at the limit of octets.
    pub fn intern(&mut self, attributes: &[u8], limits: &RibLimits) -> Result<InternedId, Full> {
        let left = limits.attribute_octets.saturating_sub(self.stacks.held_octets());
        self.attributes.intern(attributes, left)
    }

    /// Gives one reference to attributes back.
    pub fn release(&mut self, attributes: InternedId) {
        self.attributes.release(attributes);
    }

    pub(crate) const fn attributes_mut(&mut self) -> &mut Interned {
        &mut self.attributes
    }

    /// Routes of a family arrive (`ended` false), or the router says that it has told them all (End-of-RIB).
    pub fn dump(&mut self, peer: PeerId, view: RibView, family: Family, ended: bool, now_ns: u64) {
        if self.peers.dump(peer, view, family, ended, now_ns) {
            self.start_sweep();
        }
        if ended {
            self.refresh_dumps(now_ns);
        }
    }

    /// Whether the initial dump of a protocol's routes is still running, as of the last tick.
    #[must_use]
    pub const fn is_dump_running(&self, version: IpVersion) -> bool {
        let [v4, v6] = self.dump_running;
        match version {
            IpVersion::V4 => v4,
            IpVersion::V6 => v6,
        }
    }

    /// Everything about a path. `None`: there is none at this id.
    #[must_use]
    pub fn view(&self, id: PathId) -> Option<PathView<'_>> {
        let path = self.paths.get(id)?;
        let (prefix, table) = self.paths.prefix(id.0)?;
        let key = path.key();
        let peer = self.peers.list.get(key.peer as usize)?;
        Some(PathView {
            prefix,
            table: self.tables.key(table)?,
            peer: &peer.facts,
            session: peer.session,
            view: peer::view_at(key.view)?,
            safi: key.safi,
            path_id: key.path_id,
            attributes: self.attributes.octets(path.attributes).unwrap_or(&[]),
            standing: self.standing(id),
        })
    }

    /// Copies the labels of a path, as on the wire, into `to` as far as they fit.
    #[must_use]
    pub fn labels_into<'a>(&self, id: PathId, to: &'a mut [u8]) -> &'a [u8] {
        self.paths.get(id).map_or(&[], |path| path.labels.copy(&self.stacks, to))
    }

    /// The next path at or behind a place, for a walk over all: start at 0, go on behind the id returned.
    #[must_use]
    pub fn next_path(&self, from: u32) -> Option<PathId> {
        let places = u32::try_from(self.paths.places()).unwrap_or(u32::MAX);
        (from..places).map(PathId).find(|&id| self.paths.get(id).is_some())
    }

    /// The paths of exactly this prefix in a table.
    pub fn paths_of(&self, table: TableId, prefix: &Prefix) -> impl Iterator<Item = PathId> {
        let id = self.paths.find_prefix(table, prefix);
        id.into_iter().flat_map(|id| self.paths.of(id))
    }

    /// Time passes: generations whose stale time is over end. Returns the next such moment, monotonic ns.
    pub fn tick(&mut self, now_ns: u64) -> Option<u64> {
        if self.old_until.is_some_and(|until| until <= now_ns) {
            let (expired, next) = self.peers.expire_old(now_ns);
            self.old_until = next;
            if expired {
                self.start_sweep();
            }
        }
        if self.sessions > 0 && now_ns.saturating_sub(self.refreshed_ns) >= REFRESH_NS {
            self.refresh_dumps(now_ns);
        }
        self.old_until
    }

    /// Frees dead paths among the next `places` places. Returns whether there is more to look at.
    pub fn sweep(&mut self, places: usize) -> bool {
        let to = self.sweep_end.min(self.sweep_at.saturating_add(places));
        for place in self.sweep_at..to {
            let id = PathId(u32::try_from(place).unwrap_or(u32::MAX));
            if self.paths.get(id).is_some() && self.standing(id) == Standing::Dead {
                self.free(id);
            }
        }
        self.sweep_at = to;
        if self.sweep_end > 0 && to == self.sweep_end {
            self.sweep_end = 0;
            self.settled = None;
            if self.sweep_again {
                self.start_sweep();
            }
        }
        self.sweep_end > 0
    }

    /// Places made from now on hold nothing that is dead: the sweep ends where they begin.
    fn start_sweep(&mut self) {
        self.settled = None;
        self.sweep_again = self.sweep_end > 0;
        if !self.sweep_again {
            (self.sweep_at, self.sweep_end) = (0, self.paths.places());
        }
    }

    fn standing(&self, id: PathId) -> Standing {
        self.paths.get(id).map_or(Standing::Dead, |path| {
            let key = path.key();
            self.peers.standing(key.peer, key.view, path.generation)
        })
    }

    fn refresh_dumps(&mut self, now_ns: u64) {
        self.refreshed_ns = now_ns;
        for (running, afi) in self.dump_running.iter_mut().zip([1, 2]) {
            *running = self.peers.is_dump_running(afi, self.opened_ns, now_ns);
        }
    }
}
