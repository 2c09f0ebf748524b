//! Rows that a full outlet had no room for: they are counted, told as a gap, and made good by a dump.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test cannot do without fails it"
)]

#[path = "kit/station.rs"]
mod station;

use collector::Settings;
use collector::batch::BatchLimits;
use collector::ledger::{Kind, RecordEnd, RibEnd, RouteAction};
use station::{Row, SECOND, Station, announce, peer, peer_up, withdraw};
use wire::bmp::PeerHeader;
use wire::emit::bmp;

/// A session with an outlet of two batches of two rows, which nobody empties, and a peer with ten routes.
fn overrun() -> (Station, PeerHeader) {
    let mut station = Station::with_batches(Settings::default(), 2, BatchLimits { rows: 2, octets: 1 << 20 });
    let one = peer(1);
    station.open(1);
    station.feed(1, &peer_up(&one, |_| {}));
    for octet in 0..10 {
        let prefix = format!("10.{octet}.0.0/16");
        station.feed(1, &announce(&one, &[&prefix], &[65_001], [10, 0, 0, 1]));
    }
    (station, one)
}

#[test]
fn a_full_outlet_leaves_a_gap_that_shows() {
    let (mut station, one) = overrun();
    let rows = station.session_rows();
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Route { .. })).count(), 4);
    let ledgers = station.collector.ledgers().clone();
    assert_eq!(ledgers.records[Kind::Route.index()][RecordEnd::OutletFull.index()], 6);
    assert_eq!(ledgers.unexplained(), 0);
    // The RIB is whole all the same, and the next row tells how many lines are missing.
    assert_eq!(ledgers.rib[RibEnd::Stored.index()], 10);
    station.feed(1, &withdraw(&one, &["10.0.0.0/16"]));
    assert_eq!(station.rows().iter().filter_map(Row::sequence).max(), Some(13));
}

#[test]
fn a_gap_is_told_and_made_good_by_a_dump() {
    let (mut station, one) = overrun();
    // The gap is told at once; the dump waits until the sinks have caught up.
    station.wait(SECOND);
    let mut before = station.rows();
    assert!(before.contains(&Row::Gap { first: 7, last: 12 }));
    before.retain(|row| row.sequence().is_some());
    before.sort_by_key(Row::sequence);
    assert_eq!(before.iter().filter_map(Row::sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let mut rows = Vec::new();
    for _ in 0..10 {
        station.wait(SECOND);
        rows.extend(station.rows());
    }
    assert!(!rows.iter().any(|row| matches!(row, Row::Gap { .. })));
    rows.sort_by_key(Row::sequence);
    let numbers: Vec<_> = rows.iter().filter_map(Row::sequence).collect();
    assert_eq!(numbers, (13..=24).collect::<Vec<_>>());
    assert_eq!(
        (&rows[0], &rows[11]),
        (&Row::Dump { end: false, sequence: 13 }, &Row::Dump { end: true, sequence: 24 })
    );
    let mut dumped: Vec<_> = rows[1..11]
        .iter()
        .map(|row| match row {
            Row::Route { action: RouteAction::Announce, nlri, peer, attributes: Some(_), .. } => {
                (nlri.clone(), peer.clone())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    dumped.sort();
    let header = &bmp::peer_header(&one)[..34];
    let expected: Vec<_> = (0..10).map(|octet| (vec![16, 10, octet], header.to_vec())).collect();
    assert_eq!(dumped, expected);
    assert_eq!(station.collector.ledgers().unexplained(), 0);
    // Once is enough.
    station.wait(3_600 * SECOND);
    assert!(station.rows().is_empty());
}

#[test]
fn a_gap_is_told_by_the_next_worker_too() {
    let (station, _) = overrun();
    let mut next = station.taken_over(Settings::default());
    next.wait(SECOND);
    let rows = next.rows();
    assert!(rows.contains(&Row::Gap { first: 7, last: 12 }));
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Route { .. })).count(), 10);
}
