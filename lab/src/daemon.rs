//! Real exporters (FRR, GoBGP, softflowd) in a topology of routers, and hosts whose packets are counted.
//!
//! In: a topology. Out: running daemons whose BGP sessions hold their routes; exact counts of what hosts sent.
//! All are ended by their own process ids when the value is dropped.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::topology::{Topology, run, script};

/// The exporters of `vagrant/exporters.sh`; the collector should be listening before they start, since GoBGP waits
/// longer after each refused connection.
#[derive(Debug)]
pub struct Exporters {
    name: String,
    files: PathBuf,
}

impl Exporters {
    /// Starts all and returns once each router holds `routes` + 1 prefixes of its neighbour.
    ///
    /// # Errors
    /// What the script printed: a daemon that ended at once, or routes that did not come within 20 s.
    pub fn start(topology: &Topology, routes: u32) -> io::Result<Self> {
        let files = std::env::temp_dir().join(format!("millrace-{}", topology.name()));
        let exporters = Self { name: topology.name().to_owned(), files };
        run(exporters.script("start").env("ROUTES", routes.to_string()))?;
        Ok(exporters)
    }

    /// Makes softflowd export all that the hosts have sent so far. Flows of port 9 are its filler.
    ///
    /// # Errors
    /// What the script printed.
    pub fn flush(&self) -> io::Result<()> {
        run(&mut self.script("flush")).map(drop)
    }

    fn script(&self, verb: &str) -> Command {
        let mut command = Command::new(script("exporters.sh"));
        command.args([verb, &self.name]).arg(&self.files);
        command
    }
}

impl Drop for Exporters {
    fn drop(&mut self) {
        if let Err(error) = run(&mut self.script("stop")) {
            eprintln!("lab: exporters of {} did not stop: {error}", self.name);
        }
        if let Err(error) = std::fs::remove_dir_all(&self.files) {
            eprintln!("lab: {}: {error}", self.files.display());
        }
    }
}

/// Hosts behind the routers, sending UDP through them to `far`, which answers a quarter of it.
#[derive(Debug)]
pub struct Hosts {
    far: Child,
    senders: Vec<Child>,
}

/// UDP packets that crossed the routers, by the word of the kernels at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// What the three hosts sent.
    pub sent: u64,
    /// What the far side answered.
    pub answered: u64,
}

impl Hosts {
    /// Lets each host send `packets` packets at `rate` packets a second.
    ///
    /// # Errors
    /// When python3 does not start.
    pub fn start(topology: &Topology, packets: u32, rate: u32) -> io::Result<Self> {
        const V4: &str = "198.51.100.10,203.0.113.10";
        const V6: &str = "2001:db8:ffff::10,2001:db8:eeee::10";
        let hosts = |who: &str, role: &str, to: &str| {
            let mut command = topology.command(who, script("hosts.py"));
            command.args([role, to]).stdin(Stdio::null()).stdout(Stdio::piped());
            command
        };
        let mut far = hosts("far", "answer", &format!("{V4},{V6}")).spawn()?;
        let mut ready = [0; 6];
        if let Some(said) = far.stdout.as_mut() {
            said.read_exact(&mut ready)?;
        }
        let mut all = Self { far, senders: Vec::new() };
        for (who, to) in [("h1", V4), ("h2", V4), ("h3", V6)] {
            let mut command = hosts(who, "send", to);
            command
                .args(["--packets", &packets.to_string(), "--rate", &rate.to_string(), "--seed"])
                .arg(&who[1..]);
            all.senders.push(command.spawn()?);
        }
        Ok(all)
    }

    /// Waits until all is sent and answered.
    ///
    /// # Errors
    /// When a host ended without its counts.
    pub fn finish(mut self) -> io::Result<Crossed> {
        let mut crossed = Crossed { sent: 0, answered: 0 };
        for mut sender in self.senders.drain(..) {
            crossed.sent += kernel_out(&mut sender)?;
        }
        run(Command::new("kill").arg(self.far.id().to_string()))?;
        crossed.answered = kernel_out(&mut self.far)?;
        Ok(crossed)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for child in self.senders.iter_mut().chain([&mut self.far]) {
            // An error here says that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `{.., "kernel": {"out": N, ..}}` as the host's last line.
fn kernel_out(child: &mut Child) -> io::Result<u64> {
    let mut said = String::new();
    if let Some(stdout) = child.stdout.as_mut() {
        stdout.read_to_string(&mut said)?;
    }
    child.wait()?;
    said.split_once("\"out\": ")
        .and_then(|(_, rest)| rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("a host ended with {said:?}")))
}
