//! Routes announced and withdrawn in, paths of the RIB changed, how that ended out. Every limit is held here.

use super::attributes::InternedId;
use super::path::{Labels, PathId, PathKey};
use super::peer::{Standing, view_index};
use super::{Rib, RibLimits, Route, TableId, TableKey};
use crate::ledger::RibEnd;

impl Rib {
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
        let known = self.paths.find_prefix(table, &route.prefix);
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
        let path = table
            .and_then(|table| self.paths.find_prefix(table, &route.prefix))
            .and_then(|prefix| self.paths.find(prefix, key(route)));
        let Some(id) = path else { return RibEnd::Absent };
        let counted = self.standing(id) != Standing::Dead;
        self.free(id);
        if counted { RibEnd::Withdrawn } else { RibEnd::Absent }
    }

    pub(super) fn free(&mut self, id: PathId) {
        let Some(path) = self.paths.remove(id) else { return };
        if let Some((place, prefix, table)) = path.empty {
            self.tables.remove(table, &prefix, place, &self.paths);
        }
        self.attributes.release(path.attributes);
        self.release_labels(path.labels);
        self.peers.path_freed(path.peer);
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
}

pub(super) fn key(route: &Route<'_>) -> PathKey {
    let view = u8::try_from(view_index(route.view)).unwrap_or(u8::MAX);
    PathKey { peer: route.peer.0, view, safi: route.family.safi, path_id: route.path_id }
}
