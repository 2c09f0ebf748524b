//! EVPN (RFC 7432 section 7, RFC 9136, RFC 9251, RFC 9572): `route type u8 | length u8 | route`. The length frames a
//! route whatever its type, so one that does not read costs no other.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bgp::nlri::Labels;
use crate::bgp::{IpVersion, Prefix, RouteDistinguisher};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// One EVPN route, framed; [`Evpn::route`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evpn<'a> {
    /// Route type as sent.
    pub route_type: u8,
    /// The route's octets.
    pub octets: &'a [u8],
    /// Where they start, in octets from the start of the outermost unit.
    pub offset: usize,
}

/// An Ethernet segment identifier. Prints 10 octets in hex with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Esi(pub [u8; 10]);

impl fmt::Display for Esi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_colons(f, &self.0)
    }
}

/// A MAC address. Prints `aa:bb:cc:dd:ee:ff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_colons(f, &self.0)
    }
}

fn write_colons(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().enumerate().try_for_each(|(index, octet)| {
        let colon = if index == 0 { "" } else { ":" };
        write!(f, "{colon}{octet:02x}")
    })
}

/// An EVPN route by its type. Each field is there where its type has it and the octets allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvpnRoute<'a> {
    /// Which VPN's; absent in type 11, whose route key holds one, and in unknown types.
    pub distinguisher: Option<RouteDistinguisher>,
    /// Ethernet segment: types 1, 2, 4, 5, 7, 8.
    pub esi: Option<Esi>,
    /// Ethernet tag: types 1, 2, 3, 5-10.
    pub ethernet_tag: Option<u32>,
    /// MAC address: type 2.
    pub mac: Option<Mac>,
    /// The host's address: type 2, if it has one.
    pub address: Option<IpAddr>,
    /// IP prefix: type 5.
    pub prefix: Option<Prefix>,
    /// Gateway of the prefix: type 5.
    pub gateway: Option<IpAddr>,
    /// Labels, 24 bits each of which 20 are an MPLS label and all a VNI: types 1, 2 (one or two) and 5.
    pub labels: Labels<'a>,
    /// Originating router: types 3, 4, 6-8, 10, 11.
    pub originator: Option<IpAddr>,
    /// Multicast source: types 6-8, 10; absent for any source.
    pub source: Option<IpAddr>,
    /// Multicast group: types 6-8, 10; absent for any group.
    pub group: Option<IpAddr>,
    /// Flags of types 6-8.
    pub flags: Option<u8>,
    /// Region identifier of type 9, the key of the route answered in type 11.
    pub key: &'a [u8],
}

impl<'a> Evpn<'a> {
    /// Reads the route by its type. An unknown type is a route without fields.
    ///
    /// # Errors
    /// What does not fit the type.
    pub fn route(&self) -> Result<EvpnRoute<'a>, Malformed> {
        let mut cursor = Cursor::with_base(self.octets, self.offset);
        let mut route = EMPTY;
        match self.route_type {
            1 => {
                route.segment(&mut cursor)?;
                route.tag(&mut cursor)?;
                route.labels = labels(&mut cursor, 1)?;
            }
            2 => route.mac_ip(&mut cursor)?,
            3 => {
                route.distinguisher(&mut cursor)?;
                route.tag(&mut cursor)?;
                route.originator = address(&mut cursor)?;
            }
            4 => {
                route.segment(&mut cursor)?;
                route.originator = address(&mut cursor)?;
            }
            5 => route.ip_prefix(&mut cursor)?,
            6 => {
                route.distinguisher(&mut cursor)?;
                route.multicast(&mut cursor)?;
                route.flags = Some(cursor.u8()?);
            }
            7 => {
                route.segment(&mut cursor)?;
                route.multicast(&mut cursor)?;
                route.flags = Some(cursor.u8()?);
            }
            8 => {
                route.segment(&mut cursor)?;
                route.multicast(&mut cursor)?;
                cursor.skip(5)?; // reserved, maximum response time
                route.flags = Some(cursor.u8()?);
            }
            9 => {
                route.distinguisher(&mut cursor)?;
                route.tag(&mut cursor)?;
                route.key = cursor.take(8)?;
            }
            10 => {
                route.distinguisher(&mut cursor)?;
                route.multicast(&mut cursor)?;
            }
            11 => route.leaf(&mut cursor)?,
            _ => return Ok(route),
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
            1 => "ethernetAutoDiscovery",
            2 => "macIpAdvertisement",
            3 => "inclusiveMulticast",
            4 => "ethernetSegment",
            5 => "ipPrefix",
            6 => "selectiveMulticast",
            7 => "multicastJoinSynch",
            8 => "multicastLeaveSynch",
            9 => "perRegionIPmsi",
            10 => "sPmsi",
            11 => "leaf",
            _ => return None,
        })
    }
}

