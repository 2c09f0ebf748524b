//! What a router does to a packet that it sends on: which may be sent on at all, the hop count, the leg of a bond.
//!
//! In: IP headers as 16-bit words of the frame, in the order of memory on a little-endian machine. Out: a
//! [`PacketEnd`] for what the stack has to see, or the header's new words. Reads and writes no frame.

use crate::fib::{FibLookup, INET, INET6};
use crate::ledger::PacketEnd;
use crate::map::forward::{POLICY_LAYER2, POLICY_LAYER23};

/// An IPv4 header without options.
pub type Ipv4Words = [u16; 10];
/// An IPv6 header.
pub type Ipv6Words = [u16; 20];

/// One octet's position in IPv4: word 4 is TTL, then protocol; word 5 the checksum (RFC 791 section 3.1).
const TTL_WORD: usize = 4;
const CHECKSUM_WORD: usize = 5;

/// Whether a router may send this IPv4 packet on, of which `available` octets are in the frame; its fields for
/// the FIB. The order is that of RFC 1812 section 5.2.
///
/// # Errors
/// The [`PacketEnd`] for which the stack takes it.
#[inline(always)]
pub fn ipv4(words: &Ipv4Words, available: u32, lookup: &mut FibLookup) -> Result<(), PacketEnd> {
    let [first, length, _, _, hops, _, s0, s1, d0, d1] = *words;
    let total = u16::from_be(length);
    if first as u8 != 0x45 {
        let is_longer = first as u8 >> 4 == 4 && first as u8 & 0x0f > 5;
        return Err(if is_longer { PacketEnd::IpOptions } else { PacketEnd::BadIpHeader });
    }
    if total < 20 {
        return Err(PacketEnd::BadIpHeader);
    }
    if u32::from(total) > available {
        return Err(PacketEnd::Truncated);
    }
    if sum(words) != 0xffff {
        return Err(PacketEnd::BadIpChecksum);
    }
    if is_martian(s0.to_le_bytes()) {
        return Err(PacketEnd::Martian);
    }
    if hops as u8 <= 1 {
        return Err(PacketEnd::HopLimit);
    }
    lookup.family = INET;
    lookup.protocol = (hops >> 8) as u8;
    lookup.length = total;
    lookup.flow = u32::from(first >> 8);
    lookup.source[0] = u32::from(s0) | u32::from(s1) << 16;
    lookup.destination[0] = u32::from(d0) | u32::from(d1) << 16;
    Ok(())
}

/// [`ipv4`] for IPv6 (RFC 8200): hop-by-hop options, and addresses that do not leave their link, are the stack's.
///
/// # Errors
/// The [`PacketEnd`] for which the stack takes it.
#[inline(always)]
pub fn ipv6(words: &Ipv6Words, available: u32, lookup: &mut FibLookup) -> Result<(), PacketEnd> {
    let total = u32::from(u16::from_be(words[2])) + 40;
    let (next, hops) = (words[3] as u8, (words[3] >> 8) as u8);
    if words[0] as u8 >> 4 != 6 {
        return Err(PacketEnd::BadIpHeader);
    }
    if total > available {
        return Err(PacketEnd::Truncated);
    }
    if next == 0 {
        return Err(PacketEnd::HopByHop);
    }
    let word = |at: usize| u32::from(words[at]) | u32::from(words[at + 1]) << 16;
    let source = [word(4), word(6), word(8), word(10)];
    let destination = [word(12), word(14), word(16), word(18)];
    // Group, unspecified and loopback sources are nobody's (RFC 4291 sections 2.5.2, 2.5.3, 2.7).
    if source[0] as u8 == 0xff || is_host_only(source) || is_host_only(destination) {
        return Err(PacketEnd::Martian);
    }
    if is_link_local(source[0]) || is_link_local(destination[0]) {
        return Err(PacketEnd::LinkScope);
    }
    if hops <= 1 {
        return Err(PacketEnd::HopLimit);
    }
    let Ok(length) = u16::try_from(total) else {
        return Err(PacketEnd::FragmentationNeeded);
    };
    lookup.family = INET6;
    lookup.protocol = next;
    lookup.length = length;
    lookup.flow = word(0) & u32::from_be(0x0fff_ffff);
    lookup.source = source;
    lookup.destination = destination;
    Ok(())
}

/// TTL - 1 and the checksum that goes with it, by RFC 1624 equation 3: (TTL and protocol, checksum).
#[must_use]
#[inline(always)]
pub const fn ipv4_hop(words: &Ipv4Words) -> (u16, u16) {
    // TTL is the first octet of its word: the word falls by 0x0100 in network order, by 1 in memory order.
    let checksum = words[CHECKSUM_WORD] as u32 + 1;
    (words[TTL_WORD].wrapping_sub(1), (checksum + (checksum >= 0xffff) as u32) as u16)
}

/// Next header and hop limit - 1.
#[must_use]
#[inline(always)]
pub const fn ipv6_hop(words: &Ipv6Words) -> u16 {
    words[3].wrapping_sub(0x0100)
}

