//! What would be done to a card: for `millrace check`.

use super::setup::with_queues;
use super::{ntuple, rss};
use crate::config;
use crate::kernel::ethtool::{Channels, Ethtool, RX_VLAN};

/// What [`Setup`](super::setup::Setup) would do to a device, one line each; `sources` addresses can have a rule. Changes
/// nothing.
#[must_use]
pub fn plan(wanted: &config::Nic, sources: usize, device: &str, index: u32) -> Vec<String> {
    if *wanted == config::Nic::default() {
        return Vec::new();
    }
    let Ok(Some(ethtool)) = Ethtool::new() else {
        return vec!["this kernel has no ethtool netlink: the settings of [nic] stay as they are".into()];
    };
    let mut lines = Vec::new();
    if wanted.queues > 0 {
        lines.push(match ethtool.channels(index) {
            Err(error) => {
                format!("nic.queues: its driver does not tell how many it has ({error}), they stay")
            }
            Ok(now) => {
                let (after, many) =
                    (with_queues(&now, wanted.queues), |c: &Channels| c.combined.0.max(c.rx.0));
                match many(&after) {
                    queues if queues == many(&now) => format!("nic.queues: {queues}, as it is"),
                    queues => format!("nic.queues: {} become {queues}, until the stop", many(&now)),
                }
            }
        });
    }
    if wanted.rx_vlan_off {
        let features = ethtool.features(index).unwrap_or_default();
        lines.push(match (features.active.contains(RX_VLAN), features.changeable.contains(RX_VLAN)) {
            (false, _) => "nic.rx_vlan_off: it is off".into(),
            (true, true) => "nic.rx_vlan_off: rxvlan goes off, until the stop".into(),
            (true, false) => "nic.rx_vlan_off: its driver does not let it be switched off".into(),
        });
    }
    for kind in rss::KINDS.iter().filter(|_| wanted.rss_by_source) {
        lines.push(match rss::read(device, kind) {
            Ok(fields) if fields == rss::BY_SOURCE[0] => format!("nic.rss_by_source: {kind} is"),
            Ok(fields) => {
                format!("nic.rss_by_source: {kind} is spread by {fields}, by s (else sd) until the stop")
            }
            Err(error) => {
                format!("nic.rss_by_source: its driver does not tell of {kind} ({error}), it stays")
            }
        });
    }
    if wanted.ntuple_by_slot {
        lines.push(match ntuple::read(device) {
            Ok(_) => {
                format!("nic.ntuple_by_slot: {sources} configured address(es) get a rule until the stop")
            }
            Err(error) => {
                format!("nic.ntuple_by_slot: its driver does not tell of rules ({error}), none is made")
            }
        });
    }
    lines
}
