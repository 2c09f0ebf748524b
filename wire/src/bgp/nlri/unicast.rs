//! Unicast and multicast prefixes (RFC 4271 section 4.3, RFC 4760 section 5): `length in bits u8 | octets`.

use crate::bgp::{IpVersion, Prefix};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Reads one prefix. An error stands at the prefix's own length octet, where an operator looks for it.
#[inline]
pub(super) fn parse(cursor: &mut Cursor<'_>, version: IpVersion) -> Result<Prefix, Malformed> {
    let place = *cursor;
    let length = cursor.u8()?;
    Prefix::parse(cursor, version, length).map_err(|malformed| at(place, malformed))
}

#[cold]
fn at(place: Cursor<'_>, malformed: Malformed) -> Malformed {
    Malformed::new(malformed.reason, place.offset(), 1 + usize::try_from(malformed.length).unwrap_or(0))
}
