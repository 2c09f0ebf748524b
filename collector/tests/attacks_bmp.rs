//! What anybody who can open a TCP connection may try on a BMP session, one test an attack: the counter that names
//! it, memory that stays bounded, and the routes of good neighbours, which are kept.
#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/station.rs"]
mod station;

use collector::ledger::{Kind, MessageEnd, Protocol, RecordEnd, RibEnd};
use collector::{Settings, StreamEnd};
use station::{Row, SECOND, Station, announce, peer, peer_up, withdraw};
use wire::bgp::attribute::Origin;
use wire::bgp::{AsWidth, Family, SegmentKind};
use wire::bmp::PeerHeader;
use wire::emit::{bgp, bmp};

const MIB: i64 = 1 << 20;

fn messages(station: &Station, end: MessageEnd) -> u64 {
    station.collector.ledgers().messages[Protocol::Bmp.index()][end.index()]
}

fn rib(station: &Station, end: RibEnd) -> u64 {
    station.collector.ledgers().rib[end.index()]
}

fn told(station: &mut Station, reason: &str) -> usize {
    let is_it = |row: &Row| match row {
        Row::Error { reason: told, .. } => told == reason,
        Row::Session { reason: told, .. } => told == reason,
        Row::Route { .. } | Row::Message { .. } | Row::Gap { .. } | Row::Dump { .. } => false,
    };
    station.rows().iter().filter(|row| is_it(row)).count()
}

/// A session with one good peer and its route.
fn good(settings: Settings) -> Station {
    let mut station = Station::opened(settings);
    let one = peer(1);
    assert!(station.feed(1, &peer_up(&one, |_| {})));
    assert!(station.feed(1, &announce(&one, &["198.51.100.0/24"], &[65_001], [10, 0, 0, 1])));
    station
}

