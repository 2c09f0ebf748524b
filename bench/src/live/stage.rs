//! Where live figures are measured. In: two cores. Out: a quiet pair of namespaces, and runs of the generator.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use lab::topology::Topology;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::Value;

use crate::generate::command::interrupts;

/// Where receivers listen.
pub const ADDRESS: &str = "10.73.0.1";
/// UDP port of all flows.
pub const PORT: u16 = 4739;

/// What the generator is asked for.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Flags of `millrace-gen` that describe the population.
    pub population: String,
    /// Datagrams a second.
    pub rate: f64,
    /// How long.
    pub seconds: f64,
}

/// What the generator did, by its own count and by the kernel's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offered {
    /// Datagrams handed to the device.
    pub datagrams: u64,
    /// Records in them.
    pub records: u64,
    /// Of the datagrams, those that the device could not send.
    pub dropped: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Two namespaces, `a` for receivers and `b` for the generator; gone on drop.
#[derive(Debug)]
pub struct Stage {
    pair: Topology,
    mac: String,
    generator: PathBuf,
    stop: Arc<AtomicBool>,
    receiving: Vec<i32>,
    /// Core of the generator.
    pub generator_core: usize,
    /// Core of whatever receives.
    pub receiver_core: usize,
}

impl Stage {
    /// Raises it. Frames are received by a thread of the kernel on the receiver's core, so that the generator does
    /// not do the receiver's work.
    ///
    /// # Errors
    /// Root is missing, or one of the programs beside this one.
    pub fn raise(generator_core: usize, receiver_core: usize) -> anyhow::Result<Self> {
        let pair = Topology::pair(1).context("the live figures need root")?;
        for who in ["a", "b"] {
            done(pair.command(who, "sysctl").args(["-q", "-w", "net.ipv6.conf.all.disable_ipv6=1"]))?;
        }
        done(pair.command("a", "ethtool").args(["-K", "eth0", "gro", "on"]))?;
        let receiving = receive_on(&pair, "a", "eth0", receiver_core)?;
        let said = done(pair.command("a", "ip").args(["-br", "link", "show", "eth0"]))?;
        let mac = said.split_whitespace().nth(2).context("no MAC address")?.to_owned();
        let generator = beside("millrace-gen")?;
        Ok(Self { pair, mac, generator, stop: interrupts()?, receiving, generator_core, receiver_core })
    }

    /// The namespaces.
    #[must_use]
    pub const fn pair(&self) -> &Topology {
        &self.pair
    }

    /// Time that the kernel's receiving thread has run so far, ns.
    #[must_use]
    pub fn receiving_ns(&self) -> u64 {
        let spent = |pid: &i32| {
            let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        self.receiving.iter().filter_map(spent).sum()
    }

    /// MAC address of the receiver's device.
    #[must_use]
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// Does something in a namespace, on a thread of its own.
    ///
    /// # Errors
    /// What it said, or the namespace cannot be entered.
    pub fn inside<T: Send>(
        &self,
        who: &str,
        act: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        std::thread::scope(|threads| {
            let doing = threads.spawn(|| {
                self.pair.enter(who)?;
                act()
            });
            doing.join().ok().context("it panicked")?
        })
    }

    /// Runs the generator to its end.
    ///
    /// # Errors
    /// What it said, frames that it could not make, or Ctrl-C: then all that was started ends with the error.
    pub fn offer(&self, offer: &Offer) -> anyhow::Result<Offered> {
        ensure!(!self.stop.load(Ordering::Relaxed), "interrupted");
        let mut command = self.pair.command("b", &self.generator);
        command
            .args(["--live", "--device", "eth0", "--to-mac", &self.mac])
            .args(["--to", &format!("{ADDRESS}:{PORT}"), "--core", &self.generator_core.to_string()])
            .args(["--rate", &offer.rate.to_string(), "--seconds", &offer.seconds.to_string()])
            .args(offer.population.split_whitespace());
        let report: Value = serde_json::from_str(&done(&mut command)?)?;
        let number = |path| report.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        let offered = Offered {
            datagrams: number("/datagrams"),
            records: number("/records"),
            dropped: number("/device/dropped"),
            seconds: report["seconds"].as_f64().unwrap_or_default(),
        };
        ensure!(number("/failed") == 0, "frames could not be made: {report}");
        ensure!(
            number("/device/packets") + offered.dropped == offered.datagrams,
            "the kernel counted other frames than the generator: {report}"
        );
        Ok(offered)
    }
}

/// Lets a thread of the kernel on a core of its own receive what comes to a device; its process ids.
///
/// # Errors
/// What the kernel refused.
pub(super) fn receive_on(pair: &Topology, who: &str, device: &str, core: usize) -> anyhow::Result<Vec<i32>> {
    let before = napi_threads(device);
    let switch = format!("echo 1 >/sys/class/net/{device}/threaded");
    done(pair.command(who, "sh").args(["-c", &switch]))?;
    let mut cores = CpuSet::new();
    cores.set(core);
    let threads: Vec<i32> = napi_threads(device).difference(&before).copied().collect();
    for &pid in &threads {
        sched_setaffinity(Pid::from_raw(pid), &cores).context("cannot pin the receiving thread")?;
        // Before all else on that core, as a card's interrupt is: its ring of 256 frames is full in no time.
        done(Command::new("chrt").args(["-f", "-p", "1", &pid.to_string()]))?;
    }
    Ok(threads)
}

/// A program that was built beside this one.
///
/// # Errors
/// It is not there.
pub fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().unwrap_or(Path::new("/")).join(name);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

/// Runs to the end; what it printed.
///
/// # Errors
/// What it said on its standard error.
pub fn done(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// Process ids of the kernel's threads that poll devices of this name.
fn napi_threads(device: &str) -> BTreeSet<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let start = format!("napi/{device}-");
    let is_napi = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with(&start))
    };
    pids.filter(is_napi).collect()
}
