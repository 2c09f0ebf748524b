//! TLVs of BGP-LS (RFC 9552), as NLRI descriptors and in the BGP-LS attribute: `type u16 | length u16 | value`. In
//! come octets, out go TLVs with names and typed values; a value that its type does not allow stays raw.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bgp::{IpVersion, Prefix, Text};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// One TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LsTlv<'a> {
    /// Type as sent.
    pub kind: u16,
    /// The value's octets.
    pub octets: &'a [u8],
    /// Where they start, in octets from the start of the outermost unit.
    pub offset: usize,
}

/// Iterator over TLVs; a malformed one ends them.
#[derive(Debug, Clone, Copy)]
pub struct LsTlvs<'a> {
    cursor: Cursor<'a>,
}

impl<'a> LsTlvs<'a> {
    /// TLVs from the cursor's place to its end.
    #[must_use]
    pub const fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }
}

impl<'a> Iterator for LsTlvs<'a> {
    type Item = Result<LsTlv<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.entry(tlv)
    }
}

fn tlv<'a>(cursor: &mut Cursor<'a>) -> Result<LsTlv<'a>, Malformed> {
    let kind = cursor.u16()?;
    let length = cursor.u16()?;
    let offset = cursor.offset();
    Ok(LsTlv { kind, octets: cursor.take(usize::from(length))?, offset })
}

/// A TLV's value.
#[derive(Debug, Clone, Copy)]
pub enum LsValue<'a> {
    /// TLVs inside: node descriptors.
    Tlvs(LsTlvs<'a>),
    /// A number: flags, metrics, identifiers.
    Number(u64),
    /// Two numbers: identifiers, local and remote; delays, least and most.
    Pair(u32, u32),
    /// A bandwidth in octets per second.
    Float(f32),
    /// An address.
    Address(IpAddr),
    /// A prefix.
    Prefix(Prefix),
    /// A name.
    Text(Text<'a>),
    /// Numbers of 4 octets each: tags, shared risk groups.
    Numbers(&'a [[u8; 4]]),
    /// Numbers of 2 octets each: topologies.
    ShortNumbers(&'a [[u8; 2]]),
    /// Anything else: router identifiers, segment identifiers, areas.
    Raw(&'a [u8]),
}

impl<'a> LsTlv<'a> {
    /// The value by its type. `version` is the protocol of a prefix NLRI, for its reachability.
    #[must_use]
    pub fn value(&self, version: Option<IpVersion>) -> LsValue<'a> {
        self.typed(version).unwrap_or(LsValue::Raw(self.octets))
    }

    fn typed(&self, version: Option<IpVersion>) -> Option<LsValue<'a>> {
        let octets = self.octets;
        Some(match self.kind {
            256 | 257 => LsValue::Tlvs(LsTlvs::new(Cursor::with_base(octets, self.offset))),
            258 => {
                let (local, remote) = octets.split_first_chunk()?;
                LsValue::Pair(u32::from_be_bytes(*local), u32::from_be_bytes(remote.try_into().ok()?))
            }
            259 | 260 | 516 | 1028 | 1030 => LsValue::Address(ipv4(octets)?),
            261 | 262 | 518 | 1029 | 1031 => LsValue::Address(ipv6(octets)?),
            263 => {
                let (numbers, rest) = octets.as_chunks();
                rest.is_empty().then_some(LsValue::ShortNumbers(numbers))?
            }
            1156 | 1171 => LsValue::Address(ipv4(octets).or_else(|| ipv6(octets))?),
            265 => {
                let mut cursor = Cursor::with_base(octets, self.offset);
                let length = cursor.u8().ok()?;
                let prefix = Prefix::parse(&mut cursor, version?, length).ok()?;
                cursor.is_empty().then_some(LsValue::Prefix(prefix))?
            }
            1026 | 1098 | 1266 => LsValue::Text(Text(octets)),
            1089 | 1090 | 1118..=1120 => LsValue::Float(f32::from_be_bytes(octets.try_into().ok()?)),
            1115 => {
                let (least, most) = octets.split_first_chunk()?;
                LsValue::Pair(u32::from_be_bytes(*least), u32::from_be_bytes(most.try_into().ok()?))
            }
            1096 | 1153 => {
                let (numbers, rest) = octets.as_chunks();
                rest.is_empty().then_some(LsValue::Numbers(numbers))?
            }
            264 | 512..=514 | 517 | 1024 | 1088 | 1092..=1095 | 1114 | 1116 | 1117 | 1152 | 1155 | 1170 => {
                LsValue::Number(number(octets)?)
            }
            _ => return None,
        })
    }

    /// The type's name.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        ls_tlv_name(self.kind)
    }
}

fn ipv4(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).ok().map(|octets| IpAddr::V4(Ipv4Addr::from_octets(octets)))
}

fn ipv6(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(octets).ok().map(|octets| IpAddr::V6(Ipv6Addr::from_octets(octets)))
}

