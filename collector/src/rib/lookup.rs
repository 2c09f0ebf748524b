//! Many look-ups side by side: keys in, paths out. Each step is taken for all keys before the next one, so that the
//! memory that one key waits for is fetched while the others are looked at: a large RIB is in no cache.

use wire::bgp::Prefix;

use super::path::{Paths, view_preference};
use super::peer::{Peers, Standing};
use super::prefix::{self, PrefixId, Prefixes, Step, Trie};
use super::table::Tables;
use super::{Found, Lookup};
use crate::schema::PickedBy;

/// Keys that are looked up side by side.
pub(super) const SIDE_BY_SIDE: usize = 32;
/// Octets of the longest address, and one step more for prefixes of its full length.
const STEPS: usize = 17;
/// No prefix.
const NONE: u32 = u32::MAX;

/// What came of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The only path of the longest prefix, which counts.
    Found(Found),
    /// The longest prefix has several paths, or none that counts.
    Choose,
    /// No prefix covers the address.
    Nothing,
}

/// One key on its way down.
#[derive(Clone, Copy)]
struct Way<'a> {
    trie: Option<&'a Trie>,
    node: u32,
    best: u32,
    leaf: Option<PrefixId>,
}

/// Looks up to [`SIDE_BY_SIDE`] keys up.
pub(super) fn side_by_side(
    keys: &[Option<Lookup>],
    tables: &Tables,
    paths: &Paths,
    peers: &Peers,
) -> [Outcome; SIDE_BY_SIDE] {
    let mut ways = [Way { trie: None, node: 0, best: NONE, leaf: None }; SIDE_BY_SIDE];
    for (way, key) in ways.iter_mut().zip(keys) {
        let table = key.and_then(|key| Some((tables.get(key.table)?, key.version)));
        way.trie = table.map(|(table, version)| table.trie(version));
    }
    for (way, key) in ways.iter_mut().zip(keys) {
        if let (Some(trie), Some(key)) = (way.trie, key)
            && trie.is_direct()
        {
            way.best = trie.direct(&key.address, paths).map_or(NONE, |id| id.0);
            way.trie = None;
        }
    }
    for depth in 0..STEPS {
        let mut is_over = true;
        for (way, key) in ways.iter_mut().zip(keys) {
            let (Some(trie), Some(key)) = (way.trie, key) else { continue };
            match trie.step(way.node, depth, &key.address, &mut way.best) {
                Step::Node(node) => {
                    way.node = node;
                    is_over = false;
                }
                Step::Leaf(leaf) => (way.trie, way.leaf) = (None, Some(leaf)),
                Step::End => way.trie = None,
            }
        }
        if is_over {
            break;
        }
    }
    for (way, key) in ways.iter_mut().zip(keys) {
        let covers = |prefix: Prefix| key.is_some_and(|key| prefix::covers_address(&prefix, &key.address));
        if let Some(leaf) = way.leaf
            && paths.prefix(leaf).is_some_and(covers)
        {
            way.best = leaf.0;
        }
    }
    let only = ways.map(|way| paths.only(PrefixId(way.best)));
    let mut outcomes = [Outcome::Nothing; SIDE_BY_SIDE];
    for ((outcome, way), only) in outcomes.iter_mut().zip(ways).zip(only) {
        *outcome = match only {
            _ if way.best == NONE => Outcome::Nothing,
            Some((path, peer, view, generation)) if view_preference(view).is_some() => {
                match peers.standing(peer, view, generation) {
                    Standing::Dead => Outcome::Choose,
                    standing @ (Standing::Live | Standing::Stale) => {
                        let stale = standing == Standing::Stale;
                        Outcome::Found(Found { path, picked_by: PickedBy::Only, stale })
                    }
                }
            }
            Some(_) | None => Outcome::Choose,
        };
    }
    outcomes
}
