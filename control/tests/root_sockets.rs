//! Everything that one router sends reaches one worker: 64 routers x 6 ports, flows over rings or kernel sockets,
//! BMP over the kernel's TCP.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use control::admin;
use control::process::control::answers::What;
use lab::exporter::{Router, population};
use lab::topology::Topology;
use running::{Instance, inside, ip};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

const FLOW_PORTS: [u16; 4] = [2055, 4739, 9995, 9996];
const BMP_PORTS: [u16; 2] = [1790, 11019];

fn config(mode: &str) -> String {
    let mut text = format!(
        "mode = \"{mode}\"\nworkers = [0, 1]\ndevices = [\"eth0\"]\n[metrics]\nlisten = \"127.0.0.1:9810\"\n\
         [[sink]]\ntype = \"null\"\n"
    );
    for (protocol, ports) in [("netflow", &FLOW_PORTS[..]), ("bmp", &BMP_PORTS[..])] {
        for port in ports {
            text += &format!("[[listen]]\nprotocol = \"{protocol}\"\naddress = \"::\"\nport = {port}\n");
        }
    }
    text
}

fn here(router: &Router, port: u16) -> SocketAddr {
    let address: IpAddr = if router.is_ipv6() { "fd73::1" } else { "10.73.0.1" }.parse().unwrap();
    SocketAddr::new(address, port)
}

/// A connection that comes from the router's own address.
fn stream(router: &Router, to: SocketAddr) -> TcpStream {
    let family = if router.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let descriptor: OwnedFd = socket(family, SocketType::STREAM, None).unwrap();
    bind(&descriptor, &SocketAddr::new(router.address(), 0)).unwrap();
    connect(&descriptor, &to).unwrap();
    descriptor.into()
}

/// Worker of each exporter, once all of `count` have so many rows in `key`.
fn workers(instance: &Instance, count: usize, key: &str, rows: u64) -> BTreeMap<String, u64> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let items = instance.show(What::Exporters);
        let enough = items.iter().filter(|item| item[key].as_u64().is_some_and(|n| n >= rows));
        let found: BTreeMap<String, u64> = enough
            .filter_map(|item| Some((item["exporter"].as_str()?.to_owned(), item["worker"].as_u64()?)))
            .collect();
        if found.len() == count {
            return found;
        }
        assert!(
            Instant::now() < until,
            "{} of {count}: {}\n{}",
            found.len(),
            instance.counters(),
            instance.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn one_worker_a_router(mode: &str) {
    let topology = Topology::pair(2).unwrap();
    let mut routers = population(64, 2, 11);
    for router in &routers {
        let length = if router.is_ipv6() { "128 nodad" } else { "32" };
        ip(&topology, "b", &format!("addr add {}/{length} dev eth0", router.address()));
        let length = if router.is_ipv6() { 128 } else { 32 };
        ip(&topology, "a", &format!("route add {}/{length} dev eth0", router.address()));
    }
    let mut instance = Instance::start(&topology, "a", &config(mode));
    let mut seen: Vec<BTreeMap<String, u64>> = Vec::new();
    for (n, port) in FLOW_PORTS.into_iter().enumerate() {
        inside(&topology, "b", || {
            for router in &mut routers {
                let socket = UdpSocket::bind((router.address(), 0)).unwrap();
                socket.send_to(&router.template(), here(router, port)).unwrap();
                socket.send_to(&router.flows(1), here(router, port)).unwrap();
            }
        });
        seen.push(workers(&instance, 64, "flows", n as u64 + 1));
    }
    let mut streams = Vec::new();
    for (n, port) in BMP_PORTS.into_iter().enumerate() {
        streams.push(inside(&topology, "b", || -> Vec<TcpStream> {
            let each = routers.iter_mut().map(|router| {
                let mut stream = stream(router, here(router, port));
                stream.write_all(&router.opening()).unwrap();
                stream.write_all(&router.table()).unwrap();
                stream
            });
            each.collect()
        }));
        seen.push(workers(&instance, 64, "routesAnnounced", 2 * (n as u64 + 1)));
    }
    assert!(seen.iter().all(|workers| *workers == seen[0]), "{seen:?}");
    assert_eq!(seen[0].values().collect::<BTreeSet<_>>().len(), 2, "both workers have some");

    let counters = instance.until(|counters| counters["unexplained"] == 0);
    let (xsk, kernel) = (counters["path"]["xsk"].as_u64(), counters["path"]["kernel"].as_u64());
    let datagrams = Some(64 * 2 * FLOW_PORTS.len() as u64);
    let expected = if mode == "socket" { (Some(0), datagrams) } else { (datagrams, Some(0)) };
    assert_eq!((xsk, kernel), expected, "{counters}");
    for what in [What::Sessions, What::Templates, What::Peers, What::Rib] {
        let items = instance.show(what);
        let exporters: BTreeSet<&str> = items.iter().filter_map(|item| item["exporter"].as_str()).collect();
        assert_eq!(exporters.len(), 64, "{what:?}: {items:?}");
        let elsewhere = items
            .iter()
            .find(|item| item["worker"].as_u64() != seen[0].get(item["exporter"].as_str().unwrap()).copied());
        assert!(elsewhere.is_none(), "{what:?}: {elsewhere:?}");
    }
    let of_one = instance.ask(admin::Request { router: Some(routers[5].address()), ..What::Rib.into() });
    assert!(
        !of_one.is_empty() && of_one.iter().all(|item| item["exporter"] == routers[5].address().to_string())
    );
    let (address, length) = routers[5].prefix(1);
    let of_prefix = instance.ask(admin::Request { prefix: Some((address, length)), ..What::Rib.into() });
    assert!(
        of_prefix.len() > 1 && of_prefix.iter().all(|item| item["prefix"] == format!("{address}/{length}"))
    );
    drop(streams);
    assert_eq!(instance.stop().status, 0);
}

#[test]
fn one_worker_a_router_in_native_mode() {
    one_worker_a_router("native");
}

#[test]
fn one_worker_a_router_in_generic_mode() {
    one_worker_a_router("generic");
}

#[test]
fn one_worker_a_router_in_socket_mode() {
    one_worker_a_router("socket");
}
