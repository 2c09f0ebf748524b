//! Flows meet the routes of their router: which table, which path, and why not.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/station.rs"]
mod station;

use collector::batch::Values;
use collector::join::{Columns, JoinedRoute, Keys, Vrf, join};
use collector::ledger::JoinEnd;
use collector::schema::{Origin, PickedBy, RouteField, Side, TableId, VrfFrom};
use collector::settings::{JoinAddress, PortProtocol, VrfDistinguisher, VrfName};
use collector::{Input, Settings, StreamEnd};
use station::{ROUTER, SECOND, Station, announce, peer, peer_up};
use wire::bgp::Family;
use wire::bmp::PeerHeader;
use wire::bmp::peer_up::VRF_TABLE_NAME;
use wire::emit::ipfix::Message;
use wire::emit::{bgp, bmp};
use wire::ipfix::template::Field;

const RD: [u8; 8] = [0, 2, 0xfb, 0xf0, 0x2d, 0x5a, 0, 12];

/// What one row is looked up by.
struct Key {
    /// Zeros: the record has none.
    address: [u8; 16],
    /// Zeros: the record has none.
    next_hop: [u8; 16],
    vrf: Vrf,
}

fn key(address: &str) -> Key {
    let address = address.parse().ok().map(collector::sixteen).unwrap_or_default();
    Key { address, next_hop: [0; 16], vrf: Vrf::DEFAULT }
}

/// What became of one look-up: end, and prefix, AS numbers of the peer, RD, stale, why this path.
#[derive(Debug, PartialEq, Eq)]
struct Joined {
    end: JoinEnd,
    prefix: Option<String>,
    peer_as: Option<u32>,
    rd: Option<[u8; 8]>,
    stale: bool,
    picked_by: Option<PickedBy>,
}

fn look_up(station: &mut Station, key: &Key) -> Joined {
    let router = collector::sixteen(ROUTER.into());
    // A router that never spoke BMP has a RIB too: an empty one.
    let mut empty = collector::rib::Rib::default();
    let rib = match station.collector.router(router) {
        Some(id) => station.collector.rib_mut(id).unwrap(),
        None => &mut empty,
    };
    let mut ledgers = collector::Ledgers::default();
    let batch = station.out.batch(TableId::Flows).unwrap();
    let columns = Columns::of(&batch.schema, Side::Source);
    let keys = Keys {
        addresses: &[key.address],
        used_elements: &[12],
        next_hops: &[key.next_hop],
        vrfs: &[key.vrf],
    };
    join(&columns, &keys, rib, batch, &mut ledgers);
    batch.finish_rows(1);
    let row = batch.rows as usize - 1;
    let column = |field| batch.schema.position(Origin::Join { side: Side::Source, field }).unwrap();
    let integer = |field| {
        let column = column(field);
        batch.is_present(column, batch.rows - 1).then(|| batch.values[column].integer(row).unwrap())
    };
    let end = JoinEnd::ALL[usize::try_from(integer(RouteField::Result).unwrap()).unwrap()];
    assert_eq!(ledgers.joins[1][end.index()], 1, "every look-up is counted once");
    let routes = column(RouteField::Route);
    assert!(matches!(batch.values[routes], Values::Routes(_)));
    let is_found = batch.is_present(routes, batch.rows - 1);
    let route: Option<JoinedRoute<'_>> = is_found.then(|| batch.values[routes].route(row).unwrap());
    Joined {
        end,
        prefix: route.map(|route| route.prefix.to_string()),
        peer_as: route.map(|route| route.peer_as),
        rd: route.and_then(|route| route.rd),
        stale: route.is_some_and(|route| route.stale),
        picked_by: integer(RouteField::PickedBy)
            .and_then(|n| PickedBy::from_number(u8::try_from(n).unwrap())),
    }
}

fn miss(end: JoinEnd) -> Joined {
    Joined { end, prefix: None, peer_as: None, rd: None, stale: false, picked_by: None }
}

