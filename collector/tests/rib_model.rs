//! The RIB held against a plain list of routes: after any changes, in any order, every look-up gives what a walk
//! over the list gives.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::type_complexity,
    reason = "what a test cannot do without fails it"
)]

use std::collections::BTreeMap;

use collector::rib::{
    Asked, Found, InternedId, Lookup, PeerFacts, PeerId, PeerKey, Rib, RibLimits, Route, Standing, TableId,
    TableKey,
};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::bgp::{Family, IpVersion, Prefix};
use wire::bmp::RibView;

const LIMITS: RibLimits = RibLimits { paths: 10_000, attribute_octets: 1 << 20, tables: 64, stale_ns: 100 };
const PEERS: usize = 3;
const VIEWS: [RibView; 4] =
    [RibView::AdjRibInPre, RibView::AdjRibInPost, RibView::AdjRibOutPost, RibView::LocRib];

#[derive(Clone, Copy, Debug)]
struct Which {
    peer: usize,
    view: usize,
    prefix: Prefix,
    /// RD of a VPN route.
    rd: Option<u8>,
    path_id: Option<u32>,
}

#[derive(Clone, Debug)]
enum Change {
    Announce(Which, u8),
    Withdraw(Which),
    PeerDown(usize),
    /// The session of all peers is lost.
    Lose,
    /// It comes back, and every peer with it.
    Return,
    EndOfRib(usize, usize),
    Wait(u64),
    Sweep,
}

/// Few distinct prefixes, many of them inside others, on and off the octets' bounds.
fn prefixes() -> impl Strategy<Value = Prefix> {
    let v4 = (0..4_u8, 0..3_u8, prop_oneof![Just(0), 7..10_u8, 15..18_u8, 23..26_u8, 31..33_u8])
        .prop_map(|(a, b, length)| Prefix::new([10 + a, b << 6, b, a].into(), length));
    let v6 = (0..3_u16, prop_oneof![Just(0), 31..34_u8, 63..66_u8, 126..129_u8])
        .prop_map(|(a, length)| Prefix::new([0x2001, 0xdb8 + a, a << 15, 0, 0, 0, 0, a].into(), length));
    prop_oneof![v4, v6]
}

fn which() -> impl Strategy<Value = Which> {
    let rd = prop_oneof![3 => Just(None), 1 => (1..3_u8).prop_map(Some)];
    let path_id = prop_oneof![2 => Just(None), 1 => (0..2_u32).prop_map(Some)];
    (0..PEERS, 0..VIEWS.len(), prefixes(), rd, path_id).prop_map(|(peer, view, prefix, rd, path_id)| Which {
        peer,
        view,
        prefix,
        rd,
        path_id,
    })
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        20 => (which(), 0..6_u8).prop_map(|(which, attributes)| Change::Announce(which, attributes)),
        8 => which().prop_map(Change::Withdraw),
        1 => (0..PEERS).prop_map(Change::PeerDown),
        1 => Just(Change::Lose),
        2 => Just(Change::Return),
        2 => (0..PEERS, 0..VIEWS.len()).prop_map(|(peer, view)| Change::EndOfRib(peer, view)),
        2 => (1..80_u64).prop_map(Change::Wait),
        2 => Just(Change::Sweep),
    ]
}

/// Attributes that differ in local preference, path length and next hop.
fn attributes(number: u8) -> Vec<u8> {
    let hops = usize::from(number % 2) + 1;
    let mut octets = vec![0x40, 1, 1, 0, 0x40, 2, u8::try_from(2 + 4 * hops).unwrap(), 2, hops as u8];
    octets.extend([0, 0, 0xfd, 0xe8].repeat(hops));
    octets.extend([0x40, 3, 4, 10, 0, 0, number, 0x40, 5, 4, 0, 0, 0, 100 + number / 3]);
    octets
}

#[derive(Clone, Debug)]
struct Known {
    attributes: u8,
    /// From before the session was lost.
    old: bool,
}

/// Peer, view, table, whether VPN, prefix, path identifier.
type Name = (usize, usize, Option<u8>, Prefix, Option<u32>);

