//! The per-peer header: 42 octets in, whose routes a message speaks of and seen from where out. Never decides
//! anything from bits that the peer type does not define.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bgp::RouteDistinguisher;
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Octets of the per-peer header.
pub const PEER_HEADER_LENGTH: usize = 42;

const FLAG_V: u8 = 0x80;
const FLAG_F: u8 = 0x80;
const FLAG_L: u8 = 0x40;
const FLAG_A: u8 = 0x20;
const FLAG_O: u8 = 0x10;

/// The per-peer header (RFC 7854 section 4.2), read whole.
///
/// ```text
///  0                   1                   2                   3
/// |   Peer Type   |  Peer Flags   |   Peer Distinguisher (8 octets) ..
/// |                 Peer Address (16 octets)                      ..
/// |                           Peer AS                             |
/// |                         Peer BGP ID                           |
/// |                    Timestamp (seconds)                        |
/// |                  Timestamp (microseconds)                     |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerHeader {
    /// Peer type as sent.
    pub kind: u8,
    /// Flags as sent; their meaning hangs on the peer type, so read them through the methods.
    pub flags: u8,
    /// Distinguisher as sent: zero, an RD or a local number, by peer type.
    pub distinguisher: [u8; 8],
    /// Address as sent: an IPv4 address stands in the last 4 octets.
    pub address_octets: [u8; 16],
    /// The peer's autonomous system; the router's own for a Loc-RIB.
    pub autonomous_system: u32,
    /// The peer's BGP identifier; the router's own for a Loc-RIB.
    pub bgp_id: Ipv4Addr,
    /// Seconds since 1970, 0 if unknown.
    pub seconds: u32,
    /// Microseconds of that second.
    pub microseconds: u32,
}

impl PeerHeader {
    /// Reads the header.
    ///
    /// # Errors
    /// `truncated` if 42 octets are not there.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut header = cursor.split(PEER_HEADER_LENGTH)?;
        Ok(Self {
            kind: header.u8()?,
            flags: header.u8()?,
            distinguisher: header.array()?,
            address_octets: header.array()?,
            autonomous_system: header.u32()?,
            bgp_id: Ipv4Addr::from_bits(header.u32()?),
            seconds: header.u32()?,
            microseconds: header.u32()?,
        })
    }

    /// What kind of peer the distinguisher names.
    #[must_use]
    pub const fn peer_type(&self) -> PeerType {
        match self.kind {
            0 => PeerType::Global,
            1 => PeerType::RouteDistinguisher,
            2 => PeerType::Local,
            3 => PeerType::LocRib,
            other => PeerType::Other(other),
        }
    }

    /// Flag V: the peer's address is IPv6. A Loc-RIB has no address: its bit 0x80 is F.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        !self.is_loc_rib() && self.flags & FLAG_V != 0
    }

    /// Flag L: routes after policy (RFC 7854 section 4.2).
    #[must_use]
    pub const fn is_post_policy(&self) -> bool {
        !self.is_loc_rib() && self.flags & FLAG_L != 0
    }

    /// Flag A: AS paths in the legacy 2-octet format (RFC 7854 section 4.2). A Loc-RIB always uses 4 octets
    /// (RFC 9069 section 5.4.1).
    #[must_use]
    pub const fn is_legacy_as_path(&self) -> bool {
        !self.is_loc_rib() && self.flags & FLAG_A != 0
    }

    /// Flag O: the Adj-RIB-Out (RFC 8671 section 4). Meaningful in Route Monitoring and Route Mirroring only.
    #[must_use]
    pub const fn is_adj_rib_out(&self) -> bool {
        !self.is_loc_rib() && self.flags & FLAG_O != 0
    }

    /// Flag F: the Loc-RIB is filtered (RFC 9069 section 4.2).
    #[must_use]
    pub const fn is_filtered(&self) -> bool {
        self.is_loc_rib() && self.flags & FLAG_F != 0
    }

    /// Which of the router's tables the message speaks of.
    #[must_use]
    pub const fn rib_view(&self) -> RibView {
        match (self.is_loc_rib(), self.is_adj_rib_out(), self.is_post_policy()) {
            (true, ..) => RibView::LocRib,
            (false, false, false) => RibView::AdjRibInPre,
            (false, false, true) => RibView::AdjRibInPost,
            (false, true, false) => RibView::AdjRibOutPre,
            (false, true, true) => RibView::AdjRibOutPost,
        }
    }

    /// The peer's address by flag V; unspecified for a Loc-RIB.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        address(self.address_octets, self.is_ipv6())
    }

    /// The distinguisher read as RD: for peer type 1, and for a Loc-RIB other than the default one.
    #[must_use]
    pub const fn route_distinguisher(&self) -> RouteDistinguisher {
        RouteDistinguisher(self.distinguisher)
    }

    /// The distinguisher read as a locally unique number (peer type 2).
    #[must_use]
    pub const fn local_distinguisher(&self) -> u64 {
        u64::from_be_bytes(self.distinguisher)
    }

    /// When the router had the routes, as (seconds since 1970, microseconds); nothing if it did not say.
    #[must_use]
    pub const fn timestamp(&self) -> Option<(u32, u32)> {
        match (self.seconds, self.microseconds) {
            (0, 0) => None,
            known => Some(known),
        }
    }

    const fn is_loc_rib(&self) -> bool {
        matches!(self.peer_type(), PeerType::LocRib)
    }
}

