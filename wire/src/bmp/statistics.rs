//! Statistics Report: the rest of a message in, named numbers out. Reads each by its length, so that a type this
//! table does not know is still a number; never fails a report for one odd statistic (RFC 7854 section 4.8).

use crate::bgp::Family;
use crate::bmp::peer_header::PeerHeader;
use crate::bmp::tlv::{Tlv, Tlvs};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Version 4's TLV that wraps the count and the statistics.
pub const STATS_TLV: u16 = 1;

/// Counters and gauges of a peer or a Loc-RIB (RFC 7854 section 4.8, RFC 8671, RFC 9972).
#[derive(Debug, Clone, Copy)]
pub struct StatisticsReport<'a> {
    /// Whose numbers these are.
    pub peer: PeerHeader,
    /// How many statistics the router says follow.
    pub count: u32,
    statistics: Cursor<'a>,
    tlvs: Cursor<'a>,
    version: u8,
}

impl<'a> StatisticsReport<'a> {
    pub(crate) fn parse(mut body: Cursor<'a>, version: u8) -> Result<Self, Malformed> {
        let peer = PeerHeader::parse(&mut body)?;
        if version < 4 {
            let count = body.u32()?;
            return Ok(Self { peer, count, statistics: body, tlvs: Cursor::new(&[]), version });
        }
        // Revision 20 gives its number to sequence numbers too: what reads as statistics to its end goes first.
        let mut wrapped = Cursor::with_base(&[], body.offset());
        for tlv in Tlvs::new(body) {
            let tlv = match tlv {
                Ok(tlv) => tlv,
                Err(malformed) if wrapped.is_empty() => return Err(malformed),
                Err(_) => break,
            };
            let value = Cursor::with_base(tlv.value, tlv.offset);
            if tlv.kind == STATS_TLV && (wrapped.is_empty() || is_whole(value)) {
                wrapped = value;
                if is_whole(value) {
                    break;
                }
            }
        }
        let count = wrapped.u32()?;
        Ok(Self { peer, count, statistics: wrapped, tlvs: body, version })
    }

    /// Every statistic in order, at most `count`.
    pub fn statistics(&self) -> impl Iterator<Item = Result<Statistic<'a>, Malformed>> + use<'a> {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let is_tagged = self.version >= 4;
        Tlvs::new(self.statistics).take(count).map(move |tlv| tlv.map(|tlv| Statistic::new(tlv, is_tagged)))
    }

    /// Version 4: every TLV of the message, among them the one that wraps the statistics.
    #[must_use]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.tlvs)
    }
}

/// Whether a count and just as many statistics fill these octets.
fn is_whole(mut octets: Cursor<'_>) -> bool {
    let Some(count) = octets.u32().ok().and_then(|count| usize::try_from(count).ok()) else { return false };
    let mut tlvs = Tlvs::new(octets);
    tlvs.by_ref().take(count).filter(Result::is_ok).count() == count && tlvs.next().is_none()
}

/// The top bit of a type in version 4: the value starts with an enterprise number.
const ENTERPRISE: u16 = 0x8000;

/// One statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistic<'a> {
    /// Whose type it is, if not the standard's (version 4: draft-ietf-grow-bmp-tlv-21 section 4.2).
    pub enterprise: Option<u32>,
    /// Type, without the bit that says so.
    pub kind: u16,
    /// Its value, told by its length.
    pub value: StatisticValue<'a>,
}

/// A statistic's value, told by its length alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatisticValue<'a> {
    /// 4 octets: a 32-bit counter.
    Counter(u32),
    /// 8 octets: a 64-bit gauge.
    Gauge(u64),
    /// 11 octets: a 64-bit gauge of one address family.
    FamilyGauge(Family, u64),
    /// Any other length: the octets.
    Raw(&'a [u8]),
}

impl<'a> Statistic<'a> {
    fn new(tlv: Tlv<'a>, is_tagged: bool) -> Self {
        if is_tagged
            && tlv.kind & ENTERPRISE != 0
            && let Some((number, value)) = tlv.value.split_first_chunk()
        {
            let enterprise = Some(u32::from_be_bytes(*number));
            return Self { enterprise, kind: tlv.kind & !ENTERPRISE, value: StatisticValue::new(value) };
        }
        Self { enterprise: None, kind: tlv.kind, value: StatisticValue::new(tlv.value) }
    }

    /// The name of the type.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.enterprise.map_or_else(|| statistic_name(self.kind), |_| None)
    }
}

impl<'a> StatisticValue<'a> {
    fn new(octets: &'a [u8]) -> Self {
        if let Ok(counter) = octets.try_into() {
            return Self::Counter(u32::from_be_bytes(counter));
        }
        if let Ok(gauge) = octets.try_into() {
            return Self::Gauge(u64::from_be_bytes(gauge));
        }
        if let Ok([afi_high, afi_low, safi, gauge @ ..]) = <[u8; 11]>::try_from(octets) {
            let afi = u16::from_be_bytes([afi_high, afi_low]);
            return Self::FamilyGauge(Family { afi, safi }, u64::from_be_bytes(gauge));
        }
        Self::Raw(octets)
    }
}

/// Statistics by name: 0-13 RFC 7854 section 4.8, 14-17 RFC 8671 section 6.2, 18-43 RFC 9972 section 3.
#[must_use]
pub fn statistic_name(kind: u16) -> Option<&'static str> {
    STATISTIC_NAMES.get(usize::from(kind)).copied()
}

