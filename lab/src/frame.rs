//! Ethernet frames of every shape that steering must tell apart, octet for octet as a router sends them.
//!
//! In: addresses and a payload, then tags, options, extension headers as wanted. Out: whole frames with right
//! lengths and checksums, or the fragments of one packet. It never sends anything.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FragmentHeader,
    Ipv6Header, Ipv6RawExtHeader, SingleVlanHeader, TcpHeader, UdpHeader, VlanId,
};

/// One packet in its Ethernet frame, built up step by step.
#[derive(Clone, Debug)]
pub struct Frame {
    macs: ([u8; 6], [u8; 6]),
    tags: Vec<(EtherType, u16)>,
    source: SocketAddr,
    destination: SocketAddr,
    hop_limit: u8,
    ipv4_options: Vec<u8>,
    extensions: Vec<(IpNumber, Vec<u8>)>,
    transport: Transport,
    payload: Vec<u8>,
}

/// What stands behind the network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp { sequence: u32, syn: bool },
}

impl Frame {
    /// A UDP datagram. Both addresses are of one family.
    ///
    /// # Panics
    /// When the families differ.
    #[must_use]
    pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Self {
        Self::new(source, destination, Transport::Udp, payload)
    }

    /// A TCP segment with ACK set, carrying `payload` from `sequence` on.
    ///
    /// # Panics
    /// When the families differ.
    #[must_use]
    pub fn tcp(source: SocketAddr, destination: SocketAddr, sequence: u32, payload: &[u8]) -> Self {
        Self::new(source, destination, Transport::Tcp { sequence, syn: false }, payload)
    }

    /// A TCP segment that asks for a connection.
    ///
    /// # Panics
    /// When the families differ.
    #[must_use]
    pub fn syn(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::new(source, destination, Transport::Tcp { sequence: 0, syn: true }, &[])
    }

    fn new(source: SocketAddr, destination: SocketAddr, transport: Transport, payload: &[u8]) -> Self {
        assert_eq!(source.is_ipv4(), destination.is_ipv4(), "both ends of a packet have one address family");
        Self {
            macs: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
            tags: Vec::new(),
            source,
            destination,
            hop_limit: 64,
            ipv4_options: Vec::new(),
            extensions: Vec::new(),
            transport,
            payload: payload.to_vec(),
        }
    }

    /// Source and destination MAC address.
    #[must_use]
    pub fn macs(mut self, source: [u8; 6], destination: [u8; 6]) -> Self {
        self.macs = (source, destination);
        self
    }

    /// TTL or hop limit.
    #[must_use]
    pub fn hop_limit(mut self, hops: u8) -> Self {
        self.hop_limit = hops;
        self
    }

    /// One more VLAN tag (0x8100), inside those that are there.
    #[must_use]
    pub fn tag(mut self, vlan: u16) -> Self {
        self.tags.push((EtherType::VLAN_TAGGED_FRAME, vlan));
        self
    }

    /// One more provider tag (0x88a8), inside those that are there.
    #[must_use]
    pub fn provider_tag(mut self, vlan: u16) -> Self {
        self.tags.push((EtherType::PROVIDER_BRIDGING, vlan));
        self
    }

    /// IPv4 options; a multiple of 4 octets, at most 40 (RFC 791 section 3.1).
    #[must_use]
    pub fn ipv4_options(mut self, options: &[u8]) -> Self {
        self.ipv4_options = options.to_vec();
        self
    }

    /// One more IPv6 extension header (0 hop-by-hop, 43 routing, 60 destination options, ..): `body` is what follows
    /// its first two octets, 6 + 8n octets long (RFC 8200 section 4).
    #[must_use]
    pub fn extension(mut self, number: u8, body: &[u8]) -> Self {
        self.extensions.push((IpNumber(number), body.to_vec()));
        self
    }

