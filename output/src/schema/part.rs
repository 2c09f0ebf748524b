//! What schemas are put together from.

use serde_json::{Value, json};

/// An object with these keys and no others.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An array.
pub(super) fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// One of some words.
pub(super) fn words(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A definition of the document.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A number that is not negative.
pub(super) fn unsigned() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// Any number.
pub(super) fn number() -> Value {
    json!({"type": "number"})
}

/// Text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// `true` or `false`.
pub(super) fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// Octets in hex.
pub(super) fn hex() -> Value {
    json!({"type": "string", "pattern": "^([0-9a-f]{2})*$"})
}

/// An address of IPv4 or IPv6.
pub(super) fn address() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-f.:]+$"})
}

/// A prefix.
pub(super) fn prefix() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-f.:]+/[0-9]{1,3}$"})
}

/// A moment in UTC with 0, 3, 6 or 9 digits of the second.
pub(super) fn time() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.([0-9]{3}|[0-9]{6}|[0-9]{9}))?Z$"})
}

/// A moment, or null where there is none.
pub(super) fn time_or_null() -> Value {
    json!({"anyOf": [time(), {"type": "null"}]})
}

/// A route distinguisher (the four forms of RFC 4364 and hex).
pub(super) fn distinguisher() -> Value {
    json!({"type": "string", "pattern": "^(([0-9]+L?|[0-9.]+):[0-9]+|0x[0-9a-f]{16})$"})
}

/// Numbers.
pub(super) fn numbers() -> Value {
    list(unsigned())
}

/// Words or numbers as text.
pub(super) fn texts() -> Value {
    list(text())
}
