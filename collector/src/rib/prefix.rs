//! Addresses in, the longest prefixes that cover them out: the prefixes of one table and one protocol, held so that
//! many addresses are looked up at once. Holds ids of prefixes only; what a prefix means is `rib::path`'s business.

use wire::bgp::{IpVersion, Prefix};

use super::direct::Direct;
use super::path::{Paths, PrefixId};
use super::strides::Strides;
use super::table::TableId;

pub(super) use super::strides::SIDE_BY_SIDE;

/// IPv4 prefixes from which on a table is direct; with half as many it is given up. At this size it takes at most 1 KiB
/// a prefix, at a million 64 octets.
const DIRECT_FROM: usize = 65_536;

/// The prefixes of one table and protocol.
#[derive(Debug)]
pub(crate) enum Trie {
    /// Few, or IPv6.
    Strides(Strides),
    /// Many, and IPv4.
    Direct(Box<Direct>),
}

impl Default for Trie {
    fn default() -> Self {
        Self::Strides(Strides::default())
    }
}

impl Trie {
    /// Puts a prefix in that is not in yet.
    pub(crate) fn insert(&mut self, prefix: &Prefix, id: PrefixId, table: TableId, paths: &Paths) {
        match self {
            Self::Direct(direct) => direct.insert(prefix, id, paths),
            Self::Strides(strides) => {
                strides.insert(prefix, id, paths);
                if prefix.version == IpVersion::V4
                    && strides.held() >= DIRECT_FROM
                    && let Some(mut direct) = Direct::new()
                {
                    paths.prefixes_of(table, IpVersion::V4).for_each(|(id, p)| direct.insert(&p, id, paths));
                    *self = Self::Direct(Box::new(direct));
                }
            }
        }
    }

    /// The entry of a prefix has changed.
    pub(crate) fn refresh(&mut self, prefix: &Prefix, id: PrefixId, paths: &Paths) {
        match self {
            Self::Direct(direct) => direct.refresh(prefix, id, paths),
            // It asks for the entry when it is looked up.
            Self::Strides(_) => {}
        }
    }

    /// Takes a prefix out whose place is free already.
    pub(crate) fn remove(&mut self, prefix: &Prefix, id: PrefixId, table: TableId, paths: &Paths) {
        match self {
            Self::Strides(strides) => strides.remove(prefix, id, table, paths),
            Self::Direct(direct) => {
                direct.remove(prefix, id, table, paths);
                if direct.held() < DIRECT_FROM / 2 {
                    let mut strides = Strides::default();
                    paths.prefixes_of(table, IpVersion::V4).for_each(|(id, p)| strides.insert(&p, id, paths));
                    *self = Self::Strides(strides);
                }
            }
        }
    }

    /// Puts the entries ([`Paths::entry`]) of the longest prefixes of at most [`SIDE_BY_SIDE`] addresses, which are
    /// numbers of the table's protocol, into `entries`: 0 where no prefix covers the address.
    #[inline]
    pub(crate) fn longest(
        &self,
        version: IpVersion,
        addresses: &[u128],
        paths: &Paths,
        entries: &mut [u32; SIDE_BY_SIDE],
    ) {
        match (self, version) {
            #[expect(clippy::cast_possible_truncation, reason = "IPv4 has 32 bits")]
            (Self::Direct(direct), _) => {
                direct.longest(addresses.iter().map(|address| *address as u32), entries);
            }
            (Self::Strides(strides), IpVersion::V6) => strides.longest(addresses, paths, entries),
            (Self::Strides(strides), IpVersion::V4) => {
                let mut aligned = [0; SIDE_BY_SIDE];
                for (to, address) in aligned.iter_mut().zip(addresses) {
                    *to = address << 96;
                }
                strides.longest(aligned.get(..addresses.len()).unwrap_or_default(), paths, entries);
            }
        }
    }

