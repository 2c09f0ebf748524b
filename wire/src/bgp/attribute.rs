//! Path attributes: the octets of an attribute field in, flags, codes and typed values out. A value is either
//! well-formed by its own RFC or an error; what an error is worth is said in `verdict`.

use core::net::Ipv4Addr;

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

/// Flag: optional, not well-known.
pub const OPTIONAL: u8 = 0x80;
/// Flag: passed on by those who do not know it.
pub const TRANSITIVE: u8 = 0x40;
/// Flag: was passed on by someone who did not know it.
pub const PARTIAL: u8 = 0x20;
/// Flag: the length has 2 octets.
pub const EXTENDED_LENGTH: u8 = 0x10;

/// Attribute codes (IANA "BGP Path Attributes"). Those that are not here keep their octets: the deprecated ones, which
/// no router sends (11-13, 19-21, 28, 30, 31), and 39, 41 and 42, whose drafts still change.
pub mod code {
    #![expect(missing_docs, reason = "the registry's names say it")]
    pub const ORIGIN: u8 = 1;
    pub const AS_PATH: u8 = 2;
    pub const NEXT_HOP: u8 = 3;
    pub const MULTI_EXIT_DISC: u8 = 4;
    pub const LOCAL_PREF: u8 = 5;
    pub const ATOMIC_AGGREGATE: u8 = 6;
    pub const AGGREGATOR: u8 = 7;
    pub const COMMUNITIES: u8 = 8;
    pub const ORIGINATOR_ID: u8 = 9;
    pub const CLUSTER_LIST: u8 = 10;
    pub const MP_REACH: u8 = 14;
    pub const MP_UNREACH: u8 = 15;
    pub const EXTENDED_COMMUNITIES: u8 = 16;
    pub const AS4_PATH: u8 = 17;
    pub const AS4_AGGREGATOR: u8 = 18;
    pub const PMSI_TUNNEL: u8 = 22;
    pub const TUNNEL_ENCAPSULATION: u8 = 23;
    pub const TRAFFIC_ENGINEERING: u8 = 24;
    pub const IPV6_EXTENDED_COMMUNITIES: u8 = 25;
    pub const AIGP: u8 = 26;
    pub const PE_DISTINGUISHER_LABELS: u8 = 27;
    pub const BGP_LS: u8 = 29;
    pub const LARGE_COMMUNITIES: u8 = 32;
    pub const BGPSEC_PATH: u8 = 33;
    pub const ONLY_TO_CUSTOMER: u8 = 35;
    pub const D_PATH: u8 = 36;
    pub const SFP: u8 = 37;
    pub const BFD_DISCRIMINATOR: u8 = 38;
    pub const PREFIX_SID: u8 = 40;
    pub const ATTR_SET: u8 = 128;
}

/// One attribute as sent (RFC 4271 section 4.3).
///
/// ```text
/// | O T P E 0 0 0 0 | code u8 | length u8, or u16 if E | value |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// Flags.
    pub flags: u8,
    /// Code.
    pub code: u8,
    /// The value; its offset counts from the start of the outermost unit.
    pub value: Cursor<'a>,
}

/// Iterator over the attributes of a field. A malformed one ends them.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Attributes<'a> {
    /// Attributes from the cursor's place to its end.
    #[must_use]
    pub const fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let attribute = parse(&mut self.cursor);
        if attribute.is_err() {
            self.cursor = Cursor::new(&[]);
        }
        Some(attribute)
    }
}

fn parse<'a>(cursor: &mut Cursor<'a>) -> Result<Attribute<'a>, Malformed> {
    let [flags, code] = cursor.array()?;
    let length =
        if flags & EXTENDED_LENGTH == 0 { usize::from(cursor.u8()?) } else { usize::from(cursor.u16()?) };
    Ok(Attribute { flags, code, value: cursor.split(length)? })
}

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

