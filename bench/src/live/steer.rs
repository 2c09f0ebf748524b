//! What steering telemetry costs: nanoseconds of a frame in XDP, and processor time of a whole receiver.
//!
//! In: a stage. Out: rows. The sources are random, 10,000 of them in turn; one frame again and again would be a figure
//! of the caches.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, ensure};
use control::ebpf::bare::Least;
use lab::frame::Frame;
use serde_json::{Value, json};

use super::bare;
use super::collect::Collector;
use super::forward::course::Course;
use super::socket::{self, PEERS, Peer, cpu_ns};
use super::stage::{ADDRESS, Offer, PORT, Stage};
use crate::figure::{median, spread};
use crate::random::Random;

/// Routers that send.
const SOURCES: u32 = 10_000;

/// Time of a frame in our program beside one with the same maps and fixed offsets.
///
/// # Errors
/// What the kernel refused.
pub fn ns_per_frame(name: &str, stage: &Stage, runs: usize) -> anyhow::Result<Vec<Value>> {
    let to: SocketAddr = format!("{ADDRESS}:{PORT}").parse()?;
    let mut random = Random::new(10);
    let frames: Vec<Vec<u8>> = (0..SOURCES)
        .map(|_| {
            let from = Ipv4Addr::from(1 << 24 | u32::try_from(random.next() >> 40).unwrap_or_default());
            Frame::udp(SocketAddr::new(from.into(), 40_000), to, &[0; 64]).octets()
        })
        .collect();
    let (mut ours, mut alike, mut least) = (Vec::new(), Vec::new(), Vec::new());
    stage.inside("a", || {
        let (mut programs, ring) = bare::open()?;
        let mut course = Course::over(&frames)?;
        course.bare.ring(to.ip(), PORT, "eth0", ring.descriptor().context("no socket")?)?;
        for run in 0..=runs {
            let ns = [course.ours(&mut programs)?, course.least(Least::Alike)?, course.least(Least::Steer)?];
            if run > 0 {
                [&mut ours, &mut alike, &mut least].into_iter().zip(ns).for_each(|(side, ns)| side.push(ns));
            }
        }
        Ok(())
    })?;
    let row = |peer_name: &str, values: &[f64]| {
        let peer = median(values);
        json!({
            "name": name, "unit": "ns", "ours": median(&ours), "peer": peer, "peer_name": peer_name,
            "ratio": peer / median(&ours), "runs": ours.len(), "spread": spread(&ours), "sources": SOURCES,
        })
    };
    Ok(vec![
        row("fixed offsets, the same maps and hash", &alike),
        row("fixed offsets, a plain hash, no time last seen", &least),
    ])
}

/// Distributes what it receives among two addresses, by a hash of the router: what stands before collectors that
/// cannot share a socket. Its outputs are sockets in the generator's namespace.
const TEE: Peer = Peer {
    name: "nfacctd 1.7, tee",
    command: "nfacctd -f DIR/conf",
    config: "daemonize: false\nnfacctd_ip: 10.73.0.1\nnfacctd_port: 4739\nnfacctd_pipe_size: BUFFER\n\
             plugins: tee[a]\ntee_receivers[a]: DIR/receivers\ntee_transparent: true\n\
             plugin_pipe_size: 400000000\nplugin_buffer_size: 400000\n",
};
/// Ports of its outputs, in namespace `b`.
const OUTPUTS: [u16; 2] = [9_991, 9_992];
const OUTPUT_ADDRESS: &str = "10.73.0.2";

/// Time of the processor, the receiving thread of the kernel included, for a million datagrams of 1,400 octets at a
/// rate that all can take: ours with decoding, beside other receivers and beside what only distributes.
///
/// # Errors
/// A receiver did not come up, or ours lost a datagram.
pub fn cpu_per_million(
    name: &str,
    stage: &Stage,
    runs: usize,
    rate: f64,
    seconds: f64,
) -> anyhow::Result<Vec<Value>> {
    let population = "--ipfix 64 --octets 1400 --cycle 8192 --prefixes 100000 --template-every 0".to_owned();
    let offer = Offer { population, rate, seconds };
    let peers: Vec<&Peer> = [&TEE].into_iter().chain(&PEERS).filter(|peer| peer.is_installed()).collect();
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    let mut others = vec![Vec::new(); peers.len()];
    let mut lost = vec![0; peers.len()];
    for run in 0..=runs {
        let collector = Collector::start(stage, false)?;
        let (kernel, own) = (stage.receiving_ns(), cpu_ns(collector.id()));
        let (offered, worked) = collector.take(stage, &offer)?;
        let spent = stage.receiving_ns() - kernel + cpu_ns(collector.id()) - own;
        drop(collector);
        ensure!(worked.datagrams == offered.datagrams, "{worked:?} of {offered:?}");
        ours.push(per_million(spent, worked.datagrams));
        let kernel = stage.receiving_ns();
        let (_, taken) = socket::bare(stage, &offer)?;
        bare.push(per_million(stage.receiving_ns() - kernel + taken.cpu_ns, taken.datagrams));
        for ((peer, values), lost) in peers.iter().zip(&mut others).zip(&mut lost) {
            let _outputs = outputs(stage)?;
            let kernel = stage.receiving_ns();
            let (_, taken) = peer.take(stage, &offer)?;
            *lost += taken.lost;
            values.push(per_million(stage.receiving_ns() - kernel + taken.cpu_ns, taken.datagrams));
        }
        if run == 0 {
            // The first run of each does not count.
            [&mut ours, &mut bare].into_iter().chain(&mut others).for_each(Vec::clear);
            lost.fill(0);
        }
    }
    let row = |peer_name: &str, values: &[f64], lost: u64| {
        let peer = median(values);
        json!({
            "name": name, "unit": "ms of processor time per million datagrams", "ours": median(&ours),
            "peer": peer, "peer_name": peer_name, "ratio": peer / median(&ours), "runs": ours.len(),
            "spread": spread(&ours), "rate": rate, "peer_lost": lost,
        })
    };
    let named =
        peers.iter().zip(&others).zip(lost).map(|((peer, values), lost)| row(peer.name, values, lost));
    Ok([row("bare recvmmsg", &bare, 0)].into_iter().chain(named).collect())
}

/// Milliseconds for a million.
fn per_million(spent_ns: u64, datagrams: u64) -> f64 {
    spent_ns as f64 / datagrams as f64
}

/// The sockets that a distributor sends to, and the file that names them.
fn outputs(stage: &Stage) -> anyhow::Result<Vec<UdpSocket>> {
    let directory = std::env::temp_dir().join(format!("mr-peer-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let to = OUTPUTS.map(|port| format!("{OUTPUT_ADDRESS}:{port}")).join(",");
    std::fs::write(directory.join("receivers"), format!("id=1 ip={to} balance-alg=hash-agent\n"))?;
    stage.inside("b", || OUTPUTS.iter().map(|port| Ok(UdpSocket::bind((OUTPUT_ADDRESS, *port))?)).collect())
}
