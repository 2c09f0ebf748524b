//! Schemas of flows and options, and of what a flow is joined with.

use collector::ledger::{JoinEnd, Kind};
use collector::schema::{PickedBy, SamplingFrom, TimeFrom, VrfFrom};
use serde_json::{Value, json};

use super::part::{
    address, boolean, distinguisher, number, numbers, object, prefix, reference, text, time, unsigned, words,
};
use super::{attribute, record, route};

/// Names of elements: IANA's and vendors', `e<PEN>id<N>` for unknown ones, `e<PEN>:name` for those that the exporter
/// describes, `_2` and so on for later occurrences.
const ELEMENT: &str = "^(([A-Za-z][A-Za-z0-9_-]*:)?[A-Za-z][A-Za-z0-9_-]*|e[0-9]+:[A-Za-z0-9_.:/-]+)$";

/// The value of an element: a number, text, and objects for lists (RFC 6313).
pub(super) fn value() -> Value {
    let fields = json!({"type": "object", "propertyNames": {"pattern": ELEMENT}, "additionalProperties": reference("value")});
    let records = json!({"type": "array", "items": fields});
    let semantic = text();
    let basic = object(
        json!({"semantic": semantic, "element": text(), "values": {"type": "array", "items": reference("value")}}),
        &["semantic", "element", "values"],
    );
    let group =
        object(json!({"templateId": unsigned(), "records": records, "octets": text()}), &["templateId"]);
    let one = object(
        json!({"semantic": semantic, "templateId": unsigned(), "records": records, "octets": text()}),
        &["semantic", "templateId"],
    );
    let several = object(
        json!({"semantic": semantic, "groups": {"type": "array", "items": group}}),
        &["semantic", "groups"],
    );
    json!({"anyOf": [{"type": ["number", "string", "boolean", "null"]}, basic, one, several]})
}

/// Elements by their names.
pub(super) fn fields() -> Value {
    json!({"type": "object", "propertyNames": {"pattern": ELEMENT}, "additionalProperties": reference("value")})
}

pub(super) fn flow() -> Value {
    let joined = object(json!({"destination": reference("joined"), "source": reference("joined")}), &[]);
    record(
        Kind::Flow,
        json!({
            "observationDomainId": unsigned(),
            "templateId": unsigned(),
            "version": {"enum": [5, 9, 10]},
            "exportTime": time(),
            "fields": fields(),
            "derived": reference("derived"),
            "join": joined,
        }),
        &["observationDomainId", "version", "exportTime", "fields", "derived"],
    )
}

pub(super) fn options() -> Value {
    record(
        Kind::Options,
        json!({
            "observationDomainId": unsigned(),
            "templateId": unsigned(),
            "version": {"enum": [9, 10]},
            "exportTime": time(),
            "scope": fields(),
            "fields": fields(),
        }),
        &["observationDomainId", "templateId", "version", "exportTime", "scope", "fields"],
    )
}

/// What was worked out.
pub(super) fn derived() -> Value {
    let times = names(TimeFrom::ALL, TimeFrom::name);
    let samplings = names(SamplingFrom::ALL, SamplingFrom::name);
    object(
        json!({
            "flowStart": time(),
            "flowEnd": time(),
            "timeFrom": words(&times),
            "samplingRate": number(),
            "samplingFrom": words(&samplings),
            "ingressInterfaceName": text(),
            "egressInterfaceName": text(),
            "ingressVrfName": text(),
            "egressVrfName": text(),
            "mplsLabels": numbers(),
        }),
        &[],
    )
}

/// One side of the join: a route, or why there is none.
pub(super) fn joined() -> Value {
    let misses: Vec<&str> =
        JoinEnd::ALL.iter().filter(|end| **end != JoinEnd::Found).map(|end| end.name()).collect();
    let missed = object(json!({"miss": words(&misses)}), &["miss"]);
    let vrfs = names(VrfFrom::ALL, VrfFrom::name);
    let picks = names(PickedBy::ALL, PickedBy::name);
    let mut found = json!({
        "prefix": prefix(),
        "originAs": unsigned(),
        "peer": address(),
        "peerAs": unsigned(),
        "ribView": route::rib_view(),
        "rd": distinguisher(),
        "labels": numbers(),
        "stale": boolean(),
        "usedElement": text(),
        "vrfFrom": words(&vrfs),
        "pickedBy": words(&picks),
    });
    let patterns = attribute::add(&mut found, "innerAttributes");
    let found = json!({
        "type": "object",
        "properties": found,
        "patternProperties": patterns,
        "required": ["prefix", "peerAs", "ribView", "usedElement", "vrfFrom", "pickedBy", "stale"],
        "additionalProperties": false,
    });
    json!({"oneOf": [missed, found]})
}

fn names<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| name(*one)).collect()
}
