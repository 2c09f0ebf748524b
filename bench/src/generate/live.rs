//! A script as live frames: made inside the kernel and redirected to a device, without a socket.
//!
//! In: a script, the device that sends, the MAC address of the next hop. Out: frames, counted by the program that
//! makes them. The device's own counters, and the receiver's, are other parties' counts of the same frames.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use control::ebpf::generate::LiveFrames;
use dataplane_common::map::generate::Planned;

use super::frame::{self, Mac, ip};
use super::report::Device;
use super::script::Script;

/// How long the device may take to count what it was given.
const SETTLE: Duration = Duration::from_secs(1);

/// Sends the frames of one script in order, from the core that the caller runs on.
#[derive(Debug)]
pub struct Live {
    frames: LiveFrames,
    device: String,
    before: Device,
    _idle: Idle,
}

impl Live {
    /// Loads all frames of `script`. `to` is where each class sends; `next_hop` is the MAC address that all frames
    /// carry.
    ///
    /// # Errors
    /// No such device, a frame that is too long, or what the kernel refused (root is needed).
    pub fn open(script: &Script, to: &[SocketAddr], device: &str, next_hop: Mac) -> anyhow::Result<Self> {
        let frames = frame::plan(script, to, device, next_hop)?;
        Self::load(&frames, u32::try_from(script.cycle)?, device)
    }

    /// Loads frames that are sent as they are, again and again: UDP over IPv4, without tags and options.
    ///
    /// # Errors
    /// As [`Live::open`].
    pub fn fixed(frames: &[Vec<u8>], device: &str) -> anyhow::Result<Self> {
        let frames: Vec<_> =
            frames.iter().map(|octets| frame::as_it_is(octets, false)).collect::<anyhow::Result<_>>()?;
        Self::load(&frames, 0, device)
    }

    fn load(frames: &[Planned], cycle: u32, device: &str) -> anyhow::Result<Self> {
        let idle = Idle::new()?;
        let frames = LiveFrames::load(device, &idle.0, frames, cycle)?;
        Ok(Self { frames, device: device.to_owned(), before: Device::now(device)?, _idle: idle })
    }

    /// Sends the next `count` frames; fewer if a signal comes.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn send(&mut self, count: u64) -> anyhow::Result<()> {
        Ok(self.frames.send(u32::try_from(count)?)?)
    }

    /// Frames that were handed to the device, and those that could not be made.
    ///
    /// # Errors
    /// The program's counters cannot be read.
    pub fn counted(&self) -> anyhow::Result<(u64, u64)> {
        let cursor = self.frames.cursor()?;
        Ok((cursor.sent, cursor.failed))
    }

    /// What the kernel has counted on the device since [`Live::open`], once it has counted all that it was given.
    ///
    /// # Errors
    /// The device is gone.
    pub fn device(&self) -> anyhow::Result<Device> {
        let (sent, _) = self.counted()?;
        let until = Instant::now() + SETTLE;
        loop {
            let device = Device::now(&self.device)?.since(self.before);
            if device.packets + device.dropped >= sent || Instant::now() > until {
                return Ok(device);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A pair of virtual Ethernet devices that stay down; gone when dropped. The program is attached to one of them.
#[derive(Debug)]
struct Idle(String);

impl Idle {
    fn new() -> anyhow::Result<Self> {
        let name = format!("mrgen{}", std::process::id());
        ip(&["link", "add", &name, "type", "veth", "peer", "name", &format!("{name}p")])?;
        Ok(Self(name))
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // It goes with its peer. What fails here is that it is gone already.
        let _ = ip(&["link", "del", &self.0]);
    }
}
