//! A captured packet -> the UDP datagram, TCP segment or fragment in it. Lenient: captures are taken before
//! checksums are filled in and may be cut short, so only what must be there is asked for.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TcpSlice, UdpSlice, ip_number};
use pcap_parser::Linktype;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// A UDP datagram.
    Datagram {
        /// Sender.
        from: SocketAddr,
        /// Receiver.
        to: SocketAddr,
        /// Payload as far as it was captured.
        payload: &'a [u8],
    },
    /// A TCP segment.
    Segment {
        /// Sender.
        from: SocketAddr,
        /// Receiver.
        to: SocketAddr,
        /// The segment.
        segment: Segment<'a>,
    },
    /// A part of a packet, to be put together.
    Fragment {
        /// Which packet it belongs to.
        of: Whole,
        /// Octet offset of this part.
        offset: usize,
        /// Whether more parts follow behind it.
        more: bool,
        /// The part.
        payload: &'a [u8],
    },
    /// Something that is neither.
    Other,
}

/// A TCP segment's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sequence number of the first octet.
    pub sequence: u32,
    /// SYN: the stream begins; the first octet of data has the next number.
    pub syn: bool,
    /// FIN: the stream ends behind this segment.
    pub fin: bool,
    /// RST: the stream ends now.
    pub rst: bool,
    /// Data.
    pub payload: &'a [u8],
}

/// Names a fragmented packet (RFC 791 3.2, RFC 8200 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Whole {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Identification.
    pub identification: u32,
    /// Protocol of the payload.
    pub protocol: u8,
}

/// Looks into a captured packet.
#[must_use]
pub fn dissect(link: Linktype, octets: &[u8]) -> Carried<'_> {
    // Link types: Ethernet 1, raw IP 12/101/228/229, loopback 0/108, Linux cooked 113 and 276.
    let sliced = match link.0 {
        1 => LaxSlicedPacket::from_ethernet(octets).ok(),
        12 | 101 | 228 | 229 => LaxSlicedPacket::from_ip(octets).ok(),
        0 | 108 => octets.get(4..).and_then(|rest| LaxSlicedPacket::from_ip(rest).ok()),
        113 => cooked(octets, 14, 16),
        276 => cooked(octets, 0, 20),
        _ => None,
    };
    let Some(net) = sliced.and_then(|sliced| sliced.net) else { return Carried::Other };
    match net {
        LaxNetSlice::Ipv4(packet) => {
            let header = packet.header();
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            let payload = packet.payload();
            if payload.fragmented {
                return Carried::Fragment {
                    of: Whole {
                        source,
                        destination,
                        identification: header.identification().into(),
                        protocol: payload.ip_number.0,
                    },
                    offset: usize::from(header.fragments_offset().value()) * 8,
                    more: header.more_fragments(),
                    payload: payload.payload,
                };
            }
            carried(source, destination, payload.ip_number, payload.payload)
        }
        LaxNetSlice::Ipv6(packet) => {
            let header = packet.header();
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            let payload = packet.payload();
            let extensions = packet.extensions();
            let fragment = extensions
                .first_header()
                .filter(|_| payload.fragmented)
                .and_then(|first| ipv6_fragment(first.0, extensions.slice()));
            match fragment {
                Some((offset, more, identification)) => Carried::Fragment {
                    of: Whole { source, destination, identification, protocol: payload.ip_number.0 },
                    offset,
                    more,
                    payload: payload.payload,
                },
                None if payload.fragmented => Carried::Other,
                None => carried(source, destination, payload.ip_number, payload.payload),
            }
        }
        LaxNetSlice::Arp(_) => Carried::Other,
    }
}

/// Octet offset, more-fragments flag and identification out of a chain of extension headers (RFC 8200 4.5). Walked
/// here: the library's iterator must not be given a chain that was cut short.
fn ipv6_fragment(first: u8, octets: &[u8]) -> Option<(usize, bool, u32)> {
    let (mut kind, mut rest) = (first, octets);
    loop {
        let &[next, length, ..] = rest else { return None };
        let skipped = match kind {
            0 | 43 | 60 => (usize::from(length) + 1) * 8,
            51 => (usize::from(length) + 2) * 4,
            44 => {
                let &[_, _, high, low, a, b, c, d] = rest.first_chunk::<8>()?;
                let field = u16::from_be_bytes([high, low]);
                return Some((usize::from(field & !7), field & 1 != 0, u32::from_be_bytes([a, b, c, d])));
            }
            _ => return None,
        };
        (kind, rest) = (next, rest.get(skipped..)?);
    }
}

/// Looks into the payload of a whole IP packet.
#[must_use]
pub fn carried(source: IpAddr, destination: IpAddr, protocol: IpNumber, payload: &[u8]) -> Carried<'_> {
    match protocol {
        ip_number::UDP => UdpSlice::from_slice_lax(payload).map_or(Carried::Other, |udp| Carried::Datagram {
            from: (source, udp.source_port()).into(),
            to: (destination, udp.destination_port()).into(),
            payload: udp.payload(),
        }),
        ip_number::TCP => TcpSlice::from_slice(payload).map_or(Carried::Other, |tcp| Carried::Segment {
            from: (source, tcp.source_port()).into(),
            to: (destination, tcp.destination_port()).into(),
            segment: Segment {
                sequence: tcp.sequence_number(),
                syn: tcp.syn(),
                fin: tcp.fin(),
                rst: tcp.rst(),
                payload: tcp.payload(),
            },
        }),
        _ => Carried::Other,
    }
}

fn cooked(octets: &[u8], ether_type_at: usize, header: usize) -> Option<LaxSlicedPacket<'_>> {
    let ether_type = octets.get(ether_type_at..)?.first_chunk::<2>()?;
    Some(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(*ether_type)), octets.get(header..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_header_is_found_behind_others_and_nowhere_in_a_cut_chain() {
        // Destination options of 8 octets, then a fragment at offset 24 with more to come, identification 7.
        let chain = [44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 25, 0, 0, 0, 7];
        assert_eq!(ipv6_fragment(60, &chain), Some((24, true, 7)));
        for length in 0..chain.len() {
            assert_eq!(ipv6_fragment(60, &chain[..length]), None);
        }
        assert_eq!(ipv6_fragment(17, &chain), None);
    }
}
