//! BGP-LS (RFC 9552 section 5.2): `type u16 | length u16 | [RD 8] | protocol u8 | identifier 8 | descriptors`. The
//! length frames an NLRI whatever its type; unknown types are kept.

use crate::bgp::link_state::LsTlvs;
use crate::bgp::{IpVersion, RouteDistinguisher};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// One BGP-LS NLRI, framed; [`BgpLs::object`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BgpLs<'a> {
    /// NLRI type as sent.
    pub kind: u16,
    /// Whether an RD stands in front (SAFI 72).
    pub vpn: bool,
    /// The octets behind the length.
    pub octets: &'a [u8],
    /// Where they start, in octets from the start of the outermost unit.
    pub offset: usize,
}

/// What a BGP-LS NLRI names: a node, a link, a prefix, a SID.
#[derive(Debug, Clone, Copy)]
pub struct LsObject<'a> {
    /// Which VPN's (SAFI 72).
    pub distinguisher: Option<RouteDistinguisher>,
    /// Where it was learned from: see [`crate::bgp::link_state::ls_protocol_name`].
    pub protocol: u8,
    /// Routing universe.
    pub identifier: u64,
    /// Its descriptors.
    pub descriptors: LsTlvs<'a>,
}

impl<'a> BgpLs<'a> {
    /// Reads the fields in front of the descriptors.
    ///
    /// # Errors
    /// `truncated`.
    pub fn object(&self) -> Result<LsObject<'a>, Malformed> {
        let mut cursor = Cursor::with_base(self.octets, self.offset);
        let distinguisher = if self.vpn { Some(RouteDistinguisher(cursor.array()?)) } else { None };
        Ok(LsObject {
            distinguisher,
            protocol: cursor.u8()?,
            identifier: cursor.u64()?,
            descriptors: LsTlvs::new(cursor),
        })
    }

    /// The protocol of a prefix NLRI.
    #[must_use]
    pub const fn version(&self) -> Option<IpVersion> {
        match self.kind {
            3 => Some(IpVersion::V4),
            4 => Some(IpVersion::V6),
            _ => None,
        }
    }

    /// The NLRI type's name.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self.kind {
            1 => "node",
            2 => "link",
            3 => "ipv4Prefix",
            4 => "ipv6Prefix",
            5 => "tePolicy",
            6 => "srv6Sid",
            _ => return None,
        })
    }
}

/// Frames one NLRI.
pub(super) fn parse<'a>(cursor: &mut Cursor<'a>, vpn: bool) -> Result<BgpLs<'a>, Malformed> {
    let kind = cursor.u16()?;
    let length = cursor.u16()?;
    let offset = cursor.offset();
    Ok(BgpLs { kind, vpn, octets: cursor.take(usize::from(length))?, offset })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn reads_a_node_with_and_without_a_distinguisher() {
        let node = [3, 0, 0, 0, 0, 0, 0, 0, 7, 0x01, 0x00, 0, 0]; // OSPFv2, universe 7, empty local node
        let octets = [&[0, 1, 0, 13][..], &node].concat();
        let nlri = parse(&mut Cursor::new(&octets), false).unwrap();
        let object = nlri.object().unwrap();
        assert_eq!((nlri.name(), object.protocol, object.identifier), (Some("node"), 3, 7));
        assert_eq!(object.descriptors.count(), 1);
        let octets = [&[0, 1, 0, 21][..], &[9; 8], &node].concat();
        let nlri = parse(&mut Cursor::new(&octets), true).unwrap();
        assert_eq!(nlri.object().unwrap().distinguisher, Some(RouteDistinguisher([9; 8])));
        let short = BgpLs { octets: &[3, 0], ..nlri };
        assert!(short.object().is_err());
    }
}