/// One's complement sum of a whole header: 0xffff when its checksum is right (RFC 1071).
#[inline(always)]
const fn sum(words: &Ipv4Words) -> u32 {
    let [a, b, c, d, e, f, g, h, i, j] = *words;
    let sum = a as u32 + b as u32 + c as u32 + d as u32 + e as u32;
    let sum = sum + f as u32 + g as u32 + h as u32 + i as u32 + j as u32;
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

/// 0/8, 127/8, 224/4 and 240/4 are no source that a router sends on (RFC 1812 section 5.3.7); the kernel takes
/// 240/4 but for the broadcast address, and so does the stack when it gets it.
#[inline(always)]
const fn is_martian([first, _]: [u8; 2]) -> bool {
    first == 0 || first == 127 || first >= 224
}

#[inline(always)]
const fn is_link_local(first: u32) -> bool {
    first.to_be() >> 22 == 0xfe80_0000_u32 >> 22
}

/// `::` and `::1`.
#[inline(always)]
const fn is_host_only([a, b, c, d]: [u32; 4]) -> bool {
    a | b | c == 0 && d.to_be() <= 1
}

/// Which of a bond's legs, before the remainder by their number: `bond_xmit_hash` of the kernel's
/// `drivers/net/bonding/bond_main.c`. `macs` is the frame's first 12 octets, `ports` the first four of a UDP or
/// TCP header as in memory, 0 for what has none.
#[must_use]
#[inline(always)]
pub const fn bond_hash(policy: u8, macs: &[u16; 6], ether_type: u16, ip: &Addresses, ports: u32) -> u32 {
    let ethernet = ((macs[2] ^ macs[5]) >> 8) as u32 ^ ether_type as u32;
    if policy == POLICY_LAYER2 {
        return ethernet;
    }
    let mut hash = if policy == POLICY_LAYER23 { ethernet } else { ports };
    hash ^= ip.fold();
    hash ^= hash >> 16;
    hash ^= hash >> 8;
    if policy == POLICY_LAYER23 { hash } else { hash >> 1 }
}

/// Source and destination of a packet, for [`bond_hash`].
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// As [`FibLookup::source`]; IPv4 has zeros behind its first word.
    pub source: [u32; 4],
    /// As [`FibLookup::destination`] before the look-up.
    pub destination: [u32; 4],
}

