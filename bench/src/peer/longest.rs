//! Crates for longest prefixes, called one address at a time as they offer it.

use std::net::{Ipv4Addr, Ipv6Addr};

use ip_network_table_deps_treebitmap::IpLookupTable;
use prefix_trie::PrefixMap;

/// The table of ip_network_table-deps-treebitmap 0.5.
#[must_use]
pub fn treebitmap(prefixes: &[(u32, u8)]) -> IpLookupTable<Ipv4Addr, u32> {
    let mut table = IpLookupTable::new();
    for (&(bits, length), number) in prefixes.iter().zip(1..) {
        table.insert(Ipv4Addr::from(bits), u32::from(length), number);
    }
    table
}

/// Looks all addresses up. Returns how many found something.
#[must_use]
pub fn look_up_treebitmap(table: &IpLookupTable<Ipv4Addr, u32>, addresses: &[u32]) -> u64 {
    let find = |&address: &u32| std::hint::black_box(table.longest_match(Ipv4Addr::from(address))).is_some();
    addresses.iter().map(|address| u64::from(find(address))).sum()
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

/// The table of ip_network_table-deps-treebitmap 0.5, IPv6.
#[must_use]
pub fn treebitmap6(prefixes: &[(u128, u8)]) -> IpLookupTable<Ipv6Addr, u32> {
    let mut table = IpLookupTable::new();
    for (&(bits, length), number) in prefixes.iter().zip(1..) {
        table.insert(Ipv6Addr::from(bits), u32::from(length), number);
    }
    table
}

/// Looks all addresses up. Returns how many found something.
#[must_use]
pub fn look_up_treebitmap6(table: &IpLookupTable<Ipv6Addr, u32>, addresses: &[u128]) -> u64 {
    let find = |&address: &u128| std::hint::black_box(table.longest_match(Ipv6Addr::from(address))).is_some();
    addresses.iter().map(|address| u64::from(find(address))).sum()
}

/// The table of prefix-trie 0.10, IPv6.
#[must_use]
pub fn prefix_trie6(prefixes: &[(u128, u8)]) -> PrefixMap<(u128, u8), u32> {
    let mut table = PrefixMap::new();
    for (&prefix, number) in prefixes.iter().zip(1..) {
        table.insert(prefix, number);
    }
    table
}

/// Looks all addresses up. Returns how many found something.
#[must_use]
pub fn look_up_prefix_trie6(table: &PrefixMap<(u128, u8), u32>, addresses: &[u128]) -> u64 {
    let find = |&address: &u128| u64::from(std::hint::black_box(table.get_lpm(&(address, 128))).is_some());
    addresses.iter().map(find).sum()
}
