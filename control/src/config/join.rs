//! `[join]`: flows joined with the routes of their router.

use serde::Deserialize;

/// `[join]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Join {
    /// Whether flows are joined.
    pub enabled: bool,
}

impl Default for Join {
    fn default() -> Self {
        Self { enabled: true }
    }
}
