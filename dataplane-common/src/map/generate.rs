//! What the packet generator's program sends: frames made beforehand, in order, and a cursor over them.
//!
//! ```text
//! FRAMES  prelude .. | cycle ..        frame n of round r: its octets, with every word = base + step x r
//! CURSOR  next, round -----^            one sender at a time
//! ```
//! A frame that the kernel recycles keeps what the path did to its octets. So each is written anew from end to end.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Array of [`Planned`]: frames in the order they are sent.
pub const FRAMES: &str = "FRAMES";
/// Array of one [`Cursor`].
pub const CURSOR: &str = "CURSOR";

/// Octets of the longest frame: what a page of live frames has room for is more (`struct xdp_page_head`, kernel
/// 5.18 and later), what links carry is less.
pub const FRAME_CAPACITY: usize = 1_600;
/// Most words of a frame that grow from round to round.
pub const MAX_WORDS: usize = 16;

/// A word of 32 bits of a frame: `base + step x round`, modulo 2^32, written in network order.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Word {
    /// Offset in the frame, even.
    pub at: u32,
    /// Value in round 0.
    pub base: u32,
    /// What each round adds.
    pub step: u32,
}

/// One frame.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Planned {
    /// Octets of the frame, Ethernet header included.
    pub length: u32,
    /// Offset of the UDP checksum.
    pub checksum_at: u32,
    /// The ones' complement sum that the checksum is of, all words taken as zero; folded to 16 bits.
    pub sum: u32,
    /// How many words there are.
    pub words: u32,
    /// The words.
    pub word: [Word; MAX_WORDS],
    /// The octets; words and checksum are overwritten.
    pub octets: [u8; FRAME_CAPACITY],
}

/// Where the sender is, and what it did.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Cursor {
    /// The frame that is next.
    pub next: u32,
    /// The round that it is in.
    pub round: u32,
    /// First frame of the cycle.
    pub cycle: u32,
    /// Frames altogether.
    pub frames: u32,
    /// Interface index of the device that sends.
    pub device: u32,
    /// Zero.
    pub reserved: u32,
    /// Frames handed to the device.
    pub sent: u64,
    /// Frames that could not be made.
    pub failed: u64,
}

/// A UDP checksum of a folded or unfolded ones' complement sum; never 0, which would mean none (RFC 768).
#[inline(always)]
#[must_use]
pub const fn checksum(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !sum & 0xffff;
    if checksum == 0 { 0xffff } else { checksum as u16 }
}
