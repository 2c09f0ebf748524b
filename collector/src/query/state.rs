//! What sessions know of themselves, as JSON objects with the keys of records. Outside the hot path: it allocates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};
use wire::bgp::RouteDistinguisher;

use crate::bmp::SessionState;
use crate::router::Router;

/// Flow sessions of a router, its sFlow agents and its UDP-notif publishers.
pub(super) fn exporters(router: &Router) -> Vec<String> {
    let text = |state: &crate::flow::ExporterState| {
        let mut object = json!({
            "kind": "exporter",
            "exporter": address(state.key.address),
            "lastSeen": time(state.last_seen_unix_ns),
        });
        merge(&mut object, serde_json::to_value(state).unwrap_or_default());
        object.to_string()
    };
    let agent = |state: &crate::sflow::AgentState| {
        let mut object = json!({
            "kind": "exporter",
            "exporter": address(router.address),
            "protocol": "sflow",
            "lastSeen": time(state.last_seen_unix_ns),
        });
        if let Some(agent) = state.agent.filter(|agent| *agent != router.address) {
            merge(&mut object, json!({"agent": address(agent)}));
        }
        merge(&mut object, serde_json::to_value(state).unwrap_or_default());
        object.to_string()
    };
    let publisher = |state: &crate::notification::PublisherState| {
        let mut object = json!({
            "kind": "exporter",
            "exporter": address(state.address),
            "protocol": "udp-notif",
            "lastSeen": time(state.last_seen_unix_ns),
        });
        merge(&mut object, serde_json::to_value(state).unwrap_or_default());
        object.to_string()
    };
    let mut texts: Vec<String> = router.flows.exporters().iter().map(text).collect();
    texts.extend(router.sflow.agents().iter().map(agent));
    texts.extend(router.notifications.publishers().iter().map(publisher));
    texts
}

/// Templates of the flow sessions of a router.
pub(super) fn templates(router: &Router) -> Vec<String> {
    let text = |state: &crate::flow::TemplateState<'_>| {
        let fields: Vec<Value> = state
            .template
            .fields()
            .map(|field| json!({"pen": field.pen, "id": field.id, "length": field.length}))
            .collect();
        json!({
            "kind": "template",
            "exporter": address(state.exporter.address),
            "observationDomainId": state.exporter.domain,
            "version": state.exporter.version,
            "templateId": state.id,
            "fields": fields,
        })
        .to_string()
    };
    router.flows.templates().iter().map(text).collect()
}

/// BMP sessions of a router with their peers; a session without peers is one object too.
pub(super) fn peers(router: &Router) -> Vec<String> {
    let mut texts = Vec::new();
    for session in router.bmp.states() {
        let of_session = json!({
            "kind": "peer",
            "exporter": address(router.address),
            "session": session.id,
            "sessionState": if session.is_open { "open" } else { "stale" },
            "port": session.port,
            "seq": session.sequence,
            "messages": session.messages,
            "lastSeen": time(session.last_unix_ns),
            "sysName": session.system,
        });
        let of_session = known(of_session);
        if session.peers.is_empty() {
            texts.push(of_session.to_string());
        }
        texts.extend(session.peers.iter().map(|peer| {
            let mut object = of_session.clone();
            merge(&mut object, peer_object(&session, peer, router));
            object.to_string()
        }));
    }
    texts
}

fn peer_object(session: &SessionState<'_>, peer: &crate::bmp::PeerState<'_>, router: &Router) -> Value {
    let key = &peer.key;
    let kind = match key.kind {
        0 => "global",
        1 => "rd",
        2 => "local",
        3 => "locRib",
        _ => "other",
    };
    let distinguisher = if key.kind == 2 {
        json!(u64::from_be_bytes(key.distinguisher))
    } else {
        json!(RouteDistinguisher(key.distinguisher).to_string())
    };
    let in_rib = router.rib.peers().get(peer.rib).filter(|known| known.session() == session.id);
    known(json!({
        "peer": known(json!({
            "type": kind,
            "distinguisher": distinguisher,
            "address": in_rib.and_then(|known| known.facts().address).map(address),
            "as": in_rib.map(|known| known.facts().autonomous_system),
            "bgpId": Ipv4Addr::from_bits(key.bgp_id).to_string(),
        })),
        "state": if !peer.up { "down" } else if session.is_open { "up" } else { "stale" },
        "since": time(peer.since_unix_ns),
        "peerUpSeen": !peer.assumed,
        "table": peer.name,
        "routes": peer.routes,
        "paths": in_rib.map_or(0, crate::rib::Peer::paths),
    }))
}

/// Without what is not known: absent means unknown.
fn known(mut object: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.retain(|_, value| !value.is_null());
    }
    object
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn address(octets: [u8; 16]) -> String {
    let address = Ipv6Addr::from_octets(octets);
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4).to_string()
}

/// Unix nanoseconds as RFC 3339 UTC, to the millisecond.
fn time(unix_ns: u64) -> String {
    let (seconds, milliseconds) = (unix_ns / 1_000_000_000, unix_ns / 1_000_000 % 1_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (146,097 days) that begin with March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next_year;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(seconds * 1_000_000_000), text);
        }
        assert_eq!(time(1_234_999_999), "1970-01-01T00:00:01.234Z");
    }
}
