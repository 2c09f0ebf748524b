//! IPv4 addresses in, the longest prefix that covers each out, in one or two reads: a table of 2^24 entries, one for
//! each leading 24 bits, and blocks of 256 for those below which longer prefixes live (DIR-24-8, Gupta, Lin and
//! McKeown, 1998). For tables large enough to be worth it.
//!
//! Prefixes of fewer than [`SHORTEST`] bits would fill millions of entries at once: they stand in a small table of
//! their own. Untouched parts of the large one are never written, so they take no memory.

use wire::bgp::Prefix;

use super::Found;
use super::path::{PLAIN, PathId, Paths, PrefixId, id_of};
use super::strides::SIDE_BY_SIDE;
use super::table::TableId;

/// Bits of the shortest prefix in the large table: it fills 65,536 entries.
const SHORTEST: u8 = 8;
/// Marks an entry that is the number of a block.
pub(super) const BLOCK: u32 = 1 << 31;
/// Entries of the large table and of a block.
const ENTRIES: usize = 1 << 24;
const BLOCK_ENTRIES: usize = 256;
/// Neighbours that are written together where they are the same.
const RUN: usize = 16;

/// The table. An entry is that of a prefix as [`Paths::entry`] gives it, 0, or the number of a block.
#[derive(Debug)]
pub(crate) struct Direct {
    entries: Box<[u32; ENTRIES]>,
    blocks: Vec<Block>,
    free: Vec<u32>,
    /// The longest prefix of fewer than [`SHORTEST`] bits, by the first octet.
    short: [u32; 1 << SHORTEST],
    /// Prefixes of fewer than [`SHORTEST`] bits.
    shorter: u32,
    held: usize,
}

/// What entries of the large table alone told of some addresses, one bit each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// A plain prefix.
    pub(crate) found: u32,
    /// No prefix covers the address.
    pub(crate) nothing: u32,
}

impl Told {
    /// Nothing of any address.
    pub(super) const NOTHING: Self = Self { found: 0, nothing: 0 };
}

#[derive(Clone, Debug)]
struct Block {
    entries: [u32; BLOCK_ENTRIES],
    /// Prefixes of more than 24 bits: at most 510.
    longer: u16,
}

impl Direct {
    /// An empty table.
    pub(super) fn new() -> Option<Self> {
        let entries = vec![0; ENTRIES].into_boxed_slice().try_into().ok()?;
        let short = [0; 1 << SHORTEST];
        Some(Self { entries, blocks: Vec::new(), free: Vec::new(), short, shorter: 0, held: 0 })
    }

    /// Prefixes in it.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// The entries of the longest prefixes of some addresses, 0 for those that have none.
    #[inline]
    pub(super) fn longest(&self, addresses: impl Iterator<Item = u32> + Clone, to: &mut [u32]) {
        // Nothing here depends on an entry: neither a branch nor another read waits for one.
        let mut any = 0;
        for (address, to) in addresses.clone().zip(&mut *to) {
            let entry = self.entries.get((address >> 8) as usize).copied().unwrap_or(0);
            any |= entry;
            *to = entry;
        }
        if any & BLOCK == 0 && self.shorter == 0 {
            return;
        }
        for (address, to) in addresses.zip(to) {
            if *to & BLOCK != 0 {
                *to = self.in_block(*to, address);
            } else if *to == 0 {
                *to = self.short(address);
            }
        }
    }

    /// The entries of the large table for some addresses. Nothing waits for one, so that they are fetched together.
    #[inline]
    pub(super) fn ask(&self, addresses: impl Iterator<Item = u32>, to: &mut [u32; SIDE_BY_SIDE]) {
        for (address, to) in addresses.zip(to) {
            *to = self.entries.get((address >> 8) as usize).copied().unwrap_or(0);
        }
    }

    /// The paths of prefixes that are plain by such entries; nothing for the others.
    #[inline]
    pub(super) fn plain(&self, entries: &[u32], to: &mut [Found]) -> Told {
        let mut told = Told::NOTHING;
        for (row, (entry, to)) in entries.iter().zip(to).enumerate() {
            // Which it is is a matter of chance: values, and no branch.
            let is_plain = (entry / PLAIN) & !(entry / BLOCK) & 1;
            let path = (entry & !PLAIN).wrapping_sub(1) | is_plain.wrapping_sub(1);
            *to = Found { path: PathId(path), ..Found::NOTHING };
            told.found |= is_plain << row;
            told.nothing |= u32::from(*entry == 0) << row;
        }
        if self.shorter > 0 {
            told.nothing = 0;
        }
        told
    }

    /// The longest prefix of fewer than [`SHORTEST`] bits.
    fn short(&self, address: u32) -> u32 {
        self.short.get((address >> 24) as usize).copied().unwrap_or(0)
    }

    #[cold]
    fn in_block(&self, entry: u32, address: u32) -> u32 {
        let [.., last] = address.to_be_bytes();
        let block = self.blocks.get((entry & !BLOCK) as usize);
        match block.and_then(|block| block.entries.get(usize::from(last))) {
            None | Some(0) => self.short(address),
            Some(entry) => *entry,
        }
    }

