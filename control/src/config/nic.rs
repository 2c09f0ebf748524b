//! `[nic]`: what the cards of `devices` are set to while Millrace runs.

use serde::Deserialize;

use super::{ConfigError, range};

/// `[nic]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nic {
    /// Receive queues; 0: as many as there are.
    pub queues: u32,
    /// Leave VLAN tags in the frame, where XDP sees them.
    pub rx_vlan_off: bool,
    /// Choose the queue of a datagram by its source address alone.
    pub rss_by_source: bool,
}

impl Nic {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("nic.queues", "", u64::from(self.queues), 0..=1_024)
    }
}
