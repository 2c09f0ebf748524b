//! A row keeps what was true when it was joined: whatever becomes of its route, its peer and its session afterwards,
//! as long as somebody holds the batch.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::sync::Arc;

use collector::Ledgers;
use collector::batch::{Batch, BatchLimits, Values, WorkerId};
use collector::join::{Columns, JoinedRoute, Keys, Vrf, join};
use collector::ledger::{JoinEnd, RibEnd};
use collector::rib::{
    Lookup, PeerFacts, PeerId, PeerKey, Rib, RibLimits, Route, Standing, TableId, TableKey,
};
use collector::schema::{self, Interest, Origin, PickedBy, RouteField, Side};
use wire::bgp::{Family, IpVersion, Prefix};
use wire::bmp::RibView;

const LIMITS: RibLimits =
    RibLimits { paths: 100_000, attribute_octets: 1 << 20, tables: 64, stale_ns: u64::MAX };
const STEPS: usize = 6_000;

/// Numbers that look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// What a row was joined with, in memory of its own.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    prefix: Prefix,
    peer: Option<[u8; 16]>,
    peer_as: u32,
    view: RibView,
    rd: Option<[u8; 8]>,
    labels: Vec<u8>,
    stale: bool,
    attributes: Vec<u8>,
}

impl Told {
    fn of(route: &JoinedRoute<'_>) -> Self {
        let JoinedRoute { prefix, peer, peer_as, view, rd, labels, stale, attributes } = *route;
        Self {
            prefix,
            peer,
            peer_as,
            view,
            rd,
            labels: labels.to_vec(),
            stale,
            attributes: attributes.to_vec(),
        }
    }

    /// By the RIB's own words, one address at a time.
    fn by(rib: &mut Rib, table: TableId, address: [u8; 16]) -> Option<Self> {
        let number = u128::from_be_bytes(address);
        let (version, address) = if number >> 32 == 0xffff {
            (IpVersion::V4, (number << 96).to_be_bytes())
        } else {
            (IpVersion::V6, address)
        };
        let found = rib.find(&Lookup { table, version, address, next_hop: None })?;
        let view = rib.view(found.path).unwrap();
        Some(Self {
            prefix: view.prefix,
            peer: view.peer.address,
            peer_as: view.peer.autonomous_system,
            view: view.view,
            rd: if let TableKey::Distinguisher(rd) = view.table { Some(rd) } else { None },
            labels: rib.labels_into(found.path, &mut [0; 48]).to_vec(),
            stale: view.standing == Standing::Stale,
            attributes: view.attributes.to_vec(),
        })
    }
}

/// A router whose routes, peers and sessions change, and rows that are joined on the way.
struct Run {
    chance: Chance,
    rib: Rib,
    peers: [PeerId; 2],
    batch: Batch,
    rows: Vec<Option<Told>>,
    session: u64,
    /// Whether sessions are lost.
    loses: bool,
}

fn facts(nth: u8, autonomous_system: u32) -> PeerFacts {
    PeerFacts {
        key: PeerKey { kind: 0, distinguisher: [0; 8], address: [nth; 16], bgp_id: nth.into() },
        address: Some([nth; 16]),
        autonomous_system,
        external: true,
        table: TableId::DEFAULT,
    }
}

impl Run {
    /// With `many` other routes, whose peer stays.
    fn new(seed: u64, many: u32) -> Self {
        let interest = Interest { kinds: u32::MAX, whole_records: false, elements: Vec::new(), join: true };
        let schemas = schema::schemas(&interest);
        let limits = BatchLimits { rows: 1 << 17, octets: 1 << 20 };
        let schema = Arc::clone(&schemas[schema::TableId::Flows.index()]);
        let mut rib = Rib::default();
        rib.session_opened(0);
        let peers = [1, 2].map(|nth| rib.add_peer(facts(nth, 64_500), 1, &LIMITS));
        let batch = Batch::new(schema, WorkerId(0), limits);
        let peer = rib.add_peer(facts(3, 64_500), 1, &LIMITS);
        let attributes = rib.intern(&[0x40, 1, 1, 0], &LIMITS).unwrap();
        for nth in 0..many {
            let prefix = Prefix::new(std::net::Ipv4Addr::from(0x0b00_0000 + (nth << 8)).into(), 24);
            let (view, family) = (RibView::AdjRibInPost, Family::IPV4_UNICAST);
            let route = Route { peer, view, family, prefix, rd: None, path_id: None, labels: &[] };
            assert_eq!(rib.announce(&route, attributes, &LIMITS), RibEnd::Stored);
        }
        let loses = many == 0;
        Self { chance: Chance(seed), rib, peers, batch, rows: Vec::new(), session: 1, loses }
    }

    /// Few prefixes, some inside others.
    fn prefix(&mut self) -> Prefix {
        let third = u8::try_from(self.chance.below(4)).unwrap();
        if self.chance.below(3) == 0 {
            let length = [0, 32, 40, 64, 128][usize::try_from(self.chance.below(5)).unwrap()];
            Prefix::new([0x2001, 0xdb8, u16::from(third) << 8, 0, 0, 0, 0, 1].into(), length)
        } else {
            let length = [0, 8, 22, 24, 32][usize::try_from(self.chance.below(5)).unwrap()];
            Prefix::new([10, 0, third, 7].into(), length)
        }
    }

