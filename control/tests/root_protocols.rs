//! Every protocol through a whole instance: IPFIX, NetFlow 9 and 5, sFlow and UDP-notif as datagrams, over rings and
//! over kernel sockets, BMP as a stream; rows of every kind come out in the files, as many as were counted.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;
#[path = "../../wire/tests/walk/populations.rs"]
mod populations;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;

use lab::topology::Topology;
use running::{Instance, inside};
use serde_json::{Value, json};

/// Protocol of each listener, and the port it gets.
const LISTENERS: [(&str, u16); 5] =
    [("netflow", 2055), ("ipfix", 4739), ("sflow", 6343), ("udp-notif", 10_003), ("bmp", 11_019)];
/// Kinds of which the populations have at least one row.
const KINDS: [&str; 14] = [
    "flow",
    "options",
    "sample",
    "counters",
    "notification",
    "route",
    "initiation",
    "termination",
    "peerUp",
    "peerDown",
    "stats",
    "mirror",
    "session",
    "error",
];

fn config(mode: &str) -> String {
    let mut text = format!(
        "mode = \"{mode}\"\nworkers = [0, 1]\ndevices = [\"eth0\"]\n\
         [metrics]\nlisten = \"127.0.0.1:9810\"\n\
         [[sink]]\ntype = \"json\"\npath = \"OUT\"\n"
    );
    for (protocol, port) in LISTENERS {
        text += &format!("[[listen]]\nprotocol = \"{protocol}\"\naddress = \"::\"\nport = {port}\n");
    }
    text
}

/// Lines by kind of every file that is complete; each names its kind as its file does.
fn lines(directory: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in fs::read_dir(directory).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        assert!(name.ends_with(".jsonl"), "{name}");
        for line in fs::read_to_string(file.path()).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let kind = line["kind"].as_str().unwrap().to_owned();
            assert!(name.starts_with(&format!("{kind}-")), "{kind} in {name}");
            assert_eq!(line["exporter"], "10.73.0.2");
            found.entry(kind).or_default().push(line);
        }
    }
    found
}

fn every_protocol(mode: &str) {
    let topology = Topology::pair(2).unwrap();
    let mut instance = Instance::start(&topology, "a", &config(mode));
    let [samples, notifications] = populations::samples_and_notifications();
    let flows = populations::flows();
    let datagrams: Vec<(u16, Vec<u8>)> = [(2055, flows), (6343, samples), (10_003, notifications)]
        .into_iter()
        .flat_map(|(port, payloads)| payloads.into_iter().map(move |payload| (port, payload)))
        .collect();
    let messages = populations::bmp();
    inside(&topology, "b", || {
        let mut stream = TcpStream::connect(("10.73.0.1", 11_019)).unwrap();
        stream.write_all(&messages.concat()).unwrap();
        let socket = UdpSocket::bind("10.73.0.2:0").unwrap();
        for (port, payload) in &datagrams {
            socket.send_to(payload, ("10.73.0.1", *port)).unwrap();
        }
    });
    let sent = datagrams.len() as u64;
    let counters = instance.until(|counters| {
        let path = |name: &str| counters["path"][name].as_u64().unwrap_or(0);
        let bmp = counters["messages"]["bmp"].as_object();
        let read: u64 = bmp.map_or(0, |ends| ends.values().filter_map(Value::as_u64).sum());
        path("xsk") + path("kernel") == sent && read == messages.len() as u64
    });
    let [rings, sockets] = ["xsk", "kernel"].map(|path| counters["path"][path].as_u64().unwrap());
    assert_eq!((rings, sockets), if mode == "socket" { (0, sent) } else { (sent, 0) }, "{counters}");
    for protocol in ["ipfix", "netflow9", "netflow5", "sflow", "udp-notif", "bmp"] {
        assert!(counters["messages"][protocol]["decoded"].as_u64() > Some(0), "{protocol}: {counters}");
    }
    let ended = instance.stop();
    assert_eq!((ended.status, &ended.totals["differences"]), (0, &json!([])), "{}", instance.log());
    let lines = lines(&instance.directory().join("out"));
    for kind in KINDS {
        let rows = ended.totals["records"][kind]["row"].as_u64();
        assert_eq!(lines.get(kind).map(|lines| lines.len() as u64), rows, "{kind}: {}", ended.totals);
    }
    assert_eq!(["sample", "counters", "notification"].map(|kind| lines[kind].len()), [3, 1, 5]);
    assert_eq!(lines["sample"][0]["fields"]["dot1qVlanId"], 7, "{}", lines["sample"][0]);
    assert!(lines["notification"].iter().any(|line| line["message"] == "<a>1</a>"));
    assert!(lines["flow"].iter().any(|line| line["version"] == 5));
    assert!(lines["route"].iter().any(|line| line["attributes"]["bgpsecPath"].is_object()));
}

#[test]
fn every_protocol_in_native_mode() {
    every_protocol("native");
}

#[test]
fn every_protocol_in_socket_mode() {
    every_protocol("socket");
}
