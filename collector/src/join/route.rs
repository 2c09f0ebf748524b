//! A route that a flow was joined with. What many routes have in common is an entry of a book, written by the worker
//! and read by the sinks; the prefix and whether it is stale come from the row.
//!
//! ```text
//! | flags 1 | view 1 | peer AS 4 | peer 16 | RD 8 | labels n 1 | labels 3 x n | attributes .. |
//! flags: 4 has a peer address, 8 has an RD
//! ```

use wire::Cursor;
use wire::bgp::Prefix;
use wire::bmp::RibView;

use crate::rib::peer::{view_at, view_index};

/// Labels of a route that are handed out.
pub(crate) const MAX_LABEL_OCTETS: usize = 3 * 16;

/// Octets of an entry before its labels.
const HEAD: usize = 2 + 4 + 16 + 8 + 1;

const HAS_PEER: u8 = 4;
const HAS_RD: u8 = 8;

/// A route that a flow was joined with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinedRoute<'a> {
    /// Its prefix.
    pub prefix: Prefix,
    /// Address of the peer that it was learnt from, IPv4 as IPv4-mapped; `None` for a Loc-RIB.
    pub peer: Option<[u8; 16]>,
    /// Autonomous system of that peer; of the router itself for a Loc-RIB.
    pub peer_as: u32,
    /// The view that it was found in.
    pub view: RibView,
    /// The RD of its table; `None` for the default one.
    pub rd: Option<[u8; 8]>,
    /// Its labels as on the wire, 3 octets each.
    pub labels: &'a [u8],
    /// Whether it is from before the BMP session was lost.
    pub stale: bool,
    /// Path attributes in canonical form (`rib::attributes`).
    pub attributes: &'a [u8],
}

/// An entry of a [`Book`](super::Book): all of a route but its prefix and whether it is stale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteOctets<'a>(pub(crate) &'a [u8]);

impl<'a> RouteOctets<'a> {
    /// Appends the octets of a route.
    pub(crate) fn write(route: &JoinedRoute<'_>, to: &mut Vec<u8>) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let labels = u8::try_from(route.labels.len() / 3).unwrap_or(u8::MAX);
        to.reserve(HEAD + route.labels.len() + route.attributes.len());
        to.push(flag(route.peer.is_some(), HAS_PEER) | flag(route.rd.is_some(), HAS_RD));
        to.push(u8::try_from(view_index(route.view)).unwrap_or(u8::MAX));
        to.extend_from_slice(&route.peer_as.to_be_bytes());
        to.extend_from_slice(&route.peer.unwrap_or_default());
        to.extend_from_slice(&route.rd.unwrap_or_default());
        to.push(labels);
        to.extend_from_slice(route.labels.get(..usize::from(labels) * 3).unwrap_or_default());
        to.extend_from_slice(route.attributes);
    }

    /// Reads the route of a row back. `None`: the octets are not one.
    pub(crate) fn read(self, prefix: Prefix, stale: bool) -> Option<JoinedRoute<'a>> {
        let mut cursor = Cursor::new(self.0);
        let flags = cursor.u8().ok()?;
        let view = view_at(cursor.u8().ok()?)?;
        let peer_as = cursor.u32().ok()?;
        let peer = cursor.array().ok()?;
        let rd = cursor.array().ok()?;
        let labels = usize::from(cursor.u8().ok()?);
        let labels = cursor.take(labels * 3).ok()?;
        Some(JoinedRoute {
            prefix,
            peer: (flags & HAS_PEER != 0).then_some(peer),
            peer_as,
            view,
            rd: (flags & HAS_RD != 0).then_some(rd),
            labels,
            stale,
            attributes: cursor.rest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_routes_read_back() {
        let route = JoinedRoute {
            prefix: Prefix::new("2001:db8::".parse().unwrap(), 32),
            peer: None,
            peer_as: 65_000,
            view: RibView::LocRib,
            rd: Some([0, 0, 0xfd, 0xe8, 0, 0, 0, 1]),
            labels: &[0, 1, 1],
            stale: true,
            attributes: &[0x40, 1, 1, 0],
        };
        let mut octets = Vec::new();
        RouteOctets::write(&route, &mut octets);
        assert_eq!(RouteOctets(&octets).read(route.prefix, true), Some(route));
        let other = JoinedRoute { peer: Some([1; 16]), rd: None, labels: &[], stale: false, ..route };
        octets.clear();
        RouteOctets::write(&other, &mut octets);
        assert_eq!(RouteOctets(&octets).read(route.prefix, false), Some(other));
        assert_eq!(RouteOctets(&octets[..HEAD - 1]).read(route.prefix, false), None);
    }
}
