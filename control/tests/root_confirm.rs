//! `millrace run --confirm`, `millrace confirm`, `millrace reload`: what was attached goes again unless somebody says that
//! he still reaches the host; a reload answers.
//!
//! Needs root, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use control::ebpf::attach::{attachment, device_index};
use lab::topology::Topology;
use rustix::process::{Pid, Signal, kill_process};

/// An instance that is run as a user runs it.
struct Run<'a> {
    topology: &'a Topology,
    directory: PathBuf,
    child: Child,
}

impl<'a> Run<'a> {
    fn start(topology: &'a Topology, name: &str, confirm: Option<&str>) -> Self {
        let directory = std::env::temp_dir().join(format!("mr-{}-{name}", topology.name()));
        fs::create_dir_all(&directory).unwrap();
        write(&directory, "");
        let mut command = topology.command("a", env!("CARGO_BIN_EXE_millrace"));
        command.arg("run").args(confirm.into_iter().flat_map(|seconds| ["--confirm", seconds]));
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = command
            .arg("--config")
            .arg(directory.join("millrace.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let run = Self { topology, directory, child };
        let until = Instant::now() + Duration::from_secs(30);
        while run.verb(&["show", "workers"]).status.code() != Some(0) {
            assert!(Instant::now() < until, "{}", run.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        run
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }

    /// A verb that speaks to it.
    fn verb(&self, words: &[&str]) -> Output {
        let mut command = self.topology.command("a", env!("CARGO_BIN_EXE_millrace"));
        command.args(words).arg("--socket").arg(self.directory.join("control.sock")).output().unwrap()
    }

    /// Waits for its end.
    fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = self.child.id().to_string();
            // The keeper takes its processes and everything in the kernel along.
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn write(directory: &Path, more: &str) {
    let at = directory.display();
    let text = format!(
        "mode = \"native\"\nworkers = [0]\ndevices = [\"eth0\"]\nstate_dir = \"{at}/state\"\n\
         control_socket = \"{at}/control.sock\"\n{more}\n[metrics]\nlisten = \"127.0.0.1:9810\"\n\
         [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n"
    );
    fs::write(directory.join("millrace.toml"), text).unwrap();
}

/// Runs `act` on a thread inside a namespace.
fn inside<T: Send>(topology: &Topology, who: &str, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| {
        let entered = threads.spawn(|| {
            topology.enter(who).unwrap();
            act()
        });
        entered.join().unwrap()
    })
}

/// Id of the program on the device; 0: none.
fn program(topology: &Topology) -> u32 {
    inside(topology, "a", || attachment(device_index("eth0").unwrap()).unwrap().1)
}

/// Datagrams that workers got from the kernel's sockets, all of which the counters explain.
fn taken_by_sockets(run: &Run<'_>) -> u64 {
    let shown = run.verb(&["show", "counters", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
    let counters = &shown["items"][0];
    assert_eq!(counters["unexplained"], 0, "{counters}");
    counters["path"]["kernel"].as_u64().unwrap_or_default()
}

/// Waits until it holds.
fn until(run: &Run<'_>, what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}\n{}", run.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_nobody_confirms_is_taken_off_again_and_collecting_goes_on() {
    let topology = Topology::pair(1).unwrap();
    let mut run = Run::start(&topology, "unconfirmed", Some("3"));
    assert_ne!(program(&topology), 0, "{}", run.log());
    until(&run, "the program stays", || program(&topology) == 0);
    until(&run, "no dataplane", || {
        let shown = run.verb(&["show", "workers", "--json"]);
        String::from_utf8_lossy(&shown.stdout).contains("\"running\"")
    });
    assert!(run.log().contains("not confirmed in time"), "{}", run.log());
    assert_eq!(run.child.try_wait().unwrap(), None, "{}", run.log());
    let send = |count: u64| {
        inside(&topology, "b", || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            for _ in 0..count {
                socket.send_to(b"telemetry", ("10.73.0.1", 4739)).unwrap();
            }
        });
    };
    let before = taken_by_sockets(&run);
    send(50);
    until(&run, "the sockets take nothing", || taken_by_sockets(&run) == before + 50);

    // Too late; nothing comes back by a reload, nor with another control process.
    let late = run.verb(&["confirm"]);
    assert_eq!(late.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&late.stderr).contains("not confirmed in time"), "{late:?}");
    write(&run.directory, "[bmp]\nlisten_backlog = 9");
    assert!(run.verb(&["reload"]).status.success(), "{}", run.log());
    let pid = part(run.child.id(), "control");
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
    until(&run, "no other control process", || {
        run.log().matches("not confirmed in time").count() > 1
            && run.verb(&["show", "workers"]).status.success()
    });
    send(50);
    until(&run, "the sockets take no more", || taken_by_sockets(&run) == before + 100);
    assert_eq!(program(&topology), 0, "{}", run.log());
    kill_process(Pid::from_child(&run.child), Signal::TERM).unwrap();
    assert_eq!(run.ended(), Some(0), "{}", run.log());
}

/// Process id of a part of the instance whose keeper is `keeper`.
fn part(keeper: u32, role: &str) -> u32 {
    let text = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    let is_it = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|octet| *octet == 0).nth(1) == Some(role.as_bytes())
    };
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_it).unwrap()
}

#[test]
fn what_is_confirmed_stays_and_a_reload_answers() {
    let topology = Topology::pair(1).unwrap();
    let mut run = Run::start(&topology, "confirmed", Some("4"));
    let confirmed = run.verb(&["confirm"]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    let twice = run.verb(&["confirm"]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&twice.stderr).contains("nothing waits for it"), "{twice:?}");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(run.child.try_wait().unwrap(), None, "{}", run.log());
    assert_ne!(program(&topology), 0);

    // Both a change that concerns control alone and one that concerns the dataplane; and one that is refused.
    for more in ["[bmp]\nlisten_backlog = 9", "[bmp]\nstale_routes_s = 7"] {
        write(&run.directory, more);
        let reloaded = run.verb(&["reload"]);
        assert!(reloaded.status.success(), "{more}: {reloaded:?}\n{}", run.log());
    }
    write(&run.directory, "[bmp]\nstale_route_s = 7");
    let refused = run.verb(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let line = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(line.contains("bmp.stale_routes_s") && line.contains("stays as it was"), "{line}");
    drop(run);
    assert_eq!(program(&topology), 0);
}
