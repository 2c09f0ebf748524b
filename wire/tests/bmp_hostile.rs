//! Cut anywhere, one bit wrong anywhere: no panic, no endless loop, nothing read outside. Every view is walked to
//! its end.

use std::net::{IpAddr, Ipv4Addr};

use wire::bgp::attribute::Origin;
use wire::bgp::{
    AsWidth, Community, Entries, Family, Nlri, Prefix, RouteDistinguisher, SegmentKind, Session,
};
use wire::bmp::{self, Framed};
use wire::emit::{bgp as emit_bgp, bmp as emit_bmp};

#[path = "walk/bmp.rs"]
mod walk;

use walk::walk;

/// One NLRI field of each family that is no prefix, with a next hop.
fn typed_fields() -> Vec<(Family, Vec<u8>)> {
    let distinguisher = [0, 1, 192, 0, 2, 1, 0, 5];
    let mac =
        [&[2, 33][..], &distinguisher, &[1; 10], &[0, 0, 0, 7, 48], &[2; 6], &[0], &[0, 39, 17]].concat();
    let prefix =
        [&[5, 34][..], &distinguisher, &[1; 10], &[0, 0, 0, 7, 24], &[2; 4], &[0; 4], &[0, 39, 17]].concat();
    let synch = [32, 192, 0, 2, 1, 32, 239, 1, 1, 1, 32, 10, 0, 0, 1, 0, 0, 0, 0, 9, 4];
    let leave = [&[8, 43][..], &distinguisher, &[1; 10], &[0, 0, 0, 7], &synch].concat();
    let leaf = [&[11, 10][..], &[3, 3, 1, 2, 3], &[32, 10, 0, 0, 1]].concat();
    let flow = [14, 2, 8, 192, 4, 3, 137, 69, 139, 145, 31, 144, 12, 128, 4];
    let flow_vpn = [&[22][..], &distinguisher, &flow[1..]].concat();
    let pattern = [8, 1, 104, 64, 18, 52, 86, 120, 154];
    let node = [3, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 8, 2, 0, 0, 4, 0, 0, 0xfd, 0xe8];
    let reach = [3, 0, 0, 0, 0, 0, 0, 0, 7, 1, 9, 0, 4, 24, 192, 0, 2];
    let ls = [&[0, 1, 0, 21][..], &node, &[0, 3, 0, 17], &reach].concat();
    let source = [32, 192, 0, 2, 1, 32, 239, 1, 1, 1];
    let mcast = [&[5, 18][..], &distinguisher, &source, &[4, 9, 3, 3, 1, 2, 3, 10, 0, 0, 1]].concat();
    vec![
        (Family::EVPN, [mac, prefix, leave, leaf].concat()),
        (Family::new(1, 133), flow.to_vec()),
        (Family::new(1, 134), flow_vpn),
        (Family::new(2, 133), pattern.to_vec()),
        (Family::new(16388, 71), ls),
        (Family::new(1, 73), vec![96, 0, 0, 0, 1, 0, 0, 0, 100, 192, 0, 2, 1]),
        (Family::new(1, 132), vec![96, 0, 0, 0xfd, 0xe8, 0, 2, 0xfd, 0xe8, 0, 0, 0, 9, 0]),
        (Family::new(1, 5), mcast),
        (Family::new(25, 65), vec![0, 17, 0, 0, 0, 1, 0, 0, 0, 1, 0, 5, 0, 1, 0, 10, 0, 6, 65]),
    ]
}

/// Prefix-SID with one SRv6 SID and its structure.
const SRV6: [u8; 37] = [
    5, 0, 34, 0, 1, 0, 30, 0, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00,
    0x3f, 0, 1, 0, 6, 32, 16, 16, 0, 16, 48,
];

