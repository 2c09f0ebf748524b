//! Addresses and prefixes that stand for another router's address.
//!
//! In: an address or a prefix and its router. Out: entries that both programs look up before the hash, if the load
//! says so: an exact alias first, then the longest prefix, else the address stands for itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{HashMap, MapData};
use dataplane_common::{address_of, map, octets_of};

use super::{Changed, EbpfError, at, full_or, gone_is_fine};

/// The aliases (one per instance).
pub struct Aliases {
    pub(super) exact: HashMap<MapData, [u8; 16], [u8; 16]>,
    pub(super) prefixes: LpmTrie<MapData, [u8; 16], [u8; 16]>,
    pub(super) limit: u32,
}

super::opaque!(Aliases);

impl Aliases {
    /// `address` stands for `router`.
    ///
    /// # Errors
    /// When the table is full.
    pub fn insert(&mut self, address: IpAddr, router: IpAddr) -> Result<(), EbpfError> {
        self.exact.insert(octets_of(address), octets_of(router), 0).map_err(full_or(map::ALIASES, self.limit))
    }

    /// `address` stands for itself again.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&mut self, address: IpAddr) -> Result<(), EbpfError> {
        gone_is_fine(self.exact.remove(&octets_of(address))).map_err(at(map::ALIASES))
    }

    /// Makes the exact aliases exactly `wanted` (address -> router), whatever an earlier process left.
    ///
    /// # Errors
    /// When the table is full.
    pub fn replace(&mut self, wanted: &BTreeMap<IpAddr, IpAddr>) -> Result<Changed, EbpfError> {
        let items = self.exact.iter().map(|item| {
            let (address, router) = item.map_err(at(map::ALIASES))?;
            Ok((address_of(address), address_of(router)))
        });
        let held: BTreeMap<_, _> = items.collect::<Result<_, EbpfError>>()?;
        let mut changed = Changed::default();
        for (&address, &router) in wanted.iter().filter(|(address, router)| held.get(address) != Some(router))
        {
            self.insert(address, router)?;
            changed.added += usize::from(!held.contains_key(&address));
        }
        for &address in held.keys().filter(|address| !wanted.contains_key(address)) {
            self.remove(address)?;
            changed.removed += 1;
        }
        Ok(changed)
    }

    /// Every address of `network/bits` stands for `router`.
    ///
    /// # Errors
    /// When the table is full.
    pub fn insert_prefix(&mut self, network: IpAddr, bits: u8, router: IpAddr) -> Result<(), EbpfError> {
        self.prefixes
            .insert(&prefix(network, bits), octets_of(router), 0)
            .map_err(full_or(map::ALIAS_PREFIXES, self.limit))
    }

    /// The prefix stands for nothing any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_prefix(&mut self, network: IpAddr, bits: u8) -> Result<(), EbpfError> {
        gone_is_fine(self.prefixes.remove(&prefix(network, bits))).map_err(at(map::ALIAS_PREFIXES))
    }

    /// Makes the prefixes exactly `wanted` ((network, bits) -> router), whatever an earlier process left.
    ///
    /// # Errors
    /// When the table is full.
    pub fn replace_prefixes(
        &mut self,
        wanted: &BTreeMap<(IpAddr, u8), IpAddr>,
    ) -> Result<Changed, EbpfError> {
        let items = self.prefixes.iter().map(|item| {
            let (key, router) = item.map_err(at(map::ALIAS_PREFIXES))?;
            Ok((network(&key), address_of(router)))
        });
        let held: BTreeMap<_, _> = items.collect::<Result<_, EbpfError>>()?;
        let mut changed = Changed::default();
        for (&(network, bits), &router) in wanted.iter().filter(|(key, router)| held.get(key) != Some(router))
        {
            self.insert_prefix(network, bits, router)?;
            changed.added += usize::from(!held.contains_key(&(network, bits)));
        }
        for &(network, bits) in held.keys().filter(|key| !wanted.contains_key(key)) {
            self.remove_prefix(network, bits)?;
            changed.removed += 1;
        }
        Ok(changed)
    }
}

/// Key of a prefix: of IPv4 its mapped form, 96 bits longer.
pub(super) fn prefix(network: IpAddr, bits: u8) -> Key<[u8; 16]> {
    let bits = u32::from(bits) + if network.is_ipv4() { 96 } else { 0 };
    Key::new(bits.min(128), octets_of(network))
}

/// The prefix of a key: [`prefix`] back.
pub(super) fn network(key: &Key<[u8; 16]>) -> (IpAddr, u8) {
    let network = address_of(key.data());
    let bits = key.prefix_len().saturating_sub(if network.is_ipv4() { 96 } else { 0 });
    (network, u8::try_from(bits).unwrap_or(128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_back() {
        for (text, bits) in [
            ("192.0.2.0", 24),
            ("0.0.0.0", 0),
            ("192.0.2.1", 32),
            ("2001:db8::", 32),
            ("::", 0),
            ("::1", 128),
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(network(&prefix(address, bits)), (address, bits));
        }
    }
}
