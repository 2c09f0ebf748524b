//! One header walk for XDP, SK_REUSEPORT, workers and captures.
//!
//! In: a frame (or a packet from its network header on). Out: [`Headers`], or the [`PacketEnd`] that says
//! why there are none. Never looks at checksums or payload, and never follows a fragment.
//!
//! The shape is the eBPF verifier's: everything inlined, every read of fixed size, the chain of extension
//! headers unrolled in source because kernel 6.1 takes no back-edge here.

use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::ledger::PacketEnd;
use crate::octets::Octets;

/// EtherType of IPv4.
pub const ETHER_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHER_IPV6: u16 = 0x86dd;
/// EtherType of a customer tag (IEEE 802.1Q).
pub const ETHER_TAG: u16 = 0x8100;
/// EtherType of a service tag (IEEE 802.1ad).
pub const ETHER_SERVICE_TAG: u16 = 0x88a8;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// Octets of an Ethernet header without tags.
pub const ETHERNET_LENGTH: u32 = 14;
/// IPv6 extension headers that the walk follows before it says [`PacketEnd::TooManyHeaders`].
pub const MAX_EXTENSIONS: usize = 6;

/// What the walk found: who sent it, to whom, and where the parts start. Offsets are octets from the
/// first octet that the reader can read (the frame's, or the network header's for SK_REUSEPORT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Source address; IPv4 as `::ffff:a.b.c.d`.
    pub source: [u8; 16],
    /// Destination address; IPv4 as `::ffff:a.b.c.d`.
    pub destination: [u8; 16],
    /// Tag control information (priority, DEI, VLAN id) of the outer and inner tag; 0 where there is none
    /// (see [`Headers::tag_count`]).
    pub tags: [u16; 2],
    /// UDP or TCP source port.
    pub source_port: u16,
    /// UDP or TCP destination port.
    pub destination_port: u16,
    /// Where the IP header starts.
    pub network: u32,
    /// Where the UDP or TCP header starts.
    pub transport: u32,
    /// Octets of the IP packet, header included, as the IP header says. The frame may hold more (padding)
    /// or fewer (cut): whoever reads the payload compares.
    pub length: u32,
    /// [`UDP`] or [`TCP`].
    pub protocol: u8,
    /// IPv6, else IPv4.
    pub is_ipv6: bool,
}

impl Headers {
    /// Octets of the IP header with its options or extension headers.
    #[must_use]
    #[inline(always)]
    pub const fn header_length(&self) -> u32 {
        self.transport.wrapping_sub(self.network)
    }

    /// Where the IP packet ends, by its own header: padding of the frame lies behind it.
    #[must_use]
    #[inline(always)]
    pub const fn end(&self) -> u32 {
        self.network.wrapping_add(self.length)
    }

    /// VLAN tags of a frame: 0, 1 or 2. Meaningless for a packet walked from its network header.
    #[must_use]
    #[inline(always)]
    pub const fn tag_count(&self) -> u32 {
        self.network.saturating_sub(ETHERNET_LENGTH) / 4
    }
}

/// Ethernet II: destination, source, type.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Ethernet {
    _destination: [u8; 6],
    _source: [u8; 6],
    ether_type: U16,
}

/// What follows a tag's own EtherType: control information, then the EtherType of what it carries.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Tag {
    control: U16,
    ether_type: U16,
}

/// RFC 791 section 3.1, without options.
/// ```text
///  0               1               2               3
/// +-------+-------+---------------+-------------------------------+
/// |version|  IHL  |      ToS      |  total length (octets)        |
/// +-------+-------+---------------+-----+-------------------------+
/// |         identification        |flags| fragment offset (8 oct.)|
/// +---------------+---------------+-----+-------------------------+
/// |      TTL      |   protocol    |        header checksum        |
/// +---------------+---------------+-------------------------------+
/// |                         source address                        |
/// |                       destination address                     |
/// ```
#[derive(FromBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Ipv4 {
    version_ihl: u8,
    _tos: u8,
    total_length: U16,
    _identification: U16,
    flags_offset: U16,
    _ttl: u8,
    protocol: u8,
    _checksum: U16,
    source: [u8; 4],
    destination: [u8; 4],
}

/// RFC 8200 section 3: version, class, flow label; payload length (octets behind these 40); next header.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Ipv6 {
    version_class_flow: U32,
    payload_length: U16,
    next_header: u8,
    _hop_limit: u8,
    source: [u8; 16],
    destination: [u8; 16],
}

