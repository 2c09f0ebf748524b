//! Schema of path attributes.

use serde_json::{Map, Value, json};
use wire::bgp::Verdict;

use super::part::{
    address, boolean, hex, list, number, numbers, object, reference, text, texts, unsigned, words,
};

/// Attributes, where an attribute set may stand among them.
pub(super) fn attributes() -> Value {
    let mut properties = Value::Object(Map::new());
    let patterns = add(&mut properties, "innerAttributes");
    json!({"type": "object", "properties": properties, "patternProperties": patterns, "additionalProperties": false})
}

/// The attributes of a set: without a further one.
pub(super) fn inner() -> Value {
    let mut inner = attributes();
    if let Some(Value::Object(properties)) = inner.get_mut("properties") {
        properties.remove("attrSet");
    }
    inner
}

/// Adds the keys of attributes, and returns the pattern of those without a name. `set` defines the attributes in a set.
pub(super) fn add(properties: &mut Value, set: &str) -> Value {
    let segment = object(
        json!({"type": words(&["sequence", "set", "confedSequence", "confedSet"]), "as": numbers()}),
        &["type", "as"],
    );
    let error = object(
        json!({"attribute": unsigned(), "verdict": words(&Verdict::ALL.map(Verdict::name))}),
        &["attribute", "verdict"],
    );
    let all = json!({
        "origin": words(&["igp", "egp", "incomplete"]),
        "asPath": numbers(),
        "asPathSegments": list(segment),
        // An address, or 0x and hex of one that is none.
        "nextHop": text(),
        "linkLocalNextHop": address(),
        "med": unsigned(),
        "localPref": unsigned(),
        "atomicAggregate": boolean(),
        "aggregator": object(json!({"as": unsigned(), "address": address()}), &["as", "address"]),
        "communities": texts(),
        "extCommunities": texts(),
        "ipv6ExtCommunities": texts(),
        "largeCommunities": texts(),
        "originatorId": address(),
        "clusterList": list(address()),
        "aigp": unsigned(),
        "otc": unsigned(),
        "pmsiTunnel": pmsi_tunnel(),
        "tunnelEncap": list(tunnel()),
        "prefixSid": prefix_sid(),
        "linkState": list(link_state()),
        "trafficEngineering": list(engineering()),
        "peLabels": list(object(json!({"address": address(), "label": unsigned()}), &["address", "label"])),
        "bgpsecPath": bgpsec(),
        "domainPath": list(object(json!({"domain": text(), "safi": unsigned()}), &["domain", "safi"])),
        "servicePath": list(object(json!({"type": unsigned(), "octets": hex()}), &["type", "octets"])),
        "attrSet": object(
            json!({"originAs": unsigned(), "attributes": reference(set)}),
            &["originAs", "attributes"],
        ),
        "errors": list(error),
    });
    if let (Value::Object(properties), Value::Object(all)) = (properties, all) {
        properties.extend(all);
    }
    json!({"^attr[0-9]{1,3}$": hex()})
}

/// Bandwidths that are no numbers are null.
fn engineering() -> Value {
    let bandwidth = json!({"anyOf": [number(), {"type": "null"}]});
    object(
        json!({
            "switching": unsigned(),
            "encoding": unsigned(),
            "maxBandwidths": list(bandwidth.clone()),
            "minBandwidth": bandwidth,
            "mtu": unsigned(),
            "indication": unsigned(),
            "octets": hex(),
        }),
        &["switching", "encoding", "maxBandwidths"],
    )
}

fn bgpsec() -> Value {
    let segment = object(
        json!({"as": unsigned(), "count": unsigned(), "flags": unsigned()}),
        &["as", "count", "flags"],
    );
    let signature = object(
        json!({"algorithm": unsigned(), "keyIdentifier": hex(), "octets": hex()}),
        &["algorithm", "keyIdentifier", "octets"],
    );
    object(json!({"segments": list(segment), "signatures": list(signature)}), &["segments", "signatures"])
}

fn pmsi_tunnel() -> Value {
    object(
        json!({
            "flags": unsigned(),
            "type": text(),
            "label": unsigned(),
            "labelField": unsigned(),
            "endpoint": address(),
            "identifier": hex(),
        }),
        &["flags", "type", "label", "labelField"],
    )
}

fn tunnel() -> Value {
    let segment = object(
        json!({
            "type": text(),
            "label": unsigned(),
            "sid": address(),
            "behavior": unsigned(),
            "octets": hex(),
        }),
        &["type"],
    );
    let sub_tlv = object(
        json!({
            "type": unsigned(),
            "name": text(),
            "number": unsigned(),
            "text": text(),
            "weight": unsigned(),
            "segments": list(segment),
            "octets": hex(),
        }),
        &["type"],
    );
    object(json!({"type": text(), "subTlvs": list(sub_tlv)}), &["type", "subTlvs"])
}

fn prefix_sid() -> Value {
    let structure = object(
        json!({
            "locatorBlockLength": unsigned(),
            "locatorNodeLength": unsigned(),
            "functionLength": unsigned(),
            "argumentLength": unsigned(),
            "transpositionLength": unsigned(),
            "transpositionOffset": unsigned(),
        }),
        &[],
    );
    let sid = object(
        json!({
            "layer": {"enum": [2, 3]},
            "sid": address(),
            "flags": unsigned(),
            "behavior": unsigned(),
            "structure": structure,
        }),
        &["layer", "sid", "flags", "behavior"],
    );
    let range = object(json!({"base": unsigned(), "size": unsigned()}), &["base", "size"]);
    let other = object(json!({"type": unsigned(), "octets": hex()}), &["type", "octets"]);
    object(
        json!({
            "labelIndex": unsigned(),
            "flags": unsigned(),
            "srgb": list(range),
            "srv6": list(sid),
            "others": list(other),
        }),
        &[],
    )
}

fn link_state() -> Value {
    object(
        json!({
            "type": unsigned(),
            "name": text(),
            "number": {"anyOf": [number(), {"type": "null"}]},
            "numbers": numbers(),
            "text": text(),
            "octets": hex(),
        }),
        &["type"],
    )
}