/// Two peers and a Loc-RIB of a VRF that the router calls A2.
fn station() -> Station {
    with(Settings::default())
}

fn with(settings: Settings) -> Station {
    let (one, two) = (peer(1), peer(2));
    let vrf = PeerHeader { kind: 3, distinguisher: RD, address_octets: [0; 16], ..peer(9) };
    let open = |header: &PeerHeader| {
        let mut open = bgp::Open::new(header.autonomous_system, 180, header.bgp_id);
        open.multiprotocol(Family::IPV4_UNICAST).four_octet_as();
        open.finish()
    };
    let up = open(&vrf);
    let unspecified = std::net::Ipv4Addr::UNSPECIFIED.into();
    let mut station = Station::opened(settings);
    let octets = [
        peer_up(&one, |_| {}),
        peer_up(&two, |_| {}),
        bmp::peer_up(&vrf, (unspecified, 0), 0, &up, &up, &[(VRF_TABLE_NAME, b"A2")]),
        announce(&one, &["198.51.100.0/24"], &[65_001, 65_100], [10, 0, 0, 1]),
        announce(&two, &["198.51.100.0/24"], &[65_002], [10, 0, 0, 2]),
        announce(&two, &["198.51.0.0/16"], &[65_002], [10, 0, 0, 2]),
        announce(&vrf, &["198.51.100.7/32"], &[65_009], [10, 0, 0, 9]),
        bmp::route_monitoring(&one, &bgp::end_of_rib(Family::IPV4_UNICAST)),
        bmp::route_monitoring(&two, &bgp::end_of_rib(Family::IPV4_UNICAST)),
        bmp::route_monitoring(&vrf, &bgp::end_of_rib(Family::IPV4_UNICAST)),
    ];
    station.feed(1, &octets.concat());
    station
}

#[test]
fn among_paths_the_flow_s_next_hop_decides_then_the_best_path() {
    let mut station = station();
    let best = look_up(&mut station, &key("198.51.100.7"));
    // AS 65002 alone is the shorter path.
    assert_eq!(
        best,
        Joined {
            end: JoinEnd::Found,
            prefix: Some("198.51.100.0/24".into()),
            peer_as: Some(65_002),
            rd: None,
            stale: false,
            picked_by: Some(PickedBy::BestPath),
        }
    );
    let next_hop =
        |last| Key { next_hop: collector::sixteen([10, 0, 0, last].into()), ..key("198.51.100.7") };
    let by_next_hop = look_up(&mut station, &next_hop(1));
    assert_eq!((by_next_hop.peer_as, by_next_hop.picked_by), (Some(65_001), Some(PickedBy::NextHop)));
    // A next hop that no path has says nothing.
    let other = look_up(&mut station, &next_hop(77));
    assert_eq!((other.peer_as, other.picked_by), (Some(65_002), Some(PickedBy::BestPath)));
    let only = look_up(&mut station, &key("198.51.7.7"));
    assert_eq!((only.prefix.as_deref(), only.picked_by), (Some("198.51.0.0/16"), Some(PickedBy::Only)));
}

#[test]
fn the_table_is_that_of_the_rd_or_of_the_name_and_no_other() {
    let mut station = station();
    let router = station.collector.router(collector::sixteen(ROUTER.into())).unwrap();
    let named = station.collector.rib(router).unwrap().tables().named("A2");
    let vrf =
        |rd, id, table| Key { vrf: Vrf { rd, id, table, from: VrfFrom::Options }, ..key("198.51.100.7") };
    let in_vrf = Some("198.51.100.7/32");
    for (rd, id, table, expected) in [
        (Some(RD), Some(5), None, in_vrf),
        (None, Some(5), named, in_vrf),
        (Some([0; 8]), Some(5), None, Some("198.51.100.0/24")),
        (None, Some(0), None, Some("198.51.100.0/24")),
        (None, None, None, Some("198.51.100.0/24")),
    ] {
        let joined = look_up(&mut station, &vrf(rd, id, table));
        assert_eq!(joined.prefix.as_deref(), expected, "{rd:?} {id:?} {table:?}");
        assert_eq!(joined.rd, (expected == in_vrf).then_some(RD));
    }
    // A VRF that BMP does not know is not the default table.
    for unknown in [vrf(Some([0, 0, 0, 1, 0, 0, 0, 1]), Some(5), None), vrf(None, Some(5), None)] {
        assert_eq!(look_up(&mut station, &unknown), miss(JoinEnd::NoVrf));
    }
    // Nor does a VRF without a route fall back to it.
    let elsewhere = Key { vrf: vrf(Some(RD), None, None).vrf, ..key("198.51.7.7") };
    assert_eq!(look_up(&mut station, &elsewhere), miss(JoinEnd::NoRoute));
}