/// The same as a list.
#[derive(Default)]
struct Model {
    routes: BTreeMap<Name, Known>,
    lost: bool,
    lost_at: u64,
    /// Until when what is old counts, by peer and view.
    old_until: BTreeMap<(usize, usize), u64>,
    ended: BTreeMap<(usize, usize), bool>,
    now: u64,
}

impl Model {
    fn forget(&mut self, gone: impl Fn(&Name, &Known) -> bool) {
        self.routes.retain(|name, known| !gone(name, known));
    }

    fn expire(&mut self) {
        let over: Vec<_> =
            self.old_until.iter().filter(|(_, until)| **until <= self.now).map(|(key, _)| *key).collect();
        for key in over {
            self.old_until.remove(&key);
            self.forget(|name, known| (name.0, name.1) == key && known.old);
        }
    }
}

struct Both {
    rib: Rib,
    peers: Vec<PeerId>,
    interned: Vec<InternedId>,
    model: Model,
    session: u64,
    /// Look-ups made one by one, and what they found.
    asked: Vec<(Lookup, Option<Found>)>,
}

fn facts(peer: usize, rib: &mut Rib) -> PeerFacts {
    // The last peer's own routes are in a VRF.
    let key = if peer == 2 { TableKey::Distinguisher(rd(1)) } else { TableKey::Default };
    PeerFacts {
        key: PeerKey { kind: 0, distinguisher: [0; 8], address: [peer as u8; 16], bgp_id: peer as u32 },
        address: Some([peer as u8; 16]),
        autonomous_system: 65_000,
        external: true,
        table: rib.table(key, &LIMITS).unwrap(),
    }
}

const fn rd(number: u8) -> [u8; 8] {
    [0, 0, 0, 0, 0, 0, 0, number]
}

impl Both {
    fn new() -> Self {
        let mut rib = Rib::default();
        rib.session_opened(0);
        let peers = (0..PEERS)
            .map(|peer| {
                let facts = facts(peer, &mut rib);
                rib.add_peer(facts, 1, &LIMITS)
            })
            .collect();
        let interned = (0..6).map(|number| rib.intern(&attributes(number), &LIMITS).unwrap()).collect();
        Self { rib, peers, interned, model: Model::default(), session: 1, asked: Vec::new() }
    }

    fn route(&self, which: &Which) -> (Route<'static>, Name) {
        let afi = if which.prefix.version == IpVersion::V4 { 1 } else { 2 };
        let safi = if which.rd.is_some() { 128 } else { 1 };
        let route = Route {
            peer: self.peers[which.peer],
            view: VIEWS[which.view],
            family: Family::new(afi, safi),
            prefix: which.prefix,
            rd: which.rd.map(rd),
            path_id: which.path_id,
            labels: &[],
        };
        (route, (which.peer, which.view, which.rd, which.prefix, which.path_id))
    }

    fn apply(&mut self, change: &Change) {
        match change {
            // A lost session tells nothing.
            Change::Announce(..) | Change::Withdraw(_) | Change::PeerDown(_) | Change::EndOfRib(..)
                if self.model.lost => {}
            Change::Announce(which, number) => {
                let (route, name) = self.route(which);
                self.rib.dump(route.peer, route.view, route.family, false, self.model.now);
                self.rib.announce(&route, self.interned[usize::from(*number)], &LIMITS);
                self.model.ended.insert((which.peer, which.view), false);
                self.model.routes.insert(name, Known { attributes: *number, old: false });
            }
            Change::Withdraw(which) => {
                let (route, name) = self.route(which);
                self.rib.withdraw(&route);
                self.model.routes.remove(&name);
            }
            Change::PeerDown(peer) => {
                self.rib.peer_down(self.peers[*peer], RibView::ALL.into_iter());
                self.model.forget(|name, _| name.0 == *peer);
                self.model.old_until.retain(|(of, _), _| of != peer);
                self.model.ended.retain(|(of, _), _| of != peer);
            }
            Change::EndOfRib(peer, view) => {
                // Of all families that were told: then what is old is gone.
                for family in [Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::IPV4_VPN, Family::IPV6_VPN]
                {
                    self.rib.dump(self.peers[*peer], VIEWS[*view], family, false, self.model.now);
                }
                for family in [Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::IPV4_VPN, Family::IPV6_VPN]
                {
                    self.rib.dump(self.peers[*peer], VIEWS[*view], family, true, self.model.now);
                }
                self.model.old_until.remove(&(*peer, *view));
                self.model.forget(|name, known| (name.0, name.1) == (*peer, *view) && known.old);
            }
            Change::Lose if !self.model.lost => {
                self.rib.session_closed();
                for peer in &self.peers {
                    self.rib.lose_peer(*peer, self.model.now);
                }
                self.model.lost = true;
                self.model.lost_at = self.model.now;
            }
            Change::Return if self.model.lost => self.come_back(),
            Change::Lose | Change::Return => {}
            Change::Wait(ns) => {
                self.model.now += ns;
                self.rib.tick(self.model.now);
                self.model.expire();
            }
            Change::Sweep => {
                self.rib.sweep(7);
            }
        }
    }

