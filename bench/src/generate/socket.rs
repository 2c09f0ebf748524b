//! Datagrams of a script through UDP sockets of this network namespace, one a source address.
//!
//! In: a script. Out: datagrams, one system call each: fast sending is what live frames
//! are for. The kernel routes them, so every source address must be one of
//! this namespace's own.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::script::{Item, Script};

/// Wanted octets of a socket's send buffer.
const SEND_BUFFER: usize = 4 << 20;
/// Descriptors that are not sockets of sources.
const OTHER_DESCRIPTORS: u64 = 64;

/// Sends the datagrams of one script in order.
#[derive(Debug)]
pub struct Sockets<'a> {
    script: &'a Script,
    to: Vec<SocketAddr>,
    sockets: HashMap<SocketAddr, UdpSocket>,
    payload: Vec<u8>,
    sent: u64,
}

impl<'a> Sockets<'a> {
    /// Opens a socket for every source; `to` is where each class sends.
    ///
    /// # Errors
    /// A source that is not an address of this namespace.
    pub fn open(script: &'a Script, to: Vec<SocketAddr>) -> anyhow::Result<Self> {
        let mut sources: Vec<SocketAddr> = script.items.iter().map(|item| item.source).collect();
        sources.sort_unstable();
        sources.dedup();
        allow(sources.len() as u64)?;
        let mut sockets = HashMap::with_capacity(sources.len());
        for source in sources {
            let socket = UdpSocket::bind(source).with_context(|| {
                format!(
                    "cannot send from {source}: give it to this host or namespace (ip route add local \
                     {}/32 dev lo) or choose --source",
                    source.ip()
                )
            })?;
            set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
            sockets.insert(source, socket);
        }
        Ok(Self { script, to, sockets, payload: Vec::new(), sent: 0 })
    }

    /// Datagrams that the kernel has taken.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends the next `count` datagrams. Waits for room in the send buffers.
    ///
    /// # Errors
    /// What the kernel said of the first that it did not take; those before are counted.
    pub fn send(&mut self, count: u64) -> anyhow::Result<()> {
        for _ in 0..count {
            let (nth, round) = self.script.at(self.sent);
            let item = &self.script.items[nth];
            self.payload.clear();
            self.payload.extend_from_slice(&item.octets);
            Item::turn(&item.words, &mut self.payload, round);
            let (socket, to) = (&self.sockets[&item.source], self.to[item.class]);
            while let Err(error) = socket.send_to(&self.payload, to) {
                let again = [ErrorKind::Interrupted, ErrorKind::WouldBlock].contains(&error.kind())
                    || error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error());
                if !again {
                    return Err(error).with_context(|| format!("cannot send from {} to {to}", item.source));
                }
                std::thread::yield_now();
            }
            self.sent += 1;
        }
        Ok(())
    }
}

/// Raises the limit of open files, as far as the hard limit allows.
fn allow(sockets: u64) -> anyhow::Result<()> {
    let needed = sockets + OTHER_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
            .with_context(|| format!("{needed} open files are needed, one a source (ulimit -n {needed})"))?;
    }
    Ok(())
}
