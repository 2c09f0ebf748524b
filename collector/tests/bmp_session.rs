//! BMP sessions as a router's stream shows them: what comes out does not hang on how the octets were cut, and
//! nothing that goes wrong is lost without a count.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::type_complexity,
    reason = "what a test cannot do without fails it"
)]

#[path = "kit/station.rs"]
mod station;

use collector::batch::BatchLimits;
use collector::ledger::{Kind, MessageEnd, Protocol, RecordEnd, RibEnd, RouteAction};
use collector::{Settings, StreamEnd};
use station::{Row, SECOND, Station, announce, peer, peer_up, withdraw};
use wire::bgp::Family;
use wire::bmp::PeerHeader;
use wire::emit::{bgp, bmp};

fn stream() -> Vec<u8> {
    let (one, two) = (peer(1), peer(2));
    [
        bmp::initiation("r1", "a router"),
        peer_up(&one, |_| {}),
        peer_up(&two, |_| {}),
        announce(&one, &["198.51.100.0/24", "203.0.113.0/24"], &[65_001, 65_100], [10, 0, 0, 1]),
        announce(&two, &["198.51.100.0/24"], &[65_002], [10, 0, 0, 2]),
        withdraw(&one, &["203.0.113.0/24"]),
        bmp::route_monitoring(&one, &bgp::end_of_rib(Family::IPV4_UNICAST)),
        bmp::statistics(&one, &[(7, &[0, 0, 0, 0, 0, 0, 0, 1])]),
        bmp::mirroring(&one, &[(1, &[0, 0])]),
        bmp::peer_down(&two, 4, &[]),
    ]
    .concat()
}

fn messages(station: &Station, end: MessageEnd) -> u64 {
    station.collector.ledgers().messages[Protocol::Bmp.index()][end.index()]
}

fn kinds(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|row| match row {
            Row::Route { action, .. } => action.name().into(),
            Row::Message { kind, .. } => kind.name().into(),
            Row::Session { state, reason, .. } => format!("{state}/{reason}"),
            Row::Error { reason, .. } => reason.clone(),
            Row::Gap { .. } => "gap".into(),
            Row::Dump { end, .. } => format!("dump/{end}"),
        })
        .collect()
}

#[test]
fn every_message_becomes_rows_in_order_without_gaps() {
    let mut station = Station::opened(Settings::default());
    assert!(station.feed(1, &stream()));
    let rows = station.session_rows();
    assert_eq!(
        kinds(&rows),
        [
            "open/",
            "initiation",
            "peerUp",
            "peerUp",
            "announce",
            "announce",
            "announce",
            "withdraw",
            "endOfRib",
            "stats",
            "mirror",
            "peerDown"
        ]
    );
    for (row, sequence) in rows.iter().zip(1..) {
        assert_eq!(row.sequence(), Some(sequence), "{row:?}");
    }
    let Row::Route { nlri, attributes, peer: octets, .. } = &rows[4] else { panic!() };
    assert_eq!((nlri.as_slice(), octets.len()), (&[24, 198, 51, 100][..], 34));
    assert_eq!(
        attributes.as_deref(),
        // ORIGIN IGP, AS_PATH 65001 65100, NEXT_HOP 10.0.0.1
        Some(
            &[0x40, 1, 1, 0, 0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xe9, 0, 0, 0xfe, 0x4c, 0x40, 3, 4, 10, 0, 0, 1]
                [..]
        )
    );
    let ledgers = station.collector.ledgers();
    assert_eq!(messages(&station, MessageEnd::Decoded), 10);
    assert_eq!((ledgers.rib[RibEnd::Stored.index()], ledgers.rib[RibEnd::Withdrawn.index()]), (3, 1));
    assert_eq!(ledgers.unexplained(), 0);
}

#[test]
fn how_the_stream_is_cut_makes_no_difference() {
    let octets = stream();
    let mut whole = Station::opened(Settings::default());
    whole.feed(1, &octets);
    let expected = whole.rows();
    for size in [1, 2, 7, 48, 100] {
        let mut cut = Station::opened(Settings::default());
        for part in octets.chunks(size) {
            assert!(cut.feed(1, part));
        }
        assert_eq!(cut.rows(), expected, "{size}");
        assert_eq!(cut.collector.ledgers(), whole.collector.ledgers(), "{size}");
        assert!(cut.rest().is_empty());
    }
}

