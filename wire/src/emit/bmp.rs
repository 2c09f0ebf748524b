//! Peers and BGP messages in, BMP messages out: all seven types. Writes what it is told and checks nothing but that
//! a length fits its field.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use crate::bmp::PeerHeader;
use crate::bmp::initiation::{REASON, STRING, SYS_DESCR, SYS_NAME};

/// A TLV to be written: type and value.
pub type Tlv<'a> = (u16, &'a [u8]);

/// A whole BMP message of any version and type.
///
/// # Panics
/// If it would be longer than 2^32 octets.
#[must_use]
pub fn message(version: u8, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = 6 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut octets = Vec::with_capacity(length);
    octets.push(version);
    octets.extend(u32::try_from(length).expect("a message of at most 4 GiB").to_be_bytes());
    octets.push(kind);
    parts.iter().for_each(|part| octets.extend_from_slice(part));
    octets
}

/// A peer of the default table: Global Instance, pre-policy Adj-RIB-In, flag V by the address, time unknown. Other
/// peers are made by changing its fields.
#[must_use]
pub fn peer(address: IpAddr, autonomous_system: u32, bgp_id: Ipv4Addr) -> PeerHeader {
    let (flags, address_octets) = match address {
        IpAddr::V4(_) => (0, address_octets(address)),
        IpAddr::V6(_) => (0x80, address_octets(address)),
    };
    PeerHeader {
        kind: 0,
        flags,
        distinguisher: [0; 8],
        address_octets,
        autonomous_system,
        bgp_id,
        seconds: 0,
        microseconds: 0,
    }
}

/// The octets of a per-peer header.
#[must_use]
pub fn peer_header(peer: &PeerHeader) -> Vec<u8> {
    let mut octets = Vec::with_capacity(42);
    octets.extend([peer.kind, peer.flags]);
    octets.extend(peer.distinguisher);
    octets.extend(peer.address_octets);
    octets.extend(peer.autonomous_system.to_be_bytes());
    octets.extend(peer.bgp_id.octets());
    octets.extend(peer.seconds.to_be_bytes());
    octets.extend(peer.microseconds.to_be_bytes());
    octets
}

/// TLVs in order.
///
/// # Panics
/// If a value is longer than 65,535 octets.
#[must_use]
pub fn tlvs(tlvs: &[Tlv<'_>]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (kind, value) in tlvs {
        octets.extend(kind.to_be_bytes());
        octets.extend(u16::try_from(value.len()).expect("a TLV of at most 65,535 octets").to_be_bytes());
        octets.extend_from_slice(value);
    }
    octets
}

/// Initiation with the router's name and description.
#[must_use]
pub fn initiation(sys_name: &str, sys_descr: &str) -> Vec<u8> {
    message(3, 4, &[&tlvs(&[(SYS_DESCR, sys_descr.as_bytes()), (SYS_NAME, sys_name.as_bytes())])])
}

/// Termination with a reason and words for it.
#[must_use]
pub fn termination(reason: u16, text: &str) -> Vec<u8> {
    message(3, 5, &[&tlvs(&[(STRING, text.as_bytes()), (REASON, &reason.to_be_bytes())])])
}

/// Peer Up: the router's address and port, the peer's port, both OPENs as whole BGP messages, TLVs.
#[must_use]
pub fn peer_up(
    peer: &PeerHeader,
    local: (IpAddr, u16),
    remote_port: u16,
    sent_open: &[u8],
    received_open: &[u8],
    information: &[Tlv<'_>],
) -> Vec<u8> {
    let (local_address, local_port) = local;
    message(
        3,
        3,
        &[
            &peer_header(peer),
            &address_octets(local_address),
            &local_port.to_be_bytes(),
            &remote_port.to_be_bytes(),
            sent_open,
            received_open,
            &tlvs(information),
        ],
    )
}

/// Peer Down: the reason's number and what comes with it (a NOTIFICATION, an event, TLVs or nothing).
#[must_use]
pub fn peer_down(peer: &PeerHeader, reason: u8, data: &[u8]) -> Vec<u8> {
    message(3, 2, &[&peer_header(peer), &[reason], data])
}

/// Route Monitoring with one UPDATE as a whole BGP message.
#[must_use]
pub fn route_monitoring(peer: &PeerHeader, update: &[u8]) -> Vec<u8> {
    message(3, 0, &[&peer_header(peer), update])
}

/// An indexed TLV to be written: type, index (0x8000 names a group) and value.
pub type IndexedTlv<'a> = (u16, u16, &'a [u8]);

/// Route Monitoring of version 4: only TLVs, one of which holds the UPDATE.
///
/// # Panics
/// If a value is longer than 65,535 octets.
#[must_use]
pub fn route_monitoring_v4(peer: &PeerHeader, indexed: &[IndexedTlv<'_>]) -> Vec<u8> {
    let mut octets = peer_header(peer);
    for (kind, index, value) in indexed {
        octets.extend(kind.to_be_bytes());
        octets.extend(u16::try_from(value.len()).expect("a TLV of at most 65,535 octets").to_be_bytes());
        octets.extend(index.to_be_bytes());
        octets.extend_from_slice(value);
    }
    message(4, 0, &[&octets])
}

/// Statistics Report.
#[must_use]
pub fn statistics(peer: &PeerHeader, statistics: &[Tlv<'_>]) -> Vec<u8> {
    let count = u32::try_from(statistics.len()).unwrap_or(u32::MAX).to_be_bytes();
    message(3, 1, &[&peer_header(peer), &count, &tlvs(statistics)])
}

/// Route Mirroring.
#[must_use]
pub fn mirroring(peer: &PeerHeader, mirrored: &[Tlv<'_>]) -> Vec<u8> {
    message(3, 6, &[&peer_header(peer), &tlvs(mirrored)])
}

/// BMP's 16-octet form of an address: IPv4 in the last 4.
fn address_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()).to_be_bytes(),
        IpAddr::V6(address) => address.octets(),
    }
}