    /// Octets that it takes.
    pub(crate) fn octets(&self) -> usize {
        match self {
            Self::Strides(strides) => strides.octets(),
            Self::Direct(direct) => direct.octets(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rib::path::id_of;

    const TABLE: TableId = TableId::DEFAULT;

    /// Prefixes, and the structure that is held to them.
    struct Both {
        paths: Paths,
        trie: Trie,
        state: u64,
    }

    impl Both {
        fn new(seed: u64) -> Self {
            Self { paths: Paths::default(), trie: Trie::default(), state: seed }
        }

        fn next(&mut self) -> u64 {
            self.state =
                self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.state >> 33
        }

        /// Puts a prefix in, if it is not in yet.
        fn insert(&mut self, prefix: Prefix) -> Option<PrefixId> {
            if self.paths.find_prefix(TABLE, &prefix).is_some() {
                return None;
            }
            let id = self.paths.add_prefix(prefix, TABLE).unwrap();
            self.trie.insert(&prefix, id, TABLE, &self.paths);
            Some(id)
        }

        fn remove(&mut self, prefix: &Prefix) {
            let id = self.paths.find_prefix(TABLE, prefix).unwrap();
            self.paths.remove_prefix(id);
            self.trie.remove(prefix, id, TABLE, &self.paths);
        }

        /// The first and the last address of a prefix, those before and behind it, and one anywhere.
        fn check_around(&mut self, prefix: &Prefix) {
            let width = u32::from(prefix.version.bits());
            let all = u128::MAX >> (128 - width);
            let first = u128::from_be_bytes(prefix.octets) >> (128 - width);
            let last = first | all.checked_shr(u32::from(prefix.length)).unwrap_or(0);
            let any = (u128::from(self.next()) << 96 | u128::from(self.next()) << 31) & all;
            self.check(
                prefix.version,
                &[first, last, first.wrapping_sub(1) & all, last.wrapping_add(1) & all, any],
            );
        }

        fn check(&self, version: IpVersion, addresses: &[u128]) {
            let mut found = [0; SIDE_BY_SIDE];
            self.trie.longest(version, addresses, &self.paths, &mut found);
            for (&address, found) in addresses.iter().zip(found) {
                let aligned = address << (128 - u32::from(version.bits()));
                let expected = self.paths.longest_below(TABLE, version, aligned, 0, 129);
                assert_eq!(id_of(found), expected, "{address:x}");
            }
        }
    }

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), length.parse().unwrap())
    }

    #[test]
    fn the_longest_prefix_wins_at_every_boundary() {
        let mut both = Both::new(1);
        let texts = [
            "10.1.2.3/32",
            "0.0.0.0/0",
            "10.1.2.0/23",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.0.0.0/7",
            "10.1.2.0/24",
        ];
        let ids = texts.map(|text| both.insert(prefix(text)).unwrap());
        let number = |text: &str| u128::from(text.parse::<std::net::Ipv4Addr>().unwrap().to_bits());
        for (text, expected) in [
            ("192.0.2.1", "0.0.0.0/0"),
            ("11.0.0.1", "10.0.0.0/7"),
            ("10.9.0.0", "10.0.0.0/8"),
            ("10.1.9.9", "10.1.0.0/16"),
            ("10.1.3.9", "10.1.2.0/23"),
            ("10.1.2.9", "10.1.2.0/24"),
            ("10.1.2.3", "10.1.2.3/32"),
        ] {
            let at = texts.iter().position(|text| *text == expected).unwrap();
            let mut found = [0; SIDE_BY_SIDE];
            both.trie.longest(IpVersion::V4, &[number(text)], &both.paths, &mut found);
            assert_eq!(id_of(found[0]), Some(ids[at]), "{text}");
        }
    }

    /// Any prefixes of a narrow space, so that they lie in one another, put in and taken out again in another order:
    /// at every step what is found is what a search by length finds.
    fn follows(seed: u64, n: usize, one: impl Fn(&mut Both) -> Prefix) {
        let mut both = Both::new(seed);
        let mut all = Vec::new();
        while all.len() < n {
            let prefix = one(&mut both);
            if both.insert(prefix).is_some() {
                all.push(prefix);
            }
            if all.len() % 16 == 0 {
                both.check_around(&prefix);
            }
        }
        while !all.is_empty() {
            let at = both.next() as usize % all.len();
            let prefix = all.swap_remove(at);
            both.remove(&prefix);
            if all.len() % 16 == 0 || all.len() < 100 {
                both.check_around(&prefix);
            }
        }
        assert!(matches!(&both.trie, Trie::Strides(strides) if strides.held() == 0 && strides.octets() == 0));
    }

    #[test]
    fn what_is_found_follows_the_prefixes_of_either_protocol() {
        let v4 = |both: &mut Both| {
            let bits = 0x0a00_0000 | (both.next() as u32 & 0x0007_ffff) << (both.next() % 3);
            let length = [0, 6, 7, 8, 9, 13, 19, 22, 24, 24, 26, 29, 31, 32][both.next() as usize % 14];
            Prefix::new(std::net::Ipv4Addr::from(bits).into(), length)
        };
        let v6 = |both: &mut Both| {
            let high = 0x2001_0db8_0000_0000 | (both.next() & 0x3f_ffff) << (both.next() % 24);
            let bits = u128::from(high) << 64 | u128::from(both.next() & 3);
            let length =
                [0, 3, 11, 20, 29, 32, 36, 40, 44, 48, 48, 56, 64, 127, 128][both.next() as usize % 15];
            Prefix::new(std::net::Ipv6Addr::from(bits).into(), length)
        };
        for seed in 0..4 {
            // Enough that the root grows twice.
            follows(seed, 17_000, v4);
            follows(seed, 17_000, v6);
        }
    }

    #[test]
    fn a_table_that_becomes_large_is_direct_until_it_is_small() {
        let one = |both: &mut Both| {
            let bits = 0x0a00_0000 | (both.next() as u32 & 0x01ff_ffff);
            let length = [7, 9, 15, 19, 22, 24, 24, 24, 26, 29, 32][both.next() as usize % 11];
            Prefix::new(std::net::Ipv4Addr::from(bits).into(), length)
        };
        follows(5, DIRECT_FROM + 4_000, one);
    }
}
