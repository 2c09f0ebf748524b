//! SK_REUSEPORT with real sockets: every router on the slot that the hash says, whatever port, family and
//! transport.
//!
//! Each test runs itself again in a network namespace of its own (`unshare --net`), which ends with it. Needs
//! root, and fails without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use control::ebpf::{LoadSettings, Programs};
use dataplane_common::map::{SlotState, Steering};
use dataplane_common::walk::{TCP, UDP};
use dataplane_common::{PacketEnd, bucket, octets_of, router_hash};
use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, listen, socket, sockopt};

const KEY: [u8; 16] = *b"another test key";
const SLOTS: u8 = 8;
const ROUTERS: u8 = 64;
const UDP_PORTS: [u16; 3] = [4739, 2055, 9995];
const TCP_PORTS: [u16; 3] = [1790, 5000, 11019];
const WAIT: Duration = Duration::from_secs(5);

/// Runs this test again in a new network namespace with its loopback up; `true` in that second run.
fn in_own_namespace(test: &str) -> bool {
    let inside = lab::namespace::in_own_namespace(test).unwrap();
    if inside {
        run("ip", &["link", "set", "lo", "up"]);
    }
    inside
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Addresses on the loopback: a router each. All of 127/8 is there already.
fn add_ipv6_routers() {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let lines: String =
        (1..=ROUTERS).map(|n| format!("addr add {}/128 dev lo nodad\n", router(n, true))).collect();
    ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(ip.wait().unwrap().success());
}

fn router(number: u8, is_ipv6: bool) -> IpAddr {
    if is_ipv6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, number.into()).into()
    } else {
        Ipv4Addr::new(127, 0, 1, number).into()
    }
}

fn here(is_ipv6: bool) -> IpAddr {
    if is_ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
}

fn table(states: impl Fn(u8) -> SlotState) -> Steering {
    let mut table = Steering::EMPTY;
    for (bucket, slot) in table.slots.iter_mut().enumerate() {
        *slot = u8::try_from(bucket * 5 / 3 % usize::from(SLOTS)).unwrap();
    }
    for slot in 0..SLOTS {
        table.states[usize::from(slot)] = states(slot) as u8;
    }
    table
}

fn slot_of(source: IpAddr) -> usize {
    let bucket = bucket(router_hash(octets_of(source), KEY));
    table(|_| SlotState::Millrace).slots[bucket as usize].into()
}

fn load() -> Programs {
    let mut programs = Programs::load(&LoadSettings::new(KEY, 2_048)).expect("load (root is needed)");
    programs.tables.steering.install(&table(|_| SlotState::Millrace)).unwrap();
    programs
}

fn reuseport(protocol: u8, address: SocketAddr, dual_stack: bool) -> OwnedFd {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let (kind, protocol) =
        if protocol == TCP { (SocketType::STREAM, ipproto::TCP) } else { (SocketType::DGRAM, ipproto::UDP) };
    let descriptor = socket(family, kind, Some(protocol)).unwrap();
    sockopt::set_socket_reuseport(&descriptor, true).unwrap();
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&descriptor, !dual_stack).unwrap();
    }
    bind(&descriptor, &address).unwrap();
    if kind == SocketType::STREAM {
        listen(&descriptor, 128).unwrap();
    }
    descriptor
}

/// One socket a slot, steered; the row of the group.
fn group(
    programs: &mut Programs,
    protocol: u8,
    address: SocketAddr,
    dual_stack: bool,
) -> (u32, Vec<OwnedFd>) {
    let row = programs.tables.sockets.row(protocol, address).unwrap();
    let sockets: Vec<_> = (0..SLOTS).map(|_| reuseport(protocol, address, dual_stack)).collect();
    for (slot, socket) in (0..).zip(&sockets) {
        programs.tables.sockets.insert(row, slot, socket).unwrap();
    }
    programs.attach_reuseport(&sockets[0]).unwrap();
    (row, sockets)
}

fn udp_group(programs: &mut Programs, address: SocketAddr, dual_stack: bool) -> (u32, Vec<UdpSocket>) {
    let (row, sockets) = group(programs, UDP, address, dual_stack);
    let sockets: Vec<UdpSocket> = sockets.into_iter().map(UdpSocket::from).collect();
    sockets.iter().for_each(|socket| socket.set_read_timeout(Some(WAIT)).unwrap());
    (row, sockets)
}

