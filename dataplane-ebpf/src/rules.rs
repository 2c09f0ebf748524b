//! Rules and rates: who passes, and how much of it.
//!
//! In: a packet's addresses, ports, VLAN and device. Out: how a packet that a rule or a rate stops ends. A packet
//! costs one look-up for each shape of the list, however many rules there are.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use dataplane_common::map::rules::{
    ARRIVING, DENY, FORWARDED, MAX_SHAPES, Match, Rule, SHAPE_USED, Source, shape_index,
};
use dataplane_common::walk::{self, ETHERNET_LENGTH, Endpoints, TCP, walk};
use dataplane_common::{Headers, PacketEnd};

use crate::access::{self, Frame};
use crate::verdict::Verdict;
use crate::{maps, telemetry};

/// What the rules for arriving packets and the list of exporters say of a frame: its end, or [`Verdict::NONE`].
#[inline(always)]
pub(crate) fn arriving(ctx: &XdpContext) -> Verdict {
    if note(ctx.ctx) == 0 {
        return Verdict::NONE;
    }
    let length = Frame::of(ctx).length();
    if maps::arriving_rules() {
        match classify(ARRIVING, length) {
            PASSES => {}
            DENIED => return Verdict::of(PacketEnd::Denied),
            _ => return Verdict::of(PacketEnd::Policed),
        }
    }
    if maps::exporters() {
        match exporter(length) {
            PASSES => {}
            DENIED => return Verdict::of(PacketEnd::ExporterDenied),
            _ => return Verdict::of(PacketEnd::ExporterPoliced),
        }
    }
    Verdict::NONE
}

/// What the rules for forwarded packets say.
#[inline(always)]
pub(crate) fn forwarded(packet: Match, length: u32) -> Result<(), PacketEnd> {
    maps::rules::note(packet).ok_or(PacketEnd::Internal)?;
    match classify(FORWARDED, length) {
        PASSES => Ok(()),
        DENIED => Err(PacketEnd::EgressDenied),
        _ => Err(PacketEnd::Policed),
    }
}

/// Notes what rules compare of a frame where [`classify`] finds it; 0: nothing, it carries no IP.
#[inline(never)]
fn note(ctx: *mut xdp_md) -> u64 {
    let ctx = &XdpContext::new(ctx);
    let Some(mut packet) = packet(&Frame::of(ctx)) else { return 0 };
    packet.device = ctx.ingress_ifindex() as u32;
    u64::from(maps::rules::note(packet).is_some())
}

/// What rules compare of a frame; nothing, if it carries no IP. A fragment and whatever else the walk does not
/// go through has no ports: rules without ports decide it.
#[inline(always)]
fn packet(frame: &Frame) -> Option<Match> {
    match walk(frame) {
        Ok(headers) => Some(of_headers(&headers)),
        Err(PacketEnd::NotIp) => None,
        Err(_) => {
            let Endpoints { source, destination, tag, protocol } = walk::endpoints(frame)?;
            Some(Match { source, destination, vlan: tag & 0x0fff, protocol, ..Match::default() })
        }
    }
}

#[inline(always)]
fn of_headers(headers: &Headers) -> Match {
    Match {
        source: headers.source,
        destination: headers.destination,
        source_port: headers.source_port,
        destination_port: headers.destination_port,
        vlan: if headers.network > ETHERNET_LENGTH { headers.tags[0] & 0x0fff } else { 0 },
        protocol: headers.protocol,
        ..Match::default()
    }
}

/// [`classify`]: the packet goes on.
const PASSES: u64 = 0;
/// [`classify`]: its rule denies it.
const DENIED: u64 = 1;
/// [`classify`]: it is above its rule's rate.
const POLICED: u64 = 2;

/// The first rule of the list that matches the noted packet decides.
///
/// Its symbol is global, so the verifier goes through it once, whatever its callers know: they differ in what
/// frames they have seen, and each would cost it all the shapes again.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn classify(direction: u32, length: u32) -> u64 {
    let first = shape_index(maps::rules::active_list(), direction, 0);
    let mut best = Found::NONE.0;
    // One shape; behind the last one the list ends.
    macro_rules! look {
        ($shapes:lifetime: $($position:literal)+) => {$(
            let found = look(first + $position);
            if found == Found::END.0 {
                break $shapes;
            }
            if found < best {
                best = found;
            }
        )+};
    }
    'shapes: {
        look!('shapes: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    const { assert!(MAX_SHAPES == 16, "one look for each shape") };
    let best = Found(best);
    if best.0 == Found::NONE.0 {
        return PASSES;
    }
    maps::rules::count_rule(best.counter());
    if best.denies() {
        return DENIED;
    }
    if best.policer() == 0 {
        return PASSES;
    }
    if within_rate(best.policer(), length) { PASSES } else { POLICED }
}

