//! `run --confirm`: whoever attached a program to the device that carries his own session may have lost the host. Unless
//! he says that he has not, the programs are taken off again and the cards set back.
//!
//! In: seconds. Out: an instance that goes on through the kernel's sockets, and attaches nothing before the next start. The
//! deadline lies with the keeper, also once it has passed, so another control process keeps to it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::{Control, sealed};
use crate::process::dataplane::octets_of;

/// Under which name the deadline lies with the keeper.
const NAME: &str = "confirm";

/// What has been done where nobody confirmed.
const DETACHED: &str = "not confirmed in time (millrace confirm): XDP programs are off all devices, cards are set back; \
    collecting goes on through the kernel's sockets, forwarding is the kernel's alone, until the next start";

/// What is waited for.
#[derive(Debug, Default)]
pub(super) struct Confirm {
    /// Seconds of `CLOCK_MONOTONIC`.
    deadline_s: Option<i64>,
}

fn now_s() -> i64 {
    clock_gettime(ClockId::Monotonic).tv_sec
}

impl Confirm {
    /// The deadline that an earlier control process left, else one from now on.
    pub(super) fn new(seconds: Option<u32>, kept: &mut BTreeMap<String, OwnedFd>, again: bool) -> Self {
        let held = kept.remove(NAME).and_then(|file| octets_of(&file).ok());
        let held = held.and_then(|octets| Some(i64::from_le_bytes(octets.try_into().ok()?)));
        let first = seconds.filter(|_| !again).map(|seconds| now_s() + i64::from(seconds));
        Self { deadline_s: held.or(first) }
    }

    /// Nobody has said that he still reaches the host.
    pub(super) fn has_passed(&self) -> bool {
        self.deadline_s.is_some_and(|deadline| now_s() >= deadline)
    }
}

impl Control {
    pub(super) fn await_confirmation(&mut self, confirm: Confirm) {
        self.confirm = confirm;
        let Some(deadline) = self.confirm.deadline_s else { return };
        if self.plane.withheld {
            tracing::error!("{DETACHED}");
            return;
        }
        match sealed(NAME, &deadline.to_le_bytes()) {
            Ok(file) => self.hold(NAME, file.as_fd()),
            Err(error) => tracing::error!("cannot keep the time to confirm: {error}"),
        }
        tracing::warn!(
            "XDP programs are taken off again in {} s, unless: millrace confirm",
            deadline - now_s()
        );
    }

    /// For `millrace confirm`.
    pub(super) fn confirmed(&mut self) -> Value {
        if self.plane.withheld {
            return json!({"error": DETACHED});
        }
        if self.confirm.deadline_s.take().is_none() {
            return json!({"error": "nothing waits for it (millrace run --confirm SECONDS)"});
        }
        self.forget(NAME.into());
        tracing::info!("confirmed");
        json!({"confirmed": true})
    }

    /// Called now and then.
    pub(super) fn detach_unconfirmed(&mut self) {
        if !self.confirm.has_passed() || self.plane.withheld || self.stopping.is_some() {
            return;
        }
        tracing::error!("{DETACHED}");
        self.end_dump();
        self.plane.withhold(&self.config);
        if let Err(error) = self.plane.open(&self.config) {
            tracing::error!("rows of rings are left: {error}");
        }
        // The next dataplane process has no rings; cards are set back between the two.
        self.restart();
        if self.dataplane.is_gone() {
            self.plane.setup.restore();
        }
    }
}
