//! The peers of one BMP session: per-peer headers and Peer Ups in, the rules by which their UPDATEs read out.

use hashbrown::HashMap;
use wire::bgp::{AsWidth, FamilySet, Session as Rules};
use wire::bmp::{PeerHeader, PeerType, PeerUp, RibView};

use crate::rib::attributes::Stamp;
use crate::rib::peer::{VIEWS, view_index};
use crate::rib::{PeerFacts, PeerId, PeerKey, Rib, RibLimits, TableId, TableKey};

/// One peer of one BMP session.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The same peer in the RIB.
    pub(crate) rib: PeerId,
    /// Where its routes without RD go.
    pub(crate) table: TableId,
    pub(crate) up: bool,
    /// It sent routes without a Peer Up.
    pub(crate) assumed: bool,
    /// Whether a Peer Up named its routes before policy, after policy: some routers send one for each.
    pub(crate) told: [bool; 2],
    /// Families of both OPENs.
    pub(crate) families: FamilySet,
    pub(crate) rules: [Rules; VIEWS],
    /// When it came up or went down, unix ns.
    pub(crate) since_unix_ns: u64,
    pub(crate) name: Option<Box<str>>,
    /// Announcements and withdrawals since the session began.
    pub(crate) routes: u64,
    /// Its key in the dictionary of the open batch, for these flags.
    pub(crate) stamp: Stamp,
    pub(crate) stamp_flags: u8,
}

/// No room for another peer, or for the table of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The peers of one session.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    pub(crate) by_key: HashMap<PeerKey, Peer>,
}

/// What tells the peer of a header from others.
pub(crate) fn key(header: &PeerHeader) -> PeerKey {
    PeerKey {
        kind: header.kind,
        distinguisher: header.distinguisher,
        address: header.address_octets,
        bgp_id: header.bgp_id.to_bits(),
    }
}

/// The table that routes of a peer without an RD of their own belong to.
fn table_key(header: &PeerHeader) -> TableKey {
    match (header.peer_type(), header.distinguisher) {
        (PeerType::Global, _) | (_, [0, 0, 0, 0, 0, 0, 0, 0]) => TableKey::Default,
        (PeerType::RouteDistinguisher | PeerType::LocRib, rd) => TableKey::Distinguisher(rd),
        (PeerType::Local | PeerType::Other(_), number) => TableKey::Local(number),
    }
}

fn facts(header: &PeerHeader, table: TableId, external: bool) -> PeerFacts {
    let is_loc_rib = header.peer_type() == PeerType::LocRib;
    PeerFacts {
        key: key(header),
        address: (!is_loc_rib).then(|| crate::sixteen(header.address())),
        autonomous_system: header.autonomous_system,
        external,
        table,
    }
}

impl Peers {
    /// The peer of a header that is up. Some routers give another BGP identifier than in the Peer Up: if only one
    /// peer has the rest of the key, it is that one.
    pub(crate) fn find(&mut self, header: &PeerHeader) -> Option<&mut Peer> {
        let key = key(header);
        if !self.by_key.contains_key(&key) {
            let same = |other: &&PeerKey| PeerKey { bgp_id: key.bgp_id, ..**other } == key;
            let mut others = self.by_key.keys().filter(same);
            let only = others.next().copied().filter(|_| others.next().is_none())?;
            return self.by_key.get_mut(&only).filter(|peer| peer.up);
        }
        self.by_key.get_mut(&key).filter(|peer| peer.up)
    }

