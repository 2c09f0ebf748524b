//! Forwarding live: the receiver's namespace is a router, and what it forwards ends in a program that counts.
//!
//! ```text
//! b: live frames -> eth0 ==> a: eth0 -> the kernel's stack, a bare program, or `millrace run` -> eth1 ==> b: eth1, dropped
//! ```
//! In: a stage. Out: frames that came through, and the time that the receiving core spent on them: its thread polls
//! `eth0` of the router, forwards and transmits. What arrives at the sink is received by a thread on the generator's core.

pub mod road;
pub mod course;
pub mod blocks;

use anyhow::ensure;
use control::ebpf::bare::{Bare, Least};
use serde_json::{Value, json};

use super::collect::Collector;
use super::stage::Stage;
use crate::figure::{median, spread};
use road::Road;

/// Configuration of the router under test: every block of forwarding, telemetry too.
const CONFIG: &str = "devices = [\"eth0\", \"eth1\"]\n[forward]\nenabled = true\n\
    [[listen]]\nprotocol = \"ipfix\"\naddress = \"0.0.0.0\"\nport = 4739\n";
/// Routes of the router, and frames in turn, each to another place.
const ROUTES: u32 = 1_000;
const FRAMES: u32 = 4_096;
/// Share of the offered frames from which on the generator was the limit, not the router.
const ALL: f64 = 0.99;

/// What one side forwarded.
#[derive(Clone, Copy, Debug)]
struct Forwarded {
    offered: u64,
    frames: u64,
    /// Time of the receiving thread, ns.
    busy_ns: u64,
    seconds: f64,
}

impl Forwarded {
    /// Frames a second of the receiving core's time.
    fn rate(self) -> f64 {
        self.frames as f64 * 1e9 / self.busy_ns as f64
    }

    /// Share of the run that the thread had its core.
    fn busy(self) -> f64 {
        self.busy_ns as f64 / 1e9 / self.seconds
    }

    /// Share of what was offered that came through.
    fn share(self) -> f64 {
        self.frames as f64 / self.offered as f64
    }
}

/// Packets a second through us, through the kernel's stack and through a program that does nothing else.
///
/// # Errors
/// A side did not come up, or what it counted is not what came through.
pub fn packets_per_s(name: &str, stage: &Stage, runs: usize, seconds: f64) -> anyhow::Result<Vec<Value>> {
    let road = Road::lay(stage, ROUTES)?;
    let frames = road.frames(FRAMES)?;
    let mut sides: [Vec<Forwarded>; 3] = Default::default();
    for run in 0..=runs {
        let [ours, kernel, bare] = [
            ours(&road, stage, &frames, seconds)?,
            offered(&road, stage, &frames, seconds)?,
            bare(&road, stage, &frames, seconds)?,
        ];
        // The first run of each does not count.
        if run > 0 {
            for (side, forwarded) in sides.iter_mut().zip([ours, kernel, bare]) {
                side.push(forwarded);
            }
        }
    }
    let rates = sides.each_ref().map(|side| side.iter().map(|run| run.rate()).collect::<Vec<_>>());
    let of = |figure: fn(Forwarded) -> f64, nth: usize| {
        median(&sides[nth].iter().map(|run| figure(*run)).collect::<Vec<_>>())
    };
    let ours = median(&rates[0]);
    let row = |nth: usize, peer_name: &str| {
        let peer = median(&rates[nth]);
        let mut row = json!({
            "name": name, "unit": "packets/s of the receiving core's time", "ours": ours, "peer": peer,
            "peer_name": peer_name, "ratio": ours / peer, "runs": rates[0].len(), "spread": spread(&rates[0]),
            "peer_spread": spread(&rates[nth]), "busy": of(Forwarded::busy, 0), "peer_busy": of(Forwarded::busy, nth),
        });
        if of(Forwarded::share, 0) > ALL {
            row["bound"] = "generator".into();
        }
        row
    };
    Ok(vec![row(1, "kernel forwarding"), row(2, "bpf_fib_lookup and a redirect, nothing else")])
}

fn ours(road: &Road<'_>, stage: &Stage, frames: &[Vec<u8>], seconds: f64) -> anyhow::Result<Forwarded> {
    let config = format!("mode = \"native\"\nworkers = [{}]\n{CONFIG}", stage.receiver_core);
    let router = Collector::run(stage, &config)?;
    let count = || -> anyhow::Result<u64> {
        Ok(router.counters()?.pointer("/xdp/forwarded").and_then(Value::as_u64).unwrap_or_default())
    };
    let before = count()?;
    let forwarded = offered(road, stage, frames, seconds)?;
    let counted = count()? - before;
    ensure!(
        counted >= forwarded.frames && counted - forwarded.frames <= counted / 100,
        "{counted} frames forwarded by our count, {} came through",
        forwarded.frames
    );
    Ok(forwarded)
}

fn bare(road: &Road<'_>, stage: &Stage, frames: &[Vec<u8>], seconds: f64) -> anyhow::Result<Forwarded> {
    let _least = stage.inside("a", || {
        let mut least = Bare::load(&[])?;
        least.port("eth1")?;
        least.attach(Least::Forward, "eth0")?;
        Ok(least)
    })?;
    offered(road, stage, frames, seconds)
}

/// Offers more than anybody can forward to whatever forwards now.
fn offered(road: &Road<'_>, stage: &Stage, frames: &[Vec<u8>], seconds: f64) -> anyhow::Result<Forwarded> {
    let (before, spent) = (road.arrived()?, stage.receiving_ns());
    let (offered, seconds) = road.offer(frames, seconds)?;
    let forwarded = Forwarded {
        offered,
        frames: road.arrived()? - before,
        busy_ns: stage.receiving_ns() - spent,
        seconds,
    };
    ensure!(forwarded.frames > 0, "nothing came through");
    ensure!(forwarded.busy_ns > 0, "the kernel does not say what its receiving thread spent");
    Ok(forwarded)
}
