//! Schemas of BMP messages other than routes, of what becomes of sessions, and of errors.

use collector::ledger::{Kind, Protocol};
use serde_json::{Value, json};
use wire::bgp::Verdict;

use super::part::{
    address, boolean, hex, list, object, reference, text, texts, time_or_null, unsigned, words,
};
use super::{record, route};

/// The per-peer header.
pub(super) fn peer() -> Value {
    object(
        json!({
            "type": text(),
            // A route distinguisher, or a decimal number for type local.
            "distinguisher": text(),
            "address": address(),
            "as": unsigned(),
            "bgpId": address(),
            "postPolicy": boolean(),
            "adjRibOut": boolean(),
            "filtered": boolean(),
            "timestamp": time_or_null(),
        }),
        &[
            "type",
            "distinguisher",
            "address",
            "as",
            "bgpId",
            "postPolicy",
            "adjRibOut",
            "filtered",
            "timestamp",
        ],
    )
}

/// A message of BMP. One that does not read has no more than this.
fn message(kind: Kind, properties: Value) -> Value {
    let mut all = json!({
        "session": unsigned(),
        "seq": unsigned(),
        "bmpVersion": {"enum": [3, 4]},
        "tlvs": list(tlv()),
    });
    if let (Value::Object(all), Value::Object(properties)) = (&mut all, properties) {
        all.extend(properties);
    }
    record(kind, all, &["session", "seq"])
}

fn tlv() -> Value {
    object(
        json!({"type": unsigned(), "name": text(), "enterprise": unsigned(), "value": text()}),
        &["type", "value"],
    )
}

pub(super) fn initiation() -> Value {
    message(Kind::Initiation, json!({"sysName": text(), "sysDescr": text(), "strings": texts()}))
}

pub(super) fn termination() -> Value {
    message(Kind::Termination, json!({"reason": unsigned(), "reasonText": text(), "strings": texts()}))
}

pub(super) fn peer_up() -> Value {
    let open = object(
        json!({
            "as": unsigned(),
            "holdTime": unsigned(),
            "bgpId": address(),
            "capabilities": list(reference("capability")),
        }),
        &["as", "holdTime", "bgpId", "capabilities"],
    );
    message(
        Kind::PeerUp,
        json!({
            "peer": reference("bmpPeer"),
            "localAddress": address(),
            "localPort": unsigned(),
            "remotePort": unsigned(),
            "sentOpen": open,
            "receivedOpen": open,
            "tableName": text(),
        }),
    )
}

/// A capability of an OPEN.
pub(super) fn capability() -> Value {
    let family = object(
        json!({
            "afi": unsigned(),
            "safi": unsigned(),
            "nextHopAfi": unsigned(),
            "count": unsigned(),
            "flags": unsigned(),
            "mode": unsigned(),
            "staleTime": unsigned(),
        }),
        &["afi", "safi"],
    );
    let value = object(
        json!({
            "afi": unsigned(),
            "safi": unsigned(),
            "families": list(family),
            "role": unsigned(),
            "flags": unsigned(),
            "restartTime": unsigned(),
            "as": unsigned(),
            "hostName": text(),
            "domainName": text(),
            "octets": hex(),
        }),
        &[],
    );
    object(json!({"code": unsigned(), "name": text(), "value": value}), &["code", "value"])
}

pub(super) fn peer_down() -> Value {
    let notification =
        object(json!({"code": unsigned(), "subcode": unsigned(), "text": text()}), &["code", "subcode"]);
    message(
        Kind::PeerDown,
        json!({
            "peer": reference("bmpPeer"),
            "reason": unsigned(),
            "reasonText": text(),
            "notification": notification,
            "fsmEvent": unsigned(),
        }),
    )
}

pub(super) fn stats() -> Value {
    let statistic = object(
        json!({
            "type": unsigned(),
            "name": text(),
            "enterprise": unsigned(),
            "afi": unsigned(),
            "safi": unsigned(),
            "value": unsigned(),
            "octets": hex(),
        }),
        &["type"],
    );
    message(Kind::Stats, json!({"peer": reference("bmpPeer"), "stats": list(statistic)}))
}

pub(super) fn mirror() -> Value {
    let mut keys = json!({
        "information": text(),
        "message": hex(),
        "attributes": reference("attributes"),
        "routes": list(route::mirrored()),
    });
    let mut other = keys.clone();
    other["type"] = unsigned();
    other["octets"] = hex();
    keys["peer"] = reference("bmpPeer");
    keys["others"] = list(object(other, &[]));
    message(Kind::Mirror, keys)
}

pub(super) fn session() -> Value {
    let reasons = ["closed", "fin", "rst", "timeout", "termination", "bad_framing", "replaced"];
    record(
        Kind::Session,
        json!({
            "session": unsigned(),
            "seq": unsigned(),
            "port": unsigned(),
            "state": words(&["open", "closed", "stale", "expired"]),
            "reason": words(&reasons),
        }),
        &["session", "seq", "port", "state"],
    )
}

pub(super) fn gap() -> Value {
    record(
        Kind::Gap,
        json!({"session": unsigned(), "firstSeq": unsigned(), "lastSeq": unsigned()}),
        &["session", "firstSeq", "lastSeq"],
    )
}

pub(super) fn dump() -> Value {
    record(
        Kind::Dump,
        json!({"session": unsigned(), "seq": unsigned(), "state": words(&["begin", "end"])}),
        &["session", "seq", "state"],
    )
}

pub(super) fn error() -> Value {
    let protocols: Vec<&str> = Protocol::ALL.iter().map(|protocol| protocol.name()).collect();
    record(
        Kind::Error,
        json!({
            "reason": {"type": "string", "pattern": "^[a-z0-9]+(_[a-z0-9]+)*$"},
            "protocol": words(&protocols),
            "offset": unsigned(),
            "length": unsigned(),
            "verdict": words(&Verdict::ALL.map(Verdict::name)),
            "octets": hex(),
        }),
        &["reason", "protocol", "offset", "length"],
    )
}