impl Addresses {
    /// `flow_get_u32_src` xor `flow_get_u32_dst`: of IPv6 `ipv6_addr_hash`, the words folded.
    const fn fold(&self) -> u32 {
        let [a, b, c, d] = self.source;
        let [e, f, g, h] = self.destination;
        a ^ b ^ c ^ d ^ e ^ f ^ g ^ h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<const N: usize>(octets: &[u8]) -> [u16; N] {
        core::array::from_fn(|at| u16::from_le_bytes([octets[2 * at], octets[2 * at + 1]]))
    }

    fn header(ttl: u8, identification: u16, source: [u8; 4]) -> [u8; 20] {
        let mut octets = [0; 20];
        octets[0] = 0x45;
        octets[1] = 0x2e;
        octets[2..4].copy_from_slice(&100_u16.to_be_bytes());
        octets[4..6].copy_from_slice(&identification.to_be_bytes());
        octets[8] = ttl;
        octets[9] = 17;
        octets[12..16].copy_from_slice(&source);
        octets[16..].copy_from_slice(&[192, 0, 2, 1]);
        let checksum = !(sum(&words(&octets)) as u16);
        octets[10..12].copy_from_slice(&checksum.to_le_bytes());
        octets
    }

    #[test]
    fn the_checksum_stays_right_for_every_header() {
        for identification in 0..=u16::MAX {
            for ttl in [2, 3, 64, 255] {
                let mut header: Ipv4Words = words(&header(ttl, identification, [198, 51, 100, 7]));
                (header[TTL_WORD], header[CHECKSUM_WORD]) = ipv4_hop(&header);
                assert_eq!(header[TTL_WORD].to_le_bytes(), [ttl - 1, 17]);
                assert_eq!(sum(&header), 0xffff, "identification {identification}, TTL {ttl}");
            }
        }
    }

    #[test]
    fn ipv4_checks_in_their_order() {
        let check = |octets: [u8; 20], available| {
            let mut lookup = FibLookup::default();
            ipv4(&words(&octets), available, &mut lookup).map(|()| lookup)
        };
        let good = header(64, 7, [198, 51, 100, 7]);
        let lookup = check(good, 100).unwrap();
        assert_eq!((lookup.family, lookup.protocol, lookup.length, lookup.flow), (INET, 17, 100, 0x2e));
        assert_eq!(lookup.source, [u32::from_le_bytes([198, 51, 100, 7]), 0, 0, 0]);
        assert_eq!(lookup.destination[0].to_le_bytes(), [192, 0, 2, 1]);
        let with = |at: usize, octet: u8| {
            let mut changed = good;
            changed[at] = octet;
            check(changed, 100).unwrap_err()
        };
        assert_eq!(with(0, 0x46), PacketEnd::IpOptions);
        assert_eq!(with(0, 0x44), PacketEnd::BadIpHeader);
        assert_eq!(with(0, 0x65), PacketEnd::BadIpHeader);
        assert_eq!(with(3, 19), PacketEnd::BadIpHeader);
        assert_eq!(with(3, 101), PacketEnd::Truncated);
        assert_eq!(with(8, 63), PacketEnd::BadIpChecksum);
        for first in [0, 127, 224, 239, 255] {
            assert_eq!(check(header(64, 7, [first, 0, 0, 1]), 100), Err(PacketEnd::Martian), "{first}");
        }
        assert_eq!(check(header(1, 7, [10, 0, 0, 1]), 100), Err(PacketEnd::HopLimit));
        assert_eq!(check(header(0, 7, [10, 0, 0, 1]), 100), Err(PacketEnd::HopLimit));
        assert!(check(header(2, 7, [10, 0, 0, 1]), 100).is_ok());
    }

    fn header6(next: u8, hops: u8, source: [u8; 16], destination: [u8; 16]) -> [u8; 40] {
        let mut octets = [0; 40];
        octets[..8].copy_from_slice(&[0x6a, 0xbc, 0xde, 0xf0, 0, 60, next, hops]);
        octets[8..24].copy_from_slice(&source);
        octets[24..].copy_from_slice(&destination);
        octets
    }

    #[test]
    fn ipv6_checks_in_their_order() {
        let address = |first: u8, second: u8, last: u8| {
            let mut octets = [0; 16];
            (octets[0], octets[1], octets[15]) = (first, second, last);
            octets
        };
        let (here, there) = (address(0x20, 1, 1), address(0x20, 1, 2));
        let check = |octets: [u8; 40], available| {
            let mut lookup = FibLookup::default();
            ipv6(&words(&octets), available, &mut lookup).map(|()| lookup)
        };
        let lookup = check(header6(17, 64, here, there), 100).unwrap();
        assert_eq!((lookup.family, lookup.protocol, lookup.length), (INET6, 17, 100));
        assert_eq!(lookup.flow.to_le_bytes(), [0x0a, 0xbc, 0xde, 0xf0]);
        assert_eq!(lookup.source.map(u32::to_le_bytes).concat(), here);
        assert_eq!(lookup.destination.map(u32::to_le_bytes).concat(), there);
        assert_eq!(check(header6(17, 64, here, there), 99), Err(PacketEnd::Truncated));
        assert_eq!(check(header6(0, 64, here, there), 100), Err(PacketEnd::HopByHop));
        assert_eq!(check(header6(17, 1, here, there), 100), Err(PacketEnd::HopLimit));
        for source in [address(0xff, 2, 1), address(0, 0, 0), address(0, 0, 1)] {
            assert_eq!(check(header6(17, 64, source, there), 100), Err(PacketEnd::Martian));
        }
        assert_eq!(check(header6(17, 64, here, address(0, 0, 1)), 100), Err(PacketEnd::Martian));
        for local in [address(0xfe, 0x80, 1), address(0xfe, 0xbf, 1)] {
            assert_eq!(check(header6(17, 64, local, there), 100), Err(PacketEnd::LinkScope));
            assert_eq!(check(header6(17, 64, here, local), 100), Err(PacketEnd::LinkScope));
        }
        assert!(check(header6(17, 64, address(0xfe, 0xc0, 1), there), 100).is_ok());
        let mut seven = header6(17, 64, here, there);
        seven[0] = 0x70;
        assert_eq!(check(seven, 100), Err(PacketEnd::BadIpHeader));
        let hopped = ipv6_hop(&words(&header6(17, 64, here, there)));
        assert_eq!(hopped.to_le_bytes(), [17, 63]);
    }

    #[test]
    fn the_hash_is_the_bonding_drivers() {
        // Worked by hand from the driver's lines: MACs end in 0x01 and 0x02, IPv4 10.0.0.1 to 10.0.1.2.
        let macs = [0, 0, 0x0100, 0, 0, 0x0200];
        let ip = Addresses {
            source: [u32::from_le_bytes([10, 0, 0, 1]), 0, 0, 0],
            destination: [u32::from_le_bytes([10, 0, 1, 2]), 0, 0, 0],
        };
        assert_eq!(bond_hash(POLICY_LAYER2, &macs, 0x0800, &ip, 0), 0x0803);
        // 0x0803 ^ 0x03010000 = 0x03010803; ^ >>16 = 0x03010b02; ^ >>8 = 0x03020a09
        assert_eq!(bond_hash(POLICY_LAYER23, &macs, 0x0800, &ip, 0), 0x0302_0a09);
        // Ports 1000 and 2000: 0xd007e803 ^ 0x03010000 = 0xd306e803; -> 0xd3063b05 -> 0xd3d53d3e; >> 1
        let ports = u32::from_le_bytes([0x03, 0xe8, 0x07, 0xd0]);
        assert_eq!(bond_hash(3, &macs, 0x0800, &ip, ports), {
            let mut hash = ports ^ 0x0301_0000;
            hash ^= hash >> 16;
            hash ^= hash >> 8;
            hash >> 1
        });
    }
}
