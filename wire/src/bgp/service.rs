//! Attributes of VPN services: labels that a multicast VPN's leaves gave each other, the domains that a route of an
//! interworking VPN has passed, the functions that a service path consists of.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bgp::nlri::labeled::label;
use crate::bgp::tlv::{Form, Tlvs};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Iterator over address and label of each PE (RFC 6514 section 8).
#[derive(Debug, Clone, Copy)]
pub struct PeLabels<'a> {
    entries: Entries<'a>,
}

/// Which family the addresses are of: the length tells.
#[derive(Debug, Clone, Copy)]
enum Entries<'a> {
    V4(&'a [[u8; 7]]),
    V6(&'a [[u8; 19]]),
}

impl<'a> PeLabels<'a> {
    pub(super) fn parse(value: Cursor<'a>) -> Result<Self, Malformed> {
        let octets = value.rest();
        let entries = match (octets.as_chunks(), octets.as_chunks()) {
            ((entries @ [_, ..], []), _) => Entries::V4(entries),
            (_, (entries @ [_, ..], [])) => Entries::V6(entries),
            _ => return Err(value.malformed(Reason::BadLength, octets.len())),
        };
        Ok(Self { entries })
    }
}

impl Iterator for PeLabels<'_> {
    type Item = (IpAddr, u32);

    fn next(&mut self) -> Option<(IpAddr, u32)> {
        match &mut self.entries {
            Entries::V4(entries) => {
                let ([a, b, c, d, behind @ ..], rest) = entries.split_first()?;
                *entries = rest;
                Some((Ipv4Addr::new(*a, *b, *c, *d).into(), label(*behind)))
            }
            Entries::V6(entries) => {
                let (first, rest) = entries.split_first()?;
                *entries = rest;
                let (address, behind) = first.split_first_chunk()?;
                Some((Ipv6Addr::from_octets(*address).into(), label(behind.try_into().ok()?)))
            }
        }
    }
}

/// Iterator over the domains of a D-PATH, the last one first
/// (draft-ietf-bess-evpn-ipvpn-interworking-15 section 4).
///
/// ```text
/// | Count 1 | Domain 6 (administrator 4, number 2), SAFI 1 .. |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct DomainPath<'a> {
    cursor: Cursor<'a>,
    within: &'a [[u8; 7]],
}

/// One domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// Who numbers it.
    pub administrator: u32,
    /// Its number.
    pub number: u16,
    /// In which kind of routes the route came: 0 locally, 1 IP, 70 EVPN, 128 IP VPN.
    pub safi: u8,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.administrator, self.number)
    }
}

impl<'a> DomainPath<'a> {
    pub(super) fn parse(value: Cursor<'a>) -> Result<Self, Malformed> {
        let mut cursor = value;
        while !cursor.is_empty() {
            segment(&mut cursor)?;
        }
        Ok(Self { cursor: value, within: &[] })
    }
}

fn segment<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [[u8; 7]], Malformed> {
    let place = *cursor;
    let count = usize::from(cursor.u8()?);
    if count == 0 {
        return Err(place.malformed(Reason::BadCount, 1));
    }
    Ok(cursor.take(7 * count)?.as_chunks().0)
}

impl Iterator for DomainPath<'_> {
    type Item = Domain;

    fn next(&mut self) -> Option<Domain> {
        if self.within.is_empty() {
            self.within = segment(&mut self.cursor).ok()?;
        }
        let ([a, b, c, d, e, f, safi], rest) = self.within.split_first()?;
        self.within = rest;
        Some(Domain {
            administrator: u32::from_be_bytes([*a, *b, *c, *d]),
            number: u16::from_be_bytes([*e, *f]),
            safi: *safi,
        })
    }
}

/// Iterator over type and value of the TLVs of a service function path (RFC 9015 section 3.2.1): 1 association, 2 hop,
/// 3 type, 4 and 5 labels.
#[derive(Debug, Clone, Copy)]
pub struct ServicePath<'a> {
    tlvs: Tlvs<'a>,
}

impl<'a> ServicePath<'a> {
    pub(super) fn parse(value: Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self { tlvs: Tlvs::checked(value, Form::Narrow)? })
    }
}

impl<'a> Iterator for ServicePath<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        self.tlvs.next()?.ok().map(|(kind, value)| (kind, value.rest()))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn the_length_tells_whose_addresses_labels_belong_to() {
        let v4 = [192, 0, 2, 1, 0, 0x06, 0x41, 192, 0, 2, 2, 0, 0x06, 0x51];
        let read: Vec<_> = PeLabels::parse(Cursor::new(&v4)).unwrap().collect();
        assert_eq!(read, [([192, 0, 2, 1].into(), 100), ([192, 0, 2, 2].into(), 101)]);
        let mut v6 = [0; 19];
        v6[0] = 0x20;
        v6[17] = 0x10;
        let read: Vec<_> = PeLabels::parse(Cursor::new(&v6)).unwrap().collect();
        assert_eq!(read, [("2000::".parse().unwrap(), 256)]);
        assert!(PeLabels::parse(Cursor::new(&v6[..18])).is_err());
        assert!(PeLabels::parse(Cursor::new(&[])).is_err());
    }

    #[test]
    fn a_path_of_domains_may_have_several_segments() {
        let octets = [1, 0, 0, 0xfd, 0xe8, 0, 1, 70, 1, 0, 1, 0, 0, 0, 2, 128];
        let read: Vec<_> = DomainPath::parse(Cursor::new(&octets)).unwrap().collect();
        assert_eq!(read.iter().map(Domain::to_string).collect::<Vec<_>>(), ["65000:1", "65536:2"]);
        assert_eq!((read[0].safi, read[1].safi), (70, 128));
        assert!(DomainPath::parse(Cursor::new(&octets[..15])).is_err());
        assert_eq!(DomainPath::parse(Cursor::new(&[0])).unwrap_err().reason, Reason::BadCount);
    }

    #[test]
    fn a_service_path_is_its_tlvs() {
        let octets = [1, 0, 2, 9, 9, 2, 0, 0];
        let read: Vec<_> = ServicePath::parse(Cursor::new(&octets)).unwrap().collect();
        assert_eq!(read, [(1, &[9, 9][..]), (2, &[])]);
        assert!(ServicePath::parse(Cursor::new(&octets[..4])).is_err());
    }
}