    fn come_back(&mut self) {
        self.session += 1;
        self.rib.session_opened(self.model.now);
        let until = self.model.lost_at + LIMITS.stale_ns;
        let was_old: Vec<Name> =
            self.model.routes.iter().filter(|(_, known)| known.old).map(|(name, _)| *name).collect();
        for name in was_old {
            // Two sessions old: nothing keeps it.
            self.model.routes.remove(&name);
        }
        self.model.routes.values_mut().for_each(|known| known.old = true);
        self.model.old_until.clear();
        for peer in 0..PEERS {
            let facts = facts(peer, &mut self.rib);
            let id = self.rib.add_peer(facts, self.session, &LIMITS);
            assert_eq!(id, self.peers[peer], "a peer that comes back is the same one");
            for view in 0..VIEWS.len() {
                self.model.old_until.insert((peer, view), until);
            }
        }
        self.model.lost = false;
        self.rib.tick(self.model.now);
        self.model.expire();
    }

    /// Every prefix and its neighbours, looked up in every table.
    fn compare(&mut self) {
        let addresses: Vec<(IpVersion, [u8; 16])> = self
            .model
            .routes
            .keys()
            .flat_map(|name| {
                let prefix = name.3;
                let bits = u128::from_be_bytes(prefix.octets);
                let width = u32::from(prefix.version.bits());
                let last = if width == 32 { 1_u128 << 96 } else { 1 };
                [bits, bits ^ last, bits.wrapping_sub(last), bits | (last << 3)]
                    .map(|bits| (prefix.version, (bits & (u128::MAX << (128 - width))).to_be_bytes()))
            })
            .collect();
        for (version, address) in addresses {
            for table in [None, Some(1), Some(2)] {
                for next_hop in [None, Some(2)] {
                    self.compare_one(version, address, table, next_hop);
                }
            }
        }
        // The same side by side.
        let asked = std::mem::take(&mut self.asked);
        for table in self.rib.tables().ids().collect::<Vec<_>>() {
            for version in [IpVersion::V4, IpVersion::V6] {
                let same = || asked.iter().filter(|(key, _)| (key.table, key.version) == (table, version));
                let shift = if version == IpVersion::V4 { 96 } else { 0 };
                let addresses: Vec<u128> =
                    same().map(|(key, _)| u128::from_be_bytes(key.address) >> shift).collect();
                let next_hops: Vec<[u8; 16]> =
                    same().map(|(key, _)| key.next_hop.unwrap_or_default()).collect();
                let mut found = vec![Found::NOTHING; addresses.len()];
                let together = Asked { table, version, addresses: &addresses, next_hops: &next_hops };
                self.rib.lookup(&together, &mut found);
                let found = found.into_iter().map(|found| found.is_found().then_some(found));
                assert!(found.eq(same().map(|(_, one)| *one)));
            }
        }
    }

