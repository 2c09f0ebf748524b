//! What is not for this box, on its way through: the checks of a router or a bridge, in their order.
//!
//! ```text
//! frame -> tags -> Ingress -> ours by MAC?  yes: IP checks -> bpf_fib_lookup -> egress
//!                                           no:  bridge's stations           -> egress
//! ```
//! In: a frame that telemetry left. Out: how it ended. Nothing is written before every check has passed: whatever
//! is unusual reaches the stack as it came.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use dataplane_common::PacketEnd;
use dataplane_common::fib::{self, FibLookup};
use dataplane_common::map::forward::{
    Arrival, INGRESS_BRIDGED, INGRESS_INACTIVE_LEG, INGRESS_UP, Ingress, Station, VlanTag,
};
use dataplane_common::map::rules::Match;
use dataplane_common::transit::{self, Addresses};
use dataplane_common::walk::{ETHER_IPV4, ETHER_SERVICE_TAG, ETHER_TAG, ETHERNET_LENGTH};

use crate::access::{self, Frame};
use crate::egress::{self, Leaving};
use crate::verdict::Verdict;
use crate::{counters, maps, rules};

/// A VLAN id within the tag control information; the rest is priority and DEI.
const VLAN_ID: u16 = 0x0fff;

/// Where a packet that telemetry left alone goes.
#[inline(never)]
pub(crate) fn transit(ctx: *mut xdp_md, seen: u64) -> u64 {
    let ctx = &XdpContext::new(ctx);
    match decide(ctx, Verdict(seen)) {
        Ok(verdict) => verdict.0,
        Err(end) => Verdict::of(end).0,
    }
}

/// The frame's Ethernet header and tags.
struct Link {
    /// Destination and source MAC address.
    macs: [u16; 6],
    arrival: Arrival,
    /// EtherType of what the tags hold.
    ether_type: u16,
    /// Where that starts.
    network: u32,
    /// Priority and DEI of the outer tag.
    priority: u16,
}

#[inline(always)]
fn decide(ctx: &XdpContext, seen: Verdict) -> Result<Verdict, PacketEnd> {
    let frame = Frame::of(ctx);
    let link = link(ctx, &frame)?;
    let ingress = maps::forward::ingress(&link.arrival).ok_or(PacketEnd::UnknownArrival)?;
    if ingress.flags & INGRESS_INACTIVE_LEG != 0 {
        return Err(PacketEnd::InactiveLeg);
    }
    if ingress.flags & INGRESS_UP == 0 {
        return Err(PacketEnd::ArrivalDown);
    }
    let mac: [u16; 3] = zerocopy::transmute!(ingress.mac);
    if ingress.device != 0 && [link.macs[0], link.macs[1], link.macs[2]] == mac {
        return route(ctx, &frame, &link, ingress, seen);
    }
    if maps::bridges() && ingress.flags & INGRESS_BRIDGED != 0 {
        return bridge(ctx, &frame, &link, ingress, seen);
    }
    Err(PacketEnd::OtherMac)
}

#[inline(always)]
fn link(ctx: &XdpContext, frame: &Frame) -> Result<Link, PacketEnd> {
    let [d0, d1, d2, s0, s1, s2, kind]: [u16; 7] = frame.words(0).ok_or(PacketEnd::Truncated)?;
    let mut link = Link {
        macs: [d0, d1, d2, s0, s1, s2],
        arrival: Arrival { port: ctx.ingress_ifindex() as u32, ..Arrival::default() },
        ether_type: u16::from_be(kind),
        network: ETHERNET_LENGTH,
        priority: 0,
    };
    if !maps::vlans() {
        return if is_tag(link.ether_type) { Err(PacketEnd::UnknownArrival) } else { Ok(link) };
    }
    if is_tag(link.ether_type) {
        let [control, kind]: [u16; 2] = frame.words(ETHERNET_LENGTH).ok_or(PacketEnd::Truncated)?;
        let control = u16::from_be(control);
        link.arrival.outer = VlanTag { ether_type: link.ether_type, id: control & VLAN_ID };
        link.priority = control & !VLAN_ID;
        link.ether_type = u16::from_be(kind);
        link.network = ETHERNET_LENGTH + 4;
        if is_tag(link.ether_type) {
            let [control, kind]: [u16; 2] = frame.words(ETHERNET_LENGTH + 4).ok_or(PacketEnd::Truncated)?;
            link.arrival.inner = VlanTag { ether_type: link.ether_type, id: u16::from_be(control) & VLAN_ID };
            link.priority = 0;
            link.ether_type = u16::from_be(kind);
            link.network = ETHERNET_LENGTH + 8;
        }
    }
    Ok(link)
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, ETHER_TAG | ETHER_SERVICE_TAG)
}