/// A rule as one scalar, so that the earliest is the smallest:
/// ```text
///  63        32 31     16 15      1     0
/// | order + 1  | counter | policer | denies |
/// ```
struct Found(u64);

impl Found {
    /// No rule of this shape matches.
    const NONE: Self = Self(u64::MAX);
    /// There is no such shape, and none behind it.
    const END: Self = Self(0);

    #[inline(always)]
    fn of(rule: &Rule) -> Self {
        let low =
            (rule.counter & 0xffff) << 16 | (rule.policer & 0x7fff) << 1 | u32::from(rule.action == DENY);
        Self((u64::from(rule.order) + 1) << 32 | u64::from(low))
    }

    #[inline(always)]
    fn counter(&self) -> u32 {
        (self.0 >> 16) as u32 & 0xffff
    }

    #[inline(always)]
    fn policer(&self) -> u32 {
        (self.0 >> 1) as u32 & 0x7fff
    }

    #[inline(always)]
    fn denies(&self) -> bool {
        self.0 & 1 != 0
    }
}

/// The rule of one shape that matches the noted packet.
#[inline(never)]
fn look(index: u32) -> u64 {
    let (Some(shape), Some(packet)) = (maps::rules::shape(index), maps::rules::noted()) else {
        return Found::END.0;
    };
    if shape.mask.shape != SHAPE_USED {
        return Found::END.0;
    }
    let key = masked(packet, &shape.mask, index as u8);
    maps::rules::rule(&key).map_or(Found::NONE, Found::of).0
}

/// The bits of a packet that a shape compares.
#[inline(always)]
fn masked(packet: &Match, mask: &Match, shape: u8) -> Match {
    let (packet, mask): (&[u32; 11], &[u32; 11]) =
        (zerocopy::transmute_ref!(packet), zerocopy::transmute_ref!(mask));
    let [a, b, c, d, e, f, g, h, i, j, k] = *packet;
    let [m, n, o, p, q, r, s, t, u, v, w] = *mask;
    let key: [u32; 11] = [a & m, b & n, c & o, d & p, e & q, f & r, g & s, h & t, i & u, j & v, k & w];
    let mut key: Match = zerocopy::transmute!(key);
    key.shape = shape;
    key
}

/// Takes a packet of the noted source out of the bucket of `policer`; whether it held that much. Policer 0 holds
/// nothing: the packet is only counted to its source.
#[inline(never)]
fn within_rate(policer: u32, length: u32) -> bool {
    let Some(noted) = maps::rules::noted() else { return true };
    let source = Source { policer, address: noted.source };
    if policer == 0 {
        maps::rules::refuse(&source);
        return false;
    }
    let Some(rate) = maps::rules::policer(policer) else { return true };
    let now = access::precise_now_ns();
    if rate.per_source == 0 {
        return maps::rules::take_shared(policer, rate, now, length);
    }
    maps::rules::take_of_source(&source, rate, now, length)
}

/// Whether the noted packet is telemetry of a source that stands on the list, and UDP within its rate; what is no
/// telemetry passes. A stream has its own flow control: only who may open one is decided here.
#[inline(never)]
fn exporter(length: u32) -> u64 {
    let Some(packet) = maps::rules::noted() else { return PASSES };
    if !telemetry::is_telemetry(packet.protocol, packet.destination_port, &packet.destination) {
        return PASSES;
    }
    let Some(listed) = maps::rules::exporter() else {
        within_rate(0, length);
        return DENIED;
    };
    if listed.policer == 0 || packet.protocol == TCP || within_rate(listed.policer, length) {
        PASSES
    } else {
        POLICED
    }
}

/// Whether telemetry of this source is refused, for packets whose fragments XDP left to the stack.
#[inline(always)]
pub(crate) fn is_refused(source: [u8; 16]) -> bool {
    let noted = maps::rules::note(Match { source, ..Match::default() });
    noted.is_some() && maps::rules::exporter().is_none()
}
