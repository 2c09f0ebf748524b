//! What UPDATEs and peers do to the routes that are kept: replacement, withdrawal, views, identifiers. The sentences
//! stand in `wire/conformance/`.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test cannot do without fails it"
)]

#[path = "kit/station.rs"]
mod station;

use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{MessageEnd, Protocol, RibEnd};
use collector::query::{Cursor, Query};
use collector::schema::{RecordField, TableId};
use collector::{Outlet, Settings};
use station::{Row, Station, announce, peer, peer_up, prefix, withdraw};
use wire::bgp::{AsWidth, Family};
use wire::bmp::PeerHeader;
use wire::emit::{bgp, bmp};

const PREFIX: &str = "198.51.100.0/24";

/// NLRI and attributes of every route that is kept.
fn kept(station: &mut Station) -> Vec<(Vec<u8>, Vec<u8>)> {
    let schemas = station::schemas();
    let (mut out, drain) = Outlet::new(WorkerId(0), &schemas, 2, BatchLimits { rows: 100, octets: 1 << 20 });
    let query = Query::Rib { router: None, prefix: None };
    let (mut routes, mut next) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = next {
        next = station.collector.answer(station.now, &query, cursor, &mut out);
        out.publish();
        while let Some(batch) = drain.take() {
            assert_eq!(batch.schema.table, TableId::Routes);
            let octets =
                |field, row| batch.values[batch.schema.field(field).unwrap()].octets(row).unwrap().to_vec();
            let route = |row| (octets(RecordField::Nlri, row), octets(RecordField::Attributes, row));
            routes.extend((0..batch.rows as usize).map(route));
        }
    }
    routes
}

fn rib(station: &Station, end: RibEnd) -> u64 {
    station.collector.ledgers().rib[end.index()]
}

fn station(one: &PeerHeader) -> Station {
    let mut station = Station::opened(Settings::default());
    station.feed(1, &[bmp::initiation("r1", ""), peer_up(one, |_| {})].concat());
    station
}

//= RFC 4271 section 9
//# If the UPDATE message contains a non-empty WITHDRAWN ROUTES field, the previously advertised routes, whose
//# destinations (expressed as IP prefixes) are contained in this field, SHALL be removed from the Adj-RIB-In.
//= RFC 4271 section 9
//# If the UPDATE message contains a feasible route, the Adj-RIB-In will be updated with this route as
//# follows: if the NLRI of the new route is identical to the one the route currently has stored in the
//# Adj-RIB-In, then the new route SHALL replace the older route in the Adj-RIB-In, thus implicitly
//# withdrawing the older route from service.
//= RFC 4271 section 9
//# Otherwise, if the Adj-RIB-In has no route with NLRI identical to the new route, the new route SHALL be
//# placed in the Adj-RIB-In.
#[test]
fn a_new_route_replaces_the_one_before_and_a_withdrawal_removes_it() {
    let one = peer(1);
    let mut station = station(&one);
    station.feed(1, &announce(&one, &[PREFIX], &[65_001], [10, 0, 0, 1]));
    let before = kept(&mut station);
    station.feed(1, &announce(&one, &[PREFIX], &[65_001, 65_009], [10, 0, 0, 1]));
    let after = kept(&mut station);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(before[0].0, after[0].0);
    assert_ne!(before[0].1, after[0].1);
    assert_eq!((rib(&station, RibEnd::Stored), rib(&station, RibEnd::Replaced)), (1, 1));
    station.feed(1, &withdraw(&one, &[PREFIX]));
    assert_eq!(kept(&mut station), []);
    assert_eq!(rib(&station, RibEnd::Withdrawn), 1);
}

//= RFC 4271 section 4.3
//# However, a BGP speaker MUST be able to process UPDATE messages in this form.
//= RFC 4271 section 4.3
//# A BGP speaker SHOULD treat an UPDATE message of this form as though the WITHDRAWN ROUTES do not contain
//# the address prefix.
#[test]
fn a_prefix_withdrawn_and_announced_in_one_update_is_announced() {
    let one = peer(1);
    let mut station = station(&one);
    let mut update = bgp::Update::new(AsWidth::Four);
    update.origin(wire::bgp::attribute::Origin::Igp).as_path(&[]).next_hop([10, 0, 0, 1].into());
    update.announce(None, &prefix(PREFIX)).withdraw(None, &prefix(PREFIX));
    for _ in 0..2 {
        station.feed(1, &bmp::route_monitoring(&one, &update.finish()));
        assert_eq!(kept(&mut station).len(), 1);
    }
}