//= RFC 7854 section 3.3
//# Once it has sent all the routes for a given peer, it MUST send an End-of-RIB message for that peer; when
//# End-of-RIB has been sent for each monitored peer, the initial table dump has completed.
//= RFC 7854 section 5
//# When the initial dump is completed for a given peer, this MUST be indicated by sending an End-of-RIB
//# marker for that peer (as specified in Section 2 of [RFC4724], plus the BMP encapsulation header).
#[test]
fn every_miss_says_why() {
    let mut silent = Station::new(Settings::default());
    assert_eq!(look_up(&mut silent, &key("198.51.100.7")), miss(JoinEnd::NoSession));

    let mut running = Station::new(Settings::default());
    let one = peer(1);
    running.open(1);
    assert_eq!(look_up(&mut running, &key("198.51.100.7")), miss(JoinEnd::DumpRunning));
    running.feed(1, &peer_up(&one, |_| {}));
    running.feed(1, &announce(&one, &["203.0.113.0/24"], &[65_001], [10, 0, 0, 1]));
    assert_eq!(look_up(&mut running, &key("198.51.100.7")), miss(JoinEnd::DumpRunning));
    running.feed(1, &bmp::route_monitoring(&one, &bgp::end_of_rib(Family::IPV4_UNICAST)));
    assert_eq!(look_up(&mut running, &key("198.51.100.7")), miss(JoinEnd::NoRoute));
    for unusable in ["0.0.0.0", "::", "nothing"] {
        assert_eq!(look_up(&mut running, &key(unusable)), miss(JoinEnd::NoAddress));
    }
    // No End-of-RIB for IPv6 was ever sent: quiet for long enough, the dump counts as over.
    running.wait(60 * SECOND);
    assert_eq!(look_up(&mut running, &key("2001:db8::1")), miss(JoinEnd::NoRoute));
}

#[test]
fn routes_of_a_lost_session_serve_as_stale_until_told_again_or_expired() {
    let mut station = station();
    station.close(1, StreamEnd::Timeout);
    let stale = look_up(&mut station, &key("198.51.100.7"));
    assert_eq!((stale.end, stale.stale), (JoinEnd::Found, true));
    assert_eq!(look_up(&mut station, &key("192.0.2.9")), miss(JoinEnd::NoSession));
    // It comes back: what it has told again is not stale, and goes before what is.
    let one = peer(1);
    station.wait(SECOND);
    station.open(2);
    station.feed(2, &peer_up(&one, |_| {}));
    station.feed(2, &announce(&one, &["198.51.100.0/24"], &[65_001, 65_100], [10, 0, 0, 1]));
    let fresh = look_up(&mut station, &key("198.51.100.7"));
    assert_eq!((fresh.peer_as, fresh.stale), (Some(65_001), false));
    assert!(look_up(&mut station, &key("198.51.7.7")).stale);
    station.wait(Settings::default().stale_routes_ns);
    assert_eq!(look_up(&mut station, &key("198.51.7.7")), miss(JoinEnd::NoRoute));
    assert_eq!(look_up(&mut station, &key("198.51.100.7")).peer_as, Some(65_001));
}

