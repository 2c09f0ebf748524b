//! What control knows of exporters, and what the workers' flow sessions know of their sequence numbers and clocks
//! -> one item an exporter. Joined here, since control reads nothing that came from a router.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

/// What the sessions of one address say together.
#[derive(Default)]
struct Said {
    sequence_lost: u64,
    /// Arrival of the last message, and the clock offset that it showed.
    newest: Option<(String, i64)>,
}

/// Adds `sequenceLost` (units that sequence numbers miss, all domains together), `clockOffsetMs` (export time less
/// arrival of the last message) and, where nothing better is known, `lastSeen` to the items of `answer`.
pub(super) fn tell(answer: &mut Value, sessions: &Value) {
    let mut by_exporter: HashMap<&str, Said> = HashMap::new();
    for session in sessions["items"].as_array().into_iter().flatten() {
        let Some(exporter) = session["exporter"].as_str() else { continue };
        let said = by_exporter.entry(exporter).or_default();
        said.sequence_lost += session["sequenceLost"].as_u64().unwrap_or(0);
        let seen = session["lastSeen"].as_str().unwrap_or_default();
        if let Some(offset_ns) = session["clockOffsetNs"].as_i64()
            && said.newest.as_ref().is_none_or(|(newest, _)| newest.as_str() < seen)
        {
            said.newest = Some((seen.to_owned(), offset_ns));
        }
    }
    let Some(items) = answer["items"].as_array_mut() else { return };
    // A session that is in no row and that no program has seen: nobody wants its kinds, or its template is missing.
    let mut known: HashSet<String> =
        items.iter().filter_map(|item| item["exporter"].as_str().map(str::to_owned)).collect();
    for session in sessions["items"].as_array().into_iter().flatten() {
        if session["exporter"].as_str().is_some_and(|exporter| known.insert(exporter.to_owned())) {
            items.push(json!({
                "exporter": session["exporter"], "worker": session["worker"], "state": "no_rows",
            }));
        }
    }
    for item in items {
        let Some(said) = item["exporter"].as_str().and_then(|exporter| by_exporter.get(exporter)) else {
            continue;
        };
        item["sequenceLost"] = said.sequence_lost.into();
        if let Some((seen, offset_ns)) = &said.newest {
            item["clockOffsetMs"] = json!(offset_ns / 1_000_000);
            if item["lastSeen"].is_null() {
                item["lastSeen"] = json!(seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_an_exporter_are_one_item() {
        let mut answer = json!({"items": [
            {"exporter": "192.0.2.1", "lastSeen": "2026-01-02T03:04:05.000Z"},
            {"exporter": "192.0.2.2", "state": "no_rows"},
            {"exporter": "192.0.2.3"},
        ]});
        let session = |exporter, seen, lost, offset_ns: i64| json!({"exporter": exporter, "lastSeen": seen, "sequenceLost": lost, "clockOffsetNs": offset_ns});
        tell(
            &mut answer,
            &json!({"items": [
                session("192.0.2.1", "2026-01-02T03:04:05.000Z", 3, -2_000_000),
                session("192.0.2.1", "2026-01-02T03:04:04.000Z", 4, -9_000_000),
                session("192.0.2.2", "2026-01-02T03:04:06.000Z", 0, 1_500_000),
            ]}),
        );
        assert_eq!(
            answer["items"],
            json!([
                {"exporter": "192.0.2.1", "lastSeen": "2026-01-02T03:04:05.000Z", "sequenceLost": 7, "clockOffsetMs": -2},
                {"exporter": "192.0.2.2", "state": "no_rows", "lastSeen": "2026-01-02T03:04:06.000Z",
                 "sequenceLost": 0, "clockOffsetMs": 1},
                {"exporter": "192.0.2.3"},
            ])
        );
    }
}