/// First four octets of every extension header: next header, length in units of its kind, then its own
/// (in a Fragment header, RFC 8200 section 4.5: offset in 8 octets, 2 reserved bits, more-fragments bit).
#[derive(FromBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Extension {
    next_header: u8,
    length: u8,
    own: U16,
}

/// What UDP and TCP headers start with.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Ports {
    source: U16,
    destination: U16,
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// Walks a frame from its Ethernet header.
///
/// # Errors
/// The [`PacketEnd`] that says why the packet is not a plain UDP or TCP packet.
#[inline(always)]
pub fn walk<O: Octets>(frame: &O) -> Result<Headers, PacketEnd> {
    let ethernet: Ethernet = frame.read(0).ok_or(PacketEnd::Truncated)?;
    let mut ether_type = ethernet.ether_type.get();
    let mut network = ETHERNET_LENGTH;
    let mut tags = [0; 2];
    if is_tag(ether_type) {
        let outer: Tag = frame.read(network).ok_or(PacketEnd::Truncated)?;
        tags[0] = outer.control.get();
        ether_type = outer.ether_type.get();
        network = ETHERNET_LENGTH + 4;
        if is_tag(ether_type) {
            let inner: Tag = frame.read(network).ok_or(PacketEnd::Truncated)?;
            tags[1] = inner.control.get();
            ether_type = inner.ether_type.get();
            network = ETHERNET_LENGTH + 8;
        }
    }
    walk_network(frame, network, ether_type, tags)
}

/// Who talks to whom, of any IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Source address; IPv4 as `::ffff:a.b.c.d`.
    pub source: [u8; 16],
    /// Destination address; IPv4 as `::ffff:a.b.c.d`.
    pub destination: [u8; 16],
    /// Tag control information of the outer tag; 0: none.
    pub tag: u16,
    /// IPv4: the protocol. IPv6: the first next header.
    pub protocol: u8,
}

/// The endpoints of a frame that [`walk`] does not go through to its end: a fragment, one without UDP or TCP, a
/// damaged one. `None`: no whole IP header behind at most two tags.
#[must_use]
#[inline(always)]
pub fn endpoints<O: Octets>(frame: &O) -> Option<Endpoints> {
    let ethernet: Ethernet = frame.read(0)?;
    let (mut ether_type, mut network, mut tag) = (ethernet.ether_type.get(), ETHERNET_LENGTH, 0);
    if is_tag(ether_type) {
        let outer: Tag = frame.read(network)?;
        (tag, ether_type, network) = (outer.control.get(), outer.ether_type.get(), ETHERNET_LENGTH + 4);
        if is_tag(ether_type) {
            let inner: Tag = frame.read(network)?;
            (ether_type, network) = (inner.ether_type.get(), ETHERNET_LENGTH + 8);
        }
    }
    match ether_type {
        ETHER_IPV4 => {
            let Ipv4 { source, destination, protocol, .. } = frame.read(network)?;
            Some(Endpoints { source: mapped(source), destination: mapped(destination), tag, protocol })
        }
        ETHER_IPV6 => {
            let Ipv6 { source, destination, next_header, .. } = frame.read(network)?;
            Some(Endpoints { source, destination, tag, protocol: next_header })
        }
        _ => None,
    }
}

/// Walks a packet from its network header, which stands `network` octets into what `packet` reads.
/// SK_REUSEPORT starts here with 0, the socket buffer's protocol and no tags.
///
/// # Errors
/// The [`PacketEnd`] that says why the packet is not a plain UDP or TCP packet.
#[inline(always)]
pub fn walk_network<O: Octets>(
    packet: &O,
    network: u32,
    ether_type: u16,
    tags: [u16; 2],
) -> Result<Headers, PacketEnd> {
    match ether_type {
        ETHER_IPV4 => ipv4(packet, network, tags),
        ETHER_IPV6 => ipv6(packet, network, tags),
        _ => Err(PacketEnd::NotIp),
    }
}

/// The IPv4 address as the 16 octets of its mapped IPv6 address (RFC 4291 section 2.5.5.2).
#[must_use]
#[inline(always)]
pub const fn mapped(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, ETHER_TAG | ETHER_SERVICE_TAG)
}

#[inline(always)]
const fn is_mapped(address: &[u8; 16]) -> bool {
    matches!(address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..])
}

