//! Queues, offloads, hashed fields and rules of the cards, set while Millrace runs and set back when it stops.
//!
//! ```text
//! before a change: what was there -> file          stop: the file's values back, the file gone
//! killed: the file stays, and the next start takes it for what was there before
//! ```
//! What a driver cannot is said once, and everything goes on without. After another boot the file means nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ntuple::{self, Queues};
use super::rss;
use crate::config;
use crate::kernel::ethtool::{Channels, Ethtool, NTUPLE, RX_VLAN};

/// What was there before, by name of the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    /// Of the boot in which it was so.
    boot: String,
    devices: BTreeMap<String, Before>,
}

/// What a device had before it was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Before {
    /// Its interface index: another device of that name has another one.
    index: u32,
    channels: Option<Channels>,
    /// Whether each feature was on.
    features: BTreeMap<String, bool>,
    /// Hashed fields of each kind of flow.
    rss: BTreeMap<String, String>,
    /// The rules that were added.
    rules: Queues,
}

impl Before {
    fn is_as_it_was(&self) -> bool {
        *self == Self { index: self.index, ..Self::default() }
    }
}

/// The settings of the cards. One an instance.
#[derive(Debug)]
pub struct Setup {
    path: PathBuf,
    ethtool: Option<Ethtool>,
    saved: Saved,
    /// Indexes of devices whose cards have no rules; that was said.
    without_rules: BTreeSet<u32>,
}

