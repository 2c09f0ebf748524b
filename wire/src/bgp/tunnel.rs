//! Tunnels that routes ask for: `PMSI_TUNNEL` (RFC 6514 section 5) and tunnel encapsulation (RFC 9012), in which SR
//! policies travel (RFC 9830). A value in, tunnels and their sub-TLVs out.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bgp::Text;
use crate::bgp::nlri::labeled::label;
use crate::bgp::segment_list::{Segments, big_endian, segment_identifier};
use crate::bgp::tlv::{Form, Tlvs};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// The tunnel of a multicast VPN, or of flooding in EVPN.
///
/// ```text
/// | Flags 1 | Tunnel Type 1 | MPLS Label 3 | Tunnel Identifier .. |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PmsiTunnel<'a> {
    /// Bit 0x1: leaf information required.
    pub flags: u8,
    /// Tunnel type as sent.
    pub kind: u8,
    /// The label field: an MPLS label in 20 bits, or a VNI in all 24.
    pub label_field: [u8; 3],
    /// Tunnel identifier, by the type.
    pub identifier: &'a [u8],
}

impl<'a> PmsiTunnel<'a> {
    pub(super) fn parse(mut value: Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            flags: value.u8()?,
            kind: value.u8()?,
            label_field: value.array()?,
            identifier: value.rest(),
        })
    }

    /// The 20-bit label.
    #[must_use]
    pub const fn label(&self) -> u32 {
        label(self.label_field)
    }

    /// The endpoint of ingress replication (type 6).
    #[must_use]
    pub fn endpoint(&self) -> Option<IpAddr> {
        let is_replication = self.kind == 6;
        is_replication.then(|| address(self.identifier)).flatten()
    }

    /// The tunnel type's name.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self.kind {
            0 => "none",
            1 => "rsvpTeP2mp",
            2 => "mldpP2mp",
            3 => "pimSsm",
            4 => "pimSm",
            5 => "bidirPim",
            6 => "ingressReplication",
            7 => "mldpMp2mp",
            10 => "assistedReplication",
            11 => "bier",
            _ => return None,
        })
    }
}

/// Iterator over the tunnels of a tunnel encapsulation attribute.
#[derive(Debug, Clone, Copy)]
pub struct Tunnels<'a> {
    tlvs: Tlvs<'a>,
}

/// One tunnel.
#[derive(Debug, Clone, Copy)]
pub struct Tunnel<'a> {
    /// Tunnel type as sent; 15 is an SR policy.
    pub kind: u16,
    value: Cursor<'a>,
}

/// One sub-TLV of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubTlv<'a> {
    /// Type as sent.
    pub kind: u8,
    /// The value.
    pub octets: &'a [u8],
}

impl<'a> Tunnels<'a> {
    pub(super) fn parse(value: Cursor<'a>) -> Result<Self, Malformed> {
        let tlvs = Tlvs::checked(value, Form::Wide)?;
        for tlv in tlvs {
            let (_, inner) = tlv?;
            Tlvs::checked(inner, Form::SubTlv)?;
        }
        Ok(Self { tlvs })
    }
}

impl<'a> Iterator for Tunnels<'a> {
    type Item = Tunnel<'a>;

    fn next(&mut self) -> Option<Tunnel<'a>> {
        let (kind, value) = self.tlvs.next()?.ok()?;
        Some(Tunnel { kind, value })
    }
}

impl<'a> Tunnel<'a> {
    /// Every sub-TLV in order.
    pub fn sub_tlvs(&self) -> impl Iterator<Item = SubTlv<'a>> + use<'a> {
        Tlvs::new(self.value, Form::SubTlv)
            .flatten()
            .filter_map(|(kind, value)| Some(SubTlv { kind: u8::try_from(kind).ok()?, octets: value.rest() }))
    }

    /// The tunnel type's name.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self.kind {
            1 => "l2tpv3",
            2 => "gre",
            7 => "ipInIp",
            8 => "vxlan",
            9 => "nvgre",
            10 => "mpls",
            11 => "mplsInGre",
            12 => "vxlanGpe",
            13 => "mplsInUdp",
            15 => "srPolicy",
            19 => "geneve",
            _ => return None,
        })
    }
}

