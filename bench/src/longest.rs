//! Longest prefixes: a table of a million routes and addresses to look up in it, looked up by a whole RIB and, for
//! IPv4, by a bare DIR-24-8, which is as little as a look-up can cost.

pub mod ipv6;

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Context;
use collector::ledger::RibEnd;
use collector::rib::{Asked, Found, PeerFacts, PeerKey, Rib, RibLimits, Route, TableId};
use wire::bgp::{Family, IpVersion, Prefix};
use wire::bmp::RibView;

use crate::random::Random;

/// Addresses that are looked up at once: those of some datagrams.
const AT_ONCE: usize = 256;

/// Prefixes of each length in a thousand, as a full table of the Internet has them.
const LENGTHS: [(u8, u32); 14] = [
    (8, 1),
    (12, 1),
    (14, 2),
    (15, 2),
    (16, 14),
    (17, 9),
    (18, 15),
    (19, 27),
    (20, 46),
    (21, 53),
    (22, 113),
    (23, 104),
    (24, 608),
    (28, 5),
];

/// `count` distinct IPv4 prefixes between 1.0.0.0 and 223.255.255.255.
#[must_use]
pub fn prefixes(count: usize, seed: u64) -> Vec<(u32, u8)> {
    let mut random = Random::new(seed);
    let mut seen = std::collections::HashSet::with_capacity(count);
    let mut prefixes = Vec::with_capacity(count);
    while prefixes.len() < count {
        let mut draw = random.below(1_000);
        let length = LENGTHS.iter().find(|(_, share)| {
            let is_this = draw < *share;
            draw = draw.saturating_sub(*share);
            is_this
        });
        let length = length.map_or(24, |(length, _)| *length);
        let bits = (random.next() as u32) & (u32::MAX << (32 - u32::from(length)));
        // Short prefixes run out.
        if (1..224).contains(&(bits >> 24)) && seen.insert((bits, length)) {
            prefixes.push((bits, length));
        } else if length < 14 && random.one_in(2) {
            let bits = (1 + random.below(223)) << 24 | random.below(1 << 16) << 8;
            if seen.insert((bits, 24)) {
                prefixes.push((bits, 24));
            }
        }
    }
    prefixes
}

/// Addresses anywhere between 1.0.0.0 and 223.255.255.255.
#[must_use]
pub fn random_addresses(count: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| (1 + random.below(223)) << 24 | random.below(1 << 24)).collect()
}

/// One of `n`, the n-th of them as often as 1/n (Zipf's law).
fn zipf(random: &mut Random, n: usize) -> usize {
    let power = f64::from(random.below(u32::MAX)) / f64::from(u32::MAX) * (n as f64).ln();
    (power.exp() as usize).min(n - 1)
}

/// Addresses with locality: in the prefixes of a table by Zipf's law.
#[must_use]
pub fn local_addresses(prefixes: &[(u32, u8)], count: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed);
    let mut one = || {
        let (bits, length) = prefixes[zipf(&mut random, prefixes.len())];
        let host = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        bits | (random.next() as u32 & host)
    };
    (0..count).map(|_| one()).collect()
}

/// The default table of one router, with one path for each prefix.
///
/// # Errors
/// If the RIB takes them not all.
pub fn rib(prefixes: &[Prefix]) -> anyhow::Result<Rib> {
    let limits =
        RibLimits { paths: prefixes.len(), attribute_octets: 1 << 30, tables: 16, stale_ns: u64::MAX };
    let mut rib = Rib::default();
    rib.session_opened(0);
    let facts = PeerFacts {
        key: PeerKey { kind: 0, distinguisher: [0; 8], address: [1; 16], bgp_id: 1 },
        address: Some([1; 16]),
        autonomous_system: 64_500,
        external: true,
        table: TableId::DEFAULT,
    };
    let peer = rib.add_peer(facts, 1, &limits);
    for (nth, &prefix) in prefixes.iter().enumerate() {
        // ORIGIN, an AS path that some neighbours share, NEXT_HOP.
        let path = 65_000 + (nth / 10 % 50_000) as u32;
        let [a, b, c, d] = path.to_be_bytes();
        let attributes = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, a, b, c, d, 0x40, 3, 4, 192, 0, 2, 1];
        let attributes = rib.intern(&attributes, &limits).ok().context("no room for attributes")?;
        let route = Route {
            peer,
            view: RibView::AdjRibInPost,
            family: match prefix.version {
                IpVersion::V4 => Family::IPV4_UNICAST,
                IpVersion::V6 => Family::IPV6_UNICAST,
            },
            prefix,
            rd: None,
            path_id: None,
            labels: &[],
        };
        let end = rib.announce(&route, attributes, &limits);
        anyhow::ensure!(end == RibEnd::Stored, "{prefix} is not stored: {}", end.name());
        rib.release(attributes);
    }
    Ok(rib)
}