//= RFC 7911 section 5
//# If a BGP speaker receives a message to withdraw a prefix with a Path Identifier not seen before, it SHOULD
//# silently ignore it.
#[test]
fn an_identifier_never_seen_is_withdrawn_in_silence() {
    let one = peer(1);
    let mut station = Station::opened(Settings::default());
    station.feed(1, &peer_up(&one, |open| _ = open.add_path(&[(Family::IPV4_UNICAST, 3)])));
    let change = |announced: Option<u32>, withdrawn: Option<u32>| {
        let mut update = bgp::Update::new(AsWidth::Four);
        update.origin(wire::bgp::attribute::Origin::Igp).as_path(&[]).next_hop([10, 0, 0, 1].into());
        announced.into_iter().for_each(|id| _ = update.announce(Some(id), &prefix(PREFIX)));
        withdrawn.into_iter().for_each(|id| _ = update.withdraw(Some(id), &prefix(PREFIX)));
        bmp::route_monitoring(&one, &update.finish())
    };
    station.feed(1, &[change(Some(1), None), change(Some(2), None), change(None, Some(9))].concat());
    assert_eq!((kept(&mut station).len(), rib(&station, RibEnd::Absent)), (2, 1));
    // The same prefix with the same identifier is the same path; with another one it is another.
    station.feed(1, &[change(Some(2), None), change(None, Some(1))].concat());
    assert_eq!((kept(&mut station).len(), rib(&station, RibEnd::Replaced)), (1, 1));
    let ledgers = station.collector.ledgers();
    assert_eq!(ledgers.messages[Protocol::Bmp.index()][MessageEnd::Decoded.index()], 6);
    assert!(!station.rows().iter().any(|row| matches!(row, Row::Error { .. })));
}

//= RFC 7854 section 5
//# The withdraw MUST have its L flag set to correspond to that of any previous announcement; if the route in
//# question was previously announced with L flag both clear and set, the withdraw MUST similarly be sent
//# twice, with L flag clear and set.
//= RFC 8671 section 6.1
//# The O flag MUST be set accordingly to indicate if the route monitor or route mirroring message conveys
//# Adj-RIB-In or Adj-RIB-Out.
#[test]
fn each_view_has_its_own_routes() {
    let before = peer(1);
    let mut station = station(&before);
    let views = [0x00, 0x40, 0x10, 0x50].map(|flags| PeerHeader { flags, ..before });
    for view in &views {
        station.feed(1, &announce(view, &[PREFIX], &[65_001], [10, 0, 0, 1]));
    }
    assert_eq!(kept(&mut station).len(), 4);
    for (gone, view) in views.iter().enumerate() {
        assert_eq!(kept(&mut station).len(), 4 - gone);
        station.feed(1, &withdraw(view, &[PREFIX]));
    }
    assert_eq!((kept(&mut station).len(), rib(&station, RibEnd::Absent)), (0, 0));
}

//= RFC 8671 section 6.2
//# Statistics report messages are not specific to Adj-RIB-In or Adj-RIB-Out and MUST have the O flag set to
//# zero.
//= RFC 8671 section 6.2
//# The O flag SHOULD be ignored by the BMP receiver.
//= RFC 8671 section 6.3
//# BMP receiver implementations SHOULD ignore the O flag in Peer Up and Down Notifications.
#[test]
fn flag_o_means_nothing_to_the_state_of_a_peer() {
    let one = peer(1);
    let out = PeerHeader { flags: 0x10, ..one };
    let mut station = station(&out);
    station.feed(1, &announce(&one, &[PREFIX], &[65_001], [10, 0, 0, 1]));
    station.feed(1, &bmp::statistics(&out, &[(7, &[0; 8])]));
    assert_eq!(kept(&mut station).len(), 1);
    station.feed(1, &bmp::peer_down(&out, 4, &[]));
    assert_eq!(kept(&mut station), []);
    let ends = station.collector.ledgers().messages[Protocol::Bmp.index()];
    assert_eq!((ends[MessageEnd::Decoded.index()], ends[MessageEnd::NoPeer.index()]), (5, 0));
}