    /// The whole frame.
    ///
    /// # Panics
    /// When options or extension headers have a length that the header cannot say.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let transport = self.transport_octets();
        self.packet(&transport, None)
    }

    /// The frames of this packet cut into fragments of at most `room` octets of network payload each.
    ///
    /// # Panics
    /// When `room` is not a positive multiple of 8 (RFC 791, RFC 8200 section 4.5).
    #[must_use]
    pub fn fragments(&self, identification: u16, room: usize) -> Vec<Vec<u8>> {
        assert!(room > 0 && room.is_multiple_of(8), "a fragment carries a multiple of 8 octets");
        let transport = self.transport_octets();
        let pieces = transport.chunks(room).count();
        transport
            .chunks(room)
            .enumerate()
            .map(|(nth, piece)| {
                let offset = u16::try_from(nth * room / 8).expect("a packet is shorter than 64 KiB");
                self.packet(piece, Some(Piece { identification, offset, more: nth + 1 < pieces }))
            })
            .collect()
    }

    fn packet(&self, body: &[u8], piece: Option<Piece>) -> Vec<u8> {
        let network = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header::new(
                    0,
                    self.hop_limit,
                    self.protocol(),
                    source.octets(),
                    destination.octets(),
                )
                .expect("an empty payload fits");
                header.options = Ipv4Options::try_from(self.ipv4_options.as_slice())
                    .expect("options are whole words, at most 40");
                header.set_payload_len(body.len()).expect("the packet is shorter than 64 KiB");
                header.dont_fragment = piece.is_none();
                if let Some(piece) = piece {
                    header.identification = piece.identification;
                    header.fragment_offset = piece.offset();
                    header.more_fragments = piece.more;
                }
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let (first, extensions) = self.extension_octets(piece);
                let mut header = Ipv6Header {
                    next_header: first,
                    hop_limit: self.hop_limit,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                header
                    .set_payload_length(extensions.len() + body.len())
                    .expect("the packet is shorter than 64 KiB");
                let mut octets = header.to_bytes().to_vec();
                octets.extend(extensions);
                octets
            }
            _ => unreachable!("checked when the frame was begun"),
        };
        let mut octets = self.link_octets();
        octets.extend(network);
        octets.extend_from_slice(body);
        octets
    }

    fn link_octets(&self) -> Vec<u8> {
        let network = if self.source.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
        let mut types: Vec<EtherType> = self.tags.iter().map(|(tag, _)| *tag).collect();
        types.push(network);
        let (source, destination) = self.macs;
        let mut octets = Ethernet2Header { source, destination, ether_type: types[0] }.to_bytes().to_vec();
        for ((_, vlan), ether_type) in self.tags.iter().zip(types.iter().skip(1)) {
            let vlan_id = VlanId::try_new(*vlan).expect("a VLAN id has 12 bits");
            octets.extend(
                SingleVlanHeader { vlan_id, ether_type: *ether_type, ..Default::default() }.to_bytes(),
            );
        }
        octets
    }

    /// The first header's number and the octets of all extension headers; a fragment header comes last.
    fn extension_octets(&self, piece: Option<Piece>) -> (IpNumber, Vec<u8>) {
        let (mut next, mut octets) = (self.protocol(), Vec::new());
        if let Some(piece) = piece {
            let header =
                Ipv6FragmentHeader::new(next, piece.offset(), piece.more, u32::from(piece.identification));
            octets.extend(header.to_bytes());
            next = IpNumber::IPV6_FRAGMENTATION_HEADER;
        }
        for (number, body) in self.extensions.iter().rev() {
            let header =
                Ipv6RawExtHeader::new_raw(next, body).expect("an extension header has 6 + 8n octets of body");
            octets.splice(0..0, header.to_bytes());
            next = *number;
        }
        (next, octets)
    }

    const fn protocol(&self) -> IpNumber {
        match self.transport {
            Transport::Udp => IpNumber::UDP,
            Transport::Tcp { .. } => IpNumber::TCP,
        }
    }

    /// Transport header with its checksum, and the payload.
    fn transport_octets(&self) -> Vec<u8> {
        let (from, to) = (self.source.port(), self.destination.port());
        let mut octets = match self.transport {
            Transport::Udp => {
                let header = match (self.source.ip(), self.destination.ip()) {
                    (IpAddr::V4(source), IpAddr::V4(destination)) => {
                        let pseudo = Ipv4Header {
                            source: source.octets(),
                            destination: destination.octets(),
                            ..Default::default()
                        };
                        UdpHeader::with_ipv4_checksum(from, to, &pseudo, &self.payload)
                    }
                    (IpAddr::V6(source), IpAddr::V6(destination)) => {
                        let pseudo = Ipv6Header {
                            source: source.octets(),
                            destination: destination.octets(),
                            ..Default::default()
                        };
                        UdpHeader::with_ipv6_checksum(from, to, &pseudo, &self.payload)
                    }
                    _ => unreachable!("checked when the frame was begun"),
                };
                header.expect("the datagram is shorter than 64 KiB").to_bytes().to_vec()
            }
            Transport::Tcp { sequence, syn } => {
                let mut header = TcpHeader::new(from, to, sequence, 0xffff);
                header.syn = syn;
                header.ack = !syn;
                let checksum = match (self.source.ip(), self.destination.ip()) {
                    (IpAddr::V4(source), IpAddr::V4(destination)) => {
                        header.calc_checksum_ipv4_raw(source.octets(), destination.octets(), &self.payload)
                    }
                    (IpAddr::V6(source), IpAddr::V6(destination)) => {
                        header.calc_checksum_ipv6_raw(source.octets(), destination.octets(), &self.payload)
                    }
                    _ => unreachable!("checked when the frame was begun"),
                };
                header.checksum = checksum.expect("the segment is shorter than 64 KiB");
                header.to_bytes().to_vec()
            }
        };
        octets.extend_from_slice(&self.payload);
        octets
    }
}

/// Where a fragment lies in its packet; the offset in units of 8 octets.
#[derive(Clone, Copy)]
struct Piece {
    identification: u16,
    offset: u16,
    more: bool,
}

