//! VPLS (RFC 4761 section 3.2.2): `length in octets u16 | RD 8 | VE ID 2 | block offset 2 | block size 2 | label
//! base 3`. BGP auto-discovery (RFC 6074) uses the family too, with an RD and a 4-octet address.

use core::net::Ipv4Addr;

use crate::bgp::RouteDistinguisher;
use crate::bgp::nlri::labeled::label;
use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// One VPLS route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vpls {
    /// Which VPLS.
    pub distinguisher: RouteDistinguisher,
    /// What it tells about it.
    pub content: VplsContent,
}

/// What a VPLS route tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VplsContent {
    /// Labels for the edges of a block (RFC 4761).
    Signaling {
        /// VPLS edge identifier.
        edge_id: u16,
        /// First edge of the block.
        block_offset: u16,
        /// Edges in the block.
        block_size: u16,
        /// Label of the block's first edge.
        label_base: u32,
    },
    /// A provider edge that takes part (RFC 6074 section 3.2.2).
    Discovery(Ipv4Addr),
}

/// Reads one route.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Vpls, Malformed> {
    let place = *cursor;
    let length = usize::from(cursor.u16()?);
    let mut route = cursor.split(length)?;
    let distinguisher = RouteDistinguisher(route.array()?);
    let content = match length {
        17 => VplsContent::Signaling {
            edge_id: route.u16()?,
            block_offset: route.u16()?,
            block_size: route.u16()?,
            label_base: label(route.array()?),
        },
        12 => VplsContent::Discovery(Ipv4Addr::from_octets(route.array()?)),
        _ => return Err(place.malformed(Reason::BadLength, 2)),
    };
    Ok(Vpls { distinguisher, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let signaling = [0, 17, 0, 0, 0, 1, 0, 0, 0, 1, 0, 5, 0, 1, 0, 10, 0x00, 0x06, 0x41];
        let vpls = parse(&mut Cursor::new(&signaling)).unwrap();
        let expected =
            VplsContent::Signaling { edge_id: 5, block_offset: 1, block_size: 10, label_base: 100 };
        assert_eq!(vpls.content, expected);
        let discovery = [0, 12, 0, 0, 0, 1, 0, 0, 0, 1, 10, 0, 0, 1];
        let vpls = parse(&mut Cursor::new(&discovery)).unwrap();
        assert_eq!(vpls.content, VplsContent::Discovery([10, 0, 0, 1].into()));
        assert!(parse(&mut Cursor::new(&signaling[..18])).is_err());
    }
}
