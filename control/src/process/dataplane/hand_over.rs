//! What the workers of this process leave -> control; what those before left -> the workers of this one.
//!
//! Control passes it on unread. Where something is damaged the sessions in it end, and the routers connect again.

use std::os::fd::{AsFd as _, OwnedFd};

use dataplane::datagram::DatagramSocket;
use dataplane::worker::Remains;

use super::orders::Part;
use crate::process::channel::{Channel, ChannelError};
use crate::process::message::{Report, STREAMS_A_MESSAGE};
use crate::process::remains;

/// What one worker starts with.
pub(super) struct Taken {
    pub(super) datagrams: Vec<DatagramSocket>,
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) remains: Remains,
}

/// Reads what was left, then says [`Report::Adopted`]: until then another process could take it, from then on none.
pub(super) fn take(channel: &Channel, parts: Vec<Part>) -> Result<Vec<Taken>, ChannelError> {
    let mut all = Vec::new();
    for (n, Part { datagrams, listeners, remains: file, streams }) in parts.into_iter().enumerate() {
        let read = file.map(|file| remains::read(file, streams)).transpose();
        let remains = match read {
            Ok(remains) => remains.unwrap_or_default(),
            Err(error) => {
                let text = format!("worker {n} begins empty, what was left for it cannot be read: {error}");
                channel.send(&Report::Notice { text }, &[])?;
                Remains::default()
            }
        };
        all.push(Taken { datagrams, listeners, remains });
    }
    channel.send(&Report::Adopted, &[])?;
    Ok(all)
}

/// Hands over what each worker left. What cannot be handed over ends with this process, and is said.
pub(super) fn give(channel: &Channel, left: Vec<Remains>) -> Result<(), ChannelError> {
    for (worker, Remains { routers, streams, .. }) in (0_u16..).zip(left) {
        let file = match remains::write(routers, &streams) {
            Ok(file) => file,
            Err(error) => {
                let text = format!("what worker {worker} knew is lost, its sessions end: {error}");
                channel.send(&Report::Notice { text }, &[])?;
                continue;
            }
        };
        channel.send(&Report::Remains { worker }, &[file.as_fd()])?;
        for streams in streams.chunks(STREAMS_A_MESSAGE) {
            let names = streams.iter().map(|stream| stream.name.0).collect();
            let sockets: Vec<_> = streams.iter().map(|stream| stream.socket.as_fd()).collect();
            channel.send(&Report::Hold { worker, streams: names }, &sockets)?;
        }
    }
    Ok(())
}