impl Piece {
    fn offset(self) -> IpFragOffset {
        IpFragOffset::try_new(self.offset).expect("an offset has 13 bits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::defrag::IpDefragBuf;
    use etherparse::{PacketHeaders, SlicedPacket, TransportSlice};

    fn v4() -> (SocketAddr, SocketAddr) {
        ("192.0.2.1:40000".parse().unwrap(), "192.0.2.2:4739".parse().unwrap())
    }

    fn v6() -> (SocketAddr, SocketAddr) {
        ("[2001:db8::1]:40000".parse().unwrap(), "[2001:db8::2]:4739".parse().unwrap())
    }

    /// A parser that shares no code with the builder above finds what was asked for, and right checksums.
    fn udp_payload(octets: &[u8]) -> Vec<u8> {
        let headers = PacketHeaders::from_ethernet_slice(octets).unwrap();
        let udp = headers.transport.as_ref().and_then(|t| t.clone().udp()).unwrap();
        let payload = headers.payload.slice().to_vec();
        let wanted = match headers.net.unwrap() {
            etherparse::NetHeaders::Ipv4(ip, _) => {
                assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                udp.calc_checksum_ipv4(&ip, &payload).unwrap()
            }
            etherparse::NetHeaders::Ipv6(ip, _) => udp.calc_checksum_ipv6(&ip, &payload).unwrap(),
            etherparse::NetHeaders::Arp(_) => panic!("no ARP was asked for"),
        };
        assert_eq!(udp.checksum, wanted);
        assert_eq!(udp.destination_port, 4739);
        payload
    }

    #[test]
    fn plain_tagged_and_optioned_datagrams_carry_their_payload() {
        let (from4, to4) = v4();
        let (from6, to6) = v6();
        let plain = Frame::udp(from4, to4, b"flow");
        assert_eq!(plain.octets().len(), 14 + 20 + 8 + 4);
        assert_eq!(udp_payload(&plain.octets()), b"flow");
        assert_eq!(udp_payload(&plain.clone().ipv4_options(&[1; 8]).octets()), b"flow");
        let tagged = plain.provider_tag(100).tag(7).octets();
        assert_eq!(tagged.get(12..22), Some(&[0x88, 0xa8, 0, 100, 0x81, 0, 0, 7, 8, 0][..]));
        assert_eq!(udp_payload(&tagged), b"flow");
        let extended = Frame::udp(from6, to6, b"flow")
            .extension(0, &[1, 4, 0, 0, 0, 0])
            .extension(60, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(extended.octets().len(), 14 + 40 + 8 + 16 + 8 + 4);
        assert_eq!(udp_payload(&extended.octets()), b"flow");
    }

    #[test]
    fn segments_parse_with_their_flags() {
        let (from, to) = v6();
        let octets = Frame::tcp(from, to, 77, b"bmp").octets();
        let packet = SlicedPacket::from_ethernet(&octets).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("not TCP") };
        assert_eq!(
            (tcp.sequence_number(), tcp.syn(), tcp.ack(), tcp.payload()),
            (77, false, true, &b"bmp"[..])
        );
        assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv6(octets_of(from), octets_of(to)).unwrap());
        let octets = Frame::syn(from, to).octets();
        let Some(TransportSlice::Tcp(tcp)) = SlicedPacket::from_ethernet(&octets).unwrap().transport else {
            panic!("not TCP")
        };
        assert!(tcp.syn() && !tcp.ack());
    }

    fn octets_of(address: SocketAddr) -> [u8; 16] {
        let IpAddr::V6(ip) = address.ip() else { panic!("not IPv6") };
        ip.octets()
    }

    #[test]
    fn fragments_join_to_the_whole_packet() {
        for (from, to) in [v4(), v6()] {
            let frame = Frame::udp(from, to, &[9; 100]);
            let pieces = frame.fragments(0x1234, 64);
            assert_eq!(pieces.len(), 2);
            let mut whole = IpDefragBuf::new(IpNumber::UDP, Vec::new(), Vec::new());
            for octets in &pieces {
                let packet = SlicedPacket::from_ethernet(octets).unwrap();
                let payload = packet.ip_payload().unwrap();
                assert!(payload.fragmented);
                let (offset, more) = match packet.net.as_ref().unwrap() {
                    etherparse::NetSlice::Ipv4(ip) => {
                        (ip.header().fragments_offset(), ip.header().more_fragments())
                    }
                    etherparse::NetSlice::Ipv6(_) => {
                        let header = Ipv6FragmentHeader::from_slice(&octets[14 + 40..]).unwrap().0;
                        (header.fragment_offset, header.more_fragments)
                    }
                    etherparse::NetSlice::Arp(_) => panic!("no ARP was asked for"),
                };
                whole.add(offset, more, payload.payload).unwrap();
            }
            assert!(whole.is_complete());
            assert_eq!(whole.take_bufs().0.get(8..), Some(&[9; 100][..]));
        }
    }
}
