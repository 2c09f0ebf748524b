//! In steady state routes of known prefixes and the join of flows with them allocate nothing.

#[path = "kit/station.rs"]
mod station;

use collector::Settings;
use collector::batch::BatchLimits;
use collector::join::{Columns, Keys, join};
use collector::ledger::{JoinEnd, RibEnd};
use collector::schema::{Side, TableId};
use station::{ROUTER, Station, announce, peer, peer_up, withdraw};

#[test]
fn routes_of_known_prefixes_allocate_nothing() {
    let one = peer(1);
    let mut station =
        Station::with_batches(Settings::default(), 64, BatchLimits { rows: 64, octets: 1 << 16 });
    station.open(1);
    station.feed(1, &peer_up(&one, |_| {}));
    let prefixes = ["198.51.100.0/24", "203.0.113.0/24", "203.0.113.128/25"];
    let round = [
        announce(&one, &prefixes, &[65_001, 65_100], [10, 0, 0, 1]),
        announce(&one, &prefixes[1..], &[65_001, 65_200], [10, 0, 0, 1]),
        withdraw(&one, &prefixes[1..2]),
    ]
    .concat();
    // Attributes that no path has any more are forgotten: one prefix keeps each set.
    station.feed(1, &announce(&one, &["192.0.2.0/24"], &[65_001, 65_100], [10, 0, 0, 1]));
    station.feed(1, &announce(&one, &["192.0.3.0/24"], &[65_001, 65_200], [10, 0, 0, 1]));
    for _ in 0..50 {
        station.feed(1, &round);
    }
    station.rows();
    let counted = allocation_counter::measure(|| (0..20).for_each(|_| assert!(station.feed(1, &round))));
    assert_eq!(counted.count_total, 0);
    assert!(station.collector.ledgers().rib[RibEnd::Replaced.index()] > 200);
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

#[test]
fn the_join_allocates_nothing() {
    let one = peer(1);
    let mut station = Station::opened(Settings::default());
    station.feed(1, &peer_up(&one, |_| {}));
    station.feed(1, &announce(&one, &["10.0.0.0/8", "10.1.0.0/16"], &[65_001], [10, 0, 0, 1]));
    let addresses: Vec<[u8; 16]> =
        (0..100).map(|number| collector::sixteen([10, number % 3, 0, number].into())).collect();
    let keys = Keys { addresses: &addresses, used_elements: &[12; 100], next_hops: &[], vrfs: &[] };
    let router = station.collector.router(collector::sixteen(ROUTER.into())).unwrap();
    let mut ledgers = collector::Ledgers::default();
    let rib = station.collector.rib_mut(router).unwrap();
    let mut round = || {
        let batch = station.out.batch(TableId::Flows).unwrap();
        let columns = Columns::of(&batch.schema, Side::Destination);
        join(&columns, &keys, rib, batch, &mut ledgers);
        batch.finish_rows(100);
    };
    round();
    let counted = allocation_counter::measure(|| (0..5).for_each(|_| round()));
    assert_eq!(counted.count_total, 0);
    assert_eq!(ledgers.joins[0][JoinEnd::Found.index()], 600);
    let batch = station.out.batch(TableId::Flows).unwrap();
    let column = batch.schema.columns.iter().position(|column| &*column.name == "DestinationRoute").unwrap();
    // Two prefixes of one path: one entry in the router's book, however many rows.
    let collector::batch::Values::Routes(routes) = &batch.values[column] else { panic!() };
    let common: std::collections::HashSet<_> = (0..600).map(|row| routes.common(row)).collect();
    assert_eq!(common.len(), 1);
    assert!(routes.get(599).is_some());
}
