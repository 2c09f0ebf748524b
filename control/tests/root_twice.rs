//! Two instances at once: in two namespaces they do not meet; with one state directory the second is refused.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::net::UdpSocket;
use std::process::Command;

use lab::exporter::Router;
use lab::topology::Topology;
use running::{Instance, inside};

const CONFIG: &str = "mode = \"native\"\nworkers = [0]\ndevices = [\"eth0\"]\n\
    [metrics]\nlisten = \"127.0.0.1:9810\"\n\
    [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

#[test]
fn two_runs_side_by_side_do_not_meet() {
    let topologies = [Topology::pair(1).unwrap(), Topology::pair(1).unwrap()];
    let mut instances = topologies.each_ref().map(|topology| Instance::start(topology, "a", CONFIG));
    for (topology, datagrams) in topologies.iter().zip([10_u64, 25]) {
        inside(topology, "b", || {
            let mut router = Router::new(0, 1, 3);
            let socket = UdpSocket::bind("10.73.0.2:0").unwrap();
            for _ in 0..datagrams {
                socket.send_to(&router.template(), "10.73.0.1:4739").unwrap();
            }
        });
    }
    for (instance, datagrams) in instances.iter().zip([10_u64, 25]) {
        instance.until(|counters| counters["packets"]["delivered"] == datagrams);
        assert_eq!(instance.counters()["path"]["xsk"], datagrams);
    }
    let second = instances[0].directory().join("millrace.toml");
    let refused = topologies[0]
        .command("a", env!("CARGO_BIN_EXE_millrace"))
        .args(["run", "--config"])
        .arg(second)
        .output()
        .unwrap();
    let line = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{line}");
    assert!(line.contains("another millrace runs with it") && line.lines().count() == 1, "{line}");
    // What the refused one did not take down: the first still works.
    assert_eq!(instances[0].counters()["packets"]["delivered"], 10);
    for instance in &mut instances {
        assert_eq!(instance.stop().status, 0);
    }
}

/// `millrace run` by another user without any capability: kernel sockets, one worker.
#[test]
fn without_privilege_one_worker_takes_everything_over_sockets() {
    let directory = std::env::temp_dir().join(format!("mr-plain-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let at = directory.display();
    let probe = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (port, metrics) = (probe(), probe());
    let text = format!(
        "mode = \"socket\"\nworkers = [0, 1]\nstate_dir = \"{at}/state\"\ncontrol_socket = \"{at}/control.sock\"\n\
         [metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\
         [[listen]]\nprotocol = \"ipfix\"\naddress = \"127.0.0.1\"\nport = {port}\n\
         [[sink]]\ntype = \"json\"\npath = \"{at}/out\"\n"
    );
    std::fs::write(directory.join("millrace.toml"), text).unwrap();
    // setpriv drops every capability for good; the directory stays root's, and so does the process.
    let mut child = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
        .arg(env!("CARGO_BIN_EXE_millrace"))
        .args(["run", "--config"])
        .arg(directory.join("millrace.toml"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let socket = directory.join("control.sock");
    let ask = |what| control::admin::ask(&socket, what).ok().flatten();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut sent = 0;
    let counters = loop {
        use control::process::control::answers::What;
        let workers = ask(What::Workers).map(|answer| answer["items"].clone());
        let running = workers.as_ref().is_some_and(|items| items[0]["state"] == "running");
        if running && sent == 0 {
            assert_eq!(workers.unwrap().as_array().unwrap().len(), 1);
            let from = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut router = Router::new(0, 1, 3);
            from.send_to(&router.template(), ("127.0.0.1", port)).unwrap();
            from.send_to(&router.flows(5), ("127.0.0.1", port)).unwrap();
            sent = 2;
        }
        let counters = ask(What::Counters).map(|answer| answer["items"][0].clone()).unwrap_or_default();
        if counters["sinks"]["json"]["written"] == 5 {
            break counters;
        }
        if std::time::Instant::now() > until {
            child.kill().unwrap();
            panic!("{counters}");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!((&counters["path"]["kernel"], &counters["unexplained"]), (&2.into(), &0.into()));
    running::signal(child.id(), rustix::process::Signal::TERM);
    assert!(child.wait().unwrap().success());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn native_mode_without_privilege_is_one_line_and_status_4() {
    let path = std::env::temp_dir().join(format!("mr-unprivileged-{}.toml", std::process::id()));
    let state = std::env::temp_dir().join(format!("mr-unprivileged-{}", std::process::id()));
    let text = format!("state_dir = \"{}\"\n{CONFIG}", state.display()).replace("eth0", "lo");
    std::fs::write(&path, text).unwrap();
    let output = Command::new("setpriv")
        .args([
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--no-new-privs",
            env!("CARGO_BIN_EXE_millrace"),
            "run",
        ])
        .arg("--config")
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_dir_all(&state).unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{line}");
    assert!(line.starts_with("millrace: mode native: CAP_BPF") && line.lines().count() == 1, "{line}");
}

#[test]
fn a_sink_that_cannot_open_is_one_line_and_status_1() {
    let topology = Topology::pair(1).unwrap();
    let directory = std::env::temp_dir().join(format!("mr-sink-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("file"), "").unwrap();
    let at = directory.display();
    let text = format!(
        "state_dir = \"{at}/state\"\ncontrol_socket = \"{at}/control.sock\"\n{CONFIG}\
         [[sink]]\ntype = \"json\"\npath = \"{at}/file/out\"\n"
    );
    std::fs::write(directory.join("millrace.toml"), text).unwrap();
    let output = topology
        .command("a", env!("CARGO_BIN_EXE_millrace"))
        .args(["--log", "off", "run", "--config"])
        .arg(directory.join("millrace.toml"))
        .output()
        .unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sink json") && text.contains("Not a directory"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!running::ip(&topology, "a", "link show dev eth0").contains("xdp"));
}

/// A device whose driver takes no program: generic mode, and a line that says why.
#[test]
fn auto_falls_back_with_a_warning() {
    let topology = Topology::pair(1).unwrap();
    let config = CONFIG.replace("\"native\"", "\"auto\"").replace("eth0", "lo");
    let mut instance = Instance::start(&topology, "a", &config);
    let devices = instance.show(control::process::control::answers::What::Devices);
    assert_eq!(devices[0]["attached"], "generic", "{devices:?}");
    assert!(instance.log().contains("device lo: generic mode, its driver does not take the program"));
    inside(&topology, "a", || {
        let mut router = Router::new(0, 1, 3);
        UdpSocket::bind("127.0.0.2:0").unwrap().send_to(&router.template(), "127.0.0.1:4739").unwrap();
    });
    // It came through the ring, and the worker saw that loopback had left its checksum undone.
    let counters = instance.until(|counters| counters["packets"]["bad_udp_checksum"] == 1);
    assert_eq!((&counters["path"]["xsk"], &counters["unexplained"]), (&1.into(), &0.into()), "{counters}");
    assert_eq!(instance.stop().status, 0);
}
