//! Datagrams to many destinations, which of two hosts got each of them and when; and which route each destination
//! had when.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::hosts::Host;

/// The discard port.
const PORT: u16 = 9;
/// Room for all that comes while a receiver waits for its core, octets.
const ROOM: usize = 64 << 20;
/// Without a datagram for so long after the last was sent, all have come.
const QUIET: Duration = Duration::from_millis(700);

/// Address of a destination, which both hosts take for their own: 20.x.y.1, behind the route 20.x.y.0/24.
pub(crate) fn address_of(destination: u32) -> Ipv4Addr {
    Ipv4Addr::from((20 << 24) + (destination << 8) + 1)
}

/// A host takes datagrams for every destination.
pub(crate) fn takes_all(host: &Host) {
    host.run("ip link set lo up");
    host.run("ip route add local 20.0.0.0/8 dev lo");
}

/// One datagram: where it went, when it was sent, and when which host got it.
#[derive(Clone, Debug)]
pub(crate) struct Journey {
    pub(crate) destination: u32,
    pub(crate) sent: Instant,
    pub(crate) arrived: Vec<(usize, Instant)>,
}

/// Sends `count` datagrams from `from`, `rate` of them a second, to the destinations that `choose` names, while
/// `meanwhile` runs; what became of each.
pub(crate) fn travel<T>(
    from: &Host,
    to: [&Host; 2],
    count: u32,
    rate: u32,
    choose: impl Fn(u32) -> u32 + Send,
    meanwhile: impl FnOnce() -> T,
) -> (Vec<Journey>, T) {
    let over = AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|threads| {
        let sockets = to.map(|host| host.inside(open));
        let receivers: Vec<_> =
            sockets.into_iter().map(|socket| threads.spawn(move || receive(&socket, over))).collect();
        let socket = from.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        let sending = threads.spawn(move || send(&socket, count, rate, choose));
        let result = meanwhile();
        let mut journeys = sending.join().unwrap();
        over.store(true, Ordering::Release);
        for (host, receiver) in receivers.into_iter().enumerate() {
            for (number, at) in receiver.join().unwrap() {
                journeys[number as usize].arrived.push((host, at));
            }
        }
        (journeys, result)
    })
}

fn open() -> UdpSocket {
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    set_socket_recv_buffer_size_force(&socket, ROOM).unwrap();
    socket.set_read_timeout(Some(QUIET)).unwrap();
    socket
}

fn receive(socket: &UdpSocket, over: &AtomicBool) -> Vec<(u32, Instant)> {
    let mut got = Vec::new();
    let mut octets = [0; 64];
    loop {
        let last = over.load(Ordering::Acquire);
        match socket.recv(&mut octets) {
            Ok(length) => {
                assert_eq!(length, 4);
                got.push((u32::from_be_bytes(octets[..4].try_into().unwrap()), Instant::now()));
            }
            Err(_) if last => return got,
            Err(_) => {}
        }
    }
}

fn send(socket: &UdpSocket, count: u32, rate: u32, choose: impl Fn(u32) -> u32) -> Vec<Journey> {
    let began = Instant::now();
    let journey = |number: u32| {
        let due = began + Duration::from_secs(1) * number / rate;
        // In bursts of a millisecond: the thread does not ask for more of its core than it needs.
        if due > Instant::now() + Duration::from_millis(1) {
            std::thread::sleep(due - Instant::now());
        }
        let destination = choose(number);
        let sent = Instant::now();
        socket.send_to(&number.to_be_bytes(), (address_of(destination), PORT)).unwrap();
        Journey { destination, sent, arrived: Vec::new() }
    };
    (0..count).map(journey).collect()
}

/// Which host a destination's route led to, and between which moments that came to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) host: usize,
    pub(crate) asked: Instant,
    pub(crate) done: Instant,
}

/// Every datagram arrived once, at a host that its destination's route led to at some moment between its sending and
/// its arrival. How many there were for whom either host was right.
pub(crate) fn assert_right(journeys: &[Journey], history: &[Vec<Change>]) -> usize {
    let mut either = 0;
    for (number, journey) in journeys.iter().enumerate() {
        let [(host, arrived)] = journey.arrived[..] else {
            panic!("datagram {number} of {}: {journey:?}", journeys.len());
        };
        let changes = &history[journey.destination as usize];
        let was_right = |host: usize| {
            changes.iter().enumerate().any(|(nth, change)| {
                let replaced = changes.get(nth + 1).map(|next| next.done);
                change.host == host
                    && change.asked <= arrived
                    && replaced.is_none_or(|replaced| replaced >= journey.sent)
            })
        };
        assert!(was_right(host), "datagram {number} was misdelivered: {journey:?}, {changes:?}");
        either += usize::from(was_right(1 - host));
    }
    either
}

/// Which host each destination leads to: one datagram to each, once.
pub(crate) fn sites(from: &Host, to: [&Host; 2], destinations: u32) -> Vec<usize> {
    let (journeys, ()) = travel(from, to, destinations, 10_000, |number| number, || ());
    let site = |journey: &Journey| match journey.arrived[..] {
        [(host, _)] => host,
        _ => panic!("{journey:?}"),
    };
    journeys.iter().map(site).collect()
}
