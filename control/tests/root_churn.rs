//! Links, addresses, neighbours, stations of bridges, routes, VLANs, bonds and VRFs come, change and go by the
//! thousand: afterwards the maps hold what the kernel's state asks for, and a comparison finds nothing to mend.
//!
//! Needs root, and fails without. The test runs itself again in a network namespace of its own. Kinds of devices that
//! the kernel lacks are left out by name; in the machine of `vagrant/vm.sh` all of them must be there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "says which kinds the kernel lacks, how much was done, and how fast"
)]

#[path = "churn/maps.rs"]
mod maps;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "churn/operations.rs"]
mod operations;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use control::kernel::Follower;
use maps::Maps;
use operations::{
    Elsewhere, Random, all, batch, bridge_operation, in_machine, in_own_namespace, kinds, link_operation,
    prepare, revive, small_operation,
};
use tokio::time::timeout;

/// What is done, in this order, again and again: small operations, those of bridges, whole links and devices.
struct Mix {
    rounds: usize,
    small: usize,
    stations: usize,
    links: usize,
}

/// 100,000 operations, of which 4,000 change whole links.
const HERE: Mix = Mix { rounds: 200, small: 400, stations: 80, links: 20 };
/// 5,000 operations, of which most make, change and remove VLANs, bonds and VRFs.
const IN_MACHINE: Mix = Mix { rounds: 25, small: 40, stations: 30, links: 130 };
/// Room for events in octets: a burst while nobody reads is more.
const ROOM: usize = 256 << 10;
/// In one round of so many nobody reads meanwhile.
const DEAF: usize = 10;

impl Mix {
    fn operations(&self) -> usize {
        self.small_ones() + self.rounds * self.links
    }

    fn small_ones(&self) -> usize {
        self.rounds * (self.small + self.stations)
    }
}

/// An address that was added, and when `ip` had done so.
struct Probe {
    address: IpAddr,
    added: Instant,
}

/// What the churning thread does and says.
struct Churn {
    mix: Mix,
    kinds: Vec<&'static str>,
    elsewhere: u32,
    /// Nobody shall read events now.
    deaf: Arc<AtomicBool>,
    probes: mpsc::Sender<Probe>,
}

impl Churn {
    /// Does all of it; how many of the small operations the kernel took.
    fn run(self) -> usize {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut taken = 0;
        for round in 0..self.mix.rounds {
            let deaf = round % DEAF == DEAF - 1;
            self.deaf.store(deaf, Ordering::Relaxed);
            let operations = 0..self.mix.links;
            let links: Vec<String> =
                operations.map(|_| link_operation(&mut random, &self.kinds, self.elsewhere)).collect();
            // Some mistakes of theirs end the program, so it is given a few at a time.
            batch("ip", &links.join("\n"));
            revive();
            let small: Vec<String> = (0..self.mix.small).map(|_| small_operation(&mut random)).collect();
            let stations: Vec<String> =
                (0..self.mix.stations).map(|_| bridge_operation(&mut random)).collect();
            taken += all("ip", &small) + all("bridge", &stations);
            if !deaf {
                let address = Ipv4Addr::from(0xc612_0000 + u32::try_from(round).unwrap());
                assert_eq!(all("ip", &[format!("addr add {address}/32 dev lo")]), 1);
                self.probes.send(Probe { address: address.into(), added: Instant::now() }).unwrap();
            }
        }
        self.deaf.store(false, Ordering::Relaxed);
        taken
    }
}

#[test]
fn churn_leaves_the_maps_equal_to_the_kernel() {
    if !in_own_namespace("churn_leaves_the_maps_equal_to_the_kernel") {
        return;
    }
    prepare();
    let kinds = kinds();
    let elsewhere = Elsewhere::new();
    let mix = if in_machine() { IN_MACHINE } else { HERE };
    let (operations, small, began) = (mix.operations(), mix.small_ones(), Instant::now());
    let (probes, added) = mpsc::channel();
    let deaf = Arc::new(AtomicBool::new(false));
    let churn = Churn { mix, kinds, elsewhere: elsewhere.0.id(), deaf: Arc::clone(&deaf), probes };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut follower = Follower::with_room(ROOM).unwrap();
        let mut maps = Maps::new();
        maps.follow(&follower);
        let churn = std::thread::spawn(|| churn.run());
        let (mut waiting, mut took) = (Vec::new(), Vec::new());
        while !churn.is_finished() {
            if deaf.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let changed = timeout(Duration::from_millis(20), follower.changed()).await;
            if changed.is_ok_and(|changed| changed.is_ok()) {
                maps.follow(&follower);
            }
            waiting.extend(added.try_iter());
            let held = &maps.held.local_addresses;
            waiting.retain(|probe: &Probe| {
                let is_there = held.contains(&probe.address);
                if is_there {
                    took.push(probe.added.elapsed());
                }
                !is_there
            });
        }
        let taken = churn.join().unwrap();
        let until = Instant::now() + Duration::from_secs(15);
        while timeout(Duration::from_millis(500), follower.changed()).await.is_ok() {
            maps.follow(&follower);
            assert!(Instant::now() < until, "the kernel does not come to rest");
        }
        maps.assert_equal(&mut follower);
        took.sort();
        let part = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        println!(
            "{operations} operations in {:.0} s ({taken} of {small} small ones taken), {} steps, {} dumps; from the event to \
             the map: {} times, median {:?}, p99 {:?}, longest {:?}",
            began.elapsed().as_secs_f64(),
            maps.steps,
            follower.dumps(),
            took.len(),
            part(50),
            part(99),
            took.last()
        );
        assert!(taken > small / 4, "{taken} of {small} small operations changed something");
        assert!(follower.dumps() > 1, "no event was lost: {} dumps", follower.dumps());
        assert!(maps.steps > operations / 20, "{} steps", maps.steps);
    });
}
