//! Route target constraints (RFC 4684 section 4): `length in bits u8 | origin AS 4 | route target 8`, cut after the
//! bits that count.

use crate::bgp::ExtendedCommunity;
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Bits of a whole constraint.
const WHOLE: u8 = 96;

/// Route targets that a router wants routes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteTarget {
    /// Bits that count: 0 wants every target, 32-96 a prefix of origin AS and target, 96 just one.
    pub length: u8,
    /// The AS that wants them; absent in the default constraint.
    pub origin_as: Option<u32>,
    /// The target; bits behind the length are zero.
    pub target: ExtendedCommunity,
}

/// Reads one constraint.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<RouteTarget, Malformed> {
    let place = *cursor;
    let length = cursor.u8()?;
    if length > WHOLE || matches!(length, 1..32) {
        return Err(place.malformed(Reason::BadPrefixLength, 1));
    }
    let octets = cursor.take(usize::from(length).div_ceil(8))?;
    let bits = octets.iter().fold(0_u128, |bits, octet| bits << 8 | u128::from(*octet));
    let bits = bits << (u32::from(WHOLE) - 8 * u32::try_from(octets.len()).unwrap_or(12));
    let kept = bits >> (WHOLE - length) << (WHOLE - length);
    let [_, _, _, _, a, b, c, d, target @ ..] = kept.to_be_bytes();
    Ok(RouteTarget {
        length,
        origin_as: (length > 0).then_some(u32::from_be_bytes([a, b, c, d])),
        target: ExtendedCommunity(target),
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn reads_default_whole_and_partial() {
        let default = parse(&mut Cursor::new(&[0])).unwrap();
        assert_eq!((default.length, default.origin_as), (0, None));
        let whole = [96, 0, 0, 0xfd, 0xe8, 0, 2, 0xfd, 0xe8, 0, 0, 0, 9];
        let whole = parse(&mut Cursor::new(&whole)).unwrap();
        assert_eq!((whole.origin_as, whole.target.to_string()), (Some(65000), "RT:65000:9".into()));
        let partial = parse(&mut Cursor::new(&[36, 0, 0, 0, 1, 0xff])).unwrap();
        assert_eq!((partial.origin_as, partial.target.0[0]), (Some(1), 0xf0));
        for bad in [1, 31, 97, 255] {
            assert!(parse(&mut Cursor::new(&[bad, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])).is_err());
        }
    }
}
