//! Object and settings in, loaded programs and typed maps out.
//!
//! ```text
//! LoadSettings -> Programs   load: map definitions equal to pinned ones are reused, both programs verified
//!                    |-- tables    what the programs read: addresses, ports, aliases, steering, rings, sockets
//!                    |-- attach    one link per device; replaced in one step, never a moment without
//!                    |-- probe     what this kernel's helpers can
//!                    |-- rehearsal the same over the same tables, counted apart
//!                    |-- lost      frames that the kernel lost after the program
//!                    |-- dump      the same in its place for a while, showing frames
//!                    `-- pins      what survives this process, under one directory of the BPF file system
//! ```
//! The order that loses nothing: load, fill the tables, attach. Nothing here follows netlink or reads a
//! configuration.

pub mod attach;
pub mod pins;
pub mod probe;
pub mod rehearsal;
pub mod dump;
pub mod lost;
pub mod settings;
pub mod tables;
pub mod generate;
pub mod bare;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use aya::programs::{ProgramError, SkReuseport, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use dataplane_common::map;
use zerocopy::IntoBytes as _;

use attach::Links;
use pins::Pins;

pub use attach::{Attached, Attachment, Mode};
pub use settings::{Forward, LoadSettings, RuleBlocks, TableLimits};
pub use tables::Tables;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/millrace-ebpf"));

/// Why programs or maps could not do what was asked. Each text is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum EbpfError {
    /// The object or a map was refused.
    #[error("cannot load the eBPF object: {}", sentence(.0))]
    Load(#[from] aya::EbpfError),
    /// The object is damaged.
    #[error("cannot read the eBPF object: {0}")]
    Object(#[from] aya_obj::ParseError),
    /// The kernel's verifier or a program call refused.
    #[error("eBPF program {name}: {}", sentence(error))]
    Program {
        /// Which program.
        name: &'static str,
        /// What aya or the kernel said.
        error: ProgramError,
    },
    /// The object has no program or map of that name.
    #[error("the eBPF object has no {0}")]
    Missing(&'static str),
    /// A map call failed.
    #[error("eBPF map {name}: {}", sentence(error))]
    Map {
        /// Which map.
        name: &'static str,
        /// What aya or the kernel said.
        error: aya::maps::MapError,
    },
    /// A table is full.
    #[error("eBPF map {name} is full: it holds {limit}")]
    Full {
        /// Which map.
        name: &'static str,
        /// Entries it holds.
        limit: u32,
    },
    /// A row or slot out of range.
    #[error("row {row}, slot {slot} is outside eBPF map {name}")]
    OutOfRange {
        /// Which map.
        name: &'static str,
        /// Row asked for.
        row: u32,
        /// Slot asked for.
        slot: u32,
    },
    /// The device does not exist in this network namespace.
    #[error("no device {0} in this network namespace")]
    NoDevice(String),
    /// Another program is there.
    #[error(
        "device {device} already runs the XDP program {name:?} (id {id}), which is not Millrace's: detach it \
         first (ip link set dev {device} xdp off, or the program's own tool)"
    )]
    Occupied {
        /// Device.
        device: String,
        /// Name of the program there.
        name: String,
        /// Its id in the kernel.
        id: u32,
    },
    /// The device takes no program in that mode.
    #[error("device {device} takes no XDP program in {mode} mode: {reason}")]
    Refused {
        /// Device.
        device: String,
        /// Mode tried.
        mode: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// The BPF file system.
    #[error("{what} {path}: {error}", path = path.display())]
    Pin {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// The kernel's link state could not be read.
    #[error("cannot read the state of the network devices: {0}")]
    Netlink(String),
}

/// One line of an error and all its causes, with what to look at where the kernel denied it.
fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut denied = false;
    let mut next = Some(error);
    while let Some(error) = next {
        let said = one_line(&error.to_string());
        if text.is_empty() {
            text = said;
        } else if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        denied |= error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        next = error.source();
    }
    if denied {
        text.push_str(" (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed)");
    }
    text
}

/// Of a verifier's log the last line before its statistics says what is wrong.
fn one_line(text: &str) -> String {
    let statistics = ["verification time", "stack depth", "processed"];
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start)));
    let first = lines.next().unwrap_or_default();
    lines.next_back().map_or_else(|| first.to_owned(), |last| format!("{first} .. {last}"))
}

