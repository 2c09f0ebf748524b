//! Listeners of the configuration -> kernel sockets, one a listener and worker, in reuseport groups.
//!
//! ```text
//! listen ipfix [::]:4739   -> group (UDP, ::, 4739)  -> socket of worker 0, 1, ..
//! listen bmp   [::]:11019  -> group (TCP, ::, 11019) -> listener of worker 0, 1, ..
//! ```
//! A socket on `::` takes IPv4 too, unless `0.0.0.0` has a group of its own on that port: said by
//! `IPV6_V6ONLY`, never by the system's default. No socket is ever connected: that would change how the kernel
//! selects within the group. Which member gets what is SK_REUSEPORT's word; without it the kernel's own hash,
//! which does not keep a router on one worker, so then there is one worker.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};

use crate::config::{Config, Listen};

/// One kernel socket.
#[derive(Debug)]
pub struct Socket {
    /// Position in the configuration's `listen`.
    pub listen: u16,
    /// Worker that serves it.
    pub worker: u16,
    /// What it is bound to.
    pub address: SocketAddr,
    /// 17 (UDP) or 6 (TCP).
    pub protocol: u8,
    /// The socket: UDP bound, TCP listening.
    pub descriptor: OwnedFd,
}

impl Socket {
    /// The name under which the keeper holds it: of what it is, since positions change with the configuration.
    #[must_use]
    pub fn name(&self) -> String {
        name(self.protocol, self.address, self.worker)
    }
}

fn name(protocol: u8, address: SocketAddr, worker: u16) -> String {
    format!("socket/{protocol}/{address}/{worker}")
}

/// Why a socket could not be opened: one line.
#[derive(Debug, thiserror::Error)]
#[error("{protocol} {address}: {error}{hint}")]
pub struct OpenError {
    protocol: &'static str,
    address: SocketAddr,
    error: io::Error,
    hint: &'static str,
}

/// Opens every socket that the configuration asks for, except those in `kept`, which are open already: by an
/// earlier control process, or for the configuration before.
///
/// # Errors
/// The first socket that cannot be opened.
pub fn open(
    config: &Config,
    workers: u16,
    mut kept: BTreeMap<String, OwnedFd>,
) -> Result<Vec<Socket>, OpenError> {
    let mut sockets = Vec::new();
    for (position, entry) in config.listen.iter().enumerate() {
        let position = u16::try_from(position).unwrap_or(u16::MAX);
        let only_v6 = only_v6(config, entry);
        let address = SocketAddr::new(entry.address, entry.port);
        let protocol = if entry.protocol.is_stream() { 6 } else { 17 };
        for worker in 0..workers {
            let descriptor = match kept.remove(&name(protocol, address, worker)) {
                Some(descriptor) => descriptor,
                None => {
                    one(config, entry, address, only_v6).map_err(|error| refused(entry, address, error))?
                }
            };
            sockets.push(Socket { listen: position, worker, address, protocol, descriptor });
        }
    }
    Ok(sockets)
}

/// Whether IPv4 on this port has a group of its own. Said before a socket is bound, never changed after.
#[must_use]
pub fn only_v6(config: &Config, entry: &Listen) -> bool {
    entry.address.is_ipv6()
        && config.listen.iter().any(|other| {
            other.port == entry.port
                && other.protocol.is_stream() == entry.protocol.is_stream()
                && other.address == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        })
}

/// Gives sockets that are open the sizes of a configuration.
pub fn resize(config: &Config, sockets: &[Socket]) {
    for socket in sockets {
        // One that is refused works on as it was.
        if socket.protocol == 6 {
            let _ = listen(&socket.descriptor, i32::from(config.bmp.listen_backlog));
        } else {
            let _ = buffer(config, &socket.descriptor);
        }
    }
}

