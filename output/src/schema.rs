//! The JSON Schema (draft 2020-12) of every kind of line that the encoder in `json` writes: one document a kind.
//!
//! Names that are ours are all there are; names of elements (IANA's, the vendors', those of the sFlow structures) are
//! open. A test holds every line to it, so that the two cannot part.

mod part;
mod flow;
mod route;
mod attribute;
mod message;
mod sample;
mod answer;

use collector::ledger::Kind;
use serde_json::{Map, Value, json};

use part::{address, object, reference, time, unsigned};

/// The dialect of the documents.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of the lines of one kind.
#[must_use]
pub fn of(kind: Kind) -> Value {
    let mut schema = line(kind);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".into(), DIALECT.into());
        schema.insert("title".into(), kind.name().into());
        schema.insert("$defs".into(), definitions());
    }
    schema
}

/// The schema of a line of any kind, which its `kind` tells.
#[must_use]
pub fn all() -> Value {
    let mut definitions = definitions();
    let mut choices = Vec::new();
    for kind in Kind::ALL {
        if let Value::Object(definitions) = &mut definitions {
            definitions.insert(kind.name().into(), line(*kind));
        }
        choices.push(reference(kind.name()));
    }
    json!({"$schema": DIALECT, "title": "millrace", "oneOf": choices, "$defs": definitions})
}

/// Parts that several kinds or places share.
fn definitions() -> Value {
    json!({
        "attributes": attribute::attributes(),
        "innerAttributes": attribute::inner(),
        "bmpPeer": message::peer(),
        "capability": message::capability(),
        "value": flow::value(),
        "joined": flow::joined(),
        "derived": flow::derived(),
    })
}

fn line(kind: Kind) -> Value {
    match kind {
        Kind::Flow => flow::flow(),
        Kind::Options => flow::options(),
        Kind::Route => route::route(),
        Kind::Initiation => message::initiation(),
        Kind::Termination => message::termination(),
        Kind::PeerUp => message::peer_up(),
        Kind::PeerDown => message::peer_down(),
        Kind::Stats => message::stats(),
        Kind::Mirror => message::mirror(),
        Kind::Session => message::session(),
        Kind::Gap => message::gap(),
        Kind::Dump => message::dump(),
        Kind::Error => message::error(),
        Kind::Sample => sample::sample(),
        Kind::Counters => sample::counters(),
        Kind::Notification => sample::notification(),
        Kind::Exporter => answer::exporter(),
        Kind::Template => answer::template(),
        Kind::Peer => answer::peer(),
    }
}

/// A line: what every line has, and the keys of its kind.
fn record(kind: Kind, properties: Value, required: &[&str]) -> Value {
    let mut all = Map::new();
    all.insert("kind".into(), json!({"const": kind.name()}));
    all.insert("exporter".into(), address());
    all.insert("receiveTime".into(), time());
    all.insert("frame".into(), unsigned());
    all.insert("agent".into(), address());
    all.insert(
        "router".into(),
        object(json!({"name": {"type": "string"}, "labels": {"type": "object", "additionalProperties": {"type": "string"}}}), &["name"]),
    );
    if let Value::Object(properties) = properties {
        all.extend(properties);
    }
    let required: Vec<&str> = ["kind", "exporter", "receiveTime"].iter().chain(required).copied().collect();
    object(Value::Object(all), &required)
}
