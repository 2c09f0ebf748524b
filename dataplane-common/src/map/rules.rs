//! The tables of rules and rates: who may pass, who may send telemetry, and how much.
//!
//! ```text
//! packet -> Match -> for each shape of the list in use (at most MAX_SHAPES): Match & mask -> Rule, the lowest order wins
//! rule, exporter -> Policer -> time up to which its bucket is emptied
//! ```
//! A shape is the set of bits that some rules compare; rules of one shape are one hash look-up, however many they
//! are. Rules are written under the shapes of the list that is not in use, which then becomes the one in use.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Array of `2 *` [`DIRECTIONS`] `*` [`MAX_SHAPES`]: [`Shape`], by [`shape_index`].
pub const SHAPES: &str = "SHAPES";
/// Array of 1: which of the two lists of [`SHAPES`] is in use (u32, 0 or 1).
pub const ACTIVE_SHAPES: &str = "ACTIVE_SHAPES";
/// Hash: [`Match`] under its shape's mask -> [`Rule`].
pub const RULES: &str = "RULES";
/// Per-CPU array of u64 by [`Rule::counter`]: packets that the rule decided.
pub const RULE_HITS: &str = "RULE_HITS";
/// Longest prefix: address of an exporter -> [`Exporter`]. With it nobody else's telemetry is taken.
pub const EXPORTERS: &str = "EXPORTERS";
/// Array: policer -> [`Policer`].
pub const POLICERS: &str = "POLICERS";
/// LRU hash: [`Source`] -> [`Bucket`]: the buckets of single sources.
pub const SOURCE_BUCKETS: &str = "SOURCE_BUCKETS";
/// Array by policer: [`Bucket`] that all sources share.
pub const SHARED_BUCKETS: &str = "SHARED_BUCKETS";

/// Shapes of one list and direction: the number of look-ups that a packet costs at most.
pub const MAX_SHAPES: u32 = 16;
/// Lists of each set: packets that arrive, packets that are forwarded.
pub const DIRECTIONS: u32 = 2;
/// Entries of [`RULES`], unless the load says otherwise; a rule of a prefix list has one for each prefix.
pub const MAX_RULES: u32 = 131_072;
/// Rules counted by themselves, unless the load says otherwise.
pub const MAX_RULE_HITS: u32 = 16_384;
/// Prefixes of exporters, unless the load says otherwise.
pub const MAX_EXPORTERS: u32 = 65_536;
/// Policers, unless the load says otherwise. Policer 0 limits nothing.
pub const MAX_POLICERS: u32 = 4096;
/// Sources whose buckets are held, unless the load says otherwise.
pub const MAX_SOURCE_BUCKETS: u32 = 65_536;

/// What rules compare. In [`RULES`] whatever the shape does not compare is 0.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Match {
    /// Source address, IPv4 mapped.
    pub source: [u8; 16],
    /// Destination address, IPv4 mapped.
    pub destination: [u8; 16],
    /// Interface index of the port (arriving) or of the device that the FIB names (forwarded).
    pub device: u32,
    /// UDP or TCP source port; 0 for other packets.
    pub source_port: u16,
    /// UDP or TCP destination port; 0 for other packets.
    pub destination_port: u16,
    /// VLAN id of the outer tag; 0: none.
    pub vlan: u16,
    /// IP protocol, behind extension headers.
    pub protocol: u8,
    /// [`shape_index`] of the mask: keeps rules of different shapes and lists apart.
    pub shape: u8,
}

/// Value of [`SHAPES`]: which bits its rules compare.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    /// Ones where rules of this shape compare; [`Match::shape`] is [`SHAPE_USED`], or 0 behind the last shape.
    pub mask: Match,
}

/// [`Match::shape`] of a mask that is in use.
pub const SHAPE_USED: u8 = 0xff;

/// Where a shape stands in [`SHAPES`]: list (0 or 1), direction ([`ARRIVING`] or [`FORWARDED`]), position.
#[must_use]
#[inline(always)]
pub const fn shape_index(list: u32, direction: u32, position: u32) -> u32 {
    (list.wrapping_mul(DIRECTIONS).wrapping_add(direction)).wrapping_mul(MAX_SHAPES).wrapping_add(position)
}

/// Direction: every frame that arrives, telemetry too.
pub const ARRIVING: u32 = 0;
/// Direction: packets that are forwarded, once their way out is known.
pub const FORWARDED: u32 = 1;