const EMPTY: EvpnRoute<'static> = EvpnRoute {
    distinguisher: None,
    esi: None,
    ethernet_tag: None,
    mac: None,
    address: None,
    prefix: None,
    gateway: None,
    labels: Labels::NONE,
    originator: None,
    source: None,
    group: None,
    flags: None,
    key: &[],
};

impl<'a> EvpnRoute<'a> {
    fn distinguisher(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        self.distinguisher = Some(RouteDistinguisher(cursor.array()?));
        Ok(())
    }

    fn segment(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        self.distinguisher(cursor)?;
        self.esi = Some(Esi(cursor.array()?));
        Ok(())
    }

    fn tag(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        self.ethernet_tag = Some(cursor.u32()?);
        Ok(())
    }

    fn mac_ip(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        self.segment(cursor)?;
        self.tag(cursor)?;
        let place = *cursor;
        if cursor.u8()? != 48 {
            return Err(place.malformed(Reason::BadLength, 1));
        }
        self.mac = Some(Mac(cursor.array()?));
        self.address = address(cursor)?;
        self.labels = labels(cursor, if cursor.remaining() >= 6 { 2 } else { 1 })?;
        Ok(())
    }

    /// RFC 9136 section 3.1: addresses of both protocols, told apart by the length of the whole route.
    fn ip_prefix(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        let version = if cursor.remaining() == 34 { IpVersion::V4 } else { IpVersion::V6 };
        self.segment(cursor)?;
        self.tag(cursor)?;
        let place = *cursor;
        let length = cursor.u8()?;
        let octets = usize::from(version.bits() / 8);
        let mut prefix = cursor.split(octets)?;
        self.prefix = Some(
            Prefix::parse(&mut prefix, version, length)
                .map_err(|_| place.malformed(Reason::BadPrefixLength, 1))?,
        );
        self.gateway = Some(fixed_address(cursor, version)?);
        self.labels = labels(cursor, 1)?;
        Ok(())
    }

    fn multicast(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        self.tag(cursor)?;
        self.source = address(cursor)?;
        self.group = address(cursor)?;
        self.originator = address(cursor)?;
        Ok(())
    }

    /// RFC 9572 section 3.3: the key of another route, a type and a length in front, then the originator.
    fn leaf(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        let mut ahead = *cursor;
        ahead.skip(1)?;
        let length = usize::from(ahead.u8()?);
        self.key = cursor.take(2 + length)?;
        self.originator = address(cursor)?;
        Ok(())
    }
}

/// A length of 0, 32 or 128 bits and an address of it.
pub(super) fn address(cursor: &mut Cursor<'_>) -> Result<Option<IpAddr>, Malformed> {
    let place = *cursor;
    match cursor.u8()? {
        0 => Ok(None),
        32 => fixed_address(cursor, IpVersion::V4).map(Some),
        128 => fixed_address(cursor, IpVersion::V6).map(Some),
        _ => Err(place.malformed(Reason::BadLength, 1)),
    }
}

pub(super) fn fixed_address(cursor: &mut Cursor<'_>, version: IpVersion) -> Result<IpAddr, Malformed> {
    Ok(match version {
        IpVersion::V4 => IpAddr::V4(Ipv4Addr::from_octets(cursor.array()?)),
        IpVersion::V6 => IpAddr::V6(Ipv6Addr::from_octets(cursor.array()?)),
    })
}

fn labels<'a>(cursor: &mut Cursor<'a>, count: usize) -> Result<Labels<'a>, Malformed> {
    cursor.take(3 * count).map(Labels::new)
}

