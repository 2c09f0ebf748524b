//! Prefixes of all tables of a router and their paths, by their places: a prefix has its own, in which its first path
//! stands too; further paths of it have places of their own, one linked to the next.
//! Knows nothing of tries and of which path is chosen.

use wire::bgp::{IpVersion, Prefix};

use super::attributes::InternedId;
use super::choice::view_preference;
use super::index::Index;
use super::place::{Labels, PATH, PREFIX, PathKey, Place};
use super::table::TableId;

/// No place, no label.
pub(crate) const NONE: u32 = u32::MAX;
/// Places that ids can name: two bits are left to those who keep ids.
const MAX_PLACES: usize = (1 << 30) - 1;
/// Marks the entry of a prefix whose only path stands in its own place and is one that traffic may take.
pub(crate) const PLAIN: u32 = 1 << 30;
/// Names a path of a router's RIB: its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(pub(crate) u32);

/// Names a prefix of a router's RIB: its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PrefixId(pub(crate) u32);

/// What is left to be given back of a path that was taken out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Removed {
    pub(crate) peer: u32,
    pub(crate) attributes: InternedId,
    pub(crate) labels: Labels,
    pub(crate) of: PrefixId,
    pub(crate) prefix: Prefix,
    pub(crate) table: TableId,
    /// Whether its prefix has no path any more: then its place is free.
    pub(crate) is_empty: bool,
}

/// The prefixes and paths of one router, all tables together.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    places: Vec<Place>,
    free: Vec<u32>,
    index: Index,
    /// One bit a place: the prefix that stands here is [`PLAIN`].
    plain: Vec<u64>,
    held: usize,
    prefixes: usize,
}

impl Paths {
    /// Paths held, dead ones that wait to be freed included.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Places that a sweep has to look at.
    pub(crate) const fn places(&self) -> usize {
        self.places.len()
    }

    /// Prefixes with paths.
    pub(crate) const fn prefixes(&self) -> usize {
        self.prefixes
    }