/// Prefixes as the RIB takes them.
#[must_use]
pub fn of_rib(prefixes: &[(u32, u8)]) -> Vec<Prefix> {
    let prefix = |&(bits, length)| Prefix::new(IpAddr::V4(Ipv4Addr::from(bits)), length);
    prefixes.iter().map(prefix).collect()
}

/// Addresses as the join asks for them.
#[must_use]
pub fn keys(addresses: &[u32]) -> Vec<u128> {
    addresses.iter().copied().map(u128::from).collect()
}

/// Looks all addresses up, some hundred at once. Returns how many found a path.
pub fn look_up(rib: &mut Rib, version: IpVersion, keys: &[u128]) -> u64 {
    let mut hits = 0;
    for addresses in keys.chunks(AT_ONCE) {
        let mut found = [Found::NOTHING; AT_ONCE];
        rib.lookup(&Asked { table: TableId::DEFAULT, version, addresses, next_hops: &[] }, &mut found);
        hits += found.iter().filter(|found| found.is_found()).count() as u64;
    }
    hits
}

/// DIR-24-8 and nothing else: made once, never changed. Entries are numbers from 1, 0 is nothing.
#[derive(Debug)]
pub struct Bare {
    entries: Vec<u32>,
    blocks: Vec<[u32; 256]>,
}

impl Bare {
    /// A table of these prefixes, numbered from 1 in their order.
    #[must_use]
    pub fn new(prefixes: &[(u32, u8)]) -> Self {
        let mut bare = Self { entries: vec![0; 1 << 24], blocks: Vec::new() };
        let mut numbered: Vec<(u32, (u32, u8))> = (1..).zip(prefixes.iter().copied()).collect();
        numbered.sort_by_key(|(_, (_, length))| *length);
        for (number, (bits, length)) in numbered {
            let first = (bits >> 8) as usize;
            if length <= 24 {
                bare.entries[first..first + (1 << (24 - length))].fill(number);
                continue;
            }
            let entry = &mut bare.entries[first];
            if *entry >> 31 == 0 {
                bare.blocks.push([*entry; 256]);
                *entry = (bare.blocks.len() - 1) as u32 | 1 << 31;
            }
            let start = (bits & 255) as usize;
            let block = &mut bare.blocks[(*entry & (u32::MAX >> 1)) as usize];
            block[start..start + (1 << (32 - length))].fill(number);
        }
        bare
    }

    /// Looks all addresses up. Returns how many found something.
    #[must_use]
    pub fn look_up(&self, addresses: &[u32]) -> u64 {
        addresses.iter().map(|&address| u64::from(self.one(address) != 0)).sum()
    }

    /// The number of the longest prefix of an address; 0: none.
    #[must_use]
    pub fn one(&self, address: u32) -> u32 {
        let entry = self.entries[(address >> 8) as usize];
        if entry >> 31 == 0 {
            return entry;
        }
        self.blocks[(entry & (u32::MAX >> 1)) as usize][(address & 255) as usize]
    }
}

/// Octets of memory that this process holds.
#[must_use]
pub fn resident_octets() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm");
    let pages = pages.ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rib_finds_what_the_bare_table_finds() {
        let prefixes = prefixes(70_000, 3);
        let mut rib = rib(&of_rib(&prefixes)).unwrap();
        let bare = Bare::new(&prefixes);
        for addresses in [random_addresses(50_000, 1), local_addresses(&prefixes, 50_000, 2)] {
            let hits = look_up(&mut rib, IpVersion::V4, &keys(&addresses));
            assert_eq!(hits, bare.look_up(&addresses));
            assert!(hits > 0);
        }
    }
}
