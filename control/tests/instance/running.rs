//! One `millrace run` inside a namespace of a test's topology: started, asked, stopped, and ended on drop.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use control::admin;
use control::process::control::answers::What;
use lab::topology::Topology;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The keeper runs under a shell of the same mount namespace, which says at the end what is still pinned there.
const LAST_WORDS: &str =
    "\"$@\"; status=$?; echo \"pinned: $(ls /sys/fs/bpf | grep -c millrace)\"; exit $status";

/// A running instance. Killed on drop, with its directory.
#[derive(Debug)]
pub(crate) struct Instance {
    child: Option<Child>,
    directory: PathBuf,
}

/// How an instance ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit status.
    pub(crate) status: i32,
    /// From SIGTERM to the end.
    pub(crate) took: Duration,
    /// The JSON line of all counters.
    pub(crate) totals: Value,
    /// Directories of its pins that were left.
    pub(crate) pinned: u32,
}

impl Instance {
    /// Starts `config` (without `state_dir`, `control_socket` and sink paths, which are given) in `who`, and waits
    /// until traffic is on.
    pub(crate) fn start(topology: &Topology, who: &str, config: &str) -> Self {
        let instance = Self::launch(topology, who, config);
        let until = Instant::now() + Duration::from_secs(30);
        while instance.workers().iter().filter(|worker| worker["state"] == "running").count() == 0 {
            assert!(Instant::now() < until, "not at work in 30 s:\n{}", instance.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        instance
    }

    /// Starts it and waits for nothing.
    pub(crate) fn launch(topology: &Topology, who: &str, config: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("mr-{}-{who}", topology.name()));
        fs::create_dir_all(&directory).unwrap();
        let at = directory.display();
        let text = format!(
            "state_dir = \"{at}/state\"\ncontrol_socket = \"{at}/control.sock\"\n{}",
            config.replace("OUT", &format!("{at}/out"))
        );
        let file = directory.join("millrace.toml");
        fs::write(&file, text).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = topology
            .command(who, "/bin/sh")
            .args(["-c", LAST_WORDS, "sh", env!("CARGO_BIN_EXE_millrace"), "run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child: Some(child), directory }
    }

    /// Directory of its files.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Answers of `show`; none: it does not answer.
    pub(crate) fn show(&self, what: What) -> Vec<Value> {
        self.ask(what.into())
    }

    /// Answers to a request; none: it does not answer.
    pub(crate) fn ask(&self, request: admin::Request) -> Vec<Value> {
        let answer = admin::ask(&self.directory.join("control.sock"), request).ok().flatten();
        answer.and_then(|mut answer| answer["items"].as_array_mut().map(std::mem::take)).unwrap_or_default()
    }

    /// `show workers`.
    pub(crate) fn workers(&self) -> Vec<Value> {
        self.show(What::Workers)
    }

    /// `show counters`.
    pub(crate) fn counters(&self) -> Value {
        self.show(What::Counters).pop().unwrap_or_default()
    }

    /// Asks until `holds`, for at most ten seconds; the last counters.
    pub(crate) fn until(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let counters = self.counters();
            if holds(&counters) {
                return counters;
            }
            assert!(Instant::now() < until, "not in 10 s: {counters}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Process id of the keeper.
    pub(crate) fn keeper(&self) -> u32 {
        // Under the shell that says the last words.
        children(self.child.as_ref().unwrap().id())[0]
    }

    /// Process id of `control` or `dataplane`.
    pub(crate) fn part(&self, role: &str) -> Option<u32> {
        children(self.keeper()).into_iter().find(|pid| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|octet| *octet == 0).nth(1) == Some(role.as_bytes())
        })
    }

    /// SIGTERM to the keeper; how it ended.
    pub(crate) fn stop(&mut self) -> Ended {
        let began = Instant::now();
        signal(self.keeper(), Signal::TERM);
        let mut child = self.child.take().unwrap();
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let status = child.wait().unwrap();
        let totals = text.lines().find(|line| line.starts_with('{')).unwrap_or("null");
        let pinned = text.lines().find_map(|line| line.strip_prefix("pinned: ")?.parse().ok());
        Ended {
            status: status.code().unwrap_or(-1),
            took: began.elapsed(),
            totals: serde_json::from_str(totals).unwrap(),
            pinned: pinned.unwrap_or(u32::MAX),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let mut pids = children(child.id());
            pids.extend(pids.clone().into_iter().flat_map(children));
            pids.into_iter().for_each(|pid| signal(pid, Signal::KILL));
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Sends a signal to a process that may be gone.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
}

/// Processes that `pid` has started.
fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Runs `ip` in a namespace; what it printed.
pub(crate) fn ip(topology: &Topology, who: &str, arguments: &str) -> String {
    let namespace = topology.namespace(who);
    let output =
        Command::new("ip").args(["-n", &namespace]).args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Tells a thread to stop when it goes out of scope, also when the test fails: a scope waits for its threads.
#[derive(Debug)]
pub(crate) struct Until<'a>(pub(crate) &'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `act` on a thread inside a namespace.
pub(crate) fn inside<T: Send>(topology: &Topology, who: &str, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| {
        threads
            .spawn(|| {
                topology.enter(who).unwrap();
                act()
            })
            .join()
            .unwrap()
    })
}
