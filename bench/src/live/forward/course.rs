//! What a frame costs a program, without devices: `BPF_PROG_TEST_RUN` over thousands of different frames.
//!
//! In: heads of frames, programs. Out: nanoseconds a frame, what the course itself costs taken off.

use anyhow::ensure;
use control::ebpf::Programs;
use control::ebpf::bare::{Bare, Least};
use dataplane_common::map::bare::HEAD_LENGTH;
use serde_json::{Value, json};

use super::super::stage::Stage;
use super::blocks::Router;
use super::road::Road;
use crate::figure::{median, spread};

/// Octets of the frames.
const LENGTH: usize = 106;
/// Frames of one round: every head several times.
const FRAMES: u32 = 40_000;
/// Rounds of a run; the least disturbed one counts.
const ROUNDS: u32 = 8;
/// Heads of a course.
const HEADS: u32 = 10_000;
/// The device that frames come from.
const DEVICE: &str = "eth0";
/// `XDP_REDIRECT`.
const REDIRECT: u32 = 4;

/// Heads that programs meet one after the other.
#[derive(Debug)]
pub struct Course {
    /// The bare programs.
    pub bare: Bare,
}

impl Course {
    /// Over these frames; shorter ones are padded.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn over(frames: &[Vec<u8>]) -> anyhow::Result<Self> {
        let head = |frame: &Vec<u8>| {
            let mut head = [0; HEAD_LENGTH];
            let length = frame.len().min(HEAD_LENGTH);
            head[..length].copy_from_slice(&frame[..length]);
            head
        };
        Ok(Self { bare: Bare::load(&frames.iter().map(head).collect::<Vec<_>>())? })
    }

    /// Nanoseconds a frame in our program; every frame is redirected.
    ///
    /// # Errors
    /// What the kernel refused, or another verdict.
    pub fn ours(&mut self, programs: &mut Programs) -> anyhow::Result<f64> {
        self.quietest(|bare| Ok(bare.time_of(programs, DEVICE, LENGTH, FRAMES)?))
    }

    /// Nanoseconds a frame in a bare program.
    ///
    /// # Errors
    /// What the kernel refused, or another verdict.
    pub fn least(&mut self, what: Least) -> anyhow::Result<f64> {
        self.quietest(|bare| Ok(bare.time(what, DEVICE, LENGTH, FRAMES)?))
    }

    /// The least of several rounds, without what the course costs: in turn, so that both meet the same machine.
    fn quietest(
        &mut self,
        mut round: impl FnMut(&mut Bare) -> anyhow::Result<(u64, u32)>,
    ) -> anyhow::Result<f64> {
        let (mut least, mut nothing) = (u64::MAX, u64::MAX);
        for _ in 0..ROUNDS {
            nothing = nothing.min(self.bare.time(Least::Nothing, DEVICE, LENGTH, FRAMES)?.0);
            let (ns, verdict) = round(&mut self.bare)?;
            ensure!(verdict == REDIRECT, "the verdict is {verdict}");
            least = least.min(ns);
        }
        Ok(least as f64 - nothing as f64)
    }
}

/// Time of a frame with ever more routes, ours beside the kernel's look-up and a redirect.
///
/// # Errors
/// What the kernel refused.
pub fn by_routes(name: &str, stage: &Stage, runs: usize) -> anyhow::Result<Vec<Value>> {
    let mut road = Road::lay(stage, 1)?;
    let mut rows = Vec::new();
    for routes in [1, 1_000, 100_000] {
        road.route(routes)?;
        let frames = road.frames(HEADS)?;
        let (mut ours, mut least) = (Vec::new(), Vec::new());
        stage.inside("a", || {
            let mut router = Router::open(super::CONFIG)?;
            let mut course = Course::over(&frames)?;
            course.bare.port("eth1")?;
            for run in 0..=runs {
                let (a, b) = (course.ours(&mut router.programs)?, course.least(Least::Forward)?);
                if run > 0 {
                    ours.push(a);
                    least.push(b);
                }
            }
            Ok(())
        })?;
        let peer = median(&least);
        rows.push(json!({
            "name": name, "unit": "ns", "routes": routes, "ours": median(&ours), "peer": peer,
            "peer_name": "bpf_fib_lookup and a redirect, nothing else", "ratio": peer / median(&ours),
            "added": median(&ours) - peer, "runs": ours.len(), "spread": spread(&ours),
        }));
    }
    Ok(rows)
}
