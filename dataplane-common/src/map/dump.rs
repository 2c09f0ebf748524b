//! What a program that dumps writes into its ring, and how much of what it saw.
//!
//! Every field is plain octets in the host's order. The program that does not dump has neither.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Ring buffer of [`Record`]s.
pub const DUMP_RING: &str = "DUMP_RING";
/// Per-CPU array of one [`Counts`].
pub const DUMP_COUNTS: &str = "DUMP_COUNTS";
/// Octets of a frame that are kept, a power of two: one of 1,500 octets behind two tags fits.
pub const SNAP: usize = 2_048;

/// One frame as it came, and as it left where it was rewritten.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic_ns: u64,
    /// Interface index of the port it arrived on.
    pub device: u32,
    /// RX queue it arrived on.
    pub queue: u32,
    /// Interface index of the port that it leaves through; 0: none.
    pub egress: u32,
    /// [`crate::PacketEnd`] by its number.
    pub end: u32,
    /// `enum xdp_action`.
    pub action: u32,
    /// Octets of the frame as it came.
    pub before_length: u32,
    /// Octets of it as it left; 0: it was not rewritten.
    pub after_length: u32,
    /// 0.
    pub reserved: u32,
    /// The frame as it came, its first [`SNAP`] octets.
    pub before: [u8; SNAP],
    /// The frame as it left.
    pub after: [u8; SNAP],
}

/// What became of frames that a dump asks for. Frames of one CPU.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Frames that the dump asks for.
    pub matched: u64,
    /// Left out, because only one of some is wanted.
    pub sampled_out: u64,
    /// Left out, because as many as a second may have were taken.
    pub over_rate: u64,
    /// Left out, because the ring was full.
    pub ring_full: u64,
    /// Written into the ring.
    pub written: u64,
    /// The running period, in which [`Counts::in_period`] were taken.
    pub period: u32,
    /// Frames of that period.
    pub in_period: u32,
    /// The port that the frame in hand leaves through.
    pub egress: u32,
    /// 0.
    pub reserved: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_the_sizes_that_the_programs_reserve() {
        assert!(SNAP.is_power_of_two());
        assert_eq!(size_of::<Record>(), 40 + 2 * SNAP);
        assert_eq!(size_of::<Counts>(), 56);
    }
}
