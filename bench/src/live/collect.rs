//! The collector under test: `millrace run` in namespace `a`, one worker, a sink that takes no time.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use control::admin;
use control::process::control::answers::What;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::stage::{Offer, Offered, PORT, Stage, beside};

/// How long it may take to be at work, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a worker did with what was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worked {
    /// Datagrams that came through its rings.
    pub datagrams: u64,
    /// Flow rows.
    pub records: u64,
    /// Time in turns that brought work, ns.
    pub busy_ns: u64,
}

/// A running collector; ended on drop.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    directory: PathBuf,
}

impl Collector {
    /// Starts it on the receiver's core of `stage` and waits until traffic is on.
    ///
    /// # Errors
    /// It did not come up; with its log.
    pub fn start(stage: &Stage, join: bool) -> anyhow::Result<Self> {
        let core = stage.receiver_core;
        let config = format!(
            "mode = \"native\"\nworkers = [{core}]\ndevices = [\"eth0\"]\n\
             [[listen]]\nprotocol = \"netflow\"\naddress = \"0.0.0.0\"\nport = {PORT}\n\
             [[listen]]\nprotocol = \"bmp\"\naddress = \"0.0.0.0\"\nport = 11019\n\
             [[sink]]\ntype = \"null\"\n[join]\nenabled = {join}\n"
        );
        Self::run(stage, &config)
    }

    /// Starts it with this configuration, but for its directories, and waits until traffic is on.
    ///
    /// # Errors
    /// It did not come up; with its log.
    pub fn run(stage: &Stage, config: &str) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("mr-bench-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let at = directory.display();
        let file = directory.join("millrace.toml");
        let config = format!("state_dir = \"{at}/state\"\ncontrol_socket = \"{at}/control.sock\"\n{config}");
        fs::write(&file, config)?;
        let child = stage
            .pair()
            .command("a", beside("millrace")?)
            .args(["run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("log"))?)
            .spawn()?;
        let collector = Self { child, directory };
        let until = Instant::now() + PATIENCE;
        while !collector.worker().is_some_and(|worker| worker["state"] == "running") {
            if Instant::now() > until {
                let log = fs::read_to_string(collector.directory.join("log")).unwrap_or_default();
                bail!("millrace did not come up: {}", log.trim());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(collector)
    }

    /// Offers, waits until all of it was worked off, and says what the worker did meanwhile.
    ///
    /// # Errors
    /// The generator failed, or the worker does not answer.
    pub fn take(&self, stage: &Stage, offer: &Offer) -> anyhow::Result<(Offered, Worked)> {
        let before = self.settled()?;
        let offered = stage.offer(offer)?;
        let after = self.settled()?;
        let worked = Worked {
            datagrams: after.datagrams - before.datagrams,
            records: after.records - before.records,
            busy_ns: after.busy_ns - before.busy_ns,
        };
        ensure!(worked.datagrams > 0, "nothing came through the rings");
        Ok((offered, worked))
    }

    /// Process id of its first process, whose children the others are.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it counts.
    ///
    /// # Errors
    /// It does not answer.
    pub fn counters(&self) -> anyhow::Result<Value> {
        let answer = admin::ask(&self.directory.join("control.sock"), What::Counters)?;
        answer.and_then(|answer| answer["items"].get(0).cloned()).context("millrace does not answer")
    }

    /// The worker's counters once they stand still.
    fn settled(&self) -> anyhow::Result<Worked> {
        let mut last = None;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let worker = self.worker().context("millrace does not answer")?;
            let number = |key| worker[key].as_u64().unwrap_or_default();
            let now = Worked {
                datagrams: number("fromRings"),
                records: number("flows"),
                busy_ns: number("busyNs"),
            };
            if last.is_some_and(|last: Worked| (last.datagrams, last.records) == (now.datagrams, now.records))
            {
                return Ok(now);
            }
            last = Some(now);
            std::thread::sleep(Duration::from_millis(300));
        }
        bail!("the worker does not come to rest")
    }

    fn worker(&self) -> Option<Value> {
        let answer = admin::ask(&self.directory.join("control.sock"), What::Workers).ok().flatten()?;
        answer["items"].as_array()?.first().cloned()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
