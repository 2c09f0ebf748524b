//! How the programs read and write a packet, and what they ask the kernel: the two readers behind [`Octets`].
//!
//! In: the kernel's contexts. Out: values, copied. Never a pointer into a packet that outlives the check
//! the verifier saw.

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{
    bpf_fib_lookup, bpf_jiffies64, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns, bpf_skb_load_bytes_relative,
    bpf_xdp_adjust_head, bpf_xdp_load_bytes,
};
use aya_ebpf::programs::{SkReuseportContext, XdpContext};
use dataplane_common::Octets;
use dataplane_common::fib::FibLookup;
use dataplane_common::map::Bound;
use dataplane_common::map::dump::SNAP;
use dataplane_common::walk::mapped;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Socket family of IPv6 (`AF_INET6`).
const INET6: u32 = 10;
/// `BPF_HDR_START_NET`: offsets count from the network header.
const FROM_NETWORK_HEADER: u32 = 1;

/// A frame in XDP: packet pointers, as addresses.
pub(crate) struct Frame {
    data: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn of(ctx: &XdpContext) -> Self {
        Self { data: ctx.data(), end: ctx.data_end() }
    }

    /// Octets of the frame, Ethernet header included.
    #[inline(always)]
    pub(crate) fn length(&self) -> u32 {
        (self.end - self.data) as u32
    }

    /// The `N` 16-bit words that start at an even `offset`, in the order of memory: half the loads of octets.
    #[inline(always)]
    pub(crate) fn words<const N: usize>(&self, offset: u32) -> Option<[u16; N]> {
        let at = self.data + offset as usize;
        if at + size_of::<[u16; N]>() > self.end {
            return None;
        }
        // SAFETY: the comparison above proves the octets; drivers start a frame at an even address, the offset is even.
        Some(unsafe { (at as *const [u16; N]).read() })
    }

    /// Writes 16-bit words at an even `offset`; `None`: they do not fit.
    #[inline(always)]
    pub(crate) fn write_words<const N: usize>(&self, offset: u32, words: [u16; N]) -> Option<()> {
        let at = self.data + offset as usize;
        if at + size_of::<[u16; N]>() > self.end {
            return None;
        }
        // SAFETY: as in `words`; nothing else holds a reference into the frame.
        unsafe { (at as *mut [u16; N]).write(words) };
        Some(())
    }
}

/// Moves the frame's start by `octets` (below 0: room before it); whether there was room. A [`Frame`] from before
/// is void: the verifier knows it.
#[inline(always)]
pub(crate) fn move_start(ctx: &XdpContext, octets: i32) -> bool {
    // SAFETY: the program's own context.
    unsafe { bpf_xdp_adjust_head(ctx.ctx, octets) == 0 }
}

/// Asks the kernel's FIB; the code of `fib::end`. The answer stands in `lookup`.
#[inline(always)]
pub(crate) fn fib_lookup(ctx: &XdpContext, lookup: &mut FibLookup, flags: u32) -> i64 {
    let size = size_of::<FibLookup>() as i32;
    // SAFETY: `FibLookup` has the layout and the size of the helper's struct, and nobody else holds it.
    unsafe { bpf_fib_lookup(ctx.as_ptr(), (&raw mut *lookup).cast(), size, flags) }
}

/// Copies the frame's first octets to a record; how many the frame has.
#[inline(always)]
pub(crate) fn copy_frame(ctx: &XdpContext, to: &mut [u8; SNAP]) -> u32 {
    let length = Frame::of(ctx).length();
    let kept = if length > SNAP as u32 { SNAP as u32 } else { length };
    // From 1 to SNAP in a form that the verifier follows, and that the compiler must not see through.
    let kept = (core::hint::black_box(kept.wrapping_sub(1)) & (SNAP as u32 - 1)) + 1;
    // SAFETY: `to` has room for SNAP octets, and `kept` is no more; the helper checks the frame's end.
    if unsafe { bpf_xdp_load_bytes(ctx.ctx, 0, to.as_mut_ptr().cast(), kept) } != 0 { 0 } else { length }
}

