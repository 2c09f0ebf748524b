//! `millrace dump`: frames as XDP saw them and as it sent them on, each with its verdict, into a capture.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Cursor, IoSliceMut, Read as _, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Shutdown};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use aya::maps::{MapData, RingBuf};
use dataplane_common::PacketEnd;
use dataplane_common::map::dump::{Record, SNAP};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;
use tokio::time::{Instant, interval, sleep_until};
use zerocopy::FromBytes as _;

use super::Failure;
use super::instance::Instance;
use crate::admin::{self, Request};
use crate::ebpf::dump::ring;
use crate::process::control::answers::What;
use crate::process::control::dump::Frames;

/// How often the ring is looked at; it has room for what the default rate brings in a hundred times as long.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Write frames with their verdicts into a capture: what tcpdump does not see of XDP.
///
/// Each frame stands there as it arrived, and once more as it left where XDP rewrote it; comments hold verdict, reason and
/// port. Until Ctrl-C, or as long as --seconds and --packets say. The last line on standard error is a JSON object that says
/// how many frames matched, and how many of them were left out and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace dump --drop -w drops.pcapng
  millrace dump --port eth0 --one-in 1000 --seconds 10 -w sample.pcapng
  millrace dump --exporter 192.0.2.1 -w - | tshark -r - -T fields -e frame.comment -e ip.src")]
pub struct Dump {
    /// The capture (pcapng); `-`: standard output.
    #[arg(short, long, value_name = "FILE")]
    write: PathBuf,
    /// Only frames that XDP drops.
    #[arg(long)]
    drop: bool,
    /// Only frames that arrive on this device.
    #[arg(long, value_name = "DEVICE")]
    port: Option<String>,
    /// Only frames from this address.
    #[arg(long, value_name = "ADDRESS")]
    exporter: Option<IpAddr>,
    /// Only one in so many of these.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    one_in: u32,
    /// At most so many a second and CPU.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// For so long.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Until so many are written.
    #[arg(long, value_name = "N")]
    packets: Option<u64>,
    #[command(flatten)]
    instance: Instance,
}

impl Dump {
    /// Runs the verb.
    ///
    /// # Errors
    /// Status 1: an unreadable configuration, a file that cannot be written, a device without the program; status 3:
    /// nothing runs.
    pub fn run(&self) -> Result<(), Failure> {
        let socket = self.instance.socket()?;
        let frames = Frames {
            drops: self.drop,
            port: self.port.clone(),
            exporter: self.exporter,
            one_in: self.one_in,
            per_second: self.rate,
        };
        let request = Request { dump: Some(frames), ..Request::from(What::Dump) };
        let stream = admin::open(&socket, &request)?.ok_or_else(|| {
            let line = format!("no millrace answers at {} (start one: millrace run)", socket.display());
            Failure::not_running(line)
        })?;
        let (answer, descriptor) = answered(&stream).map_err(Failure::input)?;
        let file: Box<dyn Write> = match self.write.as_os_str() == "-" {
            true => Box::new(io::stdout()),
            false => Box::new(create(&self.write)?),
        };
        let mut capture = Capture::new(file, &answer)?;
        let mut ring = ring(descriptor).map_err(Failure::input)?;
        let written = self.follow(&stream, &mut ring, &mut capture);
        // Whatever happened: the program that does not dump comes back.
        let counts = finish(&stream);
        written?;
        capture.take(&mut ring, self.packets.unwrap_or(u64::MAX))?;
        capture.writer.get_mut().flush().map_err(Failure::input)?;
        let mut counts = counts?;
        counts["packets"] = capture.written.into();
        eprintln!("{counts}");
        Ok(())
    }

    fn follow(
        &self,
        stream: &UnixStream,
        ring: &mut RingBuf<MapData>,
        capture: &mut Capture,
    ) -> anyhow::Result<()> {
        let most = self.packets.unwrap_or(u64::MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let until = self.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
            let mut look = interval(LOOK_EVERY);
            stream.set_nonblocking(true)?;
            let instance = tokio::net::UnixStream::from_std(stream.try_clone()?)?;
            let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            loop {
                tokio::select! {
                    _ = look.tick() => {
                        capture.take(ring, most)?;
                        if capture.written >= most {
                            return Ok(());
                        }
                    }
                    () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return Ok(()),
                    // It ends the dump itself when it stops.
                    _ = instance.readable() => return Ok(()),
                    _ = interrupt.recv() => return Ok(()),
                    _ = terminate.recv() => return Ok(()),
                }
            }
        })
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
}

