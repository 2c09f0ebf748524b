//! Route distinguishers: 8 octets in, text that tells every one apart out, and back.

use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

/// A route distinguisher as sent (RFC 4364 section 4.2).
///
/// Prints type 0 as `65000:1`, type 1 as `192.0.2.1:1`, type 2 as `4200000000:1`, with an `L` behind the number of
/// an AS below 65536 (`65000L:1`) so that no two print alike, and any other type as `0x` and 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RouteDistinguisher(pub [u8; 8]);

impl fmt::Display for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, _, value @ ..] = self.0;
        match self.0 {
            [0, 0, ..] => write_as2(f, value),
            [0, 1, ..] => write_ipv4(f, value),
            [0, 2, ..] => write_as4(f, value),
            octets => write!(f, "{:#018x}", u64::from_be_bytes(octets)),
        }
    }
}

/// Why a text is no route distinguisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADistinguisher;

impl fmt::Display for NotADistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not AS:number, ADDRESS:number, TYPE:AS:number or 0x and 16 hex digits")
    }
}

impl core::error::Error for NotADistinguisher {}

/// Reads what [`Display`](fmt::Display) prints, and a type in front as pmacct has it: `2:65000:1`.
///
/// An AS above 65535 makes type 2, a dotted address type 1, everything else type 0.
impl FromStr for RouteDistinguisher {
    type Err = NotADistinguisher;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            if let Some(digits) = text.strip_prefix("0x") {
                let all = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                return u64::from_str_radix(digits, 16).ok().filter(|_| all).map(u64::to_be_bytes);
            }
            let (administrator, number) = text.rsplit_once(':')?;
            let (kind, administrator) = match administrator.split_once(':') {
                Some((kind, administrator)) => (Some(kind.parse::<u16>().ok()?), administrator),
                None => (None, administrator),
            };
            let marked = administrator.strip_suffix('L');
            let [a, b, c, d] = match administrator.parse::<Ipv4Addr>() {
                Ok(address) => address.octets(),
                Err(_) => marked.unwrap_or(administrator).parse::<u32>().ok()?.to_be_bytes(),
            };
            let wide = marked.is_some() || [a, b] != [0; 2];
            let kind = kind.unwrap_or(match administrator.contains('.') {
                true => 1,
                false if wide => 2,
                false => 0,
            });
            let long: u32 = number.parse().ok()?;
            let [e, g] = u16::try_from(long).unwrap_or_default().to_be_bytes();
            let fits = u16::try_from(long).is_ok();
            match kind {
                0 if !wide => {
                    let [e, f, g, h] = long.to_be_bytes();
                    Some([0, 0, c, d, e, f, g, h])
                }
                1 if fits && administrator.contains('.') => Some([0, 1, a, b, c, d, e, g]),
                2 if fits && !administrator.contains('.') => Some([0, 2, a, b, c, d, e, g]),
                _ => None,
            }
        };
        read().map(Self).ok_or(NotADistinguisher)
    }
}

/// `AS:number` with a 2-octet AS.
pub(crate) fn write_as2(f: &mut fmt::Formatter<'_>, [a, b, c, d, e, g]: [u8; 6]) -> fmt::Result {
    write!(f, "{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g]))
}

/// `address:number`.
pub(crate) fn write_ipv4(f: &mut fmt::Formatter<'_>, [a, b, c, d, e, g]: [u8; 6]) -> fmt::Result {
    write!(f, "{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, g]))
}

/// `AS:number` with a 4-octet AS, marked where 2 octets would have held it.
pub(crate) fn write_as4(f: &mut fmt::Formatter<'_>, [a, b, c, d, e, g]: [u8; 6]) -> fmt::Result {
    let autonomous_system = u32::from_be_bytes([a, b, c, d]);
    let mark = if autonomous_system <= u32::from(u16::MAX) { "L" } else { "" };
    write!(f, "{autonomous_system}{mark}:{}", u16::from_be_bytes([e, g]))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::RouteDistinguisher;
    use std::string::ToString;

    #[test]
    fn prints_each_type_its_own_way() {
        for (octets, text) in [
            ([0, 0, 0xfd, 0xe8, 0, 0, 0, 1], "65000:1"),
            ([0, 1, 192, 0, 2, 1, 0, 1], "192.0.2.1:1"),
            ([0, 2, 0xfa, 0x56, 0xea, 0x00, 0, 1], "4200000000:1"),
            ([0, 2, 0x00, 0x00, 0xfd, 0xe8, 0, 1], "65000L:1"),
            ([0xff, 0xff, 0, 0, 0, 0, 0, 1], "0xffff000000000001"),
            ([0, 3, 0, 0, 0, 0, 0, 1], "0x0003000000000001"),
        ] {
            assert_eq!(RouteDistinguisher(octets).to_string(), text);
            assert_eq!(text.parse(), Ok(RouteDistinguisher(octets)));
        }
    }

    #[test]
    fn a_type_in_front_is_understood_and_nonsense_is_not() {
        assert_eq!("2:65000:1".parse::<RouteDistinguisher>().unwrap().to_string(), "65000L:1");
        assert_eq!("0:65000:1".parse::<RouteDistinguisher>().unwrap().to_string(), "65000:1");
        assert_eq!("1:192.0.2.1:7".parse::<RouteDistinguisher>().unwrap().to_string(), "192.0.2.1:7");
        for text in [
            "",
            "1",
            "65000",
            "a:1",
            "1:",
            ":1",
            "70000:65536",
            "192.0.2.1:65536",
            "0:70000:1",
            "3:1:1",
            "0x1",
            "1:7:1",
            "2:192.0.2.1:1",
        ] {
            assert!(text.parse::<RouteDistinguisher>().is_err(), "{text}");
        }
    }
}
