//! The map of local addresses follows the kernel: 200 changes leave it equal to `ip -j addr`, each change within
//! a moment, also when the kernel had to drop events.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control::admin::{self, Request};
use control::process::control::answers::What;
use control::process::control::explain::Packet;
use lab::topology::Topology;
use running::{Instance, ip};
use serde_json::Value;

const CONFIG: &str = "mode = \"native\"\nworkers = [0]\ndevices = [\"eth0\"]\n\
    [metrics]\nlisten = \"127.0.0.1:9810\"\n\
    [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

fn map(instance: &Instance) -> BTreeSet<String> {
    let items = instance.show(What::Addresses);
    items.iter().filter_map(|item| item["address"].as_str().map(str::to_owned)).collect()
}

fn kernel(topology: &Topology) -> BTreeSet<String> {
    let links: Value = serde_json::from_str(&ip(topology, "a", "-j addr")).unwrap();
    let addresses = links.as_array().unwrap().iter().flat_map(|link| link["addr_info"].as_array().unwrap());
    addresses.filter_map(|address| address["local"].as_str().map(str::to_owned)).collect()
}

/// How long until the map equals the kernel.
fn settled(topology: &Topology, instance: &Instance) -> Duration {
    let wanted = kernel(topology);
    let began = Instant::now();
    while map(instance) != wanted {
        assert!(began.elapsed() < Duration::from_secs(5), "{wanted:?} is not {:?}", map(instance));
    }
    began.elapsed()
}

#[test]
fn two_hundred_changes_leave_the_map_equal_to_the_kernel() {
    let topology = Topology::pair(1).unwrap();
    let mut instance = Instance::start(&topology, "a", CONFIG);
    settled(&topology, &instance);

    let mut took = Vec::new();
    for n in 1..=20 {
        ip(&topology, "a", &format!("addr add 192.0.2.{n}/32 dev eth0"));
        took.push(settled(&topology, &instance));
    }
    took.sort();
    assert!(took[10] < Duration::from_millis(100), "{took:?}");

    let mut batch = String::new();
    for n in 1..=100 {
        batch += &format!("addr add 2001:db8::{n:x}/128 dev eth0 nodad\naddr add 198.51.100.{n}/32 dev lo\n");
        if n % 3 == 0 {
            batch += &format!("addr del 198.51.100.{n}/32 dev lo\n");
        }
    }
    let mut child = Command::new("ip")
        .args(["-n", &topology.namespace("a"), "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    settled(&topology, &instance);
    assert_eq!(map(&instance).len(), kernel(&topology).len());
    assert!(map(&instance).contains("2001:db8::64"));

    // A device that comes and goes takes its addresses along.
    ip(&topology, "a", "link add other type veth peer name rehto");
    ip(&topology, "a", "addr add 203.0.113.7/32 dev other");
    settled(&topology, &instance);
    assert!(map(&instance).contains("203.0.113.7"));
    ip(&topology, "a", "link del other");
    settled(&topology, &instance);
    assert!(!map(&instance).contains("203.0.113.7"));

    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
}

const FORWARDING: &str = "mode = \"native\"\nworkers = [0]\ndevices = [\"eth0\"]\n\
    [forward]\nenabled = true\naudit_s = 1\n\
    [metrics]\nlisten = \"127.0.0.1:9810\"\n\
    [[acl]]\naction = \"deny\"\nsource = [\"198.51.100.66\"]\n\
    [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

fn explained(instance: &Instance, from: &str, to: &str) -> Value {
    let packet = Packet { to: to.parse().unwrap(), from: from.parse().unwrap(), device: "eth0".into() };
    let request = Request { packet: Some(packet), ..Request::from(What::Fib) };
    let answer = admin::ask(&instance.directory().join("control.sock"), request).unwrap().unwrap();
    answer["items"][0].clone()
}

#[test]
fn what_forwarding_holds_is_shown_and_packets_are_explained() {
    let topology = Topology::pair(1).unwrap();
    let mut on = topology.command("a", "sysctl");
    assert!(on.args(["-qw", "net.ipv4.ip_forward=1"]).status().unwrap().success());
    // Only so it takes what XDP on its peer sends.
    let mut merges = topology.command("b", "ethtool");
    assert!(merges.args(["-K", "eth0", "gro", "on"]).status().unwrap().success());
    ip(&topology, "a", "neigh replace 10.73.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent");
    ip(&topology, "a", "route add 203.0.113.0/24 via 10.73.0.2");
    ip(&topology, "a", "route add blackhole 203.0.114.0/24");
    let mut instance = Instance::start(&topology, "a", FORWARDING);

    let fib = instance.show(What::Fib);
    let tables: BTreeSet<&str> = fib.iter().filter_map(|item| item["table"].as_str()).collect();
    assert_eq!(tables, ["arrival", "departure", "port"].into(), "{fib:?}");
    assert!(fib.iter().all(|item| item["difference"].is_null()), "{fib:?}");
    let neighbours = instance.show(What::Neighbours);
    let known = neighbours.iter().find(|neighbour| neighbour["address"] == "10.73.0.2").unwrap();
    assert_eq!((&known["mac"], &known["state"]), (&"02:00:00:00:00:99".into(), &"permanent".into()));

    let before = instance.counters();
    let sent = explained(&instance, "198.51.100.1", "203.0.113.9");
    assert_eq!((&sent["verdict"], &sent["end"]), (&"redirect".into(), &"forwarded".into()), "{sent}");
    assert_eq!(sent["egress"], "eth0");
    let rewritten = sent["rewritten"].as_array().unwrap();
    assert!(rewritten.iter().any(|run| run == "22: 40 > 3f"), "the TTL: {sent}");
    assert!(rewritten[0].as_str().unwrap().contains("020000000099"), "the next hop's MAC: {sent}");
    let dropped = explained(&instance, "198.51.100.1", "203.0.114.9");
    assert_eq!((&dropped["verdict"], &dropped["end"]), (&"drop".into(), &"blackhole".into()), "{dropped}");
    let denied = explained(&instance, "198.51.100.66", "203.0.113.9");
    assert_eq!((&denied["verdict"], &denied["end"]), (&"drop".into(), &"denied".into()), "{denied}");
    let local = explained(&instance, "198.51.100.1", "10.73.0.1");
    assert_eq!(local["verdict"], "pass", "{local}");
    for end in ["forwarded", "blackhole", "denied"] {
        assert_eq!(instance.counters()["xdp"][end], before["xdp"][end], "an explanation counts nothing");
    }
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["unexplained"], 0, "{}", ended.totals);
}
