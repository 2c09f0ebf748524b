//! Flow specifications (RFC 8955, RFC 8956): `length, 1 octet below 240, else 2 | [RD 8] | components`. The length
//! frames a rule, so one whose components do not read costs no other.

use core::fmt;

use crate::bgp::{IpVersion, Prefix, RouteDistinguisher};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// One rule, framed; its components are iterated in wire order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flowspec<'a> {
    /// Which protocol's packets; nothing for layer 2.
    pub version: Option<IpVersion>,
    /// Which VPN's, in the VPN families.
    pub distinguisher: Option<RouteDistinguisher>,
    /// The components' octets.
    pub octets: &'a [u8],
    /// Where they start, in octets from the start of the outermost unit.
    pub offset: usize,
}

impl<'a> Flowspec<'a> {
    /// Every component in order; a malformed one ends them.
    #[must_use]
    pub const fn components(&self) -> Components<'a> {
        Components { cursor: Cursor::with_base(self.octets, self.offset), version: self.version }
    }
}

/// Iterator over the components of a rule.
#[derive(Debug, Clone, Copy)]
pub struct Components<'a> {
    cursor: Cursor<'a>,
    version: Option<IpVersion>,
}

/// One component: what a packet must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component<'a> {
    /// Type as sent.
    pub kind: u8,
    /// What it demands.
    pub condition: Condition<'a>,
}

/// What a component demands of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// An address within a prefix; IPv6 ignores the first `offset` bits (RFC 8956 section 3.1).
    Prefix {
        /// The prefix, its bits standing where the address has them.
        prefix: Prefix,
        /// Bits to be ignored.
        offset: u8,
    },
    /// A number for which the terms hold (types 3-8, 10, 11, 13). Prints `>=1024&<=2047`.
    Number(Numbers<'a>),
    /// Bits for which the terms hold (types 9, 12). Prints `=0x2&!0x10`.
    Bits(Bitmasks<'a>),
}

impl Component<'_> {
    /// The type's name (RFC 8955 section 4.2.2, RFC 8956 section 3).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.kind {
            1 => "destinationPrefix",
            2 => "sourcePrefix",
            3 => "protocol",
            4 => "port",
            5 => "destinationPort",
            6 => "sourcePort",
            7 => "icmpType",
            8 => "icmpCode",
            9 => "tcpFlags",
            10 => "packetLength",
            11 => "dscp",
            12 => "fragment",
            _ => "flowLabel",
        }
    }
}

impl<'a> Iterator for Components<'a> {
    type Item = Result<Component<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let version = self.version;
        self.cursor.entry(|cursor| component(cursor, version))
    }
}

fn component<'a>(cursor: &mut Cursor<'a>, version: Option<IpVersion>) -> Result<Component<'a>, Malformed> {
    let place = *cursor;
    let kind = cursor.u8()?;
    let condition = match (kind, version) {
        (1 | 2, Some(IpVersion::V4)) => {
            let length = cursor.u8()?;
            Condition::Prefix { prefix: Prefix::parse(cursor, IpVersion::V4, length)?, offset: 0 }
        }
        (1 | 2, Some(IpVersion::V6)) => ipv6_pattern(cursor)?,
        (3..=8 | 10 | 11, Some(_)) | (13, Some(IpVersion::V6)) => Condition::Number(Numbers(terms(cursor)?)),
        (9 | 12, Some(_)) => Condition::Bits(Bitmasks(terms(cursor)?)),
        _ => return Err(place.malformed(Reason::BadValue, 1)),
    };
    Ok(Component { kind, condition })
}

/// RFC 8956 section 3.1: `length u8 | offset u8 | pattern of length - offset bits`.
fn ipv6_pattern<'a>(cursor: &mut Cursor<'_>) -> Result<Condition<'a>, Malformed> {
    let place = *cursor;
    let length = cursor.u8()?;
    let offset = cursor.u8()?;
    let bits = length.checked_sub(offset).filter(|_| length <= 128);
    let Some(bits) = bits else { return Err(place.malformed(Reason::BadPrefixLength, 2)) };
    let pattern = Prefix::parse(cursor, IpVersion::V6, bits)?;
    let octets =
        u128::from_be_bytes(pattern.octets).checked_shr(u32::from(offset)).unwrap_or(0).to_be_bytes();
    Ok(Condition::Prefix { prefix: Prefix { version: IpVersion::V6, octets, length }, offset })
}

/// Octets of operator and value pairs up to the one with the end bit.
fn terms<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let octets = cursor.rest();
    loop {
        let operator = cursor.u8()?;
        cursor.skip(width(operator))?;
        if operator & END != 0 {
            return Ok(octets.get(..octets.len() - cursor.remaining()).unwrap_or_default());
        }
    }
}

const END: u8 = 0x80;
const AND: u8 = 0x40;
const LESS: u8 = 0x04;
const GREATER: u8 = 0x02;
const EQUAL: u8 = 0x01;
const NOT: u8 = 0x02;
const MATCH: u8 = 0x01;

/// Octets of the value behind an operator.
const fn width(operator: u8) -> usize {
    1 << (operator >> 4 & 3)
}

/// Terms of a number, as sent (RFC 8955 section 4.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers<'a>(&'a [u8]);

/// Terms of a bit mask, as sent (RFC 8955 section 4.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bitmasks<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    /// Operator and value of each term.
    #[must_use]
    pub const fn terms(&self) -> Terms<'a> {
        Terms { rest: self.0 }
    }
}

impl<'a> Bitmasks<'a> {
    /// Operator and value of each term.
    #[must_use]
    pub const fn terms(&self) -> Terms<'a> {
        Terms { rest: self.0 }
    }
}

