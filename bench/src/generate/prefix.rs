//! Prefixes with the lengths of a full table, and addresses in them, some prefixes far more often than others.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::bgp::Prefix;

use crate::random::Random;

/// Lengths of IPv4 prefixes, each with its share of sixteen: most are /24.
const LENGTHS_V4: [u8; 16] = [24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 19];
/// Lengths of IPv6 prefixes, each with its share of eight: most are /48.
const LENGTHS_V6: [u8; 8] = [48, 48, 48, 48, 44, 40, 36, 32];

/// Announced prefixes of one family, all different.
#[derive(Debug)]
pub(super) struct Prefixes {
    prefixes: Vec<Prefix>,
    skew: f64,
    unrouted_percent: u32,
    ipv6: bool,
}

impl Prefixes {
    pub(super) fn new(count: u32, ipv6: bool, seed: u64, skew: f64, unrouted_percent: u32) -> Self {
        let mut random = Random::new(seed ^ 0x7072_6566_6978 ^ u64::from(ipv6));
        let mut seen = HashSet::with_capacity(count as usize);
        let mut prefixes = Vec::with_capacity(count as usize);
        while prefixes.len() < count as usize {
            let prefix = if ipv6 { prefix_v6(&mut random) } else { prefix_v4(&mut random) };
            if seen.insert((prefix.octets, prefix.length)) {
                prefixes.push(prefix);
            }
        }
        Self { prefixes, skew, unrouted_percent, ipv6 }
    }

    pub(super) fn all(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// An address of an announced prefix, the first ones most often.
    pub(super) fn near(&self, random: &mut Random) -> IpAddr {
        let unit = f64::from(random.below(1 << 30)) / f64::from(1_u32 << 30);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below the count")]
        let rank = (unit.powf(self.skew) * self.prefixes.len() as f64) as usize;
        let prefix = &self.prefixes[rank.min(self.prefixes.len() - 1)];
        if self.ipv6 {
            let host = (u128::from(random.next()) << 64 | u128::from(random.next())) >> prefix.length;
            IpAddr::V6(Ipv6Addr::from(u128::from_be_bytes(prefix.octets) | host))
        } else {
            let [a, b, c, d, ..] = prefix.octets;
            let host = (random.next() >> 32 >> prefix.length) as u32;
            IpAddr::V4(Ipv4Addr::from(u32::from_be_bytes([a, b, c, d]) | host))
        }
    }

    /// Where a flow goes: an announced prefix, or as often as was asked for one that nobody announces.
    pub(super) fn destination(&self, random: &mut Random) -> IpAddr {
        if random.below(100) >= self.unrouted_percent {
            return self.near(random);
        }
        if self.ipv6 {
            IpAddr::V6(Ipv6Addr::from(0x2001_0db8_eeee_u128 << 80 | u128::from(random.next())))
        } else {
            IpAddr::V4(Ipv4Addr::from(0xcb00_7100 | random.below(256))) // 203.0.113.0/24
        }
    }
}

/// Within 11.0.0.0 to 122.255.255.255: no prefix covers what is unrouted, or the exporters.
fn prefix_v4(random: &mut Random) -> Prefix {
    let length = LENGTHS_V4[random.below(16) as usize];
    let address = (11 + random.below(112)) << 24 | random.below(1 << 24);
    Prefix::new(IpAddr::V4(Ipv4Addr::from(address >> (32 - length) << (32 - length))), length)
}

/// Within 2a00::/8.
fn prefix_v6(random: &mut Random) -> Prefix {
    let length = LENGTHS_V6[random.below(8) as usize];
    let address = 0x2a_u128 << 120 | u128::from(random.next() >> 8) << 64;
    Prefix::new(IpAddr::V6(Ipv6Addr::from(address >> (128 - length) << (128 - length))), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(prefix: &Prefix, address: IpAddr) -> bool {
        let whole = Prefix::new(address, prefix.length);
        (whole.octets, whole.length) == (prefix.octets, prefix.length)
    }

    #[test]
    fn addresses_lie_in_announced_prefixes_or_in_none() {
        for ipv6 in [false, true] {
            let mut random = Random::new(3);
            let routed = Prefixes::new(200, ipv6, 1, 4.0, 0);
            let unrouted = Prefixes::new(200, ipv6, 1, 4.0, 100);
            let mut first = 0;
            for _ in 0..1_000 {
                let address = routed.destination(&mut random);
                assert!(routed.all().iter().any(|prefix| covers(prefix, address)), "{address}");
                first += u32::from(routed.all()[..20].iter().any(|prefix| covers(prefix, address)));
                let address = unrouted.destination(&mut random);
                assert!(!routed.all().iter().any(|prefix| covers(prefix, address)), "{address}");
            }
            assert!(first > 500, "a tenth of the prefixes carries more than half: {first}");
        }
    }
}
