//! Crates for longest prefixes, called one address at a time as they offer it.

use poptrie::Poptrie;
use prefix_trie::PrefixMap;

/// The table of poptrie 0.2: value by prefix.
#[must_use]
pub fn poptrie(prefixes: &[(u32, u8)]) -> Poptrie<(u32, u8), u32> {
    let mut table = Poptrie::new();
    for (&prefix, number) in prefixes.iter().zip(1..) {
        table.insert(prefix, number);
    }
    table
}

/// Looks all addresses up. Returns how many found something.
#[must_use]
pub fn look_up_poptrie(table: &Poptrie<(u32, u8), u32>, addresses: &[u32]) -> u64 {
    addresses.iter().map(|&address| u64::from(std::hint::black_box(table.lookup(address)).is_some())).sum()
}

/// The table of prefix-trie 0.10.
#[must_use]
pub fn prefix_trie(prefixes: &[(u32, u8)]) -> PrefixMap<(u32, u8), u32> {
    let mut table = PrefixMap::new();
    for (&prefix, number) in prefixes.iter().zip(1..) {
        table.insert(prefix, number);
    }
    table
}

/// Looks all addresses up. Returns how many found something.
#[must_use]
pub fn look_up_prefix_trie(table: &PrefixMap<(u32, u8), u32>, addresses: &[u32]) -> u64 {
    let find = |&address: &u32| u64::from(std::hint::black_box(table.get_lpm(&(address, 32))).is_some());
    addresses.iter().map(find).sum()
}
