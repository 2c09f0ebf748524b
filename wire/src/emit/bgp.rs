//! Routes in, BGP messages out: OPEN with capabilities, UPDATE with attributes and NLRI of all prefix families,
//! End-of-RIB, NOTIFICATION. Writes what it is told and checks nothing but that a length fits its field.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bgp::attribute::{EXTENDED_LENGTH, OPTIONAL, Origin, TRANSITIVE, code};
use crate::bgp::open::AS_TRANS;
use crate::bgp::{
    AsWidth, Community, ExtendedCommunity, Family, LargeCommunity, MARKER, Prefix, RouteDistinguisher,
    SegmentKind, capability, family,
};

/// Message type of OPEN.
pub const OPEN: u8 = 1;
/// Message type of UPDATE.
pub const UPDATE: u8 = 2;
/// Message type of NOTIFICATION.
pub const NOTIFICATION: u8 = 3;

/// A whole BGP message of any type.
///
/// # Panics
/// If it would be longer than 65,535 octets.
#[must_use]
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).expect("a BGP message of at most 65,535 octets");
    [&MARKER[..], &length.to_be_bytes(), &[kind], body].concat()
}

/// A NOTIFICATION.
#[must_use]
pub fn notification(code: u8, subcode: u8, data: &[u8]) -> Vec<u8> {
    message(NOTIFICATION, &[&[code, subcode], data].concat())
}

/// The UPDATE that ends a family's table (RFC 4724 section 2).
#[must_use]
pub fn end_of_rib(family: Family) -> Vec<u8> {
    let mut update = Update::new(AsWidth::Four);
    if family != Family::IPV4_UNICAST {
        update.mp_unreach(family, &[]);
    }
    update.finish()
}

/// An OPEN under construction: capabilities are appended in call order, all in one parameter.
#[derive(Debug, Clone)]
pub struct Open {
    autonomous_system: u32,
    hold_time: u16,
    bgp_id: Ipv4Addr,
    capabilities: Vec<u8>,
}

impl Open {
    /// An OPEN without capabilities. An AS that 2 octets cannot hold becomes `AS_TRANS` in the short field.
    #[must_use]
    pub const fn new(autonomous_system: u32, hold_time: u16, bgp_id: Ipv4Addr) -> Self {
        Self { autonomous_system, hold_time, bgp_id, capabilities: Vec::new() }
    }

    /// Any capability.
    pub fn capability(&mut self, code: u8, value: &[u8]) -> &mut Self {
        let length = u8::try_from(value.len()).expect("a capability of at most 255 octets");
        self.capabilities.extend([code, length]);
        self.capabilities.extend_from_slice(value);
        self
    }

    /// A family that is spoken.
    pub fn multiprotocol(&mut self, family: Family) -> &mut Self {
        let [high, low] = family.afi.to_be_bytes();
        self.capability(capability::MULTIPROTOCOL, &[high, low, 0, family.safi])
    }

    /// The AS number in full.
    pub fn four_octet_as(&mut self) -> &mut Self {
        let value = self.autonomous_system.to_be_bytes();
        self.capability(capability::FOUR_OCTET_AS, &value)
    }

    /// Path identifiers: 1 receive, 2 send, 3 both, by family.
    pub fn add_path(&mut self, modes: &[(Family, u8)]) -> &mut Self {
        self.tuples(capability::ADD_PATH, modes)
    }

    /// Several labels a prefix, by family.
    pub fn multiple_labels(&mut self, counts: &[(Family, u8)]) -> &mut Self {
        self.tuples(capability::MULTIPLE_LABELS, counts)
    }

    fn tuples(&mut self, code: u8, tuples: &[(Family, u8)]) -> &mut Self {
        let value: Vec<u8> = tuples
            .iter()
            .flat_map(|(family, last)| {
                let [high, low] = family.afi.to_be_bytes();
                [high, low, family.safi, *last]
            })
            .collect();
        self.capability(code, &value)
    }

    /// The OPEN as a whole message; with extended parameters (RFC 9072) where 253 octets do not hold the
    /// capabilities.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.push(4);
        body.extend(u16::try_from(self.autonomous_system).unwrap_or(AS_TRANS).to_be_bytes());
        body.extend(self.hold_time.to_be_bytes());
        body.extend(self.bgp_id.octets());
        match u8::try_from(self.capabilities.len()) {
            Ok(0) => body.push(0),
            Ok(length @ ..=253) => body.extend([length + 2, 2, length]),
            _ => {
                let length = u16::try_from(self.capabilities.len()).expect("capabilities of a message");
                body.extend([255, 255]);
                body.extend((length + 3).to_be_bytes());
                body.push(2);
                body.extend(length.to_be_bytes());
            }
        }
        body.extend_from_slice(&self.capabilities);
        message(OPEN, &body)
    }
}

/// An UPDATE under construction: attributes and prefixes are appended in call order.
#[derive(Debug, Clone)]
pub struct Update {
    width: AsWidth,
    withdrawn: Vec<u8>,
    attributes: Vec<u8>,
    nlri: Vec<u8>,
}