/// Frames one route.
pub(super) fn parse<'a>(cursor: &mut Cursor<'a>) -> Result<Evpn<'a>, Malformed> {
    let route_type = cursor.u8()?;
    let length = cursor.u8()?;
    let offset = cursor.offset();
    Ok(Evpn { route_type, octets: cursor.take(usize::from(length))?, offset })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    const DISTINGUISHER: [u8; 8] = [0, 1, 192, 0, 2, 1, 0, 5];
    const ESI: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    const TAG: [u8; 4] = [0, 0, 0, 100];
    const LABEL: [u8; 3] = [0x00, 0x27, 0x11]; // label 625, VNI 10001

    fn route(route_type: u8, parts: &[&[u8]]) -> Result<EvpnRoute<'static>, Malformed> {
        let octets: &'static [u8] = Vec::leak(parts.concat());
        Evpn { route_type, octets, offset: 0 }.route()
    }

    #[test]
    fn a_mac_route_has_an_address_and_up_to_two_labels() {
        let mac = [48, 0xaa, 0xbb, 0xcc, 0, 0, 1];
        let head = [&DISTINGUISHER[..], &ESI, &TAG, &mac].concat();
        let bare = route(2, &[&head, &[0], &LABEL]).unwrap();
        assert_eq!((bare.address, bare.labels.collect::<Vec<_>>()), (None, std::vec![625]));
        let full = route(2, &[&head, &[32, 192, 0, 2, 9], &LABEL, &LABEL]).unwrap();
        assert_eq!(full.mac.unwrap().to_string(), "aa:bb:cc:00:00:01");
        assert_eq!(full.esi.unwrap().to_string(), "00:01:02:03:04:05:06:07:08:09");
        assert_eq!(full.address.unwrap().to_string(), "192.0.2.9");
        assert_eq!((full.ethernet_tag, full.labels.count()), (Some(100), 2));
        assert!(route(2, &[&head, &[33, 1, 2, 3, 4, 5], &LABEL]).is_err());
        assert!(route(2, &[&head, &[0], &LABEL, &[9]]).is_err());
    }

    #[test]
    fn a_prefix_route_is_of_the_protocol_that_its_length_tells() {
        let ipv4 = route(5, &[&DISTINGUISHER, &ESI, &TAG, &[24, 192, 0, 2, 7], &[0; 4], &LABEL]).unwrap();
        assert_eq!(ipv4.prefix.unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(ipv4.gateway.unwrap().to_string(), "0.0.0.0");
        let ipv6 = route(5, &[&DISTINGUISHER, &ESI, &TAG, &[16], &[0x20; 16], &[0; 16], &LABEL]).unwrap();
        assert_eq!(ipv6.prefix.unwrap().to_string(), "2020::/16");
        assert!(route(5, &[&DISTINGUISHER, &ESI, &TAG, &[33, 192, 0, 2, 7], &[0; 4], &LABEL]).is_err());
    }

    #[test]
    fn the_other_types_have_their_fields() {
        assert_eq!(route(1, &[&DISTINGUISHER, &ESI, &TAG, &LABEL]).unwrap().labels.count(), 1);
        let originator = [32, 192, 0, 2, 1];
        let multicast = route(3, &[&DISTINGUISHER, &TAG, &originator]).unwrap();
        assert_eq!(multicast.originator.unwrap().to_string(), "192.0.2.1");
        assert_eq!(route(4, &[&DISTINGUISHER, &ESI, &originator]).unwrap().esi, Some(Esi(ESI)));
        let group = [32, 239, 1, 1, 1];
        let smet = route(6, &[&DISTINGUISHER, &TAG, &[0], &group, &originator, &[4]]).unwrap();
        assert_eq!((smet.source, smet.flags), (None, Some(4)));
        assert_eq!(smet.group.unwrap().to_string(), "239.1.1.1");
        let leave = [0, 0, 0, 0, 9, 4];
        assert!(route(8, &[&DISTINGUISHER, &ESI, &TAG, &[0], &group, &originator, &leave]).is_ok());
        assert_eq!(route(9, &[&DISTINGUISHER, &TAG, &[7; 8]]).unwrap().key, [7; 8]);
        assert!(route(10, &[&DISTINGUISHER, &TAG, &[0], &group, &originator]).is_ok());
        let leaf = route(11, &[&[3, 17], &DISTINGUISHER, &TAG, &originator, &originator]).unwrap();
        assert_eq!((leaf.key.len(), leaf.originator), (19, "192.0.2.1".parse().ok()));
        assert_eq!(route(99, &[&[1, 2, 3]]).unwrap(), EMPTY);
    }

    #[test]
    fn a_bad_route_does_not_hide_the_next() {
        let octets = [4, 1, 0xff, 200, 2, 1, 2];
        let mut cursor = Cursor::new(&octets);
        assert!(parse(&mut cursor).unwrap().route().is_err());
        assert_eq!(parse(&mut cursor).unwrap().octets, [1, 2]);
    }
}
