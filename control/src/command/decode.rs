//! `millrace decode`: a capture through the same sessions, decoders and join as live; JSON lines on standard
//! output, one summary of all counters as the last line of standard error.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use collector::batch::{BatchLimits, WorkerId};
use collector::capture::payload::Source;
use collector::capture::player::{DEFAULT_PORTS, Player};
use collector::capture::{Capture, CaptureError};
use collector::ledger::{Kind, PacketEnd};
use collector::schema::{Interest, RecordField};
use collector::settings::PortProtocol;
use collector::{Collector, Drain, Lease, Outlet, Settings, sixteen};
use output::json::Encoder;
use serde_json::{Value, json};

/// Batches a table: what one packet can make must find room before the outlet is drained.
const BATCHES: usize = 64;
const LIMITS: BatchLimits = BatchLimits { rows: 1_024, octets: 1 << 20 };
/// Nanoseconds of capture time between two ticks.
const TICK_NS: u64 = 1_000_000_000;

/// Decode captures offline.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace decode router.pcapng
  millrace decode --udp-port 9991 --join router.pcap | jq 'select(.kind==\"flow\")'
  tcpdump -w - port 4739 | millrace decode -
  millrace decode --payload netflow9:192.0.2.1 template.dat data.dat")]
pub struct Decode {
    /// Captures (pcap or pcapng), read one after the other; `-` is standard input. With --payload: files of
    /// bare UDP payload.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// UDP ports to decode, each P or P=PROTOCOL (ipfix, netflow, sflow, udp-notif), or `all`
    /// [default: 2055 4739 6343 9995 9996].
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    udp_port: Vec<UdpPort>,
    /// TCP ports that speak BMP, or `all` [default: 1790 5000 10179 11019].
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    bmp_port: Vec<BmpPort>,
    /// The files are bare UDP payload of this source, for example ipfix:192.0.2.1. The first colon separates.
    #[arg(long, value_name = "PROTOCOL:ADDRESS")]
    payload: Option<Source>,
    /// Join each flow with its router's routes as of that packet.
    #[arg(long)]
    join: bool,
    /// Join each flow with its router's routes as of the end of the capture.
    #[arg(long, conflicts_with = "join")]
    join_final: bool,
    /// Print only these kinds.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Print only what these exporters sent.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    exporter: Vec<IpAddr>,
}

/// `4739`, `10003=udp-notif` or `all`.
#[derive(Clone, Copy, Debug)]
enum UdpPort {
    All,
    One(u16, PortProtocol),
}

impl std::str::FromStr for UdpPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let (port, protocol) = text.split_once('=').unwrap_or((text, "any"));
        let protocol = match protocol {
            "any" => PortProtocol::Any,
            "ipfix" => PortProtocol::Ipfix,
            "netflow" => PortProtocol::Netflow,
            "sflow" => PortProtocol::Sflow,
            "udp-notif" => PortProtocol::UdpNotif,
            other => return Err(format!("{other}: not one of ipfix, netflow, sflow, udp-notif")),
        };
        Ok(Self::One(
            port.parse().map_err(|_| format!("{port}: not a port (1-65535) and not `all`"))?,
            protocol,
        ))
    }
}

/// `1790` or `all`.
#[derive(Clone, Copy, Debug)]
enum BmpPort {
    All,
    One(u16),
}

impl std::str::FromStr for BmpPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::One).map_err(|_| format!("{text}: not a port (1-65535) and not `all`"))
    }
}

/// Lets an option be followed by several values, `--udp-port 2055 9995 router.pcap`: a word behind such an option
/// belongs to it as long as it is a value of it, so that the file behind the last one stays a file.
pub fn spread_values(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut spread: Vec<OsString> = Vec::new();
    let mut option: Option<&'static str> = None;
    let mut first = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let fits = match option {
            Some("--udp-port") => text.parse::<UdpPort>().is_ok(),
            Some("--bmp-port") => text.parse::<BmpPort>().is_ok(),
            Some("--exporter") => text.parse::<IpAddr>().is_ok(),
            Some(_) => Kind::ALL.iter().any(|kind| kind.name() == text),
            None => false,
        };
        if let Some(name) = option.filter(|_| fits && !first) {
            spread.push(name.into());
        }
        first = false;
        if !fits {
            let known = ["--udp-port", "--bmp-port", "--exporter", "--kind"];
            option = known.into_iter().find(|name| *name == text);
            first = option.is_some();
        }
        spread.push(argument);
    }
    spread
}

