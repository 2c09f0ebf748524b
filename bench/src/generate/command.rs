//! The command line of `millrace-gen`. In: flags. Out: the report, or one line that says what is wrong.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, anyhow, ensure};
use clap::Parser;
use clap::ValueEnum as _;
use serde_json::Value;

use super::bmp::{self, Sessions};
use super::frame::{Mac, parse_mac};
use super::live::Live;
use super::pace::Pace;
use super::population::{Class, Population, Protocol};
use super::report::{self, Device, Run};
use super::ring::Ring;
use super::script::Script;
use super::socket::Sockets;

const EXAMPLES: &str = "\
Examples:
  Three IPFIX exporters on this host's loopback, 1,000 datagrams a second for ten seconds:
    millrace-gen --ipfix 3 --source 127.1.0.1 --to 127.0.0.1:4739 --rate 1000 --seconds 10
  Exporters of three protocols, and the BMP sessions that their flows are joined with:
    ip route add local 10.0.0.0/16 dev lo
    millrace-gen --ipfix 100 --netflow9 100 --sflow 20 --to 192.0.2.1:2055 --to sflow=192.0.2.1:6343 \\
        --bmp 192.0.2.1:11019 --bmp-routers 100 --rate 50000 --seconds 60
  A described population, half a percent of it withheld so that its sequence numbers have gaps:
    millrace-gen --population routers.toml --loss-per-mille 5 --to 192.0.2.1:4739 --datagrams 100000
  As fast as the kernel makes frames, from 10,000 addresses, out of one end of a virtual Ethernet pair:
    millrace-gen --ipfix 10000 --to 10.73.0.1:4739 --live --device eth0 --to-mac 02:00:00:00:00:02 --seconds 10
  The same out of a card, through a ring that the kernel and this program share:
    millrace-gen --ipfix 10000 --to 192.0.2.1:4739 --ring --device eth1 --to-mac 02:00:00:00:00:02 --seconds 10

A population file has the keys of Population and one [[class]] for each kind of exporter:
    seed = 1                    # the same seed makes the same octets
    source_v4 = \"10.0.0.1\"      # first exporter; the others follow
    prefixes = 100000           # announced prefixes that flows lie in
    skew = 4.0                  # 1: all prefixes alike; higher: a few carry most
    datagrams = 65536           # of one cycle, which is sent again and again
    [[class]]
    protocol = \"ipfix\"          # ipfix, netflow9, netflow5, sflow
    exporters = 50
    domains = 2                 # of each exporter
    templates = 10              # of each domain
    octets = 1400               # largest payload
    template_every = 512        # data datagrams of a domain
    loss_per_mille = 0

The last line of output is one JSON object: datagrams, octets, templates, records by class, and the kernel's own
count of the device that --device names. Ctrl-C ends a run early with exact counts.";

