//! Path attributes: the octets of an attribute field in, flags, codes and typed values out. A value is either
//! well-formed by its own RFC or an error; what an error is worth is said in `verdict`.

pub mod code;
mod value;

pub use code::attribute_name;
pub use value::{Aggregator, AttrSet, Origin, Value};

use core::net::Ipv4Addr;

use value::aigp;

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