/// The first line of the answer, and the ring beside it.
fn answered(stream: &UnixStream) -> anyhow::Result<(Value, OwnedFd)> {
    let mut octets = vec![0; 64 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(stream, &mut [IoSliceMut::new(&mut octets)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptor = None;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(mut rights) = message {
            descriptor = rights.next();
        }
    }
    let head = octets.get(..got.bytes).unwrap_or_default();
    let mut line = String::new();
    BufReader::new(Cursor::new(head).chain(stream)).read_line(&mut line)?;
    let answer: Value = serde_json::from_str(&line).context("the instance does not answer")?;
    if let Some(why) = answer["error"].as_str() {
        return Err(anyhow!("{why}"));
    }
    Ok((answer, descriptor.ok_or(anyhow!("the instance gave no ring"))?))
}

/// Tells the instance that it is enough; what it counted.
fn finish(stream: &UnixStream) -> anyhow::Result<Value> {
    stream.set_nonblocking(false)?;
    // An instance that is gone needs not be told.
    let _ = stream.shutdown(Shutdown::Write);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line).context("the instance ended")
}

/// The file that is written.
struct Capture {
    writer: PcapNgWriter<BufWriter<Box<dyn Write>>>,
    devices: BTreeMap<u32, String>,
    boot_unix_ns: u64,
    /// Interfaces of the capture, by device and whether frames leave there.
    interfaces: BTreeMap<(u32, bool), u32>,
    written: u64,
}

impl Capture {
    fn new(file: Box<dyn Write>, answer: &Value) -> anyhow::Result<Self> {
        let devices = answer["devices"].as_object().into_iter().flatten();
        let devices =
            devices.filter_map(|(index, name)| Some((index.parse().ok()?, name.as_str()?.to_owned())));
        Ok(Self {
            writer: PcapNgWriter::new(BufWriter::new(file))?,
            devices: devices.collect(),
            boot_unix_ns: answer["bootUnixNs"].as_u64().unwrap_or(0),
            interfaces: BTreeMap::new(),
            written: 0,
        })
    }

    fn name(&self, device: u32) -> String {
        self.devices.get(&device).cloned().unwrap_or_else(|| format!("device {device}"))
    }

    /// Writes what the ring holds, until `most` frames are written.
    fn take(&mut self, ring: &mut RingBuf<MapData>, most: u64) -> anyhow::Result<()> {
        while self.written < most {
            let Some(item) = ring.next() else { break };
            if let Ok(record) = Record::read_from_bytes(&item) {
                self.write(&record)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        self.written += 1;
        let device = self.name(record.device);
        let verdict = verdict(record);
        let way = if record.egress == 0 {
            String::new()
        } else {
            format!(", out through {}", self.name(record.egress))
        };
        let comment = format!("in {device} queue {}: {verdict}{way}", record.queue);
        self.frame(record, (record.device, false), (&record.before, record.before_length), comment)?;
        if record.after_length > 0 {
            let comment = format!("out {}: {verdict}, in by {device}", self.name(record.egress));
            self.frame(record, (record.egress, true), (&record.after, record.after_length), comment)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        record: &Record,
        at: (u32, bool),
        (octets, length): (&[u8; SNAP], u32),
        comment: String,
    ) -> anyhow::Result<()> {
        let interface_id = self.interface(at)?;
        let kept = (length as usize).min(SNAP);
        self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::from_nanos(self.boot_unix_ns + record.monotonic_ns),
            original_len: length,
            data: octets.get(..kept).unwrap_or_default().into(),
            options: vec![EnhancedPacketOption::Comment(comment.into())],
        })?;
        Ok(())
    }

    /// An interface of the capture, described when it is first seen.
    fn interface(&mut self, at: (u32, bool)) -> anyhow::Result<u32> {
        if let Some(id) = self.interfaces.get(&at) {
            return Ok(*id);
        }
        let (name, side) = (self.name(at.0), if at.1 { "as XDP sends them" } else { "as XDP sees them" });
        self.writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: u32::try_from(SNAP)?,
            options: vec![
                InterfaceDescriptionOption::IfName(name.into()),
                InterfaceDescriptionOption::IfDescription(side.into()),
                // Nanoseconds.
                InterfaceDescriptionOption::IfTsResol(9),
            ],
        })?;
        let id = u32::try_from(self.interfaces.len())?;
        self.interfaces.insert(at, id);
        Ok(id)
    }
}

/// `drop denied`: what XDP did, and why.
fn verdict(record: &Record) -> String {
    let action = match record.action {
        0 => "abort",
        1 => "drop",
        2 => "pass",
        3 => "transmit",
        4 => "redirect",
        _ => "unknown action",
    };
    let end = PacketEnd::ALL.get(record.end as usize).map_or("unknown", |end| end.name());
    format!("{action} {end}")
}