/// [`Rule::action`]: the packet passes the rules.
pub const ALLOW: u8 = 0;
/// [`Rule::action`]: the packet is dropped.
pub const DENY: u8 = 1;

/// Value of [`RULES`].
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rule {
    /// Place in the configuration: of the rules that match, the lowest decides. Below 2^32 - 1.
    pub order: u32,
    /// Entry of [`RULE_HITS`], below 65,536.
    pub counter: u32,
    /// Entry of [`POLICERS`], below 32,768; 0: none.
    pub policer: u32,
    /// [`ALLOW`] or [`DENY`].
    pub action: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// Value of [`EXPORTERS`].
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Exporter {
    /// [`ALLOW`] or [`DENY`].
    pub action: u32,
    /// Entry of [`POLICERS`]; 0: none.
    pub policer: u32,
}

/// Value of [`POLICERS`]: a token bucket, counted in the time that a packet takes at the rate. Shared by CPUs
/// without a lock: CPUs that race may let one packet each through above the rate.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Policer {
    /// Nanoseconds that a packet costs: 10^9 / (packets/s); 0: packets are not counted.
    pub packet_ns: u64,
    /// Picoseconds that an octet of the frame costs: 10^12 / (octets/s); 0: octets are not counted.
    pub octet_ps: u64,
    /// Nanoseconds of the rate that a full bucket holds.
    pub burst_ns: u64,
    /// 1: each source address has a bucket of its own; 0: all share one.
    pub per_source: u64,
}

/// Key of [`SOURCE_BUCKETS`].
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Source {
    /// Entry of [`POLICERS`].
    pub policer: u32,
    /// Source address, IPv4 mapped.
    pub address: [u8; 16],
}

/// Value of [`SOURCE_BUCKETS`] and [`SHARED_BUCKETS`].
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    /// Nanoseconds of `CLOCK_MONOTONIC` at which the bucket is full again.
    pub full_ns: u64,
    /// Packets dropped because it was empty.
    pub dropped: u64,
}

impl Policer {
    /// Takes a packet of `length` octets out of a bucket that is full again at `full_ns`: the bucket's new time,
    /// or `None` when it does not hold that much (the Generic Cell Rate Algorithm of ITU-T I.371).
    #[must_use]
    #[inline(always)]
    pub const fn take(&self, full_ns: u64, now_ns: u64, length: u32) -> Option<u64> {
        let from = if full_ns > now_ns { full_ns } else { now_ns };
        let octets_ns = (length as u64).wrapping_mul(self.octet_ps) / 1000;
        let full = from.wrapping_add(self.packet_ns).wrapping_add(octets_ns);
        if full > now_ns.wrapping_add(self.burst_ns) { None } else { Some(full) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_the_sizes_that_the_maps_declare() {
        assert_eq!(size_of::<Match>(), 44);
        assert_eq!(size_of::<Shape>(), 44);
        assert_eq!(size_of::<Rule>(), 16);
        assert_eq!(size_of::<Exporter>(), 8);
        assert_eq!(size_of::<Policer>(), 32);
        assert_eq!(size_of::<Source>(), 20);
        assert_eq!(size_of::<Bucket>(), 16);
        assert!(shape_index(1, FORWARDED, MAX_SHAPES - 1) < 256, "fits Match::shape");
    }

    #[test]
    fn a_full_bucket_passes_its_burst_and_then_the_rate() {
        // 1,000 packets a second, bucket of 10.
        let policer = Policer { packet_ns: 1_000_000, burst_ns: 10_000_000, ..Policer::default() };
        let (mut full, mut passed, start) = (0, 0, 5_000_000_000_u64);
        for tick in 0..1_000_u64 {
            // Ten packets a millisecond for a second.
            for _ in 0..10 {
                if let Some(next) = policer.take(full, start + tick * 1_000_000, 100) {
                    full = next;
                    passed += 1;
                }
            }
        }
        assert_eq!(passed, 10 + 999);
    }

    #[test]
    fn octets_cost_by_length_and_a_packet_longer_than_the_bucket_never_passes() {
        // 1 MB/s: 1,000 ns an octet; bucket of 1,500 octets.
        let policer = Policer { octet_ps: 1_000_000, burst_ns: 1_500_000, ..Policer::default() };
        let now = 7_000_000_000;
        let full = policer.take(0, now, 1_000).unwrap();
        assert_eq!(full, now + 1_000_000);
        assert_eq!(policer.take(full, now, 501), None);
        assert!(policer.take(full, now, 500).is_some());
        assert_eq!(policer.take(0, now, 1_501), None);
    }
}
