//! Next hops of multiprotocol routes: family and octets in, addresses out. The distinguisher in front of a VPN's
//! next hop is always zero and is dropped.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bgp::family::{self, Family};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Where traffic of a route goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHop<'a> {
    /// None given, as flow specifications have it.
    Absent,
    /// One address.
    Address(IpAddr),
    /// A global IPv6 address and the link-local one of the same router (RFC 2545 section 3).
    WithLinkLocal(Ipv6Addr, Ipv6Addr),
    /// Octets of a family whose next hops this crate does not know.
    Raw(&'a [u8]),
}

impl<'a> NextHop<'a> {
    /// Reads a next hop as its family has it: IPv4 families 4, or 16 and 32 (RFC 8950), IPv6 families 16 and 32,
    /// VPNs 12, 24 and 48 (RFC 4364, RFC 4659, RFC 8950), others by their length alone.
    ///
    /// # Errors
    /// `bad_next_hop` if the family does not allow the length.
    pub fn parse(octets: Cursor<'a>, family: Family) -> Result<Self, Malformed> {
        let length = octets.remaining();
        if !allowed(family, length) {
            return Err(octets.malformed(Reason::BadNextHop, length));
        }
        let mut cursor = octets;
        Ok(match length {
            0 => Self::Absent,
            4 => Self::Address(IpAddr::V4(ipv4(&mut cursor)?)),
            12 => {
                cursor.skip(8)?;
                Self::Address(IpAddr::V4(ipv4(&mut cursor)?))
            }
            16 => Self::Address(IpAddr::V6(ipv6(&mut cursor)?)),
            24 => {
                cursor.skip(8)?;
                Self::Address(IpAddr::V6(ipv6(&mut cursor)?))
            }
            32 => Self::WithLinkLocal(ipv6(&mut cursor)?, ipv6(&mut cursor)?),
            48 => {
                cursor.skip(8)?;
                let global = ipv6(&mut cursor)?;
                cursor.skip(8)?;
                Self::WithLinkLocal(global, ipv6(&mut cursor)?)
            }
            _ => Self::Raw(octets.rest()),
        })
    }

    /// The address, the global one of two.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match *self {
            Self::Address(address) => Some(address),
            Self::WithLinkLocal(global, _) => Some(IpAddr::V6(global)),
            Self::Absent | Self::Raw(_) => None,
        }
    }

    /// The link-local address beside a global one.
    #[must_use]
    pub const fn link_local(&self) -> Option<Ipv6Addr> {
        match *self {
            Self::WithLinkLocal(_, link_local) => Some(link_local),
            Self::Absent | Self::Address(_) | Self::Raw(_) => None,
        }
    }
}

const fn allowed(family: Family, length: usize) -> bool {
    match (family.afi, family.safi) {
        (family::AFI_IPV4 | family::AFI_IPV6, family::SAFI_VPN | family::SAFI_VPN_MULTICAST) => {
            matches!(length, 12 | 24 | 48) && !(family.afi == family::AFI_IPV6 && length == 12)
        }
        (family::AFI_IPV4, family::SAFI_UNICAST | family::SAFI_MULTICAST | family::SAFI_LABELED) => {
            matches!(length, 4 | 16 | 32)
        }
        (family::AFI_IPV6, family::SAFI_UNICAST | family::SAFI_MULTICAST | family::SAFI_LABELED) => {
            matches!(length, 16 | 32)
        }
        (family::AFI_L2VPN, family::SAFI_EVPN | family::SAFI_VPLS) => matches!(length, 4 | 16 | 32),
        _ => true,
    }
}

fn ipv4(cursor: &mut Cursor<'_>) -> Result<Ipv4Addr, Malformed> {
    cursor.array().map(Ipv4Addr::from_octets)
}

fn ipv6(cursor: &mut Cursor<'_>) -> Result<Ipv6Addr, Malformed> {
    cursor.array().map(Ipv6Addr::from_octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(octets: &[u8], family: Family) -> Result<NextHop<'_>, Reason> {
        NextHop::parse(Cursor::new(octets), family).map_err(|malformed| malformed.reason)
    }

    #[test]
    fn reads_each_form() {
        let mut vpn = [0; 12];
        vpn[8..].copy_from_slice(&[192, 0, 2, 1]);
        let ipv4 = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(parse(&vpn, Family::IPV4_VPN), Ok(NextHop::Address(ipv4)));
        assert_eq!(parse(&vpn[8..], Family::EVPN), Ok(NextHop::Address(ipv4)));
        let mut both = [0; 48];
        both[8] = 0x20;
        both[32] = 0xfe;
        let next_hop = parse(&both, Family::IPV6_VPN).unwrap();
        assert_eq!(next_hop.address(), Some("2000::".parse().unwrap()));
        assert_eq!(next_hop.link_local(), Some("fe00::".parse().unwrap()));
        assert_eq!(parse(&[], Family::new(1, 133)), Ok(NextHop::Absent));
        assert_eq!(parse(&[1, 2], Family::new(99, 9)), Ok(NextHop::Raw(&[1, 2])));
    }

    #[test]
    fn ipv4_routes_may_have_ipv6_next_hops_but_not_the_other_way_round() {
        assert!(parse(&[0; 16], Family::IPV4_UNICAST).is_ok());
        assert_eq!(parse(&[0; 4], Family::IPV6_UNICAST), Err(Reason::BadNextHop));
        assert_eq!(parse(&[0; 4], Family::IPV4_VPN), Err(Reason::BadNextHop));
        assert_eq!(parse(&[0; 12], Family::IPV6_VPN), Err(Reason::BadNextHop));
    }
}
