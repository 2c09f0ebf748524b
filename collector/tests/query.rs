//! Questions about peers and routes, answered in slices that together make the whole.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::type_complexity,
    reason = "what a test cannot do without fails it"
)]

#[path = "kit/station.rs"]
mod station;

use collector::batch::{BatchLimits, WorkerId};
use collector::message::Context;
use collector::query::{Cursor, Query};
use collector::schema::{RecordField, TableId};
use collector::{Outlet, Settings, StreamEnd};
use station::{ROUTER, Station, announce, peer, peer_up, prefix};
use wire::bgp::{Family, RouteDistinguisher};
use wire::emit::{bgp, bmp};

/// All answers: JSON texts, and NLRI with the first octets of their peers.
fn ask(station: &mut Station, query: &Query) -> (Vec<String>, Vec<(Vec<u8>, Vec<u8>)>) {
    let schemas = station::schemas();
    let (mut out, drain) = Outlet::new(WorkerId(0), &schemas, 2, BatchLimits { rows: 100, octets: 1 << 20 });
    let (mut texts, mut routes) = (Vec::new(), Vec::new());
    let mut next = Some(Cursor::default());
    let before = station.collector.ledgers().clone();
    while let Some(cursor) = next {
        next = station.collector.answer(station.now, query, cursor, &mut out);
        out.publish();
        while let Some(batch) = drain.take() {
            let octets = |field, row| {
                let column = batch.schema.field(field).unwrap();
                batch.values[column].octets(row).unwrap().to_vec()
            };
            for row in 0..batch.rows as usize {
                if batch.schema.table == TableId::Routes {
                    routes.push((octets(RecordField::Nlri, row), octets(RecordField::Peer, row)));
                } else {
                    let context = octets(RecordField::Context, row);
                    let Some(Context::Answer { json }) = Context::read(&context) else { panic!() };
                    texts.push(json.to_owned());
                }
            }
        }
    }
    assert_eq!(*station.collector.ledgers(), before, "answers are in no ledger");
    (texts, routes)
}

#[test]
fn routes_come_back_as_they_were_announced() {
    let mut station = Station::new(Settings::default());
    let one = peer(1);
    station.open(1);
    station.feed(1, &peer_up(&one, |_| {}));
    let mut expected = Vec::new();
    for number in 0..1_000_u32 {
        let [_, _, a, b] = number.to_be_bytes();
        let text = format!("10.{a}.{b}.0/24");
        station.feed(1, &announce(&one, &[&text], &[65_001], [10, 0, 0, 1]));
        expected.push(vec![24, 10, a, b]);
    }
    let mut nlri = Vec::new();
    let rd = RouteDistinguisher([0, 0, 0xfd, 0xe8, 0, 0, 0, 7]);
    bgp::put_vpn(&mut nlri, None, &[100], rd, &prefix("192.0.2.0/25"));
    let mut update = bgp::Update::new(wire::bgp::AsWidth::Four);
    update.mp_reach(Family::IPV4_VPN, &[0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9], &nlri);
    station.feed(1, &bmp::route_monitoring(&one, &update.finish()));
    expected.push(nlri);

    let all = Query::Rib { router: None, prefix: None };
    let (_, routes) = ask(&mut station, &all);
    let header = bmp::peer_header(&one);
    assert!(routes.iter().all(|(_, peer)| *peer == header[..34]));
    let mut found: Vec<_> = routes.into_iter().map(|(nlri, _)| nlri).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let prefix = Some(prefix("192.0.2.0/25"));
    let (_, routes) = ask(&mut station, &Query::Rib { router: None, prefix });
    assert_eq!(routes.len(), 1);
    let elsewhere = Query::Rib { router: Some([9; 16]), prefix: None };
    assert!(ask(&mut station, &elsewhere).1.is_empty());
    // Dead at once, long before they are freed.
    station.feed(1, &bmp::peer_down(&one, 4, &[]));
    assert!(ask(&mut station, &all).1.is_empty());
}

#[test]
fn peers_tell_their_state() {
    let mut station = Station::new(Settings::default());
    let (one, two) = (peer(1), peer(2));
    station.open(1);
    station.feed(1, &[bmp::initiation("r1", ""), peer_up(&one, |_| {}), peer_up(&two, |_| {})].concat());
    station.feed(1, &announce(&one, &["198.51.100.0/24"], &[65_001], [10, 0, 0, 1]));
    station.feed(1, &bmp::peer_down(&two, 4, &[]));
    let (texts, _) = ask(&mut station, &Query::Peers);
    assert_eq!(texts.len(), 2);
    let first: serde_json::Value = serde_json::from_str(&texts[0]).unwrap();
    assert_eq!(first["exporter"], ROUTER.to_string());
    assert_eq!(
        (&first["state"], &first["paths"], &first["sysName"]),
        (&"up".into(), &1.into(), &"r1".into())
    );
    assert_eq!(first["peer"]["address"], "10.0.0.1");
    assert_eq!((&first["peer"]["as"], &first["peer"]["type"]), (&65_001.into(), &"global".into()));
    assert!(texts[1].contains(r#""state":"down""#));
    station.close(1, StreamEnd::Fin);
    let (texts, _) = ask(&mut station, &Query::Peers);
    assert!(texts[0].contains(r#""state":"stale""#), "{}", texts[0]);
}
