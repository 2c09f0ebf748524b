//! IPv4 addresses in, the longest prefix that covers each out, in one or two reads: a table of 2^24 entries, one for
//! each leading 24 bits, and blocks of 256 for those below which longer prefixes live (DIR-24-8, Gupta, Lin and
//! McKeown, 1998). A copy of what a trie holds, for tables large enough to be worth it.
//!
//! Prefixes of fewer than [`SHORTEST`] bits are not here: one of them would fill millions of entries at once. The
//! trie's first node knows them. Untouched parts of the table are never written, so they take no memory.

use wire::bgp::Prefix;

use super::prefix::{PrefixId, Prefixes};

/// Bits of the shortest prefix held here: it fills 65,536 entries.
pub(super) const SHORTEST: u8 = 8;
/// Marks an entry that is the number of a block.
const BLOCK: u32 = 1 << 31;
/// Entries of a block.
const BLOCK_ENTRIES: usize = 256;

/// The table. An entry is 0, a prefix's id plus 1, or the number of a block.
#[derive(Debug)]
pub(super) struct Direct {
    entries: Vec<u32>,
    blocks: Vec<Block>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Block {
    entries: [u32; BLOCK_ENTRIES],
    /// Prefixes of more than 24 bits: at most 510.
    longer: u16,
}

impl Direct {
    /// An empty table.
    pub(super) fn new() -> Self {
        Self { entries: vec![0; 1 << 24], blocks: Vec::new(), free: Vec::new() }
    }

    /// The longest prefix of at least [`SHORTEST`] bits that covers an address.
    #[inline]
    pub(super) fn longest(&self, address: [u8; 4]) -> Option<PrefixId> {
        let [a, b, c, d] = address;
        let entry = *self.entries.get(u32::from_be_bytes([0, a, b, c]) as usize)?;
        if entry & BLOCK == 0 {
            return id(entry);
        }
        let block = self.blocks.get((entry & !BLOCK) as usize)?;
        id(*block.entries.get(usize::from(d))?)
    }

    /// Writes a prefix over the shorter ones that it lies in.
    pub(super) fn insert(&mut self, prefix: &Prefix, id: PrefixId, prefixes: &impl Prefixes) {
        let gives_way = |entry| length_of(entry, prefixes) <= prefix.length;
        if prefix.length <= 24 {
            return self.write(prefix, id.0 + 1, gives_way);
        }
        if let Some(block) = self.block(prefix) {
            block.longer += 1;
            put(range(block, prefix), id.0 + 1, gives_way);
        }
    }

    /// Writes over a prefix the next shorter one that covers it.
    pub(super) fn remove(&mut self, prefix: &Prefix, id: PrefixId, shorter: Option<PrefixId>) {
        let value = shorter.map_or(0, |shorter| shorter.0 + 1);
        let gives_way = |entry| entry == id.0 + 1;
        if prefix.length <= 24 {
            return self.write(prefix, value, gives_way);
        }
        let Some(block) = self.block(prefix) else { return };
        put(range(block, prefix), value, gives_way);
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
        self.entries.len() * size_of::<u32>() + self.blocks.len() * size_of::<Block>()
    }

    /// Puts `value` into every entry of a prefix of at most 24 bits that `gives_way`.
    fn write(&mut self, prefix: &Prefix, value: u32, gives_way: impl Fn(u32) -> bool) {
        let first = leading(prefix);
        let end = first + (1 << 24_u8.saturating_sub(prefix.length));
        for entry in self.entries.get_mut(first..end).unwrap_or_default() {
            match *entry & BLOCK {
                0 => put(std::slice::from_mut(entry), value, &gives_way),
                _ => {
                    if let Some(block) = self.blocks.get_mut((*entry & !BLOCK) as usize) {
                        put(&mut block.entries, value, &gives_way);
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

/// The entry of a prefix's leading 24 bits.
const fn leading(prefix: &Prefix) -> usize {
    let [a, b, c, ..] = prefix.octets;
    u32::from_be_bytes([0, a, b, c]) as usize
}

/// The entries that a prefix of more than 24 bits has in its block.
fn range<'a>(block: &'a mut Block, prefix: &Prefix) -> &'a mut [u32] {
    let [_, _, _, first, ..] = prefix.octets;
    let first = usize::from(first);
    block.entries.get_mut(first..first + (1 << 32_u8.saturating_sub(prefix.length))).unwrap_or_default()
}

fn put(entries: &mut [u32], value: u32, gives_way: impl Fn(u32) -> bool) {
    entries.iter_mut().filter(|entry| gives_way(**entry)).for_each(|entry| *entry = value);
}

fn id(entry: u32) -> Option<PrefixId> {
    entry.checked_sub(1).map(PrefixId)
}

/// Bits of the prefix that an entry names; 0 for none.
fn length_of(entry: u32, prefixes: &impl Prefixes) -> u8 {
    id(entry).and_then(|id| prefixes.prefix(id)).map_or(0, |prefix| prefix.length)
}
