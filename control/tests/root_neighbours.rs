//! Neighbours of next hops that only XDP uses, over a running instance: the kernel keeps them for us, learns where they
//! have moved to, and has them back when nobody uses them any more.
//!
//! Needs root, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use control::process::control::answers::What;
use lab::topology::Topology;
use running::{Instance, ip};
use serde_json::Value;

const CONFIG: &str = "mode = \"native\"\nworkers = [0]\ndevices = [\"eth0\"]\n\
    [forward]\nenabled = true\nneighbour_idle_s = 5\naudit_s = 1\n[metrics]\nlisten = \"127.0.0.1:9810\"\n\
    [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";
/// The next hop: `b`.
const HOP: &str = "10.73.0.2";

/// Packets that XDP sends back to `b`, five a second, until it is dropped.
struct Traffic(Child);

impl Traffic {
    fn new(topology: &Topology) -> Self {
        let mut command = topology.command("b", "ping");
        Self(command.args(["-i", "0.2", "203.0.113.9"]).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `show neighbours` says of the next hop.
fn shown(instance: &Instance) -> Value {
    let all = instance.show(What::Neighbours);
    all.into_iter().find(|neighbour| neighbour["address"] == HOP).unwrap_or_default()
}

fn until(instance: &Instance, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let neighbour = shown(instance);
        if holds(&neighbour) {
            return neighbour;
        }
        assert!(Instant::now() < until, "{what}: {neighbour}\n{}", instance.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the kernel says of it.
fn kernel(topology: &Topology) -> String {
    ip(topology, "a", &format!("neigh show to {HOP}"))
}

#[test]
fn a_next_hop_that_xdp_uses_stays_fresh_and_is_let_go() {
    let topology = Topology::pair(1).unwrap();
    let on = |who: &str, line: &str| {
        let mut words = line.split(' ');
        let mut command = topology.command(who, words.next().unwrap());
        assert!(command.args(words).stdout(Stdio::null()).status().unwrap().success(), "{line}");
    };
    on("a", "sysctl -qw net.ipv4.ip_forward=1");
    // Redirects would make the sender leave the router out.
    on("a", "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0");
    on("b", "ethtool -K eth0 gro on tx off");
    ip(&topology, "a", &format!("route add 203.0.113.0/24 via {HOP}"));
    ip(&topology, "b", "route add 203.0.113.0/24 via 10.73.0.1");
    let mut instance = Instance::start(&topology, "a", CONFIG);

    let traffic = Traffic::new(&topology);
    let fresh = until(&instance, "kept", |hop| hop["kept"] == true && hop["managed"] == true);
    assert_eq!(fresh["difference"], Value::Null, "{fresh}");
    assert!(kernel(&topology).contains("managed"), "{}", kernel(&topology));
    instance.until(|counters| counters["xdp"]["forwarded"].as_u64() > Some(10));

    // It moves to another MAC address: nobody but the kernel asks, and XDP follows.
    ip(&topology, "b", "link set eth0 address 02:00:00:00:0b:0b");
    until(&instance, "moved", |hop| hop["mac"] == "02:00:00:00:0b:0b");

    drop(traffic);
    let idle = until(&instance, "let go", |hop| hop["kept"] != true && hop["managed"] != true);
    assert!(!kernel(&topology).contains("managed"), "{idle} {}", kernel(&topology));
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["unexplained"], 0, "{}", ended.totals);
}
