//! Routes change under traffic, by the thousand: every packet goes where the kernel's table says at that moment, as it
//! does when the kernel forwards it, and none is lost.
//!
//! Needs root and FRR, and fails without. Each test runs itself again in a namespace of its own: a router, a host that
//! sends, and two hosts that take whatever the router sends them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "says how much was done, and how fast")]

#[path = "forward/frr.rs"]
mod frr;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/hosts.rs"]
mod hosts;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/rig.rs"]
mod rig;
#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "forward/router.rs"]
mod router;
#[path = "forward/traffic.rs"]
mod traffic;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use dataplane_common::PacketEnd as End;
use frr::{Frr, speaker};
use hosts::Host;
use rig::{in_own_namespace, run, said};
use router::{Router, address, forwarding, here};
use rtnetlink::RouteMessageBuilder;
use traffic::{Change, address_of, assert_right, sites, takes_all, travel};

/// Devices of the router: the sender's, and those of the two receivers.
const DEVICES: [&str; 3] = ["in0", "out0", "out1"];

/// The sender and the receivers, whose neighbours know each other.
fn hosts() -> (Host, [Host; 2]) {
    forwarding();
    let hosts = DEVICES.map(|_| Host::new());
    for (nth, (host, device)) in hosts.iter().zip(DEVICES).enumerate() {
        let (theirs, net) = (format!("h{nth}"), u8::try_from(nth + 1).unwrap());
        host.join(device, &theirs);
        address(host, &theirs, net);
        here(device, net);
        host.run(&format!("ping -c 1 -W 5 10.{net}.0.1"));
    }
    let [a, b, c] = hosts;
    takes_all(&b);
    takes_all(&c);
    (a, [b, c])
}

/// Where a receiver's routes lead.
fn next_hop(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, [2, 3][host], 0, 9)
}

/// The routes to `destinations` all lead to the first receiver.
fn routes(destinations: u32) {
    for destination in 0..destinations {
        run(&format!("ip route replace {}/24 via {}", network(destination), next_hop(0)));
    }
}

fn network(destination: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(address_of(destination)) & !0xff)
}

/// Changes a random route `count` times, 1,000 times a second; what each destination's route was when.
fn change(destinations: u32, count: u32) -> Vec<Vec<Change>> {
    let first = Change { host: 0, asked: Instant::now(), done: Instant::now() };
    let mut history = vec![vec![first]; destinations as usize];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, kernel, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let began = Instant::now();
        for nth in 0..count {
            tokio::time::sleep_until((began + Duration::from_millis(nth.into())).into()).await;
            let random = nth.wrapping_mul(0x9e37_79b1) >> 8;
            let (destination, host) = (random % destinations, (random >> 20) as usize & 1);
            let message = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(network(destination), 24)
                .gateway(next_hop(host))
                .build();
            let asked = Instant::now();
            kernel.route().add(message).replace().execute().await.unwrap();
            history[destination as usize].push(Change { host, asked, done: Instant::now() });
        }
        println!("{count} changes in {:?}", began.elapsed());
    });
    history
}

#[test]
fn a_thousand_changes_a_second_misdeliver_nothing() {
    if !in_own_namespace("a_thousand_changes_a_second_misdeliver_nothing") {
        return;
    }
    const DESTINATIONS: u32 = 500;
    let (from, to) = hosts();
    let to = [&to[0], &to[1]];
    routes(DESTINATIONS);
    let choose = |number: u32| (number.wrapping_mul(0x85eb_ca6b) >> 7) % DESTINATIONS;
    // The kernel's own forwarding, under the same rule.
    let (journeys, history) = travel(&from, to, 9_000, 3_000, choose, || change(DESTINATIONS, 3_000));
    println!("the kernel: {} in between", assert_right(&journeys, &history));
    let by_kernel = sites(&from, to, DESTINATIONS);
    let mut router = Router::new(&DEVICES);
    let mut by_us = Vec::new();
    let forwarded = router.more(End::Forwarded, || by_us = sites(&from, to, DESTINATIONS));
    assert_eq!(by_us, by_kernel, "the same table, the same places");
    assert_eq!(forwarded, u64::from(DESTINATIONS));
    routes(DESTINATIONS);
    let mut last = Vec::new();
    let forwarded = router.more(End::Forwarded, || {
        let (journeys, history) = travel(&from, to, 30_000, 3_000, choose, || change(DESTINATIONS, 10_000));
        println!("ours: {} in between", assert_right(&journeys, &history));
        last = history.iter().map(|changes| changes.last().unwrap().host).collect();
    });
    assert_eq!(forwarded, 30_000, "every packet by XDP");
    assert_eq!(sites(&from, to, DESTINATIONS), last);
    detach(&mut router);
    assert_eq!(sites(&from, to, DESTINATIONS), last, "and so the kernel");
}

