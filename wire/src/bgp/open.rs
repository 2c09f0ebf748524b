//! OPEN: a message body in, the speaker and its capabilities out, in the plain form of parameters and in the
//! extended one (RFC 9072). Never refuses an OPEN for its values: the peer has long accepted it.

use core::net::Ipv4Addr;

use crate::bgp::capability::{AddPathTuple, Capability, CapabilityValue};
use crate::bgp::{Family, FamilySet};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// The AS number that stands for one that 2 octets cannot hold (RFC 6793).
pub const AS_TRANS: u16 = 23456;

const PARAMETER_CAPABILITIES: u8 = 2;
const EXTENDED: u8 = 255;

/// An OPEN message (RFC 4271 section 4.2).
///
/// ```text
/// | Version 1 | My AS 2 | Hold Time 2 | BGP Identifier 4 | Opt Parm Len 1 | Parameters .. |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Open<'a> {
    /// BGP version: 4.
    pub version: u8,
    /// The 2-octet AS field as sent; [`Open::autonomous_system`] knows better.
    pub short_as: u16,
    /// Proposed hold time in seconds.
    pub hold_time: u16,
    /// BGP identifier.
    pub bgp_id: Ipv4Addr,
    parameters: Cursor<'a>,
    extended: bool,
}

impl<'a> Open<'a> {
    /// Reads the body of an OPEN.
    ///
    /// # Errors
    /// `truncated` if the fixed part or the parameters are not there whole.
    pub fn parse(mut body: Cursor<'a>) -> Result<Self, Malformed> {
        let version = body.u8()?;
        let short_as = body.u16()?;
        let hold_time = body.u16()?;
        let bgp_id = Ipv4Addr::from_bits(body.u32()?);
        let length = body.u8()?;
        let mut ahead = body;
        let extended = length == EXTENDED && ahead.u8() == Ok(EXTENDED);
        let parameters = if extended {
            let length = ahead.u16()?;
            ahead.split(usize::from(length))?
        } else {
            body.split(usize::from(length))?
        };
        Ok(Self { version, short_as, hold_time, bgp_id, parameters, extended })
    }

    /// Stands for an OPEN of which only the header was kept: no version, no capabilities.
    pub(crate) const fn absent(body: Cursor<'a>) -> Self {
        let bgp_id = Ipv4Addr::UNSPECIFIED;
        Self { version: 0, short_as: 0, hold_time: 0, bgp_id, parameters: body, extended: false }
    }

    /// Whether only the header of this OPEN was kept: nothing in it says anything.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.version == 0 && self.parameters.is_empty()
    }

    /// Every capability in order, over all parameters. A malformed one ends its parameter, a malformed parameter
    /// ends them all; parameters of other types are stepped over.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities<'a> {
        Capabilities {
            parameters: self.parameters,
            extended: self.extended,
            within: Cursor::with_base(&[], 0),
        }
    }

    /// The speaker's AS number: the 4-octet one if it is announced.
    #[must_use]
    pub fn autonomous_system(&self) -> u32 {
        self.four_octet_as().unwrap_or(u32::from(self.short_as))
    }

    /// The AS number of the 4-octet capability.
    #[must_use]
    pub fn four_octet_as(&self) -> Option<u32> {
        self.values().find_map(|value| {
            let CapabilityValue::FourOctetAs(autonomous_system) = value else { return None };
            Some(autonomous_system)
        })
    }

    /// The families spoken. Without any multiprotocol capability that is IPv4 unicast.
    pub fn families(&self) -> impl Iterator<Item = Family> + use<'a> {
        let announced = self.values().filter_map(|value| {
            let CapabilityValue::Multiprotocol(family) = value else { return None };
            Some(family)
        });
        let none = announced.clone().next().is_none();
        announced.chain(none.then_some(Family::IPV4_UNICAST))
    }

    /// What the speaker does with path identifiers, by family.
    pub fn add_path(&self) -> impl Iterator<Item = AddPathTuple> + use<'a> {
        let lists = self.values().filter_map(|value| {
            let CapabilityValue::AddPath(tuples) = value else { return None };
            Some(tuples)
        });
        lists.flatten()
    }

    /// Families with which the speaker can receive several labels a prefix.
    #[must_use]
    pub fn multiple_labels(&self) -> FamilySet {
        let lists = self.values().filter_map(|value| {
            let CapabilityValue::MultipleLabels(tuples) = value else { return None };
            Some(tuples)
        });
        lists.flatten().filter(|tuple| tuple.count > 1).map(|tuple| tuple.family).collect()
    }

    fn values(&self) -> impl Iterator<Item = CapabilityValue<'a>> + Clone + use<'a> {
        self.capabilities().flatten().map(|capability| capability.value())
    }
}

