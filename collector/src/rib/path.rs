//! Paths of prefixes, and the choice among them: a prefix has a list of paths, each of a peer, a view, a family
//! and a path identifier. Knows nothing of tables and tries.

use wire::bgp::Prefix;
use wire::bmp::RibView;

use super::attributes::{Interned, InternedId, Rank, Stamp};
use super::peer::{Peers, Standing, view_at};
use super::prefix::{MAX_PREFIXES, PrefixId, Prefixes};
use super::table::TableId;
use crate::schema::PickedBy;

/// No path, no prefix, no label.
const NONE: u32 = u32::MAX;
/// Marks labels as an entry of the interned label stacks; a single label is its 3 octets.
const STACK: u32 = 1 << 31;

/// Names a path of a router's RIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(pub(crate) u32);

/// What tells the paths of one prefix apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathKey {
    pub(crate) peer: u32,
    pub(crate) view: u8,
    pub(crate) safi: u8,
    /// ADD-PATH identifier.
    pub(crate) path_id: Option<u32>,
}

/// The labels of a path: none, one in place, or a stack that is kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labels(u32);

impl Labels {
    pub(crate) const NONE: Self = Self(NONE);

    pub(crate) const fn one([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    pub(crate) const fn stack(id: InternedId) -> Self {
        Self(id.0 | STACK)
    }

    pub(crate) const fn stack_id(self) -> Option<InternedId> {
        if self.0 == NONE || self.0 & STACK == 0 { None } else { Some(InternedId(self.0 & !STACK)) }
    }

    /// Copies the labels as on the wire, 3 octets each, as far as they fit.
    pub(crate) fn copy<'a>(self, stacks: &Interned, to: &'a mut [u8]) -> &'a [u8] {
        let octets = self.0.to_be_bytes();
        let from = match self.stack_id() {
            Some(id) => stacks.octets(id).unwrap_or(&[]),
            None if self == Self::NONE => &[],
            None => octets.get(1..).unwrap_or(&[]),
        };
        let length = from.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
            to.copy_from_slice(from);
        }
        to.get(..length).unwrap_or(&[])
    }
}

/// One path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) key: PathKey,
    pub(crate) prefix: PrefixId,
    pub(crate) generation: u32,
    pub(crate) attributes: InternedId,
    pub(crate) labels: Labels,
    next: u32,
    /// Its key in the dictionary of the last batch that it was written to, by side.
    pub(crate) stamps: [Stamp; 2],
}

#[derive(Debug)]
struct Head {
    prefix: Prefix,
    table: TableId,
    /// First path; `NONE`: this place is free.
    first: u32,
    in_use: bool,
}

/// The prefixes and paths of one router, all tables together.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    heads: Vec<Head>,
    free_heads: Vec<u32>,
    paths: Vec<Option<Path>>,
    free_paths: Vec<u32>,
    held: usize,
    candidates: Vec<u32>,
}

impl Prefixes for Paths {
    fn prefix(&self, id: PrefixId) -> Option<Prefix> {
        self.heads.get(id.0 as usize).map(|head| head.prefix)
    }
}

impl Paths {
    /// Paths held, dead ones that wait to be freed included.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Places that a sweep has to look at.
    pub(crate) const fn places(&self) -> usize {
        self.paths.len()
    }

