//! Capabilities of an OPEN: code and value in, what they announce out. A value that its code does not allow stays
//! raw: a station has nothing to refuse.

use crate::bgp::{Family, Text};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Multiprotocol extensions (RFC 4760).
pub const MULTIPROTOCOL: u8 = 1;
/// Extended next hop encoding (RFC 8950).
pub const EXTENDED_NEXT_HOP: u8 = 5;
/// Extended messages (RFC 8654).
pub const EXTENDED_MESSAGE: u8 = 6;
/// Multiple labels (RFC 8277).
pub const MULTIPLE_LABELS: u8 = 8;
/// Role (RFC 9234).
pub const ROLE: u8 = 9;
/// Graceful restart (RFC 4724).
pub const GRACEFUL_RESTART: u8 = 64;
/// 4-octet AS numbers (RFC 6793).
pub const FOUR_OCTET_AS: u8 = 65;
/// ADD-PATH (RFC 7911).
pub const ADD_PATH: u8 = 69;
/// Long-lived graceful restart (RFC 9494).
pub const LONG_LIVED_GRACEFUL_RESTART: u8 = 71;
/// Host and domain name.
pub const FQDN: u8 = 73;

/// One capability (RFC 5492 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability<'a> {
    /// Code as sent.
    pub code: u8,
    /// The value's octets.
    pub octets: &'a [u8],
}

/// What a capability announces.
#[derive(Debug, Clone, Copy)]
pub enum CapabilityValue<'a> {
    /// A family is spoken.
    Multiprotocol(Family),
    /// Next hops of another protocol, per family.
    ExtendedNextHop(Tuples<'a, NextHopTuple, 6>),
    /// Messages above 4,096 octets.
    ExtendedMessage,
    /// Several labels a prefix, per family.
    MultipleLabels(Tuples<'a, LabelsTuple, 4>),
    /// The speaker's role towards the peer: 0 provider, 1 route server, 2 its client, 3 customer, 4 peer.
    Role(u8),
    /// Routes survive a restart: bit 0x8 of `flags` says that it just restarted.
    GracefulRestart {
        /// 4 bits: 0x8 restarted, 0x4 NOTIFICATION support (RFC 8538).
        flags: u8,
        /// Seconds that a restart may take.
        seconds: u16,
        /// Families kept.
        families: Tuples<'a, RestartTuple, 4>,
    },
    /// The speaker's AS number, in full.
    FourOctetAs(u32),
    /// Path identifiers, per family and direction.
    AddPath(Tuples<'a, AddPathTuple, 4>),
    /// Stale routes are kept long, per family.
    LongLivedGracefulRestart(Tuples<'a, StaleTuple, 7>),
    /// The speaker's names.
    Fqdn {
        /// Host name.
        host: Text<'a>,
        /// Domain name.
        domain: Text<'a>,
    },
    /// A capability without a value, or one kept as its octets.
    Raw(&'a [u8]),
}

impl<'a> Capability<'a> {
    /// Reads one capability; the cursor goes on behind it.
    ///
    /// # Errors
    /// `truncated`.
    pub fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut ahead = *cursor;
        let code = ahead.u8()?;
        let length = ahead.u8()?;
        let octets = ahead.take(usize::from(length))?;
        *cursor = ahead;
        Ok(Self { code, octets })
    }

    /// The code's name.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        capability_name(self.code)
    }

    /// What the capability announces; [`CapabilityValue::Raw`] where code or length give no more.
    #[must_use]
    pub fn value(&self) -> CapabilityValue<'a> {
        self.typed().unwrap_or(CapabilityValue::Raw(self.octets))
    }

    fn typed(&self) -> Option<CapabilityValue<'a>> {
        let mut cursor = Cursor::new(self.octets);
        let value = match self.code {
            MULTIPROTOCOL => {
                let [afi_high, afi_low, _, safi] = cursor.array().ok()?;
                CapabilityValue::Multiprotocol(Family::new(u16::from_be_bytes([afi_high, afi_low]), safi))
            }
            EXTENDED_NEXT_HOP => CapabilityValue::ExtendedNextHop(tuples(&mut cursor)?),
            EXTENDED_MESSAGE => CapabilityValue::ExtendedMessage,
            MULTIPLE_LABELS => CapabilityValue::MultipleLabels(tuples(&mut cursor)?),
            ROLE => CapabilityValue::Role(cursor.u8().ok()?),
            GRACEFUL_RESTART => {
                let [first, second] = cursor.array().ok()?;
                CapabilityValue::GracefulRestart {
                    flags: first >> 4,
                    seconds: u16::from_be_bytes([first & 0x0f, second]),
                    families: tuples(&mut cursor)?,
                }
            }
            FOUR_OCTET_AS => CapabilityValue::FourOctetAs(cursor.u32().ok()?),
            ADD_PATH => CapabilityValue::AddPath(tuples(&mut cursor)?),
            LONG_LIVED_GRACEFUL_RESTART => CapabilityValue::LongLivedGracefulRestart(tuples(&mut cursor)?),
            FQDN => {
                let host = cursor.u8().ok()?;
                let host = Text(cursor.take(usize::from(host)).ok()?);
                let domain = cursor.u8().ok()?;
                CapabilityValue::Fqdn { host, domain: Text(cursor.take(usize::from(domain)).ok()?) }
            }
            _ => return None,
        };
        cursor.is_empty().then_some(value)
    }
}

