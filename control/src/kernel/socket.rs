//! Octets of netlink -> messages; dumps, asked for and read in one go.
//!
//! A message that cannot be read is left out: kernels newer than this version add to them. `rtnetlink`'s connection
//! keeps to itself that events were dropped (`ENOBUFS`) and that a dump was interrupted; both must be known here, so
//! dumps and events are read from a socket of our own, and only changes go through it.

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::KernelError;

/// `NLM_F_DUMP_INTR` of `linux/netlink.h`: something changed while the kernel was writing the dump.
const DUMP_INTERRUPTED: u16 = 0x10;
/// How often an interrupted dump is begun anew before what it said is taken; events mend the rest.
const TRIES: u32 = 5;

/// Each message in `octets`, as long as their lengths make sense; `None`: it cannot be read.
pub(super) fn messages<M: NetlinkDeserializable>(
    octets: &[u8],
) -> impl Iterator<Item = Option<NetlinkMessage<M>>> {
    let mut rest = octets;
    std::iter::from_fn(move || {
        let length = NetlinkBuffer::new_checked(rest).ok()?.length() as usize;
        let (message, after) = rest.split_at_checked(length)?;
        // Messages begin at multiples of four.
        rest = after.get(length.next_multiple_of(4) - length..).unwrap_or_default();
        Some(NetlinkMessage::deserialize(message).ok())
    })
}

/// Asks for a dump and returns what the kernel has.
///
/// # Errors
/// When the kernel refuses or does not answer.
pub(super) fn dump(request: &RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, KernelError> {
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(KernelError::Open)?;
    socket.bind_auto().map_err(KernelError::Open)?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(KernelError::Open)?;
    let mut said = Vec::new();
    for sequence in 1..=TRIES {
        said.clear();
        if !dump_once(&socket, request, sequence, &mut said)? {
            break;
        }
    }
    Ok(said)
}

/// One try; whether it was interrupted.
fn dump_once(
    socket: &Socket,
    request: &RouteNetlinkMessage,
    sequence: u32,
    said: &mut Vec<RouteNetlinkMessage>,
) -> Result<bool, KernelError> {
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(request.clone()));
    message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.header.sequence_number = sequence;
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    socket.send(&octets, 0).map_err(KernelError::Open)?;
    let mut interrupted = false;
    loop {
        let (answer, _) = socket.recv_from_full().map_err(KernelError::Open)?;
        for message in messages::<RouteNetlinkMessage>(&answer).flatten() {
            interrupted |= message.header.flags & DUMP_INTERRUPTED != 0;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(interrupted),
                NetlinkPayload::Error(error) if error.code.is_some() => {
                    return Err(KernelError::Answer(error.to_string()));
                }
                NetlinkPayload::InnerMessage(message) => said.push(message),
                _ => {}
            }
        }
    }
}
