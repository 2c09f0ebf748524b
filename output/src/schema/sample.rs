//! Schemas of what sFlow and UDP-notif bring.

use collector::ledger::Kind;
use serde_json::{Value, json};

use super::part::{boolean, hex, list, object, reference, text, unsigned, words};
use super::{flow, record};

/// A record of a sample: its format, and items under the names of the sFlow structures; or its octets.
fn structure() -> Value {
    json!({
        "type": "object",
        "properties": {"format": {"type": "string", "pattern": "^[0-9]+:[0-9]+$"}},
        "required": ["format"],
        "propertyNames": {"pattern": "^[A-Za-z0-9_]+$"},
        "additionalProperties": {"type": ["number", "string", "null", "array"]},
    })
}

fn source() -> Value {
    object(json!({"type": unsigned(), "index": unsigned()}), &["type", "index"])
}

pub(super) fn sample() -> Value {
    let joined = object(json!({"destination": reference("joined"), "source": reference("joined")}), &[]);
    record(
        Kind::Sample,
        json!({
            "subAgent": unsigned(),
            "sequence": unsigned(),
            "sourceId": source(),
            "samplingRate": unsigned(),
            "pool": unsigned(),
            "drops": unsigned(),
            "input": unsigned(),
            "inputPorts": unsigned(),
            "inputInternal": boolean(),
            "output": unsigned(),
            "outputPorts": unsigned(),
            "outputInternal": boolean(),
            "discardReason": unsigned(),
            "fields": flow::fields(),
            "records": list(structure()),
            "derived": reference("derived"),
            "join": joined,
            // A structure that nobody named.
            "format": text(),
            "octets": hex(),
        }),
        &["subAgent"],
    )
}

pub(super) fn counters() -> Value {
    record(
        Kind::Counters,
        json!({
            "subAgent": unsigned(),
            "sequence": unsigned(),
            "sourceId": source(),
            "records": list(structure()),
        }),
        &["subAgent"],
    )
}

pub(super) fn notification() -> Value {
    let option = object(json!({"type": unsigned(), "value": hex()}), &["type", "value"]);
    record(
        Kind::Notification,
        json!({
            "publisherId": unsigned(),
            "messageId": unsigned(),
            "mediaType": words(&["json", "xml", "cbor"]),
            "mediaCode": unsigned(),
            "segments": unsigned(),
            "sequenceLost": unsigned(),
            "options": list(option),
            // An object of JSON or CBOR with the publisher's own names, or XML as one string.
            "message": {"type": ["object", "string"]},
            "messageHex": hex(),
        }),
        &["publisherId", "messageId", "segments", "sequenceLost"],
    )
}