/// A frame for our own MAC address: what the kernel's FIB says of its packet.
#[inline(always)]
fn route(
    ctx: &XdpContext,
    frame: &Frame,
    link: &Link,
    ingress: &Ingress,
    seen: Verdict,
) -> Result<Verdict, PacketEnd> {
    let mut lookup = FibLookup { device: ingress.device, ..FibLookup::default() };
    let hop = hop(frame, link, &mut lookup)?;
    lookup.source_port = seen.source_port().to_be();
    lookup.destination_port = seen.destination_port().to_be();
    let addresses = Addresses { source: lookup.source, destination: lookup.destination };
    let mut flags = 0;
    if ingress.table != 0 {
        // The device's VRF: its table without rules, as its l3mdev rule has it.
        flags = fib::DIRECT;
        if maps::table_lookup() {
            flags |= fib::TABLE;
            lookup.table = ingress.table;
        }
    } else if ingress.mark != 0 {
        if !maps::mark_lookup() {
            return Err(PacketEnd::FibFailed);
        }
        flags = fib::MARK;
        lookup.set_mark(ingress.mark);
    }
    let (length, frame_length) = (u32::from(lookup.length), frame.length());
    let end = fib::end(access::fib_lookup(ctx, &mut lookup, flags));
    if !matches!(end, PacketEnd::Forwarded) {
        if matches!(end, PacketEnd::NoNeighbour) && maps::next_hops() {
            counters::next_hop(&lookup, true);
        }
        return Err(end);
    }
    if maps::next_hops() {
        counters::next_hop(&lookup, false);
    }
    if maps::forwarded_rules() {
        let packet = Match {
            source: octets(addresses.source, link.ether_type),
            destination: octets(addresses.destination, link.ether_type),
            device: lookup.device,
            source_port: seen.source_port(),
            destination_port: seen.destination_port(),
            vlan: link.arrival.outer.id,
            protocol: if seen.protocol() == 0 { lookup.protocol } else { seen.protocol() },
            shape: 0,
        };
        rules::forwarded(packet, frame_length)?;
    }
    let [d0, d1, d2] = lookup.destination_mac;
    let [s0, s1, s2] = lookup.source_mac;
    let leaving = Leaving {
        device: lookup.device,
        tag: VlanTag::default(),
        priority: 0,
        macs: [d0, d1, d2, s0, s1, s2],
        ether_type: link.ether_type,
        network: link.network,
        length,
        hop,
    };
    egress::leave(ctx, &leaving, &addresses, seen)
}

/// An address as tables know it.
#[inline(always)]
fn octets(words: [u32; 4], ether_type: u16) -> [u8; 16] {
    let [first, ..] = words;
    let words = if ether_type == ETHER_IPV4 { [0, 0, 0xffff_0000, first] } else { words };
    zerocopy::transmute!(words)
}

/// What changes in the IP header of a packet that is sent on.
#[derive(Clone, Copy)]
pub(crate) enum Hop {
    /// Nothing: it is bridged.
    Bridged,
    /// IPv4: TTL and protocol, checksum.
    Ipv4(u16, u16),
    /// IPv6: next header and hop limit.
    Ipv6(u16),
}

#[inline(always)]
fn hop(frame: &Frame, link: &Link, lookup: &mut FibLookup) -> Result<Hop, PacketEnd> {
    let available = frame.length() - link.network;
    if link.ether_type == ETHER_IPV4 {
        let words = frame.words(link.network).ok_or(PacketEnd::Truncated)?;
        transit::ipv4(&words, available, lookup)?;
        let (hops, checksum) = transit::ipv4_hop(&words);
        Ok(Hop::Ipv4(hops, checksum))
    } else {
        let words = frame.words(link.network).ok_or(PacketEnd::Truncated)?;
        transit::ipv6(&words, available, lookup)?;
        Ok(Hop::Ipv6(transit::ipv6_hop(&words)))
    }
}

/// A frame for another MAC address on a bridge's port: where the bridge knows the station, if it knows the source
/// behind this port. Everything else it floods, learns or refuses itself.
#[inline(always)]
fn bridge(
    ctx: &XdpContext,
    frame: &Frame,
    link: &Link,
    ingress: &Ingress,
    seen: Verdict,
) -> Result<Verdict, PacketEnd> {
    let [d0, d1, d2, s0, s1, s2] = link.macs;
    let station = |mac: [u16; 3]| Station {
        bridge: ingress.bridge,
        vlan: ingress.bridge_vlan,
        mac: zerocopy::transmute!(mac),
    };
    let source = maps::forward::station(&station([s0, s1, s2])).ok_or(PacketEnd::UnknownStation)?;
    if source.port != ingress.bridge_port {
        return Err(PacketEnd::UnknownStation);
    }
    let learned = maps::forward::station(&station([d0, d1, d2])).ok_or(PacketEnd::UnknownStation)?;
    if learned.port == ingress.bridge_port {
        return Err(PacketEnd::UnknownStation);
    }
    let leaving = Leaving {
        device: learned.port,
        tag: learned.tag,
        // A bridge that knows VLANs keeps the priority that a frame came with.
        priority: if ingress.bridge_vlan != 0 { link.priority } else { 0 },
        macs: link.macs,
        ether_type: link.ether_type,
        network: link.network,
        length: frame.length() - link.network,
        hop: Hop::Bridged,
    };
    let addresses = Addresses { source: [0; 4], destination: [0; 4] };
    egress::leave(ctx, &leaving, &addresses, seen)
}