/// The boot that this kernel is in.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The channels with so many receive queues, or as many as there can be.
pub(super) fn with_queues(now: &Channels, queues: u32) -> Channels {
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
        Self { path, ethtool: Ethtool::new().ok().flatten(), saved, without_rules: BTreeSet::new() }
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
        let before = &mut self.before(device, index);
        if let Err(error) = self.queues(&ethtool, wanted.queues, device, before) {
            tracing::info!("device {device}: its driver does not let nic.queues be set: {error}");
        }
        let rx_vlan = wanted.rx_vlan_off.then_some(false);
        if let Err(error) = self.feature(RX_VLAN, rx_vlan, device, before) {
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

    /// Switches a feature on or off; `None`: as it was.
    fn feature(
        &mut self,
        name: &str,
        wanted: Option<bool>,
        device: &str,
        before: &mut Before,
    ) -> io::Result<()> {
        let Some(ethtool) = self.ethtool.clone() else { return Err(io::ErrorKind::Unsupported.into()) };
        let Some(on) = wanted else {
            return match before.features.remove(name) {
                Some(on) => {
                    ethtool.set_feature(before.index, name, on)?;
                    self.save(device, before)
                }
                None => Ok(()),
            };
        };
        if ethtool.features(before.index)?.active.contains(name) == on {
            return Ok(());
        }
        before.features.entry(name.to_owned()).or_insert(!on);
        self.save(device, before)?;
        ethtool.set_feature(before.index, name, on)?;
        if ethtool.features(before.index)?.active.contains(name) != on {
            return Err(io::ErrorKind::Unsupported.into());
        }
        tracing::info!("device {device}: {name} is {}", if on { "on" } else { "off" });
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
        if now == rss::BY_SOURCE[0] {
            return Ok(());
        }
        before.rss.entry(kind.to_owned()).or_insert(now);
        self.save(device, before)?;
        let [best, second] = rss::BY_SOURCE;
        let fields = match rss::set(device, kind, best) {
            Ok(()) => best,
            Err(_) => rss::set(device, kind, second).map(|()| second)?,
        };
        tracing::info!("device {device}: {kind} is spread by {fields}");
        Ok(())
    }

    /// Gives a device the rules of `wanted`, and takes away those of ours that it does not name. What does not fit into
    /// the card, or what its driver cannot, is said.
    pub fn rules(&mut self, wanted: &Queues, device: &str, index: u32) {
        let mut before = self.before(device, index);
        if (wanted.is_empty() && before.rules.is_empty()) || self.without_rules.contains(&index) {
            return;
        }
        if let Err(error) = self.place(wanted, device, &mut before) {
            self.without_rules.insert(index);
            tracing::info!("device {device}: its driver does not let nic.ntuple_by_slot be set: {error}");
        }
    }

    fn place(&mut self, wanted: &Queues, device: &str, before: &mut Before) -> io::Result<()> {
        let features = self.ethtool.as_ref().map(|ethtool| ethtool.features(before.index));
        // Some drivers have rules and no switch for them.
        if features.transpose()?.is_some_and(|features| features.changeable.contains(NTUPLE)) {
            self.feature(NTUPLE, (!wanted.is_empty()).then_some(true), device, before)?;
        }
        let change = ntuple::change(&ntuple::read(device)?, &before.rules, wanted);
        change.remove.iter().try_for_each(|id| ntuple::remove(device, *id))?;
        before.rules.retain(|source, queue| wanted.get(source) == Some(queue));
        // Before they are there: a rule that a kill prevented is not found later, and that is all.
        before.rules.extend(&change.add);
        self.save(device, before)?;
        for (n, (source, queue)) in change.add.iter().enumerate() {
            if let Err(error) = ntuple::add(device, *source, *queue) {
                for source in change.add.keys().skip(n) {
                    before.rules.remove(source);
                }
                self.save(device, before)?;
                if before.rules.is_empty() {
                    return Err(error);
                }
                let (some, all) = (before.rules.len(), wanted.len());
                tracing::warn!("device {device}: {some} of {all} addresses have a rule: {error}");
                return Ok(());
            }
        }
        if !change.add.is_empty() || !change.remove.is_empty() {
            tracing::info!("device {device}: {} addresses have a queue of their own", wanted.len());
        }
        Ok(())
    }

    /// What is known of how it was.
    fn before(&self, device: &str, index: u32) -> Before {
        let before = self.saved.devices.get(device).filter(|before| before.index == index);
        before.cloned().unwrap_or(Before { index, ..Before::default() })
    }

    /// Sets every device back.
    pub fn restore(&mut self) {
        let Some(ethtool) = self.ethtool.clone() else { return };
        for (device, before) in std::mem::take(&mut self.saved.devices) {
            let rules = if before.rules.is_empty() {
                Ok(())
            } else {
                ntuple::read(&device).and_then(|there| {
                    let change = ntuple::change(&there, &before.rules, &Queues::new());
                    change.remove.iter().try_for_each(|id| ntuple::remove(&device, *id))
                })
            };
            let mut features = before.features.iter();
            let features = features.try_for_each(|(name, on)| ethtool.set_feature(before.index, name, *on));
            let fields = before.rss.iter().try_for_each(|(kind, fields)| rss::set(&device, kind, fields));
            let queues =
                before.channels.map_or(Ok(()), |channels| ethtool.set_channels(before.index, &channels));
            // One that is gone took its settings along.
            if let Err(error) = rules.and(features).and(fields).and(queues) {
                tracing::warn!("device {device}: cannot set it back: {error}");
            }
        }
        // Gone already where nothing was changed.
        let _ = fs::remove_file(&self.path);
    }

    /// Writes what was there before, whole or not at all.
    fn save(&mut self, device: &str, before: &Before) -> io::Result<()> {
        if before.is_as_it_was() {
            self.saved.devices.remove(device);
        } else {
            self.saved.devices.insert(device.to_owned(), before.clone());
        }
        let temporary = self.path.with_extension("json.tmp");
        fs::write(&temporary, serde_json::to_vec(&self.saved)?)?;
        fs::rename(&temporary, &self.path)
    }
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
        let before = Before { index: 4_711, features: [(RX_VLAN.into(), true)].into(), ..Before::default() };
        setup.save("gone0", &before).unwrap();
        assert_eq!(Setup::open(&directory).saved.devices["gone0"], before);
        setup.saved.boot = "another".into();
        setup.save("gone1", &before).unwrap();
        assert!(Setup::open(&directory).saved.devices.is_empty());
        fs::remove_dir_all(&directory).unwrap();
    }
}
