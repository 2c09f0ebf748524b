//! Address families: AFI and SAFI numbers in, names and sets out. A set holds the families whose NLRI this crate
//! can tell apart; others are kept raw, so nothing about them needs remembering.

use core::fmt;

/// An address family as BGP names it: AFI and SAFI (RFC 4760), as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Family {
    /// Address family identifier.
    pub afi: u16,
    /// Subsequent address family identifier.
    pub safi: u8,
}

/// AFI of IPv4.
pub const AFI_IPV4: u16 = 1;
/// AFI of IPv6.
pub const AFI_IPV6: u16 = 2;
/// AFI of layer 2 VPNs.
pub const AFI_L2VPN: u16 = 25;
/// AFI of BGP-LS.
pub const AFI_BGP_LS: u16 = 16388;

/// SAFI of unicast.
pub const SAFI_UNICAST: u8 = 1;
/// SAFI of multicast.
pub const SAFI_MULTICAST: u8 = 2;
/// SAFI of labeled prefixes (RFC 8277).
pub const SAFI_LABELED: u8 = 4;
/// SAFI of MCAST-VPN (RFC 6514).
pub const SAFI_MCAST_VPN: u8 = 5;
/// SAFI of VPLS (RFC 4761).
pub const SAFI_VPLS: u8 = 65;
/// SAFI of EVPN (RFC 7432).
pub const SAFI_EVPN: u8 = 70;
/// SAFI of BGP-LS (RFC 9552).
pub const SAFI_BGP_LS: u8 = 71;
/// SAFI of BGP-LS inside VPNs (RFC 9552).
pub const SAFI_BGP_LS_VPN: u8 = 72;
/// SAFI of SR Policy (RFC 9830).
pub const SAFI_SR_POLICY: u8 = 73;
/// SAFI of VPN prefixes (RFC 4364, RFC 4659).
pub const SAFI_VPN: u8 = 128;
/// SAFI of multicast prefixes in VPNs.
pub const SAFI_VPN_MULTICAST: u8 = 129;
/// SAFI of route target constraints (RFC 4684).
pub const SAFI_ROUTE_TARGET: u8 = 132;
/// SAFI of flow specifications (RFC 8955).
pub const SAFI_FLOWSPEC: u8 = 133;
/// SAFI of flow specifications in VPNs (RFC 8955).
pub const SAFI_FLOWSPEC_VPN: u8 = 134;

impl Family {
    /// IPv4 unicast.
    pub const IPV4_UNICAST: Self = Self::new(AFI_IPV4, SAFI_UNICAST);
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Self = Self::new(AFI_IPV6, SAFI_UNICAST);
    /// IPv4 with labels.
    pub const IPV4_LABELED: Self = Self::new(AFI_IPV4, SAFI_LABELED);
    /// IPv6 with labels.
    pub const IPV6_LABELED: Self = Self::new(AFI_IPV6, SAFI_LABELED);
    /// IPv4 in VPNs.
    pub const IPV4_VPN: Self = Self::new(AFI_IPV4, SAFI_VPN);
    /// IPv6 in VPNs.
    pub const IPV6_VPN: Self = Self::new(AFI_IPV6, SAFI_VPN);
    /// EVPN.
    pub const EVPN: Self = Self::new(AFI_L2VPN, SAFI_EVPN);

    /// The families whose NLRI this crate reads one by one, in the order of [`FamilySet`]'s bits.
    pub const KNOWN: [Self; 26] = [
        Self::IPV4_UNICAST,
        Self::IPV6_UNICAST,
        Self::new(AFI_IPV4, SAFI_MULTICAST),
        Self::new(AFI_IPV6, SAFI_MULTICAST),
        Self::IPV4_LABELED,
        Self::IPV6_LABELED,
        Self::IPV4_VPN,
        Self::IPV6_VPN,
        Self::new(AFI_IPV4, SAFI_VPN_MULTICAST),
        Self::new(AFI_IPV6, SAFI_VPN_MULTICAST),
        Self::EVPN,
        Self::new(AFI_IPV4, SAFI_FLOWSPEC),
        Self::new(AFI_IPV6, SAFI_FLOWSPEC),
        Self::new(AFI_IPV4, SAFI_FLOWSPEC_VPN),
        Self::new(AFI_IPV6, SAFI_FLOWSPEC_VPN),
        Self::new(AFI_BGP_LS, SAFI_BGP_LS),
        Self::new(AFI_BGP_LS, SAFI_BGP_LS_VPN),
        Self::new(AFI_IPV4, SAFI_SR_POLICY),
        Self::new(AFI_IPV6, SAFI_SR_POLICY),
        Self::new(AFI_IPV4, SAFI_ROUTE_TARGET),
        Self::new(AFI_IPV6, SAFI_ROUTE_TARGET),
        Self::new(AFI_IPV4, SAFI_MCAST_VPN),
        Self::new(AFI_IPV6, SAFI_MCAST_VPN),
        Self::new(AFI_L2VPN, SAFI_VPLS),
        Self::new(AFI_L2VPN, SAFI_FLOWSPEC),
        Self::new(AFI_L2VPN, SAFI_FLOWSPEC_VPN),
    ];

    /// A family by its numbers.
    #[must_use]
    pub const fn new(afi: u16, safi: u8) -> Self {
        Self { afi, safi }
    }