impl Decode {
    /// Runs the verb.
    ///
    /// # Errors
    /// An unreadable file or an unknown kind; damaged captures are read as far as they go.
    pub fn run(&self) -> anyhow::Result<()> {
        let kinds = self.kinds()?;
        let interest = Interest {
            kinds: u32::MAX,
            whole_records: true,
            elements: Vec::new(),
            join: self.join || self.join_final,
        };
        let schemas = collector::schema::schemas(&interest);
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, BATCHES, LIMITS);
        let collector = Collector::new(self.settings(), schemas);
        let mut run = Run {
            collector,
            outlet,
            printer: Printer {
                drain,
                encoder: Encoder::default(),
                line: Vec::new(),
                kinds,
                exporters: self.exporter.iter().copied().map(sixteen).collect(),
                out: BufWriter::with_capacity(1 << 16, io::stdout()),
            },
            player: Player::new(&self.bmp_ports()),
            ticked_ns: 0,
        };
        if self.join_final {
            run.player.defer_datagrams();
        }
        match self.files.iter().try_for_each(|file| run.file(file, self.payload)).and_then(|()| run.finish())
        {
            // Whoever read our lines has seen enough.
            Err(Stop::Pipe) => return Ok(()),
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) => {}
        }
        run.summary()
    }

    fn kinds(&self) -> anyhow::Result<u32> {
        let mut mask = 0;
        for name in &self.kind {
            let Some(kind) = Kind::ALL.iter().find(|kind| kind.name() == name) else {
                let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                bail!("--kind {name}: not one of {}", known.join(", "));
            };
            mask |= 1 << kind.index();
        }
        Ok(if mask == 0 { u32::MAX } else { mask })
    }

    fn settings(&self) -> Settings {
        let defaults = DEFAULT_PORTS.iter().filter(|(_, protocol)| *protocol != PortProtocol::Bmp);
        let mut ports: Vec<(u16, PortProtocol)> = Vec::new();
        if self.udp_port.is_empty() {
            ports.extend(defaults);
        }
        if self.udp_port.iter().any(|port| matches!(port, UdpPort::All)) {
            ports.extend((0..=u16::MAX).map(|port| (port, PortProtocol::Any)));
        }
        // Later entries win: a port named with its protocol beats `all`.
        ports.extend(self.udp_port.iter().filter_map(|port| match port {
            UdpPort::All => None,
            UdpPort::One(port, protocol) => Some((*port, *protocol)),
        }));
        ports.extend(self.payload.map(|source| (source.port, source.protocol)));
        Settings {
            ports,
            join: self.join || self.join_final,
            bmp_resync: true,
            bmp_assume_peers: true,
            // A person who reads a capture wants every one of them.
            max_error_rows_per_second: 0,
            ..Settings::default()
        }
    }

    /// The BMP ports; none: all.
    fn bmp_ports(&self) -> Vec<u16> {
        if self.bmp_port.is_empty() {
            let bmp = DEFAULT_PORTS.iter().filter(|(_, protocol)| *protocol == PortProtocol::Bmp);
            return bmp.map(|(port, _)| *port).collect();
        }
        if self.bmp_port.iter().any(|port| matches!(port, BmpPort::All)) {
            return Vec::new();
        }
        self.bmp_port
            .iter()
            .filter_map(|port| match port {
                BmpPort::All => None,
                BmpPort::One(port) => Some(*port),
            })
            .collect()
    }
}

/// Why a run ends early.
enum Stop {
    Pipe,
    Failed(anyhow::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Pipe
        } else {
            Self::Failed(anyhow::Error::new(error).context("standard output"))
        }
    }
}

struct Run {
    collector: Collector,
    outlet: Outlet,
    printer: Printer,
    player: Player,
    ticked_ns: u64,
}

impl Run {
    fn file(&mut self, path: &Path, payload: Option<Source>) -> Result<(), Stop> {
        let reader: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).with_context(|| path.display().to_string()).map_err(Stop::Failed)?;
            Box::new(file)
        };
        match payload {
            Some(source) => self.payload(reader, path, source),
            None => self.capture(reader, path),
        }
    }

    fn payload(&mut self, mut reader: Box<dyn Read + Send>, path: &Path, source: Source) -> Result<(), Stop> {
        let mut octets = Vec::new();
        reader.read_to_end(&mut octets).with_context(|| path.display().to_string()).map_err(Stop::Failed)?;
        self.player.payload(source, &octets, &mut self.collector, &mut self.outlet);
        self.printer.print(&mut self.outlet)
    }

    fn capture(&mut self, reader: Box<dyn Read + Send>, path: &Path) -> Result<(), Stop> {
        let named = |error: CaptureError| anyhow::Error::new(error).context(path.display().to_string());
        let mut capture = Capture::open(reader).map_err(|error| Stop::Failed(named(error)))?;
        loop {
            let (player, collector, outlet) = (&mut self.player, &mut self.collector, &mut self.outlet);
            let ticked_ns = &mut self.ticked_ns;
            let next = capture.next(|packet| {
                player.packet(packet, collector, outlet);
                let now = player.now();
                if now.monotonic_ns.saturating_sub(*ticked_ns) >= TICK_NS {
                    *ticked_ns = now.monotonic_ns;
                    collector.tick(now, outlet);
                }
            });
            self.printer.print(&mut self.outlet)?;
            match next {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // What stood before the damage was decoded; the damage is told and the rest of the run goes on.
                Err(error @ (CaptureError::CutOff { .. } | CaptureError::Damaged { .. })) => {
                    tracing::warn!("{}: {error}", path.display());
                    return Ok(());
                }
                Err(error) => return Err(Stop::Failed(named(error))),
            }
        }
    }

    fn finish(&mut self) -> Result<(), Stop> {
        let (printer, mut stopped) = (&mut self.printer, Ok(()));
        self.player.finish(&mut self.collector, &mut self.outlet, |outlet| {
            if stopped.is_ok() {
                stopped = printer.print(outlet);
            }
        });
        stopped?;
        self.printer.out.flush()?;
        Ok(())
    }

    fn summary(&self) -> anyhow::Result<()> {
        let ledgers = self.collector.ledgers();
        let mut packets = named(PacketEnd::ALL.iter().map(|end| end.name()).zip(ledgers.packets));
        packets.insert("captured", self.player.packets.into());
        for (name, n) in self.player.shortfalls() {
            if n > 0 {
                packets.insert(name, n.into());
            }
        }
        use collector::ledger::{JoinEnd, MessageEnd, Protocol, RecordEnd, RouteAction, SetEnd};
        let protocols = || Protocol::ALL.iter().map(|protocol| protocol.name());
        let summary = json!({
            "packets": packets,
            "messages": by_end(protocols(), MessageEnd::ALL.iter().map(|end| end.name()), &ledgers.messages),
            "sets": by_end(protocols(), SetEnd::ALL.iter().map(|end| end.name()), &ledgers.sets),
            "records": by_end(
                Kind::ALL.iter().map(|kind| kind.name()),
                RecordEnd::ALL.iter().map(|end| end.name()),
                &ledgers.records,
            ),
            "routes": named(RouteAction::ALL.iter().map(|action| action.name()).zip(ledgers.routes)),
            "join": by_end(["destination", "source"].into_iter(), JoinEnd::ALL.iter().map(|end| end.name()), &ledgers.joins),
            "sequenceLost": named(protocols().zip(ledgers.sequence_lost)),
            "unexplained": ledgers.unexplained(),
        });
        writeln!(io::stderr(), "{summary}").context("standard error")
    }
}

