//! Prefixes of IPv6 as a full table of the Internet has them: blocks that registries gave away, and parts of those.

use std::net::{IpAddr, Ipv6Addr};

use wire::bgp::Prefix;

use super::zipf;
use crate::random::Random;

/// Prefixes of each length in a thousand.
const LENGTHS: [(u8, u32); 17] = [
    (24, 2),
    (28, 4),
    (29, 25),
    (30, 4),
    (31, 3),
    (32, 130),
    (33, 15),
    (34, 15),
    (35, 10),
    (36, 55),
    (38, 20),
    (40, 110),
    (42, 25),
    (44, 95),
    (46, 45),
    (47, 30),
    (48, 412),
];

/// The first 16 bits of what registries give away from, and in how many of the low 5 of them they do.
const REGISTRIES: [(u16, u32); 6] =
    [(0x2001, 1), (0x2400, 16), (0x2600, 16), (0x2800, 16), (0x2a00, 20), (0x2c0e, 2)];

/// Prefixes to one block, on average.
const PER_BLOCK: usize = 8;

/// `count` distinct prefixes.
#[must_use]
pub fn prefixes(count: usize, seed: u64) -> Vec<(u128, u8)> {
    let mut random = Random::new(seed);
    let mut block = || {
        let (first, n) = REGISTRIES[random.below(6) as usize];
        (u128::from(first) + u128::from(random.below(n))) << 112 | u128::from(random.below(1 << 16)) << 96
    };
    let blocks: Vec<u128> = (0..count.div_ceil(PER_BLOCK)).map(|_| block()).collect();
    let mut seen = std::collections::HashSet::with_capacity(count);
    let mut prefixes = Vec::with_capacity(count);
    while prefixes.len() < count {
        let mut draw = random.below(1_000);
        let length = LENGTHS.iter().find(|(_, share)| {
            let is_this = draw < *share;
            draw = draw.saturating_sub(*share);
            is_this
        });
        let length = length.map_or(48, |(length, _)| *length);
        let block = blocks[random.below(blocks.len() as u32) as usize];
        let bits = (block | u128::from(random.next()) << 32) & (u128::MAX << (128 - u32::from(length)));
        if seen.insert((bits, length)) {
            prefixes.push((bits, length));
        }
    }
    prefixes
}

/// Addresses in the prefixes of a table, each as often as any other; or by Zipf's law.
#[must_use]
pub fn addresses(prefixes: &[(u128, u8)], is_local: bool, count: usize, seed: u64) -> Vec<u128> {
    let mut random = Random::new(seed);
    let mut one = || {
        let at = match is_local {
            true => zipf(&mut random, prefixes.len()),
            false => random.below(prefixes.len() as u32) as usize,
        };
        let (bits, length) = prefixes[at];
        let host = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        bits | (u128::from(random.next()) << 64 | u128::from(random.next())) & host
    };
    (0..count).map(|_| one()).collect()
}

/// Prefixes as the RIB takes them.
#[must_use]
pub fn of_rib(prefixes: &[(u128, u8)]) -> Vec<Prefix> {
    let prefix = |&(bits, length)| Prefix::new(IpAddr::V6(Ipv6Addr::from(bits)), length);
    prefixes.iter().map(prefix).collect()
}

#[cfg(test)]
mod tests {
    use wire::bgp::IpVersion;

    use super::*;
    use crate::longest::{look_up, rib};

    #[test]
    fn every_address_in_a_prefix_is_found() {
        let prefixes = prefixes(20_000, 3);
        let mut rib = rib(&of_rib(&prefixes)).unwrap();
        for is_local in [false, true] {
            let addresses = addresses(&prefixes, is_local, 10_000, 1);
            assert_eq!(look_up(&mut rib, IpVersion::V6, &addresses), 10_000);
        }
        // Documentation addresses are in no block.
        let elsewhere = [0x3fff_u128 << 112; 3];
        assert_eq!(look_up(&mut rib, IpVersion::V6, &elsewhere), 0);
    }
}
