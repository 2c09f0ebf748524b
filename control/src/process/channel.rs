//! One end of a pair of SEQPACKET sockets: one message a datagram, descriptors beside it.
//!
//! The reader believes nothing: length and descriptors are bounded, what does not parse is an error, descriptors
//! of a refused message are closed.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Octets of the longest message.
pub const MAX_OCTETS: usize = 16 * 1024;
/// Descriptors beside one message.
pub const MAX_DESCRIPTORS: usize = super::message::STREAMS_A_MESSAGE;
/// How long a send waits for a peer that does not read.
const SEND_PATIENCE: Duration = Duration::from_secs(2);

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

#[cfg(test)]
mod tests {
    use super::super::message::{Order, Report, VERSION};
    use super::*;

    fn channels() -> (Channel, Channel) {
        let (a, b) = Channel::pair().unwrap();
        (Channel::new(a).unwrap(), Channel::new(b).unwrap())
    }

    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (a, b) = channels();
        let file = std::fs::File::open("/dev/null").unwrap();
        a.send(
            &Order::Start { version: VERSION, workers: 2, sinks: vec![0], key: None },
            &[file.as_fd(), a.as_fd()],
        )
        .unwrap();
        a.send(&Order::Begin, &[]).unwrap();
        let first: Received<Order> = b.try_receive().unwrap().unwrap();
        assert_eq!(
            (first.message, first.descriptors.len()),
            (Order::Start { version: VERSION, workers: 2, sinks: vec![0], key: None }, 2)
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
}