impl Octets for Frame {
    #[inline(always)]
    fn read<T: FromBytes + KnownLayout + Immutable + Unaligned + Copy>(&self, offset: u32) -> Option<T> {
        let at = self.data + offset as usize;
        // Pointer against `data_end`, in this order: the only form the verifier learns a range from.
        if at + size_of::<T>() > self.end {
            return None;
        }
        if size_of::<T>() % 2 != 0 {
            // SAFETY: the comparison above proves size_of::<T>() octets at `at`; T is made of any octets.
            return Some(unsafe { (at as *const T).read_unaligned() });
        }
        // By 16-bit words, as `words`: whatever the walk reads, but single octets, lies at an even offset.
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr().cast::<u16>();
        let mut word = 0;
        while word < size_of::<T>() / 2 {
            // SAFETY: the comparison above proves the octets; frames start at an even address, and so does every header.
            let octets = unsafe { (at as *const u16).add(word).read() };
            // SAFETY: within `value`, whose alignment is that of an octet.
            unsafe { to.add(word).write_unaligned(octets) };
            word += 1;
        }
        // SAFETY: every octet was written; T is made of any octets.
        Some(unsafe { value.assume_init() })
    }
}

/// One field of the group's socket, by a load of its own: the verifier allows no arithmetic on the pointer,
/// which a compiler free to merge loads would do.
macro_rules! field {
    ($socket:ident.$($field:tt)+) => {{
        // SAFETY: the kernel gives every run of the program a socket of the group, since 5.14.
        unsafe { (&raw const (*$socket).$($field)+).read_volatile() }
    }};
}

/// A socket buffer in SK_REUSEPORT, from its network header.
pub(crate) struct Packet<'a> {
    ctx: &'a SkReuseportContext,
}

impl<'a> Packet<'a> {
    #[inline(always)]
    pub(crate) fn of(ctx: &'a SkReuseportContext) -> Self {
        Self { ctx }
    }

    /// EtherType of the packet. An IPv4 packet for a dual-stack socket says IPv4.
    #[inline(always)]
    pub(crate) fn ether_type(&self) -> u16 {
        u16::from_be(self.ctx.eth_protocol() as u16)
    }

    /// What the group of sockets is bound to.
    #[inline(always)]
    pub(crate) fn bound(&self) -> Bound {
        let socket = self.ctx.sk().sock;
        // All of it, before any branch: on a branch the compiler would choose between addresses.
        let family = field!(socket.family);
        let ipv4 = field!(socket.src_ip4);
        let ipv6 = [
            field!(socket.src_ip6[0]),
            field!(socket.src_ip6[1]),
            field!(socket.src_ip6[2]),
            field!(socket.src_ip6[3]),
        ];
        let address = if family == INET6 { zerocopy::transmute!(ipv6) } else { mapped(ipv4.to_ne_bytes()) };
        Bound {
            address,
            port: (field!(socket.src_port) as u16).into(), // in the host's order, unlike dst_port
            protocol: field!(socket.protocol) as u8,
            reserved: 0,
        }
    }
}

impl Octets for Packet<'_> {
    #[inline(always)]
    fn read<T: FromBytes + KnownLayout + Immutable + Unaligned + Copy>(&self, offset: u32) -> Option<T> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the helper writes exactly size_of::<T>() octets to `value`, or fails.
        let failed = unsafe {
            bpf_skb_load_bytes_relative(
                self.ctx.as_ptr(),
                offset,
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                FROM_NETWORK_HEADER,
            )
        };
        if failed != 0 {
            return None;
        }
        // SAFETY: the helper succeeded, so it wrote the whole value; T is made of any octets.
        Some(unsafe { value.assume_init() })
    }
}

/// `CLOCK_MONOTONIC_COARSE`, nanoseconds.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: takes nothing and touches nothing.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// `CLOCK_MONOTONIC`, nanoseconds.
#[inline(always)]
pub(crate) fn precise_now_ns() -> u64 {
    // SAFETY: takes nothing and touches nothing.
    unsafe { bpf_ktime_get_ns() }
}

/// Clock ticks since some time before the boot; one load, no call, once the kernel has inlined it.
#[inline(always)]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: takes nothing and touches nothing.
    unsafe { bpf_jiffies64() }
}