/// Feeds one IPFIX message from the router; where the destination side of its flow was found, and by which VRF.
fn destination(settings: Settings, message: &Message) -> (Option<u16>, Option<String>, Option<VrfFrom>) {
    let mut station = with(Settings { ports: vec![(4739, PortProtocol::Ipfix)], ..settings });
    let from = (ROUTER, 50_000).into();
    let input = Input::Datagram { from, to: (ROUTER, 4739).into(), payload: &message.clone().finish() };
    station.collector.accept(station.now, input, &mut station.out);
    station.out.publish();
    let batch = std::iter::from_fn(|| station.drain.take())
        .find(|batch| batch.schema.table == TableId::Flows)
        .unwrap();
    let column = |field| batch.schema.position(Origin::Join { side: Side::Destination, field }).unwrap();
    let integer =
        |field| batch.is_present(column(field), 0).then(|| batch.values[column(field)].integer(0).unwrap());
    let routes = column(RouteField::Route);
    let prefix =
        batch.is_present(routes, 0).then(|| batch.values[routes].route(0).unwrap().prefix.to_string());
    let from = integer(RouteField::VrfFrom).and_then(|n| VrfFrom::from_number(u8::try_from(n).unwrap()));
    (integer(RouteField::UsedElement).map(|id| u16::try_from(id).unwrap()), prefix, from)
}

#[test]
fn a_vrf_that_nobody_tells_is_that_of_the_configuration() {
    let fields = [Field::iana(12, 4), Field::iana(234, 4)];
    let options = [Field::iana(234, 4), Field::iana(236, 4)];
    let seven: &[u8] = &[0, 0, 0, 7];
    let mut message = Message::new(1_700_000_000, 0, 7);
    message
        .options_template(257, 1, &options)
        .data(257, &options, &[&[seven, b"red\0"]])
        .template(256, &fields)
        .data(256, &fields, &[&[&[198, 51, 100, 7], seven]]);
    let other = Some([9; 16]);
    let own = Some(collector::sixteen(ROUTER.into()));
    let entry = |router, vrf, rd| VrfDistinguisher { router, vrf, rd };
    let unknown = [0, 0, 0, 1, 0, 0, 0, 1];
    let found = (Some(12), Some("198.51.100.7/32".to_owned()), Some(VrfFrom::Config));
    for vrfs in [
        vec![entry(None, VrfName::Id(7), RD)],
        vec![entry(None, VrfName::Name("red".into()), RD)],
        vec![entry(other, VrfName::Id(7), unknown), entry(None, VrfName::Id(7), RD)],
        vec![entry(None, VrfName::Id(7), unknown), entry(own, VrfName::Id(7), RD)],
    ] {
        assert_eq!(destination(Settings { vrfs, ..Settings::default() }, &message), found);
    }
    for vrfs in [Vec::new(), vec![entry(other, VrfName::Id(7), RD)], vec![entry(own, VrfName::Id(8), RD)]] {
        let told = destination(Settings { vrfs, ..Settings::default() }, &message);
        assert_eq!((told.1, told.2), (None, Some(VrfFrom::Record)));
    }
}

//= RFC 7011 section 8
//# Collecting Processes MUST properly handle Templates with multiple identical Information Elements.
#[test]
fn of_a_tunnel_s_addresses_the_configured_one_is_looked_up() {
    let fields = [Field::iana(12, 4), Field::iana(12, 4), Field::iana(28, 16)];
    let mut message = Message::new(1_700_000_000, 0, 7);
    let record: [&[u8]; 3] = [&[198, 51, 7, 7], &[198, 51, 100, 7], &[0; 16]];
    message.template(256, &fields).data(256, &fields, &[&record]);
    for (join_address, prefix) in
        [(JoinAddress::Last, "198.51.100.0/24"), (JoinAddress::First, "198.51.0.0/16")]
    {
        let told = destination(Settings { join_address, ..Settings::default() }, &message);
        assert_eq!(told, (Some(12), Some(prefix.to_owned()), Some(VrfFrom::Default)));
    }
}