fn tuples<'a, T, const N: usize>(cursor: &mut Cursor<'a>) -> Option<Tuples<'a, T, N>> {
    let octets = cursor.take(cursor.remaining()).ok()?;
    let (tuples, rest) = octets.as_chunks::<N>();
    rest.is_empty().then_some(Tuples { tuples, of: core::marker::PhantomData })
}

/// Capability codes by name (the registry's words in short).
#[must_use]
pub const fn capability_name(code: u8) -> Option<&'static str> {
    Some(match code {
        MULTIPROTOCOL => "multiprotocol",
        2 => "routeRefresh",
        3 => "outboundRouteFiltering",
        EXTENDED_NEXT_HOP => "extendedNextHop",
        EXTENDED_MESSAGE => "extendedMessage",
        7 => "bgpsec",
        MULTIPLE_LABELS => "multipleLabels",
        ROLE => "role",
        GRACEFUL_RESTART => "gracefulRestart",
        FOUR_OCTET_AS => "fourOctetAs",
        67 => "dynamicCapability",
        68 => "multisession",
        ADD_PATH => "addPath",
        70 => "enhancedRouteRefresh",
        LONG_LIVED_GRACEFUL_RESTART => "longLivedGracefulRestart",
        72 => "routingPolicyDistribution",
        FQDN => "fqdn",
        128 => "ciscoRouteRefresh",
        _ => return None,
    })
}

/// Fixed-size entries of a capability's value, each `N` octets on the wire.
#[derive(Debug)]
pub struct Tuples<'a, T, const N: usize> {
    tuples: &'a [[u8; N]],
    of: core::marker::PhantomData<T>,
}

impl<T, const N: usize> Clone for Tuples<'_, T, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const N: usize> Copy for Tuples<'_, T, N> {}

impl<T: From<[u8; N]>, const N: usize> Iterator for Tuples<'_, T, N> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let (first, rest) = self.tuples.split_first()?;
        self.tuples = rest;
        Some(T::from(*first))
    }
}

/// Extended next hop: routes of `family` may have next hops of `next_hop_afi` (RFC 8950 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextHopTuple {
    /// The routes' family.
    pub family: Family,
    /// The next hops' AFI.
    pub next_hop_afi: u16,
}

impl From<[u8; 6]> for NextHopTuple {
    fn from([a, b, _, safi, c, d]: [u8; 6]) -> Self {
        Self { family: family(a, b, safi), next_hop_afi: u16::from_be_bytes([c, d]) }
    }
}

/// Multiple labels: at most `count` labels a prefix of `family` (RFC 8277 section 2.1); 255 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelsTuple {
    /// The prefixes' family.
    pub family: Family,
    /// How many labels the speaker can receive.
    pub count: u8,
}

impl From<[u8; 4]> for LabelsTuple {
    fn from([a, b, safi, count]: [u8; 4]) -> Self {
        Self { family: family(a, b, safi), count }
    }
}

