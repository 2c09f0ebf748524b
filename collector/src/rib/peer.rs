//! Whose routes these are: peers of all BMP sessions of one router, and which of their paths still count.
//!
//! A path remembers the generation that its peer and view had when it was announced. Peer Down raises the
//! generation, so all paths of the peer are dead at once, however many; they are freed later, in slices. After a
//! lost session the old generation lives on as stale until the router has told everything again or time is up.

use hashbrown::HashMap;
use wire::bgp::Family;
use wire::bmp::RibView;

use super::table::TableId;

/// Names a peer of a router's RIB; used again once all its paths are freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub(crate) u32);

/// What tells peers apart (RFC 7854 section 4.2): the BGP identifier too, for parallel link-local peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerKey {
    /// Peer type as sent.
    pub kind: u8,
    /// Distinguisher as sent.
    pub distinguisher: [u8; 8],
    /// Address as sent: IPv4 in the last 4 octets.
    pub address: [u8; 16],
    /// BGP identifier.
    pub bgp_id: u32,
}

/// What the RIB must know of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerFacts {
    /// Which peer.
    pub key: PeerKey,
    /// Its address, IPv4 as IPv4-mapped; `None` for a Loc-RIB.
    pub address: Option<[u8; 16]>,
    /// Its autonomous system.
    pub autonomous_system: u32,
    /// Whether its autonomous system is another than the router's.
    pub external: bool,
    /// Table of its routes that have no RD of their own.
    pub table: TableId,
}

/// Whether a path counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As the router tells it now.
    Live,
    /// From before the session was lost, not told again yet.
    Stale,
    /// Withdrawn with its peer; waits to be freed.
    Dead,
}

/// Views of a peer, by the number of [`RibView`].
pub const VIEWS: usize = RibView::ALL.len();

/// Quiet time after which a dump counts as ended although the router sent no End-of-RIB, ns.
const DUMP_QUIET_NS: u64 = 30_000_000_000;
/// Families of one view of one peer whose End-of-RIB is followed.
pub(crate) const MAX_FAMILIES: usize = 32;

/// Position of a view in an array of [`VIEWS`].
#[must_use]
pub const fn view_index(view: RibView) -> usize {
    match view {
        RibView::AdjRibInPre => 0,
        RibView::AdjRibInPost => 1,
        RibView::AdjRibOutPre => 2,
        RibView::AdjRibOutPost => 3,
        RibView::LocRib => 4,
    }
}

/// The view at a position.
#[must_use]
pub fn view_at(index: u8) -> Option<RibView> {
    RibView::ALL.get(usize::from(index)).copied()
}

/// One peer.
#[derive(Debug)]
pub struct Peer {
    pub(crate) facts: PeerFacts,
    /// BMP session that tells of it; the last one if it is stale.
    pub(crate) session: u64,
    /// Monotonic ns at which its session was lost.
    pub(crate) stale_since: Option<u64>,
    /// Paths of any generation that still exist.
    pub(crate) paths: u32,
    pub(crate) views: [View; VIEWS],
    in_use: bool,
}

/// One view of one peer.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) generation: u32,
    /// Until when the generation before counts as stale, monotonic ns.
    pub(crate) old_until: Option<u64>,
    pub(crate) families: Vec<Dump>,
}

/// How far the dump of one family has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dump {
    pub(crate) family: Family,
    pub(crate) ended: bool,
    pub(crate) last_ns: u64,
}

impl Peer {
    /// What is known of it.
    #[must_use]
    pub const fn facts(&self) -> &PeerFacts {
        &self.facts
    }

    /// Id of the BMP session that tells of it.
    #[must_use]
    pub const fn session(&self) -> u64 {
        self.session
    }

    /// Whether its session was lost.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.stale_since.is_some()
    }

    /// Paths that it holds, those that wait to be freed included.
    #[must_use]
    pub const fn paths(&self) -> u32 {
        self.paths
    }
}