//= RFC 8671 section 7.2
//# In case of any change that results in the alteration of behavior of an existing BMP session (i.e., changes
//# to filtering and table names), the session MUST be bounced with a Peer Down/Peer Up sequence.
//= RFC 9069 section 6.1.3
//# In case of any change that results in the alteration of behavior of an existing BMP session, i.e., changes
//# to filtering and table names, the session MUST be bounced with a Peer Down / Peer Up sequence.
#[test]
fn a_peer_bounced_starts_empty() {
    let one = peer(1);
    let mut station = station(&one);
    station.feed(1, &announce(&one, &[PREFIX], &[65_001], [10, 0, 0, 1]));
    station.feed(1, &[bmp::peer_down(&one, 5, &[]), peer_up(&one, |_| {})].concat());
    assert_eq!(kept(&mut station), []);
    station.feed(1, &announce(&one, &["203.0.113.0/24"], &[65_001], [10, 0, 0, 1]));
    assert_eq!(kept(&mut station).len(), 1);
    // A Peer Up for a peer that is up says that it went down unseen.
    station.feed(1, &peer_up(&one, |_| {}));
    assert_eq!(kept(&mut station), []);
}

//= RFC 9069 section 5.5
//# Any received Route Mirroring messages SHOULD be ignored.
#[test]
fn what_is_mirrored_changes_no_route() {
    let loc_rib = PeerHeader { kind: 3, flags: 0, address_octets: [0; 16], ..peer(9) };
    for header in [peer(1), loc_rib] {
        let mut station = station(&header);
        station.feed(1, &announce(&header, &[PREFIX], &[65_001], [10, 0, 0, 1]));
        let withdrawal = &withdraw(&header, &[PREFIX])[6 + 42..];
        station.feed(1, &bmp::mirroring(&header, &[(0, withdrawal)]));
        assert_eq!(kept(&mut station).len(), 1);
    }
}

//= RFC 9069 section 5.2
//# Capabilities MUST include the 4-octet ASN and all necessary capabilities to represent the Loc-RIB Route
//# Monitoring messages.
//= RFC 9069 section 6.1.1
//# A BMP receiver MUST process these capabilities to know which peer belongs to which address family.
#[test]
fn the_families_of_several_loc_rib_peers_add_up() {
    let loc_rib = PeerHeader { kind: 3, flags: 0, address_octets: [0; 16], ..peer(9) };
    let up = |family| {
        let mut open = bgp::Open::new(65_009, 180, loc_rib.bgp_id);
        open.multiprotocol(family).four_octet_as().add_path(&[(family, 3)]);
        let open = open.finish();
        bmp::peer_up(&loc_rib, ([0, 0, 0, 0].into(), 0), 0, &open, &open, &[(3, b"global")])
    };
    let announced = |family, nlri: &[u8], next_hop: &[u8]| {
        let mut update = bgp::Update::new(AsWidth::Four);
        update.origin(wire::bgp::attribute::Origin::Igp).as_path(&[]).mp_reach(family, next_hop, nlri);
        bmp::route_monitoring(&loc_rib, &update.finish())
    };
    let mut station = Station::opened(Settings::default());
    station.feed(1, &[up(Family::IPV4_UNICAST), up(Family::IPV6_UNICAST)].concat());
    station.feed(1, &announced(Family::IPV4_UNICAST, &[0, 0, 0, 7, 8, 10], &[10, 0, 0, 1]));
    station.feed(1, &announced(Family::IPV6_UNICAST, &[0, 0, 0, 8, 8, 0x20], &[0x20; 16]));
    let ids: Vec<_> = station
        .rows()
        .into_iter()
        .filter_map(|row| match row {
            Row::Route { path_id, family, .. } => Some((family, path_id)),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [(Family::IPV4_UNICAST, Some(7)), (Family::IPV6_UNICAST, Some(8))]);
    assert_eq!(kept(&mut station).len(), 2);
}

//= RFC 9069 section 5.4.1
//# Loc-RIB Route Monitoring messages MUST use a 4-byte ASN encoding as indicated in the Peer Up sent OPEN
//# message (Section 5.2) capability.
#[test]
fn paths_of_a_loc_rib_have_four_octets_whatever_the_flags() {
    let loc_rib = PeerHeader { kind: 3, flags: 0x20, address_octets: [0; 16], ..peer(9) };
    let mut station = station(&loc_rib);
    station.feed(1, &announce(&loc_rib, &[PREFIX], &[70_000], [10, 0, 0, 1]));
    let kept = kept(&mut station);
    assert!(kept[0].1.windows(6).any(|octets| octets == [2, 1, 0, 1, 0x11, 0x70]), "{kept:?}");
}

/// A Route Monitoring message with an UPDATE of these attributes and 192.0.2.0/24.
fn with_attributes(one: &PeerHeader, attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    bmp::route_monitoring(
        one,
        &bgp::message(2, &[&[0, 0], &length[..], attributes, &[24, 192, 0, 2]].concat()),
    )
}

#[test]
fn a_bad_update_keeps_its_routes_and_has_its_verdict() {
    let sound = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 10, 0, 0, 1];
    let unreach = [0x80, 15, 5, 0, 2, 1, 8, 0x20];
    for (more, reason, verdict, announced) in [
        (&[0xc0, 8, 4, 0, 0, 0, 1][..], "", "", 1),
        // ORIGIN again, MP_UNREACH again, an attribute beyond the field, NLRI beyond its attribute.
        (&[0x40, 1, 1, 2], "duplicate_attribute", "discard", 1),
        (&[unreach, unreach].concat(), "duplicate_attribute", "reset", 1),
        (&[0xc0, 8, 200, 0], "truncated", "withdraw", 1),
        (&[0x80, 15, 5, 0, 2, 1, 129, 0x20], "bad_prefix_length", "reset", 1),
    ] {
        let one = peer(1);
        let mut station = Station::with_peers(Settings::default(), &[one]);
        assert!(station.feed(1, &with_attributes(&one, &[&sound, more].concat())));
        let rows = station.rows();
        let is_announced = |row: &&Row| matches!(row, Row::Route { nlri, .. } if nlri[..] == [24, 192, 0, 2]);
        assert_eq!(rows.iter().filter(is_announced).count(), announced, "{reason}");
        let told: Vec<_> = rows.into_iter().filter(|row| matches!(row, Row::Error { .. })).collect();
        let expected = Row::Error { reason: reason.into(), verdict: verdict.into() };
        assert_eq!(told, if reason.is_empty() { vec![] } else { vec![expected] });
        assert_eq!(station.collector.ledgers().unexplained(), 0);
    }
}

