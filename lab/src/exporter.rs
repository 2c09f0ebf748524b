//! A population of routers whose every message, set, record and route is counted as it is made.
//!
//! In: how many routers, a seed. Out: IPFIX or NetFlow v9 messages and BMP octets of each, the same for the same
//! seed. Flows go to prefixes that the router's own BMP session announces by a path of its own, but for one in
//! eight, whose destination nobody announces; so the result of a join is known beforehand.

mod bmp;
mod flow;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use flow::{FIELDS_V4, FIELDS_V6, TEMPLATE_V4, TEMPLATE_V6};

/// How many neighbouring prefixes share a path, and a BMP message.
pub const SHARED: u32 = 10;

/// What a router speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IPFIX (RFC 7011).
    Ipfix,
    /// NetFlow v9 (RFC 3954).
    NetFlow9,
}

/// What a router has made so far, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// IPFIX messages or NetFlow packets.
    pub messages: u64,
    /// Sets in them, template sets included.
    pub sets: u64,
    /// Template records.
    pub templates: u64,
    /// Flow records.
    pub records: u64,
    /// Flow records whose destination the router announces.
    pub routed: u64,
    /// Sum of packetDeltaCount over the flow records.
    pub packets: u64,
    /// Sum of octetDeltaCount over the flow records.
    pub octets: u64,
    /// BMP messages of any type.
    pub bmp_messages: u64,
    /// Prefixes announced in them.
    pub announced: u64,
    /// Prefixes withdrawn in them.
    pub withdrawn: u64,
}

/// One router of a population: one source address, one flow session, one BMP session.
#[derive(Clone, Debug)]
pub struct Router {
    index: u32,
    protocol: Protocol,
    routes: u32,
    random: Random,
    counts: Counts,
}

/// `count` routers, numbered from 0. Every second one speaks NetFlow v9, every fourth has an IPv6 address and IPv6
/// flows. Each announces `routes` prefixes, at most 16,384.
#[must_use]
pub fn population(count: u32, routes: u32, seed: u64) -> Vec<Router> {
    (0..count).map(|index| Router::new(index, routes, seed)).collect()
}

impl Router {
    /// Router `index` of a population.
    #[must_use]
    pub fn new(index: u32, routes: u32, seed: u64) -> Self {
        let protocol = if index.is_multiple_of(2) { Protocol::Ipfix } else { Protocol::NetFlow9 };
        let random = Random(seed ^ (u64::from(index) << 32));
        Self { index, protocol, routes: routes.clamp(1, 16_384), random, counts: Counts::default() }
    }

    /// Its source address: 10.0.0.0/9 by number, or 2001:db8:a::/48 by number.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        if self.is_ipv6() {
            let base = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1));
            IpAddr::V6(Ipv6Addr::from(base + u128::from(self.index)))
        } else {
            IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + self.index))
        }
    }

    /// What it exports flows with.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// What it has made so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether address, flows and routes are IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.index % 4 == 3
    }

    /// Its prefix number `nth`: 100.64.0.0/10 in /24s, or 2001:db8:1000::/36 in /48s.
    #[must_use]
    pub fn prefix(&self, nth: u32) -> (IpAddr, u8) {
        if self.is_ipv6() {
            let base = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0x1000, 0, 0, 0, 0, 0));
            (IpAddr::V6(Ipv6Addr::from(base + (u128::from(nth) << 80))), 48)
        } else {
            (IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 64, 0, 0)) + (nth << 8))), 24)
        }
    }

    /// The AS path by which this router, and no other, has learned its prefix number `nth`; [`SHARED`] neighbours
    /// have the same.
    #[must_use]
    pub fn as_path(&self, nth: u32) -> [u32; 3] {
        [64_500, 4_200_000_000 + self.index, 65_000 + nth / SHARED % 500]
    }
}

/// SplitMix64: small, seedable, the same everywhere.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("below a u32")
    }
}