/// Counters that are not zero, by name.
fn named<'n>(counters: impl Iterator<Item = (&'n str, u64)>) -> BTreeMap<&'n str, Value> {
    counters.filter(|(_, n)| *n > 0).map(|(name, n)| (name, n.into())).collect()
}

fn by_end<'n, const N: usize>(
    rows: impl Iterator<Item = &'n str>,
    ends: impl Iterator<Item = &'n str> + Clone,
    counters: &[[u64; N]],
) -> BTreeMap<&'n str, BTreeMap<&'n str, Value>> {
    rows.zip(counters)
        .map(|(row, counters)| (row, named(ends.clone().zip(counters.iter().copied()))))
        .filter(|(_, counters)| !counters.is_empty())
        .collect()
}

/// Prints what the outlet holds, in the order of the capture.
struct Printer {
    drain: Drain,
    encoder: Encoder,
    line: Vec<u8>,
    kinds: u32,
    exporters: Vec<[u8; 16]>,
    out: BufWriter<io::Stdout>,
}

impl Printer {
    fn print(&mut self, outlet: &mut Outlet) -> Result<(), Stop> {
        outlet.publish();
        let leases: Vec<Lease> = std::iter::from_fn(|| self.drain.take()).collect();
        // A session's rows are spread over two tables; their numbers give the order back.
        let mut rows: Vec<(u64, u64, usize, usize)> = Vec::new();
        for (at, lease) in leases.iter().enumerate() {
            let number = |field, row| {
                let values = lease.values.get(lease.schema.field(field)?)?;
                values.integer(row)
            };
            for row in 0..lease.rows as usize {
                let session = number(RecordField::Session, row).unwrap_or(0);
                rows.push((session, number(RecordField::Sequence, row).unwrap_or(0), at, row));
            }
        }
        rows.sort_by_key(|&(session, sequence, ..)| (session, sequence));
        for (_, _, at, row) in rows {
            let Some(lease) = leases.get(at) else { continue };
            if !self.wanted(lease, row) {
                continue;
            }
            self.line.clear();
            if self
                .encoder
                .line(lease, row, &mut self.line)
                .is_some_and(|kind| self.kinds & (1 << kind.index()) != 0)
            {
                self.out.write_all(&self.line)?;
            }
        }
        Ok(())
    }

    fn wanted(&self, lease: &Lease, row: usize) -> bool {
        if self.exporters.is_empty() {
            return true;
        }
        let column = lease.schema.field(RecordField::Exporter).and_then(|at| lease.values.get(at));
        column
            .and_then(|values| values.sixteen(row))
            .is_some_and(|exporter| self.exporters.contains(exporter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_takes_what_is_a_value_of_it_and_leaves_the_file() {
        let spread = |words: &str| {
            let spread = spread_values(words.split(' ').map(OsString::from));
            spread.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            spread("decode --udp-port 2055 9995=netflow --bmp-port all f.pcap"),
            "decode --udp-port 2055 --udp-port 9995=netflow --bmp-port all f.pcap"
        );
        assert_eq!(spread("decode --kind flow route -"), "decode --kind flow --kind route -");
        assert_eq!(spread("decode --exporter 2001:db8::1 x"), "decode --exporter 2001:db8::1 x");
        assert_eq!(spread("decode --udp-port nonsense"), "decode --udp-port nonsense");
    }
}
