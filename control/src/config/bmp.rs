//! `[bmp]`: sessions over TCP.

use serde::Deserialize;

use super::{ConfigError, range};

/// `[bmp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bmp {
    /// Seconds for which the routes of a lost session still serve the join.
    pub stale_routes_s: u32,
    /// Connections that may wait to be accepted, of each listener.
    pub listen_backlog: u16,
}

impl Default for Bmp {
    fn default() -> Self {
        Self { stale_routes_s: 120, listen_backlog: 1024 }
    }
}

impl Bmp {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("bmp.stale_routes_s", "", self.stale_routes_s.into(), 0..=86_400)?;
        range("bmp.listen_backlog", "", self.listen_backlog.into(), 1..=65_535)
    }
}
