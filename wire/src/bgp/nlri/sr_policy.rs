//! SR policies (RFC 9830 section 2.1): `length in bits u8 | distinguisher 4 | color 4 | endpoint 4 or 16`.

use core::net::IpAddr;

use crate::bgp::IpVersion;
use crate::bgp::nlri::evpn::fixed_address;
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// The key of a candidate path of an SR policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SrPolicy {
    /// Tells candidate paths of one policy apart.
    pub distinguisher: u32,
    /// The policy's color.
    pub color: u32,
    /// The policy's endpoint.
    pub endpoint: IpAddr,
}

/// Reads one policy.
pub(super) fn parse(cursor: &mut Cursor<'_>, version: IpVersion) -> Result<SrPolicy, Malformed> {
    let place = *cursor;
    if cursor.u8()? != 64 + version.bits() {
        return Err(place.malformed(Reason::BadLength, 1));
    }
    Ok(SrPolicy {
        distinguisher: cursor.u32()?,
        color: cursor.u32()?,
        endpoint: fixed_address(cursor, version)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_protocols() {
        let ipv4 = [96, 0, 0, 0, 1, 0, 0, 0, 100, 192, 0, 2, 1];
        let policy = parse(&mut Cursor::new(&ipv4), IpVersion::V4).unwrap();
        assert_eq!((policy.distinguisher, policy.color), (1, 100));
        assert_eq!(policy.endpoint, IpAddr::V4([192, 0, 2, 1].into()));
        assert!(parse(&mut Cursor::new(&ipv4), IpVersion::V6).is_err());
        let mut ipv6 = [0; 25];
        ipv6[0] = 192;
        assert!(parse(&mut Cursor::new(&ipv6), IpVersion::V6).unwrap().endpoint.is_ipv6());
    }
}
