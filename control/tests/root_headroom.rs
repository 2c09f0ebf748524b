//! Frames that need room for tags where there is none: they reach the stack as they came.
//!
//! Needs root, and fails without. The test runs itself again in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;

use control::ebpf::Forward;
use control::ebpf::attach::device_index;
use dataplane_common::PacketEnd as End;
use rig::{NEXT, OUT0, PASS, REDIRECT, Rig, SERVICE, TAG, Tags, address, datagram, in_own_namespace, router};

/// Octets of metadata before a frame that leave room for one tag and no more: 256 octets of headroom, of which the kernel
/// keeps 40 for itself (`struct xdp_frame`).
const METADATA: usize = 212;

#[test]
fn without_room_for_tags_a_frame_is_the_stacks() {
    if !in_own_namespace("without_room_for_tags_a_frame_is_the_stacks") {
        return;
    }
    router();
    let mut rig = Rig::new(Forward::default());
    let (out0, trunk) = (rig.out0, device_index("trunk0").unwrap());
    for v6 in [false, true] {
        let to = address(v6, 3, 200);
        let frame = datagram(to, &[]).hop_limit(64).octets();
        for (tags, end) in [
            (&[] as Tags, End::Forwarded),
            (&[(TAG, 10)], End::Forwarded),
            (&[(SERVICE, 5), (TAG, 10)], End::NoHeadroom),
        ] {
            rig.leaves(out0, tags, &[trunk]);
            let count = |rig: &Rig| rig.programs.tables.counters.frame_ends().unwrap()[end.index()];
            let before = count(&rig);
            let run = rig.programs.run_frame_behind(METADATA, &frame).unwrap();
            assert_eq!(count(&rig), before + 1, "{tags:?}");
            let (verdict, out) = if end == End::Forwarded {
                (REDIRECT, datagram(to, tags).macs(OUT0, NEXT).hop_limit(63).octets())
            } else {
                (PASS, frame.clone())
            };
            assert_eq!((run.verdict, &run.frame), (verdict, &out), "{tags:?}");
        }
    }
}
