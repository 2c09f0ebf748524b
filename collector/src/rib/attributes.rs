//! Path attributes, each set kept once: canonical octets in, a counted id out, with what the choice among paths
//! needs to know of them worked out beforehand. Bounded by octets; never interprets what the choice does not need.
//!
//! Canonical octets are attributes as on the wire (RFC 4271 section 4.3) with 4-octet AS numbers, `MP_REACH_NLRI`
//! without its NLRI, and without `MP_UNREACH_NLRI`, `AS4_PATH` and `AS4_AGGREGATOR`.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use wire::Cursor;
use wire::bgp::{AsPath, AsWidth, Attributes, SegmentKind};

/// What an entry costs beside its octets, for the limit.
const ENTRY_OCTETS: usize = 96;

/// Names a set of attributes, or a stack of labels, of one router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InternedId(pub(crate) u32);

/// The limit of octets is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A dictionary key in the batch in which it was given out; batches count from 1, so 0 is no batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    batch: u32,
    key: i32,
}

impl Stamp {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a stamp is read again within a few batches of its own"
    )]
    pub(crate) const fn new(batch: u64, key: i32) -> Self {
        Self { batch: batch as u32, key }
    }

    #[expect(clippy::cast_possible_truncation, reason = "as in `new`")]
    pub(crate) fn key(self, batch: u64) -> Option<i32> {
        (self.batch == batch as u32 && batch != 0).then_some(self.key)
    }
}

/// What the choice among paths needs to know (RFC 4271 section 9.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) local_preference: u32,
    pub(crate) hops: u32,
    pub(crate) origin: u8,
    pub(crate) med: u32,
    /// First AS of the path; MEDs compare only between paths of the same one.
    pub(crate) neighbour: Option<u32>,
    pub(crate) originator: Option<u32>,
    pub(crate) clusters: u32,
    /// Next hop, IPv4 as IPv4-mapped.
    pub(crate) next_hop: Option<[u8; 16]>,
}

impl Rank {
    pub(crate) fn of(octets: &[u8]) -> Self {
        let mut rank = Self {
            local_preference: 100,
            hops: 0,
            origin: 2,
            med: 0,
            neighbour: None,
            originator: None,
            clusters: 0,
            next_hop: None,
        };
        for attribute in Attributes::new(Cursor::new(octets)).flatten() {
            let value = attribute.value.rest();
            let number = || value.try_into().ok().map(u32::from_be_bytes);
            match attribute.code {
                1 => rank.origin = value.first().copied().unwrap_or(2),
                2 => rank.path(attribute.value),
                3 => rank.next_hop = next_hop(value),
                4 => rank.med = number().unwrap_or(0),
                5 => rank.local_preference = number().unwrap_or(100),
                9 => rank.originator = number(),
                10 => rank.clusters = u32::try_from(value.len() / 4).unwrap_or(u32::MAX),
                14 => {
                    // AFI, SAFI, length of the next hop, next hop.
                    if let Some((&length, rest)) = value.get(3..).and_then(<[u8]>::split_first)
                        && let Some(octets) = rest.get(..usize::from(length))
                    {
                        rank.next_hop = next_hop(octets);
                    }
                }
                _ => {}
            }
        }
        rank
    }

    fn path(&mut self, value: Cursor<'_>) {
        let Ok(path) = AsPath::parse(value, AsWidth::Four) else { return };
        self.hops = u32::try_from(path.hops()).unwrap_or(u32::MAX);
        self.neighbour = path
            .segments()
            .find(|segment| matches!(segment.kind, SegmentKind::Sequence | SegmentKind::Set))
            .filter(|segment| segment.kind == SegmentKind::Sequence)
            .and_then(|segment| segment.numbers().next());
    }
}

/// A next hop of 4, 16 or 32 octets (global, then link-local), or with an RD of 8 before each.
fn next_hop(octets: &[u8]) -> Option<[u8; 16]> {
    let address = match octets.len() {
        4 | 16 => octets,
        32 => octets.get(..16)?,
        12 | 24 => octets.get(8..)?,
        48 => octets.get(8..24)?,
        _ => return None,
    };
    if let Ok(address) = <[u8; 4]>::try_from(address) {
        let [a, b, c, d] = address;
        return Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]);
    }
    address.try_into().ok()
}

#[derive(Debug)]
struct Entry {
    octets: Box<[u8]>,
    hash: u64,
    references: u32,
    rank: Rank,
    stamp: Stamp,
}

/// Octets kept once. One of attributes and one of label stacks a router.
#[derive(Debug, Default)]
pub struct Interned {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_hash: HashTable<u32>,
    hasher: DefaultHashBuilder,
    octets: usize,
}

impl Interned {
    /// The octets of an entry.
    #[must_use]
    pub fn octets(&self, id: InternedId) -> Option<&[u8]> {
        Some(&self.entry(id)?.octets)
    }

    /// Sets held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Octets held, with what their keeping costs.
    #[must_use]
    pub const fn held_octets(&self) -> usize {
        self.octets
    }

