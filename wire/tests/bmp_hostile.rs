//! Cut anywhere, one bit wrong anywhere: no panic, no endless loop, nothing read outside. Every view is walked to
//! its end.

use std::net::{IpAddr, Ipv4Addr};

use wire::bgp::attribute::Origin;
use wire::bgp::nlri::flowspec::Condition;
use wire::bgp::prefix_sid::PrefixSidTlv;
use wire::bgp::{
    AsWidth, Community, Entries, Family, Nlri, Prefix, RouteDistinguisher, SegmentKind, Session, Value,
};
use wire::bmp::{self, Framed, Message, Profile, RibView, Tagged};
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
        Message::RouteMonitoring(monitoring) if frame.version == 3 => {
            monitoring.update().map_or(0, walk_update)
        }
        Message::RouteMonitoring(monitoring) => {
            let profiles = [None, Some(Profile::Draft21), Some(Profile::Draft20), Some(Profile::Draft06)];
            profiles.into_iter().flat_map(|profile| monitoring.tagged(profile)).map(walk_tagged).sum()
        }
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

fn walk_tagged(tagged: Tagged<'_>) -> usize {
    let tlvs = tagged.tlvs().flatten();
    let texts = tlvs.map(|tlv| format!("{:?}", tlv.value(tagged.meaning(&tlv))).len());
    let about: usize = (0..4).map(|nlri| tagged.about(nlri).count()).sum();
    let rules = tagged.session(Session::FOUR_OCTET);
    texts.sum::<usize>() + about + tagged.update.findings(&rules).count()
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
        seen += update.judge(&session).map(|judged| walk_value(&judged.value)).sum::<usize>();
        let entries = update.routes().flatten().flat_map(|routes| routes.entries(&session));
        seen += entries.map(|entry| entry.map_or(0, |entry| walk_nlri(&entry.nlri))).sum::<usize>();
        seen += usize::from(session.plausible_as_width(&update).is_some());
    }
    seen
}

fn walk_value(value: &Value<'_>) -> usize {
    let mut text = format!("{value:?}");
    if let Value::AsPath(path) = value {
        text += &format!("{:?} {:?} {}", path.numbers().collect::<Vec<_>>(), path.origin(), path.hops());
    }
    if let Value::Tunnels(tunnels) = value {
        for tunnel in *tunnels {
            text += &format!("{:?}", tunnel.sub_tlvs().collect::<Vec<_>>());
        }
    }
    if let Value::LinkState(tlvs) = value {
        for tlv in tlvs.flatten() {
            text += &format!("{:?}", tlv.value(None));
        }
    }
    if let Value::PrefixSid(tlvs) = value {
        for tlv in *tlvs {
            text += &format!("{tlv:?}");
            if let PrefixSidTlv::Srv6Service { sids, .. } = tlv {
                text += &format!("{:?}", sids.collect::<Vec<_>>());
            }
        }
    }
    if let Value::AttrSet(set) = value {
        text += &set.attributes.flatten().count().to_string();
    }
    text.len()
}

fn walk_nlri(nlri: &Nlri<'_>) -> usize {
    let mut text = format!("{nlri:?} {:?} {:?}", nlri.check(), nlri.distinguisher());
    match nlri {
        Nlri::Labeled(labeled) => text += &format!("{:?}", labeled.labels.collect::<Vec<_>>()),
        Nlri::Vpn(vpn) => text += &format!("{} {:?}", vpn.distinguisher, vpn.labels.collect::<Vec<_>>()),
        Nlri::Evpn(evpn) => text += &format!("{:?}", evpn.route()),
        Nlri::McastVpn(mcast) => text += &format!("{:?}", mcast.route()),
        Nlri::Flowspec(rule) => {
            for component in rule.components().flatten() {
                match component.condition {
                    Condition::Prefix { prefix, offset } => text += &format!("{prefix} {offset}"),
                    Condition::Number(numbers) => text += &format!("{} {numbers}", component.name()),
                    Condition::Bits(bits) => text += &format!("{} {bits}", component.name()),
                }
            }
        }
        Nlri::BgpLs(nlri) => {
            let object = nlri.object();
            for tlv in object.iter().flat_map(|object| object.descriptors).flatten() {
                text += &format!("{:?} {:?}", tlv.name(), tlv.value(nlri.version()));
            }
        }
        Nlri::Prefix(_) | Nlri::SrPolicy(_) | Nlri::RouteTarget(_) | Nlri::Vpls(_) | Nlri::Raw(_) => {}
    }
    text.len()
}

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