/// Both programs, loaded, with every table they read (one per instance of Millrace).
///
/// Dropped without pins, all of it leaves the kernel. With pins, links and maps stay until
/// [`Programs::unpin`].
pub struct Programs {
    ebpf: Ebpf,
    links: Links,
    pins: Option<Pins>,
    /// Ids of the XDP programs that were on devices.
    ids: BTreeSet<u32>,
    /// What the programs read and count.
    pub tables: Tables,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Programs")
            .field("pins", &self.pins)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

/// How one frame fared in a test run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRun {
    /// The program's return value: 1 drop, 2 pass, 4 redirect (`enum xdp_action`).
    pub verdict: u32,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
    /// Mean time of a run.
    pub duration_ns: u64,
}

/// Instructions of a program: what blocks that are off do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramSize {
    /// That the kernel runs, all its functions.
    pub instructions: u32,
    /// That its verifier went through.
    pub verified: u32,
}

impl Programs {
    /// Loads both programs. With pins, a pinned map whose definition is equal is taken over with its
    /// contents; one that differs stays with the programs that use it and is replaced by an empty one.
    ///
    /// # Errors
    /// Without CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (the programs subtract packet pointers), without a BPF file
    /// system for the pins, or when the kernel's verifier refuses.
    pub fn load(settings: &LoadSettings) -> Result<Self, EbpfError> {
        let pins = settings.pins.as_deref().map(Pins::open).transpose()?;
        let constants = settings.constants();
        let sizes = settings.limits.sizes(settings);
        let mut loader = EbpfLoader::new();
        loader.override_global(map::SETTINGS, constants.as_bytes(), true);
        for &(name, entries) in &sizes {
            loader.map_max_entries(name, entries);
        }
        if let Some(pins) = &pins {
            for (name, path) in pins.adopt(OBJECT, &sizes)? {
                loader.map_pin_path(name, path);
            }
        }
        let mut ebpf = loader.load(OBJECT)?;
        xdp(&mut ebpf)?.load().map_err(|error| EbpfError::Program { name: map::XDP_PROGRAM, error })?;
        reuseport(&mut ebpf)?
            .load()
            .map_err(|error| EbpfError::Program { name: map::REUSEPORT_PROGRAM, error })?;
        let tables = Tables::take(&mut ebpf, &settings.limits)?;
        let ids = BTreeSet::from([id(&mut ebpf)?]);
        Ok(Self { ebpf, links: Links::default(), pins, ids, tables })
    }

    /// Attaches the XDP program to a device, or replaces in one step the program that an earlier process
    /// of this instance left there. Then reads back what the kernel runs.
    ///
    /// # Errors
    /// When the device does not exist, runs another's program, or takes none in that mode.
    pub fn attach(&mut self, device: &str, mode: Mode) -> Result<Attached, EbpfError> {
        self.links.attach(xdp(&mut self.ebpf)?, self.pins.as_ref(), device, mode)
    }

    /// Takes the XDP program off a device; a device that has none of ours is no error.
    ///
    /// # Errors
    /// When the pin cannot be removed.
    pub fn detach(&mut self, device: &str) -> Result<(), EbpfError> {
        self.links.detach(self.pins.as_ref(), device)
    }

    /// Steers the group of sockets that `socket` belongs to (SO_REUSEPORT set before bind). The program
    /// stays on the group until its last socket closes, and drops everything until the group has a row and
    /// sockets in [`Tables::sockets`].
    ///
    /// # Errors
    /// When the socket is in no reuseport group.
    pub fn attach_reuseport(&mut self, socket: impl AsFd) -> Result<(), EbpfError> {
        reuseport(&mut self.ebpf)?
            .attach(socket)
            .map_err(|error| EbpfError::Program { name: map::REUSEPORT_PROGRAM, error })
    }

    /// Runs the XDP program over a frame, `repeat` times, as if it came from queue 0 of the loopback device
    /// of this network namespace. Nothing leaves; counters count.
    ///
    /// # Errors
    /// When the kernel refuses the frame (shorter than an Ethernet header, longer than a page).
    pub fn run_frame(&mut self, frame: &[u8], repeat: u32) -> Result<FrameRun, EbpfError> {
        run_frame(&mut self.ebpf, frame, None, repeat)
    }

