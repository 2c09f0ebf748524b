//! `[steering]`: which router an address means, and over how many slots routers are spread.

use std::net::IpAddr;

use serde::Deserialize;

use super::{ConfigError, refuse, sixteen};

/// `[steering]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Steering {
    /// N of "slot i of N"; 0: as many as there are workers.
    pub slots: u32,
    /// 32 hexadecimal digits; empty: random, kept in `state_dir`.
    pub hash_key: String,
    /// Drop UDP for a slot without owner already in XDP, instead of in the kernel's stack.
    pub drop_empty_udp: bool,
    /// Addresses that mean another router.
    pub alias: Vec<Alias>,
}

/// `[[steering.alias]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// A source address, or a prefix of source addresses.
    pub address: Network,
    /// The router's address.
    pub router: IpAddr,
}

/// An address or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// Bits that count, of the 32 or 128 of its family.
    pub bits: u8,
}

impl Network {
    /// Whether it is one address.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        self.bits == self.width()
    }

    /// Bits that count when the address is written as 16 octets, IPv4 mapped.
    #[must_use]
    pub const fn mapped_bits(&self) -> u8 {
        self.bits + (128 - self.width())
    }

    const fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "expected an address or a prefix such as 192.0.2.0/24".to_owned();
        let (address, bits) = text.split_once('/').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
        if bits > width {
            return Err(wrong());
        }
        let host_bits = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) & ((1 << (32 - bits)) - 1),
            IpAddr::V6(v6) => v6.to_bits() & u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0),
        };
        if host_bits == 0 {
            Ok(Self { address, bits })
        } else {
            Err("expected a prefix without bits behind its length".to_owned())
        }
    }
}

impl Steering {
    pub(super) fn check(&self, workers: usize) -> Result<(), ConfigError> {
        let legal = "0 (as many as workers) or 1 to 64";
        if self.slots > dataplane_common::MAX_SLOTS {
            return Err(refuse("steering.slots", self.slots, legal));
        }
        if self.slots != 0 && (self.slots as usize) < workers {
            let legal = format!("at least the {workers} workers, each of which owns one slot");
            return Err(refuse("steering.slots", self.slots, legal));
        }
        if !self.hash_key.is_empty() && self.key().is_none() {
            return Err(refuse("steering.hash_key", "(not shown)", "32 hexadecimal digits"));
        }
        Ok(())
    }

    /// The configured key; `None`: a random one is to be kept.
    #[must_use]
    pub fn key(&self) -> Option<[u8; 16]> {
        parse_key(&self.hash_key)
    }

    /// Exact aliases: (address, router), IPv4 mapped.
    #[must_use]
    pub fn exact_aliases(&self) -> Vec<([u8; 16], [u8; 16])> {
        self.alias
            .iter()
            .filter(|alias| alias.address.is_host())
            .map(|alias| (sixteen(alias.address.address), sixteen(alias.router)))
            .collect()
    }

    /// Alias prefixes: (address, bits of the 128, router), IPv4 mapped.
    #[must_use]
    pub fn prefix_aliases(&self) -> Vec<([u8; 16], u8, [u8; 16])> {
        self.alias
            .iter()
            .filter(|alias| !alias.address.is_host())
            .map(|alias| (sixteen(alias.address.address), alias.address.mapped_bits(), sixteen(alias.router)))
            .collect()
    }
}

impl Steering {
    /// The address that XDP steers by, for a source address (16 octets): an exact alias goes before the longest prefix.
    #[must_use]
    pub fn router_of(&self, source: [u8; 16]) -> [u8; 16] {
        let exact = self.exact_aliases().into_iter().find(|(address, _)| *address == source);
        exact.map_or_else(|| self.by_prefix(source), |(_, router)| router)
    }

    /// The address that XDP steers by, for a router as workers know it (16 octets): they apply exact aliases, XDP
    /// prefixes as well.
    #[must_use]
    pub fn steered_by(&self, router: [u8; 16]) -> [u8; 16] {
        if self.alias.iter().any(|alias| alias.address.is_host() && sixteen(alias.router) == router) {
            return router;
        }
        self.by_prefix(router)
    }

    fn by_prefix(&self, router: [u8; 16]) -> [u8; 16] {
        let covers = |(network, bits, _): &&([u8; 16], u8, [u8; 16])| {
            let differ = u128::from_be_bytes(*network) ^ u128::from_be_bytes(router);
            differ.checked_shr(128 - u32::from(*bits)).unwrap_or(0) == 0
        };
        let prefixes = self.prefix_aliases();
        prefixes.iter().filter(covers).max_by_key(|(_, bits, _)| *bits).map_or(router, |(.., by)| *by)
    }
}

/// 32 hexadecimal digits -> key.
#[must_use]
fn parse_key(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Result<Network, String> {
        Network::try_from(text.to_owned())
    }

    #[test]
    fn networks() {
        assert!(network("192.0.2.1").unwrap().is_host());
        assert_eq!(network("192.0.2.0/24").unwrap().mapped_bits(), 120);
        assert_eq!(network("2001:db8::/32").unwrap().mapped_bits(), 32);
        assert_eq!((network("0.0.0.0/0").unwrap().bits, network("::/0").unwrap().bits), (0, 0));
        for wrong in ["192.0.2.1/24", "192.0.2.0/33", "2001:db8::1/64", "", "a", "192.0.2.0/"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_router_is_steered_by_its_longest_prefix_unless_an_exact_alias_named_it() {
        let alias = |address: &str, router: &str| Alias {
            address: network(address).unwrap(),
            router: router.parse().unwrap(),
        };
        let alias = vec![
            alias("192.0.2.0/24", "10.0.0.1"),
            alias("192.0.2.64/26", "10.0.0.2"),
            alias("10.9.9.9", "192.0.2.65"),
            alias("::/0", "10.0.0.3"),
        ];
        let steering = Steering { alias, ..Steering::default() };
        let by = |text: &str| {
            let octets = steering.steered_by(sixteen(text.parse().unwrap()));
            dataplane_common::address_of(octets).to_string()
        };
        assert_eq!(by("192.0.2.1"), "10.0.0.1");
        assert_eq!(by("192.0.2.66"), "10.0.0.2");
        assert_eq!(by("192.0.2.65"), "192.0.2.65");
        assert_eq!(by("2001:db8::1"), "10.0.0.3");
        let of = |text: &str| {
            let octets = steering.router_of(sixteen(text.parse().unwrap()));
            dataplane_common::address_of(octets).to_string()
        };
        assert_eq!(of("10.9.9.9"), "192.0.2.65");
        assert_eq!(of("192.0.2.65"), "10.0.0.2");
        assert_eq!(of("10.9.9.8"), "10.0.0.3");
    }

    #[test]
    fn keys() {
        assert_eq!(parse_key("000102030405060708090a0b0c0d0e0f"), Some(std::array::from_fn(|n| n as u8)));
        assert_eq!((parse_key("00"), parse_key("+0102030405060708090a0b0c0d0e0f0")), (None, None));
    }
}
