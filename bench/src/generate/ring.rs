//! A script through an AF_XDP transmit ring: the way out of a card of one's own, one system call for a batch.
//!
//! In: a script, the device and queue that send, the MAC address of the next hop. Out: frames, written one by one into
//! the ring's own memory. Needs no program on the device. The kernel counts what left it, as with live frames.
#![expect(
    unsafe_code,
    reason = "the memory of a ring is shared with the kernel; who owns a frame is told below"
)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dataplane_common::map::generate::{FRAME_CAPACITY, Planned};
use xsk_rs::config::{BindFlags, FrameSize, Interface, LibxdpFlags, QueueSize, SocketConfig, UmemConfig};
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, Socket, TxQueue, Umem};

use super::frame::{self, Mac};
use super::report::Device;
use super::script::Script;

/// Frames in flight, at most.
const FRAMES: u32 = 2_048;
/// Frames of a batch.
const BATCH: usize = 64;
/// How long the kernel may take to send what it was given.
const SETTLE: Duration = Duration::from_secs(2);

/// Sends the frames of one script in order.
#[derive(Debug)]
pub struct Ring<'a> {
    script: &'a Script,
    frames: Vec<Planned>,
    memory: Umem,
    transmit: TxQueue,
    completed: CompQueue,
    /// Frames that are ours: each is either here or with the kernel.
    free: Vec<FrameDesc>,
    octets: Box<[u8; FRAME_CAPACITY]>,
    sent: u64,
    device: String,
    before: Device,
    /// The other half of the socket; it has to stay.
    _receive: (RxQueue, FillQueue),
}

impl<'a> Ring<'a> {
    /// Opens a socket on a queue of `device`. `to` is where each class sends; `next_hop` is the MAC address that all
    /// frames carry.
    ///
    /// # Errors
    /// No such device or queue, a frame that is too long, or what the kernel refused (root is needed).
    pub fn open(
        script: &'a Script,
        to: &[SocketAddr],
        device: &str,
        queue: u32,
        next_hop: Mac,
    ) -> anyhow::Result<Self> {
        let frames = frame::plan(script, to, device, next_hop)?;
        let size = |entries| QueueSize::new(entries).context("ring size");
        let memory = UmemConfig::builder()
            .frame_size(FrameSize::new(2_048)?)
            .comp_queue_size(size(FRAMES)?)
            .build()?;
        let (memory, free) = Umem::new(memory, FRAMES.try_into()?, false).context("memory of the ring")?;
        let config = SocketConfig::builder()
            .tx_queue_size(size(FRAMES)?)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(BindFlags::XDP_USE_NEED_WAKEUP)
            .build();
        let interface: Interface = device.parse().with_context(|| format!("{device} is not a device"))?;
        // SAFETY: the memory lives as long as the socket, which holds a handle of it, and is bound to nothing else.
        let socket = unsafe { Socket::new(config, &memory, &interface, queue) };
        let (transmit, receive, pool) =
            socket.with_context(|| format!("AF_XDP socket on {device} queue {queue}"))?;
        let (fill, completed) = pool.context("the socket has no completion ring")?;
        Ok(Self {
            script,
            frames,
            memory,
            transmit,
            completed,
            free,
            octets: Box::new([0; FRAME_CAPACITY]),
            sent: 0,
            device: device.to_owned(),
            before: Device::now(device)?,
            _receive: (receive, fill),
        })
    }

    /// Frames that were handed to the ring.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends the next `count` frames. Waits for frames that the kernel still has.
    ///
    /// # Errors
    /// What the kernel said, or that it keeps frames for ever.
    pub fn send(&mut self, count: u64) -> anyhow::Result<()> {
        let mut left = count;
        while left > 0 {
            self.reclaim(1)?;
            let batch = usize::try_from(left).unwrap_or(BATCH).min(BATCH).min(self.free.len());
            let first = self.free.len() - batch;
            for nth in 0..batch {
                let (at, round) = self.script.at(self.sent + nth as u64);
                let length = frame::write(&self.frames[at], round, &mut self.octets[..]);
                // SAFETY: the frame belongs to this memory, and is ours as long as it is in `free`.
                let mut place = unsafe { self.memory.data_mut(&mut self.free[first + nth]) };
                let mut cursor = place.cursor();
                cursor.set_pos(0);
                cursor.write_all(&self.octets[..length])?;
            }
            // SAFETY: the frames belong to this memory and leave `free` with this call: they are the kernel's now.
            let given = unsafe { self.transmit.produce(&self.free[first..]) };
            ensure!(given == batch, "the ring has less room than frames");
            self.free.truncate(first);
            self.wake()?;
            self.sent += batch as u64;
            left -= batch as u64;
        }
        Ok(())
    }

    /// What the kernel has counted on the device since [`Ring::open`], once it has sent all that it was given.
    ///
    /// # Errors
    /// The device is gone, or keeps frames.
    pub fn device(&mut self) -> anyhow::Result<Device> {
        self.reclaim(FRAMES as usize)?;
        Ok(Device::now(&self.device)?.since(self.before))
    }

    /// Takes back what was sent, until `wanted` frames are ours.
    fn reclaim(&mut self, wanted: usize) -> anyhow::Result<()> {
        let until = Instant::now() + SETTLE;
        let mut batch = [FrameDesc::default(); BATCH];
        loop {
            // SAFETY: the frames in this ring are of this memory; the kernel has given them up.
            let count = unsafe { self.completed.consume(&mut batch) };
            self.free.extend_from_slice(&batch[..count]);
            if self.free.len() >= wanted && count < BATCH {
                return Ok(());
            }
            if count == 0 {
                ensure!(Instant::now() < until, "{} does not send what the ring holds", self.device);
                self.wake()?;
            }
        }
    }

    fn wake(&self) -> anyhow::Result<()> {
        // The driver may be busy for the moment (xsk-rs takes EAGAIN, EBUSY, ENOBUFS and ENETDOWN for that).
        self.transmit.wakeup().with_context(|| format!("cannot send on {}", self.device))
    }
}