fn samples() -> Vec<Vec<u8>> {
    let mut peer = emit_bmp::peer(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 65001, Ipv4Addr::new(10, 0, 0, 1));
    peer.seconds = 1;
    let mut open = emit_bgp::Open::new(65001, 180, Ipv4Addr::new(10, 0, 0, 1));
    open.multiprotocol(Family::IPV4_VPN).four_octet_as().add_path(&[(Family::IPV4_VPN, 3)]);
    open.multiple_labels(&[(Family::IPV4_VPN, 3)]);
    open.capability(64, &[0x80, 120, 0, 1, 1, 0x80]).capability(71, &[0, 1, 1, 0, 0, 1, 0]);
    open.capability(73, &[2, b'r', b'1', 0]).capability(5, &[0, 1, 0, 1, 0, 2]);
    let open = open.finish();
    let prefix = Prefix::new("192.0.2.0".parse().expect("an address"), 24);
    let ipv6 = Prefix::new("2001:db8::".parse().expect("an address"), 32);
    let mut vpn = Vec::new();
    emit_bgp::put_vpn(&mut vpn, None, &[100], RouteDistinguisher([0, 0, 0xfd, 0xe8, 0, 0, 0, 1]), &prefix);
    let mut unicast = Vec::new();
    emit_bgp::put_prefix(&mut unicast, None, &ipv6);
    let mut update = emit_bgp::Update::new(AsWidth::Four);
    update
        .withdraw(None, &prefix)
        .origin(Origin::Igp)
        .as_path(&[(SegmentKind::Sequence, &[65001, 65002]), (SegmentKind::Set, &[7])])
        .next_hop(Ipv4Addr::new(192, 0, 2, 1))
        .communities(&[Community::NO_EXPORT])
        .attribute(0xc0, 7, &[0, 0, 0xfd, 0xe8, 192, 0, 2, 1])
        .attribute(0xc0, 22, &[0, 6, 0x00, 0x06, 0x41, 192, 0, 2, 1])
        .attribute(0xc0, 23, &[0, 15, 0, 13, 12, 6, 0, 0, 0, 0, 0, 100, 128, 0, 2, 9, 9])
        .attribute(0x80, 29, &[0x04, 0x47, 0, 3, 0, 0, 10, 0x04, 0x04, 0, 4, 10, 0, 0, 1])
        .attribute(0xc0, 40, &[1, 0, 7, 0, 0, 0, 0, 0, 0, 91])
        .attribute(0xc0, 40, &SRV6)
        .attribute(0xc0, 128, &[0, 0, 0xfd, 0xe8, 0x40, 1, 1, 0])
        .attribute(0x80, 26, &[1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 9])
        .mp_reach(Family::IPV4_VPN, &[0; 12], &vpn)
        .mp_unreach(Family::IPV6_UNICAST, &unicast)
        .announce(None, &prefix);
    let update = update.finish();
    let mut short = emit_bgp::Update::new(AsWidth::Four);
    short.withdraw(None, &prefix).withdraw(None, &prefix);
    let short = short.finish();
    let typed = typed_fields().into_iter().map(|(family, nlri)| {
        let mut update = emit_bgp::Update::new(AsWidth::Four);
        update.origin(Origin::Igp).as_path(&[]).mp_reach(family, &[10, 0, 0, 1], &nlri);
        emit_bmp::route_monitoring(&peer, &update.finish())
    });
    let notification = emit_bgp::notification(6, 2, &[3, b'b', b'y', b'e']);
    let messages = vec![
        emit_bmp::initiation("r1", "a router"),
        emit_bmp::termination(1, "bye"),
        emit_bmp::peer_up(&peer, (peer.address(), 179), 2000, &open, &open, &[(3, b"global"), (0, b"x")]),
        emit_bmp::peer_down(&peer, 1, &notification),
        emit_bmp::peer_down(&peer, 2, &[0, 4]),
        emit_bmp::peer_down(&peer, 6, &emit_bmp::tlvs(&[(3, b"red")])),
        emit_bmp::route_monitoring(&peer, &update),
        emit_bmp::statistics(&peer, &[(0, &[0; 4]), (7, &[0; 8]), (9, &[0; 11]), (99, &[0; 3])]),
        emit_bmp::mirroring(&peer, &[(0, &update), (1, &[0, 1])]),
        emit_bmp::route_monitoring_v4(
            &peer,
            &[
                (2, 0x8001, &[0, 1, 0, 2]),
                (1, 0, &[69, 4, 0, 1, 1, 3]),
                (3, 0, b"global"),
                (4, 0, &short),
                (5, 1, &[0, 0, 0, 0x8a, 0, 3]),
                (0x8009, 0x8001, &[0, 0, 0, 9, 1]),
            ],
        ),
        emit_bmp::message(3, 77, &[b"unknown"]),
    ];
    messages.into_iter().chain(typed).collect()
}

#[test]
fn the_samples_are_sound() {
    for (family, nlri) in typed_fields() {
        let entries = Entries::new(wire::Cursor::new(&nlri), family, &Session::FOUR_OCTET, false);
        for entry in entries {
            let entry = entry.unwrap();
            assert_eq!(entry.nlri.check(), Ok(()), "{family} {entry:?}");
            assert!(!matches!(entry.nlri, Nlri::Raw(_)), "{family}");
        }
    }
}

#[test]
fn whole_messages_are_read_whole() {
    for octets in samples() {
        let found = walk(&octets);
        assert_eq!((found.messages, found.missing), (1, Some(6)));
    }
    let routes: usize = samples().iter().map(|octets| walk(octets).routes).sum();
    assert!(routes > 50, "{routes} routes");
}

#[test]
fn cut_anywhere() {
    for octets in samples() {
        for length in 0..octets.len() {
            let cut = &octets[..length];
            assert!(matches!(bmp::frame(cut, 1 << 16), Framed::NeedMore(_)));
            // The same cut, with a length that says it is whole.
            let mut whole = cut.to_vec();
            if let Some(field) = whole.get_mut(1..5) {
                field.copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
            }
            walk(&whole);
        }
    }
}

#[test]
fn one_bit_wrong_anywhere() {
    for octets in samples() {
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            walk(&flipped);
        }
    }
}

#[test]
fn one_octet_at_its_extremes_anywhere() {
    for octets in samples() {
        for place in 0..octets.len() {
            for value in [0, 0x7f, 0xff] {
                let mut changed = octets.clone();
                changed[place] = value;
                walk(&changed);
            }
        }
    }
}

/// Where the fuzzer starts from: one file a sample, written anew by `WRITE_SEEDS=1 cargo test -p wire seeds`.
#[test]
fn seeds_are_read_to_the_end() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/bmp"));
    if std::env::var_os("WRITE_SEEDS").is_some() {
        for (number, octets) in samples().iter().enumerate() {
            std::fs::write(folder.join(format!("sample-{number:02}")), octets).unwrap();
        }
    }
    let seeds =
        std::fs::read_dir(folder).unwrap().map(|seed| walk(&std::fs::read(seed.unwrap().path()).unwrap()));
    let messages: usize = seeds.map(|found| found.messages).sum();
    assert!(messages >= samples().len());
}
