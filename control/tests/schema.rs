//! `millrace schema` as a user runs it.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::process::{Command, Output};

use serde_json::Value;

fn schema(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millrace")).arg("schema").args(arguments).output().unwrap()
}

#[test]
fn one_kind_or_all_of_them() {
    let one: Value = serde_json::from_slice(&schema(&["flow"]).stdout).unwrap();
    assert_eq!(one["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!((&one["title"], &one["properties"]["kind"]["const"]), (&"flow".into(), &"flow".into()));
    let all: Value = serde_json::from_slice(&schema(&[]).stdout).unwrap();
    let kinds = all["oneOf"].as_array().unwrap();
    for kind in ["flow", "options", "route", "peerUp", "stats", "sample", "notification", "error"] {
        let reference = format!("#/$defs/{kind}");
        assert!(kinds.iter().any(|one| one["$ref"] == *reference), "{kind}");
        assert_eq!(all["$defs"][kind]["properties"]["kind"]["const"], kind);
    }
}

#[test]
fn an_unknown_kind_is_one_line_and_status_1() {
    let output = schema(&["flows"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("flow, options") && errors.lines().count() == 1, "{errors}");
}