fn tcp_group(programs: &mut Programs, address: SocketAddr) -> (u32, Vec<TcpListener>) {
    let (row, sockets) = group(programs, TCP, address, false);
    (row, sockets.into_iter().map(TcpListener::from).collect())
}

/// Sends one datagram and gives back what the socket of `slot` read.
fn send_and_receive(from: IpAddr, to: SocketAddr, sockets: &[UdpSocket], slot: usize, octets: &[u8]) {
    let sender = UdpSocket::bind((from, 0)).unwrap();
    sender.send_to(octets, to).unwrap();
    let mut buffer = vec![0; octets.len() + 1];
    let (length, source) =
        sockets[slot].recv_from(&mut buffer).unwrap_or_else(|error| panic!("{from} -> {to}: {error}"));
    assert_eq!(&buffer[..length], octets);
    assert_eq!(source.ip().to_canonical(), from);
}

fn connect_from(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let family = if from.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let descriptor = socket(family, SocketType::STREAM, None).unwrap();
    bind(&descriptor, &SocketAddr::new(from, 0)).unwrap();
    connect(&descriptor, &to)?;
    Ok(descriptor.into())
}

#[test]
fn every_port_of_a_router_is_on_its_slot() {
    if !in_own_namespace("every_port_of_a_router_is_on_its_slot") {
        return;
    }
    add_ipv6_routers();
    let mut programs = load();
    let mut taken = [0_u64; SLOTS as usize];
    for is_ipv6 in [false, true] {
        let address = |port| SocketAddr::new(here(is_ipv6), port);
        let udp: Vec<_> = UDP_PORTS.map(|port| udp_group(&mut programs, address(port), false)).into();
        let tcp: Vec<_> = TCP_PORTS.map(|port| tcp_group(&mut programs, address(port))).into();
        for number in 1..=ROUTERS {
            let source = router(number, is_ipv6);
            let slot = slot_of(source);
            for (port, (_, sockets)) in UDP_PORTS.iter().zip(&udp) {
                send_and_receive(source, address(*port), sockets, slot, &[number, 1, 2, 3]);
                taken[slot] += 1;
            }
            for (port, (_, listeners)) in TCP_PORTS.iter().zip(&tcp) {
                let mut stream = connect_from(source, address(*port)).unwrap();
                let (mut accepted, peer) = listeners[slot].accept().unwrap();
                assert_eq!(peer.ip(), source);
                stream.write_all(&[number]).unwrap();
                let mut octet = [0];
                accepted.read_exact(&mut octet).unwrap();
                assert_eq!(octet, [number]);
                taken[slot] += 1;
            }
        }
        // Nobody else got anything.
        for (_, sockets) in &udp {
            for socket in sockets {
                socket.set_nonblocking(true).unwrap();
                assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            }
        }
        for (_, listeners) in &tcp {
            for listener in listeners {
                listener.set_nonblocking(true).unwrap();
                assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
            }
        }
    }
    let routers = u64::from(ROUTERS) * 2;
    let ends = programs.tables.counters.socket_ends().unwrap();
    assert_eq!(ends[PacketEnd::Selected.index()], routers * 6);
    assert_eq!(ends.iter().sum::<u64>(), routers * 6);
    for (slot, &taken) in (0..).zip(&taken) {
        let rows = programs.tables.sockets.rows().unwrap();
        assert_eq!(rows.len(), 12);
        let selected: u64 =
            rows.iter().map(|&(_, row)| programs.tables.counters.selected(row, slot).unwrap()).sum();
        assert_eq!(selected, taken, "slot {slot}");
        assert!(taken > 0, "128 routers fall on every one of 8 slots");
    }
}

