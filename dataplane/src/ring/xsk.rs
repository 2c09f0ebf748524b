//! The fence around xsk-rs: in come a device, a queue and numbers, out come rings, frames and octets. No type
//! of xsk-rs leaves this file, and nothing here knows what the octets mean.
//!
//! What makes the `unsafe` calls sound is the ownership of frames: a descriptor reaches user space by one
//! receive ring, is read only until [`Receive::take`] turns it into a [`Frame`], and that value, which cannot be
//! copied, is the only way back into the fill ring.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;
use xsk_rs::config::{BindFlags, FrameSize, Interface, LibxdpFlags, QueueSize, SocketConfig, UmemConfig};
use xsk_rs::{FillQueue, FrameDesc, RxQueue, Socket, Umem};

use super::frames::{Fill, Frame};
use crate::settings::{BATCH, Copy, RingSettings};

/// What the kernel says of one socket (`XDP_STATISTICS`), since it was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStatistics {
    /// Frames for which no frame of memory was free. XDP keeps longer frames away, the only other reason.
    pub rx_dropped: u64,
    /// Frames that found the receive ring full.
    pub rx_ring_full: u64,
    /// Times the fill ring was found empty, over all sockets of the queue; contained in their `rx_dropped`.
    pub rx_fill_ring_empty: u64,
}

/// Why a queue could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting outside its range; holds its name.
    #[error("ring setting {0} is out of range")]
    Setting(&'static str),
    /// The memory of the queue: huge pages or not, locked memory (CAP_IPC_LOCK), or AF_XDP itself.
    #[error("memory of {frames} frames of {frame_size_bytes} octets: {source}")]
    Memory {
        /// Frames asked for.
        frames: u32,
        /// Octets of each.
        frame_size_bytes: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket: device or queue do not exist, the queue is busy, CAP_NET_RAW is missing.
    #[error("AF_XDP socket on {device} queue {queue}: {source}")]
    Socket {
        /// The device's name.
        device: Box<str>,
        /// The RX queue.
        queue: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

/// All that one RX queue has in user space.
pub(super) struct Opened {
    pub(super) fill: FillRing,
    /// One a worker.
    pub(super) receive: Vec<Receive>,
    pub(super) frames: u32,
    /// What the kernel said to huge pages, if it was not yes.
    pub(super) huge_pages_refused: Option<io::Error>,
}

/// Makes the memory of one queue and binds `sockets` sockets to it. Nothing arrives before the caller puts a
/// socket into the XSKMAP; the fill ring must be full by then.
pub(super) fn open(
    device: &str,
    queue: u32,
    sockets: u32,
    settings: &RingSettings,
) -> Result<Opened, OpenError> {
    settings.check().map_err(OpenError::Setting)?;
    let frames = settings.frames(sockets);
    let (umem, descriptors, huge_pages_refused) = memory(frames, settings)?;
    let origin: Arc<[FrameDesc]> = descriptors.into();
    let interface: Interface =
        device.parse().map_err(|_| socket_error(device, queue, &Errno::INVAL.into()))?;
    let mut fill = None;
    let mut receive = Vec::with_capacity(sockets as usize);
    for _ in 0..sockets {
        let (queue_of_socket, fill_of_pool) = bind(&umem, &interface, device, queue, settings)?;
        // Only the first socket of a pool is given the fill ring.
        fill = fill.or(fill_of_pool);
        receive.push(Receive {
            queue: queue_of_socket,
            umem: umem.clone(),
            batch: [FrameDesc::default(); BATCH],
            len: 0,
            frame_size: settings.frame_size_bytes as usize,
        });
    }
    let fill = fill.ok_or_else(|| socket_error(device, queue, &io::Error::other("no fill ring")))?;
    Ok(Opened { fill: FillRing { queue: fill, origin }, receive, frames, huge_pages_refused })
}

type Memory = (Umem, Vec<FrameDesc>, Option<io::Error>);

fn memory(frames: u32, settings: &RingSettings) -> Result<Memory, OpenError> {
    let refused = |source| OpenError::Memory { frames, frame_size_bytes: settings.frame_size_bytes, source };
    let invalid = || refused(Errno::INVAL.into());
    let config = UmemConfig::builder()
        .frame_size(FrameSize::new(settings.frame_size_bytes).map_err(|_| invalid())?)
        // As many entries as frames: a refill always finds room.
        .fill_queue_size(QueueSize::new(frames.next_power_of_two()).map_err(|_| invalid())?)
        .comp_queue_size(QueueSize::new(64).map_err(|_| invalid())?)
        .build()
        .map_err(|_| invalid())?;
    let count = NonZeroU32::new(frames).ok_or_else(invalid)?;
    let mut first_error = None;
    if settings.huge_pages {
        match Umem::new(config, count, true) {
            Ok((umem, descriptors)) => return Ok((umem, descriptors, None)),
            Err(error) => first_error = Some(kernel_error(&error)),
        }
    }
    match Umem::new(config, count, false) {
        Ok((umem, descriptors)) => Ok((umem, descriptors, first_error)),
        Err(error) => Err(refused(kernel_error(&error))),
    }
}

fn bind(
    umem: &Umem,
    interface: &Interface,
    device: &str,
    queue: u32,
    settings: &RingSettings,
) -> Result<(RxQueue, Option<FillQueue>), OpenError> {
    let size = |n| QueueSize::new(n).map_err(|_| socket_error(device, queue, &Errno::INVAL.into()));
    let copy = match settings.copy {
        Copy::Auto => BindFlags::empty(),
        Copy::Always => BindFlags::XDP_COPY,
        Copy::Never => BindFlags::XDP_ZEROCOPY,
    };
    let config = SocketConfig::builder()
        .rx_queue_size(size(settings.ring_frames)?)
        .tx_queue_size(size(64)?)
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .bind_flags(BindFlags::XDP_USE_NEED_WAKEUP | copy)
        .build();
    // The kernel takes a closed socket off its queue some time after close().
    let mut tries = 1 + settings.rebind_ms / REBIND_STEP_MS;
    loop {
        // SAFETY: the memory outlives the socket (the socket holds a handle of it), and `umem` is bound to no
        // other (device, queue) than this one, so no other fill ring hands out its frames.
        let made = unsafe { Socket::new(config, umem, interface, queue) };
        match made {
            Ok((_transmit, receive, pool)) => return Ok((receive, pool.map(|(fill, _completion)| fill))),
            Err(error) => {
                let error = kernel_error(&error);
                tries -= 1;
                if error.raw_os_error() != Some(Errno::BUSY.raw_os_error()) || tries == 0 {
                    return Err(socket_error(device, queue, &error));
                }
                pause(REBIND_STEP_MS);
            }
        }
    }
}

const REBIND_STEP_MS: u32 = 50;

#[expect(
    clippy::disallowed_methods,
    reason = "set-up waits for the kernel; no worker is running on this thread"
)]
fn pause(ms: u32) {
    std::thread::sleep(std::time::Duration::from_millis(u64::from(ms)));
}

/// The kernel's word behind an error of xsk-rs.
fn kernel_error(error: &dyn std::error::Error) -> io::Error {
    match error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
    {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(error.to_string()),
    }
}

fn socket_error(device: &str, queue: u32, source: &io::Error) -> OpenError {
    let source = match source.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(source.to_string()),
    };
    OpenError::Socket { device: device.into(), queue, source }
}

