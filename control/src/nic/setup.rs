//! Queues and offloads of the cards, set while Millrace runs and set back when it stops.
//!
//! ```text
//! before a change: what was there -> file          stop: the file's values back, the file gone
//! killed: the file stays, and the next start takes it for what was there before
//! ```
//! What a driver cannot is said once, and everything goes on without. After another boot the file means nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rss;
use crate::config;
use crate::kernel::ethtool::{Channels, Ethtool, RX_VLAN};

/// What was there before, by name of the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    /// Of the boot in which it was so.
    boot: String,
    devices: BTreeMap<String, Before>,
}

/// What a device had before it was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    /// Its interface index: another device of that name has another one.
    index: u32,
    channels: Option<Channels>,
    rx_vlan: Option<bool>,
    /// Hashed fields of each kind of flow.
    #[serde(default)]
    rss: BTreeMap<String, String>,
}

/// The settings of the cards. One an instance.
#[derive(Debug)]
pub struct Setup {
    path: PathBuf,
    ethtool: Option<Ethtool>,
    saved: Saved,
}

/// The boot that this kernel is in.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The channels with so many receive queues, or as many as there can be.
fn with_queues(now: &Channels, queues: u32) -> Channels {
    let mut wanted = *now;
    // Most drivers have queues for both ways only.
    if now.combined.1 > 0 {
        wanted.combined.0 = queues.min(now.combined.1);
    } else {
        wanted.rx.0 = queues.min(now.rx.1);
    }
    wanted
}

impl Setup {
    /// With what a killed instance left in `state_dir`.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        let path = state_dir.join("nic.json");
        let saved = fs::read(&path).ok().and_then(|octets| serde_json::from_slice(&octets).ok());
        let saved = saved.filter(|saved: &Saved| saved.boot == boot());
        let saved = saved.unwrap_or_else(|| Saved { boot: boot(), devices: BTreeMap::new() });
        Self { path, ethtool: Ethtool::new().ok().flatten(), saved }
    }

    /// Sets a device to what is configured; what a killed instance had set and nobody wants any more is set back.
    pub fn apply(&mut self, wanted: &config::Nic, device: &str, index: u32) {
        let Some(ethtool) = self.ethtool.clone() else {
            if *wanted != config::Nic::default() {
                tracing::info!(
                    "device {device}: this kernel has no ethtool netlink, its settings stay as they are"
                );
            }
            return;
        };
        let mut before = self.saved.devices.get(device).cloned().filter(|before| before.index == index);
        let before = before.get_or_insert(Before { index, ..Before::default() });
        if let Err(error) = self.queues(&ethtool, wanted.queues, device, before) {
            tracing::info!("device {device}: its driver does not let nic.queues be set: {error}");
        }
        if let Err(error) = self.rx_vlan(&ethtool, wanted.rx_vlan_off, device, before) {
            tracing::info!("device {device}: its driver does not let nic.rx_vlan_off be set: {error}");
        }
        for kind in rss::KINDS {
            if let Err(error) = self.rss(kind, wanted.rss_by_source, device, before) {
                tracing::info!("device {device}: its driver does not let nic.rss_by_source be set: {error}");
                break;
            }
        }
    }

    fn queues(
        &mut self,
        ethtool: &Ethtool,
        queues: u32,
        device: &str,
        before: &mut Before,
    ) -> io::Result<()> {
        if queues == 0 {
            return match before.channels.take() {
                Some(channels) => {
                    ethtool.set_channels(before.index, &channels)?;
                    self.save(device, before)
                }
                None => Ok(()),
            };
        }
        let now = ethtool.channels(before.index)?;
        let wanted = with_queues(&now, queues);
        if wanted != now {
            before.channels.get_or_insert(now);
            self.save(device, before)?;
            ethtool.set_channels(before.index, &wanted)?;
            tracing::info!("device {device}: {} receive queue(s)", wanted.combined.0.max(wanted.rx.0));
        }
        Ok(())
    }

    fn rx_vlan(&mut self, ethtool: &Ethtool, off: bool, device: &str, before: &mut Before) -> io::Result<()> {
        if !off {
            return match before.rx_vlan.take() {
                Some(on) => {
                    ethtool.set_feature(before.index, RX_VLAN, on)?;
                    self.save(device, before)
                }
                None => Ok(()),
            };
        }
        let features = ethtool.features(before.index)?;
        if !features.active.contains(RX_VLAN) {
            return Ok(());
        }
        before.rx_vlan.get_or_insert(true);
        self.save(device, before)?;
        ethtool.set_feature(before.index, RX_VLAN, false)?;
        if ethtool.features(before.index)?.active.contains(RX_VLAN) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        tracing::info!("device {device}: VLAN tags stay in the frame");
        Ok(())
    }

    fn rss(&mut self, kind: &str, by_source: bool, device: &str, before: &mut Before) -> io::Result<()> {
        if !by_source {
            return match before.rss.remove(kind) {
                Some(fields) => {
                    rss::set(device, kind, &fields)?;
                    self.save(device, before)
                }
                None => Ok(()),
            };
        }
        let now = rss::read(device, kind)?;
        if now == rss::SOURCE {
            return Ok(());
        }
        before.rss.entry(kind.to_owned()).or_insert(now);
        self.save(device, before)?;
        rss::set(device, kind, rss::SOURCE)?;
        tracing::info!("device {device}: {kind} is spread by source address");
        Ok(())
    }

    /// Sets every device back.
    pub fn restore(&mut self) {
        let Some(ethtool) = self.ethtool.clone() else { return };
        for (device, before) in std::mem::take(&mut self.saved.devices) {
            let queues =
                before.channels.map_or(Ok(()), |channels| ethtool.set_channels(before.index, &channels));
            let tags = before.rx_vlan.map_or(Ok(()), |on| ethtool.set_feature(before.index, RX_VLAN, on));
            let fields = before.rss.iter().try_for_each(|(kind, fields)| rss::set(&device, kind, fields));
            // One that is gone took its settings along.
            if let Err(error) = queues.and(tags).and(fields) {
                tracing::warn!("device {device}: cannot set it back: {error}");
            }
        }
        // Gone already where nothing was changed.
        let _ = fs::remove_file(&self.path);
    }

    /// Writes what was there before, whole or not at all.
    fn save(&mut self, device: &str, before: &Before) -> io::Result<()> {
        if before.channels.is_none() && before.rx_vlan.is_none() && before.rss.is_empty() {
            self.saved.devices.remove(device);
        } else {
            self.saved.devices.insert(device.to_owned(), before.clone());
        }
        let temporary = self.path.with_extension("json.tmp");
        fs::write(&temporary, serde_json::to_vec(&self.saved)?)?;
        fs::rename(&temporary, &self.path)
    }
}

