//! Routes of families that are no prefixes in, their NLRI out: EVPN, MCAST-VPN, flow specifications, BGP-LS, SR
//! policies, route target constraints. Takes what the views give, so that what was read can be written again.
//!
//! Panics where a length does not fit its field.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::bgp::nlri::evpn::EvpnRoute;
use crate::bgp::nlri::mcast_vpn::McastVpnRoute;
use crate::bgp::nlri::{RouteTarget, SrPolicy};
use crate::bgp::{IpVersion, Prefix, RouteDistinguisher};

fn put_path_id(to: &mut Vec<u8>, path_id: Option<u32>) {
    to.extend(path_id.map(u32::to_be_bytes).into_iter().flatten());
}

/// Type, length and value with one octet each for the first two.
fn put_framed(to: &mut Vec<u8>, kind: u8, value: &[u8]) {
    to.extend([kind, u8::try_from(value.len()).expect("a route of at most 255 octets")]);
    to.extend_from_slice(value);
}

fn put_address(to: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => to.extend(address.octets()),
        IpAddr::V6(address) => to.extend(address.octets()),
    }
}

/// A length in bits and the address; no address has the length 0.
fn put_sized(to: &mut Vec<u8>, address: Option<IpAddr>) {
    to.push(match address {
        None => 0,
        Some(IpAddr::V4(_)) => 32,
        Some(IpAddr::V6(_)) => 128,
    });
    address.into_iter().for_each(|address| put_address(to, address));
}

/// Appends an EVPN route: the fields that its type has, those that are absent as zeros (RFC 7432 section 7 and
/// others).
pub fn put_evpn(to: &mut Vec<u8>, path_id: Option<u32>, route_type: u8, route: &EvpnRoute<'_>) {
    put_path_id(to, path_id);
    let mut value = Vec::new();
    if route_type != 11 {
        value.extend(route.distinguisher.map_or([0; 8], |rd| rd.0));
    }
    if matches!(route_type, 1 | 2 | 4 | 5 | 7 | 8) {
        value.extend(route.esi.map_or([0; 10], |esi| esi.0));
    }
    if !matches!(route_type, 4 | 11) {
        value.extend(route.ethernet_tag.unwrap_or(0).to_be_bytes());
    }
    match route_type {
        2 => {
            value.push(48);
            value.extend(route.mac.map_or([0; 6], |mac| mac.0));
            put_sized(&mut value, route.address);
        }
        3 | 4 => put_sized(&mut value, route.originator),
        5 => {
            let prefix =
                route.prefix.unwrap_or(Prefix { version: IpVersion::V4, octets: [0; 16], length: 0 });
            value.push(prefix.length);
            let width = usize::from(prefix.version.bits() / 8);
            value.extend(prefix.octets.iter().take(width));
            match route.gateway {
                Some(gateway) => put_address(&mut value, gateway),
                None => value.resize(value.len() + width, 0),
            }
        }
        6..=8 | 10 => {
            put_sized(&mut value, route.source);
            put_sized(&mut value, route.group);
            put_sized(&mut value, route.originator);
            // Leave groups have a reserved field and a maximum response time before their flags.
            if route_type == 8 {
                value.extend([0; 5]);
            }
            if route_type != 10 {
                value.push(route.flags.unwrap_or(0));
            }
        }
        _ => {}
    }
    value.extend_from_slice(route.key);
    if route_type == 11 {
        put_sized(&mut value, route.originator);
    }
    value.extend_from_slice(route.labels.entries().as_flattened());
    put_framed(to, route_type, &value);
}

/// Appends an MCAST-VPN route: the fields that its type has (RFC 6514 section 4).
pub fn put_mcast_vpn(to: &mut Vec<u8>, path_id: Option<u32>, route_type: u8, route: &McastVpnRoute<'_>) {
    put_path_id(to, path_id);
    let mut value = route.key.to_vec();
    if route_type != 4 {
        value.extend(route.distinguisher.map_or([0; 8], |rd| rd.0));
    }
    if matches!(route_type, 2 | 6 | 7) {
        value.extend(route.source_as.unwrap_or(0).to_be_bytes());
    }
    if matches!(route_type, 3 | 5..=7) {
        put_sized(&mut value, route.source);
        put_sized(&mut value, route.group);
    }
    if matches!(route_type, 1 | 3 | 4) {
        route.originator.into_iter().for_each(|address| put_address(&mut value, address));
    }
    put_framed(to, route_type, &value);
}

