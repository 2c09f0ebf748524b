//! Where a packet's octets come from: one bounded read, three readers.
//!
//! In: an offset and the type that stands there. Out: a copy of it, or nothing when it does not fit.
//! Never a reference into the packet and never a length of the caller's making: the eBPF verifier follows
//! a fixed-size read behind one comparison, and nothing else.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// A packet that can be read at an offset.
///
/// The eBPF programs implement it over packet pointers and over `bpf_skb_load_bytes_relative`. Every
/// implementation is `#[inline(always)]`: a call between eBPF functions would lose what the verifier
/// knows about the pointer.
pub trait Octets {
    /// The `T` that starts `offset` octets into the packet; `None` when the packet ends before it does.
    fn read<T: FromBytes + KnownLayout + Immutable + Unaligned + Copy>(&self, offset: u32) -> Option<T>;
}

/// A packet in user space: a frame of a ring, of a capture, of a test.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a>(pub &'a [u8]);

impl Octets for Slice<'_> {
    #[inline(always)]
    fn read<T: FromBytes + KnownLayout + Immutable + Unaligned + Copy>(&self, offset: u32) -> Option<T> {
        let rest = self.0.get(usize::try_from(offset).ok()?..)?;
        T::read_from_prefix(rest).ok().map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_the_last_octet_and_not_beyond() {
        let packet = Slice(&[1, 2, 3, 4]);
        assert_eq!(packet.read::<[u8; 2]>(0), Some([1, 2]));
        assert_eq!(packet.read::<[u8; 2]>(2), Some([3, 4]));
        assert_eq!(packet.read::<[u8; 2]>(3), None);
        assert_eq!(packet.read::<[u8; 1]>(4), None);
        assert_eq!(packet.read::<[u8; 1]>(u32::MAX), None);
    }
}
