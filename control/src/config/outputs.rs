//! `[[sink]]`: where rows go.

use std::path::PathBuf;

use collector::ledger::Kind;
use serde::Deserialize;

use super::{ConfigError, nearest, range, refuse};

/// `sink.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkType {
    /// JSON lines.
    Json,
    /// Parquet.
    Parquet,
    /// Counted and forgotten.
    Null,
}

/// One `[[sink]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Format.
    #[serde(rename = "type")]
    pub kind: SinkType,
    /// Directory of the files; needed unless the type is `null`.
    #[serde(default)]
    pub path: PathBuf,
    /// Kinds of rows; all when absent.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Seconds after which a file is completed and a new one begun.
    #[serde(default = "rotate_s")]
    pub rotate_s: u64,
    /// Octets that complete files may take; the oldest go first. 0: no limit.
    #[serde(default = "max_disk_bytes")]
    pub max_disk_bytes: u64,
}

const fn rotate_s() -> u64 {
    60
}

const fn max_disk_bytes() -> u64 {
    10_000_000_000
}

impl Sink {
    pub(super) fn check(&self, n: usize) -> Result<(), ConfigError> {
        if self.kind != SinkType::Null && self.path.as_os_str().is_empty() {
            return Err(refuse(format!("sink[{n}].path"), "\"\"", "a directory"));
        }
        range(&format!("sink[{n}].rotate_s"), "", self.rotate_s, 1..=86_400)?;
        let legal: Vec<String> = Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect();
        for kind in &self.kinds {
            if !legal.contains(kind) {
                let hint = nearest(kind, &legal).map(|near| format!("; did you mean `{near}`?"));
                let words = format!("one of {}{}", legal.join(", "), hint.unwrap_or_default());
                return Err(refuse(format!("sink[{n}].kinds"), kind, words));
            }
        }
        Ok(())
    }

    /// The kinds it takes, in the order of their number.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let named = |kind: &&Kind| self.kinds.is_empty() || self.kinds.iter().any(|name| name == kind.name());
        Kind::ALL.iter().filter(named).copied().collect()
    }

    /// One bit for each kind it takes, at `Kind::index`.
    #[must_use]
    pub fn kinds_mask(&self) -> u32 {
        if self.kinds.is_empty() {
            return u32::MAX;
        }
        self.kinds().iter().fold(0, |mask, kind| mask | 1 << kind.index())
    }
}
