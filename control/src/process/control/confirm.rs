//! `run --confirm`: whoever attached a program to the device that carries his own session may have lost the host. Unless
//! he says that he has not, everything is taken down again.
//!
//! In: seconds. Out: a stop, as if told by a signal. The deadline lies with the keeper, so another control process keeps it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::{Control, sealed};
use crate::process::dataplane::octets_of;
use crate::process::message::Keep;

/// Under which name the deadline lies with the keeper.
const NAME: &str = "confirm";

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
}

impl Control {
    pub(super) fn await_confirmation(&mut self, confirm: Confirm) {
        self.confirm = confirm;
        let Some(deadline) = self.confirm.deadline_s else { return };
        match sealed(NAME, &deadline.to_le_bytes()) {
            Ok(file) => self.hold(NAME, file.as_fd()),
            Err(error) => tracing::error!("cannot keep the time to confirm: {error}"),
        }
        tracing::warn!("everything is taken down in {} s, unless: millrace confirm", deadline - now_s());
    }

    /// For `millrace confirm`.
    pub(super) fn confirmed(&mut self) -> Value {
        if self.confirm.deadline_s.take().is_none() {
            return json!({"error": "nothing waits for it (millrace run --confirm SECONDS)"});
        }
        self.forget(NAME.into());
        tracing::info!("confirmed");
        json!({"confirmed": true})
    }

    /// Called now and then.
    pub(super) fn take_down_unconfirmed(&mut self) {
        if self.confirm.deadline_s.is_none_or(|deadline| now_s() < deadline) {
            return;
        }
        self.confirm.deadline_s = None;
        self.failed = Some("not confirmed in time (millrace confirm): everything is taken down".into());
        // Without a keeper nobody starts anything again either.
        let _ = self.keeper.send(&Keep::Stop, &[]);
        self.stop();
    }
}
