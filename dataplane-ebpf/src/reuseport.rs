//! Which socket of a group takes a datagram or a connection: the slot that XDP would choose.
//!
//! In: a socket buffer, after reassembly. Out: `Selected`, or why no socket takes it.

use aya_ebpf::programs::SkReuseportContext;
use dataplane_common::map::SlotState;
use dataplane_common::{PacketEnd, bucket, entry, router_hash, walk_network};

use crate::access::Packet;
use crate::{counters, maps, rules, telemetry};

#[inline(always)]
pub(crate) fn select(ctx: &SkReuseportContext) -> PacketEnd {
    let packet = Packet::of(ctx);
    let headers = match walk_network(&packet, 0, packet.ether_type(), [0; 2]) {
        Ok(headers) => headers,
        Err(end) => return end,
    };
    if maps::exporters() && rules::is_refused(headers.source) {
        return PacketEnd::ExporterDenied;
    }
    let router = telemetry::router(headers.source);
    let Some((slot, state)) = maps::slot(bucket(router_hash(router, maps::key()))) else {
        return PacketEnd::Internal;
    };
    match state {
        SlotState::Empty => return PacketEnd::EmptySlot,
        SlotState::Millrace | SlotState::Foreign | SlotState::Draining | SlotState::Moving => {}
    }
    let Some(row) = maps::socket_row(&packet.bound()) else {
        return PacketEnd::NoSocket;
    };
    let entry = entry(row, slot);
    if !maps::select(ctx, entry) {
        return PacketEnd::NoSocket;
    }
    counters::selected(entry);
    PacketEnd::Selected
}
