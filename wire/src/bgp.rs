//! BGP-4 messages: octets with a BGP header come in, views over OPEN, UPDATE, NOTIFICATION and ROUTE-REFRESH go
//! out. Never speaks BGP: what it reads was sent to someone else, so a defect is told (RFC 7606), not answered.
//!
//! ```text
//! message -> open         capabilities -> session (AS width, ADD-PATH, labels: what both sides agreed)
//!         -> update       attribute -> as_path, community, next_hop ..;  verdict on each defect
//!                         nlri      -> one file a family, prefix, distinguisher
//!         -> notification
//! ```

mod text;
pub mod family;
pub mod distinguisher;
pub mod prefix;
pub mod notification;
pub mod capability;
pub mod open;
pub mod session;
pub mod as_path;
pub mod community;
pub mod next_hop;
pub mod multiprotocol;
mod tlv;
pub mod link_state;
pub mod segment_list;
pub mod tunnel;
pub mod prefix_sid;
pub mod engineering;
pub mod bgpsec;
pub mod service;
pub mod attribute;
pub mod verdict;
pub mod update;
pub mod nlri;

pub use as_path::{AsPath, AsWidth, Segment, SegmentKind};
pub use attribute::{Attribute, Attributes, Value};
pub use capability::{Capability, CapabilityValue};
pub use community::{Community, ExtendedCommunity, LargeCommunity};
pub use distinguisher::RouteDistinguisher;
pub use family::{Family, FamilySet};
pub use next_hop::NextHop;
pub use nlri::{Entries, Entry, Labels, Nlri};
pub use notification::{Notification, RouteRefresh};
pub use open::Open;
pub use prefix::{IpVersion, Prefix};
pub use session::Session;
pub use text::Text;
pub use update::{Action, Routes, Update};
pub use verdict::{Finding, Verdict};

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Octets of the message header.
pub const HEADER_LENGTH: usize = 19;

/// The marker in front of every message (RFC 4271 section 4.1).
pub const MARKER: [u8; 16] = [0xff; 16];

/// One whole message with its header read (RFC 4271 section 4.1).
///
/// ```text
/// | Marker (16 octets, all ones) | Length (whole message) 2 | Type 1 |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What kind of message this is.
    pub kind: MessageType,
    /// The whole message, header included.
    pub octets: &'a [u8],
    /// Everything behind the header.
    pub body: Cursor<'a>,
}

impl<'a> Message<'a> {
    /// Reads one message; the cursor goes on behind it. Lengths up to 65,535 are accepted (RFC 8654).
    ///
    /// # Errors
    /// `truncated`, `bad_marker`, `bad_length`.
    pub fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let start = *cursor;
        let mut header = start;
        if header.array()? != MARKER {
            return Err(start.malformed(Reason::BadMarker, MARKER.len()));
        }
        let place = header;
        let length = usize::from(header.u16()?);
        let kind = MessageType::new(header.u8()?);
        if length < HEADER_LENGTH {
            return Err(place.malformed(Reason::BadLength, 2));
        }
        let mut whole = cursor.split(length)?;
        let octets = whole.rest();
        whole.skip(HEADER_LENGTH)?;
        Ok(Self { kind, octets, body: whole })
    }

    /// Reads one message that must be of type `kind`; the cursor goes on behind it.
    ///
    /// # Errors
    /// As [`Message::parse`], and `bad_message_type`.
    pub fn parse_as(cursor: &mut Cursor<'a>, kind: MessageType) -> Result<Self, Malformed> {
        let start = *cursor;
        let message = Self::parse(cursor)?;
        if message.kind != kind {
            return Err(start.malformed(Reason::BadMessageType, message.octets.len()));
        }
        Ok(message)
    }
}

/// BGP message types (RFC 4271 section 4.1, RFC 2918).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// 1.
    Open,
    /// 2.
    Update,
    /// 3.
    Notification,
    /// 4.
    Keepalive,
    /// 5.
    RouteRefresh,
    /// Any other type, as sent.
    Other(u8),
}

impl MessageType {
    const fn new(kind: u8) -> Self {
        match kind {
            1 => Self::Open,
            2 => Self::Update,
            3 => Self::Notification,
            4 => Self::Keepalive,
            5 => Self::RouteRefresh,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn message(length: u16, kind: u8, body: &[u8]) -> Vec<u8> {
        [&MARKER[..], &length.to_be_bytes(), &[kind], body].concat()
    }

    #[test]
    fn reads_one_message_and_leaves_the_rest() {
        let octets = [message(19, 4, &[]), std::vec![0xaa]].concat();
        let mut cursor = Cursor::with_base(&octets, 48);
        let keepalive = Message::parse(&mut cursor).unwrap();
        assert_eq!((keepalive.kind, keepalive.octets.len()), (MessageType::Keepalive, 19));
        assert_eq!((cursor.offset(), cursor.remaining()), (67, 1));
    }

    //= RFC 4271 section 6.1
    //# If the Marker field of the message header is not as expected, then a synchronization error has
    //# occurred and the Error Subcode MUST be set to Connection Not Synchronized.
    #[test]
    fn refuses_a_bad_header_and_says_where() {
        let parse = |octets: &[u8]| Message::parse(&mut Cursor::new(octets)).unwrap_err();
        assert_eq!(parse(&message(18, 4, &[])), Malformed::new(Reason::BadLength, 16, 2));
        assert_eq!(parse(&message(20, 4, &[])), Malformed::new(Reason::Truncated, 0, 20));
        let mut marked = message(19, 4, &[]);
        marked[3] = 0xfe;
        assert_eq!(parse(&marked), Malformed::new(Reason::BadMarker, 0, 16));
    }
}
