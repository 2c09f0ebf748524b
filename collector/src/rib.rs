//! The routes of one router: changes of BMP sessions in, longest prefixes and chosen paths out. One a router.
//!
//! ```text
//! announce, withdraw --> table (default, VRF by RD) --> trie: prefix --> paths of (peer, view, family, path id)
//! peer down: one generation higher, freed by `sweep` in slices            |--> attributes, interned
//! lookup: addresses, a batch at a time --> longest prefix with a path that counts --> the path chosen
//! ```
//! Bounded by [`RibLimits`]; never touches octets of BMP, never makes rows.

pub mod attributes;
mod lookup;
pub mod path;
pub mod peer;
mod direct;
pub mod prefix;
pub mod table;
mod saved;

use wire::bgp::{Family, IpVersion, Prefix};
use wire::bmp::RibView;

use crate::ledger::RibEnd;
use crate::schema::{PickedBy, Side};
use crate::settings::Settings;

pub use attributes::{Full, Interned, InternedId};
pub use path::PathId;
pub use peer::{Peer, PeerFacts, PeerId, PeerKey, Peers, Standing};
pub use table::{TableId, TableKey, Tables};

use attributes::Stamp;
use path::{Labels, PathKey, Paths};
use peer::view_index;

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

/// Whose and which route a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The peer.
    pub peer: PeerId,
    /// The view.
    pub view: RibView,
    /// The family of the NLRI.
    pub family: Family,
    /// The prefix, in the address form of its family.
    pub prefix: Prefix,
    /// RD of the NLRI, where the family has one.
    pub rd: Option<[u8; 8]>,
    /// ADD-PATH identifier.
    pub path_id: Option<u32>,
    /// Labels as on the wire, 3 octets each.
    pub labels: &'a [u8],
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// In which table.
    pub table: TableId,
    /// Which protocol.
    pub version: IpVersion,
    /// The address; IPv4 in the first 4 octets, the others zero.
    pub address: [u8; 16],
    /// The flow's next hop, IPv4 as IPv4-mapped: chooses among paths.
    pub next_hop: Option<[u8; 16]>,
}

/// What is looked up in one table, side by side.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// In which table.
    pub table: TableId,
    /// Which protocol.
    pub version: IpVersion,
    /// The addresses as numbers; IPv4 in the low 32 bits.
    pub addresses: &'a [u128],
    /// The flows' next hops, IPv4 as IPv4-mapped, zeros for none: choose among paths. Empty: there are none.
    pub next_hops: &'a [[u8; 16]],
}

/// A path that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path.
    pub path: PathId,
    /// Why this one.
    pub picked_by: PickedBy,
    /// Whether it is from before its session was lost.
    pub stale: bool,
}

