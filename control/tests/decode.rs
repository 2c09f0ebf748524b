//! `millrace decode` as a user runs it, over captures of real exporters.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn capture(name: &str) -> String {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../collector/tests/captures");
    tests.join(name).to_str().unwrap().to_owned()
}

fn millrace(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.arg("decode").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The lines of a run that succeeded, and its summary.
fn decode(arguments: &[&str]) -> (Vec<Value>, Value) {
    let output = millrace(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let summary = serde_json::from_str(errors.lines().last().unwrap()).unwrap();
    (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), summary)
}

/// Packets of the flows that hosts caused; port 9 is filler.
fn packets(flows: &[Value]) -> u64 {
    flows
        .iter()
        .filter(|flow| flow["kind"] == "flow")
        .map(|flow| &flow["fields"])
        .filter(|fields| fields["sourceTransportPort"] != 9 && fields["destinationTransportPort"] != 9)
        .map(|fields| fields["packetDeltaCount"].as_u64().unwrap())
        .sum()
}

#[test]
fn flows_of_three_exporters_hold_the_packets_that_their_hosts_sent() {
    for name in ["softflowd-ipfix-ipv4.pcap", "softflowd-netflow9-ipv4.pcap", "softflowd-ipfix-ipv6.pcap"] {
        let (lines, summary) = decode(&[&capture(name)]);
        assert_eq!(packets(&lines), 1_125, "{name}");
        assert_eq!(summary["unexplained"], 0, "{name}");
        let flows = lines.iter().filter(|line| line["kind"] == "flow").count();
        assert_eq!(summary["records"]["flow"]["row"], flows, "{name}");
    }
}

#[test]
fn each_flow_meets_the_route_of_its_own_router() {
    for (bmp, flows, path, community) in [
        ("frr-bmp-ipv4.pcap", "softflowd-ipfix-ipv4.pcap", &[64_500, 65_010, 65_100][..], "65010:1"),
        ("gobgp-bmp-ipv4.pcap", "softflowd-netflow9-ipv4.pcap", &[64_500, 65_020, 65_021, 65_100], "65020:2"),
        ("frr-bmp-ipv6.pcap", "softflowd-ipfix-ipv6.pcap", &[64_500, 65_030, 65_100], "65030:3"),
    ] {
        let (lines, _) = decode(&[
            "--bmp-port",
            "11019",
            "--join",
            "--kind",
            "flow",
            "--",
            &capture(bmp),
            &capture(flows),
        ]);
        let found: Vec<&Value> = lines
            .iter()
            .map(|line| &line["join"]["destination"])
            .filter(|side| side["miss"].is_null())
            .collect();
        assert!(found.len() >= 40, "{flows}: {}", found.len());
        for side in found {
            let numbers: Vec<u64> =
                side["asPath"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect();
            // FRR puts its own AS in front of what it shows (FRRouting issue 21815).
            assert!(numbers.ends_with(path), "{flows}: {numbers:?}");
            assert!(side["communities"].as_array().unwrap().iter().any(|text| text == community), "{side}");
        }
    }
}

#[test]
fn lines_of_a_session_are_numbered_without_a_gap() {
    let (lines, _) = decode(&["--bmp-port", "11019", "--", &capture("frr-bmp-ipv4.pcap")]);
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(lines.iter().any(|line| line["kind"] == "peerUp"));
}

#[test]
fn standard_input_and_filters() {
    let name = capture("softflowd-ipfix-ipv4.pcap");
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    let mut child = command
        .args(["decode", "--kind", "options", "--exporter", "10.71.1.1", "--", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(name).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(
        !lines.is_empty() && lines.lines().all(|line| line.starts_with("{\"kind\":\"options\"")),
        "{lines}"
    );
}

#[test]
fn what_cannot_be_read_is_one_line_and_status_1() {
    for (arguments, told) in [
        (&["missing.pcap"][..], "missing.pcap"),
        (&[env!("CARGO_BIN_EXE_millrace")], "not a pcap or pcapng file"),
        (&["--kind", "flows", "x.pcap"], "flows"),
    ] {
        let output = millrace(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(told) && errors.lines().count() == 1, "{errors}");
    }
    assert_eq!(millrace(&["--udp-port", "70000", "x.pcap"]).status.code(), Some(2));
}

#[test]
fn a_capture_cut_off_anywhere_is_decoded_as_far_as_it_goes() {
    let whole = std::fs::read(capture("softflowd-ipfix-ipv4.pcap")).unwrap();
    let path = std::env::temp_dir().join(format!("millrace-cut-{}.pcap", std::process::id()));
    for length in (24..whole.len()).step_by(701) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let output = millrace(&[path.to_str().unwrap()]);
        let errors = String::from_utf8(output.stderr).unwrap();
        let summary: Value = serde_json::from_str(errors.lines().last().unwrap()).unwrap();
        assert!(output.status.success(), "{length}: {errors}");
        assert_eq!(summary["unexplained"], 0, "{length}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    let mut child = command
        .args(["decode", "--bmp-port", "11019", "--", &capture("frr-bmp-ipv4.pcap")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn bare_payload_of_every_protocol_over_udp_is_read() {
    let directory = std::env::temp_dir().join(format!("millrace-payload-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, octets: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, octets).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Publisher 7; messages 1 and 4, so two are missing between them.
    let first = [&[0x21, 12, 0, 14, 0, 0, 0, 7, 0, 0, 0, 1][..], b"{}"].concat();
    let second = [&[0x22, 12, 0, 15, 0, 0, 0, 7, 0, 0, 0, 4][..], b"<a>"].concat();
    let files = [file("first", &first), file("second", &second)];
    let (lines, summary) = decode(&["--payload", "udp-notif:2001:db8::1", &files[0], &files[1]]);
    assert_eq!(
        lines.iter().map(|line| &line["message"]).collect::<Vec<_>>(),
        [&serde_json::json!({}), &"<a>".into()]
    );
    assert!(lines.iter().all(|line| line["kind"] == "notification" && line["exporter"] == "2001:db8::1"));
    assert_eq!(summary["messages"]["udp-notif"]["decoded"], 2);
    assert_eq!(summary["sequenceLost"]["udp-notif"], 2);
    // Agent 192.0.2.9, one counter sample without records.
    let words = [5, 1, 0xc000_0209, 0, 1, 1_000, 1, 2, 12, 1, 3, 0_u32];
    let datagram: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let (lines, summary) = decode(&["--payload", "sflow:192.0.2.1", &file("third", &datagram)]);
    assert_eq!((&lines[0]["kind"], &lines[0]["agent"]), (&"counters".into(), &"192.0.2.9".into()));
    assert_eq!(
        (summary["records"]["counters"]["row"].as_u64(), summary["unexplained"].as_u64()),
        (Some(1), Some(0))
    );
    std::fs::remove_dir_all(directory).unwrap();
}
