//! What explains records beside their own template: lists of records (RFC 6313) are read by the exporter's other
//! templates, elements of an enterprise by the exporter's descriptions (RFC 5610).
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::net::SocketAddr;

use collector::batch::{BatchLimits, WorkerId};
use collector::outlet::Outlet;
use collector::schema::{Interest, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Input, Now};
use output::json::Encoder;
use serde_json::{Value, json};
use wire::emit::ipfix::Message;
use wire::ipfix::template::{Field, VARIABLE_LENGTH};

/// The `fields` of every flow in the messages.
fn fields(messages: &[Vec<u8>]) -> Vec<Value> {
    let schemas = schemas(&Interest { kinds: u32::MAX, whole_records: true, ..Interest::default() });
    let limits = BatchLimits { rows: 16, octets: 1 << 16 };
    let (mut outlet, drain) = Outlet::new(WorkerId(0), &schemas, 4, limits);
    let ports = vec![(4739, PortProtocol::Ipfix)];
    let mut collector = Collector::new(Settings { ports, ..Settings::default() }, schemas);
    let here: SocketAddr = "192.0.2.1:4739".parse().unwrap();
    for payload in messages {
        collector.accept(Now::default(), Input::Datagram { from: here, to: here, payload }, &mut outlet);
    }
    outlet.publish();
    let (mut encoder, mut lines) = (Encoder::default(), Vec::new());
    while let Some(lease) = drain.take() {
        for row in 0..lease.rows as usize {
            encoder.line(&lease, row, &mut lines).unwrap();
        }
    }
    let lines = String::from_utf8(lines).unwrap();
    let parsed = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    parsed.filter(|line| line["kind"] == "flow").map(|line| line["fields"].clone()).collect()
}

#[test]
fn lists_are_objects() {
    let outer = [Field::iana(8, 4), Field::iana(292, VARIABLE_LENGTH), Field::iana(293, VARIABLE_LENGTH)];
    let inner = [Field::iana(4, 1), Field::iana(82, VARIABLE_LENGTH)];
    // subTemplateList: semantic allOf, template 300, two records.
    let list = [3, 1, 44, 6, 2, b'e', b'0', 17, 0];
    // subTemplateMultiList: semantic ordered; template 300 with one record, then one of template 999, unknown.
    let multi = [4, 1, 44, 0, 6, 1, 0, 3, 0xe7, 0, 6, 0xab, 0xcd];
    let record: [&[u8]; 3] = [&[192, 0, 2, 9], &list, &multi];
    let mut message = Message::new(1_750_000_000, 0, 7);
    message.template(256, &outer).template(300, &inner).data(256, &outer, &[&record]);
    let expected = json!({
        "sourceIPv4Address": "192.0.2.9",
        "subTemplateList": {
            "semantic": "allOf",
            "templateId": 300,
            "records": [
                {"protocolIdentifier": 6, "interfaceName": "e0"},
                {"protocolIdentifier": 17, "interfaceName": null},
            ],
        },
        "subTemplateMultiList": {
            "semantic": "ordered",
            "groups": [
                {"templateId": 300, "records": [{"protocolIdentifier": 1, "interfaceName": null}]},
                {"templateId": 999, "octets": "abcd"},
            ],
        },
    });
    assert_eq!(fields(&[message.finish()]), [expected]);
}

#[test]
fn a_template_that_comes_later_explains_later_lists() {
    let outer = [Field::iana(292, VARIABLE_LENGTH)];
    let record: &[&[u8]] = &[&[0xff, 1, 44, 6]];
    let mut first = Message::new(1_750_000_000, 0, 7);
    first.template(256, &outer).data(256, &outer, &[record]);
    let mut second = Message::new(1_750_000_000, 1, 7);
    second.template(300, &[Field::iana(4, 1)]).data(256, &outer, &[record]);
    let list = |key: &str, value: Value| json!({"subTemplateList": {"semantic": "undefined", "templateId": 300, key: value}});
    let expected = [list("octets", json!("06")), list("records", json!([{"protocolIdentifier": 6}]))];
    assert_eq!(fields(&[first.finish(), second.finish()]), expected);
}

#[test]
fn elements_that_the_exporter_describes_have_names_and_types() {
    let pen = 4_294_967_000;
    let own = |id, length| Field { pen, id, length };
    let flow = [own(1, 4), own(2, VARIABLE_LENGTH), own(3, 2), own(4, 2), own(1, 4)];
    let record: [&[u8]; 5] = [&[0, 0, 1, 0], b"text", &[0, 7], &[0, 8], &[0, 0, 0, 9]];
    // privateEnterpriseNumber, informationElementId, informationElementDataType, informationElementName.
    let describes =
        [Field::iana(346, 4), Field::iana(303, 2), Field::iana(339, 1), Field::iana(341, VARIABLE_LENGTH)];
    let number = pen.to_be_bytes();
    let mut first = Message::new(1_750_000_000, 0, 7);
    first.template(256, &flow).options_template(300, 2, &describes).data(256, &flow, &[&record]);
    let mut second = Message::new(1_750_000_000, 1, 7);
    let described: [[&[u8]; 4]; 5] = [
        [&number, &[0x80, 1], &[3], b"packetsSeen"],
        [&number, &[0, 2], &[13], b"site-name"],
        // A type that does not fit the length, a name that would break the line, and an element of IANA.
        [&number, &[0, 3], &[18], b"address"],
        [&number, &[0, 4], &[2], b"a\":1,\"b"],
        [&[0; 4], &[0, 8], &[13], b"mine"],
    ];
    let described: Vec<&[&[u8]]> = described.iter().map(|record| &record[..]).collect();
    second.data(300, &describes, &described).data(256, &flow, &[&record]);
    let key = |id: u16| format!("e{pen}id{id}");
    let before = json!({
        key(1): "00000100", key(2): "74657874", key(3): "0007", key(4): "0008", format!("{}_2", key(1)): "00000009",
    });
    let name = |name: &str| format!("e{pen}:{name}");
    let after = json!({
        name("packetsSeen"): 256, name("site-name"): "text", key(3): "0007", key(4): "0008", name("packetsSeen_2"): 9,
    });
    assert_eq!(fields(&[first.finish(), second.finish()]), [before, after]);
}

/// Lists in lists are followed a bounded number of times; deeper ones are their octets.
#[test]
fn attack_09_lists_in_lists() {
    let list = [Field::iana(292, VARIABLE_LENGTH)];
    let mut octets = Vec::new();
    for _ in 0..60 {
        // Semantic undefined, template 256, and one record: the list so far.
        let mut outer = Vec::new();
        wire::emit::ipfix::variable_length(&mut outer, octets.len() + 3);
        outer.extend([255, 1, 0]);
        outer.extend_from_slice(&octets);
        octets = outer;
    }
    let mut message = Message::new(1_750_000_000, 0, 7);
    message.template(256, &list).raw(256, &octets, 1);
    let flows = fields(&[message.finish()]);
    let mut depth = 0;
    let mut value = &flows[0]["subTemplateList"];
    while value.is_object() {
        value = &value["records"][0]["subTemplateList"];
        depth += 1;
    }
    assert!(value.is_string() && (1..10).contains(&depth), "{depth}: {value}");
}