const STATISTIC_NAMES: [&str; 44] = [
    "prefixesRejectedByInboundPolicy",
    "duplicatePrefixAdvertisements",
    "duplicateWithdraws",
    "invalidatedByClusterListLoop",
    "invalidatedByAsPathLoop",
    "invalidatedByOriginatorId",
    "invalidatedByAsConfedLoop",
    "adjRibInRoutes",
    "locRibRoutes",
    "adjRibInRoutesByFamily",
    "locRibRoutesByFamily",
    "updatesTreatedAsWithdraw",
    "prefixesTreatedAsWithdraw",
    "duplicateUpdates",
    "adjRibOutPreRoutes",
    "adjRibOutPostRoutes",
    "adjRibOutPreRoutesByFamily",
    "adjRibOutPostRoutesByFamily",
    "adjRibInPreRoutes",
    "adjRibInPreRoutesByFamily",
    "adjRibInPostRoutes",
    "adjRibInPostRoutesByFamily",
    "adjRibInPreRejectedByInboundPolicyByFamily",
    "adjRibInPostAcceptedByInboundPolicyByFamily",
    "adjRibInPostPrimaryByFamily",
    "adjRibInPostBackupByFamily",
    "adjRibInPostDampedByFamily",
    "adjRibInPostStaleByGracefulRestartByFamily",
    "adjRibInPostStaleByLongLivedGracefulRestartByFamily",
    "adjRibInPostLeftBeforeReceivedThreshold",
    "adjRibInPostLeftBeforeReceivedThresholdByFamily",
    "adjRibInPostLeftBeforeLicenseThreshold",
    "adjRibInPostLeftBeforeLicenseThresholdByFamily",
    "adjRibInPreRejectedByAsPathLength",
    "adjRibInPreRejectedByAsPathLengthByFamily",
    "adjRibInPostRpkiInvalidByFamily",
    "adjRibInPostRpkiValidByFamily",
    "adjRibInPostRpkiNotFoundByFamily",
    "adjRibOutPreRejectedByOutboundPolicyByFamily",
    "adjRibOutPreFilteredByAsPathLength",
    "adjRibOutPreFilteredByAsPathLengthByFamily",
    "adjRibOutPostRpkiInvalidByFamily",
    "adjRibOutPostRpkiValidByFamily",
    "adjRibOutPostRpkiNotFoundByFamily",
];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const STATISTICS: [u8; 44] = [
        0x00, 0x00, 0x00, 0x04, // count
        0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x05, // type 0, counter 5
        0x00, 0x07, 0x00, 0x08, 0, 0, 0, 0, 0, 0, 0x01, 0x00, // type 7, gauge 256
        0x00, 0x09, 0x00, 0x0b, 0x00, 0x01, 0x80, 0, 0, 0, 0, 0, 0, 0, 9, // type 9, VPNv4, gauge 9
        0x03, 0xe8, 0x00, 0x01, 0x77, // type 1000, 1 octet
    ];

    fn check(report: &StatisticsReport<'_>) {
        let statistics: Vec<_> = report.statistics().map(Result::unwrap).collect();
        let vpnv4 = Family { afi: 1, safi: 128 };
        assert_eq!(statistics[0].value, StatisticValue::Counter(5));
        assert_eq!(statistics[1].name(), Some("adjRibInRoutes"));
        assert_eq!(statistics[1].value, StatisticValue::Gauge(256));
        assert_eq!(statistics[2].value, StatisticValue::FamilyGauge(vpnv4, 9));
        assert_eq!(statistics[3].value, StatisticValue::Raw(&[0x77]));
        assert_eq!(statistics.len(), 4);
    }

    #[test]
    fn values_are_told_by_length() {
        let octets = [&[0; 42][..], &STATISTICS].concat();
        check(&StatisticsReport::parse(Cursor::new(&octets), 3).unwrap());
    }

    #[test]
    fn version_4_wraps_them_in_a_tlv() {
        let other = [0x00, 0x05, 0x00, 0x01, 0xaa]; // some TLV before it
        let wrapping = [0x00, 0x01, 0x00, 0x2c]; // Stats TLV, 44 octets
        let octets = [&[0; 42][..], &other, &wrapping, &STATISTICS].concat();
        let report = StatisticsReport::parse(Cursor::new(&octets), 4).unwrap();
        check(&report);
        assert_eq!(report.tlvs().count(), 2);
        // Revision 20: a sequence number of the same type before it.
        let sequence = [0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9];
        let octets = [&[0; 42][..], &sequence, &wrapping, &STATISTICS].concat();
        check(&StatisticsReport::parse(Cursor::new(&octets), 4).unwrap());
    }

    #[test]
    fn version_4_has_statistics_of_enterprises() {
        let statistics = [0, 0, 0, 1, 0x80, 7, 0, 8, 0, 0, 0, 9, 0, 0, 0, 5]; // enterprise 9's type 7: 5
        let octets = [&[0; 42][..], &[0, 1, 0, 16], &statistics].concat();
        let report = StatisticsReport::parse(Cursor::new(&octets), 4).unwrap();
        let read = report.statistics().next().unwrap().unwrap();
        let expected = Statistic { enterprise: Some(9), kind: 7, value: StatisticValue::Counter(5) };
        assert_eq!((read, read.name()), (expected, None));
        // Version 3 knows no enterprises: 8 octets are a gauge.
        let octets = [&[0; 42][..], &statistics].concat();
        let report = StatisticsReport::parse(Cursor::new(&octets), 3).unwrap();
        let read = report.statistics().next().unwrap().unwrap();
        assert_eq!((read.kind, read.value), (0x8007, StatisticValue::Gauge(9 << 32 | 5)));
    }

    #[test]
    fn no_more_than_the_count_is_read() {
        let mut octets = [&[0; 42][..], &STATISTICS].concat();
        octets[45] = 1;
        let report = StatisticsReport::parse(Cursor::new(&octets), 3).unwrap();
        assert_eq!(report.statistics().count(), 1);
    }
}