    /// Writes a prefix over the shorter ones that it lies in.
    pub(super) fn insert(&mut self, prefix: &Prefix, id: PrefixId, paths: &Paths) {
        self.held += 1;
        self.shorter += u32::from(prefix.length < SHORTEST);
        let (value, length) = (paths.entry(id), prefix.length);
        // The same prefix stands in many neighbours.
        let mut known = (0, true);
        self.write(prefix, value, |entry| {
            if entry != known.0 {
                known = (entry, id_of(entry).map_or(0, |id| paths.length(id.0)) <= length);
            }
            known.1
        });
        if length > 24
            && let Some(block) = self.block(prefix)
        {
            block.longer += 1;
        }
    }

    /// Writes a prefix anew whose entry has changed.
    pub(super) fn refresh(&mut self, prefix: &Prefix, id: PrefixId, paths: &Paths) {
        self.write(prefix, paths.entry(id), |entry| id_of(entry) == Some(id));
    }

    /// Takes a prefix out whose place may be free already: writes the next shorter one over it.
    pub(super) fn remove(&mut self, prefix: &Prefix, id: PrefixId, table: TableId, paths: &Paths) {
        self.held = self.held.saturating_sub(1);
        self.shorter -= u32::from(prefix.length < SHORTEST).min(self.shorter);
        let bits = u128::from_be_bytes(prefix.octets);
        let least = if prefix.length < SHORTEST { 0 } else { SHORTEST };
        let shorter = paths.longest_below(table, prefix.version, bits, least, prefix.length);
        let value = shorter.map_or(0, |shorter| paths.entry(shorter));
        self.write(prefix, value, |entry| id_of(entry) == Some(id));
        if prefix.length <= 24 {
            return;
        }
        let Some(block) = self.block(prefix) else { return };
        block.longer = block.longer.saturating_sub(1);
        if block.longer > 0 {
            return;
        }
        // Nothing longer is left, so all its entries are one.
        let [one, ..] = block.entries;
        if let Some(entry) = self.entries.get_mut(leading(prefix)) {
            self.free.push(*entry & !BLOCK);
            *entry = one;
        }
    }

    /// Octets that the table takes if all of it is touched.
    pub(super) const fn octets(&self) -> usize {
        size_of::<Self>() + ENTRIES * size_of::<u32>() + self.blocks.capacity() * size_of::<Block>()
    }

    /// Puts `value` into every entry of a prefix that `gives_way`.
    fn write(&mut self, prefix: &Prefix, value: u32, mut gives_way: impl FnMut(u32) -> bool) {
        let mut put = |entries: &mut [u32]| {
            entries.iter_mut().filter(|entry| gives_way(**entry)).for_each(|entry| *entry = value);
        };
        if prefix.length < SHORTEST {
            let [first, ..] = prefix.octets;
            let end = usize::from(first) + (1 << (SHORTEST - prefix.length));
            return put(self.short.get_mut(usize::from(first)..end).unwrap_or_default());
        }
        if prefix.length > 24 {
            let [.., first] = u32::to_be_bytes(address(prefix));
            let end = usize::from(first) + (1 << 32_u8.saturating_sub(prefix.length));
            if let Some(block) = self.block(prefix) {
                put(block.entries.get_mut(usize::from(first)..end).unwrap_or_default());
            }
            return;
        }
        let first = leading(prefix);
        let end = first + (1 << (24 - prefix.length));
        for run in self.entries.get_mut(first..end).unwrap_or_default().chunks_mut(RUN) {
            let mut one = run.first().copied().unwrap_or(0);
            let is_one = run.iter().fold(0, |differ, entry| differ | (entry ^ one)) == 0;
            if is_one && one & BLOCK == 0 {
                // Nearly always: one question for all of them.
                put(std::slice::from_mut(&mut one));
                run.fill(one);
                continue;
            }
            for entry in run {
                match *entry & BLOCK {
                    0 => put(std::slice::from_mut(entry)),
                    _ => {
                        if let Some(block) = self.blocks.get_mut((*entry & !BLOCK) as usize) {
                            put(&mut block.entries);
                        }
                    }
                }
            }
        }
    }

    /// The block of a prefix of more than 24 bits, made if there is none.
    fn block(&mut self, prefix: &Prefix) -> Option<&mut Block> {
        let entry = self.entries.get_mut(leading(prefix))?;
        if *entry & BLOCK == 0 {
            let block = Block { entries: [*entry; BLOCK_ENTRIES], longer: 0 };
            let number = match self.free.pop() {
                Some(number) => {
                    *self.blocks.get_mut(number as usize)? = block;
                    number
                }
                None => {
                    self.blocks.push(block);
                    u32::try_from(self.blocks.len() - 1).ok()?
                }
            };
            *entry = number | BLOCK;
        }
        self.blocks.get_mut((*entry & !BLOCK) as usize)
    }
}

/// The address of a prefix.
const fn address(prefix: &Prefix) -> u32 {
    let [a, b, c, d, ..] = prefix.octets;
    u32::from_be_bytes([a, b, c, d])
}

/// The entry of a prefix's leading 24 bits.
const fn leading(prefix: &Prefix) -> usize {
    (address(prefix) >> 8) as usize
}
