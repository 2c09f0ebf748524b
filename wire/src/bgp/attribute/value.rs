//! Values of path attributes: what [`Attribute::value`](super::Attribute::value) hands out, and the small ones that have
//! no file of their own.

use core::net::Ipv4Addr;

use super::Attributes;
use crate::bgp::bgpsec::BgpsecPath;
use crate::bgp::community::{
    ClusterList, Communities, ExtendedCommunities, Ipv6ExtendedCommunities, LargeCommunities,
};
use crate::bgp::engineering::Descriptors;
use crate::bgp::link_state::LsTlvs;
use crate::bgp::multiprotocol::{MpReach, MpUnreach};
use crate::bgp::prefix_sid::PrefixSid;
use crate::bgp::service::{DomainPath, PeLabels, ServicePath};
use crate::bgp::tunnel::{PmsiTunnel, Tunnels};
use crate::bgp::{AsPath, AsWidth};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// An attribute's value.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// ORIGIN.
    Origin(Origin),
    /// `AS_PATH`.
    AsPath(AsPath<'a>),
    /// `NEXT_HOP`.
    NextHop(Ipv4Addr),
    /// `MULTI_EXIT_DISC`.
    MultiExitDisc(u32),
    /// `LOCAL_PREF`.
    LocalPref(u32),
    /// `ATOMIC_AGGREGATE`.
    AtomicAggregate,
    /// AGGREGATOR.
    Aggregator(Aggregator),
    /// COMMUNITIES.
    Communities(Communities<'a>),
    /// `ORIGINATOR_ID`.
    OriginatorId(Ipv4Addr),
    /// `CLUSTER_LIST`.
    ClusterList(ClusterList<'a>),
    /// `MP_REACH_NLRI`.
    MpReach(MpReach<'a>),
    /// `MP_UNREACH_NLRI`.
    MpUnreach(MpUnreach<'a>),
    /// EXTENDED COMMUNITIES.
    ExtendedCommunities(ExtendedCommunities<'a>),
    /// `AS4_PATH`.
    As4Path(AsPath<'a>),
    /// `AS4_AGGREGATOR`.
    As4Aggregator(Aggregator),
    /// IPv6 EXTENDED COMMUNITIES.
    Ipv6ExtendedCommunities(Ipv6ExtendedCommunities<'a>),
    /// AIGP: the metric of its first TLV of type 1; nothing if it has none (RFC 7311 section 3).
    Aigp(Option<u64>),
    /// `LARGE_COMMUNITY`.
    LargeCommunities(LargeCommunities<'a>),
    /// `PMSI_TUNNEL`.
    PmsiTunnel(PmsiTunnel<'a>),
    /// Tunnel encapsulation: SR policies travel in it.
    Tunnels(Tunnels<'a>),
    /// BGP-LS: what is known of the node, link or prefix.
    LinkState(LsTlvs<'a>),
    /// BGP Prefix-SID: MPLS and SRv6 segments.
    PrefixSid(PrefixSid<'a>),
    /// `ATTR_SET`: the attributes of a customer's route.
    AttrSet(AttrSet<'a>),
    /// BFD discriminator: mode and discriminator (RFC 9026 section 3.1.6).
    BfdDiscriminator(u8, u32),
    /// Traffic engineering: what the links towards the routes can do.
    Engineering(Descriptors<'a>),
    /// PE distinguisher labels.
    PeLabels(PeLabels<'a>),
    /// `BGPsec_PATH`: the signed path.
    BgpsecPath(BgpsecPath<'a>),
    /// D-PATH: the domains passed.
    DomainPath(DomainPath<'a>),
    /// SFP: the functions of a service path.
    ServicePath(ServicePath<'a>),
    /// OTC: only to customers, from this AS (RFC 9234).
    OnlyToCustomer(u32),
    /// Any other attribute, or a malformed one: its octets.
    Other(&'a [u8]),
}

/// Where a route came from (RFC 4271 section 5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// 0.
    Igp,
    /// 1.
    Egp,
    /// 2.
    Incomplete,
}

impl Origin {
    pub(super) fn parse(value: Cursor<'_>) -> Result<Self, Malformed> {
        match value.rest() {
            [0] => Ok(Self::Igp),
            [1] => Ok(Self::Egp),
            [2] => Ok(Self::Incomplete),
            [_] => Err(value.malformed(Reason::BadValue, 1)),
            octets => Err(value.malformed(Reason::BadLength, octets.len())),
        }
    }

    /// The name that records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Igp => "igp",
            Self::Egp => "egp",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Who aggregated a route (RFC 4271 section 5.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregator {
    /// Its AS.
    pub autonomous_system: u32,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Aggregator {
    pub(super) fn parse(mut value: Cursor<'_>, width: AsWidth) -> Result<Self, Malformed> {
        if value.remaining() != width.octets() + 4 {
            return Err(value.malformed(Reason::BadLength, value.remaining()));
        }
        let autonomous_system = match width {
            AsWidth::Two => u32::from(value.u16()?),
            AsWidth::Four => value.u32()?,
        };
        Ok(Self { autonomous_system, address: Ipv4Addr::from_bits(value.u32()?) })
    }
}

/// The attributes of a customer's route, carried through a provider (RFC 6368 section 5).
#[derive(Debug, Clone, Copy)]
pub struct AttrSet<'a> {
    /// The customer's AS.
    pub origin_as: u32,
    /// The attributes; their AS numbers have 4 octets.
    pub attributes: Attributes<'a>,
}

impl<'a> AttrSet<'a> {
    pub(super) fn parse(mut value: Cursor<'a>) -> Result<Self, Malformed> {
        let origin_as = value.u32()?;
        let attributes = Attributes::new(value);
        { attributes }.try_for_each(|attribute| attribute.map(|_| ()))?;
        Ok(Self { origin_as, attributes })
    }
}

/// The metric of the first TLV of type 1 (RFC 7311 section 3).
pub(super) fn aigp(mut value: Cursor<'_>) -> Result<Option<u64>, Malformed> {
    let mut metric = None;
    while !value.is_empty() {
        let place = value;
        let kind = value.u8()?;
        let length = usize::from(value.u16()?);
        let Some(length) = length.checked_sub(3) else {
            return Err(place.malformed(Reason::BadLength, 3));
        };
        let mut inner = value.split(length)?;
        if kind == 1 && metric.is_none() {
            if length != 8 {
                return Err(place.malformed(Reason::BadLength, 3));
            }
            metric = Some(inner.u64()?);
            // The largest metric is none that a sum can reach (RFC 7311 section 3.2).
            if metric == Some(u64::MAX) {
                return Err(place.malformed(Reason::BadValue, 11));
            }
        }
    }
    Ok(metric)
}
