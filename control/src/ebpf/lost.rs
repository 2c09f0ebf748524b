//! Frames that were lost after the program: tracepoints of the kernel, attached and read.
//!
//! In: the programs of a load. Out: which tracepoints tell, and what they have counted since. They are of the whole host:
//! of `xdp_devmap_xmit` nobody knows whose program it was, so who reads it looks only at devices of ours.

use std::path::Path;

use aya::Ebpf;
use aya::maps::{MapData, PerCpuHashMap};
use aya::programs::TracePoint;
use dataplane_common::map::lost::{self, LOST, POINTS};
use zerocopy::IntoBytes as _;

use super::tables::at;
use super::{EbpfError, Programs};

/// Where tracepoints are listed (`tracefs`).
const TRACING: &str = "/sys/kernel/tracing";

/// Frames that were lost in one way, since the tracepoint was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostFrames {
    /// Where and why.
    pub at: lost::Lost,
    /// How many.
    pub frames: u64,
}

impl LostFrames {
    /// The word for where: `redirect`, `transmit`, `exception`.
    #[must_use]
    pub fn point(&self) -> &'static str {
        POINTS.get(self.at.point as usize).map_or("unknown", |(_, _, word)| word)
    }

    /// The word for why: the name of the error, or the action that could not be carried out.
    #[must_use]
    pub fn error(&self) -> String {
        if self.at.point == lost::EXCEPTION {
            return format!("action {}", self.at.error);
        }
        let known = [
            (6, "ENXIO"),
            (12, "ENOMEM"),
            (14, "EFAULT"),
            (16, "EBUSY"),
            (19, "ENODEV"),
            (22, "EINVAL"),
            (28, "ENOSPC"),
            (90, "EMSGSIZE"),
            (95, "EOPNOTSUPP"),
            (100, "ENETDOWN"),
            (105, "ENOBUFS"),
        ];
        let name = known.iter().find(|(number, _)| *number == self.at.error);
        name.map_or_else(|| self.at.error.to_string(), |(_, name)| (*name).to_owned())
    }
}

/// What the tracepoints have counted.
pub struct LostCounters {
    pub(super) map: PerCpuHashMap<MapData, [u8; size_of::<lost::Lost>()], u64>,
}

impl LostCounters {
    /// Every way in which frames were lost, on the whole host.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self) -> Result<Vec<LostFrames>, EbpfError> {
        let items = self.map.iter().map(|item| {
            let (key, values) = item.map_err(at(LOST))?;
            let frames = values.iter().fold(0_u64, |total, value| total.wrapping_add(*value));
            let mut at = lost::Lost::default();
            at.as_mut_bytes().copy_from_slice(&key);
            Ok(LostFrames { at, frames })
        });
        items.collect()
    }
}

super::tables::opaque!(LostCounters);

impl Programs {
    /// Attaches to the tracepoints that the kernel has; each that cannot be attached, with why.
    pub fn watch_losses(&mut self) -> Vec<(&'static str, String)> {
        if !Path::new(TRACING).join("events").is_dir() {
            // As for pins: a mount namespace of its own may have none. Where it cannot be mounted, attaching says so.
            let flags = rustix::mount::MountFlags::empty();
            let _ = rustix::mount::mount("tracefs", TRACING, "tracefs", flags, None);
        }
        let watch = |(program, point, _): (&'static str, &'static str, &str)| {
            watch(&mut self.ebpf, program, point).err().map(|why| (point, why))
        };
        POINTS.into_iter().filter_map(watch).collect()
    }

    /// What was lost of frames that programs of this load ended, or between devices that `is_ours`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn losses(&self, is_ours: impl Fn(u32) -> bool) -> Result<Vec<LostFrames>, EbpfError> {
        let mut losses = self.tables.lost.list()?;
        losses.retain(|lost| match lost.at.program {
            0 => is_ours(lost.at.device) && is_ours(lost.at.to),
            program => self.ids.contains(&program),
        });
        losses.sort_by_key(|lost| lost.at);
        Ok(losses)
    }
}

fn watch(ebpf: &mut Ebpf, program: &'static str, point: &str) -> Result<(), String> {
    let found = ebpf.program_mut(program).ok_or(format!("the eBPF object has no {program}"))?;
    let found: &mut TracePoint =
        found.try_into().map_err(|error: aya::programs::ProgramError| error.to_string())?;
    let attached = found.load().and_then(|()| found.attach("xdp", point));
    attached.map(drop).map_err(|error| super::sentence(&error))
}
