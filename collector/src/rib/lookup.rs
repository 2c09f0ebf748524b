//! Addresses in, paths out, many side by side: a large RIB is in no cache, so each step is taken for all addresses
//! before the next one.
//!
//! Nearly always the longest prefix has one path, and that path is live. A bit for each prefix says the former; that
//! every path held is live is worked out once after each event of a peer. Then no path is read at all.

use wire::bgp::IpVersion;

use super::attributes::Interned;
use super::choice::Choice;
use super::path::{NONE, PathId, Paths, PrefixId};
use super::peer::{Peers, Standing};
use super::prefix::SIDE_BY_SIDE;
use super::{Asked, Found, Lookup, Rib, TableId};
use crate::schema::PickedBy;

impl Rib {
    /// Finds the path of each address: that of the longest prefix that has one which counts. `found` gets one entry
    /// for each address, as far as it has room.
    pub fn lookup(&mut self, asked: &Asked<'_>, found: &mut [Option<Found>]) {
        let is_settled = self.is_settled();
        let Self { tables, paths, peers, attributes, choice, .. } = self;
        let Some(table) = tables.get(asked.table) else { return found.fill(None) };
        let trie = table.trie(asked.version);
        let mut chooser =
            Chooser { table: asked.table, version: asked.version, paths, peers, attributes, choice };
        let chunks = asked.addresses.chunks(SIDE_BY_SIDE).zip(found.chunks_mut(SIDE_BY_SIDE));
        for (nth, (addresses, found)) in chunks.enumerate() {
            let ids = trie.longest(asked.version, addresses, paths);
            let plain = paths.plain();
            let mut rest = 0_u32;
            for (row, ((id, found), _)) in ids.iter().zip(&mut *found).zip(addresses).enumerate() {
                let word = plain.get(*id as usize / 64).copied().unwrap_or(0);
                let is_plain = is_settled && word >> (id % 64) & 1 != 0;
                *found =
                    is_plain.then_some(Found { path: PathId(*id), picked_by: PickedBy::Only, stale: false });
                rest |= u32::from(!is_plain && *id != NONE) << row;
            }
            while rest != 0 {
                let row = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let next_hop = asked.next_hops.get(nth * SIDE_BY_SIDE + row).copied();
                let next_hop = next_hop.filter(|next_hop| *next_hop != [0; 16]);
                if let (Some(id), Some(address), Some(found)) =
                    (ids.get(row), addresses.get(row), found.get_mut(row))
                {
                    *found = chooser.choose(PrefixId(*id), *address, next_hop);
                }
            }
        }
    }

    /// Finds the path of one key.
    pub fn find(&mut self, key: &Lookup) -> Option<Found> {
        let address = u128::from_be_bytes(key.address);
        let address = if key.version == IpVersion::V4 { address >> 96 } else { address };
        let next_hops = [key.next_hop.unwrap_or_default()];
        let mut found = [None];
        let asked =
            Asked { table: key.table, version: key.version, addresses: &[address], next_hops: &next_hops };
        self.lookup(&asked, &mut found);
        let [found] = found;
        found
    }

    /// Whether every path held is live: no peer and no view of one is stale, and nothing dead waits to be freed.
    fn is_settled(&mut self) -> bool {
        let (left, peers) = (self.sweep_left, &self.peers);
        *self.settled.get_or_insert_with(|| left == 0 && peers.are_all_live())
    }
}

/// The choice among the paths of prefixes of one table, where there is one to be made.
struct Chooser<'a> {
    table: TableId,
    version: IpVersion,
    paths: &'a Paths,
    peers: &'a Peers,
    attributes: &'a Interned,
    choice: &'a mut Choice,
}

impl Chooser<'_> {
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
