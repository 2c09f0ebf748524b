//! What nobody is told: the maps against the kernel, now and then, and the neighbours of next hops in use.
//!
//! In: maps read back, a fresh dump. Out: differences counted and mended. Between two comparisons events keep the
//! maps right; a difference found here is a fault, or somebody else's hand on our maps.

use std::time::{Duration, Instant};

use super::Control;
use crate::ebpf::EbpfError;
use crate::kernel::follow::Compared;
use crate::mirror;
use crate::neighbours::{Act, Kept, plan};
use crate::reconcile::Tables;

/// Time between two looks at the next hops in use: an entry stays reachable for 15 to 45 s after its last proof.
const UPKEEP: Duration = Duration::from_secs(5);

/// What was found so far. One a control process.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    last: Option<Instant>,
    last_upkeep: Option<Instant>,
    /// Comparisons made.
    pub(crate) runs: u64,
    /// Times that the state was not the kernel's though no event was lost.
    pub(crate) missed_events: u64,
    /// Entries of maps that were not what was written.
    pub(crate) entries: u64,
    /// Neighbours that are kept fresh.
    pub(crate) kept: Kept,
    /// Changes of neighbours that the kernel refused.
    pub(crate) refused: u64,
}

fn due(last: &mut Option<Instant>, every: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

impl Control {
    /// Called now and then.
    pub(super) async fn look_after(&mut self) {
        if self.plane.programs.is_none() || self.stopping.is_some() {
            return;
        }
        if due(&mut self.audit.last, Duration::from_secs(self.config.forward.audit_s)) {
            self.compare();
        }
        if self.config.forwards()
            && self.config.forward.neighbours
            && due(&mut self.audit.last_upkeep, UPKEEP)
        {
            self.keep_neighbours().await;
        }
    }

    fn compare(&mut self) {
        self.audit.runs += 1;
        match self.follower.compare() {
            Ok(Compared::Equal | Compared::Moving) => {}
            Ok(Compared::Replaced(difference)) => {
                self.audit.missed_events += 1;
                tracing::warn!("the kernel's state had changed without an event: {difference}");
            }
            Err(error) => tracing::error!("cannot compare with the kernel: {error}"),
        }
        self.reconcile();
        match self.plane.mend(&self.config) {
            Ok(0) => {}
            Ok(entries) => {
                self.audit.entries += entries as u64;
                tracing::warn!("{entries} entries of maps were not what was written: written again");
            }
            Err(error) => tracing::error!("cannot read the maps back: {error}"),
        }
    }

    async fn keep_neighbours(&mut self) {
        let Some(programs) = &mut self.plane.programs else { return };
        let next_hops = &mut programs.tables.forwarding.next_hops;
        let Ok(uses) = next_hops.list() else { return };
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now_ns =
            u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0);
        let idle_ns = self.config.forward.neighbour_idle_s * 1_000_000_000;
        let acts = plan(&uses, &self.audit.kept, self.follower.state(), now_ns, idle_ns);
        for act in &acts {
            if let Act::Forget(hop) = act {
                // Used again in this moment, it is written again.
                let _ = next_hops.remove(hop);
            }
        }
        let refused = self.audit.kept.carry_out(&self.netlink, &acts).await;
        self.audit.refused += u64::from(refused);
    }
}

impl super::Plane {
    /// What the maps hold, read back.
    pub(crate) fn read_back(&self) -> Result<Tables, EbpfError> {
        match &self.programs {
            Some(programs) => mirror::read(&programs.tables, &self.held),
            None => Ok(self.held.clone()),
        }
    }

    /// Makes the maps hold what was written; how many entries did not.
    fn mend(&mut self, config: &crate::config::Config) -> Result<usize, EbpfError> {
        let steps = self.read_back()?.steps_to(&self.held);
        for step in &steps {
            self.take(config, step)?;
        }
        Ok(steps.len())
    }
}
