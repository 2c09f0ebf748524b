//! Addresses in, paths out, many side by side: a large RIB is in no cache, so each step is taken for all addresses
//! before the next one.
//!
//! Nearly always the longest prefix has one path, and that path is live. A bit for each prefix says the former; that
//! every path held is live is worked out once after each event of a peer. Then no path is read at all.

use wire::bgp::IpVersion;

use super::attributes::Interned;
use super::choice::Choice;
use super::direct::{BLOCK, Direct, Told};
use super::path::{PLAIN, PathId, Paths, PrefixId, id_of};
use super::peer::{Peers, Standing};
use super::prefix::Trie;
use super::{Asked, Found, Lookup, Rib, SIDE_BY_SIDE, TableId};

impl Rib {
    /// Finds the path of each address: that of the longest prefix that has one which counts. `found` gets one entry
    /// for each address, as far as it has room.
    pub fn lookup(&mut self, asked: &Asked<'_>, found: &mut [Found]) {
        let is_settled = self.is_settled();
        let rows = found.len().min(asked.addresses.len());
        let found = found.get_mut(..rows).unwrap_or_default();
        let Self { tables, paths, peers, attributes, choice, .. } = self;
        let Some(table) = tables.get(asked.table) else { return found.fill(Found::NOTHING) };
        let trie = table.trie(asked.version);
        let settled = if is_settled { PLAIN } else { 0 };
        let mut chooser =
            Chooser { table: asked.table, version: asked.version, settled, paths, peers, attributes, choice };
        let chunks = asked.addresses.chunks(SIDE_BY_SIDE).zip(found.chunks_mut(SIDE_BY_SIDE));
        match trie {
            Trie::Direct(direct) if is_settled => {
                let (mut entries, mut ahead) = (&mut [0; SIDE_BY_SIDE], &mut [0; SIDE_BY_SIDE]);
                #[expect(clippy::cast_possible_truncation, reason = "IPv4 has 32 bits")]
                let ask = |addresses: &[u128], to: &mut _| {
                    direct.ask(addresses.iter().map(|address| *address as u32), to);
                };
                if let Some(first) = asked.addresses.chunks(SIDE_BY_SIDE).next() {
                    ask(first, ahead);
                }
                for (nth, (addresses, found)) in chunks.enumerate() {
                    std::mem::swap(&mut entries, &mut ahead);
                    // The next ones are asked for before these are waited for.
                    if let Some(next) = asked.addresses.chunks(SIDE_BY_SIDE).nth(nth + 1) {
                        ask(next, ahead);
                    }
                    let told = direct.plain(entries, found);
                    let all = u32::MAX >> (SIDE_BY_SIDE - addresses.len());
                    let left = all & !(told.found | told.nothing);
                    if left != 0 {
                        chooser.look_further(trie, left, addresses, asked.next_hops_from(nth), found);
                    }
                }
            }
            Trie::Direct(_) | Trie::Strides(_) => {
                let (mut entries, mut ahead) = (&mut [0; SIDE_BY_SIDE], &mut [0; SIDE_BY_SIDE]);
                if let Some(first) = asked.addresses.chunks(SIDE_BY_SIDE).next() {
                    trie.longest(asked.version, first, paths, ahead);
                }
                for (nth, (addresses, found)) in chunks.enumerate() {
                    std::mem::swap(&mut entries, &mut ahead);
                    // The next ones are asked for before these are waited for.
                    if let Some(next) = asked.addresses.chunks(SIDE_BY_SIDE).nth(nth + 1) {
                        trie.longest(asked.version, next, paths, ahead);
                    }
                    chooser.take(entries, addresses, asked.next_hops_from(nth), found);
                }
            }
        }
    }

    /// Asks for what [`Rib::plain`] tells of at most 32 addresses, as the join has them: the entries of the default
    /// table's IPv4, [`BLOCK`] for those of which it tells nothing. They are on their way when this returns.
    #[inline]
    pub(crate) fn ask(&mut self, addresses: &[[u8; 16]], entries: &mut [u32; SIDE_BY_SIDE]) {
        let is_settled = self.is_settled();
        if let Some(direct) = self.direct().filter(|_| is_settled) {
            let v4 = |[.., a, b, c, d]: [u8; 16]| u32::from_be_bytes([a, b, c, d]);
            direct.ask(addresses.iter().map(|address| v4(*address)), entries);
            for (address, entry) in addresses.iter().zip(entries) {
                // The unspecified address is none.
                let is_v4 = (u128::from_be_bytes(*address) >> 32 == 0xffff) & (v4(*address) != 0);
                let mask = u32::from(is_v4).wrapping_neg();
                *entry = *entry & mask | BLOCK & !mask;
            }
        } else {
            entries.fill(BLOCK);
        }
    }

    /// The paths of those addresses of which it is told without a look at any path: one path and that live; nothing
    /// for the others.
    #[inline]
    pub(crate) fn plain(&self, entries: &[u32], found: &mut [Found]) -> Told {
        self.direct().map_or(Told::NOTHING, |direct| direct.plain(entries, found))
    }

