//! The way out: which port, which tags, and the frame as it leaves.
//!
//! In: a packet whose next device is known. Out: `Forwarded` or `Bridged`, or why the stack takes it. The frame
//! is written only once the port is known to be a member and there is room for its tags. Ports have no program of their
//! own in the device map: all that it could do is done here, where a test run sees every octet.

use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::programs::XdpContext;
use dataplane_common::PacketEnd;
use dataplane_common::map::forward::{
    EGRESS_UP, Egress, EgressKind, MAX_LEGS, POLICY_FIRST, Station, VlanTag,
};
use dataplane_common::transit::{Addresses, bond_hash};
use dataplane_common::walk::ETHERNET_LENGTH;

use crate::access::{self, Frame};
use crate::forward::Hop;
use crate::verdict::Verdict;
use crate::{dump, maps};

/// Octets of an Ethernet header and one tag: what the kernel's device map allows a port beside its MTU.
const LINK_ROOM: u32 = ETHERNET_LENGTH + 4;

/// A packet on its way out.
pub(crate) struct Leaving {
    /// Device that the FIB names, or port of a bridge: a key of the device table.
    pub(crate) device: u32,
    /// Tag that a bridge leaves on the frame.
    pub(crate) tag: VlanTag,
    /// Priority and DEI for that tag.
    pub(crate) priority: u16,
    /// Destination and source MAC address.
    pub(crate) macs: [u16; 6],
    /// EtherType of the packet.
    pub(crate) ether_type: u16,
    /// Where the packet starts in the frame as it came.
    pub(crate) network: u32,
    /// Octets of the packet.
    pub(crate) length: u32,
    /// What changes in its header.
    pub(crate) hop: Hop,
}

/// Sends the packet out, or says why not.
#[inline(always)]
pub(crate) fn leave(
    ctx: &XdpContext,
    leaving: &Leaving,
    addresses: &Addresses,
    seen: Verdict,
) -> Result<Verdict, PacketEnd> {
    let mut egress = up(maps::forward::egress(leaving.device))?;
    let mut tag = leaving.tag;
    let mut kind = EgressKind::from_octet(egress.kind).ok_or(PacketEnd::Internal)?;
    if matches!(kind, EgressKind::Bridge) {
        if !maps::bridges() || matches!(leaving.hop, Hop::Bridged) {
            return Err(PacketEnd::NoEgress);
        }
        let [d0, d1, d2, ..] = leaving.macs;
        let mac = zerocopy::transmute!([d0, d1, d2]);
        let station = Station { bridge: egress.bridge, vlan: egress.bridge_vlan, mac };
        let learned = maps::forward::station(&station).ok_or(PacketEnd::UnknownStation)?;
        tag = learned.tag;
        egress = up(maps::forward::egress(learned.port))?;
        kind = EgressKind::from_octet(egress.kind).ok_or(PacketEnd::Internal)?;
    }
    let port = match kind {
        EgressKind::Port => leg(egress, 0)?,
        EgressKind::Bond => {
            if !maps::bonds() {
                return Err(PacketEnd::NoEgress);
            }
            let hash = if egress.policy == POLICY_FIRST {
                0
            } else {
                let ports =
                    u32::from(seen.source_port().to_be()) | u32::from(seen.destination_port().to_be()) << 16;
                bond_hash(egress.policy, &leaving.macs, leaving.ether_type, addresses, ports)
            };
            leg(egress, hash)?
        }
        // A bridge's port is no bridge.
        EgressKind::Bridge => return Err(PacketEnd::Internal),
    };
    let tags = tags(egress, tag, leaving.priority)?;
    let network = ETHERNET_LENGTH + tags.count * 4;
    if leaving.length > egress.mtu || network + leaving.length > egress.mtu + LINK_ROOM {
        return Err(PacketEnd::PortMtu);
    }
    // Only notes the port: the kernel acts on it if the program says so at its end.
    if !maps::forward::send(port) {
        return Err(PacketEnd::NotMember);
    }
    let shift = leaving.network as i32 - network as i32;
    if shift != 0 && !access::move_start(ctx, shift) {
        return Err(PacketEnd::NoHeadroom);
    }
    if rewrite(&Frame::of(ctx), leaving, &tags, network).is_none() {
        // Cannot be: every part was in the frame. It is half written, so nobody may see it.
        return Ok(Verdict::with(PacketEnd::Internal, XDP_DROP));
    }
    let end = if matches!(leaving.hop, Hop::Bridged) { PacketEnd::Bridged } else { PacketEnd::Forwarded };
    if maps::dump::is_on() {
        dump::leaves(port);
    }
    Ok(Verdict::of(end).through(port))
}

#[inline(always)]
fn up(egress: Option<&'static Egress>) -> Result<&'static Egress, PacketEnd> {
    match egress {
        Some(egress) if egress.flags & EGRESS_UP != 0 => Ok(egress),
        _ => Err(PacketEnd::NoEgress),
    }
}

/// The port of a leg, by a hash or 0.
#[inline(always)]
fn leg(egress: &Egress, hash: u32) -> Result<u32, PacketEnd> {
    if egress.leg_count == 0 {
        return Err(PacketEnd::NoLeg);
    }
    // The mask tells the verifier the range.
    let index = (hash % egress.leg_count) as usize & (MAX_LEGS - 1);
    egress.legs.get(index).copied().ok_or(PacketEnd::NoLeg)
}

/// Tags that a frame leaves with, as their words in memory.
struct Tags {
    count: u32,
    outer: [u16; 2],
    inner: [u16; 2],
}

/// The port's tags, and inside them the one that a bridge leaves; three are the stack's.
#[inline(always)]
fn tags(egress: &Egress, bridged: VlanTag, priority: u16) -> Result<Tags, PacketEnd> {
    let mut tags = Tags { count: 0, outer: [0; 2], inner: [0; 2] };
    if !maps::vlans() {
        let wanted = egress.outer.ether_type | bridged.ether_type;
        return if wanted == 0 { Ok(tags) } else { Err(PacketEnd::NoEgress) };
    }
    let words = |tag: VlanTag, priority: u16| [tag.ether_type.to_be(), (tag.id | priority).to_be()];
    if egress.outer.ether_type != 0 {
        tags.count = 1;
        tags.outer = words(egress.outer, 0);
        if egress.inner.ether_type != 0 {
            tags.count = 2;
            tags.inner = words(egress.inner, 0);
        }
    }
    if bridged.ether_type != 0 {
        match tags.count {
            0 => tags.outer = words(bridged, priority),
            1 => tags.inner = words(bridged, priority),
            _ => return Err(PacketEnd::NoEgress),
        }
        tags.count += 1;
    }
    Ok(tags)
}

/// Writes the frame's link header anew, its packet at `network`, and the packet's hop count.
#[inline(always)]
fn rewrite(frame: &Frame, leaving: &Leaving, tags: &Tags, network: u32) -> Option<()> {
    frame.write_words(0, leaving.macs)?;
    if tags.count > 0 {
        frame.write_words(12, tags.outer)?;
        if tags.count > 1 {
            frame.write_words(16, tags.inner)?;
        }
    }
    frame.write_words(network - 2, [leaving.ether_type.to_be()])?;
    match leaving.hop {
        Hop::Bridged => Some(()),
        Hop::Ipv4(hops, checksum) => frame.write_words(network + 8, [hops, checksum]),
        Hop::Ipv6(hops) => frame.write_words(network + 6, [hops]),
    }
}
