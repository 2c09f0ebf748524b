//! What the real programs are measured beside, and on: the least that forwards, the least that steers, and a course
//! that gives a program the next of many frames in every run of `BPF_PROG_TEST_RUN`.
//!
//! ```text
//! course: frame with the next head -> NEXT: the real program, a bare one, or nothing
//! ```
//! In: IPv4 frames without tags and options, every offset known. Out: verdicts. Nothing of it is part of a running
//! Millrace.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod program {
    use aya_ebpf::EbpfContext as _;
    use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT};
    use aya_ebpf::helpers::generated::{bpf_fib_lookup, bpf_jiffies64, bpf_ktime_get_coarse_ns};
    use aya_ebpf::macros::{map, xdp};
    use aya_ebpf::maps::{Array, DevMapHash, HashMap, LruHashMap, PerCpuArray, ProgramArray, XskMap};
    use aya_ebpf::programs::XdpContext;
    use dataplane_common::fib::{FibLookup, INET};
    use dataplane_common::map::bare::{Course, HEAD_LENGTH, Head};
    use dataplane_common::map::{
        LocalAddress, MAX_LOCAL_ADDRESSES, MAX_ROUTERS_SEEN, Port, Queue, SEEN_STAMPS_LENGTH, Seen,
        SlotState, Steering,
    };
    use dataplane_common::{MAX_SLOTS, PacketEnd, bucket, entry, router_hash};

    const IPV4: u16 = 0x0800_u16.to_be();
    const UDP: u8 = 17;
    /// Ethernet, IPv4 and UDP header.
    const HEADERS: usize = 14 + 20 + 8;
    /// Key of the router hash, for [`millrace_bare_alike`].
    const KEY: [u8; 16] = *b"a bench of rings";
    /// Rows of rings: one is used.
    const ROWS: u32 = 4;

    #[map]
    static HEADS: Array<Head> = Array::with_max_entries(1, 0);
    #[map]
    static COURSE: Array<Course> = Array::with_max_entries(1, 0);
    #[map]
    static NEXT: ProgramArray = ProgramArray::with_max_entries(1, 0);
    #[map]
    static DROPPED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
    #[map]
    static BARE_PORTS: DevMapHash = DevMapHash::with_max_entries(16, 0);
    #[map]
    static PORTS: Array<Port> = Array::with_max_entries(1 << 16, 0);
    #[map]
    static LOCAL_ADDRESSES: HashMap<[u8; 16], LocalAddress> =
        HashMap::with_max_entries(MAX_LOCAL_ADDRESSES, 0);
    #[map]
    static STEERING: Array<Steering> = Array::with_max_entries(1, 0);
    #[map]
    static RING_ROWS: HashMap<Queue, u32> = HashMap::with_max_entries(ROWS, 0);
    #[map]
    static RINGS: XskMap = XskMap::with_max_entries(ROWS * MAX_SLOTS, 0);
    #[map]
    static REDIRECTED: PerCpuArray<u64> = PerCpuArray::with_max_entries(ROWS * MAX_SLOTS, 0);
    #[map]
    static SEEN_STAMPS: Array<u32> = Array::with_max_entries(SEEN_STAMPS_LENGTH, 0);
    #[map]
    static ROUTERS_SEEN: LruHashMap<[u8; 16], Seen> = LruHashMap::with_max_entries(MAX_ROUTERS_SEEN, 0);
    #[map]
    static FRAME_ENDS: PerCpuArray<u64> = PerCpuArray::with_max_entries(PacketEnd::COUNT as u32, 0);

    /// Value at an offset of the frame, once the caller has compared `data_end`.
    macro_rules! at {
        ($data:expr, $offset:literal, $type:ty) => {{
            // SAFETY: the caller has proved that the frame holds all headers.
            unsafe { (($data + $offset) as *const $type).read_unaligned() }
        }};
    }

    /// Writes a value at an offset of the frame, once the caller has compared `data_end`.
    macro_rules! put {
        ($data:expr, $offset:literal, $type:ty, $value:expr) => {{
            let value = $value;
            // SAFETY: as for `at!`; nothing holds a reference into the frame.
            unsafe { (($data + $offset) as *mut $type).write_unaligned(value) }
        }};
    }

    #[xdp]
    pub(crate) fn millrace_bare_course(ctx: XdpContext) -> u32 {
        let data = ctx.data();
        if data + HEAD_LENGTH > ctx.data_end() {
            return XDP_ABORTED;
        }
        let Some(course) = COURSE.get_ptr_mut(0) else { return XDP_ABORTED };
        // SAFETY: the entry lives as long as the map, and one course runs at a time.
        let course = unsafe { &mut *course };
        let next = course.next;
        course.next = if next + 1 < course.heads { next + 1 } else { 0 };
        let Some(head) = HEADS.get(next) else { return XDP_ABORTED };
        // SAFETY: the frame holds a head, by the comparison above.
        unsafe { (data as *mut Head).write_unaligned(*head) };
        // SAFETY: the entry holds a program of this type, or the call does nothing.
        unsafe { NEXT.tail_call(&ctx, 0) };
        XDP_ABORTED
    }

    #[xdp]
    pub(crate) fn millrace_bare_nothing(_: XdpContext) -> u32 {
        XDP_PASS
    }

    #[xdp]
    pub(crate) fn millrace_bare_drop(_: XdpContext) -> u32 {
        add_one(&DROPPED, 0);
        XDP_DROP
    }

    #[xdp]
    pub(crate) fn millrace_bare_forward(ctx: XdpContext) -> u32 {
        let data = ctx.data();
        if data + HEADERS > ctx.data_end() || at!(data, 12, u16) != IPV4 {
            return XDP_PASS;
        }
        let mut lookup = FibLookup {
            family: INET,
            protocol: at!(data, 23, u8),
            length: u16::from_be(at!(data, 16, u16)),
            device: ctx.ingress_ifindex() as u32,
            flow: u32::from(at!(data, 15, u8)),
            source: [at!(data, 26, u32), 0, 0, 0],
            destination: [at!(data, 30, u32), 0, 0, 0],
            ..FibLookup::default()
        };
        let size = size_of::<FibLookup>() as i32;
        // SAFETY: `FibLookup` has the layout and the size of the helper's struct.
        let code = unsafe { bpf_fib_lookup(ctx.as_ptr(), (&raw mut lookup).cast(), size, 0) };
        if code != 0 {
            return XDP_PASS;
        }
        // TTL: one less; the checksum, one more in its first octet (RFC 1624).
        put!(data, 22, u8, at!(data, 22, u8).wrapping_sub(1));
        let sum = u32::from(at!(data, 24, u16)) + 1;
        put!(data, 24, u16, (sum + u32::from(sum >= 0xffff)) as u16);
        put!(data, 0, [u16; 3], lookup.destination_mac);
        put!(data, 6, [u16; 3], lookup.source_mac);
        BARE_PORTS.redirect(lookup.device, u64::from(XDP_PASS)).unwrap_or(XDP_PASS)
    }

    #[xdp]
    pub(crate) fn millrace_bare_steer(ctx: XdpContext) -> u32 {
        counted(steer(&ctx, |source| u64::from(source.wrapping_mul(0x9e37_79b1) >> 20)))
    }

    #[xdp]
    pub(crate) fn millrace_bare_alike(ctx: XdpContext) -> u32 {
        counted(steer(&ctx, |source| {
            let router = [0, 0, 0xffff_u32.to_be(), source];
            let router: &[u8; 16] = zerocopy::transmute_ref!(&router);
            let hash = router_hash(*router, KEY);
            let index = (hash >> 12) as u32 & (SEEN_STAMPS_LENGTH - 1);
            // SAFETY: takes nothing and touches nothing.
            let period = (unsafe { bpf_jiffies64() } >> 8) as u32;
            let stamp = ((hash >> 44) as u32) << 16 | period & 0xffff;
            if let Some(held) = SEEN_STAMPS.get_ptr_mut(index) {
                // SAFETY: a value of the map, aligned.
                let held = unsafe { &mut *held };
                if *held != stamp {
                    *held = stamp;
                    // SAFETY: as for the jiffies.
                    let now = Seen { monotonic_ns: unsafe { bpf_ktime_get_coarse_ns() } };
                    let _ = ROUTERS_SEEN.insert(router, now, 0);
                }
            }
            hash
        }))
    }

    #[inline(always)]
    fn counted(action: Option<u32>) -> u32 {
        if action.is_none() {
            add_one(&FRAME_ENDS, PacketEnd::NotTelemetry as u32);
        }
        action.unwrap_or(XDP_PASS)
    }

    #[inline(always)]
    fn steer(ctx: &XdpContext, hash: impl FnOnce(u32) -> u64) -> Option<u32> {
        let data = ctx.data();
        if data + HEADERS > ctx.data_end() || at!(data, 12, u16) != IPV4 || at!(data, 23, u8) != UDP {
            return None;
        }
        let port = PORTS.get(u32::from(u16::from_be(at!(data, 36, u16))))?;
        if port.transports == 0 {
            return None;
        }
        let mapped = [0, 0, 0xffff_u32.to_be(), at!(data, 30, u32)];
        LOCAL_ADDRESSES.get_ptr(zerocopy::transmute_ref!(&mapped) as &[u8; 16])?;
        let (slot, state) = STEERING.get(0)?.slot(bucket(hash(at!(data, 26, u32))))?;
        if !matches!(state, SlotState::Millrace) {
            return None;
        }
        let queue = Queue { device: ctx.ingress_ifindex() as u32, queue: ctx.rx_queue_index() };
        // SAFETY: a value of the map, whole while this run of the program lasts (RCU).
        let row = unsafe { RING_ROWS.get(&queue) }?;
        let entry = entry(*row, slot);
        RINGS.redirect(entry, u64::from(XDP_PASS)).ok()?;
        add_one(&REDIRECTED, entry);
        add_one(&FRAME_ENDS, PacketEnd::Redirected as u32);
        Some(XDP_REDIRECT)
    }

    #[inline(always)]
    fn add_one(counters: &PerCpuArray<u64>, index: u32) {
        if let Some(counter) = counters.get_ptr_mut(index) {
            // SAFETY: this CPU's own value, aligned to 8; no other run interrupts this one on its CPU.
            let counter = unsafe { &mut *counter };
            *counter = counter.wrapping_add(1);
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }

    /// Read by the kernel: `bpf_fib_lookup` is GPL-only.
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
