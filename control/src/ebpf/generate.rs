//! Live frames for the packet generator: a program of its own makes them inside the kernel.
//!
//! In: planned frames and the device that sends. Out: frames on that device, as many as were asked for, counted by
//! the program. Nothing of it is part of a running Millrace.

use aya::EbpfLoader;
use aya::maps::Array;
use aya::programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use dataplane_common::map::generate::{CURSOR, Cursor, FRAME_CAPACITY, FRAMES, Planned};

use super::EbpfError;
use super::attach::device_index;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/millrace-generate-ebpf"));
const PROGRAM: &str = "millrace_generate";
/// Frames that the kernel makes before it hands them on: what its bulk queues take.
const BATCH: u32 = 64;

/// Frames of one script, on one device.
pub struct LiveFrames {
    ebpf: aya::Ebpf,
}

impl std::fmt::Debug for LiveFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveFrames").finish_non_exhaustive()
    }
}

impl LiveFrames {
    /// Loads the program with all frames; those from `cycle` on are sent again and again. It is attached to `idle`,
    /// a virtual Ethernet device that stays down: a program that is attached nowhere costs 20 ms a call.
    ///
    /// # Errors
    /// What the kernel refused; no such device.
    pub fn load(device: &str, idle: &str, frames: &[Planned], cycle: u32) -> Result<Self, EbpfError> {
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        let device = device_index(device)?;
        let mut ebpf = EbpfLoader::new().map_max_entries(FRAMES, count).load(OBJECT)?;
        let map_error = |name| move |error| EbpfError::Map { name, error };
        {
            let map = ebpf.map_mut(FRAMES).ok_or(EbpfError::Missing(FRAMES))?;
            let mut map: Array<_, [u8; size_of::<Planned>()]> =
                Array::try_from(map).map_err(map_error(FRAMES))?;
            for (index, frame) in (0..).zip(frames) {
                map.set(index, zerocopy::transmute_ref!(frame), 0).map_err(map_error(FRAMES))?;
            }
        }
        {
            let cursor = Cursor { cycle, frames: count, device, ..Cursor::default() };
            let map = ebpf.map_mut(CURSOR).ok_or(EbpfError::Missing(CURSOR))?;
            let mut map: Array<_, [u8; size_of::<Cursor>()]> =
                Array::try_from(map).map_err(map_error(CURSOR))?;
            map.set(0, zerocopy::transmute_ref!(&cursor), 0).map_err(map_error(CURSOR))?;
        }
        let mut live = Self { ebpf };
        let program = live.program()?;
        program.load().map_err(program_error)?;
        program.attach(idle, XdpMode::Driver).map_err(program_error)?;
        Ok(live)
    }

    /// Sends the next `count` frames from the core that this thread runs on. Fewer if a signal comes.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn send(&mut self, count: u32) -> Result<(), EbpfError> {
        let empty = [0; FRAME_CAPACITY];
        let mut options = TestRunOptions::new();
        options.data_in = Some(&empty);
        options.repeat = count;
        options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        match self.program()?.test_run(options) {
            Ok(_) => Ok(()),
            Err(ProgramError::SyscallError(error))
                if error.io_error.kind() == std::io::ErrorKind::Interrupted =>
            {
                Ok(())
            }
            Err(error) => Err(program_error(error)),
        }
    }

    /// Where it is: frames that were handed to the device, and those that could not be made.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn cursor(&self) -> Result<Cursor, EbpfError> {
        let map = self.ebpf.map(CURSOR).ok_or(EbpfError::Missing(CURSOR))?;
        let error = |error| EbpfError::Map { name: CURSOR, error };
        let map: Array<_, [u8; size_of::<Cursor>()]> = Array::try_from(map).map_err(error)?;
        let octets = map.get(&0, 0).map_err(error)?;
        Ok(zerocopy::transmute!(octets))
    }

    fn program(&mut self) -> Result<&mut Xdp, EbpfError> {
        let program = self.ebpf.program_mut(PROGRAM).ok_or(EbpfError::Missing(PROGRAM))?;
        program.try_into().map_err(program_error)
    }
}

fn program_error(error: ProgramError) -> EbpfError {
    EbpfError::Program { name: PROGRAM, error }
}
