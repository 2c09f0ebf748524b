//! Route Event Logging (draft-ietf-grow-bmp-rel-05): the rest of a message in, what a router did to routes and why
//! out. The message's type is not assigned yet: who knows which number an exporter uses hands its frames here.

use core::net::IpAddr;

use crate::bgp::{self, MessageType, Update};
use crate::bmp::Frame;
use crate::bmp::indexed::{IndexedTlv, IndexedTlvs};
use crate::bmp::peer_header::{self, PeerHeader};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// TLV: a capability that the UPDATE is to be read with.
pub const STATELESS_PARSING: u16 = 1;
/// TLV: NLRI that share an index.
pub const GROUP: u16 = 2;
/// TLV: the UPDATE that the event is about.
pub const BGP_MESSAGE: u16 = 4;
/// TLV: why the event was logged, 4 octets of bits.
pub const EVENT_REASON: u16 = 5;
/// TLV: what a log action says.
pub const LOG_ACTION: u16 = 6;
/// TLV: which policy discarded routes.
pub const POLICY_DISCARD: u16 = 7;
/// TLV: how a validation failed.
pub const VALIDATION_FAIL: u16 = 8;
/// TLV: how a message is malformed.
pub const MALFORMED: u16 = 9;

const FLAG_V: u8 = 0x80;
const FLAG_A: u8 = 0x40;

/// An event in the life of routes.
///
/// ```text
/// | Event Type 1 | per-peer header 42 | indexed TLVs .. |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RouteEvent<'a> {
    /// 1 routing, 2 health.
    pub event_type: u8,
    /// Whose routes these are. Its flags are not those of other messages: see [`RouteEvent::address`].
    pub peer: PeerHeader,
    tlvs: Cursor<'a>,
}

impl<'a> RouteEvent<'a> {
    /// Reads a frame as one of this kind.
    ///
    /// # Errors
    /// `truncated` if event type and per-peer header are not there.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Malformed> {
        let mut body = Cursor::new(frame.octets);
        body.skip(crate::bmp::HEADER_LENGTH)?;
        Ok(Self { event_type: body.u8()?, peer: PeerHeader::parse(&mut body)?, tlvs: body })
    }

    /// The peer's address, by flag V.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        peer_header::address(self.peer.address_octets, self.peer.flags & FLAG_V != 0)
    }

    /// Flag A, which stands elsewhere than in other messages: AS paths in the legacy 2-octet format.
    #[must_use]
    pub const fn is_legacy_as_path(&self) -> bool {
        self.peer.flags & FLAG_A != 0
    }

    /// Every TLV in order; a malformed one ends them.
    #[must_use]
    pub const fn tlvs(&self) -> IndexedTlvs<'a> {
        IndexedTlvs::new(self.tlvs)
    }

    /// Why the event was logged: 1 log action, 2 policy discard, 4 validation fail, 8 malformed, added up.
    #[must_use]
    pub fn reasons(&self) -> u32 {
        let bits = self.standard(EVENT_REASON).filter_map(|tlv| tlv.value.try_into().ok());
        bits.fold(0, |all, bits| all | u32::from_be_bytes(bits))
    }

    /// The UPDATE that the event is about, if its header is sound.
    #[must_use]
    pub fn update(&self) -> Option<Update<'a>> {
        let tlv = self.standard(BGP_MESSAGE).next()?;
        let message =
            bgp::Message::parse_as(&mut Cursor::with_base(tlv.value, tlv.offset), MessageType::Update);
        message.ok().map(|message| Update::parse(message.body))
    }

    fn standard(&self, kind: u16) -> impl Iterator<Item = IndexedTlv<'a>> + use<'a> {
        self.tlvs().flatten().filter(move |tlv| tlv.enterprise.is_none() && tlv.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::bmp::{DEFAULT_MAX_LENGTH, Framed};
    use std::vec::Vec;

    fn message(rest: &[u8]) -> Vec<u8> {
        let length = u8::try_from(6 + rest.len()).unwrap();
        [&[4, 0, 0, 0, length, 100][..], rest].concat()
    }

    fn event(octets: &[u8]) -> Result<RouteEvent<'_>, Malformed> {
        let Framed::Whole(frame) = crate::bmp::frame(octets, DEFAULT_MAX_LENGTH) else { panic!() };
        RouteEvent::parse(&frame)
    }

    #[test]
    fn an_event_has_reasons_and_the_update_it_is_about() {
        let mut peer = [0; 42];
        peer[1] = 0x40; // A, which is L in other messages
        let update = [&[0xff; 16][..], &[0, 25, 2, 0, 0, 0, 0, 8, 10]].concat();
        let rest = [
            &[1][..], // routing
            &peer,
            &[0, 5, 0, 4, 0, 0, 0, 0, 0, 2], // policy discard
            &[0, 5, 0, 4, 0, 0, 0, 0, 0, 8], // malformed
            &[0, 4, 0, 25, 0, 0],
            &update,
        ]
        .concat();
        let octets = message(&rest);
        let event = event(&octets).unwrap();
        assert_eq!((event.event_type, event.reasons(), event.tlvs().count()), (1, 10, 3));
        assert!(event.is_legacy_as_path());
        assert!(event.address().is_ipv4());
        assert_eq!(event.update().unwrap().nlri.rest(), [8, 10]);
    }

    #[test]
    fn a_short_event_is_truncated() {
        assert!(event(&message(&[1; 42])).is_err());
        assert!(event(&message(&[0; 43])).unwrap().update().is_none());
    }
}
