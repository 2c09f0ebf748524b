//! Two hosts with a router between them, each in a network namespace of its own: the router is this process.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A namespace that lives as long as a process that sleeps in it; ended when dropped.
pub(crate) struct Host(Child);

impl Host {
    pub(crate) fn new() -> Self {
        let child = Command::new("unshare").args(["--net", "--", "sleep", "280"]).spawn().unwrap();
        let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = format!("/proc/{}/ns/net", child.id());
        let until = Instant::now() + Duration::from_secs(20);
        // Until it has left our namespace a device would stay where it is.
        while std::fs::read_link(&theirs).unwrap() == ours {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }

    /// Does something there, on a thread of its own: sockets and programs belong to the namespace of the thread that
    /// opens and starts them.
    pub(crate) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind).unwrap();
                act()
            });
            entered.join().unwrap()
        })
    }

    /// What a command said there, whether it succeeded or not.
    pub(crate) fn said(&self, command: &str) -> String {
        let output = self.inside(|| super::rig::said(command));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("{}{error}{}", String::from_utf8_lossy(&output.stdout), output.status)
    }

    /// Runs a command there that must succeed.
    pub(crate) fn run(&self, command: &str) {
        let said = self.said(command);
        assert!(said.ends_with("exit status: 0"), "{command}: {said}");
    }

    /// Joins this host by a veth: `ours` here, `theirs` there. Its frames carry their tags themselves, so that XDP
    /// sees them, and what is redirected to it is taken (a veth takes it only with GRO or a program).
    pub(crate) fn join(&self, ours: &str, theirs: &str) {
        let pid = self.0.id();
        super::rig::run(&format!("ip link add {ours} type veth peer name {theirs} netns {pid}"));
        super::rig::run(&format!("ip link set {ours} up"));
        // Only a veth that is up tells its peer that it takes what is redirected to it.
        self.run(&format!("ip link set {theirs} up"));
        self.run(&format!("ethtool -K {theirs} gro on tx off txvlan off tx-vlan-stag-hw-insert off"));
    }

    /// Whether every one of `count` echoes came back, of `size` octets.
    pub(crate) fn hears(&self, to: &str, count: u32, size: u32) -> Result<(), String> {
        let said = self.said(&format!("ping -c {count} -i 0.2 -W 2 -s {size} {to}"));
        let whole = said.contains(&format!("{count} received"))
            || said.contains(&format!("{count} packets received"));
        if whole { Ok(()) } else { Err(said) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
