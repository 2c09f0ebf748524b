//! A RIB as octets: tables, peers, attributes and label stacks, then every path that counts. Dead paths are not
//! told, and generations begin anew.

use serde::{Deserialize, Serialize};
use wire::bgp::{Family, IpVersion, Prefix};

use super::peer::{Dump, VIEWS, view_at};
use super::place::Labels;
use super::{
    Interned, InternedId, PeerFacts, PeerId, PeerKey, Rib, RibLimits, Route, Standing, TableId, TableKey,
};
use crate::saved::{Reader, Refused, Writer};

#[derive(Serialize, Deserialize)]
struct Head {
    sessions: u32,
    opened_ns: u64,
    dump_running: [bool; 2],
}

#[derive(Serialize, Deserialize)]
enum SavedTable {
    Default,
    Distinguisher([u8; 8]),
    Local([u8; 8]),
}

#[derive(Serialize, Deserialize)]
struct SavedPeer {
    kind: u8,
    distinguisher: [u8; 8],
    address: [u8; 16],
    bgp_id: u32,
    mapped: Option<[u8; 16]>,
    autonomous_system: u32,
    external: bool,
    /// Position in the list of tables.
    table: u32,
    session: u64,
    stale_since: Option<u64>,
    views: [SavedView; VIEWS],
}

#[derive(Default, Serialize, Deserialize)]
struct SavedView {
    old_until: Option<u64>,
    families: Vec<(u16, u8, bool, u64)>,
}

#[derive(Serialize, Deserialize)]
struct SavedPath<'a> {
    table: u32,
    peer: u32,
    view: u8,
    safi: u8,
    path_id: Option<u32>,
    is_ipv6: bool,
    length: u8,
    prefix: &'a [u8],
    attributes: u32,
    /// In place, or `None` and a position in the list of stacks.
    label: Option<[u8; 3]>,
    stack: Option<u32>,
    /// Of the generation before the last one.
    is_old: bool,
}

impl From<TableKey> for SavedTable {
    fn from(key: TableKey) -> Self {
        match key {
            TableKey::Default => Self::Default,
            TableKey::Distinguisher(rd) => Self::Distinguisher(rd),
            TableKey::Local(number) => Self::Local(number),
        }
    }
}

impl From<SavedTable> for TableKey {
    fn from(saved: SavedTable) -> Self {
        match saved {
            SavedTable::Default => Self::Default,
            SavedTable::Distinguisher(rd) => Self::Distinguisher(rd),
            SavedTable::Local(number) => Self::Local(number),
        }
    }
}

/// The peers of a saved RIB as they were numbered, with the numbers that they have now.
pub(crate) type Renumbered = Vec<Option<PeerId>>;

impl Rib {
    /// Appends the RIB.
    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        let (sessions, opened_ns, dump_running) = (self.sessions, self.opened_ns, self.dump_running);
        to.put(&Head { sessions, opened_ns, dump_running });
        let tables = self.tables.places();
        to.put(&(tables as u64));
        for place in 0..tables {
            let id = TableId(u32::try_from(place).unwrap_or(u32::MAX));
            to.put(&self.tables.key(id).map(SavedTable::from));
        }
        let names: Vec<(&str, u32)> = self.tables.names().map(|(name, id)| (name, id.0)).collect();
        to.put(&names);
        to.put(&(self.peers.list.len() as u64));
        for place in 0..self.peers.list.len() {
            let id = PeerId(u32::try_from(place).unwrap_or(u32::MAX));
            to.put(&self.peers.get(id).map(saved_peer));
        }
        save_interned(&self.attributes, to);
        save_interned(&self.stacks, to);
        let mut next = 0;
        while let Some(id) = self.next_path(next) {
            next = id.0.saturating_add(1);
            self.save_path(id, to);
        }
        to.put(&None::<SavedPath<'_>>);
    }

