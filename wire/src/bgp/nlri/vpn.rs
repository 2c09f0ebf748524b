//! Prefixes in VPNs (RFC 4364 section 4.3.4, RFC 4659 section 3.2): `length in bits u8 | labels | RD 8 | prefix`.

use crate::bgp::nlri::labeled::{self, Labels};
use crate::bgp::{IpVersion, Prefix, RouteDistinguisher};
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Bits of a route distinguisher.
const DISTINGUISHER_BITS: u8 = 64;

/// A prefix of a VPN and its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vpn<'a> {
    /// The label stack; in a withdrawal it means nothing.
    pub labels: Labels<'a>,
    /// Which VPN's.
    pub distinguisher: RouteDistinguisher,
    /// The prefix.
    pub prefix: Prefix,
}

/// Reads one prefix of a VPN.
pub(super) fn parse<'a>(
    cursor: &mut Cursor<'a>,
    version: IpVersion,
    multiple: bool,
    withdraw: bool,
) -> Result<Vpn<'a>, Malformed> {
    let place = *cursor;
    let bits = cursor.u8()?;
    let (labels, bits) = labeled::stack(cursor, place, bits, multiple, withdraw)?;
    let bits = bits
        .checked_sub(DISTINGUISHER_BITS)
        .filter(|bits| *bits <= version.bits())
        .ok_or_else(|| place.malformed(Reason::BadPrefixLength, 1))?;
    let distinguisher = RouteDistinguisher(cursor.array()?);
    Ok(Vpn { labels, distinguisher, prefix: Prefix::parse(cursor, version, bits)? })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    const VPNV4: [u8; 15] = [
        112, // 24 + 64 + 24 bits
        0x00, 0x06, 0x41, // label 100, bottom
        0, 0, 0xfd, 0xe8, 0, 0, 0, 1, // RD 65000:1
        192, 0, 2, // 192.0.2.0/24
    ];

    #[test]
    fn reads_labels_distinguisher_and_prefix() {
        let mut cursor = Cursor::new(&VPNV4);
        let vpn = parse(&mut cursor, IpVersion::V4, false, false).unwrap();
        assert_eq!(vpn.labels.collect::<Vec<_>>(), [100]);
        assert_eq!(vpn.distinguisher.to_string(), "65000:1");
        assert_eq!(vpn.prefix.to_string(), "192.0.2.0/24");
        assert!(cursor.is_empty());
    }

    #[test]
    fn bits_must_hold_a_distinguisher_and_no_more_than_an_address() {
        for bits in [24, 87, 121, 255] {
            let mut octets = [0; 40];
            octets[..15].copy_from_slice(&VPNV4);
            octets[0] = bits;
            let malformed = parse(&mut Cursor::new(&octets), IpVersion::V4, false, false).unwrap_err();
            assert_eq!((malformed.reason, malformed.offset), (Reason::BadPrefixLength, 0), "{bits}");
        }
    }
}
