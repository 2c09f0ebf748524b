//! `[process]`: the processes and what they hold.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, range};

/// `[process]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// Directory of the BPF file system for what outlives the control process; empty: one of its own for
    /// each `state_dir`.
    pub pin_dir: PathBuf,
    /// Longest pause before a process that keeps dying is started again.
    pub restart_max_ms: u64,
    /// Memory of rings and tables in huge pages, where there are some.
    pub huge_pages: bool,
}

impl Default for Process {
    fn default() -> Self {
        Self { pin_dir: PathBuf::new(), restart_max_ms: 10_000, huge_pages: true }
    }
}

impl Process {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("process.restart_max_ms", "", self.restart_max_ms, 100..=600_000)
    }

    /// The directory of pins: the configured one, or one that no other `state_dir` has.
    #[must_use]
    pub fn pins(&self, state_dir: &Path) -> PathBuf {
        if !self.pin_dir.as_os_str().is_empty() {
            return self.pin_dir.clone();
        }
        let absolute = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
        // FNV-1a: a name, not a secret.
        let hash =
            absolute.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
                (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
            });
        PathBuf::from(format!("/sys/fs/bpf/millrace-{hash:016x}"))
    }
}
