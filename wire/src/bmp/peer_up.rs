//! Peer Up: the rest of a message in, the two ends of a BGP session and both OPENs out. Never merges peers: what a
//! second Peer Up for the same peer means is the session's business.

use core::net::IpAddr;

use crate::bgp::{self, Open, Session, Text};
use crate::bmp::peer_header::{self, PeerHeader, RibView};
use crate::bmp::tlv::Tlvs;
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Peer Up TLV: free text (RFC 9736 section 3.3).
pub const STRING: u16 = 0;
/// Peer Up TLV: name of the VRF or table, 1-255 octets of UTF-8 (RFC 9069 section 4.4).
pub const VRF_TABLE_NAME: u16 = 3;
/// Peer Up TLV: label that the router's administrator gave to the peer.
pub const ADMIN_LABEL: u16 = 4;

/// A peer came up, or a Loc-RIB began to be shown (RFC 7854 section 4.10, RFC 9069 section 5.2).
#[derive(Debug, Clone, Copy)]
pub struct PeerUp<'a> {
    /// Whose session this is.
    pub peer: PeerHeader,
    /// The router's own address of the session; unspecified for a Loc-RIB.
    pub local_address: IpAddr,
    /// The router's own port; 0 for a Loc-RIB.
    pub local_port: u16,
    /// The peer's port; 0 for a Loc-RIB.
    pub remote_port: u16,
    /// The OPEN that the router sent.
    pub sent_open: Open<'a>,
    /// The OPEN that the router received.
    pub received_open: Open<'a>,
    tlvs: Cursor<'a>,
}

impl<'a> PeerUp<'a> {
    pub(crate) fn parse(mut body: Cursor<'a>) -> Result<Self, Malformed> {
        let peer = PeerHeader::parse(&mut body)?;
        let local_address = peer_header::address(body.array()?, peer.is_ipv6());
        let local_port = body.u16()?;
        let remote_port = body.u16()?;
        let sent_open = open(&mut body)?;
        let received_open = open(&mut body)?;
        Ok(Self { peer, local_address, local_port, remote_port, sent_open, received_open, tlvs: body })
    }

    /// How UPDATEs of this peer read in `view`. In doubt about the AS width, flag A of each message goes first.
    ///
    /// Verdicts that hang on internal or external are for what the peer itself sent, the pre-policy Adj-RIB-In: in
    /// other views a router shows attributes it added itself.
    #[must_use]
    pub fn session(&self, view: RibView) -> Session {
        match view {
            RibView::AdjRibInPre => Session::negotiated(&self.received_open, &self.sent_open),
            RibView::AdjRibInPost => {
                Session { external: None, ..Session::negotiated(&self.received_open, &self.sent_open) }
            }
            RibView::AdjRibOutPre | RibView::AdjRibOutPost => {
                Session { external: None, ..Session::negotiated(&self.sent_open, &self.received_open) }
            }
            RibView::LocRib => Session::of_loc_rib(&self.sent_open),
        }
    }

    /// The TLVs behind the OPENs (RFC 9736 section 3.2).
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.tlvs)
    }

    /// The name of the VRF or table that the peer, or the Loc-RIB, belongs to.
    #[must_use]
    pub fn table_name(&self) -> Option<Text<'a>> {
        self.tlvs().flatten().find(|tlv| tlv.kind == VRF_TABLE_NAME).map(|tlv| tlv.text())
    }
}

fn open<'a>(body: &mut Cursor<'a>) -> Result<Open<'a>, Malformed> {
    Open::parse(bgp::Message::parse_as(body, bgp::MessageType::Open)?.body)
}

/// Peer Up and Peer Down TLV types by name (RFC 9736 section 3.3).
#[must_use]
pub const fn peer_tlv_name(kind: u16) -> Option<&'static str> {
    match kind {
        STRING => Some("string"),
        VRF_TABLE_NAME => Some("vrfTableName"),
        ADMIN_LABEL => Some("adminLabel"),
        _ => None,
    }
}