#[inline(always)]
fn ipv4<O: Octets>(packet: &O, network: u32, tags: [u16; 2]) -> Result<Headers, PacketEnd> {
    let ip: Ipv4 = packet.read(network).ok_or(PacketEnd::Truncated)?;
    let header_length = u32::from(ip.version_ihl & 0x0f) * 4;
    let length = u32::from(ip.total_length.get());
    if ip.version_ihl >> 4 != 4 || header_length < 20 || length < header_length {
        return Err(PacketEnd::BadIpHeader);
    }
    // More fragments, or an offset: RFC 791 section 2.3. Later fragments carry no ports.
    if ip.flags_offset.get() & 0x3fff != 0 {
        return Err(PacketEnd::Fragment);
    }
    let headers = Headers {
        source: mapped(ip.source),
        destination: mapped(ip.destination),
        tags,
        source_port: 0,
        destination_port: 0,
        network,
        transport: network + header_length,
        length,
        protocol: ip.protocol,
        is_ipv6: false,
    };
    transport(packet, headers)
}

#[inline(always)]
fn ipv6<O: Octets>(packet: &O, network: u32, tags: [u16; 2]) -> Result<Headers, PacketEnd> {
    let ip: Ipv6 = packet.read(network).ok_or(PacketEnd::Truncated)?;
    // A mapped address on the wire would pass for an IPv4 router; the stack drops such a source too.
    if ip.version_class_flow.get() >> 28 != 6 || is_mapped(&ip.source) || is_mapped(&ip.destination) {
        return Err(PacketEnd::BadIpHeader);
    }
    let mut at = network + 40;
    let mut protocol = ip.next_header;

    // One extension header: `protocol` and `at` move behind it, or the chain ends. Only the first may be
    // Hop-by-Hop Options (RFC 8200 section 4.1).
    macro_rules! follow {
        ($chain:lifetime, $is_first:literal) => {
            if !is_extension(protocol) {
                break $chain;
            }
            if protocol == HOP_BY_HOP && !$is_first {
                return Err(PacketEnd::BadIpHeader);
            }
            let extension: Extension = packet.read(at).ok_or(PacketEnd::Truncated)?;
            at += match protocol {
                // Offset 0 and no more fragments: a whole packet (RFC 6946), which the stack does not strip.
                FRAGMENT if extension.own.get() & 0xfff9 != 0 => return Err(PacketEnd::Fragment),
                FRAGMENT => 8,
                AUTHENTICATION if extension.length == 0 => return Err(PacketEnd::BadIpHeader),
                AUTHENTICATION => (u32::from(extension.length) + 2) * 4, // RFC 4302 section 2.2
                _ => (u32::from(extension.length) + 1) * 8,
            };
            protocol = extension.next_header;
        };
    }
    'chain: {
        follow!('chain, true);
        follow!('chain, false);
        follow!('chain, false);
        follow!('chain, false);
        follow!('chain, false);
        follow!('chain, false);
        if is_extension(protocol) {
            return Err(PacketEnd::TooManyHeaders);
        }
    }
    let headers = Headers {
        source: ip.source,
        destination: ip.destination,
        tags,
        source_port: 0,
        destination_port: 0,
        network,
        transport: at,
        length: 40 + u32::from(ip.payload_length.get()),
        protocol,
        is_ipv6: true,
    };
    transport(packet, headers)
}

/// Headers that RFC 8200 section 4 and RFC 4302 put between IPv6 and the transport, and that the kernel's
/// stack walks too. Not ESP: what follows it is encrypted.
#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

/// The ports, once the packet by its own length holds the whole fixed transport header.
#[inline(always)]
fn transport<O: Octets>(packet: &O, headers: Headers) -> Result<Headers, PacketEnd> {
    let smallest = match headers.protocol {
        UDP => 8,
        TCP => 20,
        _ => return Err(PacketEnd::OtherProtocol),
    };
    if headers.header_length() + smallest > headers.length {
        return Err(PacketEnd::Truncated);
    }
    let ports: Ports = packet.read(headers.transport).ok_or(PacketEnd::Truncated)?;
    // The last octet of the fixed header is there: the header is.
    packet.read::<u8>(headers.transport + smallest - 1).ok_or(PacketEnd::Truncated)?;
    Ok(Headers { source_port: ports.source.get(), destination_port: ports.destination.get(), ..headers })
}
