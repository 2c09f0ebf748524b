//! What the encoders write is what the views read: all seven BMP types, OPENs with capabilities, UPDATEs with
//! attributes and NLRI of every prefix family, with and without path identifiers and label stacks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::bgp::attribute::Origin;
use wire::bgp::family::{self, Family};
use wire::bgp::{
    self, Action, AsWidth, Community, ExtendedCommunity, LargeCommunity, Nlri, Prefix, RouteDistinguisher,
    SegmentKind, Session, Value,
};
use wire::bmp::{self, Cause, Framed, Message, Mirrored, PeerHeader, RibView, StatisticValue};
use wire::emit::{bgp as emit_bgp, bmp as emit_bmp};

fn whole(octets: &[u8]) -> Message<'_> {
    let Framed::Whole(frame) = bmp::frame(octets, bmp::DEFAULT_MAX_LENGTH) else { panic!("a whole message") };
    assert_eq!(frame.octets.len(), octets.len());
    frame.message().expect("a sound message")
}

fn any_peer() -> impl Strategy<Value = PeerHeader> {
    (0..4_u8, any::<u8>(), any::<[u8; 8]>(), any::<[u8; 16]>(), any::<[u32; 4]>()).prop_map(
        |(kind, flags, distinguisher, address_octets, [autonomous_system, id, seconds, microseconds])| {
            PeerHeader {
                kind,
                flags,
                distinguisher,
                address_octets,
                autonomous_system,
                bgp_id: Ipv4Addr::from_bits(id),
                seconds,
                microseconds,
            }
        },
    )
}

fn any_prefix(afi: u16) -> BoxedStrategy<Prefix> {
    if afi == family::AFI_IPV4 {
        (any::<Ipv4Addr>(), 0..=32_u8).prop_map(|(a, l)| Prefix::new(IpAddr::V4(a), l)).boxed()
    } else {
        (any::<Ipv6Addr>(), 0..=128_u8).prop_map(|(a, l)| Prefix::new(IpAddr::V6(a), l)).boxed()
    }
}

/// One route of a prefix family: path identifier, labels, RD, prefix.
type Route = (Option<u32>, Vec<u32>, RouteDistinguisher, Prefix);

fn any_routes() -> impl Strategy<Value = (Family, Vec<Route>)> {
    let afi = prop_oneof![Just(family::AFI_IPV4), Just(family::AFI_IPV6)];
    let safi = prop_oneof![
        Just(family::SAFI_UNICAST),
        Just(family::SAFI_MULTICAST),
        Just(family::SAFI_LABELED),
        Just(family::SAFI_VPN),
        Just(family::SAFI_VPN_MULTICAST),
    ];
    (afi, safi, any::<bool>()).prop_flat_map(|(afi, safi, add_path)| {
        // 255 bits hold an RD, an IPv6 prefix and 2 labels.
        let labels = if safi == 1 || safi == 2 { 0..1_usize } else { 1..3 };
        let path_id = if add_path { any::<u32>().prop_map(Some).boxed() } else { Just(None).boxed() };
        let distinguisher = any::<[u8; 8]>().prop_map(RouteDistinguisher);
        let route = (path_id, vec(0..1_u32 << 20, labels), distinguisher, any_prefix(afi));
        (Just(Family::new(afi, safi)), vec(route, 1..20))
    })
}

fn encoded(family: Family, routes: &[Route]) -> Vec<u8> {
    let mut nlri = Vec::new();
    for (path_id, labels, distinguisher, prefix) in routes {
        match family.safi {
            family::SAFI_UNICAST | family::SAFI_MULTICAST => {
                emit_bgp::put_prefix(&mut nlri, *path_id, prefix);
            }
            family::SAFI_LABELED => emit_bgp::put_labeled(&mut nlri, *path_id, labels, prefix),
            _ => emit_bgp::put_vpn(&mut nlri, *path_id, labels, *distinguisher, prefix),
        }
    }
    nlri
}