    pub(crate) fn prefixes(&self) -> usize {
        self.heads.len() - self.free_heads.len()
    }

    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.paths.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.paths.get_mut(id.0 as usize)?.as_mut()
    }

    pub(crate) fn table(&self, id: PrefixId) -> Option<TableId> {
        self.heads.get(id.0 as usize).map(|head| head.table)
    }

    /// A place for a prefix that has no path yet. `None`: no id is left.
    pub(crate) fn add_prefix(&mut self, prefix: Prefix, table: TableId) -> Option<PrefixId> {
        let head = Head { prefix, table, first: NONE, in_use: true };
        if let Some(place) = self.free_heads.pop() {
            *self.heads.get_mut(place as usize)? = head;
            return Some(PrefixId(place));
        }
        if self.heads.len() >= MAX_PREFIXES {
            return None;
        }
        self.heads.push(head);
        u32::try_from(self.heads.len() - 1).ok().map(PrefixId)
    }

    /// The path of a prefix with this key, dead or alive.
    pub(crate) fn find(&self, prefix: PrefixId, key: PathKey) -> Option<PathId> {
        self.of(prefix).find(|&id| self.get(id).is_some_and(|path| path.key == key))
    }

    /// The path of a prefix that has no other, with what says whether it counts: peer, view, generation.
    pub(crate) fn only(&self, prefix: PrefixId) -> Option<(PathId, u32, u8, u32)> {
        let first = PathId(self.heads.get(prefix.0 as usize)?.first);
        let path = self.get(first)?;
        (path.next == NONE).then_some((first, path.key.peer, path.key.view, path.generation))
    }

    /// The paths of a prefix.
    pub(crate) fn of(&self, prefix: PrefixId) -> impl Iterator<Item = PathId> {
        let first = self.heads.get(prefix.0 as usize).map_or(NONE, |head| head.first);
        let place = |at: u32| (at != NONE).then_some(PathId(at));
        std::iter::successors(place(first), move |&id| place(self.get(id)?.next))
    }

    /// Adds a path to a prefix.
    pub(crate) fn add(
        &mut self,
        prefix: PrefixId,
        key: PathKey,
        generation: u32,
        attributes: InternedId,
        labels: Labels,
    ) -> Option<PathId> {
        let head = self.heads.get_mut(prefix.0 as usize)?;
        let path = Path {
            key,
            prefix,
            generation,
            attributes,
            labels,
            next: head.first,
            stamps: [Stamp::default(); 2],
        };
        let place = match self.free_paths.pop() {
            Some(place) => {
                *self.paths.get_mut(place as usize)? = Some(path);
                place
            }
            None => {
                self.paths.push(Some(path));
                u32::try_from(self.paths.len() - 1).ok()?
            }
        };
        head.first = place;
        self.held += 1;
        Some(PathId(place))
    }

    /// Takes a path out. Returns it, and whether its prefix has none left (its place is free then).
    pub(crate) fn remove(&mut self, id: PathId) -> Option<(Path, bool)> {
        let path = self.paths.get_mut(id.0 as usize)?.take()?;
        self.free_paths.push(id.0);
        self.held -= 1;
        let head = self.heads.get_mut(path.prefix.0 as usize)?;
        if head.first == id.0 {
            head.first = path.next;
        } else {
            let mut at = head.first;
            while let Some(Some(before)) = self.paths.get_mut(at as usize) {
                if before.next == id.0 {
                    before.next = path.next;
                    break;
                }
                at = before.next;
            }
        }
        let empty = head.first == NONE;
        if empty {
            head.in_use = false;
            self.free_heads.push(path.prefix.0);
        }
        Some((path, empty))
    }

    /// The path of a prefix that traffic with this next hop takes, and why that one. `None`: no path counts.
    ///
    /// Paths that are not stale go first; then the flow's next hop; then what the router itself selected, what it
    /// took from the peer after policy, before policy; then the comparison of RFC 4271 section 9.1.2.2.
    pub(crate) fn choose(
        &mut self,
        prefix: PrefixId,
        next_hop: Option<[u8; 16]>,
        peers: &Peers,
        attributes: &Interned,
    ) -> Option<(PathId, PickedBy, Standing)> {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let mut standing = Standing::Dead;
        let mut all = 0_u32;
        for id in self.of(prefix) {
            let Some(path) = self.get(id) else { continue };
            let of_path = peers.standing(path.key.peer, path.key.view, path.generation);
            if of_path == Standing::Dead || view_preference(path.key.view).is_none() {
                continue;
            }
            all += 1;
            if of_path < standing {
                standing = of_path;
                candidates.clear();
            }
            if of_path == standing {
                candidates.push(id.0);
            }
        }
        let picked = self.pick(&mut candidates, next_hop, peers, attributes);
        let result = candidates.first().map(|&id| {
            let why = if all == 1 { PickedBy::Only } else { picked };
            (PathId(id), why, standing)
        });
        self.candidates = candidates;
        result
    }

    fn pick(
        &self,
        candidates: &mut Vec<u32>,
        next_hop: Option<[u8; 16]>,
        peers: &Peers,
        attributes: &Interned,
    ) -> PickedBy {
        let path = |id: u32| self.get(PathId(id));
        let rank = |id: u32| path(id).and_then(|path| attributes.rank(path.attributes.0));
        let mut picked = PickedBy::BestPath;
        if candidates.len() < 2 {
            return picked;
        }
        if let Some(next_hop) = next_hop {
            let same = |id: u32| rank(id).and_then(|rank| rank.next_hop) == Some(next_hop);
            if candidates.iter().any(|&id| same(id)) {
                candidates.retain(|&id| same(id));
                picked = PickedBy::NextHop;
            }
        }
        keep_least(candidates, |id| path(id).and_then(|path| view_preference(path.key.view)));
        keep_least(candidates, |id| rank(id).map(|rank| u32::MAX - rank.local_preference));
        keep_least(candidates, |id| rank(id).map(|rank| rank.hops));
        keep_least(candidates, |id| rank(id).map(|rank| rank.origin));
        keep_least_med(candidates, &rank);
        let peer = |id: u32| path(id).and_then(|path| peers.list.get(path.key.peer as usize));
        keep_least(candidates, |id| peer(id).map(|peer| !peer.facts.external));
        let router_id = |id: u32| rank(id).and_then(|rank| rank.originator);
        keep_least(candidates, |id| router_id(id).or_else(|| peer(id).map(|peer| peer.facts.key.bgp_id)));
        keep_least(candidates, |id| rank(id).map(|rank| rank.clusters));
        keep_least(candidates, |id| peer(id).map(|peer| peer.facts.key.address));
        keep_least(candidates, |id| path(id).map(|path| (path.key.safi, path.key.path_id, path.key.peer)));
        picked
    }
}

