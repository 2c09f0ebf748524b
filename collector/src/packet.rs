//! A frame of a ring or a capture becomes the datagram in it, or a [`PacketEnd`]: AF_XDP bypasses the stack,
//! so the IPv4 header, the UDP length and the checksums are verified here.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use dataplane_common::walk::{Headers, UDP};
use dataplane_common::{Slice, walk};

use crate::ledger::PacketEnd;

/// Octets of a UDP header (RFC 768).
const UDP_HEADER: usize = 8;

/// A UDP datagram inside a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source address and port.
    pub from: SocketAddr,
    /// Destination address and port.
    pub to: SocketAddr,
    /// Payload without the UDP header.
    pub payload: &'a [u8],
}

/// Finds and verifies the datagram in an Ethernet frame.
///
/// # Errors
/// The end of the packet, when it holds no whole, valid UDP datagram.
pub fn datagram(frame: &[u8]) -> Result<Datagram<'_>, PacketEnd> {
    let headers = walk(&Slice(frame))?;
    if headers.protocol != UDP {
        return Err(PacketEnd::Stream);
    }
    // What the IP header counts; octets behind it are padding of the frame (60 octets at least).
    let packet = between(frame, headers.network, headers.end()).ok_or(PacketEnd::Truncated)?;
    let (header, segment) =
        packet.split_at_checked(headers.header_length() as usize).ok_or(PacketEnd::Truncated)?;
    if !headers.is_ipv6 && fold(sum(header)) != 0xffff {
        return Err(PacketEnd::BadIpChecksum);
    }
    let payload = verify_udp(&headers, segment)?;
    Ok(Datagram {
        from: socket(headers.source, headers.source_port),
        to: socket(headers.destination, headers.destination_port),
        payload,
    })
}

/// The payload of a UDP datagram whose length and checksum are right.
///
/// ```text
/// +-------------------------------+-------------------------------+
/// |          source port          |       destination port        |   RFC 768
/// |     length, header included   |    checksum; 0: not computed  |
/// +-------------------------------+-------------------------------+
/// ```
fn verify_udp<'a>(headers: &Headers, segment: &'a [u8]) -> Result<&'a [u8], PacketEnd> {
    let Some(&[_, _, _, _, length_high, length_low, sum_high, sum_low]) = segment.first_chunk::<UDP_HEADER>()
    else {
        return Err(PacketEnd::Truncated);
    };
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    // Shorter than IP's payload is legal (the Linux stack trims it); longer is not.
    let segment = segment.get(..length).ok_or(PacketEnd::BadUdpLength)?;
    let payload = segment.get(UDP_HEADER..).ok_or(PacketEnd::BadUdpLength)?;
    if [sum_high, sum_low] == [0, 0] {
        // No checksum over IPv4 (RFC 768); over IPv6 forbidden for all but tunnels (RFC 8200 8.1, RFC 6935).
        return if headers.is_ipv6 { Err(PacketEnd::BadUdpChecksum) } else { Ok(payload) };
    }
    // The ten zero octets and the ffff of a mapped IPv4 address sum to 0xffff, which is zero in one's
    // complement: both families share these lines.
    let pseudo =
        sum(&headers.source) + sum(&headers.destination) + big_endian(UDP.into()) + big_endian(length as u64);
    if fold(pseudo + sum(segment)) == 0xffff { Ok(payload) } else { Err(PacketEnd::BadUdpChecksum) }
}

/// A 16-bit number as its two octets count in [`sum`].
fn big_endian(value: u64) -> u64 {
    u64::from(u16::try_from(value).unwrap_or(u16::MAX).to_be())
}

/// Sum of the octets as native-endian 16-bit words, not yet folded (RFC 1071: the one's complement sum does
/// not depend on the byte order it is computed in). Four octets at a time into 64 bits: 2^32 words fit.
fn sum(octets: &[u8]) -> u64 {
    let (words, tail) = octets.as_chunks::<4>();
    let whole: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    whole + u64::from(u32::from_ne_bytes(last))
}

/// The 16-bit one's complement sum.
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

fn between(octets: &[u8], start: u32, end: u32) -> Option<&[u8]> {
    octets.get(start as usize..end as usize)
}