fn session(family: Family, routes: &[Route]) -> Session {
    let mut session = Session::FOUR_OCTET;
    session.multiple_labels.insert(family);
    if routes.iter().any(|(path_id, ..)| path_id.is_some()) {
        session.add_path.insert(family);
    }
    session
}

#[expect(clippy::wildcard_enum_match_arm, reason = "any other NLRI is the failure")]
fn check_entries(routes: &bgp::Routes<'_>, session: &Session, expected: &[Route]) {
    let entries: Vec<_> = routes.entries(session).map(Result::unwrap).collect();
    assert_eq!(entries.len(), expected.len());
    for (entry, (path_id, labels, distinguisher, prefix)) in entries.iter().zip(expected) {
        assert_eq!(entry.path_id, *path_id);
        assert_eq!(entry.nlri.prefix(), Some(prefix));
        match entry.nlri {
            Nlri::Labeled(labeled) => assert_eq!(labeled.labels.collect::<Vec<_>>(), *labels),
            Nlri::Vpn(vpn) => {
                assert_eq!(vpn.labels.collect::<Vec<_>>(), *labels);
                assert_eq!(vpn.distinguisher, *distinguisher);
            }
            Nlri::Prefix(_) => {}
            other => panic!("{other:?} is no prefix"),
        }
    }
}

