//! Whole sessions under hostile octets: scripts of datagrams and stream octets, as the fuzzer plays them, cut
//! anywhere and flipped anywhere. The fuzzer's seeds are these scripts.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "kit/station.rs"]
mod station;
#[path = "walk/session.rs"]
mod walk;

use collector::StreamEnd;
use collector::ledger::{Kind, Ledgers, MessageEnd, Protocol, RecordEnd};
use station::{announce, peer, peer_up, withdraw};
use walk::Step;
use wire::bgp::Family;
use wire::bmp::PeerHeader;
use wire::emit::{bgp, bmp, ipfix::Message, netflow, sflow, udp_notif};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};
use wire::sflow::{Address, Format, sample::Source};

fn datagram(exporter: u8, port: u8, payload: &[u8]) -> Vec<u8> {
    script(&[Step::Datagram { exporter, port, payload }])
}

fn script(steps: &[Step<'_>]) -> Vec<u8> {
    let mut script = Vec::new();
    steps.iter().for_each(|step| step.write(&mut script));
    script
}

/// Data before its template, templates that change, lists, options that name what flows ask for.
fn flows() -> Vec<u8> {
    let flow =
        [Field::iana(8, 4), Field::iana(12, 4), Field::iana(1, 4), Field::iana(10, 4), Field::iana(234, 4)];
    let options = [Field::iana(10, 4), Field::iana(82, VARIABLE_LENGTH), Field::iana(34, 4)];
    let list = [Field::iana(292, VARIABLE_LENGTH), Field::iana(291, VARIABLE_LENGTH)];
    let number = &7_u32.to_be_bytes()[..];
    let record: [&[u8]; 5] = [&[192, 0, 2, 1], &[198, 51, 100, 7], number, number, &[0; 4]];
    let early = {
        let mut message = Message::new(1_750_000_000, 0, 7);
        message.data(256, &flow, &[&record]).data(258, &list, &[&[&[0xff; 3], &[3, 0, 8, 0, 4, 9, 9, 9, 9]]]);
        message.finish()
    };
    let whole = {
        let mut message = Message::new(1_750_000_001, 1, 7);
        message
            .options_template(257, 1, &options)
            .data(257, &options, &[&[number, b"eth0", number]])
            .template(256, &flow)
            .template(258, &list)
            .data(256, &flow, &[&record, &record]);
        message.finish()
    };
    let changed = {
        let mut message = Message::new(1_750_000_002, 9, 7);
        message.template(256, &flow[..2]).raw(256, &[1; 16], 2).withdrawal(256, false).pad();
        message.finish()
    };
    let mut packet = netflow::Packet::new(60_000, 1_750_000_000, 1, 5);
    packet.template(256, &flow).data(256, &flow, &[&record]);
    let packet5 = netflow::packet_v5(&netflow::HeaderV5::default(), &[netflow::RecordV5::default(); 3]);
    [
        datagram(0, 1, &early),
        datagram(0, 1, &whole),
        datagram(1, 2, &packet.finish()),
        datagram(1, 2, &packet5),
        script(&[Step::Tick { ns: 1 << 12 }]),
        datagram(0, 1, &changed),
        datagram(0, 1, &early),
        script(&[Step::Tick { ns: 1 << 15 }]),
    ]
    .concat()
}

/// Samples and notifications.
fn others() -> Vec<u8> {
    let source = Source { kind: 0, index: 17 };
    let mut sflow = sflow::Datagram::new(Address::Ipv4([192, 0, 2, 9]), 1, 2, 3);
    let mut sample = sflow::Sample::flow(1, source, 512, 9_000, 0, (17, 18));
    let packet = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7, // IPv4
        0, 53, 0, 53, 0, 8, 0, 0, // UDP
    ];
    sample.raw_header(1, 60, 4, &packet);
    sflow.sample(sample);
    let mut counters = sflow::Sample::counters(3, source);
    counters.record(Format::standard(1), &[1; 88]);
    sflow.sample(counters);
    let header = udp_notif::Header { media: 1, publisher_id: 1, message_id: 2 };
    let body = br#"{"ietf-notification:notification":{"eventTime":"2025-01-01T00:00:00Z"}}"#;
    let mut script = datagram(0, 3, &sflow.finish());
    for segment in udp_notif::datagrams(&header, body, 30).iter().rev() {
        script.extend(datagram(1, 4, segment));
    }
    script
}

