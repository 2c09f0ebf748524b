//! MCAST-VPN (RFC 6514 section 4): `route type u8 | length u8 | route`. The length frames a route whatever its type.

use core::net::IpAddr;

use crate::bgp::nlri::evpn::{address, fixed_address};
use crate::bgp::{IpVersion, RouteDistinguisher};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// One MCAST-VPN route, framed; [`McastVpn::route`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct McastVpn<'a> {
    /// Route type as sent.
    pub route_type: u8,
    /// The route's octets.
    pub octets: &'a [u8],
    /// Where they start, in octets from the start of the outermost unit.
    pub offset: usize,
}

/// An MCAST-VPN route by its type. Each field is there where its type has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct McastVpnRoute<'a> {
    /// Which VPN's: types 1-3, 5-7.
    pub distinguisher: Option<RouteDistinguisher>,
    /// AS of the source: types 2, 6, 7.
    pub source_as: Option<u32>,
    /// Multicast source: types 3, 5-7; absent for any source.
    pub source: Option<IpAddr>,
    /// Multicast group: types 3, 5-7; absent for any group.
    pub group: Option<IpAddr>,
    /// Originating router: types 1, 3, 4.
    pub originator: Option<IpAddr>,
    /// The key of the route answered: type 4.
    pub key: &'a [u8],
}

impl<'a> McastVpn<'a> {
    /// Reads the route by its type. An unknown type is a route without fields.
    ///
    /// # Errors
    /// What does not fit the type.
    pub fn route(&self) -> Result<McastVpnRoute<'a>, Malformed> {
        let mut cursor = Cursor::with_base(self.octets, self.offset);
        let mut route = McastVpnRoute::default();
        if self.route_type == 4 {
            let octets = cursor.rest();
            let originator = if is_ipv6_behind_route(octets) { 16 } else { 4 };
            route.key = cursor.take(octets.len().saturating_sub(originator))?;
            route.originator = Some(rest_address(&mut cursor)?);
            return Ok(route);
        }
        if !matches!(self.route_type, 1..=7) {
            return Ok(route);
        }
        route.distinguisher = Some(RouteDistinguisher(cursor.array()?));
        if matches!(self.route_type, 2 | 6 | 7) {
            route.source_as = Some(cursor.u32()?);
        }
        if matches!(self.route_type, 3 | 5 | 6 | 7) {
            route.source = address(&mut cursor)?;
            route.group = address(&mut cursor)?;
        }
        if matches!(self.route_type, 1 | 3) {
            route.originator = Some(rest_address(&mut cursor)?);
        }
        if cursor.is_empty() {
            Ok(route)
        } else {
            Err(cursor.malformed(Reason::BadLength, cursor.remaining()))
        }
    }

    /// The route type's name.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self.route_type {
            1 => "intraAsIPmsi",
            2 => "interAsIPmsi",
            3 => "sPmsi",
            4 => "leaf",
            5 => "sourceActive",
            6 => "sharedTreeJoin",
            7 => "sourceTreeJoin",
            _ => return None,
        })
    }
}

/// Whether a leaf route's originator is IPv6: its key is a whole route that names its own length.
fn is_ipv6_behind_route(leaf: &[u8]) -> bool {
    matches!(leaf, [_, length, ..] if leaf.len() == usize::from(*length) + 2 + 16)
}

/// All that is left as one address.
fn rest_address(cursor: &mut Cursor<'_>) -> Result<IpAddr, Malformed> {
    match cursor.remaining() {
        4 => fixed_address(cursor, IpVersion::V4),
        16 => fixed_address(cursor, IpVersion::V6),
        other => Err(cursor.malformed(Reason::BadLength, other)),
    }
}

/// Frames one route.
pub(super) fn parse<'a>(cursor: &mut Cursor<'a>) -> Result<McastVpn<'a>, Malformed> {
    let route_type = cursor.u8()?;
    let length = cursor.u8()?;
    let offset = cursor.offset();
    Ok(McastVpn { route_type, octets: cursor.take(usize::from(length))?, offset })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const DISTINGUISHER: [u8; 8] = [0, 0, 0xfd, 0xe8, 0, 0, 0, 1];
    const SOURCE: [u8; 5] = [32, 192, 0, 2, 1];
    const GROUP: [u8; 5] = [32, 239, 1, 1, 1];
    const ORIGINATOR: [u8; 4] = [10, 0, 0, 1];

    fn route(route_type: u8, parts: &[&[u8]]) -> Result<McastVpnRoute<'static>, Malformed> {
        McastVpn { route_type, octets: Vec::leak(parts.concat()), offset: 0 }.route()
    }

    #[test]
    fn each_type_has_its_fields() {
        let originator = Some(IpAddr::V4(ORIGINATOR.into()));
        assert_eq!(route(1, &[&DISTINGUISHER, &ORIGINATOR]).unwrap().originator, originator);
        assert_eq!(route(2, &[&DISTINGUISHER, &[0, 0, 0, 9]]).unwrap().source_as, Some(9));
        let spmsi = route(3, &[&DISTINGUISHER, &SOURCE, &GROUP, &ORIGINATOR]).unwrap();
        assert_eq!((spmsi.originator, spmsi.group), (originator, "239.1.1.1".parse().ok()));
        let leaf = route(4, &[&[3, 3, 1, 2, 3], &ORIGINATOR]).unwrap();
        assert_eq!((leaf.originator, leaf.key), (originator, &[3, 3, 1, 2, 3][..]));
        let leaf = route(4, &[&[3, 3, 1, 2, 3], &[0xfd; 16]]).unwrap();
        assert!(leaf.originator.unwrap().is_ipv6());
        assert!(route(5, &[&DISTINGUISHER, &SOURCE, &GROUP]).unwrap().source.is_some());
        assert!(route(7, &[&DISTINGUISHER, &[0, 0, 0, 9], &SOURCE, &GROUP]).is_ok());
        assert!(route(7, &[&DISTINGUISHER, &[0, 0, 0, 9], &SOURCE, &[31, 0]]).is_err());
        assert!(route(1, &[&DISTINGUISHER, &[1]]).is_err());
        assert_eq!(route(99, &[&[1]]).unwrap(), McastVpnRoute::default());
    }
}
