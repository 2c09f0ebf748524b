//! Peer Down: the rest of a message in, why a peer went out. Its meaning for routes (all of that peer's are gone)
//! is the session's business.

use crate::bgp::{self, Notification, Text};
use crate::bmp::peer_header::PeerHeader;
use crate::bmp::peer_up::VRF_TABLE_NAME;
use crate::bmp::tlv::Tlvs;
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// A peer went down, or a Loc-RIB is no longer shown (RFC 7854 section 4.9, RFC 9069 section 5.3).
#[derive(Debug, Clone, Copy)]
pub struct PeerDown<'a> {
    /// Whose session this was.
    pub peer: PeerHeader,
    /// The reason's number.
    pub reason: u8,
    /// What the reason came with.
    pub cause: Cause<'a>,
    tlvs: Cursor<'a>,
}

/// What a Peer Down says beyond the number of its reason.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// Reason 1: the router closed the session and sent this.
    LocalNotification(Notification<'a>),
    /// Reason 2: the router closed the session without NOTIFICATION; the event of the BGP state machine, 0 if
    /// none applies.
    LocalEvent(u16),
    /// Reason 3: the peer closed the session and sent this.
    RemoteNotification(Notification<'a>),
    /// Reason 4: the peer closed the session without NOTIFICATION.
    Remote,
    /// Reason 5: the peer is no longer monitored.
    Deconfigured,
    /// Reason 6: the router stopped showing the Loc-RIB; TLVs may follow.
    LocalSystem,
    /// A reason that is not assigned; what follows stays unread.
    Other(&'a [u8]),
}

impl<'a> PeerDown<'a> {
    pub(crate) fn parse(mut body: Cursor<'a>, version: u8) -> Result<Self, Malformed> {
        let peer = PeerHeader::parse(&mut body)?;
        let reason = body.u8()?;
        let cause = match reason {
            1 => Cause::LocalNotification(notification(&mut body)?),
            2 => Cause::LocalEvent(body.u16()?),
            3 => Cause::RemoteNotification(notification(&mut body)?),
            4 => Cause::Remote,
            5 => Cause::Deconfigured,
            6 => Cause::LocalSystem,
            _ => Cause::Other(body.take(body.remaining())?),
        };
        let has_tlvs = version >= 4 || reason == 6;
        let tlvs = if has_tlvs { body } else { Cursor::new(&[]) };
        Ok(Self { peer, reason, cause, tlvs })
    }

    /// The TLVs: behind reason 6, and behind every reason in version 4.
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.tlvs)
    }

    /// The name of the VRF or table whose Loc-RIB is no longer shown.
    #[must_use]
    pub fn table_name(&self) -> Option<Text<'a>> {
        self.tlvs().flatten().find(|tlv| tlv.kind == VRF_TABLE_NAME).map(|tlv| tlv.text())
    }

    /// The NOTIFICATION that ended the session, sent or received.
    #[must_use]
    pub const fn notification(&self) -> Option<&Notification<'a>> {
        match &self.cause {
            Cause::LocalNotification(notification) | Cause::RemoteNotification(notification) => {
                Some(notification)
            }
            Cause::LocalEvent(_)
            | Cause::Remote
            | Cause::Deconfigured
            | Cause::LocalSystem
            | Cause::Other(_) => None,
        }
    }
}

fn notification<'a>(body: &mut Cursor<'a>) -> Result<Notification<'a>, Malformed> {
    Notification::parse(bgp::Message::parse_as(body, bgp::MessageType::Notification)?.body)
}

/// Peer Down reasons in words (RFC 7854 section 4.9, RFC 9069 section 5.3).
#[must_use]
pub const fn peer_down_reason_text(reason: u8) -> Option<&'static str> {
    match reason {
        1 => Some("local system closed, NOTIFICATION sent"),
        2 => Some("local system closed, no NOTIFICATION"),
        3 => Some("remote system closed, NOTIFICATION received"),
        4 => Some("remote system closed, no NOTIFICATION"),
        5 => Some("peer de-configured"),
        6 => Some("local system closed, TLV data follows"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// A per-peer header of zeros, then these octets.
    fn body(rest: &[u8]) -> Vec<u8> {
        let mut octets = std::vec![0; 42];
        octets.extend_from_slice(rest);
        octets
    }

    #[test]
    fn a_notification_is_read_with_its_own_length() {
        let mut rest = std::vec![1]; // local system closed, NOTIFICATION follows
        rest.extend_from_slice(&[0xff; 16]);
        rest.extend_from_slice(&[0x00, 0x15, 0x03, 0x06, 0x02]); // length 21, type 3, Cease, admin shutdown
        let octets = body(&rest);
        let down = PeerDown::parse(Cursor::new(&octets), 3).unwrap();
        let notification = down.notification().unwrap();
        assert_eq!((notification.code, notification.subcode), (6, 2));
    }

    #[test]
    fn an_event_is_two_octets() {
        let octets = body(&[2, 0x00, 0x18]);
        let down = PeerDown::parse(Cursor::new(&octets), 3).unwrap();
        assert!(matches!(down.cause, Cause::LocalEvent(24)));
        assert!(PeerDown::parse(Cursor::new(&body(&[2, 0x00])), 3).is_err());
    }

    //= RFC 9069 section 5.2.1
    //# If the TLV is included, then it MUST also be included in the Peer Down notification.
    //= RFC 9069 section 5.3
    //# The Peer Down notification MUST use reason code 6.
    #[test]
    fn reason_6_carries_the_table_name() {
        let octets = body(&[6, 0x00, 0x03, 0x00, 0x06, b'g', b'l', b'o', b'b', b'a', b'l']);
        let down = PeerDown::parse(Cursor::new(&octets), 3).unwrap();
        assert_eq!(down.table_name(), Some(Text(b"global")));
    }

    #[test]
    fn version_4_has_tlvs_behind_every_reason() {
        let octets = body(&[4, 0x00, 0x03, 0x00, 0x01, b'x']);
        assert_eq!(PeerDown::parse(Cursor::new(&octets), 4).unwrap().table_name(), Some(Text(b"x")));
        assert_eq!(PeerDown::parse(Cursor::new(&octets), 3).unwrap().table_name(), None);
    }

    #[test]
    fn an_unknown_reason_keeps_its_octets() {
        let octets = body(&[9, 1, 2, 3]);
        let down = PeerDown::parse(Cursor::new(&octets), 3).unwrap();
        assert!(matches!(down.cause, Cause::Other(&[1, 2, 3])));
    }
}