#[test]
fn dual_stack_sockets_take_both_families() {
    if !in_own_namespace("dual_stack_sockets_take_both_families") {
        return;
    }
    add_ipv6_routers();
    let mut programs = load();
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 4739);
    let (_, sockets) = udp_group(&mut programs, any, true);
    for number in 1..=ROUTERS {
        for is_ipv6 in [false, true] {
            let source = router(number, is_ipv6);
            let to = SocketAddr::new(here(is_ipv6), 4739);
            send_and_receive(source, to, &sockets, slot_of(source), &[number]);
        }
    }
    assert_eq!(programs.tables.counters.socket_ends().unwrap()[PacketEnd::Selected.index()], 128);
}

#[test]
fn a_reassembled_datagram_reaches_its_slot() {
    if !in_own_namespace("a_reassembled_datagram_reaches_its_slot") {
        return;
    }
    run("ip", &["link", "set", "lo", "mtu", "1500"]);
    add_ipv6_routers();
    let mut programs = load();
    let octets: Vec<u8> = (0..4_000_u32).map(|n| n as u8).collect();
    for is_ipv6 in [false, true] {
        let to = SocketAddr::new(here(is_ipv6), 2055);
        let (_, sockets) = udp_group(&mut programs, to, false);
        for number in 1..=16 {
            let source = router(number, is_ipv6);
            send_and_receive(source, to, &sockets, slot_of(source), &octets);
        }
    }
    let ends = programs.tables.counters.socket_ends().unwrap();
    assert_eq!(ends[PacketEnd::Selected.index()], 32);
    assert_eq!(ends[PacketEnd::Fragment.index()], 0);
    let made = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let mut lines = made.lines().filter(|line| line.starts_with("Ip:"));
    let names: Vec<_> = lines.next().unwrap().split(' ').collect();
    let values: Vec<_> = lines.next().unwrap().split(' ').collect();
    let reassembled = names.iter().position(|name| *name == "ReasmOKs").unwrap();
    assert_eq!(values[reassembled], "16", "the datagrams really went as fragments");
}

#[test]
fn nobody_on_the_slot() {
    if !in_own_namespace("nobody_on_the_slot") {
        return;
    }
    let mut programs = load();
    let (udp, tcp) = (SocketAddr::new(here(false), 4739), SocketAddr::new(here(false), 1790));
    let (row, sockets) = udp_group(&mut programs, udp, false);
    let (_, listeners) = tcp_group(&mut programs, tcp);
    let source = router(1, false);
    let slot = slot_of(source);
    let other = (2..=ROUTERS).map(|n| router(n, false)).find(|other| slot_of(*other) != slot).unwrap();

    // Draining, moving and foreign slots still have their socket.
    for state in [SlotState::Draining, SlotState::Moving, SlotState::Foreign] {
        programs.tables.steering.set_state(slot as u32, state).unwrap();
        send_and_receive(source, udp, &sockets, slot, b"kept");
    }
    // An empty slot: the datagram is dropped, the connection reset at once; the other slot notices nothing.
    programs.tables.steering.set_state(slot as u32, SlotState::Empty).unwrap();
    UdpSocket::bind((source, 0)).unwrap().send_to(b"lost", udp).unwrap();
    assert_eq!(connect_from(source, tcp).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    send_and_receive(other, udp, &sockets, slot_of(other), b"through");
    assert_eq!(programs.tables.counters.socket_ends().unwrap()[PacketEnd::EmptySlot.index()], 2);

    // A worker's slot whose socket is gone.
    programs.tables.steering.set_state(slot as u32, SlotState::Millrace).unwrap();
    programs.tables.sockets.remove(row, slot as u32).unwrap();
    drop(listeners);
    UdpSocket::bind((source, 0)).unwrap().send_to(b"lost", udp).unwrap();
    assert_eq!(connect_from(source, tcp).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    send_and_receive(other, udp, &sockets, slot_of(other), b"through");
    let ends = programs.tables.counters.socket_ends().unwrap();
    assert_eq!(ends[PacketEnd::NoSocket.index()], 1, "a group without listeners never asks");

    // A group without a row.
    programs.tables.sockets.remove_row(UDP, udp).unwrap();
    UdpSocket::bind((other, 0)).unwrap().send_to(b"lost", udp).unwrap();
    assert_eq!(programs.tables.counters.socket_ends().unwrap()[PacketEnd::NoSocket.index()], 2);
    for socket in &sockets {
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
