//! Paths that flows were joined with in, the keys of their routes out. A path's key costs one read of a table of four
//! octets a place, and nothing of the path itself is read: what the key means was written into the router's book the
//! first time. Paths that say the same have one entry.
//!
//! A key is forgotten when its path changes or goes; the entry stays, because rows that are under way name it. When as
//! many keys are forgotten as are known, or the book is full, another book is begun: so a book is at most about twice
//! as large as what its paths say, and beginning anew costs no more than the changes did.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::path::PathId;
use super::{Found, Rib, TableKey};
use crate::join::book::{Book, MAX_ENTRIES, RouteKey};
use crate::join::route::{JoinedRoute, RouteOctets};

/// Octets of the entries of one book.
const MAX_OCTETS: usize = 64 << 20;
/// What an entry costs beside its octets.
const ENTRY_OCTETS: usize = 64;
/// Keys that may be forgotten however few are known.
const FEW: usize = 4_096;

/// One a router; takes no memory before its first join.
#[derive(Debug, Default)]
pub(super) struct Booked {
    book: Option<Arc<Book>>,
    /// By place of a path; the default for those that no flow has met.
    keys: Vec<RouteKey>,
    /// Entries by their hash, which stands beside the number.
    entries: HashTable<(u64, u32)>,
    hasher: DefaultHashBuilder,
    octets: usize,
    known: usize,
    forgotten: usize,
    /// Room to put an entry together in.
    space: Vec<u8>,
}

impl Booked {
    /// What a path said is no longer so.
    #[inline]
    pub(super) fn forget(&mut self, path: PathId) {
        let Some(key) = self.keys.get_mut(path.0 as usize) else { return };
        if *key == RouteKey::default() {
            return;
        }
        *key = RouteKey::default();
        self.known -= 1;
        self.forgotten += 1;
        if self.forgotten > self.known + FEW {
            self.begin();
        }
    }

    /// Nothing that any path said needs be so any more: begins another book.
    pub(super) fn begin(&mut self) {
        *self =
            Self { hasher: self.hasher.clone(), space: std::mem::take(&mut self.space), ..Self::default() };
    }

    /// The keys of some paths, those known; whether all of those found are.
    #[inline]
    fn keys(&self, found: &[Found], to: &mut [RouteKey]) -> bool {
        let mut unknown = false;
        for (found, to) in found.iter().zip(to) {
            let key = self.keys.get(found.path.0 as usize).copied().unwrap_or_default();
            // Neither a branch nor another read waits for the key.
            unknown |= (key.0 == 0) & found.is_found();
            *to = key.stale(found.stale);
        }
        !unknown
    }

    /// The entry of the octets in `space`, written if there is none yet. `None`: the book is full.
    fn entry(&mut self) -> Option<u32> {
        let book = self.book.get_or_insert_default();
        let octets = self.space.as_slice();
        let hash = self.hasher.hash_one(octets);
        let is_it = |&(other, number): &(u64, u32)| other == hash && book.entry(number) == Some(octets);
        if let Some((_, number)) = self.entries.find(hash, is_it) {
            return Some(*number);
        }
        let number = u32::try_from(self.entries.len() + 1).ok().filter(|number| *number <= MAX_ENTRIES)?;
        let cost = octets.len() + ENTRY_OCTETS;
        if self.octets + cost > MAX_OCTETS || !book.write(number, octets) {
            return None;
        }
        self.octets += cost;
        self.entries.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        Some(number)
    }

    /// Notes the entry of a path of which there are `places`.
    fn note(&mut self, path: PathId, key: RouteKey, places: usize) {
        let at = path.0 as usize;
        if self.keys.is_empty() {
            // Fresh memory is zero already.
            self.keys = vec![RouteKey::default(); places.max(at + 1)];
        } else if self.keys.len() <= at {
            self.keys.resize(places.max(at + 1), RouteKey::default());
        }
        if let Some(to) = self.keys.get_mut(at) {
            self.known += usize::from(*to == RouteKey::default());
            *to = key;
        }
    }
}

impl Rib {
    /// Asks for the keys of some paths, so that they are near when [`Rib::keys`] reads them. What it returns means
    /// nothing.
    #[inline]
    pub(crate) fn ask_keys(&self, found: &[Found]) -> u32 {
        let keys = found.iter().filter_map(|found| self.booked.keys.get(found.path.0 as usize));
        keys.fold(0, |all, key| all ^ key.0)
    }

    /// The keys of the routes that look-ups found, and the book that they are of. `None`: nothing was found.
    #[inline]
    pub(crate) fn keys(&mut self, found: &[Found], to: &mut [RouteKey]) -> Option<&Arc<Book>> {
        if !self.booked.keys(found, to) {
            self.enter_all(found, to);
        }
        self.booked.book.as_ref()
    }

    /// The same where paths are met for the first time.
    #[cold]
    fn enter_all(&mut self, found: &[Found], to: &mut [RouteKey]) {
        // If the book runs full on the way all are entered into the next one, which has room for them.
        for _ in 0..3 {
            for (found, key) in found.iter().zip(&mut *to) {
                if found.is_found() && key.entry() == 0 {
                    self.enter(*found);
                }
            }
            if self.booked.keys(found, to) {
                return;
            }
        }
    }