/// The peers of one router.
#[derive(Debug, Default)]
pub struct Peers {
    pub(crate) list: Vec<Peer>,
    free: Vec<u32>,
    /// Peers of lost sessions, for the session that comes back.
    lost: HashMap<PeerKey, PeerId>,
}

impl Peers {
    /// The peer at an id.
    #[must_use]
    pub fn get(&self, id: PeerId) -> Option<&Peer> {
        self.list.get(id.0 as usize).filter(|peer| peer.in_use)
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.list.get_mut(id.0 as usize).filter(|peer| peer.in_use)
    }

    /// All peers.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        (0..).zip(&self.list).filter(|(_, peer)| peer.in_use).map(|(id, peer)| (PeerId(id), peer))
    }

    /// Whether a path of this peer, view and generation counts.
    #[must_use]
    pub(crate) fn standing(&self, peer: u32, view: u8, generation: u32) -> Standing {
        let Some(peer) = self.list.get(peer as usize) else { return Standing::Dead };
        let Some(view) = peer.views.get(usize::from(view)) else { return Standing::Dead };
        if generation == view.generation {
            if peer.stale_since.is_some() { Standing::Stale } else { Standing::Live }
        } else if view.old_until.is_some() && generation.wrapping_add(1) == view.generation {
            Standing::Stale
        } else {
            Standing::Dead
        }
    }

    /// Whether no peer is stale and no generation before the last one counts. A peer that is gone has no path that
    /// counts.
    pub(crate) fn are_all_live(&self) -> bool {
        self.list.iter().all(|peer| {
            let is_live =
                peer.stale_since.is_none() && peer.views.iter().all(|view| view.old_until.is_none());
            is_live || !peer.in_use
        })
    }

    /// A peer that a session tells of for the first time: a new one, or one of a lost session whose routes go on
    /// as stale until `stale_ns` after the loss: then that moment is returned too.
    pub(crate) fn add(&mut self, facts: PeerFacts, session: u64, stale_ns: u64) -> (PeerId, Option<u64>) {
        if let Some(id) = self.lost.remove(&facts.key)
            && let Some(peer) = self.get_mut(id)
        {
            let until = peer.stale_since.map(|since| since.saturating_add(stale_ns));
            for view in &mut peer.views {
                view.generation = view.generation.wrapping_add(1);
                view.old_until = until;
                view.families.clear();
            }
            peer.facts = facts;
            peer.session = session;
            peer.stale_since = None;
            return (id, until);
        }
        (self.add_new(facts, session), None)
    }

    /// A peer that stands for no other.
    pub(crate) fn add_new(&mut self, facts: PeerFacts, session: u64) -> PeerId {
        if let Some(place) = self.free.pop()
            && let Some(peer) = self.list.get_mut(place as usize)
        {
            // Generations go on counting, so that no path of the last owner can come back.
            peer.facts = facts;
            peer.session = session;
            peer.stale_since = None;
            peer.in_use = true;
            return PeerId(place);
        }
        let peer = Peer {
            facts,
            session,
            stale_since: None,
            paths: 0,
            views: std::array::from_fn(|_| View::default()),
            in_use: true,
        };
        self.list.push(peer);
        PeerId(u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX))
    }

    /// All paths of some views of a peer are gone. Returns whether there may be any to free.
    pub(crate) fn down(&mut self, id: PeerId, views: impl Iterator<Item = RibView>) -> bool {
        let Some(peer) = self.get_mut(id) else { return false };
        for view in views {
            if let Some(view) = peer.views.get_mut(view_index(view)) {
                view.generation = view.generation.wrapping_add(1);
                view.old_until = None;
                view.families.clear();
            }
        }
        peer.paths > 0
    }

    /// The peer's session was lost: its routes are stale from now on.
    pub(crate) fn lose(&mut self, id: PeerId, now_ns: u64) {
        let Some(peer) = self.get_mut(id) else { return };
        peer.stale_since = Some(now_ns);
        let key = peer.facts.key;
        self.lost.insert(key, id);
    }

    /// The peer will not come back: all its paths are dead. Its place is free once they are freed.
    pub(crate) fn remove(&mut self, id: PeerId) -> bool {
        let some = self.down(id, RibView::ALL.into_iter());
        let Some(peer) = self.get_mut(id) else { return false };
        peer.in_use = false;
        let (key, paths) = (peer.facts.key, peer.paths);
        if self.lost.get(&key) == Some(&id) {
            self.lost.remove(&key);
        }
        if paths == 0 {
            self.free.push(id.0);
        }
        some
    }

    /// One view of a peer.
    pub(crate) fn view_mut(&mut self, id: PeerId, view: RibView) -> Option<&mut View> {
        self.get_mut(id)?.views.get_mut(view_index(view))
    }

    /// When the next stale generation ends.
    pub(crate) fn next_old_until(&self) -> Option<u64> {
        self.list.iter().flat_map(|peer| &peer.views).filter_map(|view| view.old_until).min()
    }

    /// A path of this peer begins to exist.
    pub(crate) fn path_made(&mut self, peer: u32) {
        if let Some(peer) = self.list.get_mut(peer as usize) {
            peer.paths += 1;
        }
    }

    /// A path of this peer was freed.
    pub(crate) fn path_freed(&mut self, place: u32) {
        let Some(peer) = self.list.get_mut(place as usize) else { return };
        peer.paths = peer.paths.saturating_sub(1);
        if peer.paths == 0 && !peer.in_use {
            self.free.push(place);
        }
    }

    /// Notes that routes of a family arrive, or that they are all told. With the last family of a view told, what
    /// is left of the generation before is dead; returns whether that is so.
    pub(crate) fn dump(
        &mut self,
        id: PeerId,
        view: RibView,
        family: Family,
        ended: bool,
        now_ns: u64,
    ) -> bool {
        let Some(peer) = self.get_mut(id) else { return false };
        let Some(view) = peer.views.get_mut(view_index(view)) else { return false };
        if let Some(dump) = view.families.iter_mut().find(|dump| dump.family == family) {
            dump.ended |= ended;
            dump.last_ns = now_ns;
        } else if view.families.len() < MAX_FAMILIES {
            view.families.push(Dump { family, ended, last_ns: now_ns });
        }
        if ended && view.old_until.is_some() && view.families.iter().all(|dump| dump.ended) {
            view.old_until = None;
            return true;
        }
        false
    }

    /// Whether the dump of any family of this AFI is still running; `opened_ns`: when the last session was opened.
    pub(crate) fn is_dump_running(&self, afi: u16, opened_ns: u64, now_ns: u64) -> bool {
        let is_recent = |then: u64| now_ns.saturating_sub(then) < DUMP_QUIET_NS;
        let mut dumps = self
            .iter()
            .filter(|(_, peer)| peer.stale_since.is_none())
            .flat_map(|(_, peer)| &peer.views)
            .flat_map(|view| &view.families)
            .filter(|dump| dump.family.afi == afi)
            .peekable();
        match dumps.peek() {
            None => is_recent(opened_ns),
            Some(_) => dumps.any(|dump| !dump.ended && is_recent(dump.last_ns)),
        }
    }

    /// The table of the peer of a lost session that [`Peers::add`] would revive.
    pub(crate) fn lost_table(&self, key: &PeerKey) -> Option<TableId> {
        self.get(*self.lost.get(key)?).map(|peer| peer.facts.table)
    }

    /// Ends the stale time of generations whose hour has come. Returns whether there was one, and the next hour.
    pub(crate) fn expire_old(&mut self, now_ns: u64) -> (bool, Option<u64>) {
        let mut expired = false;
        let mut next: Option<u64> = None;
        for view in self.list.iter_mut().flat_map(|peer| &mut peer.views) {
            match view.old_until {
                Some(until) if until <= now_ns => {
                    view.old_until = None;
                    expired = true;
                }
                Some(until) => next = Some(next.map_or(until, |next| next.min(until))),
                None => {}
            }
        }
        (expired, next)
    }
}
