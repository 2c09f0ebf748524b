//! The way through the router: its second device, its routes, the frames that take them, and the sink behind it.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use control::ebpf::bare::{Bare, Least};
use lab::frame::Frame;

use super::super::stage::{Stage, done, receive_on};
use crate::generate::frame::{Mac, mac_of, parse_mac};
use crate::generate::live::Live;
use crate::random::Random;

/// First address of the routes, each a /24 of its own: 20.0.0.0/7 has room for 131,072 of them.
const FIRST: u32 = 20 << 24;
/// Where all routes lead.
const NEXT: &str = "10.74.0.2";
/// Octets behind the UDP header: frames of 64 octets with their checksum on a wire.
const PAYLOAD: [u8; 18] = [0; 18];
/// Frames of one call to the generator.
const CALL: u64 = 8_192;

/// A router in namespace `a` of the stage, with a sink behind it in `b`.
#[derive(Debug)]
pub struct Road<'a> {
    stage: &'a Stage,
    sink: Bare,
    routes: u32,
    own: Mac,
}

impl<'a> Road<'a> {
    /// Lays it: one more pair of devices, forwarding on, `routes` routes to one neighbour.
    ///
    /// # Errors
    /// What `ip` said, or no program on the sink.
    pub fn lay(stage: &'a Stage, routes: u32) -> anyhow::Result<Self> {
        let pair = stage.pair();
        let in_a = |words: &str| done(pair.command("a", "ip").args(words.split(' ')));
        // Left by a road before this one.
        let _ = in_a("link del eth1");
        let peer = pair.namespace("b");
        in_a(&format!(
            "link add eth1 numrxqueues 1 numtxqueues 1 type veth peer name eth1 netns {peer} numrxqueues 1 numtxqueues 1"
        ))?;
        in_a("addr add 10.74.0.1/24 dev eth1")?;
        in_a("link set eth1 up")?;
        done(pair.command("b", "ip").args(["link", "set", "eth1", "up"]))?;
        done(pair.command("a", "sysctl").args(["-qw", "net.ipv4.ip_forward=1"]))?;
        let (sink, mac) = stage.inside("b", || {
            let mut sink = Bare::load(&[])?;
            sink.attach(Least::Drop, "eth1")?;
            Ok((sink, mac_of("eth1")?))
        })?;
        // What arrives there is the far end's work, not the router's.
        ensure!(
            !receive_on(pair, "b", "eth1", stage.generator_core)?.is_empty(),
            "no thread receives at the far end"
        );
        let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
        in_a(&format!("neigh replace {NEXT} lladdr {mac} dev eth1 nud permanent"))?;
        let mut road = Self { stage, sink, routes: 0, own: stage.inside("b", || mac_of("eth0"))? };
        road.route(routes)?;
        Ok(road)
    }

    /// Makes the routes `routes` in number: one for all, or one for each /24.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn route(&mut self, routes: u32) -> anyhow::Result<()> {
        let pair = self.stage.pair();
        let _ = done(pair.command("a", "ip").args(["route", "flush", "via", NEXT]));
        let lines: String = if routes == 1 {
            format!("route add 20.0.0.0/7 via {NEXT}\n")
        } else {
            let line = |nth| format!("route add {}/24 via {NEXT}\n", Ipv4Addr::from(FIRST + (nth << 8)));
            (0..routes).map(line).collect()
        };
        let mut child = pair.command("a", "ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
        child.stdin.take().context("no pipe")?.write_all(lines.as_bytes())?;
        ensure!(child.wait()?.success(), "ip -batch: {routes} routes");
        self.routes = routes;
        Ok(())
    }

    /// `count` frames from random sources to random addresses behind the routes.
    ///
    /// # Errors
    /// The router's device has no MAC address.
    pub fn frames(&self, count: u32) -> anyhow::Result<Vec<Vec<u8>>> {
        let router = parse_mac(self.stage.mac())?;
        let mut random = Random::new(u64::from(count));
        // With one route for all of them the addresses are those of 1,000.
        let networks = if self.routes == 1 { 1_000 } else { self.routes };
        let mut frame = || {
            let to = FIRST + (random.below(networks) << 8) + random.below(256);
            let from = (198 << 24 | 18 << 16) + random.below(1 << 17);
            let end = |address: u32, port: u32| {
                SocketAddr::new(Ipv4Addr::from(address).into(), u16::try_from(port).unwrap_or_default())
            };
            let (from, to) = (end(from, 1_024 + random.below(60_000)), end(to, 1 + random.below(1_000)));
            Frame::udp(from, to, &PAYLOAD).macs(self.own, router).octets()
        };
        Ok((0..count).map(|_| frame()).collect())
    }

    /// Sends as fast as the generator's core can, for so many seconds: frames made, and how long it took.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn offer(&self, frames: &[Vec<u8>], seconds: f64) -> anyhow::Result<(u64, f64)> {
        let sent = self.stage.inside("b", || {
            let id = self.stage.generator_core;
            ensure!(core_affinity::set_for_current(core_affinity::CoreId { id }), "cannot run on core {id}");
            let mut live = Live::fixed(frames, "eth0")?;
            let began = Instant::now();
            while began.elapsed().as_secs_f64() < seconds {
                live.send(CALL)?;
            }
            let took = began.elapsed().as_secs_f64();
            Ok((live.counted()?.0, took))
        })?;
        // What stands in rings is worked off.
        std::thread::sleep(Duration::from_millis(100));
        Ok(sent)
    }

    /// Frames that came through so far.
    ///
    /// # Errors
    /// The sink's counter cannot be read.
    pub fn arrived(&self) -> anyhow::Result<u64> {
        Ok(self.sink.dropped()?)
    }
}
