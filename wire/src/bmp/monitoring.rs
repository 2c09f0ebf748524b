//! Route Monitoring: the rest of a message in, the peer and its BGP UPDATE out. Never looks inside the UPDATE.

use crate::bgp::{self, Update};
use crate::bmp::peer_header::PeerHeader;
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Routes of one peer in one view (RFC 7854 section 4.6).
#[derive(Debug, Clone, Copy)]
pub struct RouteMonitoring<'a> {
    /// Whose routes these are, in which view.
    pub peer: PeerHeader,
    /// Everything behind the per-peer header: exactly one UPDATE in version 3.
    pub body: Cursor<'a>,
}

impl<'a> RouteMonitoring<'a> {
    pub(crate) fn parse(mut body: Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self { peer: PeerHeader::parse(&mut body)?, body })
    }

    /// The BGP message of version 3, and how many octets stand behind it where none should.
    ///
    /// # Errors
    /// What is wrong with the BGP header.
    pub fn message(&self) -> Result<(bgp::Message<'a>, usize), Malformed> {
        let mut body = self.body;
        let message = bgp::Message::parse(&mut body)?;
        Ok((message, body.remaining()))
    }

    /// The UPDATE of version 3. An UPDATE with inner defects is still one: it tells what it is worth.
    ///
    /// # Errors
    /// What is wrong with the BGP header, or `bad_message_type`.
    pub fn update(&self) -> Result<Update<'a>, Malformed> {
        let message = bgp::Message::parse_as(&mut { self.body }, bgp::MessageType::Update)?;
        Ok(Update::parse(message.body))
    }
}