fn buffer(config: &Config, socket: &OwnedFd) -> Result<(), Errno> {
    let octets = config.limits.socket_buffer_bytes;
    // Beyond the system's limit with CAP_NET_ADMIN, else up to it.
    sockopt::set_socket_recv_buffer_size_force(socket, octets)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, octets))
}

fn one(config: &Config, entry: &Listen, address: SocketAddr, only_v6: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, protocol) = if entry.protocol.is_stream() {
        (SocketType::STREAM, ipproto::TCP)
    } else {
        (SocketType::DGRAM, ipproto::UDP)
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, Some(protocol))?;
    sockopt::set_socket_reuseport(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only_v6)?;
    }
    if entry.protocol.is_stream() {
        // A listener may be opened again while sessions of the one before still close.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    } else {
        buffer(config, &socket)?;
    }
    bind(socket.as_fd(), &address)?;
    if entry.protocol.is_stream() {
        listen(&socket, i32::from(config.bmp.listen_backlog))?;
    }
    Ok(socket)
}

fn refused(entry: &Listen, address: SocketAddr, error: Errno) -> OpenError {
    let hint = match error {
        Errno::ADDRINUSE => " (another program listens there: ss -lnptu shows which)",
        Errno::ADDRNOTAVAIL => " (no device has this address: ip address show)",
        Errno::ACCESS | Errno::PERM => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        _ => "",
    };
    OpenError { protocol: entry.protocol.name(), address, error: error.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &[(&str, &str, u16)]) -> Config {
        let text: String = listen
            .iter()
            .map(|(protocol, address, port)| {
                format!("[[listen]]\nprotocol = \"{protocol}\"\naddress = \"{address}\"\nport = {port}\n")
            })
            .collect();
        Config::parse(&text).unwrap()
    }

    /// A port that nothing has now.
    fn free_port() -> u16 {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn one_socket_a_listener_and_worker_and_kept_ones_are_taken_over() {
        let port = free_port();
        let config = config(&[("ipfix", "127.0.0.1", port), ("bmp", "127.0.0.1", port)]);
        let opened = open(&config, 2, BTreeMap::new()).unwrap();
        let shape: Vec<_> = opened.iter().map(|s| (s.protocol, s.listen, s.worker)).collect();
        assert_eq!(shape, [(17, 0, 0), (17, 0, 1), (6, 1, 0), (6, 1, 1)]);
        let kept = opened.into_iter().map(|s| (s.name(), s.descriptor)).collect();
        // Without reuseport a second bind would fail; these are the same sockets, not new ones.
        let again = open(&config, 2, kept).unwrap();
        let probe = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        probe.send_to(b"x", ("127.0.0.1", port)).unwrap();
        let mut octet = [0; 1];
        let got = again.iter().filter(|s| s.protocol == 17).filter(|s| {
            rustix::net::recv(&s.descriptor, &mut octet[..], rustix::net::RecvFlags::DONTWAIT).is_ok()
        });
        assert_eq!(got.count(), 1);
    }

    #[test]
    fn any_v6_takes_v4_unless_v4_has_its_own_group() {
        let port = free_port();
        let both = open(&config(&[("ipfix", "::", port)]), 1, BTreeMap::new()).unwrap();
        assert!(!sockopt::ipv6_v6only(&both[0].descriptor).unwrap());
        drop(both);
        let split = config(&[("ipfix", "::", port), ("ipfix", "0.0.0.0", port)]);
        let split = open(&split, 1, BTreeMap::new()).unwrap();
        assert!(sockopt::ipv6_v6only(&split[0].descriptor).unwrap());
    }

    #[test]
    fn a_refusal_is_one_line_with_what_to_do() {
        let port = free_port();
        let taken = std::net::UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let line =
            open(&config(&[("ipfix", "127.0.0.1", port)]), 1, BTreeMap::new()).unwrap_err().to_string();
        assert!(line.contains("another program listens there") && !line.contains('\n'), "{line}");
        drop(taken);
    }
}
