//! One message of every kind, family and attribute that the encoders know: what round trips, hostile tests and the
//! tests of output start from.
#![allow(dead_code, reason = "each test that includes this file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::net::{IpAddr, Ipv4Addr};

use wire::bgp::attribute::Origin;
use wire::bgp::{AsWidth, Community, Family, Prefix, RouteDistinguisher, SegmentKind};
use wire::emit::ipfix::Message;
use wire::emit::{bgp as emit_bgp, bmp as emit_bmp, netflow, sflow, udp_notif};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};
use wire::sflow::sample::Source;
use wire::sflow::{Address, Format};

/// One NLRI field of each family that is no prefix.
pub(crate) fn typed_fields() -> Vec<(Family, Vec<u8>)> {
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

/// A BMP session: Initiation first, Termination last, every message type of both versions between them.
pub(crate) fn bmp() -> Vec<Vec<u8>> {
    let mut peer = emit_bmp::peer(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 65001, Ipv4Addr::new(10, 0, 0, 1));
    peer.seconds = 1;
    let mut open = emit_bgp::Open::new(65001, 180, Ipv4Addr::new(10, 0, 0, 1));
    open.multiprotocol(Family::IPV4_VPN).four_octet_as().add_path(&[(Family::IPV4_VPN, 3)]);
    open.multiple_labels(&[(Family::IPV4_VPN, 3)]);
    open.capability(64, &[0x80, 120, 0, 1, 1, 0x80]).capability(71, &[0, 1, 1, 0, 0, 1, 0]);
    open.capability(73, &[2, b'r', b'1', 0]).capability(5, &[0, 1, 0, 1, 0, 2]).capability(200, &[1]);
    let open = open.finish();
    let prefix = Prefix::new("192.0.2.0".parse().unwrap(), 24);
    let update = update();
    let mut short = emit_bgp::Update::new(AsWidth::Four);
    short.withdraw(None, &prefix).withdraw(None, &prefix);
    let short = short.finish();
    let notification = emit_bgp::notification(6, 2, &[3, b'b', b'y', b'e']);
    let mut messages = vec![
        emit_bmp::initiation("r1", "a router"),
        emit_bmp::peer_up(
            &peer,
            (peer.address(), 179),
            2000,
            &open,
            &open,
            &[(3, b"global"), (0, b"x"), (9, &[0])],
        ),
        emit_bmp::route_monitoring(&peer, &update),
        emit_bmp::route_monitoring(&peer, &damaged()),
        emit_bmp::route_monitoring(&peer, &emit_bgp::end_of_rib(Family::IPV4_UNICAST)),
        emit_bmp::statistics(&peer, &[(0, &[0; 4]), (7, &[0; 8]), (9, &[0; 11]), (99, &[0; 3])]),
        emit_bmp::mirroring(&peer, &[(0, &update), (1, &[0, 1]), (7, &[1])]),
        emit_bmp::route_monitoring_v4(
            &peer,
            &[
                (2, 0x8001, &[0, 1, 0, 2]),
                (1, 0, &[69, 4, 0, 1, 1, 0]),
                (3, 0, b"global"),
                (4, 0, &short),
                (5, 1, &[0, 0, 0, 0x8a, 0, 3]),
                (0x8009, 0x8001, &[0, 0, 0, 9, 1]),
            ],
        ),
        emit_bmp::message(3, 77, &[b"unknown"]),
    ];
    messages.extend(typed_fields().into_iter().map(|(family, nlri)| {
        let mut update = emit_bgp::Update::new(AsWidth::Four);
        update.origin(Origin::Igp).as_path(&[]).mp_reach(family, &[10, 0, 0, 1], &nlri);
        emit_bmp::route_monitoring(&peer, &update.finish())
    }));
    messages.extend([
        emit_bmp::peer_down(&peer, 1, &notification),
        emit_bmp::peer_down(&peer, 2, &[0, 4]),
        emit_bmp::peer_down(&peer, 6, &emit_bmp::tlvs(&[(3, b"red")])),
        emit_bmp::termination(1, "bye"),
    ]);
    messages
}

/// The bodies of UPDATEs: every attribute, damaged ones, NLRI of every family that is no prefix.
pub(crate) fn updates() -> Vec<Vec<u8>> {
    // Behind marker, length and type of the BGP header.
    let body = |message: Vec<u8>| message.get(19..).unwrap().to_vec();
    let typed = typed_fields().into_iter().map(|(family, nlri)| {
        let mut update = emit_bgp::Update::new(AsWidth::Four);
        update.origin(Origin::Igp).as_path(&[]).mp_reach(family, &[10, 0, 0, 1], &nlri);
        update.finish()
    });
    [update(), damaged(), emit_bgp::end_of_rib(Family::IPV4_VPN)].into_iter().chain(typed).map(body).collect()
}

/// An UPDATE with every attribute that has a reading.
fn update() -> Vec<u8> {
    let prefix = Prefix::new("192.0.2.0".parse().unwrap(), 24);
    let ipv6 = Prefix::new("2001:db8::".parse().unwrap(), 32);
    let mut vpn = Vec::new();
    let distinguisher = RouteDistinguisher([0, 0, 0xfd, 0xe8, 0, 0, 0, 1]);
    emit_bgp::put_vpn(&mut vpn, Some(7), &[100], distinguisher, &prefix);
    let mut unicast = Vec::new();
    emit_bgp::put_prefix(&mut unicast, None, &ipv6);
    let label_index = [1, 0, 7, 0, 0, 0, 0, 0, 0, 91];
    let mut update = emit_bgp::Update::new(AsWidth::Four);
    update
        .withdraw(None, &prefix)
        .origin(Origin::Igp)
        .as_path(&[(SegmentKind::Sequence, &[65001, 65002]), (SegmentKind::Set, &[7])])
        .next_hop(Ipv4Addr::new(192, 0, 2, 1))
        .multi_exit_disc(5)
        .communities(&[Community::NO_EXPORT])
        .attribute(0x40, 6, &[])
        .attribute(0xc0, 7, &[0, 0, 0xfd, 0xe8, 192, 0, 2, 1])
        .attribute(0x80, 9, &[10, 0, 0, 1])
        .attribute(0x80, 10, &[10, 0, 0, 2, 10, 0, 0, 3])
        .attribute(0xc0, 16, &[0, 2, 0xfd, 0xe8, 0, 0, 0, 1])
        .attribute(0xc0, 22, &[0, 6, 0x00, 0x06, 0x41, 192, 0, 2, 1])
        .attribute(0xc0, 23, &[0, 15, 0, 13, 12, 6, 0, 0, 0, 0, 0, 100, 128, 0, 2, 9, 9])
        .attribute(
            0x80,
            24,
            &[&[1, 1, 0, 0][..], &[0x4b, 0x18, 0x96, 0x80].repeat(9), &[5, 0xdc, 0, 0]].concat(),
        )
        .attribute(0xc0, 25, &[0; 20])
        .attribute(0x80, 26, &[1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 9])
        .attribute(0x80, 29, &[0x04, 0x47, 0, 3, 0, 0, 10, 0x04, 0x04, 0, 4, 10, 0, 0, 1])
        .attribute(0xc0, 32, &[0, 0, 0xfd, 0xe8, 0, 0, 0, 1, 0, 0, 0, 2])
        .attribute(0xc0, 27, &[192, 0, 2, 1, 0, 0x06, 0x41])
        .attribute(
            0x80,
            33,
            &[&[0, 8, 1, 0, 0, 0, 0xfd, 0xe8, 0, 27, 1][..], &[7; 20], &[0, 2, 9, 9]].concat(),
        )
        .attribute(0xc0, 35, &[0, 0, 0xfd, 0xe8])
        .attribute(0xc0, 36, &[1, 0, 0, 0xfd, 0xe8, 0, 1, 70])
        .attribute(0xc0, 37, &[1, 0, 2, 9, 9])
        .attribute(0xc0, 38, &[1, 0, 0, 0, 7])
        .attribute(0xc0, 40, &[&label_index[..], &SRV6].concat())
        .attribute(0xc0, 99, &[1, 2, 3])
        .attribute(0xc0, 128, &[0, 0, 0xfd, 0xe8, 0x40, 1, 1, 0])
        .mp_reach(Family::IPV4_VPN, &[0; 12], &vpn)
        .mp_unreach(Family::IPV6_UNICAST, &unicast)
        .announce(None, &prefix);
    update.finish()
}

/// An UPDATE whose attributes RFC 7606 has a verdict on: a MED of three octets, an aggregator of one.
fn damaged() -> Vec<u8> {
    let mut update = emit_bgp::Update::new(AsWidth::Four);
    update
        .origin(Origin::Incomplete)
        .as_path(&[(SegmentKind::Sequence, &[65001])])
        .next_hop(Ipv4Addr::new(192, 0, 2, 1))
        .attribute(0x80, 4, &[0, 0, 1])
        .attribute(0xc0, 7, &[9])
        .announce(None, &Prefix::new("198.51.100.0".parse().unwrap(), 24));
    update.finish()
}

/// Flow messages of every version: all data types, lists, options, unknown elements, wrong lengths, damage.
pub(crate) fn flows() -> Vec<Vec<u8>> {
    let number = &7_u32.to_be_bytes()[..];
    let long = &1_750_000_000_000_u64.to_be_bytes()[..];
    let all = [
        (Field::iana(8, 4), &[192, 0, 2, 1][..]),
        (Field::iana(12, 4), &[192, 0, 2, 7]),
        (Field::iana(27, 16), &[0x20; 16]),
        (Field::iana(1, 3), &[1, 2, 3]),
        (Field::iana(56, 6), &[2; 6]),
        (Field::iana(82, VARIABLE_LENGTH), b"eth\xff0\0"),
        (Field::iana(150, 4), number),
        (Field::iana(152, 8), long),
        (Field::iana(154, 8), long),
        (Field::iana(276, 1), &[1]),
        (Field::iana(276, 1), &[9]),
        (Field::iana(320, 8), &[0x40, 9, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18]),
        (Field::iana(90, 8), &[0, 0, 0xfd, 0xe8, 0, 0, 0, 1]),
        (Field::iana(70, 3), &[0, 6, 0x41]),
        (Field::iana(210, 1), &[0]),
        (Field::iana(8, 4), &[192, 0, 2, 2]),
        (Field::iana(4, 9), &[1; 9]),
        (Field::iana(32_000, 2), &[1, 2]),
        (Field { pen: 29_305, id: 1, length: 4 }, number),
        (Field { pen: 4_242_424, id: 5, length: 3 }, &[1, 2, 3]),
        (Field::iana(34, 4), number),
        (Field::iana(10, 4), number),
        (Field::iana(234, 4), number),
    ];
    let fields: Vec<Field> = all.iter().map(|(field, _)| *field).collect();
    let record: Vec<&[u8]> = all.iter().map(|(_, value)| *value).collect();
    let pair = [Field::iana(8, 4), Field::iana(4, 1)];
    let lists = [291, 292, 293].map(|id| Field::iana(id, VARIABLE_LENGTH));
    let basic = [0xff, 0, 8, 0, 4, 192, 0, 2, 1, 192, 0, 2, 2];
    let one = [&[3, 1, 1][..], &[192, 0, 2, 1, 6]].concat();
    let several = [&[4][..], &[1, 1, 0, 9, 192, 0, 2, 1, 6], &[9, 9, 0, 5, 1]].concat();
    let options = [Field::iana(10, 4), Field::iana(82, 4), Field::iana(236, VARIABLE_LENGTH)];
    let mut ipfix = Message::new(1_750_000_000, 0, 7);
    ipfix
        .template(256, &fields)
        .template(257, &pair)
        .template(258, &lists)
        .options_template(259, 1, &options)
        .data(259, &options, &[&[number, b"eth7", b"red"]])
        .data(256, &fields, &[&record])
        .data(258, &lists, &[&[&basic, &one, &several]])
        .withdrawal(257, false)
        .raw(9, &[0; 4], 0);
    let mut v9 = netflow::Packet::new(60_000, 1_750_000_000, 1, 5);
    let scope = [Field::iana(1, 4), Field::iana(2, 4)];
    let values = [Field::iana(34, 4)];
    let times = [Field::iana(8, 4), Field::iana(22, 4), Field::iana(21, 4), Field::iana(0x8123, 2)];
    v9.options_template(257, &scope, &values)
        .data(257, &[scope[0], scope[1], values[0]], &[&[number, number, number]])
        .template(256, &times)
        .data(256, &times, &[&[&[1; 4], number, number, &[1, 2]]]);
    let v5 = netflow::packet_v5(&netflow::HeaderV5::default(), &[netflow::RecordV5::default(); 2]);
    vec![ipfix.finish(), v9.finish(), v5]
}

/// sFlow datagrams with every kind of sample and records of every shape, and UDP-notif messages of every medium.
pub(crate) fn samples_and_notifications() -> [Vec<Vec<u8>>; 2] {
    let port = Source { kind: 0, index: 17 };
    let packet = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0, 7, 0x08, 0x00, // Ethernet, VLAN 7
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
        0, 53, 0, 53, 0, 8, 0, 0, // UDP
    ];
    let mut flow = sflow::Sample::flow(1, port, 512, 9_000, 0, (17, 18));
    flow.raw_header(1, 64, 4, &packet);
    let mut gateway = Vec::new();
    sflow::address(&mut gateway, Address::Ipv4([192, 0, 2, 9]));
    sflow::words(&mut gateway, &[65_000, 65_001, 65_002, 1, 2, 2, 65_003, 65_004, 1, 0x0001_0002, 100]);
    flow.record(Format::standard(1003), &gateway);
    let mut user = Vec::new();
    sflow::words(&mut user, &[106]);
    sflow::opaque(&mut user, b"alice");
    sflow::words(&mut user, &[106]);
    sflow::opaque(&mut user, b"");
    flow.record(Format::standard(1004), &user);
    flow.record(Format { enterprise: 9, number: 1 }, &[9; 8]);
    let several = sflow::Sample::flow(2, port, 512, 9_001, 0, (0x8000_0002, 0x3fff_ffff));
    let mut counters = sflow::Sample::counters(3, port);
    counters.record(Format::standard(1), &[1; 88]).record(Format::standard(2), &[1; 52]);
    counters.record(Format { enterprise: 9, number: 1 }, &[9; 8]);
    let mut discarded = sflow::Sample::discarded(4, port, 1, (17, 0), 256);
    discarded.raw_header(11, 40, 0, &packet[18..]);
    let mut datagram = sflow::Datagram::new(Address::Ipv6([0x20; 16]), 1, 2, 3);
    datagram.sample(flow).sample(several).sample(counters).sample(discarded);
    let sflow = vec![datagram.finish()];

    let header = |media, message_id| udp_notif::Header { media, publisher_id: 1, message_id };
    let json = br#"{"a:notification": {"eventTime": "2025-01-01T00:00:00Z", "value": [1, 2.5, null]}}"#;
    let cbor = [0xa2, 1, 0x63, b'o', b'n', b'e', 0x61, b'b', 0x82, 1, 0xf5];
    let mut notifications = udp_notif::datagrams(&header(1, 1), json, 30);
    notifications.push(udp_notif::datagram(&header(2, 2), &[200, 3, 7], b"<a>1</a>"));
    notifications.push(udp_notif::datagram(&header(3, 3), &[], &cbor));
    notifications.push(udp_notif::datagram(&header(1, 5), &[], b"{no json"));
    notifications.push(udp_notif::datagram(&header(9, 6), &[], &[1, 2]));
    [sflow, notifications]
}
