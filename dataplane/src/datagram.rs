//! Kernel UDP sockets: fragments the stack put together, frames that missed their ring, everything in socket
//! mode. Batches of datagrams into buffers made once -> `Input::Datagram`; drops of the kernel -> counts.
//!
//! The local port chooses the protocol, so `to` is the address the socket is bound to.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use collector::Input;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

use crate::memory::{Buffer, socket_drops};
use crate::poll::{Poll, Ready};
use crate::settings::WorkerSettings;
use crate::source::Source;

/// Datagrams of one system call. With the largest datagram this makes 2 MiB: one huge page.
const CALL: usize = 32;
/// Room for any datagram: 65,535 less the headers.
const ROOM: usize = 1 << 16;

/// All UDP sockets of one worker.
#[derive(Debug)]
pub(crate) struct Datagrams {
    sockets: Vec<Socket>,
    /// Sockets that the last look found ready.
    ready: Vec<u32>,
    octets: Buffer,
    /// The batch under way: (from, octets) of each datagram, in the order of the buffers.
    heads: [(SocketAddr, usize); CALL],
    next: usize,
    len: usize,
    to: SocketAddr,
}

#[derive(Debug)]
struct Socket {
    /// Where it is counted.
    place: u16,
    socket: OwnedFd,
    to: SocketAddr,
    headers: MultiHeaders<SockaddrStorage>,
    received: u64,
}

/// A bound UDP socket, and where it is counted.
#[derive(Debug)]
pub struct DatagramSocket {
    /// Its position among the `sockets` of the counters' layout: the same for every worker that ever reads it, and
    /// no other socket's.
    pub place: u16,
    /// The socket.
    pub socket: OwnedFd,
}

/// What one socket has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketState {
    /// Which of the page's sockets it is.
    pub(crate) place: u16,
    /// Datagrams given to the collector.
    pub(crate) received: u64,
    /// The kernel's own count of drops, modulo 2^32, since the socket was made.
    pub(crate) kernel_drops: u32,
}

impl Datagrams {
    pub(crate) fn new() -> Self {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self {
            sockets: Vec::new(),
            ready: Vec::new(),
            octets: Buffer::new(CALL * ROOM),
            heads: [(nobody, 0); CALL],
            next: 0,
            len: 0,
            to: nobody,
        }
    }

    /// Takes a bound socket over. Its receive buffer is made larger where that is allowed, never smaller.
    pub(crate) fn add(
        &mut self,
        DatagramSocket { place, socket }: DatagramSocket,
        poll: &Poll,
        settings: &WorkerSettings,
    ) -> io::Result<()> {
        let to = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        enlarge(&socket, settings.socket_buffer_bytes);
        let number = u32::try_from(self.sockets.len()).unwrap_or(u32::MAX);
        poll.add(&socket, Ready::Datagrams(number))?;
        let headers = MultiHeaders::preallocate(CALL, None);
        self.sockets.push(Socket { place, socket, to: canonical(to), headers, received: 0 });
        self.ready.reserve(self.sockets.len());
        Ok(())
    }

    /// A look found socket `number` ready.
    pub(crate) fn ready(&mut self, number: u32) {
        if !self.ready.contains(&number) {
            self.ready.push(number);
        }
    }

    /// Whether a batch is still under way or a socket still to be read.
    pub(crate) fn pending(&self) -> bool {
        self.next < self.len || !self.ready.is_empty()
    }

    /// Datagrams that were read and not given yet.
    pub(crate) const fn left(&self) -> usize {
        self.len - self.next
    }