    #[inline]
    pub(crate) fn get(&self, id: PathId) -> Option<&Place> {
        self.places.get(id.0 as usize).filter(|place| place.is(PATH))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Place> {
        self.places.get_mut(id.0 as usize).filter(|place| place.is(PATH))
    }

    /// The prefix of a path or the prefix at a place, and its table.
    pub(crate) fn prefix(&self, place: u32) -> Option<(Prefix, TableId)> {
        self.places.get(place as usize).map(|place| (place.prefix(), TableId(place.table)))
    }

    /// Bits of the prefix at a place; 0 for none.
    pub(crate) fn length(&self, prefix: u32) -> u8 {
        self.places.get(prefix as usize).map_or(0, |place| place.length)
    }

    /// Whether the prefix at a place covers an address.
    #[inline]
    pub(crate) fn covers(&self, prefix: u32, address: u128) -> bool {
        self.places.get(prefix as usize).is_some_and(|place| {
            let differ = u128::from_be_bytes(place.octets) ^ address;
            differ.checked_shr(128 - u32::from(place.length)).unwrap_or(0) == 0
        })
    }

    /// What tables of prefixes keep of one: its id plus 1, and whether it is [`PLAIN`].
    #[inline]
    pub(crate) fn entry(&self, prefix: PrefixId) -> u32 {
        let word = self.plain.get(prefix.0 as usize / 64).copied().unwrap_or(0);
        let is_plain = (word >> (prefix.0 % 64)) as u32 & 1;
        (prefix.0 + 1) | (is_plain * PLAIN)
    }

    /// The place of exactly this prefix.
    pub(crate) fn find_prefix(&self, table: TableId, prefix: &Prefix) -> Option<PrefixId> {
        let is_it = |id: u32| {
            self.places
                .get(id as usize)
                .is_some_and(|place| place.prefix() == *prefix && place.table == table.0)
        };
        self.index.find(table, prefix, is_it).map(PrefixId)
    }

    /// The longest prefix of at least `least` and fewer than `below` bits that covers an address, in the form of
    /// prefixes. Slower than a trie: asked where a trie has only the longest.
    pub(crate) fn longest_below(
        &self,
        table: TableId,
        version: IpVersion,
        address: u128,
        least: u8,
        below: u8,
    ) -> Option<PrefixId> {
        (least..below).rev().filter(|&length| self.index.has_length(version, length)).find_map(|length| {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            let prefix = Prefix { version, octets: (address & mask).to_be_bytes(), length };
            self.find_prefix(table, &prefix)
        })
    }

    /// All prefixes of one table and protocol.
    pub(crate) fn prefixes_of(
        &self,
        table: TableId,
        version: IpVersion,
    ) -> impl Iterator<Item = (PrefixId, Prefix)> {
        (0..).map(PrefixId).zip(self.places.iter()).filter_map(move |(id, place)| {
            let prefix = place.prefix();
            (place.is(PREFIX) && place.table == table.0 && prefix.version == version).then_some((id, prefix))
        })
    }

    /// A place for a prefix that has no path yet. `None`: no id is left.
    pub(crate) fn add_prefix(&mut self, prefix: Prefix, table: TableId) -> Option<PrefixId> {
        let mut place = Place::of(&prefix, table);
        place.flags |= PREFIX;
        let id = self.put(place)?;
        let places = &self.places;
        self.index.insert(table, &prefix, id, |id| {
            places.get(id as usize).map(|place| (TableId(place.table), place.prefix()))
        });
        self.prefixes += 1;
        Some(PrefixId(id))
    }

    /// The path of a prefix with this key, dead or alive.
    pub(crate) fn find(&self, prefix: PrefixId, key: PathKey) -> Option<PathId> {
        self.of(prefix).find(|&id| self.get(id).is_some_and(|path| path.key() == key))
    }

    /// The path that stands in the place of a prefix and is its only one.
    pub(crate) fn only(&self, prefix: PrefixId) -> Option<&Place> {
        self.get(PathId(prefix.0)).filter(|place| place.next == NONE)
    }

    /// The paths of a prefix.
    pub(crate) fn of(&self, prefix: PrefixId) -> impl Iterator<Item = PathId> {
        let next = |id: u32| self.places.get(id as usize).map(|place| place.next).filter(|&id| id != NONE);
        let first = self.places.get(prefix.0 as usize).map(|_| prefix.0);
        let all = std::iter::successors(first, move |&id| next(id)).map(PathId);
        all.filter(|&id| self.get(id).is_some())
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
        let at = prefix.0 as usize;
        let head = self.places.get_mut(at)?;
        let id = if head.is(PATH) {
            let mut further = head.further();
            further.set_path(key, generation, attributes, labels);
            let id = self.put(further)?;
            self.places.get_mut(at)?.next = id;
            id
        } else {
            head.set_path(key, generation, attributes, labels);
            prefix.0
        };
        self.held += 1;
        self.note_plain(prefix);
        Some(PathId(id))
    }

    /// Takes a path out, and its prefix if it has no other.
    pub(crate) fn remove(&mut self, id: PathId) -> Option<Removed> {
        let path = *self.get(id)?;
        let (prefix, table) = (path.prefix(), TableId(path.table));
        let of = if path.is(PREFIX) { PrefixId(id.0) } else { self.find_prefix(table, &prefix)? };
        if path.is(PREFIX) {
            self.places.get_mut(id.0 as usize)?.flags &= !PATH;
        } else {
            self.unlink(of, id, path.next);
            self.give_back(id.0);
        }
        self.held -= 1;
        let head = self.places.get(of.0 as usize)?;
        let is_empty = !head.is(PATH) && head.next == NONE;
        self.note_plain(of);
        if is_empty {
            self.remove_prefix(of);
        }
        let Place { peer, attributes, labels, .. } = path;
        Some(Removed { peer, attributes, labels, of, prefix, table, is_empty })
    }

    /// Takes out a prefix that has no path.
    pub(super) fn remove_prefix(&mut self, id: PrefixId) {
        let Some((prefix, table)) = self.prefix(id.0) else { return };
        self.index.remove(table, &prefix, id.0);
        self.give_back(id.0);
        self.prefixes -= 1;
    }

    /// Links whatever leads to a path with what comes behind it.
    fn unlink(&mut self, prefix: PrefixId, id: PathId, behind: u32) {
        let mut at = prefix.0;
        while let Some(place) = self.places.get_mut(at as usize) {
            if place.next == id.0 {
                place.next = behind;
                return;
            }
            at = place.next;
        }
    }

    fn put(&mut self, place: Place) -> Option<u32> {
        if let Some(id) = self.free.pop() {
            *self.places.get_mut(id as usize)? = place;
            return Some(id);
        }
        if self.places.len() >= MAX_PLACES {
            return None;
        }
        self.places.push(place);
        self.plain.resize(self.places.len().div_ceil(64), 0);
        u32::try_from(self.places.len() - 1).ok()
    }

    fn give_back(&mut self, id: u32) {
        if let Some(place) = self.places.get_mut(id as usize) {
            place.flags = 0;
            self.free.push(id);
        }
    }

    fn note_plain(&mut self, prefix: PrefixId) {
        let is_plain = self.places.get(prefix.0 as usize).is_some_and(|place| {
            place.is(PATH) && place.next == NONE && view_preference(place.view).is_some()
        });
        if let Some(word) = self.plain.get_mut(prefix.0 as usize / 64) {
            let bit = prefix.0 % 64;
            *word = *word & !(1 << bit) | u64::from(is_plain) << bit;
        }
    }
}

/// The prefix of an entry.
#[inline]
pub(crate) fn id_of(entry: u32) -> Option<PrefixId> {
    (entry & !PLAIN).checked_sub(1).map(PrefixId)
}