    /// A peer came up. One that was up already went down unseen: its routes are gone, unless this Peer Up is for
    /// the other side of its policy, or for more families of a Loc-RIB (RFC 9069 section 6.1.1).
    pub(crate) fn up(
        &mut self,
        message: &PeerUp<'_>,
        session: u64,
        unix_ns: u64,
        rib: &mut Rib,
        limits: &RibLimits,
        max_peers: usize,
    ) -> Result<(), TooMany> {
        let header = &message.peer;
        let rules = RibView::ALL.map(|view| message.session(view));
        let (sent_open, received_open) = message.agreed();
        let sent: FamilySet = sent_open.families().collect();
        let families = sent.intersection(received_open.families().collect());
        let external = sent_open.autonomous_system() != header.autonomous_system;
        let is_loc_rib = header.peer_type() == PeerType::LocRib;
        let told = usize::from(header.is_post_policy());
        let peer = self.add(header, external && !is_loc_rib, session, rib, limits, max_peers)?;
        let adds_families = is_loc_rib && peer.families.intersection(families) == FamilySet::EMPTY;
        let is_other_side = !is_loc_rib && peer.told.get(told) == Some(&false);
        let goes_on = peer.up && !peer.assumed && (adds_families || is_other_side);
        if goes_on {
            for (merged, rules) in peer.rules.iter_mut().zip(rules) {
                *merged = if is_loc_rib { merged.merged(rules) } else { rules };
            }
        } else {
            if peer.up {
                rib.peer_down(peer.rib, RibView::ALL.into_iter());
            }
            peer.rules = rules;
            peer.told = [false; 2];
            peer.families = FamilySet::EMPTY;
            peer.since_unix_ns = unix_ns;
        }
        peer.up = true;
        peer.assumed = false;
        peer.families = peer.families.union(families);
        if let Some(told) = peer.told.get_mut(told) {
            *told = true;
        }
        if let Some(name) = message.table_name().and_then(|name| name.valid()) {
            rib.name_table(peer.table, name);
            peer.name = Some(name.into());
        }
        Ok(())
    }

    /// A peer whose Peer Up was never seen and that sends routes: it is taken to speak with 4-octet AS numbers
    /// and without path identifiers.
    pub(crate) fn assume(
        &mut self,
        header: &PeerHeader,
        session: u64,
        unix_ns: u64,
        rib: &mut Rib,
        limits: &RibLimits,
        max_peers: usize,
    ) -> Result<&mut Peer, TooMany> {
        let peer = self.add(header, false, session, rib, limits, max_peers)?;
        peer.up = true;
        peer.assumed = true;
        peer.rules = [Rules::FOUR_OCTET; VIEWS];
        peer.since_unix_ns = unix_ns;
        Ok(peer)
    }

    /// A peer went down: its routes of all views are gone. Returns whether it was up.
    pub(crate) fn down(&mut self, header: &PeerHeader, unix_ns: u64, rib: &mut Rib) -> bool {
        let Some(peer) = self.find(header) else { return false };
        rib.peer_down(peer.rib, RibView::ALL.into_iter());
        peer.up = false;
        peer.assumed = false;
        peer.told = [false; 2];
        peer.since_unix_ns = unix_ns;
        true
    }

    /// The peer of a header, put in if there is room: at the limit one that is down makes place.
    fn add(
        &mut self,
        header: &PeerHeader,
        external: bool,
        session: u64,
        rib: &mut Rib,
        limits: &RibLimits,
        max_peers: usize,
    ) -> Result<&mut Peer, TooMany> {
        let key = key(header);
        if !self.by_key.contains_key(&key) && self.by_key.len() >= max_peers {
            let down = self.by_key.iter().find(|(_, peer)| !peer.up).map(|(key, _)| *key).ok_or(TooMany)?;
            if let Some(peer) = self.by_key.remove(&down) {
                rib.remove_peer(peer.rib);
            }
        }
        // The table may have to be made: before the entry, which must not be left half done.
        let table = rib.table(table_key(header), limits).ok_or(TooMany)?;
        Ok(self.by_key.entry(key).or_insert_with(|| Peer {
            rib: rib.add_peer(facts(header, table, external), session, limits),
            table,
            up: false,
            assumed: false,
            told: [false; 2],
            families: FamilySet::EMPTY,
            rules: [Rules::FOUR_OCTET; VIEWS],
            since_unix_ns: 0,
            name: None,
            routes: 0,
            stamp: Stamp::default(),
            stamp_flags: 0,
        }))
    }
}

impl Peer {
    /// The rules for one message: those of its view, AS numbers as wide as its flag A says (RFC 7854 section 4.2).
    pub(crate) fn rules(&self, header: &PeerHeader) -> Rules {
        let rules = self.rules.get(view_index(header.rib_view())).copied().unwrap_or_default();
        let as_width = if header.is_legacy_as_path() { AsWidth::Two } else { AsWidth::Four };
        Rules { as_width, ..rules }
    }
}