    fn save_path(&self, id: super::PathId, to: &mut Writer<'_>) {
        let (Some(path), Some(view)) = (self.paths.get(id), self.view(id)) else { return };
        if view.standing == Standing::Dead {
            return;
        }
        let octets = usize::from(view.prefix.length).div_ceil(8);
        let key = path.key();
        let generation = self
            .peers
            .list
            .get(key.peer as usize)
            .and_then(|peer| peer.views.get(usize::from(key.view)).map(|view| view.generation));
        let stack = path.labels.stack_id();
        let mut label = [0; 3];
        let has_label = stack.is_none() && !path.labels.copy(&self.stacks, &mut label).is_empty();
        to.put(&Some(SavedPath {
            table: self.paths.prefix(id.0).map_or(0, |(_, table)| table.0),
            peer: key.peer,
            view: key.view,
            safi: key.safi,
            path_id: key.path_id,
            is_ipv6: view.prefix.version == IpVersion::V6,
            length: view.prefix.length,
            prefix: view.prefix.octets.get(..octets).unwrap_or_default(),
            attributes: path.attributes.0,
            label: has_label.then_some(label),
            stack: stack.map(|id| id.0),
            is_old: generation != Some(path.generation),
        }));
    }

    /// Reads a RIB, within these limits.
    pub(crate) fn restore(from: &mut Reader<'_>, limits: &RibLimits) -> Result<(Self, Renumbered), Refused> {
        let head: Head = from.take()?;
        let mut rib = Self { opened_ns: head.opened_ns, dump_running: head.dump_running, ..Self::default() };
        rib.sessions = head.sessions;
        let mut tables = Vec::new();
        for _ in 0..from.count()? {
            let key: Option<SavedTable> = from.take()?;
            tables.push(match key {
                Some(key) => {
                    let table =
                        rib.tables.resolve(key.into(), limits.tables).ok_or(Refused::TooMany("tables"))?;
                    // Held until its users are there.
                    rib.tables.hold(table);
                    Some(table)
                }
                None => None,
            });
        }
        let names: Vec<(&str, u32)> = from.take()?;
        for (name, table) in names {
            rib.tables.name(known(&tables, table)?, name);
        }
        let mut peers = Vec::new();
        for _ in 0..from.count()? {
            let peer: Option<SavedPeer> = from.take()?;
            peers.push(match peer {
                Some(peer) => Some(rib.restore_peer(&peer, known(&tables, peer.table)?)?),
                None => None,
            });
        }
        let attributes = restore_interned(&mut rib.attributes, from, limits.attribute_octets)?;
        let left = limits.attribute_octets.saturating_sub(rib.attributes.held_octets());
        let stacks = restore_interned(&mut rib.stacks, from, left)?;
        while let Some(path) = from.take::<Option<SavedPath<'_>>>()? {
            let table = known(&tables, path.table)?;
            let peer = known(&peers, path.peer)?;
            let interned = known(&attributes, path.attributes)?;
            let labels = match (path.label, path.stack) {
                (Some(label), _) => Labels::one(label),
                (None, Some(stack)) => Labels::stack(known(&stacks, stack)?),
                (None, None) => Labels::NONE,
            };
            rib.restore_path(&path, table, peer, interned, labels, limits)?;
        }
        for table in tables.into_iter().flatten() {
            rib.tables.release(table);
        }
        for id in attributes.into_iter().flatten() {
            rib.attributes.release(id);
        }
        for id in stacks.into_iter().flatten() {
            rib.stacks.release(id);
        }
        rib.old_until = rib.peers.next_old_until();
        // Whatever was saved that counts no longer.
        rib.start_sweep();
        Ok((rib, peers))
    }

    fn restore_peer(&mut self, saved: &SavedPeer, table: TableId) -> Result<PeerId, Refused> {
        let facts = PeerFacts {
            key: PeerKey {
                kind: saved.kind,
                distinguisher: saved.distinguisher,
                address: saved.address,
                bgp_id: saved.bgp_id,
            },
            address: saved.mapped,
            autonomous_system: saved.autonomous_system,
            external: saved.external,
            table,
        };
        self.tables.hold(table);
        let id = self.peers.add_new(facts, saved.session);
        for (place, saved) in (0..).zip(&saved.views) {
            let view = view_at(place).ok_or(Refused::Damaged)?;
            let Some(view) = self.peers.view_mut(id, view) else { continue };
            // Paths of the generation before count as generation 0.
            view.generation = 1;
            view.old_until = saved.old_until;
            view.families = saved
                .families
                .iter()
                .take(super::peer::MAX_FAMILIES)
                .map(|&(afi, safi, ended, last_ns)| Dump { family: Family::new(afi, safi), ended, last_ns })
                .collect();
        }
        if let Some(since) = saved.stale_since {
            self.peers.lose(id, since);
        }
        Ok(id)
    }

    fn restore_path(
        &mut self,
        saved: &SavedPath<'_>,
        table: TableId,
        peer: PeerId,
        attributes: InternedId,
        labels: Labels,
        limits: &RibLimits,
    ) -> Result<(), Refused> {
        let version = if saved.is_ipv6 { IpVersion::V6 } else { IpVersion::V4 };
        let prefix = Prefix::parse(&mut wire::Cursor::new(saved.prefix), version, saved.length)
            .map_err(|_| Refused::Damaged)?;
        let view = view_at(saved.view).ok_or(Refused::Damaged)?;
        if self.paths.held() >= limits.paths {
            return Err(Refused::TooMany("paths"));
        }
        let afi = if saved.is_ipv6 { 2 } else { 1 };
        let family = Family::new(afi, saved.safi);
        let route = Route { peer, view, family, prefix, rd: None, path_id: saved.path_id, labels: &[] };
        let key = super::change::key(&route);
        self.tables.get(table).ok_or(Refused::Damaged)?;
        let known = self.paths.find_prefix(table, &prefix);
        if known.is_some_and(|known| self.paths.find(known, key).is_some()) {
            return Err(Refused::Damaged);
        }
        self.attributes.hold(attributes);
        if let Some(stack) = labels.stack_id() {
            self.stacks.hold(stack);
        }
        let generation = u32::from(!saved.is_old);
        self.add(table, &prefix, known, key, generation, attributes, labels)
            .ok_or(Refused::TooMany("paths"))?;
        self.peers.path_made(peer.0);
        Ok(())
    }
}

