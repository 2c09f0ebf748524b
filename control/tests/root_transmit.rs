//! Ports that do not send what XDP redirects to them: their frames go up the stack, and nothing is lost in silence.
//!
//! Needs root, and fails without. Each test runs itself again in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/hosts.rs"]
mod hosts;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/router.rs"]
mod router;

use std::fs;
use std::process::Command;
use std::time::Duration;

use control::ebpf::attach::device_index;
use control::kernel::Follower;
use dataplane_common::PacketEnd as End;
use rig::{in_own_namespace, run};
use router::{Router, goes_through};

/// What `check` says of the router's devices.
fn check() -> String {
    let file = std::env::temp_dir().join(format!("mr-transmit-{}.toml", std::process::id()));
    let text = "devices = [\"in0\", \"out0\"]\n[forward]\nenabled = true\n[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";
    fs::write(&file, text).unwrap();
    // Devices stand under a /sys of this namespace.
    let script = "mount -t sysfs sys /sys && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_millrace"), "check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_port_that_sends_no_redirected_frame_is_the_stacks() {
    if !in_own_namespace("a_port_that_sends_no_redirected_frame_is_the_stacks") {
        return;
    }
    let (a, b) = router::hosts();
    let mut router = Router::new(&["in0", "out0"]);
    let out0 = device_index("out0").unwrap();
    goes_through(&router, &a, ["10.2.0.9", "fd02::9"]);
    assert!(check().contains("it sends what XDP redirects to it"));

    // The peer lets go of NAPI: an event says so, and the port is no member any more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut follower = Follower::start().unwrap();
        assert_eq!(follower.state().transmits.get(&out0), Some(&true));
        b.run("ethtool -K b0 gro off");
        while follower.state().transmits.get(&out0) != Some(&false) {
            tokio::time::timeout(Duration::from_secs(10), follower.changed()).await.unwrap().unwrap();
        }
        assert_eq!(follower.compare().unwrap(), control::kernel::follow::Compared::Equal);
    });
    // Until the maps follow, what is redirected there is lost: the kernel tells the program nothing, its tracepoints do.
    assert_eq!(router.programs.watch_losses(), []);
    let lost = router.more(End::Forwarded, || assert!(a.hears("10.2.0.9", 1, 56).is_err()));
    assert_eq!(lost, 1);
    let losses = router.programs.losses(|_| true).unwrap();
    let told: Vec<_> = losses.iter().map(|lost| (lost.point(), lost.error(), lost.frames)).collect();
    assert_eq!(told, [("redirect", "EOPNOTSUPP".to_owned(), 1)]);
    assert_eq!((losses[0].at.device, losses[0].at.to), (device_index("in0").unwrap(), out0));
    router.follow();
    assert!(!router.held.forward.members.contains_key(&out0));
    let said = check();
    assert!(said.contains("frames for it go up the stack"), "{said}");
    assert!(said.contains("ethtool -K PEER gro on"), "{said}");
    for to in ["10.2.0.9", "fd02::9"] {
        // The answers leave through the other port, which sends.
        let forwarded = router.count(End::Forwarded);
        let passed = router.more(End::NotMember, || a.hears(to, 5, 56).unwrap());
        assert_eq!((passed, router.count(End::Forwarded) - forwarded), (5, 5), "{to}");
    }

    // A program on the peer switches NAPI on again.
    b.run("ethtool -K b0 gro on");
    router.follow();
    assert!(router.held.forward.members.contains_key(&out0));
    goes_through(&router, &a, ["10.2.0.9", "fd02::9"]);
    run("ip link del out0");
}
