//! The same program over the same tables, with counters of its own: what would become of a frame, asked without
//! changing what is counted.
//!
//! In: the settings of a load whose maps are pinned, and frames. Out: verdicts. Attached to nothing; nothing leaves.

use std::collections::BTreeSet;

use aya::{Ebpf, EbpfLoader};
use dataplane_common::map;
use dataplane_common::map::{forward, rules};
use zerocopy::IntoBytes as _;

use super::attach::Links;
use super::pins::Pins;
use super::{EbpfError, FrameRun, LoadSettings, OBJECT, Programs, Tables, run_frame, xdp};

/// Maps that programs write: a rehearsal has its own.
const WRITTEN: [&str; 12] = [
    map::FRAME_ENDS,
    map::SOCKET_ENDS,
    map::REDIRECTED,
    map::SELECTED,
    map::ROUTERS_SEEN,
    map::SEEN_STAMPS,
    forward::NEXT_HOPS,
    forward::NEXT_HOP_STAMPS,
    forward::PORT_ENDS,
    rules::RULE_HITS,
    rules::SOURCE_BUCKETS,
    rules::SHARED_BUCKETS,
];

impl Programs {
    /// Loads the XDP program once more, over the pinned maps that a load with the same settings reads.
    ///
    /// # Errors
    /// Without pins, and as [`Programs::load`].
    pub fn rehearsal(settings: &LoadSettings) -> Result<Self, EbpfError> {
        let mut ebpf = load_beside(settings, &WRITTEN, None)?;
        let tables = Tables::take(&mut ebpf, &settings.limits)?;
        Ok(Self { ebpf, links: Links::default(), pins: None, ids: BTreeSet::new(), tables })
    }

    /// Runs the XDP program over a frame as if it had come from queue 0 of the device with this index.
    ///
    /// # Errors
    /// When there is no such device in this network namespace, or the kernel refuses the frame.
    pub fn run_frame_on(&mut self, device_index: u32, frame: &[u8]) -> Result<FrameRun, EbpfError> {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let context = [0, length, 0, device_index, 0, 0];
        run_frame(&mut self.ebpf, frame, Some(context.as_bytes()), 1)
    }
}

/// Loads the XDP program once more beside a load with the same settings, over its pinned maps but those of `own`; `sized` is
/// a map that has another size than by default.
///
/// # Errors
/// Without pins, and as [`Programs::load`].
pub(super) fn load_beside(
    settings: &LoadSettings,
    own: &[&str],
    sized: Option<(&str, u32)>,
) -> Result<Ebpf, EbpfError> {
    let pins = settings.pins.as_deref().map(Pins::open).transpose()?;
    let pins = pins.ok_or(EbpfError::Missing("pinned map"))?;
    let constants = settings.constants();
    let sizes = settings.limits.sizes(settings);
    let mut loader = EbpfLoader::new();
    loader.override_global(map::SETTINGS, constants.as_bytes(), true);
    for (name, entries) in sizes.iter().copied().chain(sized) {
        loader.map_max_entries(name, entries);
    }
    for (name, path) in pins.adopt(OBJECT, &sizes)? {
        if !own.contains(&name) {
            loader.map_pin_path(name, path);
        }
    }
    let mut ebpf = loader.load(OBJECT)?;
    xdp(&mut ebpf)?.load().map_err(|error| EbpfError::Program { name: map::XDP_PROGRAM, error })?;
    Ok(ebpf)
}