fn saved_peer(peer: &super::Peer) -> SavedPeer {
    let facts = &peer.facts;
    SavedPeer {
        kind: facts.key.kind,
        distinguisher: facts.key.distinguisher,
        address: facts.key.address,
        bgp_id: facts.key.bgp_id,
        mapped: facts.address,
        autonomous_system: facts.autonomous_system,
        external: facts.external,
        table: facts.table.0,
        session: peer.session,
        stale_since: peer.stale_since,
        views: std::array::from_fn(|place| {
            let Some(view) = peer.views.get(place) else { return SavedView::default() };
            let family = |dump: &Dump| (dump.family.afi, dump.family.safi, dump.ended, dump.last_ns);
            SavedView { old_until: view.old_until, families: view.families.iter().map(family).collect() }
        }),
    }
}

/// What stands at a position of a list that was read.
fn known<T: Copy>(list: &[Option<T>], place: u32) -> Result<T, Refused> {
    list.get(place as usize).copied().flatten().ok_or(Refused::Damaged)
}

fn save_interned(interned: &Interned, to: &mut Writer<'_>) {
    let places = u32::try_from(interned.places()).unwrap_or(u32::MAX);
    to.put(&u64::from(places));
    for place in 0..places {
        to.put(&interned.octets(InternedId(place)));
    }
}

fn restore_interned(
    to: &mut Interned,
    from: &mut Reader<'_>,
    limit: usize,
) -> Result<Vec<Option<InternedId>>, Refused> {
    let mut ids = Vec::new();
    for _ in 0..from.count()? {
        let octets: Option<&[u8]> = from.take()?;
        ids.push(match octets {
            Some(octets) => {
                Some(to.intern(octets, limit).map_err(|_| Refused::TooMany("octets of attributes"))?)
            }
            None => None,
        });
    }
    Ok(ids)
}