impl SubTlv<'_> {
    /// The type's name.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self.kind {
            1 => "encapsulation",
            2 => "protocol",
            4 => "color",
            6 => "egressEndpoint",
            7 => "dsField",
            8 => "udpDestinationPort",
            9 => "embeddedLabelHandling",
            10 => "mplsLabelStack",
            11 => "prefixSid",
            12 => "preference",
            13 => "bindingSid",
            14 => "explicitNullLabelPolicy",
            15 => "priority",
            20 => "srv6BindingSid",
            128 => "segmentList",
            129 => "candidatePathName",
            130 => "policyName",
            _ => return None,
        })
    }
}

/// The value of a sub-TLV.
#[derive(Debug, Clone, Copy)]
pub enum SubTlvValue<'a> {
    /// A color, port, preference, priority, policy or label.
    Number(u32),
    /// A segment identifier of SRv6.
    Address(Ipv6Addr),
    /// A name.
    Name(Text<'a>),
    /// The segments of a candidate path.
    Segments(Segments<'a>),
    /// Anything else, or a value that its type does not allow.
    Raw(&'a [u8]),
}

impl<'a> SubTlv<'a> {
    /// The value by its type (RFC 9012 sections 3 and 4, RFC 9830 section 2.4).
    #[must_use]
    pub fn value(&self) -> SubTlvValue<'a> {
        match (self.kind, self.octets) {
            // A color is an extended community: type, subtype, flags, color.
            (4, [0x03, 0x0b, _, _, number @ ..]) | (12, [_, _, number @ ..]) if number.len() == 4 => {
                SubTlvValue::Number(big_endian(number))
            }
            (8, number) if number.len() == 2 => SubTlvValue::Number(big_endian(number)),
            (13, [_, _, a, b, c, _]) => SubTlvValue::Number(label([*a, *b, *c])),
            (13 | 20, [_, _, sid @ ..]) if sid.len() == 16 => {
                segment_identifier(sid).map_or(SubTlvValue::Raw(self.octets), SubTlvValue::Address)
            }
            (14, [_, _, policy]) => SubTlvValue::Number((*policy).into()),
            (15, [priority, _]) => SubTlvValue::Number((*priority).into()),
            (129 | 130, [_, name @ ..]) => SubTlvValue::Name(Text(name)),
            (128, [_, parts @ ..]) => match Segments::parse(Cursor::new(parts)) {
                Ok(segments) => SubTlvValue::Segments(segments),
                Err(_) => SubTlvValue::Raw(self.octets),
            },
            (_, octets) => SubTlvValue::Raw(octets),
        }
    }
}

/// Octets as an address of either protocol.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let ipv4 = || octets.try_into().ok().map(|octets| IpAddr::V4(Ipv4Addr::from_octets(octets)));
    let ipv6 = || octets.try_into().ok().map(|octets| IpAddr::V6(Ipv6Addr::from_octets(octets)));
    ipv4().or_else(ipv6)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn ingress_replication_has_a_label_and_an_endpoint() {
        let octets = [0, 6, 0x00, 0x06, 0x41, 192, 0, 2, 1];
        let tunnel = PmsiTunnel::parse(Cursor::new(&octets)).unwrap();
        assert_eq!((tunnel.label(), tunnel.name()), (100, Some("ingressReplication")));
        assert_eq!(tunnel.endpoint(), Some(IpAddr::V4([192, 0, 2, 1].into())));
        assert!(PmsiTunnel::parse(Cursor::new(&octets[..4])).is_err());
    }

    #[test]
    fn an_sr_policy_has_sub_tlvs_of_both_lengths() {
        let octets = [
            0, 15, 0, 13, // SR policy, 13 octets
            12, 6, 0, 0, 0, 0, 0, 100, // preference 100
            128, 0, 2, 9, 9, // segment list, 2 octets
        ];
        let tunnel = Tunnels::parse(Cursor::new(&octets)).unwrap().next().unwrap();
        assert_eq!(tunnel.name(), Some("srPolicy"));
        let sub_tlvs: Vec<_> = tunnel.sub_tlvs().collect();
        assert!(matches!(sub_tlvs[0].value(), SubTlvValue::Number(100)));
        assert_eq!(sub_tlvs[1].name(), Some("segmentList"));
        assert!(matches!(sub_tlvs[1].value(), SubTlvValue::Raw([9, 9])));
        assert_eq!(sub_tlvs[1].octets, [9, 9]);
        let mut bad = octets;
        bad[14] = 3; // the segment list overruns the tunnel
        assert!(Tunnels::parse(Cursor::new(&bad)).is_err());
    }
}
