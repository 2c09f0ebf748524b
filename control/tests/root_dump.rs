//! `millrace dump` beside a running instance: frames as XDP saw them and as it sent them on, readable by tshark.
//!
//! Needs root, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use control::ebpf::attach::attachment;
use control::ebpf::dump::Wanted;
use control::ebpf::{Forward, LoadSettings, Programs};
use lab::topology::Topology;
use running::{Instance, inside, ip};
use serde_json::Value;

const CONFIG: &str = "mode = \"native\"\nworkers = [0]\ndevices = [\"eth0\"]\n[forward]\nenabled = true\n\
    [metrics]\nlisten = \"127.0.0.1:9810\"\n\
    [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

/// A router with one device: what comes from `b` for 203.0.113.0/24 goes back through it to a next hop that nobody has,
/// what comes for 203.0.114.0/24 is dropped.
fn router() -> Topology {
    let topology = Topology::pair(1).unwrap();
    let on = |who: &str, line: &str| {
        let mut words = line.split(' ');
        let mut command = topology.command(who, words.next().unwrap());
        assert!(command.args(words).stdout(Stdio::null()).status().unwrap().success(), "{line}");
    };
    on("a", "sysctl -qw net.ipv4.ip_forward=1");
    on("b", "ethtool -K eth0 gro on tx off");
    ip(&topology, "a", "neigh replace 10.73.0.99 lladdr 02:00:00:00:00:99 dev eth0 nud permanent");
    ip(&topology, "a", "route add 203.0.113.0/24 via 10.73.0.99");
    ip(&topology, "a", "route add blackhole 203.0.114.0/24");
    ip(&topology, "b", "route add 203.0.112.0/22 via 10.73.0.1");
    topology
}

/// Starts a dump in `a` and waits until its program is on the device.
fn dump(topology: &Topology, instance: &Instance, arguments: &str) -> Child {
    let before = program(topology);
    let mut child = topology
        .command("a", env!("CARGO_BIN_EXE_millrace"))
        .args(["dump", "--socket"])
        .arg(instance.directory().join("control.sock"))
        .args(arguments.split(' '))
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while program(topology) == before {
        if child.try_wait().unwrap().is_some() {
            panic!("{:?}\n{}", child.wait_with_output(), instance.log());
        }
        assert!(Instant::now() < until, "no dump in 20 s:\n{}", instance.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Id of the program on the device.
fn program(topology: &Topology) -> u32 {
    inside(topology, "a", || attachment(control::ebpf::attach::device_index("eth0").unwrap()).unwrap().1)
}

/// Three echo requests that nobody answers.
fn ping(topology: &Topology, to: &str) {
    let mut command = topology.command("b", "ping");
    let status = command.args(["-c", "3", "-i", "0.2", "-W", "1", to]).stdout(Stdio::null()).status();
    assert!(!status.unwrap().success(), "{to} is nobody");
}

/// The last line on standard error.
fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// What tshark reads: fields of each frame.
fn read(file: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-r", file, "-T", "fields"]);
    fields.iter().for_each(|field| _ = command.args(["-e", field]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn frames_stand_in_the_capture_as_they_came_and_as_they_left() {
    let topology = router();
    let mut instance = Instance::start(&topology, "a", CONFIG);
    let ordinary = program(&topology);
    let file = instance.directory().join("all.pcapng").display().to_string();
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();

    let child = dump(&topology, &instance, &format!("--exporter 10.73.0.2 --packets 6 -w {file}"));
    ping(&topology, "203.0.113.9");
    ping(&topology, "203.0.114.9");
    let seen = summary(&child.wait_with_output().unwrap());
    assert_eq!(
        (&seen["packets"], &seen["written"], &seen["ringFull"]),
        (&6.into(), &6.into(), &0.into()),
        "{seen}"
    );
    let fields = ["frame.comment", "frame.interface_name", "ip.ttl", "eth.dst", "frame.time_epoch", "ip.dst"];
    let frames = read(&file, &fields);
    let forwarded = "in eth0 queue 0: redirect forwarded, out through eth0";
    let (sent, dropped) = ("out eth0: redirect forwarded, in by eth0", "in eth0 queue 0: drop blackhole");
    let comments: Vec<&str> = frames.iter().map(|frame| frame[0].as_str()).collect();
    assert_eq!(comments, [forwarded, sent, forwarded, sent, forwarded, sent, dropped, dropped, dropped]);
    assert!(frames.iter().all(|frame| frame[1] == "eth0"));
    let ttl: Vec<&str> = frames.iter().map(|frame| frame[2].as_str()).collect();
    assert_eq!(ttl, ["64", "63", "64", "63", "64", "63", "64", "64", "64"]);
    assert_eq!(frames[1][3], "02:00:00:00:00:99");
    assert_eq!(frames[0][5], "203.0.113.9");
    let time: f64 = frames[0][4].parse().unwrap();
    assert!((time - began as f64).abs() < 60.0, "{time} is not about {began}");

    // The program that does not dump is back, and what only drops are asked for leaves out the rest.
    assert_eq!(program(&topology), ordinary);
    let file = instance.directory().join("drops.pcapng").display().to_string();
    let child = dump(&topology, &instance, &format!("--drop --port eth0 --one-in 3 --seconds 4 -w {file}"));
    ping(&topology, "203.0.113.9");
    ping(&topology, "203.0.114.9");
    // One at a time.
    let second = topology
        .command("a", env!("CARGO_BIN_EXE_millrace"))
        .args(["dump", "-w", "/dev/null", "--socket"])
        .arg(instance.directory().join("control.sock"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&second.stderr), "millrace: another dump runs\n");
    let seen = summary(&child.wait_with_output().unwrap());
    assert_eq!(
        (&seen["matched"], &seen["sampledOut"], &seen["packets"]),
        (&3.into(), &2.into(), &1.into()),
        "{seen}"
    );
    assert_eq!(read(&file, &fields[..1]), [[dropped]]);

    // A client that is killed leaves nothing behind.
    let mut child = dump(&topology, &instance, "-w /dev/null");
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while program(&topology) != ordinary {
        assert!(Instant::now() < until, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(20));
    }

    // No frame went without a program, and a stop in the middle of a dump takes everything away.
    let child = dump(&topology, &instance, "-w /dev/null");
    let ended = instance.stop();
    assert_eq!((ended.status, ended.pinned), (0, 0), "{}", instance.log());
    assert_eq!(ended.totals["unexplained"], 0, "{}", ended.totals);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(program(&topology), 0);
}

#[test]
fn a_program_that_does_not_dump_has_no_instruction_for_it() {
    let size = |dump: Option<Wanted>| {
        let forward = Some(Forward::default());
        let settings = LoadSettings { forward, dump, ..LoadSettings::new([3; 16], 2_048) };
        Programs::load(&settings).expect("load (root is needed)").size().unwrap().instructions
    };
    let (without, with) = (size(None), size(Some(Wanted::default())));
    let drops = size(Some(Wanted { drops: true, ..Wanted::default() }));
    println!("instructions: {without} without a dump, {with} with one, {drops} with one of drops");
    assert!(without + 100 < drops.min(with), "{without} {drops} {with}");
}
