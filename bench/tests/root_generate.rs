//! Live frames and a transmit ring over a virtual Ethernet pair: what the generator says it sent, what the kernel counted on both ends,
//! and what a collector behind a socket found, are the same numbers.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bench::generate::report::Device;
use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{Kind, MessageEnd, Protocol, RecordEnd};
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{Collector, Input, Ledgers, Now, Outlet, Settings};
use lab::topology::Topology;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PORT: u16 = 4739;

/// A pair without traffic of its own; `a` takes redirected frames. And the MAC address of `a`.
fn quiet_pair() -> (Topology, String) {
    let pair = Topology::pair(1).unwrap();
    for who in ["a", "b"] {
        run(pair.command(who, "sysctl").args(["-q", "-w", "net.ipv6.conf.all.disable_ipv6=1"]));
    }
    run(pair.command("a", "ethtool").args(["-K", "eth0", "gro", "on"]));
    let said = run(pair.command("a", "ip").args(["-br", "link", "show", "eth0"]));
    let mac = said.split_whitespace().nth(2).unwrap().to_owned();
    (pair, mac)
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Collects what comes to `a` until it is told to stop and nothing comes any more.
fn collect(pair: &Topology, ready: &AtomicBool, stop: &AtomicBool) -> (u64, Ledgers, Device) {
    pair.enter("a").unwrap();
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    set_socket_recv_buffer_size_force(&socket, 256 << 20).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let schemas =
        schemas(&Interest { kinds: u32::MAX, whole_records: false, elements: Vec::new(), join: false });
    let (mut out, drain) =
        Outlet::new(WorkerId(0), &schemas, 64, BatchLimits { rows: 1_024, octets: 1 << 20 });
    let ports = vec![(PORT, PortProtocol::Netflow)];
    let mut collector = Collector::new(Settings { ports, join: false, ..Settings::default() }, schemas);
    let to = SocketAddr::from(([10, 73, 0, 1], PORT));
    let (mut received, mut octets, mut now) = (0, [0; 2_048], Now::default());
    ready.store(true, Ordering::Release);
    loop {
        match socket.recv_from(&mut octets) {
            Ok((length, from)) => {
                received += 1;
                now.monotonic_ns += 1_000;
                let payload = &octets[..length];
                collector.accept(now, Input::Datagram { from, to, payload }, &mut out);
                while drain.take().is_some() {}
            }
            Err(error) => {
                assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()), "{error}");
                if stop.load(Ordering::Acquire) {
                    break;
                }
            }
        }
    }
    collector.settle(now, &mut out);
    (received, collector.ledgers().clone(), Device::now("eth0").unwrap())
}

/// Runs the generator in `b` as it sends with `way`, with `flags`, interrupted after a while if `interrupt`; its report, and what came.
fn generate(way: &str, flags: &str, interrupt: Option<Duration>) -> (Value, u64, Ledgers) {
    let (pair, mac) = quiet_pair();
    let (ready, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (report, received, ledgers) = std::thread::scope(|threads| {
        let collecting = threads.spawn(|| collect(&pair, &ready, &stop));
        while !ready.load(Ordering::Acquire) {
            assert!(!collecting.is_finished(), "no collector");
            std::thread::sleep(Duration::from_millis(1));
        }
        let child = pair
            .command("b", env!("CARGO_BIN_EXE_millrace-gen"))
            .args([way, "--device", "eth0", "--to-mac", &mac, "--to", "10.73.0.1:4739"])
            .args(flags.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(after) = interrupt {
            std::thread::sleep(after);
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        stop.store(true, Ordering::Release);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (received, ledgers, _) = collecting.join().unwrap();
        (report, received, ledgers)
    });
    let links = run(pair.command("b", "ip").args(["-br", "link"]));
    assert!(!links.contains("mrgen"), "{links}");
    (report, received, ledgers)
}

fn assert_same(report: &Value, received: u64, ledgers: &Ledgers) {
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();
    assert_eq!(number("/failed"), 0, "{report}");
    assert_eq!(received, number("/datagrams"), "{report}");
    assert_eq!((number("/device/packets"), number("/device/dropped")), (received, 0), "{report}");
    let decoded = |protocol: Protocol| ledgers.messages[protocol.index()][MessageEnd::Decoded.index()];
    assert_eq!(decoded(Protocol::Ipfix), number("/classes/0/datagrams"));
    assert_eq!(decoded(Protocol::Netflow9), number("/classes/1/datagrams"));
    let ends = &ledgers.records[Kind::Flow.index()];
    assert_eq!(ends[RecordEnd::Row.index()], number("/records"), "{report}");
    assert_eq!(ledgers.sequence_lost[Protocol::Ipfix.index()], number("/classes/0/sequenceGap"));
    assert_eq!(ledgers.sequence_lost[Protocol::Netflow9.index()], number("/classes/1/sequenceGap"));
    // IPv4 and UDP headers. What a virtual Ethernet device counts of an skb is without the Ethernet header, which a
    // live frame is counted with; the frame check sequence is the wire's.
    let headers = if report["mode"] == "live" { 42 } else { 28 };
    assert_eq!(number("/device/octets"), number("/octets") + headers * received);
}

#[test]
fn generator_kernel_and_collector_count_the_same_live_frames() {
    let flags = "--ipfix 40 --netflow9 10 --templates 3 --cycle 900 --loss-per-mille 20 --template-every 7 \
                 --datagrams 5000 --rate 20000 --burst 32";
    let (report, received, ledgers) = generate("--live", flags, None);
    assert_eq!((received, &report["interrupted"]), (5_000, &Value::Bool(false)));
    assert!(report["sequenceGap"].as_u64().unwrap() > 100, "{report}");
    assert_same(&report, received, &ledgers);
}

#[test]
fn a_transmit_ring_sends_the_same_frames() {
    let flags = "--ipfix 40 --netflow9 10 --templates 3 --cycle 900 --loss-per-mille 20 --template-every 7 \
                 --datagrams 9001 --rate 20000 --burst 100";
    let (report, received, ledgers) = generate("--ring", flags, None);
    assert_eq!((received, &report["mode"]), (9_001, &"ring".into()));
    assert_same(&report, received, &ledgers);
}

#[test]
fn an_interrupted_run_counts_exactly() {
    let flags = "--ipfix 4 --netflow9 4 --cycle 200 --seconds 60 --rate 4000 --burst 16";
    let (report, received, ledgers) = generate("--live", flags, Some(Duration::from_millis(1_500)));
    assert_eq!(report["interrupted"], Value::Bool(true));
    assert!(received > 0 && report["seconds"].as_f64().unwrap() < 30.0, "{report}");
    assert_same(&report, received, &ledgers);
}
