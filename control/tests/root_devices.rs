//! The maps of devices when something went wrong: events that were lost, entries that a hand changed; and the
//! neighbours that the kernel is asked to keep. What happens when all goes well is `root_churn.rs`.
//!
//! Needs root, and fails without. Each test runs itself again in a network namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "says which kinds the kernel lacks, and how much was done")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "churn/maps.rs"]
mod maps;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "churn/operations.rs"]
mod operations;

use std::net::IpAddr;
use std::time::Duration;

use control::kernel::Follower;
use control::kernel::dump;
use control::mirror;
use control::neighbours::{Act, Kept, plan};
use dataplane_common::map::forward::{NextHop, NextHopUse};
use dataplane_common::octets_of;
use maps::Maps;
use operations::{Elsewhere, Random, batch, few, in_machine, in_own_namespace, link_operation, prepare};
use tokio::time::timeout;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn lost_events_are_made_up_for_by_a_dump() {
    if !in_own_namespace("lost_events_are_made_up_for_by_a_dump") {
        return;
    }
    prepare();
    let elsewhere = Elsewhere::new();
    runtime().block_on(async {
        let mut follower = Follower::with_room(4_096).unwrap();
        let mut maps = Maps::new();
        maps.follow(&follower);
        for round in 1..=if in_machine() { 2 } else { 5 } {
            // Nobody reads meanwhile.
            let mut random = Random(round);
            let links: String =
                (0..60).map(|_| link_operation(&mut random, &[], elsewhere.0.id()) + "\n").collect();
            let addresses = (0..100).map(|n| format!("addr add 2001:db8:{round}::{n}/128 dev lo nodad\n"));
            batch("ip", &links);
            few("ip", &addresses.collect::<String>());
            while timeout(Duration::from_millis(200), follower.changed()).await.is_ok() {
                maps.follow(&follower);
            }
            println!("round {round}: {} dumps", follower.dumps());
            maps.assert_equal(&mut follower);
            assert!(follower.dumps() > round, "round {round}: no event was lost");
        }
    });
}

#[test]
fn a_hand_on_our_maps_is_found_and_mended() {
    if !in_own_namespace("a_hand_on_our_maps_is_found_and_mended") {
        return;
    }
    prepare();
    runtime().block_on(async {
        let follower = Follower::start().unwrap();
        let mut maps = Maps::new();
        maps.follow(&follower);
        let (arrival, _) = maps.held.forward.ingress.first_key_value().unwrap();
        let (device, egress) = maps.held.forward.egress.last_key_value().unwrap();
        let forwarding = &mut maps.programs.tables.forwarding;
        forwarding.ingress.remove(arrival).unwrap();
        forwarding.egress.set(device, &control_egress(egress.mtu + 1)).unwrap();
        forwarding.ports.remove(arrival.port).unwrap();
        maps.programs.tables.local_addresses.insert("203.0.113.1".parse().unwrap()).unwrap();
        let found = mirror::read(&maps.programs.tables, &maps.held).unwrap().steps_to(&maps.held);
        assert_eq!(found.len(), 4, "{found:?}");
        for step in &found {
            mirror::write(&mut maps.programs.tables, step).unwrap();
        }
        let actual = mirror::read(&maps.programs.tables, &maps.held).unwrap();
        assert_eq!(actual.steps_to(&maps.held), []);
    });
}

fn control_egress(mtu: u32) -> dataplane_common::map::forward::Egress {
    dataplane_common::map::forward::Egress { mtu, ..Default::default() }
}

fn carry_out(kept: &mut Kept, acts: &[Act]) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, kernel, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        kept.carry_out(&kernel, acts).await
    })
}

#[test]
fn a_next_hop_in_use_is_managed_by_the_kernel_and_let_go_when_idle() {
    if !in_own_namespace("a_next_hop_in_use_is_managed_by_the_kernel_and_let_go_when_idle") {
        return;
    }
    prepare();
    batch(
        "ip",
        "addr add 192.0.2.1/24 dev p0\nneigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev p0 nud permanent\n",
    );
    let kernel = dump::once().unwrap();
    let device = kernel.index("p0").unwrap();
    let hop = |last: u8| NextHop { device, address: octets_of(IpAddr::from([192, 0, 2, last])) };
    let uses =
        |used_ns| [7, 9].map(|last| (hop(last), NextHopUse { used_ns, missing_ns: 0 })).into_iter().collect();
    let (now, idle) = (100_000_000_000, 10_000_000_000);
    let mut kept = Kept::default();
    let acts = plan(&uses(now), &kept, &kernel, now, idle);
    let key = |last: u8| (device, IpAddr::from([192, 0, 2, last]));
    assert_eq!(acts, [Act::Keep(key(7))], "what somebody has configured is left alone");
    assert_eq!(carry_out(&mut kept, &acts), 0);
    let kernel = dump::once().unwrap();
    let neighbour = kernel.neighbours[&key(7)];
    assert!(neighbour.managed && neighbour.extern_learned, "{neighbour:?}");
    assert_eq!(plan(&uses(now), &kept, &kernel, now, idle), []);
    // Nobody uses it any more.
    let acts = plan(&uses(now - 2 * idle), &kept, &kernel, now, idle);
    assert!(acts.contains(&Act::Release(key(7))) && !acts.contains(&Act::Release(key(9))), "{acts:?}");
    assert_eq!(carry_out(&mut kept, &acts), 0);
    assert!(kept.is_empty());
    let kernel = dump::once().unwrap();
    assert!(kernel.neighbours.get(&key(7)).is_none_or(|neighbour| !neighbour.managed));
    assert!(kernel.neighbours[&key(9)].is_configured());
}