/// Iterator over terms: operator and value.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    rest: &'a [u8],
}

impl Iterator for Terms<'_> {
    type Item = (u8, u64);

    fn next(&mut self) -> Option<(u8, u64)> {
        let (operator, rest) = self.rest.split_first()?;
        let (value, rest) = rest.split_at_checked(width(*operator))?;
        self.rest = rest;
        Some((*operator, value.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet))))
    }
}

/// What joins a term to the one before it: `&` for and, a blank for or.
const fn joint(index: usize, operator: u8) -> &'static str {
    match (index, operator & AND) {
        (0, _) => "",
        (_, 0) => " ",
        _ => "&",
    }
}

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.terms().enumerate().try_for_each(|(index, (operator, value))| {
            let joint = joint(index, operator);
            match operator & (LESS | GREATER | EQUAL) {
                0 => write!(f, "{joint}false"),
                EQUAL => write!(f, "{joint}={value}"),
                GREATER => write!(f, "{joint}>{value}"),
                LESS => write!(f, "{joint}<{value}"),
                comparison if comparison == (GREATER | EQUAL) => write!(f, "{joint}>={value}"),
                comparison if comparison == (LESS | EQUAL) => write!(f, "{joint}<={value}"),
                comparison if comparison == (LESS | GREATER) => write!(f, "{joint}!={value}"),
                _ => write!(f, "{joint}true"),
            }
        })
    }
}

impl fmt::Display for Bitmasks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.terms().enumerate().try_for_each(|(index, (operator, value))| {
            let not = if operator & NOT == 0 { "" } else { "!" };
            let exact = if operator & MATCH == 0 { "" } else { "=" };
            write!(f, "{}{not}{exact}{value:#x}", joint(index, operator))
        })
    }
}

/// Frames one rule.
pub(super) fn parse<'a>(
    cursor: &mut Cursor<'a>,
    version: Option<IpVersion>,
    vpn: bool,
) -> Result<Flowspec<'a>, Malformed> {
    let first = cursor.u8()?;
    let length = if first < 0xf0 {
        usize::from(first)
    } else {
        usize::from(u16::from_be_bytes([first & 0x0f, cursor.u8()?]))
    };
    let mut rule = cursor.split(length)?;
    let distinguisher = if vpn { Some(RouteDistinguisher(rule.array()?)) } else { None };
    Ok(Flowspec { version, distinguisher, octets: rule.rest(), offset: rule.offset() })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn texts(version: IpVersion, octets: &[u8]) -> Vec<(&'static str, String)> {
        let rule = parse(&mut Cursor::new(octets), Some(version), false).unwrap();
        let text = |component: Component<'_>| match component.condition {
            Condition::Prefix { prefix, offset } => std::format!("{prefix} offset {offset}"),
            Condition::Number(numbers) => numbers.to_string(),
            Condition::Bits(bits) => bits.to_string(),
        };
        rule.components().map(Result::unwrap).map(|component| (component.name(), text(component))).collect()
    }

    #[test]
    fn reads_the_examples_of_the_rfc() {
        // RFC 8955 section 4.3.1: all packets to 192.0.2.0/24 and TCP port 25.
        let octets = [0x0b, 0x01, 0x18, 0xc0, 0x00, 0x02, 0x03, 0x81, 0x06, 0x04, 0x81, 0x19];
        let expected = [("destinationPrefix", "192.0.2.0/24 offset 0"), ("protocol", "=6"), ("port", "=25")];
        assert_eq!(texts(IpVersion::V4, &octets), expected.map(|(name, text)| (name, text.into())));
        // Section 4.3.2: from 192/8, port between 137 and 139 or 8080.
        let octets =
            [0x0d, 0x02, 0x08, 0xc0, 0x04, 0x03, 0x89, 0x45, 0x8b, 0x91, 0x1f, 0x90, 0x0c, 0x80, 0x04];
        let expected =
            [("sourcePrefix", "192.0.0.0/8 offset 0"), ("port", ">=137&<=139 =8080"), ("fragment", "0x4")];
        let mut octets = octets.to_vec();
        octets[0] = 14;
        assert_eq!(texts(IpVersion::V4, &octets), expected.map(|(name, text)| (name, text.into())));
    }

    #[test]
    fn an_ipv6_pattern_stands_where_the_address_has_it() {
        // RFC 8956 section 3.8.2: bits 64-103 of the destination.
        let octets = [8, 0x01, 0x68, 0x40, 0x12, 0x34, 0x56, 0x78, 0x9a];
        let expected = [("destinationPrefix", "::1234:5678:9a00:0/104 offset 64".into())];
        assert_eq!(texts(IpVersion::V6, &octets), expected);
        let bad = [3, 0x01, 0x10, 0x40];
        let rule = parse(&mut Cursor::new(&bad), Some(IpVersion::V6), false).unwrap();
        assert!(rule.components().next().unwrap().is_err());
    }

    #[test]
    fn long_rules_have_two_octets_of_length() {
        let mut octets = std::vec![0xf0, 0xf1];
        octets.extend([4; 241]);
        let mut cursor = Cursor::new(&octets);
        let rule = parse(&mut cursor, Some(IpVersion::V4), true).unwrap();
        assert_eq!((rule.octets.len(), rule.offset, cursor.remaining()), (233, 10, 0));
        assert_eq!(rule.distinguisher, Some(RouteDistinguisher([4; 8])));
    }

    #[test]
    fn terms_without_an_end_are_truncated() {
        let octets = [3, 0x04, 0x01, 0x19];
        let rule = parse(&mut Cursor::new(&octets), Some(IpVersion::V4), false).unwrap();
        assert_eq!(rule.components().next().unwrap().unwrap_err().reason, Reason::Truncated);
    }
}
