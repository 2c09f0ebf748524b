//! Cut anywhere, one bit wrong anywhere: no panic, no endless loop, nothing read outside. Every view is walked to
//! its end.

use std::net::{IpAddr, Ipv4Addr};

use wire::bgp::attribute::Origin;
use wire::bgp::{AsWidth, Community, Family, Prefix, RouteDistinguisher, SegmentKind, Session};
use wire::bmp::{self, Framed, Message, RibView};
use wire::emit::{bgp as emit_bgp, bmp as emit_bmp};

/// Walks all that the octets hold and counts it, so that nothing is optimised away.
fn walk(octets: &[u8]) -> usize {
    let frame = match bmp::frame(octets, 1 << 16) {
        Framed::Whole(frame) => frame,
        Framed::NeedMore(missing) => return missing,
        Framed::Malformed(_) => return 0,
    };
    let Ok(message) = frame.message() else { return 0 };
    match message {
        Message::RouteMonitoring(monitoring) => monitoring.update().map_or(0, walk_update),
        Message::StatisticsReport(report) => report.statistics().count() + report.tlvs().count(),
        Message::PeerDown(down) => 1 + down.tlvs().count() + usize::from(down.notification().is_some()),
        Message::PeerUp(up) => {
            let sessions = RibView::ALL.map(|view| up.session(view));
            let capabilities = [up.sent_open, up.received_open].map(|open| {
                let values = open.capabilities().flatten().map(|capability| capability.value());
                values.count() + open.families().count() + open.add_path().count()
            });
            up.tlvs().count() + sessions.len() + capabilities.iter().sum::<usize>()
        }
        Message::Initiation(initiation) => initiation.tlvs().count() + initiation.strings().count(),
        Message::Termination(termination) => termination.tlvs().count(),
        Message::RouteMirroring(mirroring) => mirroring
            .mirrored()
            .flatten()
            .filter_map(|mirrored| mirrored.message())
            .map(|message| walk_update(wire::bgp::Update::parse(message.body)))
            .sum(),
        Message::Unknown { body, .. } => body.remaining(),
    }
}

fn walk_update(update: wire::bgp::Update<'_>) -> usize {
    let mut all = Session::FOUR_OCTET;
    Family::KNOWN.into_iter().for_each(|family| {
        all.add_path.insert(family);
        all.multiple_labels.insert(family);
    });
    let narrow = Session { as_width: AsWidth::Two, ..all };
    let mut seen = usize::from(update.end_of_rib().is_some());
    for session in [Session::FOUR_OCTET, all, narrow] {
        seen += update.findings(&session).count();
        seen += update.judge(&session).map(|judged| format!("{:?}", judged.value).len()).sum::<usize>();
        let entries = update.routes().flatten().flat_map(|routes| routes.entries(&session));
        seen += entries.map(|entry| format!("{entry:?}").len()).sum::<usize>();
        seen += usize::from(session.plausible_as_width(&update).is_some());
    }
    seen
}

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
        .attribute(0x80, 26, &[1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 9])
        .mp_reach(Family::IPV4_VPN, &[0; 12], &vpn)
        .mp_unreach(Family::IPV6_UNICAST, &unicast)
        .announce(None, &prefix);
    let update = update.finish();
    let notification = emit_bgp::notification(6, 2, &[3, b'b', b'y', b'e']);
    vec![
        emit_bmp::initiation("r1", "a router"),
        emit_bmp::termination(1, "bye"),
        emit_bmp::peer_up(&peer, (peer.address(), 179), 2000, &open, &open, &[(3, b"global"), (0, b"x")]),
        emit_bmp::peer_down(&peer, 1, &notification),
        emit_bmp::peer_down(&peer, 2, &[0, 4]),
        emit_bmp::peer_down(&peer, 6, &emit_bmp::tlvs(&[(3, b"red")])),
        emit_bmp::route_monitoring(&peer, &update),
        emit_bmp::statistics(&peer, &[(0, &[0; 4]), (7, &[0; 8]), (9, &[0; 11]), (99, &[0; 3])]),
        emit_bmp::mirroring(&peer, &[(0, &update), (1, &[0, 1])]),
        emit_bmp::message(3, 77, &[b"unknown"]),
    ]
}

#[test]
fn cut_anywhere() {
    for octets in samples() {
        assert!(walk(&octets) > 0, "the whole message is walked");
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
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = octets.clone();
                changed[place] = value;
                walk(&changed);
            }
        }
    }
}
