//! A router in this network namespace: the program on its devices, its tables mirrored from the kernel, and hosts
//! that send through it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use control::config::Config;
use control::ebpf::{LoadSettings, Mode, Programs};
use control::kernel::Follower;
use control::mirror;
use control::reconcile::{Step, Tables, desired};
use dataplane_common::PacketEnd as End;

use super::hosts::Host;
use super::rig::{run, sysctl};

/// The router: the program on its devices, and tables that hold what the kernel's state asks for.
pub(crate) struct Router {
    pub(crate) programs: Programs,
    config: Config,
    pub(crate) held: Tables,
}

impl Router {
    pub(crate) fn new(devices: &[&str]) -> Self {
        let names: Vec<String> = devices.iter().map(|device| format!("\"{device}\"")).collect();
        let config = Config::parse(&format!(
            "devices = [{0}]\n[forward]\nenabled = true\nassume_transmit = [{0}]\n[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n",
            names.join(", ")
        ))
        .unwrap();
        let settings = LoadSettings { forward: config.forward.blocks(), ..LoadSettings::new([7; 16], 2_048) };
        let programs = Programs::load(&settings).expect("load (root is needed)");
        let mut router = Self { programs, config, held: Tables::default() };
        router.follow();
        for device in devices {
            router.programs.attach(device, Mode::Native).unwrap();
        }
        router
    }

    /// Mirrors the kernel as it is now.
    pub(crate) fn follow(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let wanted = runtime.block_on(async { desired(Follower::start().unwrap().state(), &self.config) });
        for step in self.held.steps_to(&wanted) {
            mirror::write(&mut self.programs.tables, &step).unwrap();
            self.held.apply(&step);
        }
    }

    /// Follows the kernel, event by event, until it is `over`; a device that comes back gets the program again.
    pub(crate) fn follow_until(&mut self, over: &AtomicBool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut follower = Follower::start().unwrap();
            while !over.load(Ordering::Acquire) {
                let changed = tokio::time::timeout(Duration::from_millis(20), follower.changed()).await;
                if !changed.is_ok_and(|changed| changed.is_ok()) {
                    continue;
                }
                let wanted = desired(follower.state(), &self.config);
                for step in self.held.steps_to(&wanted) {
                    // A device may have gone again meanwhile; its event is on the way.
                    let mut done = mirror::write(&mut self.programs.tables, &step).is_ok();
                    if let Step::Attach(device, ..) = &step {
                        done &= self.programs.attach(device, Mode::Native).is_ok();
                    }
                    if done {
                        self.held.apply(&step);
                    }
                }
            }
        });
    }

    pub(crate) fn count(&self, end: End) -> u64 {
        self.programs.tables.counters.frame_ends().unwrap()[end.index()]
    }

    /// How many more frames ended so while `act` ran.
    pub(crate) fn more(&self, end: End, act: impl FnOnce()) -> u64 {
        let before = self.count(end);
        act();
        self.count(end) - before
    }
}

pub(crate) fn forwarding() {
    sysctl("ipv4/ip_forward", "1");
    sysctl("ipv6/conf/all/forwarding", "1");
}

/// Two hosts with addresses, behind `in0` and `out0` of this namespace, which forwards.
pub(crate) fn hosts() -> (Host, Host) {
    forwarding();
    let (a, b) = (Host::new(), Host::new());
    for (host, ours, theirs, net) in [(&a, "in0", "a0", 1), (&b, "out0", "b0", 2)] {
        host.join(ours, theirs);
        address(host, theirs, net);
        here(ours, net);
    }
    (a, b)
}

/// Addresses of a host's device and its way to everywhere.
pub(crate) fn address(host: &Host, device: &str, net: u8) {
    host.run(&format!("ip addr add 10.{net}.0.9/24 dev {device}"));
    host.run(&format!("ip addr add fd0{net}::9/64 dev {device} nodad"));
    host.run(&format!("ip route add default via 10.{net}.0.1"));
    host.run(&format!("ip -6 route add default via fd0{net}::1"));
}

pub(crate) fn here(device: &str, net: u8) {
    run(&format!("ip addr add 10.{net}.0.1/24 dev {device}"));
    run(&format!("ip addr add fd0{net}::1/64 dev {device} nodad"));
}

/// Once the first packets have made the stack resolve the neighbours, everything goes through XDP, both ways.
pub(crate) fn goes_through(router: &Router, from: &Host, to: [&str; 2]) {
    for to in to {
        let until = Instant::now() + Duration::from_secs(15);
        while let Err(why) = from.hears(to, 1, 56) {
            let ends = router.programs.tables.counters.frame_ends().unwrap();
            let ends: Vec<_> =
                End::ALL.iter().map(|end| (end.name(), ends[end.index()])).filter(|end| end.1 > 0).collect();
            assert!(Instant::now() < until, "{why}, {ends:?}");
        }
        let forwarded = router.more(End::Forwarded, || from.hears(to, 5, 56).unwrap());
        assert_eq!(forwarded, 10, "{to}: five echoes and their answers");
    }
}