fn socket(address: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)).to_canonical(), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn frame4(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
        let mut frame = Vec::new();
        builder.udp(5000, 4739).write(&mut frame, payload).unwrap();
        frame
    }

    fn frame6(payload: &[u8]) -> Vec<u8> {
        let [mut from, mut to] = [[0x20; 16], [0x21; 16]];
        from[15] = 1;
        to[15] = 2;
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(from, to, 64);
        let mut frame = Vec::new();
        builder.udp(5000, 4739).write(&mut frame, payload).unwrap();
        frame
    }

    const IP: usize = 14;
    const UDP4: usize = IP + 20;
    const UDP6: usize = IP + 40;

    proptest! {
        #[test]
        fn whole_datagrams_are_found(payload in proptest::collection::vec(any::<u8>(), 0..1600), padding in 0..40_usize) {
            for mut frame in [frame4(&payload), frame6(&payload)] {
                frame.resize(frame.len() + padding, 0xAA);
                let datagram = datagram(&frame).unwrap();
                prop_assert_eq!(datagram.payload, &payload[..]);
                prop_assert_eq!((datagram.from.port(), datagram.to.port()), (5000, 4739));
            }
        }

        #[test]
        fn any_flipped_bit_of_the_datagram_is_noticed(payload in proptest::collection::vec(any::<u8>(), 1..64), bit in any::<prop::sample::Index>()) {
            for (frame, from) in [(frame4(&payload), IP), (frame6(&payload), UDP6)] {
                let mut flipped = frame.clone();
                let bit = bit.index((frame.len() - from) * 8);
                flipped[from + bit / 8] ^= 1 << (bit % 8);
                // The only flips without consequence are those that make a zero checksum, which needs a checksum of one bit.
                let checksum = u16::from_be_bytes([flipped[frame.len() - payload.len() - 2], flipped[frame.len() - payload.len() - 1]]);
                prop_assume!(checksum != 0);
                prop_assert!(datagram(&flipped).is_err());
            }
        }

        #[test]
        fn every_truncation_ends_named(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            for frame in [frame4(&payload), frame6(&payload)] {
                for length in 0..frame.len() {
                    prop_assert_eq!(datagram(&frame[..length]), Err(PacketEnd::Truncated));
                }
            }
        }
    }

    #[test]
    fn addresses_are_of_their_family() {
        let frame = frame4(b"x");
        assert_eq!(datagram(&frame).unwrap().from.to_string(), "192.0.2.1:5000");
        let frame = frame6(b"x");
        assert!(datagram(&frame).unwrap().from.is_ipv6());
    }

    #[test]
    fn checksum_zero_means_none_over_ipv4_only() {
        let mut four = frame4(b"abc");
        four[UDP4 + 6..UDP4 + 8].fill(0);
        four[UDP4 + 8] = b'z';
        assert_eq!(datagram(&four).unwrap().payload, b"zbc");
        let mut six = frame6(b"abc");
        six[UDP6 + 6..UDP6 + 8].fill(0);
        assert_eq!(datagram(&six), Err(PacketEnd::BadUdpChecksum));
    }

    #[test]
    fn lengths_that_contradict_each_other() {
        let mut frame = frame4(b"abcd");
        frame[UDP4 + 5] = 8 + 5; // one more than IP holds
        assert_eq!(datagram(&frame), Err(PacketEnd::BadUdpLength));
        frame[UDP4 + 5] = 7; // less than its own header
        assert_eq!(datagram(&frame), Err(PacketEnd::BadUdpLength));
    }

    #[test]
    fn the_ipv4_header_is_verified() {
        let mut frame = frame4(b"abcd");
        frame[IP + 8] = 63; // time to live, checksum not adapted
        assert_eq!(datagram(&frame), Err(PacketEnd::BadIpChecksum));
    }

    #[test]
    fn streams_and_other_frames_are_not_for_here() {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
        let mut frame = Vec::new();
        builder.tcp(5000, 1790, 1, 1024).write(&mut frame, b"x").unwrap();
        assert_eq!(datagram(&frame), Err(PacketEnd::Stream));
        assert_eq!(datagram(&[]), Err(PacketEnd::Truncated));
    }
}
