//! Samples, counters and notifications as lines, exactly as the record reference has them.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::net::SocketAddr;

use collector::batch::{BatchLimits, WorkerId};
use collector::outlet::Outlet;
use collector::schema::{Interest, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Input, Now};
use output::columns::record_batches;
use output::json::Encoder;
use serde_json::{Value, json};
use wire::emit::sflow::{Datagram, Sample, opaque, words};
use wire::emit::udp_notif::{Header, datagram, datagrams};
use wire::sflow::sample::Source;
use wire::sflow::{Address, Format};

/// The lines that follow from datagrams of 192.0.2.1.
fn lines(datagrams: &[Vec<u8>]) -> Vec<Value> {
    let interest = Interest { kinds: u32::MAX, whole_records: true, join: true, ..Interest::default() };
    let schemas = schemas(&interest);
    let limits = BatchLimits { rows: 64, octets: 1 << 20 };
    let (mut outlet, drain) = Outlet::new(WorkerId(0), &schemas, 4, limits);
    let ports = vec![(6343, PortProtocol::Any)];
    let mut collector = Collector::new(Settings { ports, ..Settings::default() }, schemas);
    let here: SocketAddr = "192.0.2.1:6343".parse().unwrap();
    let now = Now { unix_ns: 1_750_000_000_123_000_000, ..Now::default() };
    for payload in datagrams {
        collector.accept(now, Input::Datagram { from: here, to: here, payload }, &mut outlet);
    }
    outlet.publish();
    let (mut encoder, mut lines) = (Encoder::default(), Vec::new());
    while let Some(lease) = drain.take() {
        let before = lines.len();
        for row in 0..lease.rows as usize {
            encoder.line(&lease, row, &mut lines).unwrap();
        }
        // The same rows as columns: the line is one of them.
        let batches = record_batches(&lease, &mut encoder).unwrap();
        let rows: usize = batches.iter().map(|(_, batch)| batch.num_rows()).sum();
        assert_eq!(rows, lines[before..].iter().filter(|&&octet| octet == b'\n').count());
    }
    let lines = String::from_utf8(lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sflow(agent: [u8; 4], samples: Vec<Sample>) -> Vec<u8> {
    let mut datagram = Datagram::new(Address::Ipv4(agent), 5, 77, 1_000);
    for sample in samples {
        datagram.sample(sample);
    }
    datagram.finish()
}

fn body(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut octets = Vec::new();
    write(&mut octets);
    octets
}

const SOURCE: Source = Source { kind: 0, index: 3 };

/// Ethernet with a VLAN tag, one label, IPv4, TCP.
fn header() -> Vec<u8> {
    let mut octets = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0x60, 0x64, 0x88, 0x47];
    octets.extend([0x00, 0x06, 0x41, 64]); // label 100, bottom of the stack
    octets.extend([0x45, 0xb8, 0x05, 0xdc, 0, 42, 0x40, 0, 63, 6, 0, 0, 192, 0, 2, 9, 198, 51, 100, 7]);
    octets.extend([0xc0, 0, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0]);
    octets
}

#[test]
fn a_flow_sample_is_a_line() {
    let mut sample = Sample::flow(9, SOURCE, 512, 4_608, 1, (3, 0x3fff_ffff));
    let gateway = body(|octets| {
        let address = [1, 0x0a00_0001, 65_000, 65_001, 65_002];
        words(octets, &address);
        words(octets, &[1, 2, 2, 65_003, 65_004, 1, 0xfde8_0001, 100]);
    });
    sample
        .raw_header(1, 1_518, 4, &header())
        .record(Format::standard(1003), &gateway)
        .record(Format { enterprise: 9, number: 7 }, &[1, 2, 3, 4])
        // A gateway of 2^32-1 path segments.
        .record(Format::standard(1003), &body(|octets| words(octets, &[0, 1, 2, 3, u32::MAX])));
    let expected = json!({
        "kind": "sample",
        "exporter": "192.0.2.1",
        "receiveTime": "2025-06-15T15:06:40.123Z",
        "agent": "10.0.0.9",
        "subAgent": 5,
        "sequence": 9,
        "sourceId": {"type": 0, "index": 3},
        "samplingRate": 512,
        "pool": 4608,
        "drops": 1,
        "input": 3,
        "outputInternal": true,
        "fields": {
            "octetDeltaCount": 1518,
            "packetDeltaCount": 1,
            "destinationMacAddress": "02:00:00:00:00:01",
            "sourceMacAddress": "02:00:00:00:00:02",
            "dot1qVlanId": 100,
            "dot1qPriority": 3,
            "ethernetType": 0x8847,
            "mplsTopLabelStackSection": "000641",
            "ipVersion": 4,
            "ipClassOfService": 0xb8,
            "totalLengthIPv4": 1500,
            "fragmentIdentification": 42,
            "fragmentOffset": 0,
            "ipTTL": 63,
            "protocolIdentifier": 6,
            "sourceIPv4Address": "192.0.2.9",
            "destinationIPv4Address": "198.51.100.7",
            "sourceTransportPort": 49152,
            "destinationTransportPort": 443,
            "tcpSequenceNumber": 1,
            "tcpAcknowledgementNumber": 2,
            "tcpControlBits": 0x18,
            "tcpWindowSize": 4096,
        },
        "records": [
            {
                "format": "0:1",
                "protocol": 1,
                "frame_length": 1518,
                "stripped": 4,
                "header": header().iter().map(|octet| format!("{octet:02x}")).collect::<String>(),
            },
            {
                "format": "0:1003",
                "nexthop": "10.0.0.1",
                "as": 65000,
                "src_as": 65001,
                "src_peer_as": 65002,
                "dst_as_path": [{"type": "sequence", "as": [65003, 65004]}],
                "communities": ["65000:1"],
                "localpref": 100,
            },
            {"format": "9:7", "octets": "01020304"},
            {"format": "0:1003", "octets": "00000000000000010000000200000003ffffffff"},
        ],
        "derived": {"timeFrom": "none", "samplingRate": 512, "samplingFrom": "record", "mplsLabels": [100]},
        "join": {"destination": {"miss": "noSession"}, "source": {"miss": "noSession"}},
    });
    assert_eq!(lines(&[sflow([10, 0, 0, 9], vec![sample])]), [expected]);
}

#[test]
fn fields_of_the_agent_and_discards_are_samples_too() {
    let mut given = Sample::flow(1, Source { kind: 2, index: 1 << 25 }, 0, 0, 0, (1 << 31, 7));
    let fields = [64, 17, 0xc000_0209, 0xc633_6407, 53, 53, 0, 4];
    given.record(Format::standard(3), &body(|octets| words(octets, &fields)));
    let mut dropped = Sample::discarded(2, SOURCE, 6, (3, 0), 256);
    dropped.raw_header(99, 80, 0, &[1, 2, 3]);
    let lines = lines(&[sflow([192, 0, 2, 1], vec![given, dropped])]);
    assert_eq!(lines.len(), 2);
    let [given, dropped] = &lines[..] else { panic!() };
    assert_eq!(given["agent"], Value::Null);
    assert_eq!(given["sourceId"], json!({"type": 2, "index": 1 << 25}));
    assert_eq!(given["output"], 7);
    let expected = json!({
        "octetDeltaCount": 64,
        "packetDeltaCount": 1,
        "ipVersion": 4,
        "protocolIdentifier": 17,
        "sourceIPv4Address": "192.0.2.9",
        "destinationIPv4Address": "198.51.100.7",
        "sourceTransportPort": 53,
        "destinationTransportPort": 53,
        "ipClassOfService": 4,
    });
    assert_eq!(given["fields"], expected);
    assert_eq!(given["derived"], json!({"timeFrom": "none"}));
    assert_eq!((&dropped["discardReason"], &dropped["drops"]), (&json!(256), &json!(6)));
    assert_eq!((&dropped["samplingRate"], &dropped["output"]), (&Value::Null, &Value::Null));
    assert_eq!(dropped["fields"], json!({"octetDeltaCount": 80, "packetDeltaCount": 1}));
    assert_eq!(dropped["join"]["destination"], json!({"miss": "noAddress"}));
}

#[test]
fn counters_have_the_names_of_their_structures() {
    let mut sample = Sample::counters(4, SOURCE);
    let host = body(|octets| opaque(octets, b"eth3"));
    let processor = body(|octets| words(octets, &[5, 10, 15, 0, 1_000, 0, 500]));
    sample
        .record(Format::standard(1005), &host)
        .record(Format::standard(1001), &processor)
        .record(Format { enterprise: 4_413, number: 1 }, &[9; 8]);
    let expected = json!({
        "kind": "counters",
        "exporter": "192.0.2.1",
        "receiveTime": "2025-06-15T15:06:40.123Z",
        "subAgent": 5,
        "sequence": 4,
        "sourceId": {"type": 0, "index": 3},
        "records": [
            {"format": "0:1005", "portName": "eth3"},
            {"format": "0:1001", "5s_cpu": 5, "1m_cpu": 10, "5m_cpu": 15, "total_memory": 1000, "free_memory": 500},
            {"format": "4413:1", "octets": "0909090909090909"},
        ],
    });
    assert_eq!(lines(&[sflow([192, 0, 2, 1], vec![sample])]), [expected]);
}

#[test]
fn notifications_are_decoded_by_their_media_type() {
    let header = |media, message_id| Header { media, publisher_id: 7, message_id };
    let mut sent = datagrams(&header(1, 1), br#"{"a:b": {"c": [1, 2.50]}}"#, 10);
    sent.reverse();
    sent.extend([
        datagram(&header(2, 2), &[], b"<a>\n\"b\"</a>"),
        datagram(&header(3, 3), &[], &[0xa1, 0x61, b'x', 0x01]),
        datagram(&header(3, 4), &[2, 3, 9], &[0xa1, 0x19, 0x06, 0xb8, 0x01]),
        datagram(&header(1, 7), &[], b"{\"cut\":"),
        datagram(&header(9, 8), &[], &[0xff]),
    ]);
    let line = |more: Value| {
        let mut line = json!({
            "kind": "notification",
            "exporter": "192.0.2.1",
            "receiveTime": "2025-06-15T15:06:40.123Z",
            "publisherId": 7,
            "segments": 1,
            "sequenceLost": 0,
        });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    };
    let expected = [
        json!({"messageId": 1, "mediaType": "json", "segments": 3, "message": {"a:b": {"c": [1, 2.5]}}}),
        json!({"messageId": 2, "mediaType": "xml", "message": "<a>\n\"b\"</a>"}),
        json!({"messageId": 3, "mediaType": "cbor", "message": {"x": 1}}),
        json!({"messageId": 4, "mediaType": "cbor", "options": [{"type": 2, "value": "09"}], "message": {"sid:1720": 1}}),
        json!({"messageId": 7, "mediaType": "json", "sequenceLost": 2, "messageHex": "7b22637574223a"}),
        json!({"messageId": 8, "mediaCode": 9, "messageHex": "ff"}),
    ];
    assert_eq!(lines(&sent), expected.map(line));
}