    /// Places of entries, free ones included.
    pub(crate) const fn places(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn rank(&self, id: u32) -> Option<&Rank> {
        self.entry(InternedId(id)).map(|entry| &entry.rank)
    }

    pub(crate) fn stamp(&self, id: InternedId) -> Stamp {
        self.entry(id).map_or_else(Stamp::default, |entry| entry.stamp)
    }

    pub(crate) fn set_stamp(&mut self, id: InternedId, stamp: Stamp) {
        if let Some(Some(entry)) = self.entries.get_mut(id.0 as usize) {
            entry.stamp = stamp;
        }
    }

    /// The id of these octets, with one reference more. Allocates only for octets that are new.
    ///
    /// # Errors
    /// [`Full`] where new octets would pass `limit`.
    pub(crate) fn intern(&mut self, octets: &[u8], limit: usize) -> Result<InternedId, Full> {
        let hash = self.hasher.hash_one(octets);
        let entries = &mut self.entries;
        let same = |&id: &u32| {
            let entry = entries.get(id as usize).and_then(Option::as_ref);
            entry.is_some_and(|entry| entry.hash == hash && *entry.octets == *octets)
        };
        if let Some(&id) = self.by_hash.find(hash, same) {
            self.hold(InternedId(id));
            return Ok(InternedId(id));
        }
        let cost = octets.len() + ENTRY_OCTETS;
        if self.octets.saturating_add(cost) > limit {
            return Err(Full);
        }
        let entry = Entry {
            octets: octets.into(),
            hash,
            references: 1,
            rank: Rank::of(octets),
            stamp: Stamp::default(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                *entries.get_mut(id as usize).ok_or(Full)? = Some(entry);
                id
            }
            None => {
                entries.push(Some(entry));
                u32::try_from(entries.len() - 1).map_err(|_| Full)?
            }
        };
        self.octets += cost;
        self.by_hash.insert_unique(hash, id, |&id| {
            entries.get(id as usize).and_then(Option::as_ref).map_or(0, |entry| entry.hash)
        });
        Ok(InternedId(id))
    }

    /// One reference more.
    pub(crate) fn hold(&mut self, id: InternedId) {
        if let Some(Some(entry)) = self.entries.get_mut(id.0 as usize) {
            entry.references += 1;
        }
    }

    /// One reference less; without one the octets are freed.
    pub(crate) fn release(&mut self, id: InternedId) {
        let Some(place) = self.entries.get_mut(id.0 as usize) else { return };
        let Some(entry) = place else { return };
        entry.references = entry.references.saturating_sub(1);
        if entry.references > 0 {
            return;
        }
        let hash = entry.hash;
        self.octets = self.octets.saturating_sub(entry.octets.len() + ENTRY_OCTETS);
        *place = None;
        if let Ok(found) = self.by_hash.find_entry(hash, |&other| other == id.0) {
            found.remove();
        }
        self.free.push(id.0);
    }

    fn entry(&self, id: InternedId) -> Option<&Entry> {
        self.entries.get(id.0 as usize)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: [u8; 31] = [
        0x40, 1, 1, 0, // ORIGIN IGP
        0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe9, // AS_PATH 65000 65001
        0x40, 3, 4, 192, 0, 2, 1, // NEXT_HOP 192.0.2.1
        0x80, 4, 4, 0, 0, 0, 50, // MED 50
    ];

    #[test]
    fn the_same_octets_are_kept_once_and_counted() {
        let mut interned = Interned::default();
        let first = interned.intern(&ATTRIBUTES, 1000).unwrap();
        let second = interned.intern(&ATTRIBUTES, 1000).unwrap();
        let other = interned.intern(&ATTRIBUTES[..4], 1000).unwrap();
        assert_eq!((first == second, first == other, interned.len()), (true, false, 2));
        interned.release(first);
        assert_eq!(interned.octets(second), Some(&ATTRIBUTES[..]));
        interned.release(second);
        assert_eq!(interned.octets(second), None);
        interned.release(other);
        assert_eq!((interned.held_octets(), interned.len()), (0, 0));
    }

    #[test]
    fn the_limit_holds_and_what_is_known_still_fits() {
        let mut interned = Interned::default();
        let limit = ATTRIBUTES.len() + ENTRY_OCTETS;
        interned.intern(&ATTRIBUTES, limit).unwrap();
        assert!(interned.intern(&ATTRIBUTES, limit).is_ok());
        assert_eq!(interned.intern(&ATTRIBUTES[..4], limit), Err(Full));
    }

    #[test]
    fn what_the_choice_needs_is_worked_out() {
        let rank = Rank::of(&ATTRIBUTES);
        assert_eq!((rank.hops, rank.origin, rank.med, rank.neighbour), (2, 0, 50, Some(65000)));
        assert_eq!(rank.next_hop.map(|octets| octets[10..].to_vec()), Some(vec![0xff, 0xff, 192, 0, 2, 1]));
        // MP_REACH_NLRI of VPN-IPv6 with an RD before each of the two addresses.
        let mut reach = vec![0x80, 14, 53, 0, 2, 128, 48];
        reach.extend([0; 8]);
        reach.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        reach.extend([0; 25]);
        assert_eq!(Rank::of(&reach).next_hop.map(|octets| octets[15]), Some(1));
    }
}