/// Send IPFIX, NetFlow, sFlow and BMP of a described population of routers, and count exactly what was sent.
#[derive(Debug, Parser)]
#[command(name = "millrace-gen", version, after_help = EXAMPLES)]
pub struct Generate {
    /// Population from a TOML file; flags below come on top.
    #[arg(long, value_name = "FILE")]
    population: Option<PathBuf>,
    /// Exporters of IPFIX.
    #[arg(long, value_name = "N", default_value_t = 0)]
    ipfix: u32,
    /// Exporters of NetFlow v9.
    #[arg(long, value_name = "N", default_value_t = 0)]
    netflow9: u32,
    /// Exporters of NetFlow v5.
    #[arg(long, value_name = "N", default_value_t = 0)]
    netflow5: u32,
    /// sFlow agents.
    #[arg(long, value_name = "N", default_value_t = 0)]
    sflow: u32,
    /// IPv6 sources and flows, for the exporters of these flags.
    #[arg(long)]
    ipv6: bool,
    /// Observation domains of each exporter.
    #[arg(long, value_name = "N")]
    domains: Option<u32>,
    /// Templates of each domain.
    #[arg(long, value_name = "N")]
    templates: Option<u16>,
    /// Largest UDP payload, octets.
    #[arg(long, value_name = "N")]
    octets: Option<u16>,
    /// Records of a datagram, at most.
    #[arg(long, value_name = "N")]
    records: Option<u16>,
    /// Templates again after this many data datagrams of a domain; 0: only at the start.
    #[arg(long, value_name = "N")]
    template_every: Option<u32>,
    /// Data datagrams that are numbered and withheld, in a thousand.
    #[arg(long, value_name = "N")]
    loss_per_mille: Option<u32>,
    /// Seed of everything that varies.
    #[arg(long)]
    seed: Option<u64>,
    /// Address of the first IPv4 exporter; the others follow it.
    #[arg(long, value_name = "ADDRESS")]
    source: Option<Ipv4Addr>,
    /// Address of the first IPv6 exporter; the others follow it.
    #[arg(long, value_name = "ADDRESS")]
    source_v6: Option<Ipv6Addr>,
    /// UDP source port of all exporters.
    #[arg(long, value_name = "PORT")]
    source_port: Option<u16>,
    /// Announced prefixes that flows lie in.
    #[arg(long, value_name = "N")]
    prefixes: Option<u32>,
    /// How unevenly prefixes are used: 1 evenly, 4 a tenth carries more than half.
    #[arg(long)]
    skew: Option<f64>,
    /// Datagrams of a cycle: what is kept in memory and sent again and again, with growing numbers.
    #[arg(long, value_name = "N")]
    cycle: Option<u32>,
    /// Consecutive datagrams of one domain.
    #[arg(long, value_name = "N")]
    run: Option<u32>,
    /// Collector: ADDRESS:PORT, or PROTOCOL=ADDRESS:PORT for one protocol; one of each family at need.
    #[arg(long, value_name = "COLLECTOR")]
    to: Vec<Target>,
    /// Collector of BMP sessions.
    #[arg(long, value_name = "ADDRESS:PORT")]
    bmp: Option<SocketAddr>,
    /// BMP sessions, from the addresses of the first exporters.
    #[arg(long, value_name = "N", default_value_t = 1)]
    bmp_routers: u32,
    /// Routes that are withdrawn and announced again, a second.
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    bmp_flaps: f64,
    /// Datagrams a second; 0: as fast as possible.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Datagrams that are sent at once.
    #[arg(long, value_name = "N", default_value_t = 64)]
    burst: u64,
    /// End after so many datagrams.
    #[arg(long, value_name = "N")]
    datagrams: Option<u64>,
    /// End after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// Device whose sent packets the kernel counts, for the report.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Send live frames through --device, not through sockets: sources need not be addresses of this host. Root.
    #[arg(long, requires_all = ["device", "to_mac"])]
    live: bool,
    /// Send through an AF_XDP transmit ring of --device: as --live, and what a card of one's own is fastest with. Root.
    #[arg(long, requires_all = ["device", "to_mac"], conflicts_with = "live")]
    ring: bool,
    /// Queue of --device that --ring sends on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    queue: u32,
    /// MAC address of the collector, or of the router on the way to it, for --live and --ring.
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    to_mac: Option<Mac>,
    /// Core to send from.
    #[arg(long)]
    core: Option<usize>,
}

/// Where a protocol, or all of them, is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    protocol: Option<Protocol>,
    address: SocketAddr,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (protocol, address) = match text.split_once('=') {
            Some((name, address)) => {
                (Some(Protocol::from_str(name, true).map_err(|error| anyhow!(error))?), address)
            }
            None => (None, text),
        };
        let address = address.parse().with_context(|| format!("{address} is not ADDRESS:PORT"))?;
        Ok(Self { protocol, address })
    }
}

/// One of the ways to send.
enum Sender<'a> {
    Sockets(Sockets<'a>),
    Live(Live),
    Ring(Ring<'a>),
}

impl Sender<'_> {
    fn send(&mut self, count: u64) -> anyhow::Result<()> {
        match self {
            Self::Sockets(sockets) => sockets.send(count),
            Self::Live(live) => live.send(count),
            Self::Ring(ring) => ring.send(count),
        }
    }

    /// Datagrams sent, and those that could not be made.
    fn counted(&self) -> anyhow::Result<(u64, u64)> {
        match self {
            Self::Sockets(sockets) => Ok((sockets.sent(), 0)),
            Self::Live(live) => live.counted(),
            Self::Ring(ring) => Ok((ring.sent(), 0)),
        }
    }
}

