//! What the programs are measured beside: names and maps of the least that forwards and the least that steers, and of
//! the course that gives each program the next of many frames.
//!
//! Their tables of steering carry the names, keys and values of the real ones.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// XDP: the kernel's FIB is asked, the frame rewritten and redirected; no check, no counter.
pub const FORWARD_PROGRAM: &str = "millrace_bare_forward";
/// XDP: telemetry to its ring by a hash of the source, every offset known; counted as the real program does.
pub const STEER_PROGRAM: &str = "millrace_bare_steer";
/// XDP: the same with the keyed hash and the time last seen of the real program.
pub const ALIKE_PROGRAM: &str = "millrace_bare_alike";
/// XDP: drops every frame and counts it.
pub const DROP_PROGRAM: &str = "millrace_bare_drop";
/// XDP: does nothing; what a course costs by itself.
pub const NOTHING_PROGRAM: &str = "millrace_bare_nothing";
/// XDP: writes the next head of [`HEADS`] into the frame and goes on to [`NEXT`].
pub const COURSE_PROGRAM: &str = "millrace_bare_course";

/// Array of [`Head`]: first octets of the frames of a course.
pub const HEADS: &str = "HEADS";
/// Array of one [`Course`].
pub const COURSE: &str = "COURSE";
/// Program array of one: the program that a course leads to.
pub const NEXT: &str = "NEXT";
/// Per-CPU array of one u64: frames dropped.
pub const DROPPED: &str = "DROPPED";
/// DEVMAP_HASH: devices that the bare forwarder sends to, by interface index.
pub const BARE_PORTS: &str = "BARE_PORTS";

/// Octets that a course writes: Ethernet, IPv6 and UDP header, and a little of the payload.
pub const HEAD_LENGTH: usize = 64;

/// First octets of a frame.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// The octets, eight at a time, in the order of memory.
    pub words: [u64; HEAD_LENGTH / 8],
}

/// Where a course is.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Course {
    /// The head that is next.
    pub next: u32,
    /// Heads altogether.
    pub heads: u32,
}