impl Update {
    /// An UPDATE without routes; AS numbers will have `width`.
    #[must_use]
    pub const fn new(width: AsWidth) -> Self {
        Self { width, withdrawn: Vec::new(), attributes: Vec::new(), nlri: Vec::new() }
    }

    /// An IPv4 prefix into the withdrawn routes.
    pub fn withdraw(&mut self, path_id: Option<u32>, prefix: &Prefix) -> &mut Self {
        put_prefix(&mut self.withdrawn, path_id, prefix);
        self
    }

    /// An IPv4 prefix into the NLRI.
    pub fn announce(&mut self, path_id: Option<u32>, prefix: &Prefix) -> &mut Self {
        put_prefix(&mut self.nlri, path_id, prefix);
        self
    }

    /// Any attribute; the extended-length flag is added where the value needs it.
    pub fn attribute(&mut self, flags: u8, code: u8, value: &[u8]) -> &mut Self {
        put_attribute(&mut self.attributes, flags, code, value);
        self
    }

    /// ORIGIN.
    pub fn origin(&mut self, origin: Origin) -> &mut Self {
        let value = match origin {
            Origin::Igp => 0,
            Origin::Egp => 1,
            Origin::Incomplete => 2,
        };
        self.attribute(TRANSITIVE, code::ORIGIN, &[value])
    }

    /// `AS_PATH` out of segments.
    pub fn as_path(&mut self, segments: &[(SegmentKind, &[u32])]) -> &mut Self {
        let value = as_path_value(self.width, segments);
        self.attribute(TRANSITIVE, code::AS_PATH, &value)
    }

    /// `NEXT_HOP`.
    pub fn next_hop(&mut self, address: Ipv4Addr) -> &mut Self {
        self.attribute(TRANSITIVE, code::NEXT_HOP, &address.octets())
    }

    /// `MULTI_EXIT_DISC`.
    pub fn multi_exit_disc(&mut self, metric: u32) -> &mut Self {
        self.attribute(OPTIONAL, code::MULTI_EXIT_DISC, &metric.to_be_bytes())
    }

    /// `LOCAL_PREF`.
    pub fn local_pref(&mut self, preference: u32) -> &mut Self {
        self.attribute(TRANSITIVE, code::LOCAL_PREF, &preference.to_be_bytes())
    }

    /// COMMUNITIES.
    pub fn communities(&mut self, communities: &[Community]) -> &mut Self {
        let value: Vec<u8> = communities.iter().flat_map(|community| community.0.to_be_bytes()).collect();
        self.attribute(OPTIONAL | TRANSITIVE, code::COMMUNITIES, &value)
    }

    /// EXTENDED COMMUNITIES.
    pub fn extended_communities(&mut self, communities: &[ExtendedCommunity]) -> &mut Self {
        let value: Vec<u8> = communities.iter().flat_map(|community| community.0).collect();
        self.attribute(OPTIONAL | TRANSITIVE, code::EXTENDED_COMMUNITIES, &value)
    }

    /// `LARGE_COMMUNITY`.
    pub fn large_communities(&mut self, communities: &[LargeCommunity]) -> &mut Self {
        let parts = communities.iter().flat_map(|c| [c.administrator, c.first, c.second]);
        let value: Vec<u8> = parts.flat_map(u32::to_be_bytes).collect();
        self.attribute(OPTIONAL | TRANSITIVE, code::LARGE_COMMUNITIES, &value)
    }

    /// `MP_REACH_NLRI`: `next_hop` as [`next_hop_octets`] makes it, `nlri` as the `put_` functions do.
    pub fn mp_reach(&mut self, family: Family, next_hop: &[u8], nlri: &[u8]) -> &mut Self {
        let [high, low] = family.afi.to_be_bytes();
        let length = u8::try_from(next_hop.len()).expect("a next hop of at most 255 octets");
        let value = [&[high, low, family.safi, length], next_hop, &[0], nlri].concat();
        self.attribute(OPTIONAL, code::MP_REACH, &value)
    }

    /// `MP_UNREACH_NLRI`.
    pub fn mp_unreach(&mut self, family: Family, nlri: &[u8]) -> &mut Self {
        let [high, low] = family.afi.to_be_bytes();
        let value = [&[high, low, family.safi], nlri].concat();
        self.attribute(OPTIONAL, code::MP_UNREACH, &value)
    }

    /// The UPDATE as a whole message.
    ///
    /// # Panics
    /// If it would be longer than 65,535 octets.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let length = |field: &[u8]| u16::try_from(field.len()).expect("a field of a message").to_be_bytes();
        let body = [
            &length(&self.withdrawn)[..],
            &self.withdrawn,
            &length(&self.attributes),
            &self.attributes,
            &self.nlri,
        ]
        .concat();
        message(UPDATE, &body)
    }
}

