//! A router that is saved and restored goes on as if nothing had happened, wherever its stream was cut; octets
//! that no collector saved are refused, and nothing panics on them.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::type_complexity,
    reason = "what a test cannot do without fails it"
)]

#[path = "kit/station.rs"]
mod station;

use collector::batch::BatchLimits;
use collector::saved::Refused;
use collector::{Settings, StreamEnd, StreamId};
use station::{ROUTER, SECOND, Station, announce, peer, peer_up, prefix, withdraw};
use wire::bgp::{Family, RouteDistinguisher};
use wire::bmp::PeerHeader;
use wire::emit::{bgp, bmp};

fn loc_rib() -> PeerHeader {
    let rd = [0, 0, 0xfd, 0xe8, 0, 0, 0, 7];
    PeerHeader { kind: 3, distinguisher: rd, address_octets: [0; 16], ..peer(9) }
}

/// An UPDATE of VPN-IPv4 with two labels.
fn vpn(header: &PeerHeader) -> Vec<u8> {
    let mut nlri = Vec::new();
    let rd = RouteDistinguisher([0, 0, 0xfd, 0xe8, 0, 0, 0, 7]);
    bgp::put_vpn(&mut nlri, None, &[100, 200], rd, &prefix("192.0.2.0/24"));
    let mut update = bgp::Update::new(wire::bgp::AsWidth::Four);
    update.mp_reach(Family::IPV4_VPN, &[0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9], &nlri);
    bmp::route_monitoring(header, &update.finish())
}

fn stream() -> Vec<u8> {
    let (one, two) = (peer(1), peer(2));
    [
        bmp::initiation("r1", "a router"),
        peer_up(&one, |open| {
            open.multiprotocol(Family::IPV4_VPN).multiple_labels(&[(Family::IPV4_VPN, 3)]);
        }),
        peer_up(&two, |open| {
            open.add_path(&[(Family::IPV4_UNICAST, 3)]);
        }),
        peer_up(&loc_rib(), |_| {}),
        announce(&one, &["198.51.100.0/24", "203.0.113.0/24"], &[65_001, 65_100], [10, 0, 0, 1]),
        vpn(&one),
        announce(&loc_rib(), &["198.51.100.0/24"], &[65_002], [10, 0, 0, 2]),
        withdraw(&one, &["203.0.113.0/24"]),
        bmp::route_monitoring(&one, &bgp::end_of_rib(Family::IPV4_UNICAST)),
        announce(&one, &["198.51.100.0/24"], &[65_003], [10, 0, 0, 1]),
        bmp::peer_down(&two, 4, &[]),
    ]
    .concat()
}

fn routes(station: &Station) -> (usize, usize, usize) {
    let mut saved = Vec::new();
    let id = station.collector.router(collector::sixteen(ROUTER.into())).unwrap();
    station.collector.save(id, &mut saved);
    let rib = station.collector.rib(id).unwrap();
    (rib.paths(), rib.prefixes(), rib.attributes().len())
}

#[test]
fn wherever_it_is_cut_the_rest_makes_the_same_rows() {
    let octets = stream();
    let mut whole = Station::opened(Settings::default());
    whole.feed(1, &octets);
    let expected = whole.session_rows();
    for cut in 0..=octets.len() {
        let mut before = Station::opened(Settings::default());
        before.feed(1, &octets[..cut]);
        let mut rows = before.session_rows();
        let mut after = before.taken_over(Settings::default());
        assert!(after.feed(1, &octets[cut..]), "cut at {cut}");
        rows.extend(after.session_rows());
        assert_eq!(rows, expected, "cut at {cut}");
        assert_eq!(routes(&after), routes(&whole), "cut at {cut}");
        assert_eq!(after.collector.ledgers().unexplained(), 0);
    }
}

#[test]
fn a_lost_session_goes_on_expiring() {
    let settings = Settings::default();
    let stale_ns = settings.stale_routes_ns;
    let mut before = Station::opened(settings.clone());
    before.feed(1, &stream());
    before.close(1, StreamEnd::Reset);
    before.wait(SECOND);
    let mut after = before.taken_over(settings);
    assert!(routes(&after).0 > 0);
    // The stream is gone: nobody reads it any more.
    after.feed(1, &stream());
    after.wait(stale_ns - SECOND);
    assert_eq!(after.rows().len(), 1);
    assert_eq!(routes(&after), (0, 0, 0));
}

#[test]
fn a_stream_gets_the_name_of_its_new_worker() {
    let octets = stream();
    let mut before = Station::opened(Settings::default());
    before.feed(1, &octets[..100]);
    let mut after = before.taken_over(Settings::default());
    assert!(after.collector.rename_stream(StreamId(1), StreamId(77)));
    assert!(!after.collector.rename_stream(StreamId(1), StreamId(78)));
    assert!(after.feed(77, &octets[100..]));
    assert!(!after.session_rows().is_empty());
}

fn saved() -> Vec<u8> {
    let mut station = Station::opened(Settings::default());
    station.feed(1, &stream());
    let mut saved = Vec::new();
    let id = station.collector.router(collector::sixteen(ROUTER.into())).unwrap();
    station.collector.save(id, &mut saved);
    saved
}

#[test]
fn cut_or_foreign_octets_are_refused_by_name() {
    let saved = saved();
    let mut station = Station::new(Settings::default());
    let mut restore = |octets: &[u8]| station.collector.restore(octets).map(|_| ());
    assert_eq!(restore(b"something else"), Err(Refused::NotARouter));
    let mut other = saved.clone();
    other[9] = 9;
    assert_eq!(restore(&other), Err(Refused::Version(9)));
    for cut in 10..saved.len() {
        assert!(restore(&saved[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(restore(&[&saved[..], &[0]].concat()), Err(Refused::Trailing(1)));
    assert_eq!(restore(&saved), Ok(()));
    assert_eq!(station.collector.ledgers().unexplained(), 0);
}

#[test]
fn limits_hold_for_saved_routers_too() {
    let saved = saved();
    let refused = |settings| Station::new(settings).collector.restore(&saved).unwrap_err();
    let defaults = Settings::default;
    assert_eq!(refused(Settings { max_paths_per_router: 1, ..defaults() }), Refused::TooMany("paths"));
    assert_eq!(refused(Settings { max_tables_per_router: 1, ..defaults() }), Refused::TooMany("tables"));
    assert_eq!(refused(Settings { max_peers_per_session: 1, ..defaults() }), Refused::TooMany("BMP peers"));
    assert_eq!(
        refused(Settings { max_attribute_octets_per_router: 150, ..defaults() }),
        Refused::TooMany("octets of attributes")
    );
}

#[test]
fn no_changed_octet_makes_it_panic() {
    let saved = saved();
    let octets = stream();
    let small = BatchLimits { rows: 8, octets: 1 << 10 };
    for at in 0..saved.len() {
        for change in [1 << (at % 8), 0xff] {
            let mut flipped = saved.clone();
            flipped[at] ^= change;
            let mut station = Station::with_batches(Settings::default(), 2, small);
            if station.collector.restore(&flipped).is_ok() {
                station.feed(1, &octets);
                station.close(1, StreamEnd::Fin);
                station.wait(3_600 * SECOND);
                assert_eq!(station.collector.ledgers().unexplained(), 0);
            }
        }
    }
}
