//! `millrace dump`: the program that shows frames takes the other's place, and the client reads its ring.
//!
//! In: which frames. Out: one line of JSON with the ring's descriptor beside it, and when the client has seen enough a
//! second line with what was counted. No frame passes through this process: it holds privileges, frames are hostile.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::net::UnixStream;

use super::Control;
use super::answers::now_unix_ns;
use super::plane::load_settings;
use crate::ebpf::LoadSettings;
use crate::ebpf::dump::{Dumping, Wanted};

/// Which frames a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frames {
    /// Only those that XDP drops.
    pub drops: bool,
    /// Only those that arrive on this device.
    pub port: Option<String>,
    /// Only those from this address.
    pub exporter: Option<IpAddr>,
    /// Only one in so many, from 1.
    pub one_in: u32,
    /// At most so many a second and CPU, from 1.
    pub per_second: u32,
}

/// A client that looks at frames. One at a time.
#[derive(Debug)]
pub(super) struct Looking {
    dumping: Dumping,
    client: UnixStream,
}

/// Waits until the client has seen enough or is gone.
pub(super) async fn over(looking: Option<&Looking>) {
    let Some(Looking { client, .. }) = looking else { return std::future::pending().await };
    loop {
        if client.readable().await.is_err() {
            return;
        }
        match client.try_read(&mut [0; 64]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

impl Control {
    pub(super) fn start_dump(&mut self, frames: &Frames, client: UnixStream) {
        match self.try_dump(frames) {
            Ok(dumping) => {
                let ports = self.plane.attached.values();
                let names: Map<String, Value> =
                    ports.map(|port| (port.index.to_string(), port.device.clone().into())).collect();
                let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
                let monotonic_ns = u64::try_from(monotonic.tv_sec).unwrap_or(0) * 1_000_000_000
                    + u64::try_from(monotonic.tv_nsec).unwrap_or(0);
                let line = json!({"schema": 1, "devices": names, "bootUnixNs": now_unix_ns().saturating_sub(monotonic_ns)});
                if let Err(error) = hand_over(&client, &line, &dumping) {
                    tracing::warn!("dump: the client does not take the ring: {error}");
                }
                tracing::info!("dump: frames are shown");
                self.dump = Some(Looking { dumping, client });
            }
            // Who asked may have gone away.
            Err(why) => drop(client.try_write(format!("{}\n", json!({"error": why})).as_bytes())),
        }
    }

    fn try_dump(&mut self, frames: &Frames) -> Result<Dumping, String> {
        if self.dump.is_some() {
            return Err("another dump runs".into());
        }
        if self.stopping.is_some() {
            return Err("this instance is stopping".into());
        }
        if self.plane.attached.is_empty() {
            return Err("no device runs the XDP program (show devices)".into());
        }
        let port = match &frames.port {
            None => 0,
            Some(device) => {
                let attached = self.plane.attached.get(device);
                attached.ok_or(format!("device {device} does not run the XDP program"))?.index
            }
        };
        let wanted = Wanted {
            drops: frames.drops,
            port,
            source: frames.exporter,
            one_in: frames.one_in.max(1),
            per_second: frames.per_second.max(1),
        };
        let settings = LoadSettings { dump: Some(wanted), ..load_settings(&self.config, self.key) };
        let programs = self.plane.programs.as_mut().ok_or("no eBPF programs are loaded")?;
        programs.start_dump(&settings).map_err(|error| error.to_string())
    }

    /// Nobody looks any more.
    pub(super) fn end_dump(&mut self) {
        let Some(Looking { dumping, client }) = self.dump.take() else { return };
        let Some(programs) = &mut self.plane.programs else { return };
        let line = match programs.end_dump(&dumping) {
            Ok(counts) => json!({
                "matched": counts.matched,
                "sampledOut": counts.sampled_out,
                "overRate": counts.over_rate,
                "ringFull": counts.ring_full,
                "written": counts.written,
            }),
            Err(error) => {
                tracing::error!("dump: {error}");
                json!({"error": error.to_string()})
            }
        };
        tracing::info!("dump: over");
        // Who asked may have gone away.
        let _ = client.try_write(format!("{line}\n").as_bytes());
    }
}

/// The line, and the ring beside it.
fn hand_over(client: &UnixStream, line: &Value, dumping: &Dumping) -> io::Result<()> {
    let text = format!("{line}\n");
    let rights = [dumping.ring().as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(&rights));
    let sent = sendmsg(client, &[IoSlice::new(text.as_bytes())], &mut beside, SendFlags::NOSIGNAL)?;
    if sent == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
