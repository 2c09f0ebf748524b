//! The devices of an instance: cards set, programs attached and taken off, rows of the rings that their queues have.
//!
//! In: configuration, devices by name. Out: attachments, rows, settings of cards. Steers nothing.

use std::collections::BTreeMap;

use super::{Plane, RingRow};
use crate::config::{Config, Mode};
use crate::ebpf::EbpfError;
use crate::ebpf::attach::{self, Attachment};
use crate::nic::Nic;
use crate::process::control::reception::Reception;
use crate::steering;

impl Plane {
    /// Sets a card and puts the program on it.
    pub(super) fn attach(&mut self, config: &Config, device: &str) -> Result<(), EbpfError> {
        let mode = match config.mode {
            Mode::Auto => attach::Mode::Auto,
            Mode::Native => attach::Mode::Native,
            Mode::Generic => attach::Mode::Generic,
            Mode::Socket => return Ok(()),
        };
        let Some(programs) = &mut self.programs else { return Ok(()) };
        // A new number of queues has to be there before rings are, and before a program that hands frames to them.
        if let Ok(index) = attach::device_index(device) {
            self.setup.apply(&config.nic, device, index);
        }
        match programs.attach(device, mode) {
            Ok(attached) => {
                if let Some(why) = &attached.why_not_native {
                    tracing::warn!(
                        "device {device}: generic mode, its driver does not take the program: {why}"
                    );
                }
                tracing::info!(
                    device,
                    mode = attached.attachment.name(),
                    replaced = attached.replaced,
                    "XDP program attached"
                );
                self.attached.insert(device.to_owned(), attached);
                Ok(())
            }
            Err(error) if config.mode == Mode::Auto => {
                tracing::warn!("device {device}: kernel sockets instead of XDP: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Rows for every RX queue of every attached device; rows of queues that are no more are taken back.
    pub(crate) fn open(&mut self, config: &Config) -> Result<(), EbpfError> {
        let Some(programs) = &mut self.programs else { return Ok(()) };
        let rings = &mut programs.tables.rings;
        let mut wanted = Vec::new();
        for attached in self.attached.values() {
            let queues = Nic::read(&attached.device).map_or(1, |nic| nic.rx_queues);
            wanted.extend((0..queues).map(|queue| (attached, queue)));
        }
        for (held, _) in rings.rows()? {
            if !wanted.iter().any(|(attached, queue)| (attached.index, *queue) == (held.device, held.queue)) {
                rings.remove_row(held.device, held.queue)?;
            }
        }
        let workers = u16::try_from(config.workers.len()).unwrap_or(1).max(1);
        self.past.append(&mut self.rings);
        for (attached, queue) in wanted {
            let generic = attached.attachment == Attachment::Generic;
            let alone = generic && workers > 1 && !several_sockets_in_generic_mode();
            self.rings.push(RingRow {
                device: attached.device.clone(),
                queue,
                row: rings.row(attached.index, queue)?,
                generic,
                only: alone.then(|| u16::try_from(queue % u32::from(workers)).unwrap_or(0)),
            });
        }
        let rings = &self.rings;
        self.past.retain(|past| rings.iter().all(|ring| ring.row != past.row));
        if self.rings.iter().any(|ring| ring.only.is_some()) {
            tracing::warn!(
                "this kernel races on the fill ring in generic mode with several sockets a queue \
                 (CVE-2025-37920): one ring a queue, the other workers take kernel sockets. Mended in \
                 6.1.164, 6.6.123, 6.12.28, 6.14.6 and 6.15"
            );
        }
        Ok(())
    }

    /// Gives the cards rules for the configured addresses whose slots have a worker; takes those away that are not wanted.
    pub(crate) fn place_sources(&mut self, config: &Config, key: [u8; 16], workers: usize) {
        let workers = u32::try_from(workers).unwrap_or(0);
        for attached in self.attached.values() {
            let wanted = match Nic::read(&attached.device) {
                Some(nic) if config.nic.ntuple_by_slot => {
                    steering::own_queues(config, key, workers, nic.rx_queues)
                }
                _ => BTreeMap::new(),
            };
            self.setup.rules(&wanted, &attached.device, attached.index);
        }
    }

    /// Takes the program off every device.
    pub(crate) fn detach(&mut self) {
        let before = Reception::before(self.reception.indexes(), || self.frames_seen());
        let Some(programs) = &mut self.programs else { return };
        for device in std::mem::take(&mut self.attached).into_keys() {
            if let Err(error) = programs.detach(&device) {
                tracing::error!("device {device}: {error}");
            }
        }
        self.reception.closed(&before);
    }

    /// Takes the programs off their devices, also those of an earlier process of this instance, for good.
    pub(crate) fn withhold(&mut self, config: &Config) {
        self.withheld = true;
        self.detach();
        let Some(programs) = &mut self.programs else { return };
        for device in config.forward_devices().chain(config.devices.iter().map(String::as_str)) {
            // One that is not there runs nothing.
            if let Err(error) = programs.detach(device)
                && attach::device_index(device).is_ok()
            {
                tracing::error!("device {device}: {error}");
            }
        }
    }
}

/// Whether several AF_XDP sockets may share a pool in generic mode (CVE-2025-37920 is mended).
fn several_sockets_in_generic_mode() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    mended(&release)
}

fn mended(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let mut number = || numbers.next().unwrap_or(0);
    match (number(), number(), number()) {
        (6, 1, patch) => patch >= 164,
        (6, 6, patch) => patch >= 123,
        (6, 12, patch) => patch >= 28,
        (6, 14, patch) => patch >= 6,
        (major, minor, _) => (major, minor) >= (6, 15),
    }
}

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn kernels_that_race_are_known() {
        for release in
            ["6.1.164", "6.1.164-1-amd64", "6.6.123", "6.12.28", "6.14.6", "6.15.0", "6.18.1", "7.0"]
        {
            assert!(mended(release), "{release}");
        }
        for release in
            ["5.15.0", "6.1.163-1-cloud-amd64", "6.6.5", "6.8.12", "6.12.27", "6.13.9", "6.14.5", ""]
        {
            assert!(!mended(release), "{release}");
        }
    }
}