impl<'a> Attribute<'a> {
    /// The value by its code, AS numbers of `AS_PATH` and AGGREGATOR as wide as the session has them.
    ///
    /// # Errors
    /// What its RFC calls malformed.
    pub fn value(&self, width: AsWidth) -> Result<Value<'a>, Malformed> {
        self.read(width, |value| value)
    }

    /// The same, handed to `take` where it is read: code that follows there knows which value it is, and nothing is
    /// copied on the way.
    #[inline(always)]
    pub(crate) fn read<T>(&self, width: AsWidth, take: impl FnOnce(Result<Value<'a>, Malformed>) -> T) -> T {
        let octets = self.value.rest();
        let bad_length = || self.value.malformed(Reason::BadLength, octets.len());
        match self.code {
            code::ORIGIN => take(Origin::parse(self.value).map(Value::Origin)),
            code::AS_PATH => take(AsPath::parse(self.value, width).map(Value::AsPath)),
            code::NEXT_HOP => take(self.u32().map(|bits| Value::NextHop(Ipv4Addr::from_bits(bits)))),
            code::MULTI_EXIT_DISC => take(self.u32().map(Value::MultiExitDisc)),
            code::LOCAL_PREF => take(self.u32().map(Value::LocalPref)),
            code::AGGREGATOR => take(Aggregator::parse(self.value, width).map(Value::Aggregator)),
            code::COMMUNITIES => {
                take(Communities::new(octets).map(Value::Communities).ok_or_else(bad_length))
            }
            code::ORIGINATOR_ID => {
                take(self.u32().map(|bits| Value::OriginatorId(Ipv4Addr::from_bits(bits))))
            }
            code::CLUSTER_LIST => {
                take(ClusterList::new(octets).map(Value::ClusterList).ok_or_else(bad_length))
            }
            code::MP_REACH => take(MpReach::parse(self.value).map(Value::MpReach)),
            code::MP_UNREACH => take(MpUnreach::parse(self.value).map(Value::MpUnreach)),
            code::EXTENDED_COMMUNITIES => {
                take(ExtendedCommunities::new(octets).map(Value::ExtendedCommunities).ok_or_else(bad_length))
            }
            code::LARGE_COMMUNITIES => {
                take(LargeCommunities::new(octets).map(Value::LargeCommunities).ok_or_else(bad_length))
            }
            _ => take(self.seldom()),
        }
    }

    /// Attributes that few routes have: away from the caller's loop.
    #[inline(never)]
    fn seldom(&self) -> Result<Value<'a>, Malformed> {
        let octets = self.value.rest();
        let bad_length = || self.value.malformed(Reason::BadLength, octets.len());
        Ok(match self.code {
            code::ATOMIC_AGGREGATE if octets.is_empty() => Value::AtomicAggregate,
            code::ATOMIC_AGGREGATE => return Err(bad_length()),
            code::AS4_PATH if octets.is_empty() => return Err(bad_length()),
            code::AS4_PATH => Value::As4Path(AsPath::parse(self.value, AsWidth::Four)?),
            code::AS4_AGGREGATOR => Value::As4Aggregator(Aggregator::parse(self.value, AsWidth::Four)?),
            code::IPV6_EXTENDED_COMMUNITIES => {
                Value::Ipv6ExtendedCommunities(Ipv6ExtendedCommunities::new(octets).ok_or_else(bad_length)?)
            }
            code::AIGP => Value::Aigp(aigp(self.value)?),
            code::PMSI_TUNNEL => Value::PmsiTunnel(PmsiTunnel::parse(self.value)?),
            code::TUNNEL_ENCAPSULATION => Value::Tunnels(Tunnels::parse(self.value)?),
            code::BGP_LS => {
                let tlvs = LsTlvs::new(self.value);
                { tlvs }.try_for_each(|tlv| tlv.map(|_| ()))?;
                Value::LinkState(tlvs)
            }
            code::PREFIX_SID => Value::PrefixSid(PrefixSid::parse(self.value)?),
            code::ATTR_SET => Value::AttrSet(AttrSet::parse(self.value)?),
            code::BFD_DISCRIMINATOR => {
                let mut cursor = self.value;
                Value::BfdDiscriminator(cursor.u8()?, cursor.u32()?)
            }
            code::ONLY_TO_CUSTOMER => Value::OnlyToCustomer(self.u32()?),
            code::TRAFFIC_ENGINEERING => Value::Engineering(Descriptors::parse(self.value)?),
            code::PE_DISTINGUISHER_LABELS => Value::PeLabels(PeLabels::parse(self.value)?),
            code::BGPSEC_PATH => Value::BgpsecPath(BgpsecPath::parse(self.value)?),
            code::D_PATH => Value::DomainPath(DomainPath::parse(self.value)?),
            code::SFP => Value::ServicePath(ServicePath::parse(self.value)?),
            _ => Value::Other(octets),
        })
    }

    /// The code's name in the registry.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        attribute_name(self.code)
    }

    fn u32(&self) -> Result<u32, Malformed> {
        let octets = self.value.rest();
        let octets = octets.try_into().map_err(|_| self.value.malformed(Reason::BadLength, octets.len()))?;
        Ok(u32::from_be_bytes(octets))
    }
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
    fn parse(value: Cursor<'_>) -> Result<Self, Malformed> {
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
    fn parse(mut value: Cursor<'_>, width: AsWidth) -> Result<Self, Malformed> {
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
    fn parse(mut value: Cursor<'a>) -> Result<Self, Malformed> {
        let origin_as = value.u32()?;
        let attributes = Attributes::new(value);
        { attributes }.try_for_each(|attribute| attribute.map(|_| ()))?;
        Ok(Self { origin_as, attributes })
    }
}

fn aigp(mut value: Cursor<'_>) -> Result<Option<u64>, Malformed> {
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

/// Attribute codes by name.
#[must_use]
pub const fn attribute_name(code: u8) -> Option<&'static str> {
    Some(match code {
        code::ORIGIN => "ORIGIN",
        code::AS_PATH => "AS_PATH",
        code::NEXT_HOP => "NEXT_HOP",
        code::MULTI_EXIT_DISC => "MULTI_EXIT_DISC",
        code::LOCAL_PREF => "LOCAL_PREF",
        code::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
        code::AGGREGATOR => "AGGREGATOR",
        code::COMMUNITIES => "COMMUNITIES",
        code::ORIGINATOR_ID => "ORIGINATOR_ID",
        code::CLUSTER_LIST => "CLUSTER_LIST",
        code::MP_REACH => "MP_REACH_NLRI",
        code::MP_UNREACH => "MP_UNREACH_NLRI",
        code::EXTENDED_COMMUNITIES => "EXTENDED_COMMUNITIES",
        code::AS4_PATH => "AS4_PATH",
        code::AS4_AGGREGATOR => "AS4_AGGREGATOR",
        code::PMSI_TUNNEL => "PMSI_TUNNEL",
        code::TUNNEL_ENCAPSULATION => "TUNNEL_ENCAPSULATION",
        code::TRAFFIC_ENGINEERING => "TRAFFIC_ENGINEERING",
        code::IPV6_EXTENDED_COMMUNITIES => "IPV6_EXTENDED_COMMUNITIES",
        code::AIGP => "AIGP",
        code::PE_DISTINGUISHER_LABELS => "PE_DISTINGUISHER_LABELS",
        code::BGP_LS => "BGP-LS",
        code::LARGE_COMMUNITIES => "LARGE_COMMUNITY",
        code::BGPSEC_PATH => "BGPsec_PATH",
        code::ONLY_TO_CUSTOMER => "OTC",
        code::D_PATH => "D-PATH",
        code::SFP => "SFP",
        code::BFD_DISCRIMINATOR => "BFD_DISCRIMINATOR",
        code::PREFIX_SID => "PREFIX_SID",
        code::ATTR_SET => "ATTR_SET",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn value(code: u8, octets: &[u8]) -> Result<Value<'_>, Reason> {
        let attribute = Attribute { flags: 0, code, value: Cursor::new(octets) };
        attribute.value(AsWidth::Four).map_err(|malformed| malformed.reason)
    }

    #[test]
    fn reads_short_and_extended_lengths_and_stops_at_a_cut_one() {
        let octets = [
            0x40, 0x01, 0x01, 0x00, // ORIGIN igp
            0x90, 0x04, 0x00, 0x04, 0, 0, 0, 9, // MED 9, extended length
            0xc0, 0x08, 0x08, 1, 2, // COMMUNITIES of 8 octets, 2 there
        ];
        let mut attributes = Attributes::new(Cursor::with_base(&octets, 10));
        let origin = attributes.next().unwrap().unwrap();
        assert!(matches!(origin.value(AsWidth::Four), Ok(Value::Origin(Origin::Igp))));
        let med = attributes.next().unwrap().unwrap();
        assert_eq!((med.flags, med.value.offset()), (0x90, 18));
        assert!(matches!(med.value(AsWidth::Four), Ok(Value::MultiExitDisc(9))));
        assert_eq!(attributes.next().unwrap().unwrap_err(), Malformed::new(Reason::Truncated, 25, 8));
        assert!(attributes.next().is_none());
    }

    //= RFC 4271 section 6.3
    //# If an optional attribute is recognized, then the value of this attribute MUST be checked.
    #[test]
    fn lengths_are_checked() {
        for (code, octets) in [
            (code::ORIGIN, &[][..]),
            (code::NEXT_HOP, &[1, 2, 3]),
            (code::MULTI_EXIT_DISC, &[0; 5]),
            (code::LOCAL_PREF, &[]),
            (code::ATOMIC_AGGREGATE, &[0]),
            (code::AGGREGATOR, &[0; 6]),
            (code::COMMUNITIES, &[]),
            (code::ORIGINATOR_ID, &[0; 3]),
            (code::CLUSTER_LIST, &[0; 6]),
            (code::EXTENDED_COMMUNITIES, &[0; 4]),
            (code::IPV6_EXTENDED_COMMUNITIES, &[0; 21]),
            (code::LARGE_COMMUNITIES, &[0; 8]),
            (code::ONLY_TO_CUSTOMER, &[0; 2]),
            (code::AIGP, &[1, 0, 10, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(value(code, octets).unwrap_err(), Reason::BadLength, "{code}");
        }
        assert_eq!(value(code::ORIGIN, &[3]).unwrap_err(), Reason::BadValue);
    }

    #[test]
    fn reads_aigp_behind_other_tlvs() {
        let octets = [9, 0, 4, 0xaa, 1, 0, 11, 0, 0, 0, 0, 0, 0, 1, 0];
        assert!(matches!(value(code::AIGP, &octets), Ok(Value::Aigp(Some(256)))));
        assert!(matches!(value(code::AIGP, &octets[..4]), Ok(Value::Aigp(None))));
    }

    #[test]
    fn aggregators_follow_the_width() {
        let octets = [0xfd, 0xe8, 192, 0, 2, 1];
        let attribute = Attribute { flags: 0, code: code::AGGREGATOR, value: Cursor::new(&octets) };
        let Ok(Value::Aggregator(aggregator)) = attribute.value(AsWidth::Two) else { panic!() };
        assert_eq!(aggregator.autonomous_system, 65000);
        assert!(attribute.value(AsWidth::Four).is_err());
    }

    #[test]
    fn nested_attributes_must_be_framed() {
        let octets = [0, 0, 0xfd, 0xe8, 0x40, 1, 1, 0];
        let Ok(Value::AttrSet(set)) = value(code::ATTR_SET, &octets) else { panic!() };
        assert_eq!((set.origin_as, set.attributes.count()), (65000, 1));
        assert!(value(code::ATTR_SET, &octets[..7]).is_err());
        assert!(value(code::ATTR_SET, &octets[..3]).is_err());
        assert!(value(code::BGP_LS, &[4, 0x47, 0, 3, 0, 0]).is_err());
    }
}