    fn compare_one(
        &mut self,
        version: IpVersion,
        address: [u8; 16],
        table: Option<u8>,
        next_hop: Option<u8>,
    ) {
        let key = table.map_or(TableKey::Default, |number| TableKey::Distinguisher(rd(number)));
        let covers = |prefix: &Prefix| {
            let differ = u128::from_be_bytes(prefix.octets) ^ u128::from_be_bytes(address);
            prefix.version == version && differ.leading_zeros() >= u32::from(prefix.length)
        };
        let in_table = |name: &Name| name.2.or((name.0 == 2).then_some(1)) == table;
        let counts = |name: &Name| VIEWS[name.1] != RibView::AdjRibOutPost;
        let candidates: Vec<(&Name, &Known)> = self
            .model
            .routes
            .iter()
            .filter(|(name, _)| covers(&name.3) && in_table(name) && counts(name))
            .collect();
        let longest = candidates.iter().map(|(name, _)| name.3.length).max();
        let is_stale = |known: &Known| self.model.lost || known.old;
        let expected = candidates
            .iter()
            .filter(|(name, _)| Some(name.3.length) == longest)
            .map(|(name, known)| {
                let number = known.attributes;
                let misses_next_hop = next_hop.is_some_and(|wanted| wanted != number);
                let view = match VIEWS[name.1] {
                    RibView::LocRib => 0,
                    RibView::AdjRibInPost => 1,
                    _ => 2,
                };
                let preference = 255 - number / 3;
                (is_stale(known), misses_next_hop, view, preference, number % 2, name.0, number, name.3)
            })
            .min();
        let looked_up = self.rib.tables().find(key).and_then(|table| {
            let next_hop =
                next_hop.map(|number| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, number]);
            let key = Lookup { table, version, address, next_hop };
            let one = self.rib.find(&key);
            self.asked.push((key, one));
            one
        });
        match (expected, looked_up) {
            (None, None) => {}
            (Some((stale, _, view, preference, hops, peer, ..)), Some(found)) => {
                let path = self.rib.view(found.path).unwrap();
                assert_eq!(Some(path.prefix.length), longest);
                assert_eq!((found.stale, path.standing == Standing::Stale), (stale, stale));
                let number = (0..6).find(|number| attributes(*number) == path.attributes).unwrap();
                let rank = match path.view {
                    RibView::LocRib => 0,
                    RibView::AdjRibInPost => 1,
                    _ => 2,
                };
                assert_eq!((rank, 255 - number / 3, number % 2), (view, preference, hops));
                assert_eq!(path.peer.key.bgp_id, peer as u32);
            }
            (expected, found) => panic!("{address:?} in {table:?}: expected {expected:?}, found {found:?}"),
        }
    }

    fn close(mut self) {
        for peer in self.peers.clone() {
            self.rib.remove_peer(peer);
        }
        while self.rib.sweep(1_000) {}
        for id in self.interned {
            self.rib.release(id);
        }
        assert_eq!((self.rib.paths(), self.rib.prefixes()), (0, 0));
        assert_eq!((self.rib.attributes().len(), self.rib.attributes().held_octets()), (0, 0));
        assert_eq!(self.rib.tables().ids().collect::<Vec<_>>(), [TableId::DEFAULT]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_look_up_is_what_the_list_says(changes in vec(changes(), 1..120)) {
        let mut both = Both::new();
        for (step, change) in changes.iter().enumerate() {
            both.apply(change);
            if step % 10 == 0 {
                both.compare();
            }
        }
        both.compare();
        both.close();
    }
}

#[test]
fn the_limit_of_paths_refuses_new_ones_and_keeps_known_ones() {
    use collector::ledger::RibEnd;
    let limits = RibLimits { paths: 2, ..LIMITS };
    let mut both = Both::new();
    let announce = |both: &mut Both, text: &str| {
        let (address, length) = text.split_once('/').unwrap();
        let prefix = Prefix::new(address.parse().unwrap(), length.parse().unwrap());
        let which = Which { peer: 0, view: 0, prefix, rd: None, path_id: None };
        let (route, _) = both.route(&which);
        both.rib.announce(&route, both.interned[0], &limits)
    };
    assert_eq!(announce(&mut both, "10.0.0.0/8"), RibEnd::Stored);
    assert_eq!(announce(&mut both, "11.0.0.0/8"), RibEnd::Stored);
    assert_eq!(announce(&mut both, "12.0.0.0/8"), RibEnd::TooManyPaths);
    assert_eq!(announce(&mut both, "10.0.0.0/8"), RibEnd::Replaced);
    both.close();
}