/// What [`Setup::apply`] would do to a device, one line each. Changes nothing.
#[must_use]
pub fn plan(wanted: &config::Nic, device: &str, index: u32) -> Vec<String> {
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
            Ok(fields) if fields == rss::SOURCE => format!("nic.rss_by_source: {kind} is"),
            Ok(fields) => format!("nic.rss_by_source: {kind} is spread by {fields}, by s until the stop"),
            Err(error) => {
                format!("nic.rss_by_source: its driver does not tell of {kind} ({error}), it stays")
            }
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_those_of_the_kind_that_there_is() {
        let combined = Channels { combined: (8, 16), ..Channels::default() };
        assert_eq!(with_queues(&combined, 4).combined, (4, 16));
        assert_eq!(with_queues(&combined, 99).combined, (16, 16));
        let apart = Channels { rx: (1, 2), tx: (1, 2), ..Channels::default() };
        assert_eq!(with_queues(&apart, 2), Channels { rx: (2, 2), ..apart });
    }

    #[test]
    fn what_was_there_in_another_boot_means_nothing() {
        let directory = std::env::temp_dir().join(format!("mr-nic-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut setup = Setup::open(&directory);
        let before = Before { index: 4_711, rx_vlan: Some(true), ..Before::default() };
        setup.save("gone0", &before).unwrap();
        assert_eq!(Setup::open(&directory).saved.devices["gone0"], before);
        setup.saved.boot = "another".into();
        setup.save("gone1", &before).unwrap();
        assert!(Setup::open(&directory).saved.devices.is_empty());
        fs::remove_dir_all(&directory).unwrap();
    }
}
