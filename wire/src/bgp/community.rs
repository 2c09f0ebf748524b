//! Communities: octets of an attribute in, values that print as operators write them out.

use core::fmt;

use crate::bgp::distinguisher::{write_as2, write_as4, write_ipv4};

/// A community (RFC 1997). Prints `65000:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Community(pub u32);

impl Community {
    /// Planned shutdown: prefer other routes (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
    /// A route kept stale for long (RFC 9494).
    pub const LLGR_STALE: Self = Self(0xffff_0006);
    /// Not to be kept stale (RFC 9494).
    pub const NO_LLGR: Self = Self(0xffff_0007);
    /// Traffic to be discarded (RFC 7999).
    pub const BLACKHOLE: Self = Self(0xffff_029a);
    /// Not outside the confederation (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// To no peer (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// Not outside the AS (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xffff_ff03);
    /// Not to bilateral peers (RFC 3765).
    pub const NO_PEER: Self = Self(0xffff_ff04);
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// A large community (RFC 8092). Prints `65000:1:2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LargeCommunity {
    /// The AS that defines what the other two mean.
    pub administrator: u32,
    /// First of its data.
    pub first: u32,
    /// Second of its data.
    pub second: u32,
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.administrator, self.first, self.second)
    }
}

/// An extended community (RFC 4360). Prints `RT:65000:1` and `SoO:65000:1` for route targets and origins, their AS
/// as in a route distinguisher, and 16 hex digits for all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtendedCommunity(pub [u8; 8]);

const SUBTYPE_ROUTE_TARGET: u8 = 2;
const SUBTYPE_ROUTE_ORIGIN: u8 = 3;

impl ExtendedCommunity {
    /// Whether this is a route target.
    #[must_use]
    pub const fn is_route_target(&self) -> bool {
        matches!(self.0, [0..=2, SUBTYPE_ROUTE_TARGET, ..])
    }

    /// Whether the community stays within the AS (bit 0x40 of the type).
    #[must_use]
    pub const fn is_non_transitive(&self) -> bool {
        let [kind, ..] = self.0;
        kind & 0x40 != 0
    }

    /// The color that picks a tunnel (RFC 9012 section 4.3).
    #[must_use]
    pub const fn color(&self) -> Option<u32> {
        match self.0 {
            [0x03, 0x0b, _, _, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }
}

impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, value @ ..] = self.0;
        let label = match subtype {
            SUBTYPE_ROUTE_TARGET => "RT:",
            SUBTYPE_ROUTE_ORIGIN => "SoO:",
            _ => return write!(f, "{:016x}", u64::from_be_bytes(self.0)),
        };
        let write_value = match kind {
            0 => write_as2,
            1 => write_ipv4,
            2 => write_as4,
            _ => return write!(f, "{:016x}", u64::from_be_bytes(self.0)),
        };
        f.write_str(label)?;
        write_value(f, value)
    }
}

/// An extended community with an IPv6 address (RFC 5701). Prints 40 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ipv6ExtendedCommunity(pub [u8; 20]);

impl fmt::Display for Ipv6ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Values of equal size standing one behind the other: `N` octets each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values<'a, const N: usize> {
    rest: &'a [[u8; N]],
}

impl<'a, const N: usize> Values<'a, N> {
    /// The octets as values; nothing unless they are a positive number of whole ones.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Option<Self> {
        let (rest, odd) = octets.as_chunks();
        (odd.is_empty() && !rest.is_empty()).then_some(Self { rest })
    }

    fn step(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

/// Gives one list of values its name and its item.
macro_rules! lists {
    ($($(#[doc = $doc:literal])+ $list:ident of $octets:literal -> $item:ty: $make:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct $list<'a>(Values<'a, $octets>);

            impl<'a> $list<'a> {
                /// The octets as a list; nothing unless they are a positive number of whole values.
                #[must_use]
                pub fn new(octets: &'a [u8]) -> Option<Self> {
                    Values::new(octets).map(Self)
                }
            }

            impl Iterator for $list<'_> {
                type Item = $item;

                fn next(&mut self) -> Option<$item> {
                    self.0.step().map($make)
                }
            }
        )+
    };
}

lists! {
    /// COMMUNITIES, iterated.
    Communities of 4 -> Community: |octets| Community(u32::from_be_bytes(octets));
    /// EXTENDED COMMUNITIES, iterated.
    ExtendedCommunities of 8 -> ExtendedCommunity: ExtendedCommunity;
    /// IPv6 EXTENDED COMMUNITIES, iterated.
    Ipv6ExtendedCommunities of 20 -> Ipv6ExtendedCommunity: Ipv6ExtendedCommunity;
    /// `LARGE_COMMUNITY`, iterated.
    LargeCommunities of 12 -> LargeCommunity: |[a, b, c, d, e, g, h, i, j, k, l, m]| LargeCommunity {
        administrator: u32::from_be_bytes([a, b, c, d]),
        first: u32::from_be_bytes([e, g, h, i]),
        second: u32::from_be_bytes([j, k, l, m]),
    };
    /// `CLUSTER_LIST`, iterated.
    ClusterList of 4 -> core::net::Ipv4Addr: core::net::Ipv4Addr::from_octets;
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    #[test]
    fn communities_print_in_two_parts() {
        let octets = [0xfd, 0xe8, 0, 1, 0xff, 0xff, 0xff, 0x01];
        let texts: Vec<_> = Communities::new(&octets).unwrap().map(|c| c.to_string()).collect();
        assert_eq!(texts, ["65000:1", "65535:65281"]);
        assert_eq!(Communities::new(&octets[4..]).unwrap().next(), Some(Community::NO_EXPORT));
    }

    #[test]
    fn large_communities_print_in_three_parts() {
        let octets = [0, 0, 0xfd, 0xe8, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        let texts: Vec<_> = LargeCommunities::new(&octets).unwrap().map(|c| c.to_string()).collect();
        assert_eq!(texts, ["65000:1:4294967295"]);
    }

    #[test]
    fn extended_communities_print_targets_and_origins() {
        let text = |octets| -> String { ExtendedCommunity(octets).to_string() };
        assert_eq!(text([0, 2, 0xfd, 0xe8, 0, 0, 0, 1]), "RT:65000:1");
        assert_eq!(text([1, 2, 192, 0, 2, 1, 0, 9]), "RT:192.0.2.1:9");
        assert_eq!(text([2, 2, 0, 0, 0xfd, 0xe8, 0, 1]), "RT:65000L:1");
        assert_eq!(text([2, 3, 0xfa, 0x56, 0xea, 0, 0, 1]), "SoO:4200000000:1");
        assert_eq!(text([3, 0x0b, 0, 0, 0, 0, 0, 100]), "030b000000000064");
        assert_eq!(text([6, 2, 1, 2, 3, 4, 5, 6]), "0602010203040506");
        assert_eq!(ExtendedCommunity([3, 0x0b, 0, 0, 0, 0, 0, 100]).color(), Some(100));
    }

    #[test]
    fn a_list_is_whole_or_nothing() {
        assert!(Communities::new(&[]).is_none());
        assert!(Communities::new(&[0; 5]).is_none());
        assert!(LargeCommunities::new(&[0; 13]).is_none());
    }
}
