//! What this kernel's `bpf_fib_lookup` can: asked by running a small program once, never by a version's number.
//!
//! In: a flag. Out: whether the helper takes it. Loads the object beside the real one, with maps of one entry.

use std::sync::OnceLock;

use aya::EbpfLoader;
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use dataplane_common::{fib, map};

use super::{EbpfError, OBJECT};

/// Flags that a kernel may lack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// `BPF_FIB_LOOKUP_MARK`, 6.10.
    pub mark_lookup: bool,
    /// `BPF_FIB_LOOKUP_TBID`, 6.5.
    pub table_lookup: bool,
}

/// What the kernel can. Asked once; nothing, where it cannot be asked (which the load itself will say).
pub fn probed() -> Probed {
    static PROBED: OnceLock<Probed> = OnceLock::new();
    *PROBED.get_or_init(|| probe().unwrap_or_default())
}

fn probe() -> Result<Probed, EbpfError> {
    let mut loader = EbpfLoader::new();
    for name in map::MAPS {
        loader.map_max_entries(name, 1);
    }
    let mut ebpf = loader.load(OBJECT)?;
    let at = |error| EbpfError::Program { name: map::PROBE_PROGRAM, error };
    let program = ebpf.program_mut(map::PROBE_PROGRAM).ok_or(EbpfError::Missing(map::PROBE_PROGRAM))?;
    let program: &mut Xdp = program.try_into().map_err(at)?;
    program.load().map_err(at)?;
    let takes = |flags: u32| {
        // The program reads the flags from the frame, which is no shorter than an Ethernet header.
        let mut frame = [0; 14];
        frame[..4].copy_from_slice(&flags.to_ne_bytes());
        let options = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() };
        program.test_run(options).map(|run| run.return_value == map::PROBE_TAKEN).map_err(at)
    };
    Ok(Probed { mark_lookup: takes(fib::MARK)?, table_lookup: takes(fib::DIRECT | fib::TABLE)? })
}
