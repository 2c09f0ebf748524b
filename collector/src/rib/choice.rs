//! Which of a prefix's paths traffic takes. Paths and peers in, one path and why it out; keeps nothing but the room
//! to compare in.

use wire::bmp::RibView;

use super::attributes::{Interned, Rank};
use super::path::{PathId, Paths, PrefixId};
use super::peer::{Peers, Standing, view_at};
use crate::schema::PickedBy;

/// Room for the paths that are compared. One a router.
#[derive(Debug, Default)]
pub(super) struct Choice {
    candidates: Vec<u32>,
}

impl Choice {
    /// The path of a prefix that traffic with this next hop takes, and why that one. `None`: no path counts.
    ///
    /// Paths that are not stale go first; then the flow's next hop; then what the router itself selected, what it
    /// took from the peer after policy, before policy; then the comparison of RFC 4271 section 9.1.2.2.
    pub(super) fn choose(
        &mut self,
        prefix: PrefixId,
        paths: &Paths,
        next_hop: Option<[u8; 16]>,
        peers: &Peers,
        attributes: &Interned,
    ) -> Option<(PathId, PickedBy, Standing)> {
        if let Some(only) = paths.only(prefix) {
            let key = only.key();
            let standing = peers.standing(key.peer, key.view, only.generation);
            let counts = standing != Standing::Dead && view_preference(key.view).is_some();
            return counts.then_some((PathId(prefix.0), PickedBy::Only, standing));
        }
        let candidates = &mut self.candidates;
        candidates.clear();
        let mut standing = Standing::Dead;
        let mut all = 0_u32;
        for id in paths.of(prefix) {
            let Some(path) = paths.get(id) else { continue };
            let (key, generation) = (path.key(), path.generation);
            let of_path = peers.standing(key.peer, key.view, generation);
            if of_path == Standing::Dead || view_preference(key.view).is_none() {
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
        let picked = pick(candidates, next_hop, paths, peers, attributes);
        candidates.first().map(|&id| {
            let why = if all == 1 { PickedBy::Only } else { picked };
            (PathId(id), why, standing)
        })
    }
}

fn pick(
    candidates: &mut Vec<u32>,
    next_hop: Option<[u8; 16]>,
    paths: &Paths,
    peers: &Peers,
    attributes: &Interned,
) -> PickedBy {
    let path = |id: u32| paths.get(PathId(id));
    let key = |id: u32| path(id).map(|path| path.key());
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
    keep_least(candidates, |id| key(id).and_then(|key| view_preference(key.view)));
    keep_least(candidates, |id| rank(id).map(|rank| u32::MAX - rank.local_preference));
    keep_least(candidates, |id| rank(id).map(|rank| rank.hops));
    keep_least(candidates, |id| rank(id).map(|rank| rank.origin));
    keep_least_med(candidates, &rank);
    let peer = |id: u32| key(id).and_then(|key| peers.list.get(key.peer as usize));
    keep_least(candidates, |id| peer(id).map(|peer| !peer.facts.external));
    let router_id = |id: u32| rank(id).and_then(|rank| rank.originator);
    keep_least(candidates, |id| router_id(id).or_else(|| peer(id).map(|peer| peer.facts.key.bgp_id)));
    keep_least(candidates, |id| rank(id).map(|rank| rank.clusters));
    keep_least(candidates, |id| peer(id).map(|peer| peer.facts.key.address));
    keep_least(candidates, |id| key(id).map(|key| (key.safi, key.path_id, key.peer)));
    picked
}

/// What the router selected first, then what it took, then what it was given. What it gives to others says
/// nothing of its own traffic.
pub(super) fn view_preference(view: u8) -> Option<u8> {
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