proptest! {
    #[test]
    fn routes_of_every_prefix_family((family, routes) in any_routes(), peer in any_peer()) {
        let session = session(family, &routes);
        let nlri = encoded(family, &routes);
        let next_hop = IpAddr::V6("2001:db8::1".parse().unwrap());
        let link_local = "fe80::1".parse().unwrap();
        let next_hop_octets = emit_bgp::next_hop_octets(family, next_hop, Some(link_local));
        let mut update = emit_bgp::Update::new(AsWidth::Four);
        update.origin(Origin::Igp).as_path(&[]).mp_reach(family, &next_hop_octets, &nlri);
        let octets = emit_bmp::route_monitoring(&peer, &update.finish());
        let Message::RouteMonitoring(monitoring) = whole(&octets) else { panic!() };
        assert_eq!(monitoring.peer, peer);
        let update = monitoring.update().unwrap();
        assert_eq!(update.findings(&session).count(), 0);
        let fields: Vec<_> = update.routes().map(Result::unwrap).collect();
        assert_eq!((fields.len(), fields[0].action, fields[0].family), (1, Action::Announce, family));
        assert_eq!(fields[0].next_hop.address(), Some(next_hop));
        assert_eq!(fields[0].next_hop.link_local(), Some(link_local));
        check_entries(&fields[0], &session, &routes);

        let mut update = emit_bgp::Update::new(AsWidth::Four);
        update.mp_unreach(family, &nlri);
        let octets = update.finish();
        let message = bgp::Message::parse(&mut wire::Cursor::new(&octets)).unwrap();
        let update = bgp::Update::parse(message.body);
        assert_eq!(update.end_of_rib(), None);
        let withdrawn = update.routes().next().unwrap().unwrap();
        assert_eq!(withdrawn.action, Action::Withdraw);
        assert_eq!(withdrawn.entries(&session).flatten().count(), routes.len());
    }

    #[test]
    fn routes_in_the_message_itself(
        withdrawn in vec((any::<u32>(), any_prefix(1)), 0..20),
        announced in vec((any::<u32>(), any_prefix(1)), 0..20),
        add_path in any::<bool>(),
    ) {
        let mut session = Session::FOUR_OCTET;
        if add_path {
            session.add_path.insert(Family::IPV4_UNICAST);
        }
        let id = |id: u32| add_path.then_some(id);
        let mut update = emit_bgp::Update::new(AsWidth::Four);
        update.origin(Origin::Incomplete).as_path(&[]).next_hop(Ipv4Addr::LOCALHOST);
        for (path_id, prefix) in &withdrawn {
            update.withdraw(id(*path_id), prefix);
        }
        for (path_id, prefix) in &announced {
            update.announce(id(*path_id), prefix);
        }
        let octets = update.finish();
        let message = bgp::Message::parse(&mut wire::Cursor::new(&octets)).unwrap();
        let update = bgp::Update::parse(message.body);
        assert_eq!(update.findings(&session).count(), 0);
        let read = |action| -> Vec<_> {
            let fields = update.routes().map(Result::unwrap).filter(|routes| routes.action == action);
            let entries = fields.flat_map(|routes| routes.entries(&session)).map(Result::unwrap);
            entries.map(|entry| (entry.path_id, *entry.nlri.prefix().unwrap())).collect()
        };
        let expected = |routes: &[(u32, Prefix)]| -> Vec<_> {
            routes.iter().map(|(path_id, prefix)| (id(*path_id), *prefix)).collect()
        };
        assert_eq!(read(Action::Withdraw), expected(&withdrawn));
        assert_eq!(read(Action::Announce), expected(&announced));
    }

    #[test]
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other value is the failure")]
    fn attributes(
        wide in any::<bool>(),
        sequence in vec(any::<u16>(), 1..255),
        set in vec(any::<u16>(), 0..9),
        numbers in any::<[u32; 2]>(),
        communities in vec(any::<u32>(), 1..200),
        extended in vec(any::<[u8; 8]>(), 1..50),
        large in vec(any::<[u32; 3]>(), 1..50),
    ) {
        let width = if wide { AsWidth::Four } else { AsWidth::Two };
        let sequence: Vec<u32> = sequence.into_iter().map(u32::from).collect();
        let set: Vec<u32> = set.into_iter().map(u32::from).collect();
        let mut segments = vec![(SegmentKind::Sequence, &sequence[..])];
        if !set.is_empty() {
            segments.push((SegmentKind::Set, &set));
        }
        let communities: Vec<_> = communities.into_iter().map(Community).collect();
        let extended: Vec<_> = extended.into_iter().map(ExtendedCommunity).collect();
        let large: Vec<_> = large
            .into_iter()
            .map(|[administrator, first, second]| LargeCommunity { administrator, first, second })
            .collect();
        let mut update = emit_bgp::Update::new(width);
        update
            .origin(Origin::Egp)
            .as_path(&segments)
            .multi_exit_disc(numbers[0])
            .local_pref(numbers[1])
            .communities(&communities)
            .extended_communities(&extended)
            .large_communities(&large);
        let octets = update.finish();
        let message = bgp::Message::parse(&mut wire::Cursor::new(&octets)).unwrap();
        let update = bgp::Update::parse(message.body);
        let session = Session { as_width: width, ..Session::FOUR_OCTET };
        let mut read = 0;
        for judged in update.judge(&session) {
            assert_eq!(judged.finding, None);
            read += 1;
            match judged.value {
                Value::Origin(origin) => assert_eq!(origin, Origin::Egp),
                Value::AsPath(path) => {
                    let expected: Vec<_> = sequence.iter().chain(&set).copied().collect();
                    assert_eq!(path.numbers().collect::<Vec<_>>(), expected);
                    assert_eq!(path.hops(), sequence.len() + usize::from(!set.is_empty()));
                }
                Value::MultiExitDisc(metric) => assert_eq!(metric, numbers[0]),
                Value::LocalPref(preference) => assert_eq!(preference, numbers[1]),
                Value::Communities(values) => assert_eq!(values.collect::<Vec<_>>(), communities),
                Value::ExtendedCommunities(values) => assert_eq!(values.collect::<Vec<_>>(), extended),
                Value::LargeCommunities(values) => assert_eq!(values.collect::<Vec<_>>(), large),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(read, 7);
    }

    #[test]
    fn peer_up_with_both_opens(
        peer in any_peer(),
        address in any::<Ipv6Addr>(),
        ports in any::<[u16; 2]>(),
        numbers in any::<[u32; 2]>(),
        mode in 0..4_u8,
        padding in 0..200_usize,
        name in option::of("[a-z]{1,20}"),
    ) {
        let peer = PeerHeader { kind: 0, flags: 0x80, ..peer };
        let open = |number, mode| {
            let mut open = emit_bgp::Open::new(number, 180, Ipv4Addr::LOCALHOST);
            open.multiprotocol(Family::IPV6_VPN).four_octet_as();
            open.add_path(&[(Family::IPV6_VPN, mode)]);
            open.capability(200, &vec![0; padding]).capability(201, &vec![0; padding]).finish()
        };
        let tlvs: Vec<_> = name.iter().map(|name| (3, name.as_bytes())).collect();
        let (sent, received) = (open(numbers[0], 3), open(numbers[1], mode));
        let local = (IpAddr::V6(address), ports[0]);
        let octets = emit_bmp::peer_up(&peer, local, ports[1], &sent, &received, &tlvs);
        let Message::PeerUp(up) = whole(&octets) else { panic!() };
        assert_eq!((up.local_address, up.local_port, up.remote_port), (local.0, ports[0], ports[1]));
        assert_eq!(up.sent_open.autonomous_system(), numbers[0]);
        assert_eq!(up.received_open.autonomous_system(), numbers[1]);
        assert_eq!(up.sent_open.capabilities().map(Result::unwrap).count(), 5);
        assert_eq!(up.table_name().and_then(bgp::Text::valid), name.as_deref());
        let inbound = up.session(RibView::AdjRibInPre).add_path.contains(Family::IPV6_VPN);
        let outbound = up.session(RibView::AdjRibOutPost).add_path.contains(Family::IPV6_VPN);
        assert_eq!((inbound, outbound), (mode & 2 != 0, mode & 1 != 0));
    }

    #[test]
    fn the_other_messages(
        peer in any_peer(),
        name in "[a-z]{0,20}",
        code in any::<u16>(),
        counter in any::<u32>(),
        gauge in any::<u64>(),
    ) {
        let octets = emit_bmp::initiation(&name, "descr");
        let Message::Initiation(initiation) = whole(&octets) else { panic!() };
        assert_eq!(initiation.sys_name().and_then(bgp::Text::valid), Some(&name[..]));
        let octets = emit_bmp::termination(code, &name);
        let Message::Termination(termination) = whole(&octets) else { panic!() };
        assert_eq!(termination.reason(), Some(code));
        let octets = emit_bmp::statistics(&peer, &[(0, &counter.to_be_bytes()), (7, &gauge.to_be_bytes())]);
        let Message::StatisticsReport(report) = whole(&octets) else { panic!() };
        let values: Vec<_> = report.statistics().map(|statistic| statistic.unwrap().value).collect();
        assert_eq!(values, [StatisticValue::Counter(counter), StatisticValue::Gauge(gauge)]);
        let octets = emit_bmp::peer_down(&peer, 3, &emit_bgp::notification(6, 4, &[]));
        let Message::PeerDown(down) = whole(&octets) else { panic!() };
        assert!(matches!(down.cause, Cause::RemoteNotification(n) if (n.code, n.subcode) == (6, 4)));
        let update = emit_bgp::end_of_rib(Family::EVPN);
        let octets = emit_bmp::mirroring(&peer, &[(1, &code.to_be_bytes()), (0, &update)]);
        let Message::RouteMirroring(mirroring) = whole(&octets) else { panic!() };
        let mirrored: Vec<_> = mirroring.mirrored().map(Result::unwrap).collect();
        assert!(matches!(mirrored[0], Mirrored::Information(information) if information == code));
        let message = mirrored[1].message().unwrap();
        assert_eq!(bgp::Update::parse(message.body).end_of_rib(), Some(Family::EVPN));
    }
}
