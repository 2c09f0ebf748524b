//! Routes announced and withdrawn in, paths of the RIB changed, how that ended out. Every limit is held here.

use super::attributes::InternedId;
use wire::bgp::Prefix;

use super::path::{PathId, PrefixId};
use super::peer::{Standing, view_index};
use super::place::{Labels, PathKey};
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
        if let Some(id) = known.and_then(|prefix| self.paths.find(prefix, key))
            && let Some(path) = self.paths.get_mut(id)
        {
            self.booked.forget(id);
            self.attributes.hold(attributes);
            let before = std::mem::replace(&mut path.attributes, attributes);
            let labels_before = std::mem::replace(&mut path.labels, labels);
            path.generation = generation;
            self.attributes.release(before);
            self.release_labels(labels_before);
            return RibEnd::Replaced;
        }
        if self.paths.held() >= limits.paths {
            self.release_labels(labels);
            self.release_table(table);
            return RibEnd::TooManyPaths;
        }
        if self.add(table, &route.prefix, known, key, generation, attributes, labels).is_none() {
            self.release_labels(labels);
            self.release_table(table);
            return RibEnd::TooManyPaths;
        }
        self.attributes.hold(attributes);
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

    /// Adds a path, and its prefix if that is not `known`. `None`: no id is left.
    #[expect(clippy::too_many_arguments, reason = "all that a path consists of")]
    pub(super) fn add(
        &mut self,
        table: TableId,
        prefix: &Prefix,
        known: Option<PrefixId>,
        key: PathKey,
        generation: u32,
        attributes: InternedId,
        labels: Labels,
    ) -> Option<PathId> {
        match known {
            Some(of) => {
                let before = self.paths.entry(of);
                let id = self.paths.add(of, key, generation, attributes, labels)?;
                if self.paths.entry(of) != before {
                    self.tables.refresh(table, prefix, of, &self.paths);
                }
                Some(id)
            }
            None => {
                let of = self.paths.add_prefix(*prefix, table)?;
                let id = self.paths.add(of, key, generation, attributes, labels)?;
                self.tables.insert(table, prefix, of, &self.paths);
                Some(id)
            }
        }
    }

    pub(super) fn free(&mut self, id: PathId) {
        let Some(path) = self.paths.remove(id) else { return };
        self.booked.forget(id);
        let (table, of) = (path.table, path.of);
        if path.is_empty {
            self.tables.remove(table, &path.prefix, of, &self.paths);
        } else {
            self.tables.refresh(table, &path.prefix, of, &self.paths);
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