/// Asserts that the good peer's session goes on: one more of its routes is stored.
fn goes_on(station: &mut Station) {
    let before = rib(station, RibEnd::Stored);
    assert!(station.feed(1, &announce(&peer(1), &["203.0.113.0/24"], &[65_001], [10, 0, 0, 1])));
    assert_eq!(rib(station, RibEnd::Stored), before + 1);
    assert!(station.feed(1, &withdraw(&peer(1), &["203.0.113.0/24"])));
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

/// An UPDATE of the good peer with these attributes and one prefix field, as a message.
fn update(attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    let body = [&[0, 0][..], &length, attributes, nlri].concat();
    bmp::route_monitoring(&peer(1), &bgp::message(2, &body))
}

const SOUND: [u8; 18] = [
    0x40, 1, 1, 0, // ORIGIN IGP
    0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, // AS_PATH 65001
    0x40, 3, 4, 10, 0, // NEXT_HOP, to be completed
];

fn sound() -> Vec<u8> {
    [&SOUND[..], &[0, 1]].concat()
}

#[test]
fn a_huge_length_dripped_slowly() {
    let mut station = good(Settings { max_bmp_message_octets: 10_000, ..Settings::default() });
    station.open(2);
    let used = allocation_counter::measure(|| {
        // Longer than the limit: the session ends at once, whatever would have followed.
        assert!(!station.feed(2, &[3, 0xff, 0xff, 0xff, 0xff, 0]));
    });
    assert!(used.bytes_max < 100_000, "{used:?}");
    assert_eq!(messages(&station, MessageEnd::TooLong), 1);
    station.close(2, StreamEnd::Closed);
    // Just below it: what was not consumed is the source's, which bounds it; nothing is kept here.
    station.open(3);
    let mut drip = vec![3, 0, 0, 0x27, 0x0f, 0];
    drip.resize(5_000, 0);
    for chunk in drip.chunks(1) {
        assert!(station.feed(3, chunk));
    }
    assert_eq!(station.rest().len(), 5_000);
    station.close(3, StreamEnd::Timeout);
    assert_eq!(messages(&station, MessageEnd::CutOff), 1);
    station.open(1);
    goes_on(&mut station);
}

#[test]
fn lengths_below_the_header() {
    for length in 0..6 {
        let mut station = good(Settings::default());
        station.open(2);
        assert!(!station.feed(2, &[3, 0, 0, 0, length, 0, 0, 0]));
        assert_eq!(told(&mut station, "bad_framing"), 1, "{length}");
        station.close(2, StreamEnd::Closed);
        assert_eq!(station.collector.ledgers().unexplained(), 0);
    }
}

#[test]
fn routes_before_any_peer_up() {
    let mut station = good(Settings::default());
    assert!(station.feed(1, &announce(&peer(9), &["192.0.2.0/24"], &[65_009], [10, 0, 0, 9])));
    assert_eq!((messages(&station, MessageEnd::NoPeer), rib(&station, RibEnd::Stored)), (1, 1));
    goes_on(&mut station);
}

#[test]
fn prefixes_longer_than_their_family() {
    for nlri in [[24, 192, 0, 2, 33, 1, 2, 3, 4, 5], [24, 192, 0, 2, 255, 0, 0, 0, 0, 0]] {
        let mut station = good(Settings::default());
        assert!(station.feed(1, &update(&sound(), &nlri)));
        // The good prefix before the bad one is kept, the session goes on.
        assert_eq!(rib(&station, RibEnd::Stored), 2);
        assert_eq!(messages(&station, MessageEnd::Partial), 1);
        assert_eq!(told(&mut station, "bad_prefix_length"), 1);
        goes_on(&mut station);
    }
    let mut station = good(Settings::default());
    let mut wide = bgp::Update::new(AsWidth::Four);
    let nlri = [[32, 0x20, 1, 0xd, 0xb8].to_vec(), vec![129], vec![0; 17]].concat();
    wide.origin(Origin::Igp).as_path(&[]).mp_reach(Family::IPV6_UNICAST, &[0x20; 16], &nlri);
    assert!(station.feed(1, &bmp::route_monitoring(&peer(1), &wide.finish())));
    assert_eq!((rib(&station, RibEnd::Stored), messages(&station, MessageEnd::Partial)), (2, 1));
    goes_on(&mut station);
}

#[test]
fn attributes_that_end_beyond_the_message() {
    for tail in [
        &[0x50, 16, 0xff, 0xff, 1][..], // extended length beyond the end
        &[0x40, 5, 200, 0][..],         // short length beyond the end
        &[0x50, 16, 0][..],             // cut in the length itself
    ] {
        let mut station = good(Settings::default());
        assert!(station.feed(1, &update(&[sound(), tail.to_vec()].concat(), &[24, 192, 0, 2])));
        assert_eq!(messages(&station, MessageEnd::Partial), 1, "{tail:?}");
        goes_on(&mut station);
    }
}

#[test]
fn as_path_segments_that_overflow() {
    for path in [
        &[2, 255, 0, 0, 0, 1][..], // 255 numbers in four octets
        &[2, 1, 0, 0][..],         // half a number
        &[9, 1, 0, 0, 0, 1][..],   // an unknown type
        &[2][..],                  // no count
    ] {
        let mut station = good(Settings::default());
        let length = u8::try_from(path.len()).unwrap();
        let attributes = [&[0x40, 1, 1, 0, 0x40, 2, length][..], path, &[0x40, 3, 4, 10, 0, 0, 1]].concat();
        assert!(station.feed(1, &update(&attributes, &[24, 192, 0, 2])));
        assert_eq!(station.collector.ledgers().unexplained(), 0);
        goes_on(&mut station);
    }
    // The longest path that a message holds is a path.
    let mut station = good(Settings::default());
    let numbers: Vec<u32> = (1..=255).collect();
    let mut long = bgp::Update::new(AsWidth::Four);
    long.origin(Origin::Igp).as_path(&vec![(SegmentKind::Sequence, &numbers[..]); 60]);
    long.next_hop([10, 0, 0, 1].into()).announce(None, &station::prefix("192.0.2.0/24"));
    assert!(station.feed(1, &bmp::route_monitoring(&peer(1), &long.finish())));
    assert_eq!(rib(&station, RibEnd::Stored), 2);
    goes_on(&mut station);
}

#[test]
fn capabilities_that_loop() {
    let two = peer(2);
    for value in [vec![0; 255], [[65, 0]; 100].concat(), vec![69, 255], vec![64, 1], [[2, 0]; 127].concat()] {
        let mut station = good(Settings::default());
        // Parameter 2 holds capabilities; its length and theirs are told apart by nothing but themselves.
        let length = u8::try_from(value.len()).unwrap();
        let parameters = [&[2, length][..], &value].concat();
        let total = u8::try_from(parameters.len()).unwrap_or(255);
        let body = [&[4, 0xfd, 0xe8, 0, 180, 10, 0, 0, 2, total][..], &parameters].concat();
        let open = bgp::message(1, &body);
        let up = bmp::peer_up(&two, (two.address(), 179), 1, &open, &open, &[]);
        assert!(station.feed(1, &up));
        let ends = messages(&station, MessageEnd::Decoded) + messages(&station, MessageEnd::Malformed);
        assert_eq!(ends, 3);
        goes_on(&mut station);
    }
}

#[test]
fn many_connections() {
    let mut station = Station::new(Settings { max_bmp_sessions_per_router: 4, ..Settings::default() });
    let used = allocation_counter::measure(|| {
        for stream in 10..2_010 {
            station.wait(SECOND / 1_000);
            station.open(stream);
            station.feed(stream, &bmp::initiation("r", ""));
        }
    });
    assert!(used.bytes_current < MIB, "{used:?}");
    assert!(told(&mut station, "replaced") > 0);
    station.open(1);
    assert!(station.feed(1, &peer_up(&peer(1), |_| {})));
    goes_on(&mut station);
}

#[test]
fn an_explosion_of_peers() {
    // The good peer and the default table count too.
    for (max_peers_per_session, max_tables_per_router, admitted) in [(64, 1_000, 63), (1_000, 16, 15)] {
        let mut station =
            good(Settings { max_peers_per_session, max_tables_per_router, ..Settings::default() });
        let used = allocation_counter::measure(|| {
            for number in 1..5_000_u64 {
                let header = PeerHeader { kind: 1, distinguisher: number.to_be_bytes(), ..peer(2) };
                assert!(station.feed(1, &peer_up(&header, |_| {})));
                assert!(station.feed(1, &announce(&header, &["192.0.2.0/24"], &[65_002], [10, 0, 0, 2])));
                if number % 50 == 0 {
                    station.rows();
                }
            }
        });
        assert!(used.bytes_current < MIB, "{used:?}");
        let refused = messages(&station, MessageEnd::TooManyPeers) + messages(&station, MessageEnd::NoPeer);
        assert_eq!(refused, 2 * (4_999 - admitted));
        assert_eq!(rib(&station, RibEnd::Stored), 1 + admitted);
        goes_on(&mut station);
    }
}

#[test]
fn more_routes_and_attributes_than_the_limits() {
    let settings =
        Settings { max_paths_per_router: 100, max_attribute_octets_per_router: 2_000, ..Settings::default() };
    let mut station = good(settings);
    let used = allocation_counter::measure(|| {
        for number in 0..2_000_u32 {
            let [_, _, c, d] = number.to_be_bytes();
            let prefix = format!("10.{c}.{d}.0/24");
            assert!(station.feed(1, &announce(&peer(1), &[&prefix], &[65_001, number], [10, 0, 0, 1])));
            if number % 50 == 0 {
                station.rows();
            }
        }
    });
    assert!(used.bytes_current < MIB, "{used:?}");
    let refused = rib(&station, RibEnd::TooManyPaths) + rib(&station, RibEnd::TooManyAttributes);
    assert_eq!(refused + rib(&station, RibEnd::Stored), 2_001);
    // Every route is a row all the same.
    let rows = station.collector.ledgers().records[Kind::Route.index()][RecordEnd::Row.index()];
    assert_eq!(rows, 2_001);
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

#[test]
fn peers_that_flap() {
    let mut station = good(Settings::default());
    let two = peer(2);
    let used = allocation_counter::measure(|| {
        for number in 0..3_000 {
            station.feed(1, &peer_up(&two, |_| {}));
            station.feed(1, &announce(&two, &["192.0.2.0/24", "10.0.0.0/8"], &[65_002], [10, 0, 0, 2]));
            station.feed(1, &bmp::peer_down(&two, 4, &[]));
            if number % 20 == 0 {
                station.wait(1_000);
                station.rows();
            }
        }
    });
    assert!(used.bytes_current < 4 * MIB, "{used:?}");
    station.wait(SECOND);
    assert_eq!(messages(&station, MessageEnd::Decoded), 2 + 9_000);
    goes_on(&mut station);
}

#[test]
fn a_flood_of_messages_that_do_not_read() {
    let mut station = good(Settings { max_error_rows_per_second: 10, ..Settings::default() });
    let bad = bmp::message(3, 0, &[&[0; 10]]);
    for _ in 0..1_000 {
        assert!(station.feed(1, &bad));
    }
    let ends = station.collector.ledgers().records[Kind::Error.index()];
    assert_eq!((ends[RecordEnd::Row.index()], ends[RecordEnd::RateLimited.index()]), (10, 990));
    assert_eq!(messages(&station, MessageEnd::Malformed), 1_000);
    goes_on(&mut station);
}