    /// As [`Programs::run_frame`], once, with so many octets of metadata before the frame: they take of the room that
    /// tags would need.
    ///
    /// # Errors
    /// As there, and when the kernel allows no such metadata (above 32 octets since 6.9).
    pub fn run_frame_behind(&mut self, metadata: usize, frame: &[u8]) -> Result<FrameRun, EbpfError> {
        let octets = [vec![0; metadata], frame.to_vec()].concat();
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [number(metadata), number(octets.len()), 0, 0, 0, 0];
        let mut run = run_frame(&mut self.ebpf, &octets, Some(context.as_bytes()), 1)?;
        run.frame.drain(..metadata.min(run.frame.len()));
        Ok(run)
    }

    /// How large the kernel's verifier left the XDP program.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn size(&mut self) -> Result<ProgramSize, EbpfError> {
        let at = |error| EbpfError::Program { name: map::XDP_PROGRAM, error };
        let info = xdp(&mut self.ebpf)?.info().map_err(at)?;
        Ok(ProgramSize {
            instructions: info.size_translated().unwrap_or(0) / 8,
            verified: info.verified_instruction_count().unwrap_or(0),
        })
    }

    /// Takes everything of this instance out of the kernel: links, maps, pins. Sockets keep their program
    /// until they close.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn unpin(self) -> Result<(), EbpfError> {
        let Self { ebpf, links, pins, tables, .. } = self;
        drop((links, tables, ebpf));
        pins.map_or(Ok(()), Pins::remove)
    }
}

/// Runs the XDP program on a frame, `context` (a `struct xdp_md`) beside it if it is to come from a certain device.
fn run_frame(
    ebpf: &mut Ebpf,
    frame: &[u8],
    context: Option<&[u8]>,
    repeat: u32,
) -> Result<FrameRun, EbpfError> {
    let mut out = vec![0; frame.len() + 256];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut out),
        ctx_in: context,
        repeat,
        ..TestRunOptions::new()
    };
    let result =
        xdp(ebpf)?.test_run(options).map_err(|error| EbpfError::Program { name: map::XDP_PROGRAM, error })?;
    out.truncate(result.data_size_out as usize);
    Ok(FrameRun {
        verdict: result.return_value,
        frame: out,
        duration_ns: u64::try_from(result.duration.as_nanos()).unwrap_or(u64::MAX),
    })
}

fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp, EbpfError> {
    let program = ebpf.program_mut(map::XDP_PROGRAM).ok_or(EbpfError::Missing(map::XDP_PROGRAM))?;
    program.try_into().map_err(|error| EbpfError::Program { name: map::XDP_PROGRAM, error })
}

/// The kernel's number of the XDP program.
fn id(ebpf: &mut Ebpf) -> Result<u32, EbpfError> {
    let info = xdp(ebpf)?.info().map_err(|error| EbpfError::Program { name: map::XDP_PROGRAM, error })?;
    Ok(info.id())
}

fn reuseport(ebpf: &mut Ebpf) -> Result<&mut SkReuseport, EbpfError> {
    let program =
        ebpf.program_mut(map::REUSEPORT_PROGRAM).ok_or(EbpfError::Missing(map::REUSEPORT_PROGRAM))?;
    program.try_into().map_err(|error| EbpfError::Program { name: map::REUSEPORT_PROGRAM, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_log_is_one_line() {
        let log = "refused: 0: R1=ctx()\n1: (bf) r6 = r1\nR7 pointer arithmetic prohibited\nverification time 3 usec\n\
                   stack depth 312\nprocessed 545 insns\n";
        assert_eq!(one_line(log), "refused: 0: R1=ctx() .. R7 pointer arithmetic prohibited");
        assert_eq!(one_line("one sentence"), "one sentence");
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn a_denial_names_the_capabilities() {
        let error =
            aya::sys::SyscallError { call: "bpf_map_create", io_error: io::Error::from_raw_os_error(1) };
        let denied = EbpfError::Map { name: "PORTS", error: error.into() };
        let text = denied.to_string();
        assert!(
            text.starts_with("eBPF map PORTS: `bpf_map_create` failed: Operation not permitted"),
            "{text}"
        );
        assert!(text.ends_with("(CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed)"), "{text}");
    }
}
