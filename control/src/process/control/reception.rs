//! What the kernel says that devices have received, since the program runs on them.
//!
//! In: the kernel's counters of devices and the program's count of frames. Out: [`Reception`]'s bounds for the first
//! link of the chain. A device cannot be read at the very moment at which the program comes or goes, so its count is
//! read before and after, and what came in between may belong to either side.

use std::collections::BTreeMap;

use crate::ebpf::attach::Attached;
use crate::kernel::{KernelState, ask};
use crate::nic::counts_as_seen;
use crate::totals::{DeviceTotals, Received};

/// A count that was read before and after something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    before: u64,
    after: u64,
}

/// A device that runs the program.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    name: String,
    held: bool,
    opened: Mark,
    /// When the program was taken off.
    closed: Option<Mark>,
}

/// Marks of all devices, taken anew whenever one comes or goes. One a control process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reception {
    devices: BTreeMap<u32, Device>,
    /// Where the program's count of frames stood, between the two readings of each device.
    frames: u64,
}

/// Counts read before the program came or went.
#[derive(Debug, Default)]
pub(crate) struct Before {
    received: BTreeMap<u32, u64>,
    frames: u64,
}

impl Reception {
    /// Call this before the program comes to `indexes` or leaves them; `frames` reads what the program has counted.
    pub(crate) fn before(indexes: impl Iterator<Item = u32>, frames: impl FnOnce() -> u64) -> Before {
        let received = indexes.filter_map(|index| Some((index, ask::received(index).ok()?))).collect();
        Before { received, frames: frames() }
    }

    /// The program runs on `attached`, and on nothing else.
    pub(crate) fn opened<'a>(
        before: &Before,
        attached: impl Iterator<Item = &'a Attached>,
        kernel: &KernelState,
    ) -> Self {
        let device = |attached: &Attached| {
            let opened = Mark {
                before: *before.received.get(&attached.index)?,
                after: ask::received(attached.index).ok()?,
            };
            let held = counts_as_seen(kernel.kind(&attached.device));
            Some((attached.index, Device { name: attached.device.clone(), held, opened, closed: None }))
        };
        Self { devices: attached.filter_map(device).collect(), frames: before.frames }
    }

    /// The program has been taken off every device.
    pub(crate) fn closed(&mut self, before: &Before) {
        for (index, device) in self.devices.iter_mut().filter(|(_, device)| device.closed.is_none()) {
            let mark = before.received.get(index).zip(ask::received(*index).ok());
            device.closed = mark.map(|(before, after)| Mark { before: *before, after });
        }
    }

    /// Indexes of the devices.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = u32> {
        self.devices.keys().copied()
    }

    /// What came in until now, or until the program was taken off; `frames` is what the program has counted.
    /// `None`: a device is gone and took its count with it.
    pub(crate) fn now(&self, frames: u64) -> Option<Received> {
        let device = |(index, device): (&u32, &Device)| {
            let now = match device.closed {
                Some(mark) => mark,
                None => ask::received(*index).map(|count| Mark { before: count, after: count }).ok()?,
            };
            Some(DeviceTotals {
                device: device.name.clone(),
                least: now.before.saturating_sub(device.opened.after),
                most: now.after.wrapping_sub(device.opened.before),
                held: device.held,
            })
        };
        let devices = self.devices.iter().map(device).collect::<Option<_>>()?;
        Some(Received { devices, frames: frames.wrapping_sub(self.frames) })
    }
}
