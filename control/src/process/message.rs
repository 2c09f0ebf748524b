//! What the processes say to each other: one message a SEQPACKET datagram, descriptors beside it.
//!
//! In and out: [`Order`] and [`Report`] between control and dataplane, [`Word`] and [`Keep`] between keeper and
//! control. The reader believes nothing: length and descriptors are bounded, what does not parse is an error,
//! descriptors of a refused message are closed.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of these messages; both ends are one binary, so a difference means a binary replaced in mid-run.
pub const VERSION: u32 = 1;
/// Octets of the longest message.
pub const MAX_OCTETS: usize = 16 * 1024;
/// Descriptors beside one message.
pub const MAX_DESCRIPTORS: usize = 4;
/// Octets of a text in a message that are kept.
pub const MAX_TEXT: usize = 512;
/// How long a send waits for a peer that does not read.
const SEND_PATIENCE: Duration = Duration::from_secs(2);

/// From control to dataplane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Beside it: the text of the configuration and the counters page, both sealed memory.
    Start {
        /// [`VERSION`].
        version: u32,
        /// How many of the configured workers run.
        workers: u16,
    },
    /// A worker serves a socket, which stands beside it.
    Serve {
        /// Which worker, from 0.
        worker: u16,
        /// Position in the configuration's `listen`.
        listen: u16,
    },
    /// An RX queue to open rings on, one for each worker.
    Open {
        /// Name of the device.
        device: String,
        /// RX queue, from 0.
        queue: u32,
        /// Row of its rings, in which XDP counts.
        row: u32,
        /// Generic mode: frames are always copied.
        generic: bool,
        /// The only worker that gets a ring there; `None`: every worker does.
        only: Option<u16>,
    },
    /// All has been said: open, give privilege up, run.
    Begin,
    /// Answer a question on the stream beside it. Control never reads the answer: it holds what routers said.
    Ask {
        /// What is wanted.
        topic: Topic,
    },
    /// Take what still waits, complete all files, then say [`Report::Drained`].
    Drain,
}

/// What only workers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topic {
    /// Flow sessions.
    Sessions,
    /// Templates of flow sessions.
    Templates,
    /// Peers of BMP sessions.
    Peers,
    /// Routes that count.
    Rib {
        /// Of this router only.
        router: Option<IpAddr>,
        /// Of exactly this prefix only: address and length.
        prefix: Option<(IpAddr, u8)>,
    },
}

/// What passed of one exporter since the process began, as the tally beside the sinks saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExporterCounts {
    /// Source address, IPv4 as IPv4-mapped.
    pub address: [u8; 16],
    /// Worker that had its latest row.
    pub worker: u16,
    /// Flow rows.
    pub flows: u64,
    /// Flow rows whose destination was found.
    pub joined: u64,
    /// Flow rows whose destination was looked for in vain.
    pub not_joined: u64,
    /// Route rows that announce.
    pub announced: u64,
    /// Route rows that withdraw.
    pub withdrawn: u64,
    /// Rows of any other kind.
    pub messages: u64,
    /// When its latest row arrived, unix nanoseconds.
    pub last_unix_ns: u64,
}

/// Stands for every exporter beyond the limit: the unspecified address, which no packet comes from.
pub const OTHER: [u8; 16] = [0; 16];

/// Exporters in one message.
pub const EXPORTERS_A_MESSAGE: usize = 100;

/// The ledger of one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkCounts {
    /// Rows offered.
    pub offered: u64,
    /// Rows by `SinkEnd`, in the order of its number.
    pub ends: Vec<u64>,
}

/// From dataplane to control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// A ring is bound and its fill ring full; the AF_XDP socket stands beside it.
    Ring {
        /// Row that [`Order::Open`] gave.
        row: u32,
        /// Which worker.
        worker: u16,
        /// Whether the driver writes without a copy.
        zero_copy: bool,
    },
    /// No privilege is left and every worker turns.
    Running,
    /// What became of rows at the sinks, since this process began. Sent when it has changed.
    Sinks {
        /// One a sink, in the order of the configuration.
        sinks: Vec<SinkCounts>,
    },
    /// Exporters whose counts have changed, at most [`EXPORTERS_A_MESSAGE`].
    Exporters {
        /// Their counts.
        exporters: Vec<ExporterCounts>,
    },
    /// A line for the log.
    Notice {
        /// The line.
        text: String,
    },
    /// It cannot go on, and ends.
    Failed {
        /// Why.
        text: String,
    },
    /// Nothing is left to take; counters are final.
    Drained,
}

/// From keeper to control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// A descriptor that an earlier control process gave to keep, beside it.
    Kept {
        /// The name it was given under.
        name: String,
    },
    /// All kept descriptors have been handed back: begin.
    Begin {
        /// Whether an earlier control process has begun already.
        again: bool,
    },
    /// The dataplane process: our end of the pair stands beside it.
    Dataplane {
        /// Process id.
        pid: u32,
        /// How many came before it.
        generation: u32,
        /// It is at work already: an earlier control process started it.
        running: bool,
    },
    /// The dataplane process has ended.
    Ended {
        /// How, in words.
        how: String,
    },
    /// Stop everything and say [`Keep::Stopped`].
    Stop,
    /// Read the configuration again.
    Reload,
}

/// From control to keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// Hold the descriptor beside it for the next control process.
    Hold {
        /// Name under which it comes back; a second one under the same name replaces the first.
        name: String,
    },
    /// Let go of a descriptor.
    Forget {
        /// Its name.
        name: String,
    },
    /// The configuration stands: start the dataplane process, and start it again when it ends.
    Ready {
        /// Longest pause before a process that keeps ending is started again.
        restart_max_ms: u64,
    },
    /// The dataplane process works.
    Running,
    /// Everything is taken down.
    Stopped {
        /// Exit status for the shell.
        status: u8,
    },
}