    /// Writes what a path says into the book.
    fn enter(&mut self, found: Found) {
        let mut space = std::mem::take(&mut self.booked.space);
        space.clear();
        let length = self.octets_of(found, &mut space);
        self.booked.space = space;
        let Some(length) = length else { return };
        let entry = self.booked.entry().or_else(|| {
            let octets = std::mem::take(&mut self.booked.space);
            self.booked.begin();
            self.booked.space = octets;
            self.booked.entry()
        });
        if let Some(entry) = entry {
            self.booked.note(found.path, RouteKey::new(entry, length), self.paths.places());
        }
    }

    /// Appends the octets of a path's entry. Returns the length of its prefix.
    fn octets_of(&self, found: Found, to: &mut Vec<u8>) -> Option<u8> {
        let view = self.view(found.path)?;
        let mut labels = [0; crate::join::route::MAX_LABEL_OCTETS];
        let labels = self.labels_into(found.path, &mut labels);
        let rd = match view.table {
            TableKey::Distinguisher(rd) => Some(rd),
            TableKey::Default | TableKey::Local(_) => None,
        };
        let route = JoinedRoute {
            prefix: view.prefix,
            peer: view.peer.address,
            peer_as: view.peer.autonomous_system,
            view: view.view,
            rd,
            labels,
            stale: found.stale,
            attributes: view.attributes,
        };
        RouteOctets::write(&route, to);
        Some(view.prefix.length)
    }
}

#[cfg(test)]
mod tests {
    use wire::bgp::{Family, IpVersion, Prefix};
    use wire::bmp::RibView;

    use super::*;
    use crate::rib::{Asked, PeerFacts, PeerId, PeerKey, RibLimits, Route, TableId};

    const LIMITS: RibLimits =
        RibLimits { paths: 100, attribute_octets: usize::MAX, tables: 4, stale_ns: u64::MAX };

    fn rib() -> (Rib, PeerId) {
        let mut rib = Rib::default();
        let key = PeerKey { kind: 0, distinguisher: [0; 8], address: [1; 16], bgp_id: 1 };
        let facts = PeerFacts {
            key,
            address: Some([1; 16]),
            autonomous_system: 1,
            external: true,
            table: TableId::DEFAULT,
        };
        let peer = rib.add_peer(facts, 1, &LIMITS);
        (rib, peer)
    }

    /// Announces 10.`nth`.0.0/16 with such attributes.
    fn announce(rib: &mut Rib, peer: PeerId, nth: u8, attributes: &[u8]) {
        let route = Route {
            peer,
            view: RibView::AdjRibInPost,
            family: Family::IPV4_UNICAST,
            prefix: Prefix::new([10, nth, 0, 0].into(), 16),
            rd: None,
            path_id: None,
            labels: &[],
        };
        let id = rib.intern(attributes, &LIMITS).unwrap();
        rib.announce(&route, id, &LIMITS);
        rib.release(id);
    }

    /// The book that the route of 10.`nth`.0.1 is in, and what its entry says of attributes.
    fn look_up(rib: &mut Rib, nths: &[u8]) -> (Arc<Book>, Vec<Vec<u8>>) {
        let addresses: Vec<u128> = nths.iter().map(|nth| 0x0a00_0001 | u128::from(*nth) << 16).collect();
        let mut found = vec![Found::NOTHING; nths.len()];
        let asked =
            Asked { table: TableId::DEFAULT, version: IpVersion::V4, addresses: &addresses, next_hops: &[] };
        rib.lookup(&asked, &mut found);
        let mut keys = vec![RouteKey::default(); nths.len()];
        let book = Arc::clone(rib.keys(&found, &mut keys).unwrap());
        let attributes = keys.iter().map(|key| {
            let octets = RouteOctets(book.entry(key.entry()).unwrap());
            octets.read(Prefix::new([10, 0, 0, 0].into(), key.length()), false).unwrap().attributes.to_vec()
        });
        let attributes = attributes.collect();
        (book, attributes)
    }

    #[test]
    fn a_book_of_things_past_gives_way_to_another() {
        let (mut rib, peer) = rib();
        let mut books: Vec<Arc<Book>> = Vec::new();
        for round in 0..2 * FEW {
            let attributes = [0x40, 1, 1, u8::try_from(round % 251).unwrap()];
            announce(&mut rib, peer, 1, &attributes);
            let (book, told) = look_up(&mut rib, &[1]);
            assert_eq!(told, [attributes]);
            if books.last().is_none_or(|last| !Arc::ptr_eq(last, &book)) {
                books.push(book);
            }
        }
        assert_eq!(books.len(), 2);
        // What is said again is not written again.
        assert!(books[0].entry(251).is_some() && books[0].entry(252).is_none());
        // Nobody but its readers holds on to the first.
        assert_eq!(Arc::strong_count(&books[0]), 1);
    }

    #[test]
    fn rows_looked_up_together_are_of_one_book_even_where_it_runs_full() {
        let (mut rib, peer) = rib();
        let (mut first, mut books) = (None, 0);
        // The book has room for an odd number of these.
        for round in 0..=MAX_OCTETS / 118_000 {
            let attributes = [0, 1].map(|nth| {
                let mut octets = vec![0; 59_000];
                octets[..8].copy_from_slice(&(2 * round + nth).to_be_bytes());
                octets
            });
            announce(&mut rib, peer, 0, &attributes[0]);
            announce(&mut rib, peer, 1, &attributes[1]);
            let (book, told) = look_up(&mut rib, &[0, 1]);
            assert!(told == attributes);
            if first.as_ref().is_none_or(|first| !Arc::ptr_eq(first, &book)) {
                (first, books) = (Some(book), books + 1);
            }
        }
        assert_eq!(books, 2);
    }
}
