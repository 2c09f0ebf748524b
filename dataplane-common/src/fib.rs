//! The kernel's FIB as a program asks it: `struct bpf_fib_lookup`, its flags, and what each answer means.
//!
//! In: a packet's fields in the layout of the helper; its return code. Out: how the packet ends. Calls nothing.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::ledger::PacketEnd;

/// `AF_INET`.
pub const INET: u8 = 2;
/// `AF_INET6`.
pub const INET6: u8 = 10;
/// `BPF_FIB_LOOKUP_DIRECT`: no rules; the table of the device's VRF, else main.
pub const DIRECT: u32 = 1;
/// `BPF_FIB_LOOKUP_TBID`, since 6.5: with [`DIRECT`], the table in [`FibLookup::table`].
pub const TABLE: u32 = 8;
/// `BPF_FIB_LOOKUP_MARK`, since 6.10: the mark in [`FibLookup::set_mark`]; not with [`DIRECT`].
pub const MARK: u32 = 32;

/// `struct bpf_fib_lookup` of the kernel's `linux/bpf.h`, 64 octets; fields of the packet as they stand in it. Aligned so
/// that it is emptied eight octets at a time.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct FibLookup {
    /// [`INET`] or [`INET6`]; the answer's is that of the next hop.
    pub family: u8,
    /// IP protocol.
    pub protocol: u8,
    /// Source port, network order; 0 for what has none.
    pub source_port: u16,
    /// Destination port, network order; 0 for what has none.
    pub destination_port: u16,
    /// Octets of the packet, its IP header included; the answer's is the MTU that it exceeds.
    pub length: u16,
    /// Device that the packet arrived on; the answer's is the device to leave through.
    pub device: u32,
    /// IPv4: type of service. IPv6: class and flow label, network order. The answer's is the route's metric.
    pub flow: u32,
    /// Source address, network order; IPv4 in the first word.
    pub source: [u32; 4],
    /// Destination address, network order; the answer's is the next hop's.
    pub destination: [u32; 4],
    /// Table to look in, with [`TABLE`].
    pub table: u32,
    /// The answer's: MAC address of the device to leave through.
    pub source_mac: [u16; 3],
    /// The answer's: MAC address of the next hop.
    pub destination_mac: [u16; 3],
}

impl FibLookup {
    /// The firewall mark stands where the answer's MAC addresses come.
    #[inline(always)]
    pub const fn set_mark(&mut self, mark: u32) {
        self.source_mac[0] = mark as u16;
        self.source_mac[1] = (mark >> 16) as u16;
    }
}

/// How a packet ends by the helper's return code: [`PacketEnd::Forwarded`] goes on to the device table.
#[must_use]
#[inline(always)]
pub const fn end(code: i64) -> PacketEnd {
    match code {
        ..0 => PacketEnd::FibFailed,
        0 => PacketEnd::Forwarded,
        1 => PacketEnd::Blackhole,
        2 => PacketEnd::Unreachable,
        3 => PacketEnd::Prohibited,
        4 => PacketEnd::NotForwarded,
        5 => PacketEnd::ForwardingDisabled,
        6 => PacketEnd::RouteEncapsulates,
        7 => PacketEnd::NoNeighbour,
        8 => PacketEnd::FragmentationNeeded,
        9 => PacketEnd::NoSourceAddress,
        10 => PacketEnd::FibVlanFailure,
        11.. => PacketEnd::UnknownFibResult,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<FibLookup>(), 64);
        let mut lookup = FibLookup { table: u32::MAX, ..FibLookup::default() };
        lookup.set_mark(0x0403_0201);
        assert_eq!(&lookup.as_bytes()[48..], [255, 255, 255, 255, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    /// The codes that no frame brings about stand here alone: the helper answers 9 only if it is asked for a source address
    /// (`BPF_FIB_LOOKUP_SRC`) and 10 only if it is to see through VLANs (`BPF_FIB_LOOKUP_VLAN`), which the programs never
    /// ask for, and no kernel knows a code from 11 on. Each of them is the stack's, as of the others.
    #[test]
    fn every_code_has_an_end_of_its_own() {
        let ends: [PacketEnd; 13] = core::array::from_fn(|code| end(code as i64 - 1));
        for (index, one) in ends.iter().enumerate() {
            assert!(!ends[index + 1..].contains(one), "{one:?}");
        }
        assert_eq!(end(i64::MAX), end(11));
        assert_eq!(end(-97), end(-22));
    }
}