impl Generate {
    /// Sends what was asked for, until it is sent, time is over or Ctrl-C. Returns the report.
    ///
    /// # Errors
    /// What is wrong with the flags, the population, or the way to the collector.
    pub fn run(&self) -> anyhow::Result<Value> {
        let population = self.describe()?;
        ensure!(self.burst > 0, "burst is 0: give 1 or more");
        ensure!(
            self.datagrams.is_some() || self.seconds.is_some(),
            "without end: give --datagrams or --seconds"
        );
        let targets = self.targets(&population)?;
        if let Some(id) = self.core {
            ensure!(core_affinity::set_for_current(core_affinity::CoreId { id }), "cannot run on core {id}");
        }
        let stop = interrupts()?;
        let script = Script::new(&population, unix_seconds());
        let before = self.device.as_deref().map(Device::now).transpose()?;
        let mut sessions = match self.bmp {
            Some(to) => Some(Sessions::open(&population, self.bmp_routers, to)?),
            None => None,
        };
        let mut sender = match (&self.device, self.to_mac) {
            (Some(device), Some(next_hop)) if self.live => {
                Sender::Live(Live::open(&script, &targets, device, next_hop)?)
            }
            (Some(device), Some(next_hop)) if self.ring => {
                Sender::Ring(Ring::open(&script, &targets, device, self.queue, next_hop)?)
            }
            _ => Sender::Sockets(Sockets::open(&script, targets)?),
        };
        let began = Instant::now();
        let mut pace = Pace::new(self.rate);
        let until = self.datagrams.unwrap_or(u64::MAX);
        let time = self.seconds.map_or(Duration::MAX, Duration::from_secs_f64);
        let (mut sent, mut failed, mut flaps) = (0, 0, 0);
        while !stop.load(Ordering::Relaxed) && sent + failed < until && began.elapsed() < time {
            pace.wait(sent);
            sender.send(self.burst.min(until - sent - failed))?;
            (sent, failed) = sender.counted()?;
            if let Some(sessions) = &mut sessions {
                while f64::from(flaps) < began.elapsed().as_secs_f64() * self.bmp_flaps {
                    sessions.flap()?;
                    flaps += 1;
                }
            }
        }
        let took = began.elapsed();
        let bmp = sessions.map_or(Ok(bmp::Sent::default()), Sessions::close)?;
        let device = match (&self.device, &mut sender, before) {
            (Some(name), Sender::Live(live), _) => Some((name.as_str(), live.device()?)),
            (Some(name), Sender::Ring(ring), _) => Some((name.as_str(), ring.device()?)),
            (Some(name), Sender::Sockets(_), Some(before)) => {
                Some((name.as_str(), Device::now(name)?.since(before)))
            }
            _ => None,
        };
        let mode = match sender {
            Sender::Sockets(_) => "sockets",
            Sender::Live(_) => "live",
            Sender::Ring(_) => "ring",
        };
        let interrupted = stop.load(Ordering::Relaxed);
        Ok(report::line(&population, &script, &Run { mode, sent, failed, took, interrupted, device, bmp }))
    }

    /// The file's population with what the flags change.
    fn describe(&self) -> anyhow::Result<Population> {
        let mut population = match &self.population {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                Population::read(&text).with_context(|| path.display().to_string())?
            }
            None => Population::default(),
        };
        let named = [
            (Protocol::Ipfix, self.ipfix),
            (Protocol::Netflow9, self.netflow9),
            (Protocol::Netflow5, self.netflow5),
            (Protocol::Sflow, self.sflow),
        ];
        for (protocol, exporters) in named.into_iter().filter(|(_, exporters)| *exporters > 0) {
            let ipv6 = self.ipv6 && protocol != Protocol::Netflow5;
            population.class.push(Class { protocol, exporters, ipv6, ..Class::default() });
        }
        for class in &mut population.class {
            replace(&mut class.domains, self.domains);
            replace(&mut class.templates, self.templates);
            replace(&mut class.octets, self.octets);
            replace(&mut class.template_every, self.template_every);
            replace(&mut class.loss_per_mille, self.loss_per_mille);
            class.records = self.records.or(class.records);
        }
        replace(&mut population.seed, self.seed);
        replace(&mut population.source_v4, self.source);
        replace(&mut population.source_v6, self.source_v6);
        replace(&mut population.source_port, self.source_port);
        replace(&mut population.prefixes, self.prefixes);
        replace(&mut population.skew, self.skew);
        replace(&mut population.datagrams, self.cycle);
        replace(&mut population.run, self.run);
        population.check()?;
        Ok(population)
    }

    /// Where each class is sent to.
    fn targets(&self, population: &Population) -> anyhow::Result<Vec<SocketAddr>> {
        let target = |class: &Class| {
            let fits = |target: &&Target| target.address.is_ipv6() == class.ipv6;
            let own = self.to.iter().filter(fits).find(|target| target.protocol == Some(class.protocol));
            let any = || self.to.iter().filter(fits).find(|target| target.protocol.is_none());
            own.or_else(any).map(|target| target.address).with_context(|| {
                let family = if class.ipv6 { "IPv6" } else { "IPv4" };
                format!("no {family} collector for {}: give --to ADDRESS:PORT", class.protocol.name())
            })
        };
        population.class.iter().map(target).collect()
    }
}

fn replace<T>(value: &mut T, with: Option<T>) {
    if let Some(with) = with {
        *value = with;
    }
}

fn unix_seconds() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// Becomes true with the first Ctrl-C or SIGTERM.
///
/// # Errors
/// The kernel takes no handler.
pub fn interrupts() -> anyhow::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    })?;
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_the_collector_of_its_family_and_protocol() {
        let arguments = "millrace-gen --ipfix 2 --sflow 1 --to 192.0.2.1:2055 --to sflow=192.0.2.1:6343";
        let generate = Generate::try_parse_from(arguments.split(' ')).unwrap();
        let population = generate.describe().unwrap();
        let ports: Vec<u16> = generate.targets(&population).unwrap().iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [2055, 6343]);
        let generate = Generate::try_parse_from(format!("{arguments} --ipv6").split(' ')).unwrap();
        let error = generate.targets(&generate.describe().unwrap()).unwrap_err().to_string();
        assert_eq!(error, "no IPv6 collector for ipfix: give --to ADDRESS:PORT");
        assert!(Generate::try_parse_from(["millrace-gen", "--to", "bmp=192.0.2.1:1"]).is_err());
    }
}
