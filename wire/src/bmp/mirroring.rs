//! Route Mirroring: the rest of a message in, verbatim BGP messages and notes about them out. Never requires the
//! mirrored octets to be sound: errored ones are what mirroring is for.

use crate::bgp;
use crate::bmp::peer_header::PeerHeader;
use crate::bmp::tlv::{Tlv, Tlvs};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Route Mirroring TLV: a BGP message, verbatim.
pub const BGP_MESSAGE: u16 = 0;
/// Route Mirroring TLV: a note of 2 octets.
pub const INFORMATION: u16 = 1;

/// Messages as a peer sent them (RFC 7854 section 4.7).
#[derive(Debug, Clone, Copy)]
pub struct RouteMirroring<'a> {
    /// Whose messages these are.
    pub peer: PeerHeader,
    body: Cursor<'a>,
}

/// One TLV of a Route Mirroring message; their order matters.
#[derive(Debug, Clone, Copy)]
pub enum Mirrored<'a> {
    /// A BGP message, perhaps an errored one: see [`Mirrored::message`].
    Message(Tlv<'a>),
    /// A note: 0 the message is errored, 1 messages were lost.
    Information(u16),
    /// Any other TLV, or a note of a wrong length.
    Other(Tlv<'a>),
}

impl<'a> RouteMirroring<'a> {
    pub(crate) fn parse(mut body: Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self { peer: PeerHeader::parse(&mut body)?, body })
    }

    /// Every TLV in order.
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.body)
    }

    /// Every TLV in order, by what it is.
    pub fn mirrored(&self) -> impl Iterator<Item = Result<Mirrored<'a>, Malformed>> + use<'a> {
        self.tlvs().map(|tlv| tlv.map(Mirrored::new))
    }
}

impl<'a> Mirrored<'a> {
    fn new(tlv: Tlv<'a>) -> Self {
        match (tlv.kind, tlv.u16()) {
            (BGP_MESSAGE, _) => Self::Message(tlv),
            (INFORMATION, Some(code)) => Self::Information(code),
            _ => Self::Other(tlv),
        }
    }

    /// The mirrored BGP message, if this is one and its header is sound.
    #[must_use]
    pub fn message(&self) -> Option<bgp::Message<'a>> {
        match self {
            Self::Message(tlv) => bgp::Message::parse(&mut Cursor::with_base(tlv.value, tlv.offset)).ok(),
            Self::Information(_) | Self::Other(_) => None,
        }
    }
}

/// Notes of Route Mirroring by name (RFC 7854 section 4.7).
#[must_use]
pub const fn mirroring_information_name(code: u16) -> Option<&'static str> {
    match code {
        0 => Some("erroredPdu"),
        1 => Some("messagesLost"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    //= RFC 7854 section 4.7
    //# If the BGP Message TLV occurs in the Route Mirroring message, it MUST occur last in the list of TLVs.
    #[test]
    fn errored_messages_are_kept_in_their_place() {
        let keepalive = [&[0xff; 16][..], &[0, 19, 4]].concat();
        let octets = [
            &[0; 42][..],
            &[0, 1, 0, 2, 0, 0],    // the next message is errored
            &[0, 0, 0, 3, 1, 2, 3], // a BGP message of 3 octets
            &[0, 0, 0, 19],         // a sound one
            &keepalive,
            &[0, 1, 0, 1, 9], // a note of a wrong length
        ]
        .concat();
        let mirroring = RouteMirroring::parse(Cursor::new(&octets)).unwrap();
        let mirrored: Vec<_> = mirroring.mirrored().map(Result::unwrap).collect();
        assert!(matches!(mirrored[0], Mirrored::Information(0)));
        assert_eq!(mirroring_information_name(0), Some("erroredPdu"));
        assert!(matches!(mirrored[1], Mirrored::Message(tlv) if tlv.value == [1, 2, 3]));
        assert!(mirrored[1].message().is_none());
        assert_eq!(mirrored[2].message().unwrap().kind, bgp::MessageType::Keepalive);
        assert!(matches!(mirrored[3], Mirrored::Other(_)));
    }
}
