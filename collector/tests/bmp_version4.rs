//! Routes of BMP version 4, whose UPDATEs stand in a TLV (draft-ietf-grow-bmp-tlv), come out as those of version 3.

#[path = "kit/station.rs"]
mod station;

use collector::Settings;
use collector::ledger::{MessageEnd, Protocol};
use station::{Row, Station, peer, peer_up};
use wire::bgp::{AsWidth, Family};
use wire::emit::{bgp, bmp};

fn routes(tlvs: &[bmp::IndexedTlv<'_>]) -> (Vec<Option<u32>>, u64, u64) {
    let one = peer(1);
    let mut station = Station::new(Settings::default());
    station.open(1);
    station.feed(1, &[peer_up(&one, |_| {}), bmp::route_monitoring_v4(&one, tlvs)].concat());
    let path_ids = station
        .rows()
        .into_iter()
        .filter_map(|row| match row {
            Row::Route { path_id, .. } => Some(path_id),
            Row::Message { .. }
            | Row::Session { .. }
            | Row::Gap { .. }
            | Row::Dump { .. }
            | Row::Error { .. } => None,
        })
        .collect();
    let messages = &station.collector.ledgers().messages[Protocol::Bmp.index()];
    (path_ids, messages[MessageEnd::Decoded.index()], messages[MessageEnd::Malformed.index()])
}

#[test]
fn the_update_is_found_in_its_tlv() {
    let mut update = bgp::Update::new(AsWidth::Four);
    update.next_hop([10, 0, 0, 1].into());
    update.announce(None, &station::prefix("198.51.100.0/24"));
    update.announce(None, &station::prefix("203.0.113.0/24"));
    let update = update.finish();
    for code in [4, 7] {
        let tlvs = [(code, 0, &update[..]), (5, 1, &[0, 0, 0, 2])];
        assert_eq!(routes(&tlvs), (vec![None, None], 2, 0), "PDU in TLV {code}");
    }
    assert_eq!(routes(&[(9, 0, &[])]), (vec![], 1, 1));
}

#[test]
fn capabilities_in_the_message_say_how_it_reads() {
    let mut update = bgp::Update::new(AsWidth::Four);
    update.next_hop([10, 0, 0, 1].into());
    update.announce(Some(7), &station::prefix("198.51.100.0/24"));
    let update = update.finish();
    let Family { afi, safi } = Family::IPV4_UNICAST;
    let [high, low] = afi.to_be_bytes();
    let add_path = [69, 4, high, low, safi, 3];
    assert_eq!(routes(&[(3, 0, &add_path), (4, 0, &update)]), (vec![Some(7)], 2, 0));
}
