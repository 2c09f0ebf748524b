//! The binary as a user runs it: a mistake is one line and status 1, a plan is printed, nothing runs is status 3.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::path::PathBuf;
use std::process::{Command, Output};

const LISTEN: &str = "[[listen]]\nprotocol = \"ipfix\"\naddress = \"127.0.0.1\"\nport = 4739\n";

/// A file of its own, gone on drop.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mr-check-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn millrace(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).output().unwrap()
}

/// Status and the one line of standard error.
fn refused(verb: &str, name: &str, text: &str) -> (i32, String) {
    let file = File::new(name, text);
    let output = millrace(&[verb, "--config", file.0.to_str().unwrap()]);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), line.trim_end().to_owned())
}

#[test]
fn a_mistake_is_one_line_with_key_value_and_range() {
    for verb in ["check", "run"] {
        assert_eq!(
            refused(verb, &format!("{verb}-key"), &format!("wokers = [0]\n{LISTEN}")),
            (1, "millrace: line 1: unknown key `wokers`, did you mean `workers`?".to_owned())
        );
        assert_eq!(
            refused(verb, &format!("{verb}-range"), &format!("{LISTEN}[limits]\nmax_routers = 0\n")),
            (1, "millrace: key `limits.max_routers`, value `0`: legal is 1 to 1000000".to_owned())
        );
        let (status, line) =
            refused(verb, &format!("{verb}-device"), &format!("devices = [\"no-such\"]\n{LISTEN}"));
        assert!(
            line.contains("key `devices`, value `no-such`: no such device here; legal is one of "),
            "{line}"
        );
        assert!(line.contains("lo") && status == 1, "{line}");
    }
    let (status, line) = refused("check", "core", &format!("workers = [999]\n{LISTEN}"));
    assert!(status == 1 && line.contains("key `workers`, value `999`: legal is one of the cores "), "{line}");
}

#[test]
fn a_missing_file_is_one_line() {
    let output = millrace(&["check", "--config", "/no/such/file.toml"]);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{line}");
    assert!(line.contains("/no/such/file.toml"));
}

#[test]
fn a_plan_names_workers_devices_listeners_and_sinks() {
    let text = format!("devices = [\"lo\"]\n{LISTEN}[[sink]]\ntype = \"json\"\npath = \"out\"\n");
    let file = File::new("plan", &text);
    let output = millrace(&["check", "--config", file.0.to_str().unwrap()]);
    let plan = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{plan}");
    for line in [
        "worker 0: core 0, slot 0 of 1",
        "device lo: index 1",
        "listen ipfix on UDP 127.0.0.1:4739",
        "sink json: out",
    ] {
        assert!(plan.contains(line), "{line} in {plan}");
    }
}

#[test]
fn nothing_runs_and_wrong_usage_have_their_own_status() {
    let output = millrace(&["show", "workers", "--socket", "/no/such/socket"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    assert_eq!(millrace(&["shwo"]).status.code(), Some(2));
    assert_eq!(millrace(&["show", "everything"]).status.code(), Some(2));
}

#[test]
fn every_verb_has_an_example() {
    for verb in ["run", "check", "decode", "show", "dump", "reload", "confirm"] {
        let help = String::from_utf8(millrace(&[verb, "--help"]).stdout).unwrap();
        assert!(help.contains("Examples:\n") && help.contains(&format!("millrace {verb}")), "{help}");
    }
}
