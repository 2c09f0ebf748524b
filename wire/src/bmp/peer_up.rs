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

    /// The OPENs, sent and received, for what was agreed. FRR sends a header without a body for an OPEN that it has not
    /// kept, as after a collision of connections; then the other one stands for both.
    #[must_use]
    pub const fn agreed(&self) -> (Open<'a>, Open<'a>) {
        match (self.sent_open.is_absent(), self.received_open.is_absent()) {
            (false, true) => (self.sent_open, self.sent_open),
            (true, false) => (self.received_open, self.received_open),
            (true, true) | (false, false) => (self.sent_open, self.received_open),
        }
    }

    /// How UPDATEs of this peer read in `view`. In doubt about the AS width, flag A of each message goes first.
    ///
    /// Verdicts that hang on internal or external are for what the peer itself sent, the pre-policy Adj-RIB-In: in
    /// other views a router shows attributes it added itself.
    #[must_use]
    pub fn session(&self, view: RibView) -> Session {
        let (sent, received) = self.agreed();
        match view {
            RibView::AdjRibInPre => Session::negotiated(&received, &sent),
            RibView::AdjRibInPost => Session { external: None, ..Session::negotiated(&received, &sent) },
            RibView::AdjRibOutPre | RibView::AdjRibOutPost => {
                Session { external: None, ..Session::negotiated(&sent, &received) }
            }
            RibView::LocRib => Session::of_loc_rib(&sent),
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
    let body = bgp::Message::parse_as(body, bgp::MessageType::Open)?.body;
    if body.is_empty() { Ok(Open::absent(body)) } else { Open::parse(body) }
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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::bgp::AsWidth;
    use crate::malformed::Reason;
    use std::vec::Vec;

    /// A Peer Up of an IPv4 peer, in octets.
    fn body(second: u8, tlvs: &[u8]) -> Vec<u8> {
        let local = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 254, 0x00, 0xb3, 0x9c, 0x40];
        let open = |kind, autonomous_system| {
            let fixed = [0, 29, kind, 4, 0, autonomous_system, 0, 180, 10, 0, 0, autonomous_system, 0];
            [&[0xff; 16][..], &fixed].concat()
        };
        [&[0; 42][..], &local, &open(1, 7), &open(second, 9), tlvs].concat()
    }

    /// FRR 8.4: the received OPEN is a header of 19 octets, seen in the lab.
    #[test]
    fn an_open_without_body_is_stood_for_by_the_other() {
        let mut octets = body(1, &[]);
        octets.truncate(octets.len() - 29);
        octets.extend([0xff; 16]);
        octets.extend([0, 19, 1]);
        let up = PeerUp::parse(Cursor::new(&octets)).unwrap();
        assert!(up.received_open.is_absent() && !up.sent_open.is_absent());
        let (sent, received) = up.agreed();
        assert_eq!((sent.short_as, received.short_as), (7, 7));
        octets.pop();
        assert_eq!(PeerUp::parse(Cursor::new(&octets)).unwrap_err().reason, Reason::Truncated);
    }

    #[test]
    fn reads_both_ends_and_the_tlvs_behind_the_opens() {
        let octets = body(1, &[0, 3, 0, 3, b'r', b'e', b'd']);
        let up = PeerUp::parse(Cursor::new(&octets)).unwrap();
        assert_eq!(up.local_address, IpAddr::V4([192, 0, 2, 254].into()));
        assert_eq!((up.local_port, up.remote_port), (179, 40000));
        assert_eq!((up.sent_open.short_as, up.received_open.short_as), (7, 9));
        assert_eq!(up.table_name(), Some(Text(b"red")));
        let session = up.session(RibView::AdjRibInPre);
        assert_eq!((session.as_width, session.external), (AsWidth::Two, Some(true)));
        assert_eq!(up.session(RibView::AdjRibInPost).external, None);
        assert_eq!(up.session(RibView::LocRib).as_width, AsWidth::Four);
    }

    #[test]
    fn two_opens_must_be_there() {
        let refused = |octets: &[u8]| PeerUp::parse(Cursor::new(octets)).unwrap_err();
        let malformed = refused(&body(4, &[]));
        assert_eq!((malformed.reason, malformed.offset), (Reason::BadMessageType, 91));
        let octets = body(1, &[]);
        assert_eq!(refused(&octets[..octets.len() - 1]).reason, Reason::Truncated);
    }
}