    /// Bits of the longest address: 32 or 128 where the AFI is one of the Internet protocols.
    #[must_use]
    pub const fn address_bits(self) -> Option<u8> {
        match self.afi {
            AFI_IPV4 => Some(32),
            AFI_IPV6 => Some(128),
            _ => None,
        }
    }

    /// Bit of this family in a [`FamilySet`].
    const fn bit(self) -> u32 {
        let index = match (self.afi, self.safi) {
            (AFI_IPV4, SAFI_UNICAST) => 0,
            (AFI_IPV6, SAFI_UNICAST) => 1,
            (AFI_IPV4, SAFI_MULTICAST) => 2,
            (AFI_IPV6, SAFI_MULTICAST) => 3,
            (AFI_IPV4, SAFI_LABELED) => 4,
            (AFI_IPV6, SAFI_LABELED) => 5,
            (AFI_IPV4, SAFI_VPN) => 6,
            (AFI_IPV6, SAFI_VPN) => 7,
            (AFI_IPV4, SAFI_VPN_MULTICAST) => 8,
            (AFI_IPV6, SAFI_VPN_MULTICAST) => 9,
            (AFI_L2VPN, SAFI_EVPN) => 10,
            (AFI_IPV4, SAFI_FLOWSPEC) => 11,
            (AFI_IPV6, SAFI_FLOWSPEC) => 12,
            (AFI_IPV4, SAFI_FLOWSPEC_VPN) => 13,
            (AFI_IPV6, SAFI_FLOWSPEC_VPN) => 14,
            (AFI_BGP_LS, SAFI_BGP_LS) => 15,
            (AFI_BGP_LS, SAFI_BGP_LS_VPN) => 16,
            (AFI_IPV4, SAFI_SR_POLICY) => 17,
            (AFI_IPV6, SAFI_SR_POLICY) => 18,
            (AFI_IPV4, SAFI_ROUTE_TARGET) => 19,
            (AFI_IPV6, SAFI_ROUTE_TARGET) => 20,
            (AFI_IPV4, SAFI_MCAST_VPN) => 21,
            (AFI_IPV6, SAFI_MCAST_VPN) => 22,
            (AFI_L2VPN, SAFI_VPLS) => 23,
            (AFI_L2VPN, SAFI_FLOWSPEC) => 24,
            (AFI_L2VPN, SAFI_FLOWSPEC_VPN) => 25,
            _ => return 0,
        };
        1 << index
    }

    /// The AFI's name.
    #[must_use]
    pub const fn afi_name(self) -> Option<&'static str> {
        match self.afi {
            AFI_IPV4 => Some("ipv4"),
            AFI_IPV6 => Some("ipv6"),
            AFI_L2VPN => Some("l2vpn"),
            31 => Some("sfc"),
            AFI_BGP_LS => Some("bgp-ls"),
            16398 => Some("routing-policy"),
            _ => None,
        }
    }

    /// The SAFI's name.
    #[must_use]
    pub const fn safi_name(self) -> Option<&'static str> {
        Some(match self.safi {
            SAFI_UNICAST => "unicast",
            SAFI_MULTICAST => "multicast",
            SAFI_LABELED => "labeled",
            SAFI_MCAST_VPN => "mcast-vpn",
            6 => "ms-pw",
            8 => "mcast-vpls",
            9 => "sfc",
            SAFI_VPLS => "vpls",
            66 => "mdt",
            67 => "4over6",
            68 => "6over4",
            69 => "l1vpn",
            SAFI_EVPN => "evpn",
            SAFI_BGP_LS => "bgp-ls",
            SAFI_BGP_LS_VPN => "bgp-ls-vpn",
            SAFI_SR_POLICY => "sr-policy",
            74 => "sd-wan",
            75 => "routing-policy",
            76 => "classful-transport",
            77 => "tunneled-flowspec",
            78 => "mcast-tree",
            79 => "dps",
            83 => "car",
            84 => "vpn-car",
            85 => "mup",
            SAFI_VPN => "vpn",
            SAFI_VPN_MULTICAST => "vpn-multicast",
            SAFI_ROUTE_TARGET => "route-target",
            SAFI_FLOWSPEC => "flowspec",
            SAFI_FLOWSPEC_VPN => "flowspec-vpn",
            140 => "vpn-auto-discovery",
            _ => return None,
        })
    }
}

/// Prints `afi/safi` as numbers.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.afi, self.safi)
    }
}

/// A set of families out of [`Family::KNOWN`]; inserting another one does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FamilySet(u32);

impl FamilySet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Adds a family.
    pub const fn insert(&mut self, family: Family) {
        self.0 |= family.bit();
    }

    /// Whether the family is in the set.
    #[must_use]
    pub const fn contains(self, family: Family) -> bool {
        self.0 & family.bit() != 0
    }

    /// Families of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Families of both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The set as bits, in the order of [`Family::KNOWN`]: to be saved and restored.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set from bits as saved.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        let mut set = Self::EMPTY;
        families.into_iter().for_each(|family| set.insert(family));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_family_has_its_own_bit() {
        for (index, family) in Family::KNOWN.into_iter().enumerate() {
            assert_eq!(family.bit(), 1 << index, "{family}");
        }
    }

    #[test]
    fn unknown_families_are_never_members() {
        let unknown = Family::new(16398, 75);
        let set: FamilySet = [unknown, Family::EVPN].into_iter().collect();
        assert!(set.contains(Family::EVPN));
        assert!(!set.contains(unknown));
        assert_eq!(FamilySet::from_bits(set.bits()), set);
    }
}