/// Two sessions of a router, the second in place of the first, cut in the middle of messages.
fn bmp() -> Vec<u8> {
    let (one, two) = (peer(1), peer(2));
    let vrf = PeerHeader {
        kind: 3,
        distinguisher: [0, 0, 0xfd, 0xe8, 0, 0, 0, 7],
        address_octets: [0; 16],
        ..peer(9)
    };
    let stream = [
        bmp::initiation("r1", "a router"),
        peer_up(&one, |open| {
            open.add_path(&[(Family::IPV4_UNICAST, 3)]);
        }),
        peer_up(&two, |_| {}),
        peer_up(&vrf, |_| {}),
        announce(&two, &["198.51.100.0/24", "203.0.113.0/24"], &[65_001, 65_100], [10, 0, 0, 1]),
        announce(&vrf, &["198.51.100.0/24"], &[65_002], [10, 0, 0, 2]),
        withdraw(&two, &["203.0.113.0/24"]),
        bmp::route_monitoring(&two, &bgp::end_of_rib(Family::IPV4_UNICAST)),
        bmp::statistics(&two, &[(0, &[0; 4]), (7, &[0; 8])]),
        bmp::peer_down(&one, 4, &[]),
    ]
    .concat();
    let mut steps = vec![Step::Open { stream: 0 }];
    steps.extend(stream.chunks(97).map(|octets| Step::Octets { stream: 0, octets }));
    steps.push(Step::Open { stream: 1 });
    steps.extend(stream.chunks(1_000).map(|octets| Step::Octets { stream: 1, octets }));
    steps.push(Step::Close { stream: 0, end: StreamEnd::Timeout });
    steps.push(Step::Octets { stream: 1, octets: &stream[..60] });
    steps.push(Step::Tick { ns: 1 << 14 });
    script(&steps)
}

/// Routes first, then flows of the same router that meet them.
fn joined() -> Vec<u8> {
    [bmp(), flows()].concat()
}

fn scripts() -> [(&'static str, Vec<u8>); 4] {
    [("flows", flows()), ("others", others()), ("bmp", bmp()), ("joined", joined())]
}

fn play(script: &[u8]) -> Ledgers {
    walk::play(script, |_| {})
}

#[test]
fn the_scripts_are_sound() {
    let [(_, flows), _, (_, bmp), (_, joined)] = scripts();
    let ledgers = play(&flows);
    assert_eq!(ledgers.messages[Protocol::Ipfix.index()][MessageEnd::Decoded.index()], 4);
    // 2 at once, 1 that waited, 2 of the changed template, 3 of version 5 and 1 of version 9; 5 that came again.
    assert!(ledgers.records[Kind::Flow.index()][RecordEnd::Row.index()] >= 9);
    let ledgers = play(&bmp);
    assert_eq!(ledgers.messages[Protocol::Bmp.index()][MessageEnd::CutOff.index()], 1);
    assert_eq!(ledgers.records[Kind::PeerUp.index()][RecordEnd::Row.index()], 6);
    let ledgers = play(&joined);
    assert!(ledgers.joins[0][collector::ledger::JoinEnd::Found.index()] > 0, "{:?}", ledgers.joins);
}

#[test]
fn cut_anywhere() {
    for script in [flows(), others(), bmp()] {
        for length in (0..script.len()).step_by(5) {
            play(&script[..length]);
        }
    }
}

#[test]
fn flipped_anywhere() {
    for script in [flows(), others(), bmp()] {
        for at in 0..script.len() {
            let mut flipped = script.clone();
            flipped[at] ^= [0xff, 0x01, 0x80, 0x10][at % 4];
            play(&flipped);
        }
    }
}

/// Where the fuzzer starts from: written anew by `WRITE_SEEDS=1 cargo test -p collector seeds`; its finds are added.
#[test]
fn seeds_are_played_to_the_end() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/fuzz/seeds/session"));
    if std::env::var_os("WRITE_SEEDS").is_some() {
        std::fs::create_dir_all(folder).unwrap();
        for (name, script) in scripts() {
            std::fs::write(folder.join(name), script).unwrap();
        }
    }
    let seeds = std::fs::read_dir(folder).unwrap();
    let mut played = 0;
    for seed in seeds {
        play(&std::fs::read(seed.unwrap().path()).unwrap());
        played += 1;
    }
    assert!(played >= scripts().len());
}
