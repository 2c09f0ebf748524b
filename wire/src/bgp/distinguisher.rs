//! Route distinguishers: 8 octets in, text that tells every one apart out.

use core::fmt;
use core::net::Ipv4Addr;

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
        }
    }
}
