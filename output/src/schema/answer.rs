//! Schemas of answers to queries: they are not telemetry, and have no `receiveTime`.

use serde_json::{Value, json};

use super::part::{address, boolean, list, number, object, text, time, unsigned, words};

pub(super) fn exporter() -> Value {
    json!({
        "type": "object",
        "properties": {
            "kind": {"const": "exporter"},
            "exporter": address(),
            "lastSeen": time(),
            "observationDomainId": unsigned(),
            "version": unsigned(),
            "templates": unsigned(),
            "messages": unsigned(),
            "records": unsigned(),
            "sequenceLost": unsigned(),
            "setsWaiting": unsigned(),
            "clockOffsetNs": number(),
        },
        "required": ["kind", "exporter"],
        // Each protocol has counters of its own.
        "additionalProperties": {"type": ["number", "string", "boolean"]},
    })
}

pub(super) fn template() -> Value {
    let field =
        object(json!({"pen": unsigned(), "id": unsigned(), "length": unsigned()}), &["pen", "id", "length"]);
    object(
        json!({
            "kind": {"const": "template"},
            "exporter": address(),
            "observationDomainId": unsigned(),
            "version": unsigned(),
            "templateId": unsigned(),
            "fields": list(field),
        }),
        &["kind", "exporter", "observationDomainId", "version", "templateId", "fields"],
    )
}

pub(super) fn peer() -> Value {
    let peer = object(
        json!({
            "type": text(),
            "distinguisher": {"type": ["string", "integer"]},
            "address": address(),
            "as": unsigned(),
            "bgpId": address(),
        }),
        &["type", "distinguisher", "bgpId"],
    );
    object(
        json!({
            "kind": {"const": "peer"},
            "exporter": address(),
            "session": unsigned(),
            "sessionState": words(&["open", "stale"]),
            "port": unsigned(),
            "seq": unsigned(),
            "messages": unsigned(),
            "lastSeen": time(),
            "sysName": text(),
            "peer": peer,
            "state": words(&["up", "down", "stale"]),
            "since": time(),
            "peerUpSeen": boolean(),
            "table": text(),
            "routes": unsigned(),
            "paths": unsigned(),
        }),
        &["kind", "exporter", "session", "sessionState"],
    )
}