    fn direct(&self) -> Option<&Direct> {
        match self.tables.get(TableId::DEFAULT)?.trie(IpVersion::V4) {
            Trie::Direct(direct) => Some(direct),
            Trie::Strides(_) => None,
        }
    }

    /// Finds the path of one key.
    pub fn find(&mut self, key: &Lookup) -> Option<Found> {
        let address = u128::from_be_bytes(key.address);
        let address = if key.version == IpVersion::V4 { address >> 96 } else { address };
        let next_hops = [key.next_hop.unwrap_or_default()];
        let mut found = [Found::NOTHING];
        let asked =
            Asked { table: key.table, version: key.version, addresses: &[address], next_hops: &next_hops };
        self.lookup(&asked, &mut found);
        let [found] = found;
        found.is_found().then_some(found)
    }

    /// Whether every path held is live: no peer and no view of one is stale, and nothing dead waits to be freed.
    fn is_settled(&mut self) -> bool {
        let (is_swept, peers) = (self.sweep_end == 0, &self.peers);
        *self.settled.get_or_insert_with(|| is_swept && peers.are_all_live())
    }
}

impl Asked<'_> {
    /// Next hops from the first of the `nth` addresses side by side on.
    fn next_hops_from(&self, nth: usize) -> &[[u8; 16]] {
        self.next_hops.get(nth * SIDE_BY_SIDE..).unwrap_or_default()
    }
}

/// The choice among the paths of prefixes of one table, where there is one to be made.
struct Chooser<'a> {
    table: TableId,
    version: IpVersion,
    /// [`PLAIN`] if every path held is live, else 0.
    settled: u32,
    paths: &'a Paths,
    peers: &'a Peers,
    attributes: &'a Interned,
    choice: &'a mut Choice,
}

impl Chooser<'_> {
    /// Finds the paths of addresses whose longest prefixes have these entries.
    #[inline]
    fn take(
        &mut self,
        entries: &[u32; SIDE_BY_SIDE],
        addresses: &[u128],
        next_hops: &[[u8; 16]],
        found: &mut [Found],
    ) {
        let mut is_rest = false;
        for (entry, found) in entries.iter().zip(&mut *found).take(addresses.len()) {
            // Whether it is plain is a matter of chance: values, and no branch.
            let is_plain = entry & self.settled;
            let other = (is_plain >> PLAIN.trailing_zeros()).wrapping_sub(1);
            *found = Found { path: PathId((entry & !PLAIN).wrapping_sub(1) | other), ..Found::NOTHING };
            is_rest |= is_plain == 0 && *entry != 0;
        }
        if is_rest {
            self.choose_among(entries, addresses, next_hops, found);
        }
    }

    /// The same of those rows of which the large table did not tell all.
    #[inline(never)]
    fn look_further(
        &mut self,
        trie: &Trie,
        mut rows: u32,
        addresses: &[u128],
        next_hops: &[[u8; 16]],
        found: &mut [Found],
    ) {
        while rows != 0 {
            let row = rows.trailing_zeros() as usize;
            rows &= rows - 1;
            let (Some(address), Some(found)) = (addresses.get(row..=row), found.get_mut(row..=row)) else {
                return;
            };
            let mut entries = [0; SIDE_BY_SIDE];
            trie.longest(self.version, address, self.paths, &mut entries);
            self.take(&entries, address, next_hops.get(row..).unwrap_or_default(), found);
        }
    }

    /// Finds the paths of those addresses that have a longest prefix and nothing found yet, each from that prefix on.
    #[inline(never)]
    fn choose_among(
        &mut self,
        entries: &[u32],
        addresses: &[u128],
        next_hops: &[[u8; 16]],
        found: &mut [Found],
    ) {
        for (row, ((entry, address), found)) in entries.iter().zip(addresses).zip(found).enumerate() {
            if !found.is_found()
                && let Some(prefix) = id_of(*entry)
            {
                let next_hop = next_hops.get(row).copied().filter(|next_hop| *next_hop != [0; 16]);
                *found = self.choose(prefix, *address, next_hop).unwrap_or(Found::NOTHING);
            }
        }
    }

    /// The path of the longest prefix that has one which counts; `prefix` is the longest of all.
    fn choose(&mut self, mut prefix: PrefixId, address: u128, next_hop: Option<[u8; 16]>) -> Option<Found> {
        let address = if self.version == IpVersion::V4 { address << 96 } else { address };
        loop {
            if let Some((path, picked_by, standing)) =
                self.choice.choose(prefix, self.paths, next_hop, self.peers, self.attributes)
            {
                return Some(Found { path, picked_by, stale: standing == Standing::Stale });
            }
            // All its paths are dead: the next shorter prefix.
            let below = self.paths.length(prefix.0);
            prefix = self.paths.longest_below(self.table, self.version, address, 0, below)?;
        }
    }
}