/// An address in BMP's 16-octet form: IPv4 stands in the last 4 octets.
pub(crate) const fn address(octets: [u8; 16], ipv6: bool) -> IpAddr {
    if ipv6 {
        return IpAddr::V6(Ipv6Addr::from_octets(octets));
    }
    let [.., a, b, c, d] = octets;
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// Peer types (RFC 7854 section 4.2, RFC 9069 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerType {
    /// 0: a peer of the default routing table.
    Global,
    /// 1: a peer of the table that the RD names.
    RouteDistinguisher,
    /// 2: a peer of a table that a local number names.
    Local,
    /// 3: not a peer but the router's Loc-RIB.
    LocRib,
    /// Any other value, as sent.
    Other(u8),
}

impl PeerType {
    /// The name that records use; nothing for an unassigned type.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Global => Some("global"),
            Self::RouteDistinguisher => Some("rd"),
            Self::Local => Some("local"),
            Self::LocRib => Some("locRib"),
            Self::Other(_) => None,
        }
    }
}

/// A table of the router as BMP shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RibView {
    /// Received from the peer, before inbound policy.
    AdjRibInPre,
    /// Received from the peer, after inbound policy.
    AdjRibInPost,
    /// For the peer, before outbound policy.
    AdjRibOutPre,
    /// For the peer, after outbound policy.
    AdjRibOutPost,
    /// What the router selected.
    LocRib,
}

impl RibView {
    /// Every view, in the order of the enum.
    pub const ALL: [Self; 5] =
        [Self::AdjRibInPre, Self::AdjRibInPost, Self::AdjRibOutPre, Self::AdjRibOutPost, Self::LocRib];

    /// The name that records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdjRibInPre => "adjRibInPre",
            Self::AdjRibInPost => "adjRibInPost",
            Self::AdjRibOutPre => "adjRibOutPre",
            Self::AdjRibOutPost => "adjRibOutPost",
            Self::LocRib => "locRib",
        }
    }

    /// Whether routes of this view were sent by the router (Adj-RIB-Out), not received.
    #[must_use]
    pub const fn is_adj_rib_out(self) -> bool {
        matches!(self, Self::AdjRibOutPre | Self::AdjRibOutPost)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    const IPV4_POST: [u8; 42] = [
        0x00, 0x40, // Global Instance; L
        0, 0, 0, 0, 0, 0, 0, 0, // distinguisher
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1, // address
        0x00, 0x00, 0xfd, 0xe8, // AS 65000
        10, 0, 0, 1, // BGP ID
        0x65, 0x00, 0x00, 0x00, // seconds
        0x00, 0x00, 0x00, 0x07, // microseconds
    ];

    fn parse(octets: &[u8]) -> PeerHeader {
        PeerHeader::parse(&mut Cursor::new(octets)).unwrap()
    }

    #[test]
    fn reads_every_field() {
        let header = parse(&IPV4_POST);
        assert_eq!(header.peer_type(), PeerType::Global);
        assert_eq!(header.address().to_string(), "192.0.2.1");
        assert_eq!(header.autonomous_system, 65000);
        assert_eq!(header.bgp_id.to_string(), "10.0.0.1");
        assert_eq!(header.timestamp(), Some((0x6500_0000, 7)));
        assert_eq!(header.rib_view(), RibView::AdjRibInPost);
    }

    //= RFC 9069 section 4.2
    //# This MUST be set when a filter is applied to Loc-RIB routes sent to the BMP collector.
    #[test]
    fn bit_0x80_is_v_or_f_by_peer_type() {
        let mut octets = IPV4_POST;
        octets[1] = 0x80;
        assert!(parse(&octets).is_ipv6());
        assert!(!parse(&octets).is_filtered());
        assert_eq!(parse(&octets).address().to_string(), "::c000:201");
        octets[0] = 3;
        assert!(!parse(&octets).is_ipv6());
        assert!(parse(&octets).is_filtered());
        octets[1] = 0xff;
        assert_eq!(parse(&octets).rib_view(), RibView::LocRib);
        assert!(!parse(&octets).is_legacy_as_path());
    }

    //= RFC 7854 section 5
    //# Pre-policy routes MUST have their L flag clear in the BMP header (see Section 4), post-policy routes
    //# MUST have their L flag set.
    //= RFC 8671 section 5.1
    //# The L flag MUST be set to 1 to indicate post-policy.
    //= RFC 8671 section 5.2
    //# The L flag MUST be set to 0 to indicate pre-policy.
    #[test]
    fn views_follow_o_and_l() {
        let mut octets = IPV4_POST;
        for (flags, view) in [
            (0x00, RibView::AdjRibInPre),
            (0x40, RibView::AdjRibInPost),
            (0x10, RibView::AdjRibOutPre),
            (0x50, RibView::AdjRibOutPost),
        ] {
            octets[1] = flags;
            assert_eq!(parse(&octets).rib_view(), view);
        }
    }

    //= RFC 7854 section 5
    //# Otherwise, the BMP Timestamp field MUST be set to 0, indicating that time is not available.
    #[test]
    fn a_time_of_zero_is_none() {
        let mut octets = IPV4_POST;
        octets[34..].fill(0);
        assert_eq!(parse(&octets).timestamp(), None);
        octets[41] = 1;
        assert_eq!(parse(&octets).timestamp(), Some((0, 1)));
    }

    #[test]
    fn a_short_header_is_truncated() {
        assert!(PeerHeader::parse(&mut Cursor::new(&IPV4_POST[..41])).is_err());
    }
}