/// Graceful restart: a family kept over a restart (RFC 4724 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartTuple {
    /// The family.
    pub family: Family,
    /// 0x80: its forwarding state was kept.
    pub flags: u8,
}

impl From<[u8; 4]> for RestartTuple {
    fn from([a, b, safi, flags]: [u8; 4]) -> Self {
        Self { family: family(a, b, safi), flags }
    }
}

/// ADD-PATH: what the speaker does with path identifiers of a family (RFC 7911 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddPathTuple {
    /// The family.
    pub family: Family,
    /// 1 receive, 2 send, 3 both; other values mean nothing.
    pub mode: u8,
}

impl AddPathTuple {
    /// Whether the speaker can receive path identifiers.
    #[must_use]
    pub const fn receives(&self) -> bool {
        matches!(self.mode, 1 | 3)
    }

    /// Whether the speaker can send path identifiers.
    #[must_use]
    pub const fn sends(&self) -> bool {
        matches!(self.mode, 2 | 3)
    }
}

impl From<[u8; 4]> for AddPathTuple {
    fn from([a, b, safi, mode]: [u8; 4]) -> Self {
        Self { family: family(a, b, safi), mode }
    }
}

/// Long-lived graceful restart: how long stale routes of a family are kept (RFC 9494 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleTuple {
    /// The family.
    pub family: Family,
    /// 0x80: its forwarding state was kept.
    pub flags: u8,
    /// Seconds.
    pub seconds: u32,
}

impl From<[u8; 7]> for StaleTuple {
    fn from([a, b, safi, flags, c, d, e]: [u8; 7]) -> Self {
        Self { family: family(a, b, safi), flags, seconds: u32::from_be_bytes([0, c, d, e]) }
    }
}

const fn family(afi_high: u8, afi_low: u8, safi: u8) -> Family {
    Family::new(u16::from_be_bytes([afi_high, afi_low]), safi)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn value(code: u8, octets: &[u8]) -> CapabilityValue<'_> {
        Capability { code, octets }.value()
    }

    #[test]
    fn reads_typed_values() {
        assert!(matches!(value(1, &[0, 2, 0, 1]), CapabilityValue::Multiprotocol(Family::IPV6_UNICAST)));
        assert!(matches!(value(65, &[0, 1, 0, 0]), CapabilityValue::FourOctetAs(65536)));
        assert!(matches!(value(6, &[]), CapabilityValue::ExtendedMessage));
        let CapabilityValue::AddPath(tuples) = value(69, &[0, 1, 1, 3, 0, 2, 1, 1]) else { panic!() };
        let sends: Vec<_> = tuples.map(|tuple| (tuple.family, tuple.sends(), tuple.receives())).collect();
        assert_eq!(sends, [(Family::IPV4_UNICAST, true, true), (Family::IPV6_UNICAST, false, true)]);
        let CapabilityValue::GracefulRestart { flags, seconds, mut families } =
            value(64, &[0x80, 0x78, 0, 1, 1, 0x80])
        else {
            panic!()
        };
        assert_eq!((flags, seconds), (8, 120));
        assert_eq!(families.next(), Some(RestartTuple { family: Family::IPV4_UNICAST, flags: 0x80 }));
        let CapabilityValue::LongLivedGracefulRestart(mut stale) = value(71, &[0, 1, 1, 0, 0, 0x0e, 0x10])
        else {
            panic!()
        };
        assert_eq!(stale.next().unwrap().seconds, 3600);
        let CapabilityValue::Fqdn { host, domain } = value(73, &[2, b'r', b'1', 0]) else { panic!() };
        assert_eq!((host, domain), (Text(b"r1"), Text(b"")));
    }

    #[test]
    fn odd_lengths_stay_raw() {
        for (code, octets) in
            [(1, &[0, 1, 0][..]), (65, &[0, 1]), (69, &[0, 1, 1]), (9, &[]), (73, &[9, b'r']), (200, &[1])]
        {
            assert!(matches!(value(code, octets), CapabilityValue::Raw(raw) if raw == octets), "{code}");
        }
    }
}