//= RFC 6793 section 6
//# The error SHOULD be logged locally for analysis.
#[test]
fn attributes_that_are_in_no_row_are_judged_too() {
    let error = |header: PeerHeader, update: &[u8]| {
        let mut station = Station::with_peers(Settings::default(), &[header]);
        station.feed(1, &bmp::route_monitoring(&header, &bgp::message(2, update)));
        let told = station.rows().into_iter().find_map(|row| match row {
            Row::Error { reason, verdict } => Some((reason, verdict)),
            _ => None,
        });
        told.map(|(reason, verdict)| format!("{reason} {verdict}"))
    };
    // Withdrawn routes beside ORIGIN and damaged communities: there may have been routes that nobody can read.
    let withdraw = [0, 2, 8, 10, 0, 10, 0x40, 1, 1, 0, 0xc0, 8, 3, 0, 0, 0];
    assert_eq!(error(peer(1), &withdraw), Some("bad_length reset".into()));
    let sound = [0, 2, 8, 10, 0, 4, 0x40, 1, 1, 0];
    assert_eq!(error(peer(1), &sound), None);
    // AS4_PATH of a peer with 2-octet numbers that ends in mid-segment: discarded, and told.
    let old = PeerHeader { flags: 0x20, ..peer(1) };
    let path =
        [0x40, 1, 1, 0, 0x40, 2, 4, 2, 1, 0x5b, 0xa0, 0x40, 3, 4, 10, 0, 0, 1, 0xc0, 17, 4, 2, 2, 0, 1];
    let length = [0, 0, 0, u8::try_from(path.len()).unwrap()];
    assert_eq!(error(old, &[&length[..], &path, &[8, 10]].concat()), Some("truncated discard".into()));
}

#[test]
fn octets_behind_an_update_cost_it_nothing() {
    let one = peer(1);
    let mut station = Station::with_peers(Settings::default(), &[one]);
    let update = bgp::end_of_rib(Family::IPV6_UNICAST);
    let announced = announce(&one, &[PREFIX], &[65_001], [10, 0, 0, 1]);
    let octets = bmp::message(3, 0, &[&announced[6..], &update]);
    assert!(station.feed(1, &octets));
    let rows = station.rows();
    assert!(matches!(rows[..], [Row::Route { .. }, Row::Error { .. }]), "{rows:?}");
    assert_eq!(rows[1], Row::Error { reason: "trailing_octets".into(), verdict: String::new() });
    let ledgers = station.collector.ledgers();
    assert_eq!(ledgers.messages[Protocol::Bmp.index()][MessageEnd::Partial.index()], 1);
}
