//! One place: one line of memory with a prefix, a path, or a prefix and its first path. Fields in, fields out; which
//! places belong together is `rib::path`'s business.

use wire::bgp::{IpVersion, Prefix};

use super::attributes::{Interned, InternedId};
use super::path::NONE;
use super::table::TableId;

/// Marks labels as an entry of the interned label stacks; a single label is its 3 octets.
const STACK: u32 = 1 << 31;

/// What tells the paths of one prefix apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathKey {
    pub(crate) peer: u32,
    pub(crate) view: u8,
    pub(crate) safi: u8,
    /// ADD-PATH identifier.
    pub(crate) path_id: Option<u32>,
}

/// The labels of a path: none, one in place, or a stack that is kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labels(u32);

impl Labels {
    pub(crate) const NONE: Self = Self(NONE);

    pub(crate) const fn one([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    pub(crate) const fn stack(id: InternedId) -> Self {
        Self(id.0 | STACK)
    }

    pub(crate) const fn stack_id(self) -> Option<InternedId> {
        if self.0 == NONE || self.0 & STACK == 0 { None } else { Some(InternedId(self.0 & !STACK)) }
    }

    /// Copies the labels as on the wire, 3 octets each, as far as they fit.
    pub(crate) fn copy<'a>(self, stacks: &Interned, to: &'a mut [u8]) -> &'a [u8] {
        let octets = self.0.to_be_bytes();
        let from = match self.stack_id() {
            Some(id) => stacks.octets(id).unwrap_or(&[]),
            None if self == Self::NONE => &[],
            None => octets.get(1..).unwrap_or(&[]),
        };
        let length = from.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
            to.copy_from_slice(from);
        }
        to.get(..length).unwrap_or(&[])
    }
}

/// The place is of IPv6.
const IPV6: u8 = 1;
/// A prefix stands here.
pub(super) const PREFIX: u8 = 2;
/// A path stands here.
pub(super) const PATH: u8 = 4;
/// The path has an ADD-PATH identifier.
const PATH_ID: u8 = 8;

/// One place: a prefix with its first path, if that is still there, or a further path. Free without either.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Place {
    pub(super) octets: [u8; 16],
    pub(super) length: u8,
    pub(super) flags: u8,
    pub(super) view: u8,
    safi: u8,
    pub(super) table: u32,
    /// The next path of the same prefix.
    pub(super) next: u32,
    pub(super) peer: u32,
    path_id: u32,
    pub(crate) generation: u32,
    pub(crate) attributes: InternedId,
    pub(crate) labels: Labels,
}

const _: () = assert!(size_of::<Place>() == 64);

impl Place {
    pub(super) const fn of(prefix: &Prefix, table: TableId) -> Self {
        Self {
            octets: prefix.octets,
            length: prefix.length,
            flags: match prefix.version {
                IpVersion::V4 => 0,
                IpVersion::V6 => IPV6,
            },
            view: 0,
            safi: 0,
            table: table.0,
            next: NONE,
            peer: 0,
            path_id: 0,
            generation: 0,
            attributes: InternedId(0),
            labels: Labels::NONE,
        }
    }

    /// A place for another path of the prefix that stands here, linked before the next one.
    pub(super) const fn further(&self) -> Self {
        Self { flags: self.flags & IPV6, ..*self }
    }

    pub(super) const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) const fn prefix(&self) -> Prefix {
        let version = if self.is(IPV6) { IpVersion::V6 } else { IpVersion::V4 };
        Prefix { version, octets: self.octets, length: self.length }
    }

    /// What tells the path from the others of its prefix.
    pub(crate) fn key(&self) -> PathKey {
        let path_id = self.is(PATH_ID).then_some(self.path_id);
        PathKey { peer: self.peer, view: self.view, safi: self.safi, path_id }
    }

    pub(super) const fn set_path(
        &mut self,
        key: PathKey,
        generation: u32,
        attributes: InternedId,
        labels: Labels,
    ) {
        self.flags = self.flags & !PATH_ID | PATH | if key.path_id.is_some() { PATH_ID } else { 0 };
        (self.peer, self.view, self.safi) = (key.peer, key.view, key.safi);
        if let Some(path_id) = key.path_id {
            self.path_id = path_id;
        }
        (self.generation, self.attributes, self.labels) = (generation, attributes, labels);
    }
}