/// A component of a flow specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowComponent {
    /// Types 1 and 2: an address within a prefix; of IPv6 without the first `offset` bits.
    Prefix {
        /// Type.
        kind: u8,
        /// The prefix, its bits standing where the address has them.
        prefix: Prefix,
        /// Bits left out.
        offset: u8,
    },
    /// All other types: terms of an operator and a value. Length and end bit of the operators are filled in.
    Terms {
        /// Type.
        kind: u8,
        /// The terms.
        terms: Vec<(u8, u64)>,
    },
}

/// Appends a flow specification, of a VPN where there is a distinguisher (RFC 8955 section 4, RFC 8956 section 3).
pub fn put_flowspec(
    to: &mut Vec<u8>,
    path_id: Option<u32>,
    distinguisher: Option<RouteDistinguisher>,
    components: &[FlowComponent],
) {
    put_path_id(to, path_id);
    let mut value: Vec<u8> = distinguisher.map(|rd| rd.0).into_iter().flatten().collect();
    for component in components {
        match component {
            FlowComponent::Prefix { kind, prefix, offset } => put_pattern(&mut value, *kind, prefix, *offset),
            FlowComponent::Terms { kind, terms } => {
                value.push(*kind);
                for (index, term) in terms.iter().enumerate() {
                    put_term(&mut value, *term, index + 1 == terms.len());
                }
            }
        }
    }
    match u8::try_from(value.len()) {
        Ok(length @ ..0xf0) => to.push(length),
        _ => {
            let length = u16::try_from(value.len()).ok().filter(|length| *length < 0x1000);
            to.extend((0xf000 | length.expect("a flow specification below 4,096 octets")).to_be_bytes());
        }
    }
    to.extend(value);
}

fn put_pattern(to: &mut Vec<u8>, kind: u8, prefix: &Prefix, offset: u8) {
    to.extend([kind, prefix.length]);
    if prefix.version == IpVersion::V6 {
        to.push(offset);
    }
    let bits = u128::from_be_bytes(prefix.octets) << (offset & 127);
    let kept = usize::from(prefix.length.saturating_sub(offset)).div_ceil(8);
    to.extend(bits.to_be_bytes().iter().take(kept));
}

fn put_term(to: &mut Vec<u8>, (operator, value): (u8, u64), is_last: bool) {
    let (code, width) = match value {
        0..0x100 => (0, 1),
        0x100..0x1_0000 => (1, 2),
        0x1_0000..0x1_0000_0000 => (2, 4),
        _ => (3, 8),
    };
    to.push(operator & 0x4f | code << 4 | u8::from(is_last) << 7);
    to.extend(value.to_be_bytes().iter().skip(8 - width));
}

/// Appends a TLV of BGP-LS, as descriptor or in the attribute (RFC 9552 section 5.1).
pub fn put_ls_tlv(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend(kind.to_be_bytes());
    to.extend(u16::try_from(value.len()).expect("a TLV of at most 65,535 octets").to_be_bytes());
    to.extend_from_slice(value);
}

/// Appends a BGP-LS NLRI, of a VPN where there is a distinguisher; `descriptors` are its TLVs (RFC 9552 section 5.2,
/// RFC 9514 section 6).
pub fn put_ls(
    to: &mut Vec<u8>,
    path_id: Option<u32>,
    kind: u16,
    distinguisher: Option<RouteDistinguisher>,
    (protocol, identifier): (u8, u64),
    descriptors: &[u8],
) {
    put_path_id(to, path_id);
    let mut value: Vec<u8> = distinguisher.map(|rd| rd.0).into_iter().flatten().collect();
    value.push(protocol);
    value.extend(identifier.to_be_bytes());
    value.extend_from_slice(descriptors);
    put_ls_tlv(to, kind, &value);
}

/// Appends the key of an SR policy (RFC 9830 section 2.1).
pub fn put_sr_policy(to: &mut Vec<u8>, path_id: Option<u32>, policy: &SrPolicy) {
    put_path_id(to, path_id);
    to.push(if policy.endpoint.is_ipv4() { 96 } else { 192 });
    to.extend(policy.distinguisher.to_be_bytes());
    to.extend(policy.color.to_be_bytes());
    put_address(to, policy.endpoint);
}

/// Appends a route target constraint: as many bits as its length says (RFC 4684 section 4).
pub fn put_route_target(to: &mut Vec<u8>, path_id: Option<u32>, constraint: &RouteTarget) {
    put_path_id(to, path_id);
    to.push(constraint.length);
    let whole = constraint.origin_as.unwrap_or(0).to_be_bytes().into_iter().chain(constraint.target.0);
    to.extend(whole.take(usize::from(constraint.length).div_ceil(8)));
}
