//! The same program in the place of the one on the devices, for as long as somebody wants to see frames: it writes those
//! that are asked for into a ring.
//!
//! In: what is asked for. Out: the ring's descriptor, and at the end how much was seen. The program that does not dump
//! pays nothing for it. Both read and count in the same tables, and each replaces the other in one step.

use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};

use aya::Ebpf;
use aya::maps::{Map, MapData, PerCpuArray, RingBuf};
use dataplane_common::map::dump::{Counts, DUMP_COUNTS, DUMP_RING};

use super::rehearsal::load_beside;
use super::tables::at;
use super::{EbpfError, LoadSettings, Programs, id, xdp};

/// Octets of the ring: some thousand frames.
const RING_OCTETS: u32 = 8 << 20;

/// Which frames are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Only those that XDP drops.
    pub drops: bool,
    /// Only those that arrive on the port with this interface index; 0: on any.
    pub port: u32,
    /// Only those from this address.
    pub source: Option<IpAddr>,
    /// Only one in so many, from 1.
    pub one_in: u32,
    /// At most so many a second and CPU.
    pub per_second: u32,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { drops: false, port: 0, source: None, one_in: 1, per_second: 10_000 }
    }
}

/// A dump that runs.
pub struct Dumping {
    ebpf: Ebpf,
    counts: PerCpuArray<MapData, [u8; size_of::<Counts>()]>,
    ring: OwnedFd,
}

impl std::fmt::Debug for Dumping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dumping")
    }
}

impl Dumping {
    /// The ring, for [`ring`] in the process that reads it.
    #[must_use]
    pub const fn ring(&self) -> &OwnedFd {
        &self.ring
    }

    /// What has become so far of the frames that were asked for, on all CPUs.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn counts(&self) -> Result<Counts, EbpfError> {
        let of_cpus = self.counts.get(&0, 0).map_err(at(DUMP_COUNTS))?;
        let mut all = Counts::default();
        for octets in of_cpus.iter() {
            let counts: Counts = zerocopy::transmute!(*octets);
            all.matched += counts.matched;
            all.sampled_out += counts.sampled_out;
            all.over_rate += counts.over_rate;
            all.ring_full += counts.ring_full;
            all.written += counts.written;
        }
        Ok(all)
    }
}

/// Reads a ring whose descriptor another process gave.
///
/// # Errors
/// When it is none.
pub fn ring(descriptor: OwnedFd) -> Result<RingBuf<MapData>, EbpfError> {
    let map = MapData::from_fd(descriptor).map_err(at(DUMP_RING))?;
    RingBuf::try_from(Map::RingBuf(map)).map_err(at(DUMP_RING))
}

impl Programs {
    /// Loads the program once more, over the pinned maps, and puts it in the place of the one on the devices.
    /// `settings` are those of the load, with what is asked for.
    ///
    /// # Errors
    /// Without pins, and as [`Programs::load`]; then nothing has changed on the devices.
    pub fn start_dump(&mut self, settings: &LoadSettings) -> Result<Dumping, EbpfError> {
        let mut ebpf = load_beside(settings, &[], Some((DUMP_RING, RING_OCTETS)))?;
        let Some(Map::RingBuf(ring)) = ebpf.take_map(DUMP_RING) else {
            return Err(EbpfError::Missing(DUMP_RING));
        };
        let ring = ring.fd().as_fd().try_clone_to_owned();
        let ring = ring.map_err(|error| at(DUMP_RING)(error.into()))?;
        let counts = ebpf.take_map(DUMP_COUNTS).ok_or(EbpfError::Missing(DUMP_COUNTS))?;
        let counts = PerCpuArray::try_from(counts).map_err(at(DUMP_COUNTS))?;
        let mut dumping = Dumping { ebpf, counts, ring };
        self.ids.insert(id(&mut dumping.ebpf)?);
        if let Err(error) = self.links.replace(xdp(&mut dumping.ebpf)?) {
            self.links.replace(xdp(&mut self.ebpf)?)?;
            return Err(error);
        }
        Ok(dumping)
    }

    /// Puts the program that does not dump back; what was counted.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn end_dump(&mut self, dumping: &Dumping) -> Result<Counts, EbpfError> {
        self.links.replace(xdp(&mut self.ebpf)?)?;
        dumping.counts()
    }
}