/// One path with all that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct PathView<'a> {
    /// Its prefix.
    pub prefix: Prefix,
    /// The table it is in.
    pub table: TableKey,
    /// Its peer.
    pub peer: &'a PeerFacts,
    /// Id of the BMP session that told it.
    pub session: u64,
    /// Its view.
    pub view: RibView,
    /// Its subsequent address family.
    pub safi: u8,
    /// ADD-PATH identifier.
    pub path_id: Option<u32>,
    /// Canonical attributes.
    pub attributes: &'a [u8],
    /// Whether it counts.
    pub standing: Standing,
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
    /// Places of paths that the running sweep still has to look at, and where it stands.
    sweep_left: usize,
    sweep_at: usize,
    /// Whether a dump is running, for IPv4 and IPv6, and when that was last worked out.
    dump_running: [bool; 2],
    refreshed_ns: u64,
    /// When the next stale generation of a peer that came back ends.
    old_until: Option<u64>,
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
        let (id, until) = self.peers.add(facts, session, limits.stale_ns);
        self.old_until = [self.old_until, until].into_iter().flatten().min();
        if let Some(table) = before {
            self.tables.release(table);
        }
        id
    }

    /// All routes of some views of a peer are gone: O(1), freed by [`Rib::sweep`].
    pub fn peer_down(&mut self, peer: PeerId, views: impl Iterator<Item = RibView>) {
        if self.peers.down(peer, views) {
            self.start_sweep();
        }
    }

    /// The session of a peer was lost: its routes are stale from now on.
    pub fn lose_peer(&mut self, peer: PeerId, now_ns: u64) {
        self.peers.lose(peer, now_ns);
    }

    /// A peer will not come back: its routes are gone, its place is free once they are freed.
    pub fn remove_peer(&mut self, peer: PeerId) {
        let Some(table) = self.peers.get(peer).map(|peer| peer.facts.table) else { return };
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

    /// A route is new or replaces the one with the same peer, view, family, path id and prefix.
    pub fn announce(&mut self, route: &Route<'_>, attributes: InternedId, limits: &RibLimits) -> RibEnd {
        let Some(peer) = self.peers.get(route.peer) else { return RibEnd::Absent };
        let (own_table, key) = (peer.facts.table, key(route));
        let generation = peer.views.get(usize::from(key.view)).map_or(0, |view| view.generation);
        let table = match route.rd.filter(|rd| *rd != [0; 8]) {
            None => own_table,
            Some(rd) => match self.tables.resolve(TableKey::Distinguisher(rd), limits.tables) {
                Some(table) => table,
                None => return RibEnd::TooManyTables,
            },
        };
        let Some(labels) = self.labels(route.labels, limits) else {
            self.release_table(table);
            return RibEnd::TooManyAttributes;
        };
        let Some(trie) = self.tables.get(table).map(|table| table.trie(route.prefix.version)) else {
            return RibEnd::Absent;
        };
        let known = trie.find(&route.prefix, &self.paths);
        if let Some(path) =
            known.and_then(|prefix| self.paths.find(prefix, key)).and_then(|id| self.paths.get_mut(id))
        {
            self.attributes.hold(attributes);
            let before = std::mem::replace(&mut path.attributes, attributes);
            let labels_before = std::mem::replace(&mut path.labels, labels);
            path.generation = generation;
            path.stamps = Default::default();
            self.attributes.release(before);
            self.release_labels(labels_before);
            return RibEnd::Replaced;
        }
        if self.paths.held() >= limits.paths {
            self.release_labels(labels);
            self.release_table(table);
            return RibEnd::TooManyPaths;
        }
        let prefix = match known {
            Some(prefix) => prefix,
            None => match self.paths.add_prefix(route.prefix, table) {
                Some(prefix) => {
                    self.tables.insert(table, &route.prefix, prefix, &self.paths);
                    prefix
                }
                None => {
                    self.release_labels(labels);
                    self.release_table(table);
                    return RibEnd::TooManyPaths;
                }
            },
        };
        self.attributes.hold(attributes);
        self.paths.add(prefix, key, generation, attributes, labels);
        self.peers.path_made(route.peer.0);
        RibEnd::Stored
    }

    /// A route is gone.
    pub fn withdraw(&mut self, route: &Route<'_>) -> RibEnd {
        let Some(peer) = self.peers.get(route.peer) else { return RibEnd::Absent };
        let table = match route.rd.filter(|rd| *rd != [0; 8]) {
            None => Some(peer.facts.table),
            Some(rd) => self.tables.find(TableKey::Distinguisher(rd)),
        };
        let trie =
            table.and_then(|table| self.tables.get(table)).map(|table| table.trie(route.prefix.version));
        let path = trie
            .and_then(|trie| trie.find(&route.prefix, &self.paths))
            .and_then(|prefix| self.paths.find(prefix, key(route)));
        let Some(id) = path else { return RibEnd::Absent };
        let counted = self.standing(id) != Standing::Dead;
        self.free(id);
        if counted { RibEnd::Withdrawn } else { RibEnd::Absent }
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

    /// Finds the path of each address: that of the longest prefix that has one which counts. `found` gets one entry
    /// for each address, as far as it has room.
    pub fn lookup(&mut self, asked: &Asked<'_>, found: &mut [Option<Found>]) {
        let mut next_hops = asked.next_hops.iter();
        for (addresses, found) in
            asked.addresses.chunks(lookup::SIDE_BY_SIDE).zip(found.chunks_mut(lookup::SIDE_BY_SIDE))
        {
            let mut keys = [None; lookup::SIDE_BY_SIDE];
            for (key, address) in keys.iter_mut().zip(addresses) {
                let address = match asked.version {
                    IpVersion::V4 => address << 96,
                    IpVersion::V6 => *address,
                };
                *key = Some(Lookup {
                    table: asked.table,
                    version: asked.version,
                    address: address.to_be_bytes(),
                    next_hop: next_hops.next().copied().filter(|next_hop| *next_hop != [0; 16]),
                });
            }
            let fast = lookup::side_by_side(&keys, &self.tables, &self.paths, &self.peers);
            for ((key, fast), found) in keys.iter().zip(fast).zip(found) {
                *found = match (key, fast) {
                    (Some(_), lookup::Outcome::Found(found)) => Some(found),
                    // Several paths, or only dead ones: to be gone through one by one.
                    (Some(key), lookup::Outcome::Choose) => self.find(key),
                    (None, _) | (_, lookup::Outcome::Nothing) => None,
                };
            }
        }
    }

    /// Finds the path of one key.
    pub fn find(&mut self, key: &Lookup) -> Option<Found> {
        let trie = self.tables.get(key.table)?.trie(key.version);
        let mut below = u8::MAX;
        loop {
            let prefix = trie.longest(&key.address, below, &self.paths)?;
            if let Some((path, picked_by, standing)) =
                self.paths.choose(prefix, key.next_hop, &self.peers, &self.attributes)
            {
                return Some(Found { path, picked_by, stale: standing == Standing::Stale });
            }
            // All its paths are dead: the next shorter prefix.
            below = prefix::Prefixes::prefix(&self.paths, prefix)?.length;
        }
    }

    /// Everything about a path. `None`: there is none at this id.
    #[must_use]
    pub fn view(&self, id: PathId) -> Option<PathView<'_>> {
        let path = self.paths.get(id)?;
        let peer = self.peers.list.get(path.key.peer as usize)?;
        Some(PathView {
            prefix: prefix::Prefixes::prefix(&self.paths, path.prefix)?,
            table: self.tables.key(self.paths.table(path.prefix)?)?,
            peer: &peer.facts,
            session: peer.session,
            view: peer::view_at(path.key.view)?,
            safi: path.key.safi,
            path_id: path.key.path_id,
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
        let trie = self.tables.get(table).map(|table| table.trie(prefix.version));
        let id = trie.and_then(|trie| trie.find(prefix, &self.paths));
        id.into_iter().flat_map(|id| self.paths.of(id))
    }

    /// The key of a path in the dictionary of the last batch and side that it was written to.
    pub(crate) fn stamp(&self, id: PathId, side: Side) -> Stamp {
        self.paths.get(id).and_then(|path| path.stamps.get(side as usize)).copied().unwrap_or_default()
    }

    pub(crate) fn set_stamp(&mut self, id: PathId, side: Side, stamp: Stamp) {
        if let Some(to) = self.paths.get_mut(id).and_then(|path| path.stamps.get_mut(side as usize)) {
            *to = stamp;
        }
    }

    /// Reads what [`Rib::view`] will read, so that it is near by then. What it returns means nothing.
    pub(crate) fn touch(&self, id: PathId) -> u8 {
        let Some(path) = self.paths.get(id) else { return 0 };
        self.attributes.octets(path.attributes).and_then(<[u8]>::first).copied().unwrap_or(0)
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
        let n = places.min(self.sweep_left);
        for _ in 0..n {
            if self.sweep_at >= self.paths.places() {
                self.sweep_at = 0;
            }
            let id = PathId(u32::try_from(self.sweep_at).unwrap_or(u32::MAX));
            self.sweep_at += 1;
            if self.paths.get(id).is_some() && self.standing(id) == Standing::Dead {
                self.free(id);
            }
        }
        self.sweep_left -= n;
        self.sweep_left > 0
    }

    fn start_sweep(&mut self) {
        self.sweep_left = self.paths.places();
    }

    fn standing(&self, id: PathId) -> Standing {
        self.paths
            .get(id)
            .map_or(Standing::Dead, |path| self.peers.standing(path.key.peer, path.key.view, path.generation))
    }

    fn free(&mut self, id: PathId) {
        let Some(of) = self.paths.get(id).map(|path| path.prefix) else { return };
        let prefix = prefix::Prefixes::prefix(&self.paths, of);
        let table = self.paths.table(of);
        let Some((path, empty)) = self.paths.remove(id) else { return };
        if empty && let (Some(prefix), Some(table)) = (prefix, table) {
            self.tables.remove(table, &prefix, &self.paths);
        }
        self.attributes.release(path.attributes);
        self.release_labels(path.labels);
        self.peers.path_freed(path.key.peer);
    }

    /// Labels as a path holds them. `None`: no room for another stack.
    fn labels(&mut self, labels: &[u8], limits: &RibLimits) -> Option<Labels> {
        if labels.is_empty() {
            return Some(Labels::NONE);
        }
        if let Ok(label) = <[u8; 3]>::try_from(labels) {
            return Some(Labels::one(label));
        }
        let left = limits.attribute_octets.saturating_sub(self.attributes.held_octets());
        self.stacks.intern(labels, left).ok().map(Labels::stack)
    }

    fn release_labels(&mut self, labels: Labels) {
        if let Some(id) = labels.stack_id() {
            self.stacks.release(id);
        }
    }

    /// A table that was made for a route which then found no room.
    fn release_table(&mut self, table: TableId) {
        self.tables.hold(table);
        self.tables.release(table);
    }

    fn refresh_dumps(&mut self, now_ns: u64) {
        self.refreshed_ns = now_ns;
        for (running, afi) in self.dump_running.iter_mut().zip([1, 2]) {
            *running = self.peers.is_dump_running(afi, self.opened_ns, now_ns);
        }
    }
}

fn key(route: &Route<'_>) -> PathKey {
    let view = u8::try_from(view_index(route.view)).unwrap_or(u8::MAX);
    PathKey { peer: route.peer.0, view, safi: route.family.safi, path_id: route.path_id }
}
