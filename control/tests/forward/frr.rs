//! FRR as a router of its own network namespace: zebra puts into the kernel's table what bgpd learns from neighbours.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::rig::run;

/// Where Debian puts FRR's daemons.
const DAEMONS: &str = "/usr/lib/frr";

/// Daemons of one namespace, with their files; ended by process id when dropped.
pub(crate) struct Frr {
    daemons: Vec<Child>,
    directory: PathBuf,
}

impl Frr {
    /// In the namespace of this thread: bgpd, with zebra if its routes are to reach the kernel.
    pub(crate) fn start(name: &str, config: &str, into_kernel: bool) -> Self {
        let directory = std::env::temp_dir().join(format!("mr-frr-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("bgpd.conf"), format!("hostname {name}\n{config}")).unwrap();
        fs::write(directory.join("zebra.conf"), format!("hostname {name}\n")).unwrap();
        // They give up root's rights.
        run(&format!("chown -R frr:frr {}", directory.display()));
        let mut frr = Self { daemons: Vec::new(), directory };
        if into_kernel {
            frr.daemon("zebra", &[]);
        }
        frr.daemon("bgpd", if into_kernel { &[] } else { &["--no_zebra"] });
        frr
    }

    fn daemon(&mut self, name: &str, more: &[&str]) {
        let at = |file: &str| self.directory.join(file);
        let log = File::create(at(&format!("{name}.log"))).unwrap();
        let child = Command::new(Path::new(DAEMONS).join(name))
            .arg("-f")
            .arg(at(&format!("{name}.conf")))
            .arg("-i")
            .arg(at(&format!("{name}.pid")))
            .arg("-z")
            .arg(at("zserv"))
            .arg("--vty_socket")
            .arg(&self.directory)
            .args(["-u", "frr", "-g", "frr", "--log", "stdout"])
            .args(more)
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{DAEMONS}/{name} (package frr): {error}"));
        self.daemons.push(child);
    }

    /// What its daemons have said.
    pub(crate) fn log(&self) -> String {
        let logs = ["zebra.log", "bgpd.log"].map(|log| fs::read_to_string(self.directory.join(log)));
        logs.into_iter().flatten().collect()
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        // The last began first.
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A speaker's configuration: its number and address, its neighbours by number and address, and what it announces, its
/// own number `prepended` times more.
pub(crate) fn speaker(
    number: u32,
    id: &str,
    neighbours: &[(u32, &str)],
    networks: impl Iterator<Item = String>,
    prepended: usize,
) -> String {
    let mut text = format!(
        "router bgp {number}\n bgp router-id {id}\n no bgp ebgp-requires-policy\n no bgp network import-check\n"
    );
    for (neighbour, address) in neighbours {
        let _ = writeln!(
            text,
            " neighbor {address} remote-as {neighbour}\n neighbor {address} timers connect 1\n \
             neighbor {address} advertisement-interval 0"
        );
    }
    let _ = writeln!(text, " address-family ipv4 unicast");
    for network in networks {
        let _ = writeln!(text, "  network {network}");
    }
    for (_, address) in neighbours {
        let _ = writeln!(text, "  neighbor {address} route-map out out");
    }
    let path = vec![number.to_string(); prepended].join(" ");
    let set = if prepended > 0 { format!(" set as-path prepend {path}\n") } else { String::new() };
    let _ = writeln!(text, " exit-address-family\nroute-map out permit 10\n{set}");
    text
}