//= RFC 7854 section 4.5
//# Although use of this message is RECOMMENDED, a monitoring station must always be prepared for the session
//# to terminate with no message.
#[test]
fn a_reset_in_mid_message_is_counted_and_the_routes_become_stale() {
    let settings = Settings::default();
    let stale_ns = settings.stale_routes_ns;
    let mut station = Station::opened(settings);
    let octets = stream();
    station.feed(1, &octets[..octets.len() - 5]);
    station.close(1, StreamEnd::Reset);
    assert_eq!(messages(&station, MessageEnd::CutOff), 1);
    assert_eq!(kinds(&station.session_rows())[11..], ["closed/rst", "stale/rst"]);
    station.wait(stale_ns - SECOND);
    assert!(station.rows().is_empty());
    station.wait(SECOND);
    assert_eq!(kinds(&station.rows()), ["expired/rst"]);
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

//= RFC 7854 section 4.1
//# A BMP implementation MUST ignore unrecognized message types upon receipt.
#[test]
fn an_unknown_type_is_skipped_by_its_length() {
    let mut station = Station::opened(Settings::default());
    let octets = [bmp::message(3, 200, &[&[1, 2, 3]]), bmp::initiation("r1", "")].concat();
    assert!(station.feed(1, &octets));
    assert_eq!(messages(&station, MessageEnd::UnknownType), 1);
    assert_eq!(kinds(&station.session_rows()), ["open/", "initiation"]);
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

//= draft-ietf-grow-bmp-tlv-20 section 3
//# If a BMP station does not support the version indicated in the message, it SHOULD close the session and
//# take the procedures described in Error Handling (Section 6)
//= draft-ietf-grow-bmp-tlv-20 section 6
//# A BMP exporter and a BMP station may not support the same version of the protocol; being BMP
//# uni-directional, with data flowing only from the exporter to the station, the station SHOULD close the BMP
//# session and log the condition as a warning; the exporter SHOULD retry to connect with a non-aggressitve
//# timer.
#[test]
fn bad_framing_and_too_long_a_message_end_the_session() {
    for (octets, end, reason) in [
        (vec![9, 0, 0, 0, 6, 4], MessageEnd::Malformed, "bad_version"),
        (vec![3, 0, 0, 0, 5, 4], MessageEnd::Malformed, "bad_length"),
        (vec![3, 0, 0x10, 0, 1, 4], MessageEnd::TooLong, "over_limit"),
    ] {
        let mut station = Station::opened(Settings::default());
        assert!(!station.feed(1, &octets));
        assert_eq!(messages(&station, end), 1);
        assert_eq!(kinds(&station.rows()), ["open/", reason, "closed/bad_framing"]);
        // The source may have more before it has closed.
        assert!(!station.feed(1, &stream()));
        station.close(1, StreamEnd::Closed);
        assert!(station.rows().is_empty());
        assert_eq!(station.collector.ledgers().unexplained(), 0);
    }
}

//= RFC 7854 section 4.5
//# Likewise, the monitoring station MUST close the TCP session after receiving a termination message.
#[test]
fn a_termination_ends_the_session() {
    let mut station = Station::opened(Settings::default());
    assert!(!station.feed(1, &[bmp::initiation("r1", ""), bmp::termination(0, "bye")].concat()));
    assert_eq!(kinds(&station.session_rows()), ["open/", "initiation", "termination", "closed/termination"]);
}

//= RFC 7606 section 6
//# Because of these potential issues, a BGP speaker must provide debugging facilities to permit issues caused
//# by a malformed attribute to be diagnosed. At a minimum, such facilities must include logging an error
//# listing the NLRI involved and containing the entire malformed UPDATE message when such an attribute is
//# detected.
#[test]
fn a_damaged_update_keeps_what_stands_before_the_damage() {
    let one = peer(1);
    let mut station = Station::opened(Settings::default());
    let mut update = announce(&one, &["198.51.100.0/24", "203.0.113.0/24"], &[65_001], [10, 0, 0, 1]);
    // The length of the last prefix.
    let at = update.len() - 4;
    update[at] = 99;
    station.feed(1, &[peer_up(&one, |_| {}), update, withdraw(&one, &["198.51.100.0/24"])].concat());
    assert_eq!(messages(&station, MessageEnd::Partial), 1);
    let rows = station.rows();
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Route { .. })).count(), 2);
    assert!(rows.contains(&Row::Error { reason: "bad_prefix_length".into(), verdict: "reset".into() }));
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

#[test]
fn routes_before_their_peer_up_are_counted_or_assumed() {
    let octets = announce(&peer(1), &["198.51.100.0/24"], &[65_001], [10, 0, 0, 1]);
    let mut strict = Station::opened(Settings::default());
    strict.feed(1, &octets);
    assert_eq!(messages(&strict, MessageEnd::NoPeer), 1);
    assert_eq!(kinds(&strict.rows()), ["open/"]);

    let mut lenient = Station::opened(Settings { bmp_assume_peers: true, ..Settings::default() });
    lenient.feed(1, &octets);
    assert_eq!(messages(&lenient, MessageEnd::Decoded), 1);
    assert_eq!(kinds(&lenient.session_rows()), ["open/", "announce"]);
}

