//! NLRI: family, reading rules and octets in, one entry after the other out. Entries before a malformed one are
//! whole and are given; it ends the rest, because nothing tells where the next one would start.

mod unicast;
pub mod labeled;
pub mod vpn;
pub mod evpn;
pub mod flowspec;
pub mod bgp_ls;
pub mod sr_policy;
pub mod route_target;
pub mod mcast_vpn;
pub mod vpls;

pub use bgp_ls::BgpLs;
pub use evpn::Evpn;
pub use flowspec::Flowspec;
pub use labeled::{Labeled, Labels};
pub use mcast_vpn::McastVpn;
pub use route_target::RouteTarget;
pub use sr_policy::SrPolicy;
pub use vpls::Vpls;
pub use vpn::Vpn;

use crate::bgp::family::{self, Family};
use crate::bgp::{IpVersion, Prefix, RouteDistinguisher, Session};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// What is announced or withdrawn, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nlri<'a> {
    /// IPv4 and IPv6, unicast and multicast.
    Prefix(Prefix),
    /// IPv4 and IPv6 with labels.
    Labeled(Labeled<'a>),
    /// IPv4 and IPv6 in VPNs, unicast and multicast.
    Vpn(Vpn<'a>),
    /// EVPN.
    Evpn(Evpn<'a>),
    /// Flow specifications, in VPNs too.
    Flowspec(Flowspec<'a>),
    /// BGP-LS, in VPNs too.
    BgpLs(BgpLs<'a>),
    /// SR Policy.
    SrPolicy(SrPolicy),
    /// Route target constraints.
    RouteTarget(RouteTarget),
    /// MCAST-VPN.
    McastVpn(McastVpn<'a>),
    /// VPLS.
    Vpls(Vpls),
    /// All NLRI of a family that this crate does not know, as one piece.
    Raw(&'a [u8]),
}

impl Nlri<'_> {
    /// The IP prefix, where the family has one.
    #[must_use]
    pub const fn prefix(&self) -> Option<&Prefix> {
        match self {
            Self::Prefix(prefix) => Some(prefix),
            Self::Labeled(labeled) => Some(&labeled.prefix),
            Self::Vpn(vpn) => Some(&vpn.prefix),
            Self::Evpn(_)
            | Self::Flowspec(_)
            | Self::BgpLs(_)
            | Self::SrPolicy(_)
            | Self::RouteTarget(_)
            | Self::McastVpn(_)
            | Self::Vpls(_)
            | Self::Raw(_) => None,
        }
    }

    /// Which VPN's, where the family has a route distinguisher.
    #[must_use]
    pub fn distinguisher(&self) -> Option<RouteDistinguisher> {
        match self {
            Self::Vpn(vpn) => Some(vpn.distinguisher),
            Self::Evpn(evpn) => evpn.route().ok()?.distinguisher,
            Self::Flowspec(rule) => rule.distinguisher,
            Self::BgpLs(nlri) => nlri.object().ok()?.distinguisher,
            Self::McastVpn(mcast) => mcast.route().ok()?.distinguisher,
            Self::Vpls(vpls) => Some(vpls.distinguisher),
            Self::Prefix(_) | Self::Labeled(_) | Self::SrPolicy(_) | Self::RouteTarget(_) | Self::Raw(_) => {
                None
            }
        }
    }

    /// Reads what the entry's own length frames: the inside of EVPN, flowspec, BGP-LS and MCAST-VPN, which may be
    /// malformed without harm to the entries behind it.
    ///
    /// # Errors
    /// The first defect inside.
    pub fn check(&self) -> Result<(), Malformed> {
        match self {
            Self::Evpn(evpn) => evpn.route().map(|_| ()),
            Self::McastVpn(mcast) => mcast.route().map(|_| ()),
            Self::Flowspec(rule) => rule.components().try_for_each(|component| component.map(|_| ())),
            Self::BgpLs(nlri) => nlri.object()?.descriptors.try_for_each(|tlv| tlv.map(|_| ())),
            Self::Prefix(_)
            | Self::Labeled(_)
            | Self::Vpn(_)
            | Self::SrPolicy(_)
            | Self::RouteTarget(_)
            | Self::Vpls(_)
            | Self::Raw(_) => Ok(()),
        }
    }
}

/// One entry of an NLRI field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path identifier (RFC 7911), where the session has them for this family.
    pub path_id: Option<u32>,
    /// What it names.
    pub nlri: Nlri<'a>,
    /// The octets of `nlri`, without the path identifier.
    pub octets: &'a [u8],
    /// Where those start, in octets from the start of the outermost unit.
    pub offset: usize,
}

/// Iterator over the entries of one NLRI field.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    cursor: Cursor<'a>,
    format: Format,
    add_path: bool,
    multiple_labels: bool,
    withdraw: bool,
}

/// How one entry of a family reads.
#[derive(Debug, Clone, Copy)]
enum Format {
    Prefix(IpVersion),
    Labeled(IpVersion),
    Vpn(IpVersion),
    Evpn,
    Flowspec { version: Option<IpVersion>, vpn: bool },
    BgpLs { vpn: bool },
    SrPolicy(IpVersion),
    RouteTarget,
    McastVpn,
    Vpls,
    Raw,
}

impl Format {
    const fn of(family: Family) -> Self {
        let version = IpVersion::of_afi(family.afi);
        match (version, family.safi) {
            (None, family::SAFI_EVPN) if family.afi == family::AFI_L2VPN => Self::Evpn,
            (None, family::SAFI_VPLS) if family.afi == family::AFI_L2VPN => Self::Vpls,
            (None, family::SAFI_BGP_LS) if family.afi == family::AFI_BGP_LS => Self::BgpLs { vpn: false },
            (None, family::SAFI_BGP_LS_VPN) if family.afi == family::AFI_BGP_LS => Self::BgpLs { vpn: true },
            (None, _) if family.afi != family::AFI_L2VPN => Self::Raw,
            (_, family::SAFI_FLOWSPEC) => Self::Flowspec { version, vpn: false },
            (_, family::SAFI_FLOWSPEC_VPN) => Self::Flowspec { version, vpn: true },
            (Some(version), family::SAFI_SR_POLICY) => Self::SrPolicy(version),
            (Some(_), family::SAFI_ROUTE_TARGET) => Self::RouteTarget,
            (Some(_), family::SAFI_MCAST_VPN) => Self::McastVpn,
            (Some(version), family::SAFI_UNICAST | family::SAFI_MULTICAST) => Self::Prefix(version),
            (Some(version), family::SAFI_LABELED) => Self::Labeled(version),
            (Some(version), family::SAFI_VPN | family::SAFI_VPN_MULTICAST) => Self::Vpn(version),
            _ => Self::Raw,
        }
    }
}

impl<'a> Entries<'a> {
    /// Entries of `family` in `nlri`, under the rules of `session`; `withdraw` says that they are withdrawn.
    #[must_use]
    pub const fn new(nlri: Cursor<'a>, family: Family, session: &Session, withdraw: bool) -> Self {
        let format = Format::of(family);
        Self {
            cursor: nlri,
            format,
            add_path: session.add_path.contains(family) && !matches!(format, Format::Raw),
            multiple_labels: session.multiple_labels.contains(family),
            withdraw,
        }
    }

    /// The next entry, of a cursor that is not empty. Plain prefixes, which are nearly all there is, stay in the
    /// caller's loop.
    #[inline]
    fn parse(&mut self) -> Result<Entry<'a>, Malformed> {
        let cursor = &mut self.cursor;
        let path_id = if self.add_path { Some(cursor.u32()?) } else { None };
        let (start, offset) = (cursor.rest(), cursor.offset());
        let nlri = if let Format::Prefix(version) = self.format {
            Nlri::Prefix(unicast::parse(cursor, version)?)
        } else {
            self.parse_other()?
        };
        let length = start.len() - self.cursor.remaining();
        Ok(Entry { path_id, nlri, octets: start.get(..length).unwrap_or_default(), offset })
    }

    #[inline(never)]
    fn parse_other(&mut self) -> Result<Nlri<'a>, Malformed> {
        let cursor = &mut self.cursor;
        Ok(match self.format {
            Format::Prefix(version) => Nlri::Prefix(unicast::parse(cursor, version)?),
            Format::Labeled(version) => {
                Nlri::Labeled(labeled::parse(cursor, version, self.multiple_labels, self.withdraw)?)
            }
            Format::Vpn(version) => {
                Nlri::Vpn(vpn::parse(cursor, version, self.multiple_labels, self.withdraw)?)
            }
            Format::Evpn => Nlri::Evpn(evpn::parse(cursor)?),
            Format::Flowspec { version, vpn } => Nlri::Flowspec(flowspec::parse(cursor, version, vpn)?),
            Format::BgpLs { vpn } => Nlri::BgpLs(bgp_ls::parse(cursor, vpn)?),
            Format::SrPolicy(version) => Nlri::SrPolicy(sr_policy::parse(cursor, version)?),
            Format::RouteTarget => Nlri::RouteTarget(route_target::parse(cursor)?),
            Format::McastVpn => Nlri::McastVpn(mcast_vpn::parse(cursor)?),
            Format::Vpls => Nlri::Vpls(vpls::parse(cursor)?),
            Format::Raw => Nlri::Raw(cursor.take(cursor.remaining())?),
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let entry = self.parse();
        if entry.is_err() {
            self.cursor = Cursor::new(&[]);
        }
        Some(entry)
    }

    /// All entries: how they read is decided once, not for each.
    #[inline]
    fn fold<B, F>(mut self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Self::Item) -> B,
    {
        let mut folded = init;
        if let (Format::Prefix(version), false) = (self.format, self.add_path) {
            let mut whole = unicast::Whole::new(self.cursor);
            folded = match version {
                IpVersion::V4 => whole.ipv4(folded, |folded, entry| f(folded, Ok(entry))),
                IpVersion::V6 => whole.ipv6(folded, |folded, entry| f(folded, Ok(entry))),
            };
            self.cursor = whole.rest();
        }
        // The last ones, and the one at fault.
        for entry in self {
            folded = f(folded, entry);
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::malformed::Reason;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn entries_before_a_bad_one_are_given() {
        let octets = [
            8, 10, // 10.0.0.0/8
            24, 192, 0, 2, // 192.0.2.0/24
            33, 1, 2, 3, 4, 5, // no IPv4 prefix
            8, 11, // never reached
        ];
        let cursor = Cursor::with_base(&octets, 100);
        let entries: Vec<_> =
            Entries::new(cursor, Family::IPV4_UNICAST, &Session::FOUR_OCTET, false).collect();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0].unwrap().nlri.prefix().unwrap().to_string(), "10.0.0.0/8");
        let second = entries[1].unwrap();
        assert_eq!((second.octets, second.offset, second.path_id), (&octets[2..6], 102, None));
        let malformed = entries[2].unwrap_err();
        assert_eq!((malformed.reason, malformed.offset), (Reason::BadPrefixLength, 106));
    }

    #[test]
    fn folded_entries_are_those_of_the_iterator() {
        let mut octets = Vec::new();
        for length in (0..=140_u8).rev() {
            let bytes = usize::from(length.min(128)).div_ceil(8);
            octets.push(length);
            octets.extend((0..bytes).map(|at| (at as u8).wrapping_mul(37) ^ length));
        }
        for family in [Family::IPV4_UNICAST, Family::IPV6_UNICAST] {
            for (start, end) in
                (0..octets.len()).flat_map(|start| [(start, octets.len()), (start, start + 40)])
            {
                let Some(octets) = octets.get(start..end) else { continue };
                let entries =
                    || Entries::new(Cursor::with_base(octets, start), family, &Session::FOUR_OCTET, false);
                let mut stepped = Vec::new();
                for entry in entries() {
                    stepped.push(entry);
                }
                let folded = entries().fold(Vec::new(), |mut folded, entry| {
                    folded.push(entry);
                    folded
                });
                assert_eq!(stepped, folded);
            }
        }
    }

    //= RFC 7911 section 3
    //# In order to carry the Path Identifier in an UPDATE message, the NLRI encoding MUST be extended by
    //# prepending the Path Identifier field, which is of four octets.
    #[test]
    fn path_identifiers_stand_before_each_entry_and_zero_is_one() {
        let octets = [0, 0, 0, 0, 8, 10, 0, 0, 0, 7, 8, 10];
        let mut session = Session::FOUR_OCTET;
        session.add_path.insert(Family::IPV4_UNICAST);
        let ids: Vec<_> = Entries::new(Cursor::new(&octets), Family::IPV4_UNICAST, &session, false)
            .map(|entry| entry.unwrap().path_id)
            .collect();
        assert_eq!(ids, [Some(0), Some(7)]);
    }

    #[test]
    fn every_known_family_has_a_format_and_no_other() {
        for family in Family::KNOWN {
            assert!(!matches!(Format::of(family), Format::Raw), "{family}");
        }
        for afi in [0, 1, 2, 3, 25, 16388] {
            for safi in 0..=255 {
                let family = Family::new(afi, safi);
                assert!(
                    Family::KNOWN.contains(&family) || matches!(Format::of(family), Format::Raw),
                    "{family}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_family_is_one_piece() {
        let octets = [1, 2, 3];
        let family = Family::new(16398, 75);
        let entries: Vec<_> = Entries::new(Cursor::new(&octets), family, &Session::FOUR_OCTET, false)
            .map(Result::unwrap)
            .collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].nlri, Nlri::Raw(&octets));
    }
}
