//! A [`Channel`] inside an event loop.

use std::os::fd::BorrowedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::channel::{Channel, ChannelError, Received};

/// One end of a pair, waited for without blocking.
#[derive(Debug)]
pub(crate) struct AsyncChannel {
    channel: AsyncFd<Channel>,
}

impl AsyncChannel {
    #[expect(
        deprecated,
        reason = "the socket is owned here and never changes its number; the newer constructor is unsafe"
    )]
    pub(crate) fn new(channel: Channel) -> std::io::Result<Self> {
        Ok(Self { channel: AsyncFd::with_interest(channel, Interest::READABLE)? })
    }

    /// The next message. May be dropped at any time without losing one.
    pub(crate) async fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, ChannelError> {
        loop {
            let mut ready =
                self.channel.readable().await.map_err(|error| {
                    rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO)
                })?;
            match self.channel.get_ref().try_receive()? {
                Some(received) => return Ok(received),
                None => ready.clear_ready(),
            }
        }
    }

    /// The next message, if one waits.
    pub(crate) fn try_receive<T: DeserializeOwned>(&self) -> Option<Received<T>> {
        self.channel.get_ref().try_receive().ok().flatten()
    }

    pub(crate) fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        self.channel.get_ref().send(message, descriptors)
    }
}