    /// What each socket has seen, in the order in which they were added.
    pub(crate) fn states(&self) -> impl Iterator<Item = io::Result<SocketState>> + '_ {
        self.sockets.iter().map(|socket| {
            let kernel_drops = socket_drops(&socket.socket)?;
            Ok(SocketState { place: socket.place, received: socket.received, kernel_drops })
        })
    }

    /// One system call's worth of datagrams from the next ready socket.
    fn fetch(&mut self) {
        (self.next, self.len) = (0, 0);
        while self.len == 0 {
            let Some(&number) = self.ready.last() else { return };
            let Some(socket) = self.sockets.get_mut(number as usize) else {
                self.ready.pop();
                continue;
            };
            let mut rooms = self.octets.chunks_mut(ROOM);
            let mut slices: [[IoSliceMut<'_>; 1]; CALL] =
                std::array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
            let flags = MsgFlags::MSG_DONTWAIT;
            // An error has no datagram with it (EAGAIN: none there; ECONNREFUSED: an ICMP of somebody else's).
            if let Ok(batch) =
                recvmmsg(socket.socket.as_raw_fd(), &mut socket.headers, slices.iter_mut(), flags, None)
            {
                for (message, head) in batch.zip(&mut self.heads) {
                    *head = (sender(message.address), message.bytes);
                    self.len += 1;
                }
            }
            self.to = socket.to;
            socket.received += self.len as u64;
            // A full batch: there may be more, so it stays ready.
            if self.len < CALL {
                self.ready.pop();
            }
        }
    }
}

impl Source for Datagrams {
    fn receive(&mut self, budget: u32, mut each: impl FnMut(Input<'_>) -> usize) -> u32 {
        let mut given = 0;
        while given < budget {
            if self.next == self.len {
                self.fetch();
            }
            let Some(&(from, len)) = self.heads.get(..self.len).and_then(|heads| heads.get(self.next)) else {
                break;
            };
            let start = self.next * ROOM;
            let payload = self.octets.get(start..start + len.min(ROOM)).unwrap_or_default();
            each(Input::Datagram { from, to: self.to, payload });
            self.next += 1;
            given += 1;
        }
        given
    }

    fn recycle(&mut self) {}

    fn skip(&mut self) {
        if self.next < self.len {
            self.next += 1;
        }
    }
}

fn sender(address: Option<SockaddrStorage>) -> SocketAddr {
    let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let Some(address) = address else { return nobody };
    if let Some(&address) = address.as_sockaddr_in() {
        return SocketAddr::V4(address.into());
    }
    address.as_sockaddr_in6().map_or(nobody, |&address| canonical(SocketAddr::V6(address.into())))
}

/// IPv4 seen through an IPv6 socket is IPv4, as in a frame.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Makes a socket's receive buffer larger, beyond `net.core.rmem_max` where that is allowed (CAP_NET_ADMIN).
pub(crate) fn enlarge(socket: impl AsFd, bytes: usize) {
    use rustix::net::sockopt;
    let socket = socket.as_fd();
    // The kernel keeps twice what it is asked for.
    let has = sockopt::socket_recv_buffer_size(socket).unwrap_or(0) / 2;
    if has < bytes && sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_err() {
        // Cut to rmem_max: as much as this process is allowed.
        let _ = sockopt::set_socket_recv_buffer_size(socket, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn collect(
        datagrams: &mut Datagrams,
        poll: &Poll,
        budget: u32,
    ) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut found = Vec::new();
        poll.wait(1_000_000_000, |ready| {
            if let Ready::Datagrams(number) = ready {
                datagrams.ready(number);
            }
        });
        datagrams.receive(budget, |input| {
            let Input::Datagram { from, to, payload } = input else { panic!("not a datagram") };
            found.push((from, to, payload.to_vec()));
            payload.len()
        });
        found
    }

    #[test]
    fn datagrams_of_both_families_come_with_their_addresses() {
        let poll = Poll::new().unwrap();
        let mut datagrams = Datagrams::new();
        let sockets = ["127.0.0.1:0", "[::1]:0", "[::]:0"].map(|address| UdpSocket::bind(address).unwrap());
        let ports = sockets.each_ref().map(|socket| socket.local_addr().unwrap().port());
        for socket in sockets {
            datagrams
                .add(DatagramSocket { place: 0, socket: socket.into() }, &poll, &WorkerSettings::default())
                .unwrap();
        }
        let four = UdpSocket::bind("127.0.0.1:0").unwrap();
        let six = UdpSocket::bind("[::1]:0").unwrap();
        four.send_to(b"a", ("127.0.0.1", ports[0])).unwrap();
        six.send_to(b"bb", ("::1", ports[1])).unwrap();
        four.send_to(b"", ("127.0.0.1", ports[2])).unwrap();
        let mut found = collect(&mut datagrams, &poll, 64);
        found.sort_by_key(|(_, _, payload)| payload.len());
        let seen =
            found.iter().map(|(from, to, payload)| (*from, to.port(), &payload[..])).collect::<Vec<_>>();
        let (four, six) = (four.local_addr().unwrap(), six.local_addr().unwrap());
        assert_eq!(seen, [(four, ports[2], &b""[..]), (four, ports[0], b"a"), (six, ports[1], b"bb")]);
    }

    #[test]
    fn a_batch_outlasts_budget_and_skip_and_the_largest_datagram_is_whole() {
        let poll = Poll::new().unwrap();
        let mut datagrams = Datagrams::new();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let socket = DatagramSocket { place: 3, socket: socket.into() };
        datagrams.add(socket, &poll, &WorkerSettings::default()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..100u8 {
            sender.send_to(&[number], to).unwrap();
        }
        sender.send_to(&[9; 65_507], to).unwrap();
        let first = collect(&mut datagrams, &poll, 10);
        assert_eq!(first.len(), 10);
        datagrams.skip();
        assert!(datagrams.pending());
        let rest = collect(&mut datagrams, &poll, 1000);
        assert_eq!(rest.len(), 90);
        assert_eq!(rest[0].2, [11]);
        assert_eq!(rest[89].2.len(), 65_507);
        let state = datagrams.states().next().unwrap().unwrap();
        assert_eq!(state, SocketState { place: 3, received: 101, kernel_drops: 0 });
    }
}