fn detach(router: &mut Router) {
    DEVICES.iter().for_each(|device| router.programs.detach(device).unwrap());
}

/// Until the kernel's table holds so many routes of BGP to a next hop.
fn converged(next_hop: Ipv4Addr, routes: usize, frr: &[&Frr]) {
    let began = Instant::now();
    let via = format!("via {next_hop} ");
    loop {
        let table = said("ip route show proto bgp");
        let held = String::from_utf8_lossy(&table.stdout).lines().filter(|line| line.contains(&via)).count();
        if held == routes {
            println!("{routes} routes to {next_hop} after {:?}", began.elapsed());
            return;
        }
        if began.elapsed() > Duration::from_secs(60) {
            let logs: String = frr.iter().map(|frr| frr.log()).collect();
            panic!("{held} of {routes} routes to {next_hop}:\n{logs}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn ten_thousand_routes_of_frr_are_followed_to_another_neighbour() {
    if !in_own_namespace("ten_thousand_routes_of_frr_are_followed_to_another_neighbour") {
        return;
    }
    const ROUTES: u32 = 10_000;
    let (from, to) = hosts();
    let to = [&to[0], &to[1]];
    run("ip link set lo up");
    let mut router = Router::new(&DEVICES);
    let ours = Frr::start(
        "router",
        &speaker(65_001, "10.2.0.1", &[(65_002, "10.2.0.9"), (65_003, "10.3.0.9")], std::iter::empty(), 0),
        true,
    );
    // Both announce all of it; the second's paths are longer.
    let all = || (0..ROUTES).map(|destination| format!("{}/24", network(destination)));
    let second = to[1].inside(|| {
        Frr::start("second", &speaker(65_003, "10.3.0.9", &[(65_001, "10.3.0.1")], all(), 3), false)
    });
    let first = to[0].inside(|| {
        Frr::start("first", &speaker(65_002, "10.2.0.9", &[(65_001, "10.2.0.1")], all(), 0), false)
    });
    converged(next_hop(0), ROUTES as usize, &[&ours, &first, &second]);
    let forwarded = router.more(End::Forwarded, || {
        assert_eq!(sites(&from, to, ROUTES), vec![0; ROUTES as usize]);
    });
    assert!(forwarded >= ROUTES.into(), "{forwarded}");
    // The first one ends: all routes go to the second while traffic runs.
    let asked = Instant::now();
    let (journeys, history) = travel(
        &from,
        to,
        60_000,
        6_000,
        |number| (number.wrapping_mul(0x85eb_ca6b) >> 7) % ROUTES,
        || {
            drop(first);
            converged(next_hop(1), ROUTES as usize, &[&ours, &second]);
            let done = Instant::now();
            let change = |host| Change { host, asked, done };
            vec![vec![change(0), change(1)]; ROUTES as usize]
        },
    );
    println!("{} in between", assert_right(&journeys, &history));
    let by_us = sites(&from, to, ROUTES);
    detach(&mut router);
    assert_eq!(by_us, vec![1; ROUTES as usize]);
    assert_eq!(sites(&from, to, ROUTES), by_us, "the same packets, forwarded by the kernel");
}
