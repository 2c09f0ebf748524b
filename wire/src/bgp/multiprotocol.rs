//! Multiprotocol attributes (RFC 4760): a value in, family, next hop and the octets of NLRI out. The NLRI are read in
//! `nlri`.

use crate::bgp::{Family, NextHop};
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// Routes announced for a family (RFC 4760 section 3).
#[derive(Debug, Clone, Copy)]
pub struct MpReach<'a> {
    /// Their family.
    pub family: Family,
    /// Where their traffic goes to.
    pub next_hop: NextHop<'a>,
    /// Their NLRI.
    pub nlri: Cursor<'a>,
}

impl<'a> MpReach<'a> {
    /// Reads the value of `MP_REACH_NLRI`.
    ///
    /// # Errors
    /// `truncated`, `bad_next_hop`.
    pub fn parse(mut value: Cursor<'a>) -> Result<Self, Malformed> {
        let family = family(&mut value)?;
        let length = value.u8()?;
        let next_hop = NextHop::parse(value.split(usize::from(length))?, family)?;
        value.skip(1)?; // reserved; once the number of subnetwork points of attachment
        Ok(Self { family, next_hop, nlri: value })
    }
}

/// Routes withdrawn for a family (RFC 4760 section 4).
#[derive(Debug, Clone, Copy)]
pub struct MpUnreach<'a> {
    /// Their family.
    pub family: Family,
    /// Their NLRI; without any this marks the end of the family's table (RFC 4724 section 2).
    pub nlri: Cursor<'a>,
}

impl<'a> MpUnreach<'a> {
    /// Reads the value of `MP_UNREACH_NLRI`.
    ///
    /// # Errors
    /// `truncated`.
    pub fn parse(mut value: Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self { family: family(&mut value)?, nlri: value })
    }
}

fn family(value: &mut Cursor<'_>) -> Result<Family, Malformed> {
    Ok(Family { afi: value.u16()?, safi: value.u8()? })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::malformed::Reason;

    #[test]
    fn multiprotocol_routes_have_family_next_hop_and_nlri() {
        let mut octets = std::vec![0, 2, 1, 16]; // IPv6 unicast, next hop of 16 octets
        octets.extend_from_slice(&[0x20; 16]);
        octets.extend_from_slice(&[0, 8, 0x20]); // reserved, 2000::/8
        let reach = MpReach::parse(Cursor::new(&octets)).unwrap();
        assert_eq!((reach.family, reach.nlri.rest()), (Family::IPV6_UNICAST, &[8, 0x20][..]));
        assert_eq!(MpReach::parse(Cursor::new(&octets[..20])).unwrap_err().reason, Reason::Truncated);
        let unreach = MpUnreach::parse(Cursor::new(&[0, 2, 1])).unwrap();
        assert!(unreach.nlri.is_empty());
    }
}
