//! IP prefixes of the wire: a length in bits and just enough octets in, a prefix with cleared host bits out.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Which Internet protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpVersion {
    /// 32-bit addresses.
    V4,
    /// 128-bit addresses.
    V6,
}

impl IpVersion {
    /// Bits of an address.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The protocol of an AFI, if it is one of the two.
    #[must_use]
    pub const fn of_afi(afi: u16) -> Option<Self> {
        match afi {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }
}

/// An IP prefix. Bits behind the length are zero, whatever was sent (RFC 4271 section 4.3: they are irrelevant), so
/// equal prefixes are equal values.
///
/// Aligned so that an address moves as words: octets at odd places are moved one by one, and a word read from them
/// waits for the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(align(8))]
pub struct Prefix {
    /// Which protocol.
    pub version: IpVersion,
    /// The address; IPv4 stands in the first 4 octets, the others are zero.
    pub octets: [u8; 16],
    /// Length in bits.
    pub length: u8,
}

impl Prefix {
    /// A prefix from an address; a length beyond the address becomes the address's.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        let (version, bits) = match address {
            IpAddr::V4(address) => (IpVersion::V4, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (IpVersion::V6, address.to_bits()),
        };
        let length = length.min(version.bits());
        Self { version, octets: masked(bits, length).to_be_bytes(), length }
    }

    /// Reads `ceil(length / 8)` octets as a prefix of `length` bits.
    ///
    /// # Errors
    /// `bad_prefix_length` if the protocol's addresses are shorter, `truncated`.
    #[inline]
    pub fn parse(cursor: &mut Cursor<'_>, version: IpVersion, length: u8) -> Result<Self, Malformed> {
        if length > version.bits() {
            return Err(cursor.malformed(Reason::BadPrefixLength, 1));
        }
        // Whole words where the octets behind the prefix allow it: what is read too much is masked away.
        let rest = cursor.rest();
        cursor.skip(usize::from(length).div_ceil(8))?;
        let bits = match version {
            IpVersion::V4 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                u128::from(u32::from_be_bytes(padded(rest)) & mask) << 96
            }
            IpVersion::V6 => masked(u128::from_be_bytes(padded(rest)), length),
        };
        Ok(Self { version, octets: bits.to_be_bytes(), length })
    }

    /// The prefix's address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        match self.version {
            IpVersion::V4 => {
                let [a, b, c, d, ..] = self.octets;
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            IpVersion::V6 => IpAddr::V6(Ipv6Addr::from_octets(self.octets)),
        }
    }
}

/// The first `N` octets, with zeros for those that are not there.
#[inline]
fn padded<const N: usize>(octets: &[u8]) -> [u8; N] {
    if let Some(whole) = octets.first_chunk() {
        return *whole;
    }
    let mut padded = [0; N];
    padded.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    padded
}

/// The first `length` bits, the rest cleared.
fn masked(bits: u128, length: u8) -> u128 {
    bits & u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
}

/// Prints `192.0.2.0/24`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};

    fn parse(version: IpVersion, length: u8, octets: &[u8]) -> Result<String, Reason> {
        Prefix::parse(&mut Cursor::new(octets), version, length)
            .map(|prefix| prefix.to_string())
            .map_err(|malformed| malformed.reason)
    }

    #[test]
    fn reads_just_enough_octets_and_clears_host_bits() {
        assert_eq!(parse(IpVersion::V4, 0, &[]), Ok("0.0.0.0/0".into()));
        assert_eq!(parse(IpVersion::V4, 23, &[192, 0, 3]), Ok("192.0.2.0/23".into()));
        assert_eq!(parse(IpVersion::V4, 32, &[192, 0, 2, 1]), Ok("192.0.2.1/32".into()));
        assert_eq!(parse(IpVersion::V6, 32, &[0x20, 0x01, 0x0d, 0xb8]), Ok("2001:db8::/32".into()));
        assert_eq!(
            parse(IpVersion::V6, 128, &[0xff; 16]),
            Ok(std::format!("{}/128", Ipv6Addr::from_bits(u128::MAX)))
        );
        assert_eq!(parse(IpVersion::V6, 0, &[]), Ok("::/0".into()));
    }

    #[test]
    fn refuses_what_no_address_has() {
        assert_eq!(parse(IpVersion::V4, 33, &[0; 5]), Err(Reason::BadPrefixLength));
        assert_eq!(parse(IpVersion::V6, 129, &[0; 17]), Err(Reason::BadPrefixLength));
        assert_eq!(parse(IpVersion::V4, 24, &[192, 0]), Err(Reason::Truncated));
    }

    #[test]
    fn a_made_prefix_equals_a_read_one() {
        let made = Prefix::new("192.0.2.77".parse().unwrap(), 24);
        let read = Prefix::parse(&mut Cursor::new(&[192, 0, 2]), IpVersion::V4, 24).unwrap();
        assert_eq!(made, read);
        assert_eq!(Prefix::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 200).length, 128);
    }
}
