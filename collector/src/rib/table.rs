//! The tables of a router (the default one and its VRFs): what they are called, and their prefixes.

use hashbrown::HashMap;
use wire::bgp::{IpVersion, Prefix};

use super::path::{Paths, PrefixId};
use super::prefix::Trie;

/// Names a table of a router's RIB. 0 is the default table, which is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub(crate) u32);

impl TableId {
    /// The default table.
    pub const DEFAULT: Self = Self(0);
}

/// What a table is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKey {
    /// The default table.
    Default,
    /// The table of a route distinguisher.
    Distinguisher([u8; 8]),
    /// The table of a number that means something to its router only (peer type 2).
    Local([u8; 8]),
}

/// Names that routers give to the default table.
const DEFAULT_NAMES: [&str; 5] = ["global", "default", "_public_", "master", "base"];
/// Names of tables that are remembered.
const MAX_NAMES: usize = 65_536;

/// One table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) key: TableKey,
    v4: Trie,
    v6: Trie,
    /// Prefixes in it, and peers whose routes go into it.
    users: u32,
}

impl Table {
    fn new(key: TableKey) -> Self {
        Self { key, v4: Trie::default(), v6: Trie::default(), users: 0 }
    }

    pub(crate) const fn trie(&self, version: IpVersion) -> &Trie {
        match version {
            IpVersion::V4 => &self.v4,
            IpVersion::V6 => &self.v6,
        }
    }

    const fn trie_mut(&mut self, version: IpVersion) -> &mut Trie {
        match version {
            IpVersion::V4 => &mut self.v4,
            IpVersion::V6 => &mut self.v6,
        }
    }
}

/// The tables of one router.
#[derive(Debug)]
pub struct Tables {
    list: Vec<Option<Box<Table>>>,
    free: Vec<u32>,
    by_key: HashMap<TableKey, TableId>,
    by_name: HashMap<Box<str>, TableId>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            list: vec![Some(Box::new(Table::new(TableKey::Default)))],
            free: Vec::new(),
            by_key: [(TableKey::Default, TableId::DEFAULT)].into_iter().collect(),
            by_name: HashMap::new(),
        }
    }
}

impl Tables {
    /// The table that is known by this key.
    #[must_use]
    pub fn find(&self, key: TableKey) -> Option<TableId> {
        self.by_key.get(&key).copied()
    }

    /// The table that a Peer Up gave this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<TableId> {
        let known = self.by_name.get(name).copied();
        known.or_else(|| is_default_name(name).then_some(TableId::DEFAULT))
    }

    /// What a table is known by.
    #[must_use]
    pub fn key(&self, id: TableId) -> Option<TableKey> {
        self.get(id).map(|table| table.key)
    }

    /// All tables.
    pub fn ids(&self) -> impl Iterator<Item = TableId> {
        (0..).map(TableId).zip(&self.list).filter(|(_, table)| table.is_some()).map(|(id, _)| id)
    }

    /// Names with their tables.
    pub fn names(&self) -> impl Iterator<Item = (&str, TableId)> {
        self.by_name.iter().map(|(name, &id)| (&**name, id))
    }

    /// Places of tables, free ones included.
    pub(crate) const fn places(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, id: TableId) -> Option<&Table> {
        self.list.get(id.0 as usize)?.as_deref()
    }

    fn get_mut(&mut self, id: TableId) -> Option<&mut Table> {
        self.list.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// The table of a key, made if there are fewer than `limit`.
    pub(crate) fn resolve(&mut self, key: TableKey, limit: usize) -> Option<TableId> {
        if let Some(&id) = self.by_key.get(&key) {
            return Some(id);
        }
        if self.by_key.len() >= limit.max(1) {
            return None;
        }
        let table = Some(Box::new(Table::new(key)));
        let place = match self.free.pop() {
            Some(place) => {
                *self.list.get_mut(place as usize)? = table;
                place
            }
            None => {
                self.list.push(table);
                u32::try_from(self.list.len() - 1).ok()?
            }
        };
        self.by_key.insert(key, TableId(place));
        Some(TableId(place))
    }

    /// Remembers what a router calls a table.
    pub(crate) fn name(&mut self, id: TableId, name: &str) {
        if self.by_name.get(name) != Some(&id) && self.by_name.len() < MAX_NAMES {
            self.by_name.insert(name.into(), id);
        }
    }

    /// Octets that all tables take to find prefixes.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.list.iter().flatten().map(|table| table.v4.octets() + table.v6.octets()).sum()
    }

    /// Something needs the table: a peer.
    pub(crate) fn hold(&mut self, id: TableId) {
        if let Some(table) = self.get_mut(id) {
            table.users += 1;
        }
    }

    /// Something does not need the table any more; without a user it is gone.
    pub(crate) fn release(&mut self, id: TableId) {
        let Some(table) = self.get_mut(id) else { return };
        table.users = table.users.saturating_sub(1);
        if table.users > 0 || id == TableId::DEFAULT {
            return;
        }
        let key = table.key;
        self.by_key.remove(&key);
        self.by_name.retain(|_, named| *named != id);
        if let Some(place) = self.list.get_mut(id.0 as usize) {
            *place = None;
        }
        self.free.push(id.0);
    }

    pub(crate) fn insert(&mut self, id: TableId, prefix: &Prefix, as_id: PrefixId, paths: &Paths) {
        if let Some(table) = self.get_mut(id) {
            table.trie_mut(prefix.version).insert(prefix, as_id, id, paths);
            table.users += 1;
        }
    }

    /// What tables keep of a prefix has changed.
    pub(crate) fn refresh(&mut self, id: TableId, prefix: &Prefix, as_id: PrefixId, paths: &Paths) {
        if let Some(table) = self.get_mut(id) {
            table.trie_mut(prefix.version).refresh(prefix, as_id, paths);
        }
    }

    pub(crate) fn remove(&mut self, id: TableId, prefix: &Prefix, was: PrefixId, paths: &Paths) {
        if let Some(table) = self.get_mut(id) {
            table.trie_mut(prefix.version).remove(prefix, was, id, paths);
        }
        self.release(id);
    }
}

fn is_default_name(name: &str) -> bool {
    DEFAULT_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}
