//! The per-peer header of a BMP message, and the OPENs of a Peer Up -> JSON.

use wire::bgp::{CapabilityValue, Family, Open};
use wire::bmp::{PeerHeader, PeerType};
use wire::cursor::Cursor;

use super::text::Json;

/// Octets of the header without its timestamp, as rows of routes carry it.
const WITHOUT_TIMESTAMP: usize = 34;

/// A header from its first 34 octets.
pub(crate) fn header(octets: &[u8]) -> Option<PeerHeader> {
    let mut whole = [0; 42];
    whole.get_mut(..WITHOUT_TIMESTAMP)?.copy_from_slice(octets.get(..WITHOUT_TIMESTAMP)?);
    PeerHeader::parse(&mut Cursor::new(&whole)).ok()
}

/// `"peer":{..}`; `timestamp_ns` is 0 where the router gives none.
pub(super) fn peer(json: &mut Json<'_>, peer: &PeerHeader, timestamp_ns: u64) {
    json.key("peer").open();
    match (peer.peer_type(), peer.peer_type().name()) {
        (_, Some(name)) => json.key("type").string(name),
        (_, None) => json.key("type").text(peer.kind),
    }
    if peer.peer_type() == PeerType::Local {
        json.key("distinguisher").text(peer.local_distinguisher());
    } else {
        json.key("distinguisher").text(peer.route_distinguisher());
    }
    json.key("address").text(peer.address());
    json.key("as").unsigned(peer.autonomous_system.into());
    json.key("bgpId").text(peer.bgp_id);
    json.key("postPolicy").boolean(peer.is_post_policy());
    json.key("adjRibOut").boolean(peer.is_adj_rib_out());
    json.key("filtered").boolean(peer.is_filtered());
    json.key("timestamp");
    match timestamp_ns {
        0 => json.null(),
        ns => json.time(
            i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
            u32::try_from(ns % 1_000_000_000).unwrap_or(0),
            6,
        ),
    }
    json.close();
}

/// The timestamp of a header in unix nanoseconds, 0: none.
pub(super) fn timestamp_ns(peer: &PeerHeader) -> u64 {
    u64::from(peer.seconds) * 1_000_000_000 + u64::from(peer.microseconds) * 1_000
}

/// An OPEN as an object.
pub(super) fn open(json: &mut Json<'_>, open: &Open<'_>) {
    json.open();
    json.key("as").unsigned(open.autonomous_system().into());
    json.key("holdTime").unsigned(open.hold_time.into());
    json.key("bgpId").text(open.bgp_id);
    json.key("capabilities").open_list();
    for capability in open.capabilities().flatten() {
        json.open();
        json.key("code").unsigned(capability.code.into());
        if let Some(name) = capability.name() {
            json.key("name").string(name);
        }
        json.key("value");
        value(json, capability.value());
        json.close();
    }
    json.close_list();
    json.close();
}

fn family(json: &mut Json<'_>, family: Family) {
    json.key("afi").unsigned(family.afi.into());
    json.key("safi").unsigned(family.safi.into());
}

fn value(json: &mut Json<'_>, value: CapabilityValue<'_>) {
    json.open();
    match value {
        CapabilityValue::Multiprotocol(of) => family(json, of),
        CapabilityValue::ExtendedNextHop(tuples) => list(json, tuples, |json, tuple| {
            family(json, tuple.family);
            json.key("nextHopAfi").unsigned(tuple.next_hop_afi.into());
        }),
        CapabilityValue::ExtendedMessage => {}
        CapabilityValue::MultipleLabels(tuples) => list(json, tuples, |json, tuple| {
            family(json, tuple.family);
            json.key("count").unsigned(tuple.count.into());
        }),
        CapabilityValue::Role(role) => json.key("role").unsigned(role.into()),
        CapabilityValue::GracefulRestart { flags, seconds, families } => {
            json.key("flags").unsigned(flags.into());
            json.key("restartTime").unsigned(seconds.into());
            list(json, families, |json, tuple| {
                family(json, tuple.family);
                json.key("flags").unsigned(tuple.flags.into());
            });
        }
        CapabilityValue::FourOctetAs(number) => json.key("as").unsigned(number.into()),
        CapabilityValue::AddPath(tuples) => list(json, tuples, |json, tuple| {
            family(json, tuple.family);
            json.key("mode").unsigned(tuple.mode.into());
        }),
        CapabilityValue::LongLivedGracefulRestart(tuples) => list(json, tuples, |json, tuple| {
            family(json, tuple.family);
            json.key("flags").unsigned(tuple.flags.into());
            json.key("staleTime").unsigned(tuple.seconds.into());
        }),
        CapabilityValue::Fqdn { host, domain } => {
            json.key("hostName").text(host);
            json.key("domainName").text(domain);
        }
        CapabilityValue::Raw(octets) => json.key("octets").hex("", octets),
    }
    json.close();
}

fn list<T>(json: &mut Json<'_>, tuples: impl Iterator<Item = T>, write: impl Fn(&mut Json<'_>, T)) {
    json.key("families").open_list();
    for tuple in tuples {
        json.open();
        write(json, tuple);
        json.close();
    }
    json.close_list();
}