/// What the router selected first, then what it took, then what it was given. What it gives to others says
/// nothing of its own traffic.
pub(crate) fn view_preference(view: u8) -> Option<u8> {
    match view_at(view)? {
        RibView::LocRib => Some(0),
        RibView::AdjRibInPost => Some(1),
        RibView::AdjRibInPre => Some(2),
        RibView::AdjRibOutPre | RibView::AdjRibOutPost => None,
    }
}

fn keep_least<T: Ord>(candidates: &mut Vec<u32>, value: impl Fn(u32) -> Option<T>) {
    if candidates.len() < 2 {
        return;
    }
    let Some(least) = candidates.iter().filter_map(|&id| value(id)).min() else { return };
    candidates.retain(|&id| value(id).is_some_and(|value| value == least));
}

/// Takes out every path that another one of the same neighbour AS beats by MED: the outcome does not hang on the
/// order in which they came.
fn keep_least_med<'a>(candidates: &mut Vec<u32>, rank: &impl Fn(u32) -> Option<&'a Rank>) {
    let beaten = |by: &Rank, id: u32| {
        rank(id).is_some_and(|rank| {
            rank.neighbour.is_some() && rank.neighbour == by.neighbour && by.med < rank.med
        })
    };
    let mut at = 0;
    while let Some(&id) = candidates.get(at) {
        match rank(id) {
            Some(by) => candidates.retain(|&other| !beaten(by, other)),
            None => break,
        }
        // Whoever stood before `id` and is gone moves it forward.
        at = candidates.iter().position(|&other| other == id).map_or(0, |place| place + 1);
    }
}
