//! One question, answered at once: a link by its index.
//!
//! Of the network namespace of the calling thread, whatever `/sys` is mounted there. Without a runtime.

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::KernelError;

/// A link with all its attributes.
///
/// # Errors
/// When there is no link of that index or the kernel does not answer.
pub fn link(index: u32) -> Result<LinkMessage, KernelError> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    match answer(RouteNetlinkMessage::GetLink(link))? {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(link),
        NetlinkPayload::Error(error) => Err(KernelError::Answer(error.to_string())),
        other => Err(KernelError::Answer(format!("unexpected answer {other:?}"))),
    }
}

/// Packets that the kernel counted as received on a link since it was made: `rx_packets` of
/// `struct rtnl_link_stats64`.
///
/// # Errors
/// As [`link`].
pub fn received(index: u32) -> Result<u64, KernelError> {
    let link = link(index)?;
    let counted = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some(stats.rx_packets),
        _ => None,
    });
    counted.ok_or_else(|| KernelError::Answer("a link without statistics".into()))
}

fn answer(message: RouteNetlinkMessage) -> Result<NetlinkPayload<RouteNetlinkMessage>, KernelError> {
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(KernelError::Open)?;
    socket.bind_auto().map_err(KernelError::Open)?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(KernelError::Open)?;
    let mut request = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
    request.header.flags = NLM_F_REQUEST;
    request.finalize();
    let mut octets = vec![0; request.buffer_len()];
    request.serialize(&mut octets);
    socket.send(&octets, 0).map_err(KernelError::Open)?;
    let (answer, _) = socket.recv_from_full().map_err(KernelError::Open)?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|error| KernelError::Answer(error.to_string()))?;
    Ok(answer.payload)
}
