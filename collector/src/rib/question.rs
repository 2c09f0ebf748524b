//! What a RIB is told and asked, and what it answers: routes, addresses to look up, paths found.

use wire::bgp::{Family, IpVersion, Prefix};
use wire::bmp::RibView;

use super::path::{self, PathId};
use super::peer::{PeerFacts, PeerId, Standing};
use super::table::{TableId, TableKey};
use crate::schema::PickedBy;

/// Whose and which route a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The peer.
    pub peer: PeerId,
    /// The view.
    pub view: RibView,
    /// The family of the NLRI.
    pub family: Family,
    /// The prefix, in the address form of its family.
    pub prefix: Prefix,
    /// RD of the NLRI, where the family has one.
    pub rd: Option<[u8; 8]>,
    /// ADD-PATH identifier.
    pub path_id: Option<u32>,
    /// Labels as on the wire, 3 octets each.
    pub labels: &'a [u8],
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// In which table.
    pub table: TableId,
    /// Which protocol.
    pub version: IpVersion,
    /// The address; IPv4 in the first 4 octets, the others zero.
    pub address: [u8; 16],
    /// The flow's next hop, IPv4 as IPv4-mapped: chooses among paths.
    pub next_hop: Option<[u8; 16]>,
}

/// What is looked up in one table, side by side.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// In which table.
    pub table: TableId,
    /// Which protocol.
    pub version: IpVersion,
    /// The addresses as numbers; IPv4 in the low 32 bits.
    pub addresses: &'a [u128],
    /// The flows' next hops, IPv4 as IPv4-mapped, zeros for none: choose among paths. Empty: there are none.
    pub next_hops: &'a [[u8; 16]],
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path; of no meaning unless [`Found::is_found`].
    pub path: PathId,
    /// Why this one.
    pub picked_by: PickedBy,
    /// Whether it is from before its session was lost.
    pub stale: bool,
}

impl Found {
    /// No path.
    pub const NOTHING: Self = Self { path: PathId(path::NONE), picked_by: PickedBy::Only, stale: false };

    /// Whether there is a path.
    #[must_use]
    pub const fn is_found(&self) -> bool {
        self.path.0 != path::NONE
    }
}

/// One path with all that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct PathView<'a> {
    /// Its prefix.
    pub prefix: Prefix,
    /// The table it is in.
    pub table: TableKey,
    /// Its peer.
    pub peer: &'a PeerFacts,
    /// Id of the BMP session that told it.
    pub session: u64,
    /// Its view.
    pub view: RibView,
    /// Its subsequent address family.
    pub safi: u8,
    /// ADD-PATH identifier.
    pub path_id: Option<u32>,
    /// Canonical attributes.
    pub attributes: &'a [u8],
    /// Whether it counts.
    pub standing: Standing,
}
