//! What cards are set to while an instance runs, and that it is set back: at the stop, also after everything was killed.
//!
//! Needs root, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::process::Stdio;

use control::ebpf::attach::device_index;
use control::kernel::ethtool::{Ethtool, RX_VLAN};
use lab::topology::Topology;
use running::{Instance, inside, ip, signal};
use rustix::process::Signal;

const CONFIG: &str = "mode = \"native\"\nworkers = [0]\ndevices = [\"port0\", \"one0\"]\n\
    [[exporters.allow]]\nsource = \"10.0.0.2\"\n[nic]\nqueues = 2\nrx_vlan_off = true\nrss_by_source = true\nntuple_by_slot = true\n[metrics]\nlisten = \"127.0.0.1:9810\"\n\
    [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

/// Receive queues of a device, and whether its tags are taken off.
fn now(topology: &Topology, device: &str) -> (u32, bool) {
    inside(topology, "a", || {
        let (ethtool, index) = (Ethtool::new().unwrap().unwrap(), device_index(device).unwrap());
        (ethtool.channels(index).unwrap().rx.0, ethtool.features(index).unwrap().active.contains(RX_VLAN))
    })
}

/// A pair of namespaces whose first has a device of two queues, one of which is in use, and one that has no second.
fn host() -> Topology {
    let topology = Topology::pair(1).unwrap();
    ip(
        &topology,
        "a",
        "link add port0 numrxqueues 2 numtxqueues 2 type veth peer name port1 numrxqueues 2 numtxqueues 2",
    );
    ip(
        &topology,
        "a",
        "link add one0 numrxqueues 1 numtxqueues 1 type veth peer name one1 numrxqueues 1 numtxqueues 1",
    );
    for device in ["port1", "one1", "one0", "port0"] {
        if device.starts_with("port") {
            let mut command = topology.command("a", "ethtool");
            command.args(["-L", device, "rx", "1", "tx", "1"]).stdout(Stdio::null());
            assert!(command.status().unwrap().success());
        }
        ip(&topology, "a", &format!("link set {device} up"));
    }
    topology
}

fn check(topology: &Topology, directory: &std::path::Path) -> String {
    let mut command = topology.command("a", env!("CARGO_BIN_EXE_millrace"));
    let output = command.args(["check", "--config"]).arg(directory.join("millrace.toml")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn queues_and_offloads_are_set_and_set_back() {
    let topology = host();
    assert_eq!((now(&topology, "port0"), now(&topology, "one0")), ((1, true), (1, true)));
    let mut instance = Instance::start(&topology, "a", CONFIG);
    assert_eq!(
        (now(&topology, "port0"), now(&topology, "one0")),
        ((2, false), (1, false)),
        "{}",
        instance.log()
    );
    let devices = instance.show(control::process::control::answers::What::Devices);
    let queues: Vec<_> =
        devices.iter().map(|device| (&device["device"], &device["queues"], &device["rings"])).collect();
    assert_eq!(queues[0], (&"port0".into(), &2.into(), &2.into()));
    // A veth hashes nothing and has no rules: that is said once a device, and everything goes on.
    for key in ["rss_by_source", "ntuple_by_slot"] {
        let line = format!("does not let nic.{key} be set");
        assert_eq!(instance.log().matches(&line).count(), 2, "{}", instance.log());
    }
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!((now(&topology, "port0"), now(&topology, "one0")), ((1, true), (1, true)));

    // The plan says so before anything is touched.
    let file = instance.directory().join("millrace.toml");
    let plan = check(&topology, instance.directory());
    assert!(plan.contains("nic.queues: 1 become 2, until the stop"), "{plan}");
    assert!(plan.contains("nic.queues: 1, as it is"), "{plan}");
    assert!(plan.contains("nic.rx_vlan_off: rxvlan goes off, until the stop"), "{plan}");
    assert!(plan.contains("nic.rss_by_source: its driver does not tell of udp4"), "{plan}");
    assert!(plan.contains("nic.ntuple_by_slot: its driver does not tell of rules"), "{plan}");
    assert_eq!(now(&topology, "port0"), (1, true), "{}", file.display());

    // Everything is killed at once: the next instance knows what was there before the first.
    let killed = Instance::start(&topology, "a", CONFIG);
    // Control first: it would set everything back once the keeper is gone.
    let parts = [killed.part("control"), Some(killed.keeper()), killed.part("dataplane")];
    parts.into_iter().flatten().for_each(|pid| signal(pid, Signal::KILL));
    assert_eq!(now(&topology, "port0"), (2, false));
    let mut again = Instance::start(&topology, "a", CONFIG);
    assert_eq!(now(&topology, "port0"), (2, false), "{}", again.log());
    let ended = again.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", again.log());
    assert_eq!((now(&topology, "port0"), now(&topology, "one0")), ((1, true), (1, true)), "{}", again.log());
}
