//! Telemetry for this box: destination, port, router, slot, ring.
//!
//! In: the headers of a frame. Out: how it ended; `Redirected` when a ring takes it. Whatever no ring
//! takes is the stack's, where the socket program steers it to the same worker.

use aya_ebpf::programs::XdpContext;
use dataplane_common::map::{PORT_TCP, PORT_UDP, Queue, SlotState};
use dataplane_common::walk::{TCP, UDP};
use dataplane_common::{Headers, PacketEnd, bucket, entry, router_hash};

use crate::{counters, maps};

#[inline(always)]
pub(crate) fn take(ctx: &XdpContext, length: u32, headers: &Headers) -> PacketEnd {
    // The port first: an array, where most of the traffic that is not ours ends.
    let transports = maps::transports(headers.destination_port);
    let wanted = if headers.protocol == TCP { PORT_TCP } else { PORT_UDP };
    if transports & wanted == 0 {
        return PacketEnd::NotTelemetry;
    }
    if !maps::is_local(&headers.destination) {
        return PacketEnd::NotLocal;
    }
    if headers.protocol == TCP {
        return PacketEnd::Stream;
    }
    if length > maps::ring_room() {
        return PacketEnd::TooLong;
    }
    let router = router(headers.source);
    let hash = router_hash(router, maps::key());
    if maps::last_seen() {
        counters::seen(&router, hash);
    }
    let Some((slot, state)) = maps::slot(bucket(hash)) else {
        return PacketEnd::Internal;
    };
    match state {
        SlotState::Millrace => ring(ctx, slot),
        SlotState::Empty => PacketEnd::EmptySlot,
        SlotState::Foreign => PacketEnd::ForeignSlot,
        SlotState::Draining | SlotState::Moving => PacketEnd::SlotMoving,
    }
}

/// Whether somebody here listens for telemetry there.
#[inline(always)]
pub(crate) fn is_telemetry(protocol: u8, port: u16, destination: &[u8; 16]) -> bool {
    let wanted = match protocol {
        TCP => PORT_TCP,
        UDP => PORT_UDP,
        _ => return false,
    };
    maps::transports(port) & wanted != 0 && maps::is_local(destination)
}

/// The router that a source address stands for: an alias's, else the address itself.
#[inline(always)]
pub(crate) fn router(source: [u8; 16]) -> [u8; 16] {
    if maps::aliases()
        && let Some(router) = maps::alias(&source)
    {
        return router;
    }
    if maps::alias_prefixes()
        && let Some(router) = maps::alias_prefix(source)
    {
        return router;
    }
    source
}

#[inline(always)]
fn ring(ctx: &XdpContext, slot: u32) -> PacketEnd {
    let queue = Queue { device: ctx.ingress_ifindex() as u32, queue: ctx.rx_queue_index() };
    let Some(row) = maps::ring_row(&queue) else {
        return PacketEnd::NoRing;
    };
    let entry = entry(row, slot);
    if !maps::redirect(entry) {
        return PacketEnd::NoRing;
    }
    counters::redirected(entry);
    PacketEnd::Redirected
}
