//! `[nic]`: what the cards of `devices` are set to while Millrace runs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Deserialize;

use super::{Config, ConfigError, range};

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
    /// Give the card a rule for each configured exporter: its datagrams come on the queue of its worker.
    pub ntuple_by_slot: bool,
}

impl Config {
    /// Addresses of which datagrams are expected by name: what a card can have a rule for, at most
    /// `limits.max_ntuple_rules`.
    #[must_use]
    pub fn rule_sources(&self) -> BTreeSet<IpAddr> {
        let allowed = self.exporters.allow.iter().map(|allowed| allowed.source);
        let aliases = self.steering.alias.iter().map(|alias| alias.address);
        let hosts = allowed.chain(aliases).filter(super::Network::is_host).map(|network| network.address);
        let sampling = self.exporters.sampling.iter().map(|sampling| sampling.router);
        let all: BTreeSet<IpAddr> = hosts.chain(sampling).map(|address| address.to_canonical()).collect();
        all.into_iter().take(self.limits.max_ntuple_rules).collect()
    }
}

impl Nic {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("nic.queues", "", u64::from(self.queues), 0..=1_024)
    }
}