/// The fill ring of one queue's memory. One a queue.
#[derive(Debug)]
pub(crate) struct FillRing {
    queue: FillQueue,
    /// The descriptor of each frame, as the memory was made with.
    origin: Arc<[FrameDesc]>,
}

impl FillRing {
    /// Whether the driver sleeps until it is called (need_wakeup).
    pub(super) fn needs_wakeup(&self) -> bool {
        self.queue.needs_wakeup()
    }
}

impl Fill for FillRing {
    fn room(&mut self) -> usize {
        self.queue.nb_free_exact() as usize
    }

    fn produce(&mut self, frames: &mut Vec<Frame>, n: usize) {
        let mut left = n.min(frames.len());
        let mut chunk = [FrameDesc::default(); BATCH];
        while left > 0 {
            let n = left.min(BATCH);
            let from = frames.len() - n;
            let mut filled = 0;
            for (frame, slot) in frames.drain(from..).zip(&mut chunk) {
                let Some(descriptor) = self.origin.get(frame.0 as usize) else {
                    unreachable!("a frame's number is below the count it was made with")
                };
                *slot = *descriptor;
                filled += 1;
            }
            let descriptors = chunk.get(..filled).unwrap_or_default();
            // SAFETY: each descriptor comes from a `Frame` that was just given up: its only owner was user
            // space, no descriptor or slice of it is left (`Receive::take`), and it belongs to this memory.
            let produced = unsafe { self.queue.produce(descriptors) };
            debug_assert_eq!(produced, filled, "the caller asked for no more than there is room");
            left -= n;
        }
    }
}

/// One socket's receive ring and the batch that was last taken from it.
#[derive(Debug)]
pub(crate) struct Receive {
    queue: RxQueue,
    umem: Umem,
    batch: [FrameDesc; BATCH],
    /// Descriptors of `batch` that are ours, counted from the front; those already given up included.
    len: usize,
    frame_size: usize,
}

impl Receive {
    /// Takes up to [`BATCH`] frames from the ring in place of those of the last batch, all of which must have
    /// been taken. Returns how many.
    pub(super) fn consume(&mut self) -> usize {
        // SAFETY: this memory is the one that the socket was made with, as the descriptors are used only here.
        self.len = unsafe { self.queue.consume(&mut self.batch) };
        self.len
    }

    /// The octets of frame `at` of the batch.
    pub(super) fn octets(&self, at: usize) -> &[u8] {
        match self.batch.get(..self.len).and_then(|batch| batch.get(at)) {
            // SAFETY: the descriptor came from this socket's ring and its frame is not yet given up: the kernel
            // has written it before it published the descriptor and does not touch it until it is refilled.
            // The borrow of `self` ends before `take` can give it up.
            Some(descriptor) => unsafe { self.umem.data(descriptor) }.contents(),
            None => &[],
        }
    }

    /// Gives frame `at` of the batch up for refilling.
    pub(super) fn take(&mut self, at: usize) -> Option<Frame> {
        let descriptor = self.batch.get_mut(..self.len)?.get_mut(at)?;
        let frame = u32::try_from(descriptor.addr() / self.frame_size).ok()?;
        // What is left in its place is an empty frame, so no slice of the frame can be made from now on.
        *descriptor = FrameDesc::default();
        Some(Frame(frame))
    }

    /// Calls the driver, if it sleeps.
    pub(super) fn wake(&mut self) {
        // An error here is the driver's business (ENETDOWN, EBUSY): the next turn calls again.
        let _ = self.queue.poll(0);
    }

    /// What the kernel counted for this socket.
    pub(super) fn statistics(&self) -> io::Result<RingStatistics> {
        let told = self.queue.fd().xdp_statistics()?;
        Ok(RingStatistics {
            rx_dropped: told.rx_dropped(),
            rx_ring_full: told.rx_ring_full(),
            rx_fill_ring_empty: told.rx_fill_ring_empty_descs(),
        })
    }

    /// The socket, for the XSKMAP and for polling.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the queue, which `self` owns.
        unsafe { BorrowedFd::borrow_raw(self.queue.fd().as_raw_fd()) }
    }
}
