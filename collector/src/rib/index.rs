//! Prefixes in, their places out: a hash table over all tables of a router, in parts, so that no part is ever so
//! large that its growth takes longer than a turn. Keeps ids; what stands at an id is told by who asks.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use wire::bgp::{IpVersion, Prefix};

use super::table::TableId;

/// Parts, a power of two.
const PARTS: usize = 64;
/// Lengths of prefixes, 0 included.
const LENGTHS: usize = 129;

/// The index. One a router; takes no memory before its first prefix.
#[derive(Debug, Default)]
pub(super) struct Index {
    parts: Option<Box<Parts>>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Parts {
    ids: [HashTable<u32>; PARTS],
    /// Prefixes of each length, by protocol.
    lengths: [[u32; LENGTHS]; 2],
}

impl Parts {
    /// The part of a hash: neither by the bits that choose a bucket in it nor by those that are compared there.
    fn part(&self, hash: u64) -> Option<&HashTable<u32>> {
        self.ids.get((hash >> 48) as usize % PARTS)
    }

    fn part_mut(&mut self, hash: u64) -> Option<&mut HashTable<u32>> {
        self.ids.get_mut((hash >> 48) as usize % PARTS)
    }

    fn length(&mut self, prefix: &Prefix) -> Option<&mut u32> {
        self.lengths.get_mut(protocol(prefix.version))?.get_mut(usize::from(prefix.length))
    }
}

const fn protocol(version: IpVersion) -> usize {
    match version {
        IpVersion::V4 => 0,
        IpVersion::V6 => 1,
    }
}

impl Index {
    /// The id of a prefix; `is_it` tells it from others of the same hash.
    #[inline]
    pub(super) fn find(&self, table: TableId, prefix: &Prefix, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = hash(&self.hasher, table, prefix);
        self.parts.as_ref()?.part(hash)?.find(hash, |&id| is_it(id)).copied()
    }

    /// Whether any table has a prefix of this length.
    pub(super) fn has_length(&self, version: IpVersion, length: u8) -> bool {
        let lengths = self.parts.as_ref().and_then(|parts| parts.lengths.get(protocol(version)));
        lengths.and_then(|lengths| lengths.get(usize::from(length))).is_some_and(|&n| n > 0)
    }

    /// Puts a prefix in that is not in yet. `prefix_of` tells the prefix of an id.
    pub(super) fn insert(
        &mut self,
        table: TableId,
        prefix: &Prefix,
        id: u32,
        prefix_of: impl Fn(u32) -> Option<(TableId, Prefix)>,
    ) {
        let hasher = &self.hasher;
        let parts = self.parts.get_or_insert_with(|| {
            Box::new(Parts { ids: [const { HashTable::new() }; PARTS], lengths: [[0; LENGTHS]; 2] })
        });
        if let Some(n) = parts.length(prefix) {
            *n += 1;
        }
        let new = hash(hasher, table, prefix);
        if let Some(part) = parts.part_mut(new) {
            let hash_of = |&id: &u32| prefix_of(id).map_or(0, |(table, prefix)| hash(hasher, table, &prefix));
            part.insert_unique(new, id, hash_of);
        }
    }

    /// Takes a prefix out.
    pub(super) fn remove(&mut self, table: TableId, prefix: &Prefix, id: u32) {
        let hash = hash(&self.hasher, table, prefix);
        let Some(parts) = &mut self.parts else { return };
        if let Some(n) = parts.length(prefix) {
            *n = n.saturating_sub(1);
        }
        if let Some(part) = parts.part_mut(hash)
            && let Ok(found) = part.find_entry(hash, |&other| other == id)
        {
            found.remove();
        }
    }
}

fn hash(hasher: &DefaultHashBuilder, table: TableId, prefix: &Prefix) -> u64 {
    let rest = u64::from(table.0) << 16 | (protocol(prefix.version) as u64) << 8 | u64::from(prefix.length);
    hasher.hash_one((u128::from_ne_bytes(prefix.octets), rest))
}