//= RFC 7911 section 5
//# The peer SHALL act accordingly in processing an UPDATE message related to a particular <AFI, SAFI>.
#[test]
fn add_path_is_read_as_agreed_and_as_found() {
    let one = peer(1);
    let announced = |path_id| {
        let mut update = bgp::Update::new(wire::bgp::AsWidth::Four);
        update.next_hop([10, 0, 0, 1].into());
        update.announce(Some(path_id), &station::prefix("198.51.100.0/24"));
        bmp::route_monitoring(&one, &update.finish())
    };
    for modes in [&[(Family::IPV4_UNICAST, 3)][..], &[]] {
        let mut station = Station::opened(Settings::default());
        station.feed(
            1,
            &peer_up(&one, |open| {
                if !modes.is_empty() {
                    open.add_path(modes);
                }
            }),
        );
        station.feed(1, &[announced(7), announced(8)].concat());
        let ids: Vec<_> = station
            .rows()
            .into_iter()
            .filter_map(|row| match row {
                Row::Route { path_id, .. } => Some(path_id),
                _ => None,
            })
            .collect();
        assert_eq!(ids, [Some(7), Some(8)], "{modes:?}");
        assert_eq!(station.collector.ledgers().rib[RibEnd::Stored.index()], 2);
    }
}

#[test]
fn a_capture_that_starts_in_mid_stream_finds_its_way() {
    let octets = stream();
    let first = bmp::initiation("r1", "a router").len();
    let settings = Settings { bmp_resync: true, bmp_assume_peers: true, ..Settings::default() };
    let mut station = Station::opened(settings);
    // In the middle of the Initiation.
    assert!(station.feed(1, &octets[first - 5..]));
    assert_eq!(messages(&station, MessageEnd::CutOff), 1);
    assert_eq!(messages(&station, MessageEnd::Decoded), 9);
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

#[test]
fn more_sessions_than_the_limit_push_out_the_silent_one() {
    let mut station = Station::opened(Settings { max_bmp_sessions_per_router: 1, ..Settings::default() });
    station.feed(1, &stream());
    station.wait(SECOND);
    station.open(2);
    assert!(kinds(&station.rows()).contains(&"closed/replaced".into()));
    assert!(!station.feed(1, &bmp::initiation("r1", "")));
    assert!(station.feed(2, &bmp::initiation("r1", "")));
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

#[test]
fn routes_are_counted_by_action() {
    let mut station = Station::opened(Settings { kinds: 0, ..Settings::default() });
    station.feed(1, &stream());
    assert!(station.rows().is_empty());
    let ledgers = station.collector.ledgers();
    let count = |action: RouteAction| ledgers.routes[action.index()];
    assert_eq!(
        (count(RouteAction::Announce), count(RouteAction::Withdraw), count(RouteAction::EndOfRib)),
        (3, 1, 1)
    );
    assert_eq!(ledgers.records[Kind::Route.index()][RecordEnd::NotWanted.index()], 5);
    assert_eq!(ledgers.unexplained(), 0);
}

//= RFC 9069 section 4.2
//# If locally sourced routes are communicated using BMP, they MUST be conveyed using the Loc-RIB Instance
//# Peer Type.
#[test]
fn a_loc_rib_needs_no_peer_up() {
    let loc_rib = PeerHeader { kind: 3, flags: 0, address_octets: [0; 16], ..peer(9) };
    let mut station = Station::opened(Settings::default());
    station.feed(1, &announce(&loc_rib, &["198.51.100.0/24"], &[65_001], [10, 0, 0, 1]));
    assert_eq!(messages(&station, MessageEnd::Decoded), 1);
    assert_eq!(station.collector.ledgers().rib[RibEnd::Stored.index()], 1);
}

#[test]
fn whatever_octet_is_wrong_every_message_has_one_end() {
    let octets = [stream(), bmp::termination(0, "bye")].concat();
    let small = BatchLimits { rows: 16, octets: 1 << 12 };
    for at in 0..octets.len() {
        for change in [1 << (at % 8), 0xff] {
            let mut changed = octets.clone();
            changed[at] ^= change;
            let mut station = Station::with_batches(Settings::default(), 2, small);
            station.open(1);
            let goes_on = changed.chunks(97).all(|part| station.feed(1, part));
            station.close(1, if goes_on { StreamEnd::Reset } else { StreamEnd::Closed });
            station.wait(3_600 * SECOND);
            let ledgers = station.collector.ledgers();
            assert_eq!(ledgers.unexplained(), 0, "octet {at} changed by {change:#x}");
            let in_rib: u64 = ledgers.rib.iter().sum();
            let told =
                ledgers.routes[RouteAction::Announce.index()] + ledgers.routes[RouteAction::Withdraw.index()];
            assert_eq!(in_rib, told, "octet {at} changed by {change:#x}");
        }
    }
}
