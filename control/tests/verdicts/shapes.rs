//! Frames of every shape, each with the end that it must have: parts of headers in, octets out.

use dataplane_common::{PacketEnd, octets_of};
use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader,
    TcpHeader, UdpHeader,
};

pub(crate) const HERE_4: [u8; 4] = [192, 0, 2, 10];
pub(crate) const HERE_6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
pub(crate) const ROUTER_4: [u8; 4] = [198, 51, 100, 7];
pub(crate) const ROUTER_6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
pub(crate) const IPFIX: u16 = 4739;
pub(crate) const BMP: u16 = 1790;
pub(crate) const RING_ROOM: u32 = 1_500;

/// Ethernet header with tags (EtherType of the tag, control information) before `ether_type`.
pub(crate) fn ethernet(tags: &[(u16, u16)], ether_type: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (kind, control) in tags {
        frame.extend(kind.to_be_bytes());
        frame.extend(control.to_be_bytes());
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(rest);
    frame
}

pub(crate) fn udp(port: u16, payload: usize) -> Vec<u8> {
    let mut octets = UdpHeader::without_ipv4_checksum(40_000, port, payload).unwrap().to_bytes().to_vec();
    octets.resize(octets.len() + payload, 0xa5);
    octets
}

fn tcp(port: u16) -> Vec<u8> {
    TcpHeader::new(40_000, port, 1, 1_000).to_bytes().to_vec()
}

pub(crate) fn ipv4_with(protocol: IpNumber, rest: &[u8], change: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let mut header = Ipv4Header::new(0, 64, protocol, ROUTER_4, HERE_4).unwrap();
    change(&mut header);
    header.set_payload_len(rest.len()).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let mut octets = header.to_bytes().to_vec();
    octets.extend(rest);
    octets
}

pub(crate) fn ipv4(rest: &[u8]) -> Vec<u8> {
    ipv4_with(IpNumber::UDP, rest, |_| {})
}

pub(crate) fn ipv6_with(next: IpNumber, rest: &[u8], change: impl FnOnce(&mut Ipv6Header)) -> Vec<u8> {
    let mut header = Ipv6Header {
        traffic_class: 0,
        flow_label: 0.try_into().unwrap(),
        payload_length: u16::try_from(rest.len()).unwrap(),
        next_header: next,
        hop_limit: 64,
        source: ROUTER_6,
        destination: HERE_6,
    };
    change(&mut header);
    let mut octets = header.to_bytes().to_vec();
    octets.extend(rest);
    octets
}

/// An extension header of 8 octets before `rest`.
fn extension(next: IpNumber, rest: &[u8]) -> Vec<u8> {
    let mut octets = Ipv6RawExtHeader::new_raw(next, &[1, 4, 0, 0, 0, 0]).unwrap().to_bytes().to_vec();
    octets.extend(rest);
    octets
}

fn fragment(offset: u16, more: bool, rest: &[u8]) -> Vec<u8> {
    let header = Ipv6FragmentHeader::new(IpNumber::UDP, IpFragOffset::try_new(offset).unwrap(), more, 7);
    let mut octets = header.to_bytes().to_vec();
    octets.extend(rest);
    octets
}

pub(crate) const V4: u16 = 0x0800;
pub(crate) const V6: u16 = 0x86dd;
pub(crate) const TAG: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;

/// Every shape with the end it must have: all slots are workers' with a ring.
pub(crate) fn shapes() -> Vec<(&'static str, Vec<u8>, PacketEnd)> {
    use PacketEnd as End;
    let u = udp(IPFIX, 40);
    let mut shapes = vec![
        ("IPv4 UDP", ethernet(&[], V4, &ipv4(&u)), End::Redirected),
        ("IPv6 UDP", ethernet(&[], V6, &ipv6_with(IpNumber::UDP, &u, |_| {})), End::Redirected),
        ("one tag", ethernet(&[(TAG, 0x2064)], V4, &ipv4(&u)), End::Redirected),
        ("two tags", ethernet(&[(SERVICE, 7), (TAG, 9)], V4, &ipv4(&u)), End::Redirected),
        (
            "two tags, IPv6",
            ethernet(&[(TAG, 7), (TAG, 9)], V6, &ipv6_with(IpNumber::UDP, &u, |_| {})),
            End::Redirected,
        ),
        ("three tags", ethernet(&[(TAG, 7), (TAG, 8), (TAG, 9)], V4, &ipv4(&u)), End::NotIp),
        ("ARP", ethernet(&[], 0x0806, &[0; 28]), End::NotIp),
        ("802.3 length", ethernet(&[], 0x0026, &[0x42; 38]), End::NotIp),
        ("IPv4 in the type of IPv6", ethernet(&[], V6, &ipv4(&udp(IPFIX, 60))), End::BadIpHeader),
        (
            "IPv6 in the type of IPv4",
            ethernet(&[], V4, &ipv6_with(IpNumber::UDP, &u, |_| {})),
            End::BadIpHeader,
        ),
        (
            "mapped source on the wire",
            ethernet(&[], V6, &ipv6_with(IpNumber::UDP, &u, |ip| ip.source = octets_of(ROUTER_4.into()))),
            End::BadIpHeader,
        ),
        (
            "not for this host",
            ethernet(&[], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.destination = [192, 0, 2, 11])),
            End::NotLocal,
        ),
        (
            "IPv6, not for this host",
            ethernet(&[], V6, &ipv6_with(IpNumber::UDP, &u, |ip| ip.destination[15] ^= 1)),
            End::NotLocal,
        ),
        ("another port", ethernet(&[], V4, &ipv4(&udp(53, 40))), End::NotTelemetry),
        ("UDP to a TCP port", ethernet(&[], V4, &ipv4(&udp(BMP, 40))), End::NotTelemetry),
        (
            "TCP to a UDP port",
            ethernet(&[], V4, &ipv4_with(IpNumber::TCP, &tcp(IPFIX), |_| {})),
            End::NotTelemetry,
        ),
        ("BMP", ethernet(&[], V4, &ipv4_with(IpNumber::TCP, &tcp(BMP), |_| {})), End::Stream),
        ("BMP, IPv6", ethernet(&[], V6, &ipv6_with(IpNumber::TCP, &tcp(BMP), |_| {})), End::Stream),
        ("ICMP", ethernet(&[], V4, &ipv4_with(IpNumber::ICMP, &[8; 40], |_| {})), End::OtherProtocol),
        ("ICMPv6", ethernet(&[], V6, &ipv6_with(IpNumber::IPV6_ICMP, &[8; 40], |_| {})), End::OtherProtocol),
        (
            "ESP",
            ethernet(&[], V6, &ipv6_with(IpNumber::ENCAPSULATING_SECURITY_PAYLOAD, &[8; 40], |_| {})),
            End::OtherProtocol,
        ),
        (
            "first fragment",
            ethernet(&[], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.more_fragments = true)),
            End::Fragment,
        ),
        (
            "last fragment",
            ethernet(
                &[],
                V4,
                &ipv4_with(IpNumber::UDP, &u, |ip| ip.fragment_offset = 185.try_into().unwrap()),
            ),
            End::Fragment,
        ),
        (
            "do not fragment",
            ethernet(&[], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.dont_fragment = true)),
            End::Redirected,
        ),
        (
            "IPv6, first fragment",
            ethernet(
                &[],
                V6,
                &ipv6_with(IpNumber::IPV6_FRAGMENTATION_HEADER, &fragment(0, true, &u), |_| {}),
            ),
            End::Fragment,
        ),
        (
            "IPv6, last fragment",
            ethernet(
                &[],
                V6,
                &ipv6_with(IpNumber::IPV6_FRAGMENTATION_HEADER, &fragment(9, false, &u), |_| {}),
            ),
            End::Fragment,
        ),
        (
            "IPv6, atomic fragment",
            ethernet(
                &[],
                V6,
                &ipv6_with(IpNumber::IPV6_FRAGMENTATION_HEADER, &fragment(0, false, &u), |_| {}),
            ),
            End::Redirected,
        ),
        (
            "hop-by-hop after another",
            ethernet(
                &[],
                V6,
                &ipv6_with(
                    IpNumber::IPV6_DESTINATION_OPTIONS,
                    &extension(IpNumber::IPV6_HEADER_HOP_BY_HOP, &extension(IpNumber::UDP, &u)),
                    |_| {},
                ),
            ),
            End::BadIpHeader,
        ),
        (
            "IPv4 length below its header",
            {
                let mut frame = ethernet(&[], V4, &ipv4(&u));
                frame[16..18].copy_from_slice(&19_u16.to_be_bytes());
                frame
            },
            End::BadIpHeader,
        ),
        (
            "IPv4 header of 16 octets",
            {
                let mut frame = ethernet(&[], V4, &ipv4(&u));
                frame[14] = 0x44;
                frame
            },
            End::BadIpHeader,
        ),
        (
            "IPv4 length without a UDP header",
            {
                let mut frame = ethernet(&[], V4, &ipv4(&u));
                frame[16..18].copy_from_slice(&27_u16.to_be_bytes());
                frame
            },
            End::Truncated,
        ),
        ("as long as the ring's room", ethernet(&[], V4, &ipv4(&udp(IPFIX, 1_500 - 42))), End::Redirected),
        ("longer than the ring's room", ethernet(&[], V4, &ipv4(&udp(IPFIX, 1_501 - 42))), End::TooLong),
    ];
    for options in (4..=40).step_by(4) {
        let rest = ipv4_with(IpNumber::UDP, &u, |ip| {
            ip.options = Ipv4Options::try_from(&vec![1; options][..]).unwrap()
        });
        shapes.push(("IPv4 options", ethernet(&[(TAG, 1)], V4, &rest), End::Redirected));
    }
    // One hop-by-hop header, then destination options: six are followed, the seventh is one too many.
    let mut chain = extension(IpNumber::UDP, &u);
    for count in 1..=7 {
        let first = extension(IpNumber::IPV6_DESTINATION_OPTIONS, &chain);
        let plain = ethernet(&[], V6, &ipv6_with(IpNumber::IPV6_DESTINATION_OPTIONS, &chain, |_| {}));
        shapes.push((
            "extension headers",
            plain,
            if count <= 6 { End::Redirected } else { End::TooManyHeaders },
        ));
        let led = ethernet(&[(TAG, 5)], V6, &ipv6_with(IpNumber::IPV6_HEADER_HOP_BY_HOP, &first, |_| {}));
        shapes.push((
            "behind hop-by-hop",
            led,
            if count < 6 { End::Redirected } else { End::TooManyHeaders },
        ));
        chain = first;
    }
    // Cut anywhere before the end of the fixed UDP header.
    for whole in [
        ethernet(&[], V4, &ipv4(&u)),
        ethernet(&[(TAG, 1), (TAG, 2)], V4, &ipv4(&u)),
        ethernet(&[(TAG, 1)], V4, &ipv4_with(IpNumber::UDP, &u, |ip| ip.options = [1; 8].into())),
        ethernet(
            &[],
            V6,
            &ipv6_with(IpNumber::IPV6_HEADER_HOP_BY_HOP, &extension(IpNumber::UDP, &u), |_| {}),
        ),
    ] {
        for length in 14..whole.len() - 40 {
            shapes.push(("cut", whole[..length].to_vec(), End::Truncated));
        }
    }
    shapes
}
