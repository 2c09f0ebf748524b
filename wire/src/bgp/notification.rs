//! NOTIFICATION and ROUTE-REFRESH: a message body in, codes with their words out.

use crate::bgp::{Family, Text};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Why a session ended (RFC 4271 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// Error code.
    pub code: u8,
    /// Error subcode, 0 where none applies.
    pub subcode: u8,
    /// What belongs to the code.
    pub data: &'a [u8],
}

impl<'a> Notification<'a> {
    /// Reads the body of a NOTIFICATION.
    ///
    /// # Errors
    /// `truncated` if code and subcode are not there.
    pub fn parse(mut body: Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self { code: body.u8()?, subcode: body.u8()?, data: body.rest() })
    }

    /// The operator's words with an administrative shutdown or reset (RFC 9003 section 2).
    #[must_use]
    pub fn shutdown_text(&self) -> Option<Text<'a>> {
        if !matches!((self.code, self.subcode), (6, 2 | 4)) {
            return None;
        }
        let mut data = Cursor::new(self.data);
        let length = data.u8().ok()?;
        match data.take(usize::from(length)).ok()? {
            [] => None,
            text => Some(Text(text)),
        }
    }

    /// Code and subcode in words.
    #[must_use]
    pub const fn text(&self) -> Option<&'static str> {
        notification_text(self.code, self.subcode)
    }
}

/// NOTIFICATION codes and subcodes in words: the subcode's where it has its own, else the code's.
#[must_use]
pub const fn notification_text(code: u8, subcode: u8) -> Option<&'static str> {
    Some(match (code, subcode) {
        (1, 1) => "connection not synchronized",
        (1, 2) => "bad message length",
        (1, 3) => "bad message type",
        (1, _) => "message header error",
        (2, 1) => "unsupported version number",
        (2, 2) => "bad peer AS",
        (2, 3) => "bad BGP identifier",
        (2, 4) => "unsupported optional parameter",
        (2, 6) => "unacceptable hold time",
        (2, 7) => "unsupported capability",
        (2, 11) => "role mismatch",
        (2, _) => "OPEN message error",
        (3, 1) => "malformed attribute list",
        (3, 2) => "unrecognized well-known attribute",
        (3, 3) => "missing well-known attribute",
        (3, 4) => "attribute flags error",
        (3, 5) => "attribute length error",
        (3, 6) => "invalid ORIGIN attribute",
        (3, 8) => "invalid NEXT_HOP attribute",
        (3, 9) => "optional attribute error",
        (3, 10) => "invalid network field",
        (3, 11) => "malformed AS_PATH",
        (3, _) => "UPDATE message error",
        (4, _) => "hold timer expired",
        (5, 1) => "unexpected message in OpenSent",
        (5, 2) => "unexpected message in OpenConfirm",
        (5, 3) => "unexpected message in Established",
        (5, _) => "finite state machine error",
        (6, 1) => "maximum number of prefixes reached",
        (6, 2) => "administrative shutdown",
        (6, 3) => "peer de-configured",
        (6, 4) => "administrative reset",
        (6, 5) => "connection rejected",
        (6, 6) => "other configuration change",
        (6, 7) => "connection collision resolution",
        (6, 8) => "out of resources",
        (6, 9) => "hard reset",
        (6, 10) => "BFD down",
        (6, _) => "cease",
        (7, 1) => "invalid ROUTE-REFRESH message length",
        (7, _) => "ROUTE-REFRESH message error",
        (8, _) => "send hold timer expired",
        _ => return None,
    })
}

/// A request for routes, or a mark around their repetition (RFC 2918, RFC 7313).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRefresh<'a> {
    /// Whose routes.
    pub family: Family,
    /// 0 request, 1 beginning of refresh, 2 end of refresh.
    pub subtype: u8,
    /// Outbound route filters (RFC 5291), unread.
    pub filters: &'a [u8],
}

impl<'a> RouteRefresh<'a> {
    /// Reads the body of a ROUTE-REFRESH.
    ///
    /// # Errors
    /// `truncated` if 4 octets are not there.
    pub fn parse(mut body: Cursor<'a>) -> Result<Self, Malformed> {
        let afi = body.u16()?;
        let subtype = body.u8()?;
        let safi = body.u8()?;
        Ok(Self { family: Family { afi, safi }, subtype, filters: body.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_carries_the_operators_words() {
        let octets = [6, 2, 3, b'b', b'y', b'e'];
        let notification = Notification::parse(Cursor::new(&octets)).unwrap();
        assert_eq!(notification.text(), Some("administrative shutdown"));
        assert_eq!(notification.shutdown_text(), Some(Text(b"bye")));
    }

    #[test]
    fn words_beyond_the_data_are_none() {
        let octets = [6, 4, 200, b'b'];
        assert_eq!(Notification::parse(Cursor::new(&octets)).unwrap().shutdown_text(), None);
        let other = [4, 0, 1, b'b'];
        assert_eq!(Notification::parse(Cursor::new(&other)).unwrap().shutdown_text(), None);
    }

    //= RFC 4271 section 6.4
    //# Any such error (e.g., an unrecognized Error Code or Error Subcode) SHOULD be noticed, logged locally,
    //# and brought to the attention of the administration of the peer.
    #[test]
    fn codes_that_nobody_knows_are_told() {
        let unknown = Notification::parse(Cursor::new(&[99, 7])).unwrap();
        assert_eq!((unknown.code, unknown.subcode, unknown.text()), (99, 7, None));
        // An unknown subcode of a known code has the words of the code.
        assert_eq!(Notification::parse(Cursor::new(&[3, 99])).unwrap().text(), Some("UPDATE message error"));
    }

    #[test]
    fn a_refresh_names_its_family() {
        let refresh = RouteRefresh::parse(Cursor::new(&[0, 2, 1, 128])).unwrap();
        assert_eq!((refresh.family, refresh.subtype), (Family::IPV6_VPN, 1));
    }
}