    fn change(&mut self) {
        let prefix = self.prefix();
        let peer = self.peers[usize::try_from(self.chance.below(2)).unwrap()];
        let vpn = self.chance.below(4) == 0;
        let family = match (prefix.version, vpn) {
            (IpVersion::V4, false) => Family::IPV4_UNICAST,
            (IpVersion::V6, false) => Family::IPV6_UNICAST,
            (IpVersion::V4, true) => Family::IPV4_VPN,
            (IpVersion::V6, true) => Family::IPV6_VPN,
        };
        let labels: &[u8] = match self.chance.below(3) {
            0 => &[],
            1 => &[0, 1, 0x11],
            _ => &[0, 1, 0x10, 0, 2, 0x11],
        };
        let route = Route {
            peer,
            view: RibView::AdjRibInPost,
            family,
            prefix,
            rd: vpn.then_some([0, 0, 0, 1, 0, 0, 0, 1]),
            path_id: None,
            labels,
        };
        match self.chance.below(200) {
            0 if self.loses => {
                // The session is lost and comes back; its peers have another AS now.
                self.session += 1;
                let number = 64_500 + u32::try_from(self.session).unwrap();
                self.peers.iter().for_each(|peer| self.rib.lose_peer(*peer, 0));
                self.join();
                self.peers = [1, 2].map(|nth| self.rib.add_peer(facts(nth, number), self.session, &LIMITS));
            }
            0..2 => self.rib.peer_down(peer, RibView::ALL.into_iter()),
            2..60 => drop(self.rib.withdraw(&route)),
            _ => {
                let path = u8::try_from(self.chance.below(50)).unwrap();
                let attributes = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, path];
                let attributes = self.rib.intern(&attributes, &LIMITS).unwrap();
                let _ = self.rib.announce(&route, attributes, &LIMITS);
                self.rib.release(attributes);
            }
        }
        if self.chance.below(10) == 0 {
            self.rib.sweep(usize::MAX);
        }
    }

    /// Joins some addresses, more than are looked up side by side.
    fn join(&mut self) {
        let rows =
            1 + usize::try_from(self.chance.below(40)).unwrap() * usize::from(self.chance.below(8) == 0);
        let mut addresses = Vec::new();
        while addresses.len() < rows {
            let prefix = self.prefix();
            let bits = u128::from_be_bytes(prefix.octets);
            addresses.push(match prefix.version {
                IpVersion::V4 => ((bits >> 96) | 1 | 0xffff << 32).to_be_bytes(),
                IpVersion::V6 => (bits | 1 << self.chance.below(2)).to_be_bytes(),
            });
        }
        let rd = (self.chance.below(3) == 0).then_some([0, 0, 0, 1, 0, 0, 0, 1]);
        let vrfs = vec![Vrf { rd, ..Vrf::DEFAULT }; rows];
        let table =
            rd.map_or(Some(TableId::DEFAULT), |rd| self.rib.tables().find(TableKey::Distinguisher(rd)));
        for address in &addresses {
            self.rows.push(table.and_then(|table| Told::by(&mut self.rib, table, *address)));
        }
        let used_elements = vec![12; rows];
        let keys = Keys { addresses: &addresses, used_elements: &used_elements, next_hops: &[], vrfs: &vrfs };
        let columns = Columns::of(&self.batch.schema, Side::Destination);
        join(&columns, &keys, &mut self.rib, &mut self.batch, &mut Ledgers::default());
        self.batch.finish_rows(u32::try_from(rows).unwrap());
    }
}

/// Runs, and holds every row against what the RIB said at its time.
fn rows_are_right(mut run: Run) -> (Batch, Vec<Option<Told>>, usize) {
    for _ in 0..STEPS {
        run.change();
        run.join();
    }
    let Run { batch, rows, rib, .. } = run;
    drop(rib);
    let field = RouteField::Route;
    let column = batch.schema.position(Origin::Join { side: Side::Destination, field }).unwrap();
    let Values::Routes(routes) = &batch.values[column] else { panic!() };
    assert_eq!(batch.rows as usize, rows.len());
    for (row, told) in rows.iter().enumerate() {
        let is_present = batch.is_present(column, u32::try_from(row).unwrap());
        assert_eq!(is_present, told.is_some(), "row {row}");
        assert_eq!(routes.get(row).as_ref().map(Told::of), *told, "row {row}");
    }
    let last = (0..rows.len()).filter_map(|row| routes.common(row)).map(|(book, _)| book).max().unwrap();
    (batch, rows, last + 1)
}

#[test]
fn rows_keep_what_was_true_when_they_were_joined() {
    for seed in 0..2 {
        let (_, rows, books) = rows_are_right(Run::new(seed, 0));
        // Each session that came back began another one.
        assert!(books > 4);
        let found = rows.iter().flatten();
        assert!(found.clone().any(|told| told.stale) && found.clone().any(|told| told.labels.len() == 6));
        assert!(found.clone().any(|told| told.rd.is_some()));
        assert!(found.clone().any(|told| told.prefix.version == IpVersion::V6));
    }
}

#[test]
fn rows_of_a_table_that_is_direct_are_right_too() {
    let (batch, rows, _) = rows_are_right(Run::new(7, 66_000));
    let found: Vec<&Told> = rows.iter().flatten().collect();
    for length in [0, 8, 22, 24, 32] {
        assert!(found.iter().any(|told| told.prefix.length == length));
    }
    let column = |field| batch.schema.position(Origin::Join { side: Side::Destination, field }).unwrap();
    let ends = |row: usize| batch.values[column(RouteField::Result)].integer(row).unwrap();
    let picked_by = |row: usize| batch.values[column(RouteField::PickedBy)].integer(row).unwrap();
    // Some were told by the table alone, some were not, in one set of rows.
    let both = (0..rows.len()).filter(|&row| ends(row) == JoinEnd::Found as u64);
    let only = |row: &usize| picked_by(*row) == PickedBy::Only as u64;
    assert!(both.clone().any(|row| only(&row)) && both.clone().any(|row| !only(&row)));
    assert!((0..rows.len()).any(|row| ends(row) != JoinEnd::Found as u64));
}