/// Appends one attribute.
///
/// # Panics
/// If the value is longer than 65,535 octets.
pub fn put_attribute(to: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(length) if flags & EXTENDED_LENGTH == 0 => to.extend([flags, code, length]),
        _ => {
            let length = u16::try_from(value.len()).expect("an attribute of at most 65,535 octets");
            to.extend([flags | EXTENDED_LENGTH, code]);
            to.extend(length.to_be_bytes());
        }
    }
    to.extend_from_slice(value);
}

/// The value of an `AS_PATH` out of segments of at most 255 AS numbers each.
///
/// # Panics
/// If a segment is longer, or an AS number does not fit the width.
#[must_use]
pub fn as_path_value(width: AsWidth, segments: &[(SegmentKind, &[u32])]) -> Vec<u8> {
    let mut value = Vec::new();
    for (kind, numbers) in segments {
        value.push(match kind {
            SegmentKind::Set => 1,
            SegmentKind::Sequence => 2,
            SegmentKind::ConfedSequence => 3,
            SegmentKind::ConfedSet => 4,
        });
        value.push(u8::try_from(numbers.len()).expect("a segment of at most 255 AS numbers"));
        for number in *numbers {
            match width {
                AsWidth::Two => value.extend(u16::try_from(*number).expect("a 2-octet AS").to_be_bytes()),
                AsWidth::Four => value.extend(number.to_be_bytes()),
            }
        }
    }
    value
}

/// Appends a prefix of the unicast and multicast families.
pub fn put_prefix(to: &mut Vec<u8>, path_id: Option<u32>, prefix: &Prefix) {
    put_nlri(to, path_id, &[], prefix);
}

/// Appends a prefix with labels; the last one is the bottom of the stack.
pub fn put_labeled(to: &mut Vec<u8>, path_id: Option<u32>, labels: &[u32], prefix: &Prefix) {
    put_nlri(to, path_id, &stack(labels), prefix);
}

/// Appends a prefix of a VPN; the last label is the bottom of the stack.
pub fn put_vpn(
    to: &mut Vec<u8>,
    path_id: Option<u32>,
    labels: &[u32],
    distinguisher: RouteDistinguisher,
    prefix: &Prefix,
) {
    let mut before = stack(labels);
    before.extend(distinguisher.0);
    put_nlri(to, path_id, &before, prefix);
}

fn stack(labels: &[u32]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (index, label) in labels.iter().enumerate() {
        let is_bottom = index + 1 == labels.len();
        let [_, entry @ ..] = (label << 4 | u32::from(is_bottom)).to_be_bytes();
        octets.extend(entry);
    }
    octets
}

fn put_nlri(to: &mut Vec<u8>, path_id: Option<u32>, before: &[u8], prefix: &Prefix) {
    to.extend(path_id.map(u32::to_be_bytes).into_iter().flatten());
    let bits = 8 * before.len() + usize::from(prefix.length);
    to.push(u8::try_from(bits).expect("NLRI of at most 255 bits"));
    to.extend_from_slice(before);
    to.extend(prefix.octets.iter().take(usize::from(prefix.length).div_ceil(8)));
}

/// A next hop as `MP_REACH_NLRI` has it for the family: behind a zero RD for VPNs.
#[must_use]
pub fn next_hop_octets(family: Family, address: IpAddr, link_local: Option<Ipv6Addr>) -> Vec<u8> {
    let before: &[u8] = match family.safi {
        family::SAFI_VPN | family::SAFI_VPN_MULTICAST => &[0; 8],
        _ => &[],
    };
    let mut octets = before.to_vec();
    match address {
        IpAddr::V4(address) => octets.extend(address.octets()),
        IpAddr::V6(address) => octets.extend(address.octets()),
    }
    if let Some(link_local) = link_local {
        octets.extend_from_slice(before);
        octets.extend(link_local.octets());
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_those_of_the_rfcs() {
        assert_eq!(end_of_rib(Family::IPV4_UNICAST)[16..], [0, 23, 2, 0, 0, 0, 0]);
        assert_eq!(end_of_rib(Family::EVPN)[19..], [0, 0, 0, 6, 0x80, 15, 3, 0, 25, 70]);
        let mut vpn = Vec::new();
        let prefix = Prefix::new("192.0.2.0".parse().unwrap(), 24);
        put_vpn(&mut vpn, Some(7), &[100], RouteDistinguisher([0, 0, 0xfd, 0xe8, 0, 0, 0, 1]), &prefix);
        assert_eq!(vpn[..8], [0, 0, 0, 7, 112, 0x00, 0x06, 0x41]);
        assert_eq!(vpn[16..], [192, 0, 2]);
    }

    #[test]
    fn many_capabilities_take_extended_parameters() {
        let mut open = Open::new(65536, 90, Ipv4Addr::new(10, 0, 0, 1));
        for _ in 0..2 {
            open.capability(200, &[0; 200]);
        }
        let octets = open.finish();
        assert_eq!(octets[20..22], AS_TRANS.to_be_bytes());
        assert_eq!(octets[28..35], [255, 255, 0x01, 0x97, 2, 0x01, 0x94]);
    }
}
