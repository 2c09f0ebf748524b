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

use control::process::control::answers::What;
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