/// Iterator over the capabilities of an OPEN.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities<'a> {
    parameters: Cursor<'a>,
    extended: bool,
    within: Cursor<'a>,
}

impl<'a> Capabilities<'a> {
    /// The value of the next parameter, if it holds capabilities; `None` at the end.
    fn next_parameter(&mut self) -> Result<Option<Cursor<'a>>, Malformed> {
        while !self.parameters.is_empty() {
            let kind = self.parameters.u8()?;
            let length = if self.extended {
                usize::from(self.parameters.u16()?)
            } else {
                usize::from(self.parameters.u8()?)
            };
            let value = self.parameters.split(length)?;
            if kind == PARAMETER_CAPABILITIES && !value.is_empty() {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Capabilities<'a> {
    type Item = Result<Capability<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.within.is_empty() {
            match self.next_parameter() {
                Ok(Some(within)) => self.within = within,
                Ok(None) => return None,
                Err(malformed) => {
                    self.parameters = Cursor::new(&[]);
                    return Some(Err(malformed));
                }
            }
        }
        let capability = Capability::parse(&mut self.within);
        if capability.is_err() {
            self.within = Cursor::new(&[]);
        }
        Some(capability)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const OPEN: [u8; 26] = [
        0x04, // version
        0x5b, 0xa0, // AS_TRANS
        0x00, 0xb4, // hold time 180
        10, 0, 0, 1,  // BGP identifier
        16, // parameters
        0x02, 0x08, // capabilities, 8 octets
        0x01, 0x04, 0x00, 0x02, 0x00, 0x01, // IPv6 unicast
        0x02, 0x00, // route refresh
        0x02, 0x04, // capabilities, 4 octets
        0x41, 0x04, 0x00, 0x01, // 4-octet AS, cut short
    ];

    #[test]
    fn reads_the_fixed_part_and_capabilities_over_parameters() {
        let mut octets = OPEN.to_vec();
        octets[9] += 2;
        octets[21] += 2;
        octets.extend_from_slice(&[0x00, 0x05]);
        let open = Open::parse(Cursor::new(&octets)).unwrap();
        assert_eq!((open.version, open.short_as, open.hold_time), (4, AS_TRANS, 180));
        assert_eq!(open.autonomous_system(), 65541);
        let codes: Vec<_> = open.capabilities().map(|capability| capability.unwrap().code).collect();
        assert_eq!(codes, [1, 2, 65]);
        assert_eq!(open.families().collect::<Vec<_>>(), [Family::IPV6_UNICAST]);
    }

    #[test]
    fn a_cut_capability_ends_its_parameter_only() {
        let mut octets = OPEN.to_vec();
        octets[9] += 4;
        octets.extend_from_slice(&[0x02, 0x02, 0x46, 0x00]); // enhanced route refresh in one more parameter
        let open = Open::parse(Cursor::new(&octets)).unwrap();
        let codes: Vec<_> = open.capabilities().map(|capability| capability.ok().map(|c| c.code)).collect();
        assert_eq!(codes, [Some(1), Some(2), None, Some(70)]);
        assert_eq!(open.autonomous_system(), u32::from(AS_TRANS));
    }

    #[test]
    fn reads_extended_parameters() {
        let octets = [
            4, 0, 1, 0, 90, 1, 1, 1, 1, // AS 1
            255, 255, 0, 9, // extended, 9 octets
            2, 0, 6, 1, 4, 0, 25, 0, 70, // capabilities, 6 octets: EVPN
        ];
        let open = Open::parse(Cursor::new(&octets)).unwrap();
        assert_eq!(open.families().collect::<Vec<_>>(), [Family::EVPN]);
    }

    #[test]
    fn without_multiprotocol_it_speaks_ipv4() {
        let octets = [4, 0, 1, 0, 90, 1, 1, 1, 1, 0];
        let open = Open::parse(Cursor::new(&octets)).unwrap();
        assert_eq!(open.families().collect::<Vec<_>>(), [Family::IPV4_UNICAST]);
        assert!(Open::parse(Cursor::new(&octets[..9])).is_err());
    }
}