/// Why nothing more can be received, or a message was refused.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other end is closed.
    #[error("the other process closed the channel")]
    Closed,
    /// The kernel refused.
    #[error("channel: {0}")]
    System(#[from] Errno),
    /// The message or its descriptors are larger than any legal one.
    #[error("a message was longer than any legal one")]
    TooLong,
    /// The octets are no message.
    #[error("a message could not be read: {0}")]
    Malformed(#[from] postcard::Error),
}

/// A message with the descriptors that came beside it, in order.
#[derive(Debug)]
pub struct Received<T> {
    /// The message.
    pub message: T,
    /// At most [`MAX_DESCRIPTORS`].
    pub descriptors: Vec<OwnedFd>,
}

/// One end of a pair.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

impl Channel {
    /// Two ends, closed on exec.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
        Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
    }

    /// An end that this process holds.
    ///
    /// # Errors
    /// When the descriptor is no socket.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        set_socket_timeout(&socket, Timeout::Send, Some(SEND_PATIENCE))?;
        Ok(Self { socket })
    }

    /// The end that the keeper left on standard input.
    ///
    /// # Errors
    /// When standard input is no socket.
    pub fn from_stdin() -> io::Result<Self> {
        Self::new(io::stdin().as_fd().try_clone_to_owned()?)
    }

    /// Sends a message with descriptors; waits at most two seconds for a peer that does not read.
    ///
    /// # Errors
    /// When the message is too long, the peer is gone or does not read.
    pub fn send(&self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let octets = postcard::to_stdvec(message)?;
        if octets.len() > MAX_OCTETS || descriptors.len() > MAX_DESCRIPTORS {
            return Err(ChannelError::TooLong);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(ChannelError::TooLong);
        }
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(&octets)], &mut beside, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed),
                sent => return Ok(sent.map(drop)?),
            }
        }
    }

    /// The next message, or `None` when none waits.
    ///
    /// # Errors
    /// When the peer is gone or sent what is no message.
    pub fn try_receive<T: DeserializeOwned>(&self) -> Result<Option<Received<T>>, ChannelError> {
        let mut octets = vec![0; MAX_OCTETS];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let got = loop {
            match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut octets)], &mut beside, flags) {
                Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                // The peer went and left something of ours unread. That is said once; what it sent before it
                // went is still here, and after that the end.
                Err(Errno::CONNRESET) => {}
                got => break got?,
            }
        };
        let mut descriptors = Vec::new();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(ChannelError::TooLong);
        }
        if got.bytes == 0 && descriptors.is_empty() {
            return Err(ChannelError::Closed);
        }
        let message = postcard::from_bytes(octets.get(..got.bytes).unwrap_or_default())?;
        Ok(Some(Received { message, descriptors }))
    }

    /// Waits for the next message, for at most `patience`.
    ///
    /// # Errors
    /// As [`Channel::try_receive`].
    pub fn receive<T: DeserializeOwned>(
        &self,
        patience: Option<Duration>,
    ) -> Result<Option<Received<T>>, ChannelError> {
        if let Some(received) = self.try_receive()? {
            return Ok(Some(received));
        }
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], patience.as_ref()) {
            Ok(0) | Err(Errno::INTR) => Ok(None),
            Ok(_) => self.try_receive(),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::os::fd::AsRawFd for Channel {
    fn as_raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

/// A text of another process as it may stand in a log: bounded, on one line, without control characters.
#[must_use]
pub fn tame(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels() -> (Channel, Channel) {
        let (a, b) = Channel::pair().unwrap();
        (Channel::new(a).unwrap(), Channel::new(b).unwrap())
    }

    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (a, b) = channels();
        let file = std::fs::File::open("/dev/null").unwrap();
        a.send(&Order::Start { version: VERSION, workers: 2 }, &[file.as_fd(), a.as_fd()]).unwrap();
        a.send(&Order::Begin, &[]).unwrap();
        let first: Received<Order> = b.try_receive().unwrap().unwrap();
        assert_eq!(
            (first.message, first.descriptors.len()),
            (Order::Start { version: VERSION, workers: 2 }, 2)
        );
        assert_eq!(b.try_receive::<Order>().unwrap().unwrap().message, Order::Begin);
        assert!(b.try_receive::<Order>().unwrap().is_none());
        drop((a, first.descriptors));
        assert!(matches!(b.receive::<Order>(None), Err(ChannelError::Closed)));
    }

    #[test]
    fn the_last_words_of_a_peer_that_left_ours_unread_are_heard() {
        let (a, b) = channels();
        b.send(&Order::Begin, &[]).unwrap();
        a.send(&Order::Drain, &[]).unwrap();
        drop(a);
        assert_eq!(b.try_receive::<Order>().unwrap().unwrap().message, Order::Drain);
        assert!(matches!(b.try_receive::<Order>(), Err(ChannelError::Closed)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let (a, b) = channels();
        for octets in [&[0xff_u8; 8][..], &[1], &vec![7; MAX_OCTETS + 1]] {
            rustix::net::send(&a.socket, octets, SendFlags::empty()).unwrap();
            assert!(b.try_receive::<Order>().is_err());
        }
        a.send(&Order::Drain, &[]).unwrap();
        assert_eq!(b.try_receive::<Order>().unwrap().unwrap().message, Order::Drain);
        let long = Report::Notice { text: "x".repeat(MAX_OCTETS) };
        assert!(matches!(a.send(&long, &[]), Err(ChannelError::TooLong)));
    }

    #[test]
    fn texts_are_tamed() {
        assert_eq!(tame("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(tame(&"y".repeat(MAX_TEXT * 2)).len(), MAX_TEXT);
    }
}