/// A number of 1 to 8 octets.
fn number(octets: &[u8]) -> Option<u64> {
    matches!(octets.len(), 1..=8).then(|| octets.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
}

/// TLV types by name (IANA "BGP-LS NLRI and Attribute TLVs").
#[must_use]
pub const fn ls_tlv_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        256 => "localNode",
        257 => "remoteNode",
        258 => "linkIds",
        259 => "interfaceAddress",
        260 => "neighborAddress",
        261 => "interfaceIpv6Address",
        262 => "neighborIpv6Address",
        263 => "multiTopologyIds",
        264 => "ospfRouteType",
        265 => "ipReachability",
        266 => "nodeMsd",
        267 => "linkMsd",
        512 => "autonomousSystem",
        513 => "bgpLsId",
        514 => "ospfAreaId",
        515 => "igpRouterId",
        516 => "bgpRouterId",
        517 => "confederationMember",
        518 => "srv6Sid",
        550 => "tunnelId",
        551 => "lspId",
        552 => "headAddress",
        553 => "tailAddress",
        554 => "srPolicyCandidatePath",
        555 => "localCrossConnect",
        1024 => "nodeFlags",
        1025 => "opaqueNode",
        1026 => "nodeName",
        1027 => "isisArea",
        1028 => "localRouterId",
        1029 => "localIpv6RouterId",
        1030 => "remoteRouterId",
        1031 => "remoteIpv6RouterId",
        1034 => "srCapabilities",
        1035 => "srAlgorithms",
        1036 => "srLocalBlock",
        1038 => "srv6Capabilities",
        1039 => "flexAlgorithm",
        1044 => "flexAlgorithmPrefixMetric",
        1088 => "administrativeGroup",
        1089 => "maximumBandwidth",
        1090 => "maximumReservableBandwidth",
        1091 => "unreservedBandwidth",
        1092 => "teDefaultMetric",
        1093 => "linkProtection",
        1094 => "mplsProtocols",
        1095 => "igpMetric",
        1096 => "sharedRiskGroups",
        1097 => "opaqueLink",
        1098 => "linkName",
        1099 => "adjacencySid",
        1100 => "lanAdjacencySid",
        1101 => "peerNodeSid",
        1102 => "peerAdjacencySid",
        1103 => "peerSetSid",
        1106 => "srv6EndX",
        1107 => "srv6IsisLanEndX",
        1108 => "srv6OspfLanEndX",
        1114 => "unidirectionalDelay",
        1115 => "unidirectionalDelayMinMax",
        1116 => "unidirectionalDelayVariation",
        1117 => "unidirectionalLoss",
        1118 => "residualBandwidth",
        1119 => "availableBandwidth",
        1120 => "utilizedBandwidth",
        1122 => "applicationSpecific",
        1152 => "igpFlags",
        1153 => "routeTags",
        1154 => "extendedRouteTags",
        1155 => "prefixMetric",
        1156 => "ospfForwardingAddress",
        1157 => "opaquePrefix",
        1158 => "prefixSid",
        1159 => "sidRange",
        1161 => "sidLabel",
        1162 => "srv6Locator",
        1170 => "prefixFlags",
        1171 => "sourceRouterId",
        1172 => "l2BundleMember",
        1173 => "extendedAdministrativeGroup",
        1174 => "sourceOspfRouterId",
        1250 => "srv6EndpointBehavior",
        1251 => "srv6PeerNodeSid",
        1252 => "srv6SidStructure",
        1266 => "adminGroupName",
        _ => return None,
    })
}

/// Where the routes of a BGP-LS NLRI came from (RFC 9552 section 5.2).
#[must_use]
pub const fn ls_protocol_name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        1 => "isisLevel1",
        2 => "isisLevel2",
        3 => "ospfv2",
        4 => "direct",
        5 => "static",
        6 => "ospfv3",
        7 => "bgp",
        8 => "rsvpTe",
        9 => "segmentRouting",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    //= RFC 9552 section 5.1
    //# Unknown and unsupported types MUST be preserved and propagated within both the NLRI and the BGP-LS
    //# Attribute.
    //= RFC 9552 section 5.1
    //# The presence of unknown or unexpected TLVs MUST NOT result in the NLRI or the BGP-LS Attribute being
    //# considered malformed.
    #[test]
    fn reads_typed_values_and_keeps_odd_ones_raw() {
        let octets = [
            0x01, 0x00, 0, 8, 0x02, 0x00, 0, 4, 0, 0, 0xfd, 0xe8, // local node: AS 65000
            0x01, 0x02, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2, // link ids 1 and 2
            0x04, 0x47, 0, 3, 0, 0, 10, // IGP metric 10
            0x04, 0x04, 0, 3, 1, 2, 3, // an IPv4 router id of 3 octets
            0x01, 0x09, 0, 4, 24, 192, 0, 2, // reachability
        ];
        let tlvs: Vec<_> = LsTlvs::new(Cursor::new(&octets)).map(Result::unwrap).collect();
        let LsValue::Tlvs(mut node) = tlvs[0].value(None) else { panic!() };
        assert!(matches!(node.next().unwrap().unwrap().value(None), LsValue::Number(65000)));
        assert!(matches!(tlvs[1].value(None), LsValue::Pair(1, 2)));
        assert!(matches!(tlvs[2].value(None), LsValue::Number(10)));
        assert!(matches!(tlvs[3].value(None), LsValue::Raw([1, 2, 3])));
        assert!(matches!(tlvs[4].value(Some(IpVersion::V4)), LsValue::Prefix(prefix) if prefix.length == 24));
        assert!(matches!(tlvs[4].value(None), LsValue::Raw(_)));
        assert_eq!(tlvs[4].name(), Some("ipReachability"));
    }
}
