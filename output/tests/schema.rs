//! Every line is as its schema says: lines of real exporters' captures, of messages of every kind and family that
//! our encoders write, and of hostile ones. A schema that nothing was held to fails.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "../../wire/tests/walk/populations.rs"]
mod populations;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use collector::batch::{BatchLimits, WorkerId};
use collector::capture::{Capture, player::Player};
use collector::ledger::Kind;
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{Collector, Drain, Input, Now, Outlet, Settings, StreamEnd, StreamId};
use jsonschema::Validator;
use output::json::Encoder;
use serde_json::Value;

const IPFIX: u16 = 4739;
const SFLOW: u16 = 6343;
const UDP_NOTIF: u16 = 10_003;

/// A collector whose every line is held to its schema.
struct Stage {
    collector: Collector,
    out: Outlet,
    drain: Drain,
    encoder: Encoder,
    validators: BTreeMap<&'static str, Validator>,
    lines: BTreeMap<String, Vec<Value>>,
    now: Now,
}

impl Stage {
    fn new() -> Self {
        Self::with_batches(64, BatchLimits { rows: 1_024, octets: 1 << 20 })
    }

    fn with_batches(batches: usize, limits: BatchLimits) -> Self {
        let interest = Interest { kinds: u32::MAX, whole_records: true, elements: Vec::new(), join: true };
        let schemas = schemas(&interest);
        let (out, drain) = Outlet::new(WorkerId(0), &schemas, batches, limits);
        let ports = (0..=u16::MAX)
            .map(|port| match port {
                SFLOW => (port, PortProtocol::Sflow),
                UDP_NOTIF => (port, PortProtocol::UdpNotif),
                port => (port, PortProtocol::Any),
            })
            .collect();
        let settings = Settings {
            ports,
            bmp_resync: true,
            bmp_assume_peers: true,
            max_error_rows_per_second: 0,
            ..Settings::default()
        };
        let validators = Kind::ALL
            .iter()
            .map(|kind| (kind.name(), jsonschema::draft202012::new(&output::schema::of(*kind)).unwrap()))
            .collect();
        Self {
            collector: Collector::new(settings, schemas),
            out,
            drain,
            encoder: Encoder::default(),
            validators,
            lines: BTreeMap::new(),
            now: Now { monotonic_ns: 1, unix_ns: 1_750_000_000_000_000_000, frame: 1 },
        }
    }

    fn check(&mut self) {
        self.out.publish();
        while let Some(lease) = self.drain.take() {
            for row in 0..lease.rows as usize {
                let mut text = Vec::new();
                self.encoder.line(&lease, row, &mut text).unwrap();
                let line: Value = serde_json::from_slice(&text)
                    .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
                let kind = line["kind"].as_str().unwrap().to_owned();
                let errors: Vec<String> = self.validators[kind.as_str()]
                    .iter_errors(&line)
                    .map(|error| format!("{} at {}", error, error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "{errors:#?}\n{line:#}");
                self.lines.entry(kind).or_default().push(line);
            }
        }
    }

    fn capture(&mut self, path: &Path) {
        let mut capture = Capture::open(Box::new(std::fs::File::open(path).unwrap())).unwrap();
        let mut player = Player::new(&[]);
        while capture.next(|packet| player.packet(packet, &mut self.collector, &mut self.out)).unwrap() {
            self.check();
        }
        self.now = player.now();
        self.check();
    }

    fn datagram(&mut self, port: u16, payload: &[u8]) {
        let from = "192.0.2.1:50000".parse().unwrap();
        let to = SocketAddr::new("192.0.2.9".parse().unwrap(), port);
        let input = Input::Datagram { from, to, payload };
        self.collector.accept(self.now, input, &mut self.out);
        self.check();
    }

    /// A BMP session of the router that sends the datagrams.
    fn stream(&mut self, stream: u64, messages: &[Vec<u8>]) {
        let [from, to] = ["192.0.2.1:33000", "192.0.2.9:11019"].map(|address| address.parse().unwrap());
        let stream = StreamId(stream);
        self.collector.accept(self.now, Input::Opened { stream, from, to }, &mut self.out);
        for message in messages {
            let taken =
                self.collector.accept(self.now, Input::Received { stream, octets: message }, &mut self.out);
            self.check();
            if taken == collector::CLOSE_STREAM {
                break;
            }
        }
        self.collector.accept(self.now, Input::Closed { stream, end: StreamEnd::Fin }, &mut self.out);
        self.check();
    }

    fn of(&self, kind: Kind) -> &[Value] {
        self.lines.get(kind.name()).map_or(&[], Vec::as_slice)
    }
}

#[test]
fn schemas_are_schemas_and_the_whole_is_the_sum() {
    let all = output::schema::all();
    jsonschema::draft202012::meta::validate(&all).unwrap();
    assert_eq!(all["oneOf"].as_array().unwrap().len(), Kind::ALL.len());
    for kind in Kind::ALL {
        let schema = output::schema::of(*kind);
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        assert_eq!(schema["properties"]["kind"]["const"], kind.name());
        assert_eq!(schema["title"], kind.name());
    }
}

#[test]
fn a_misnamed_key_is_caught() {
    let flow = jsonschema::draft202012::new(&output::schema::of(Kind::Flow)).unwrap();
    let line = |derived: &str, join: &str| {
        let text = format!(
            r#"{{"kind":"flow","exporter":"192.0.2.1","receiveTime":"2025-01-01T00:00:00Z","observationDomainId":1,
            "version":10,"exportTime":"2025-01-01T00:00:00.5Z","fields":{{"octetDeltaCount":1}},
            "derived":{{{derived}}},"join":{{"destination":{{{join}}}}}}}"#
        );
        serde_json::from_str::<Value>(&text.replace(".5Z", ".500Z")).unwrap()
    };
    assert!(flow.is_valid(&line(r#""timeFrom":"none""#, r#""miss":"noRoute""#)));
    assert!(!flow.is_valid(&line(r#""timesFrom":"none""#, r#""miss":"noRoute""#)));
    assert!(!flow.is_valid(&line(r#""timeFrom":"never""#, r#""miss":"noRoute""#)));
    assert!(!flow.is_valid(&line(r#""timeFrom":"none""#, r#""miss":"noroute""#)));
    assert!(!flow.is_valid(&line(r#""timeFrom":"none""#, r#""miss":"noRoute","prefix":"10.0.0.0/8""#)));
}

#[test]
fn captures_of_real_exporters() {
    let mut stage = Stage::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector/tests/captures");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Routes first, so that the flows of the same routers meet them.
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "pcap")) {
        stage.capture(file);
    }
    let joined = stage.of(Kind::Flow).iter().filter(|line| line["join"]["destination"]["prefix"].is_string());
    assert!(joined.count() >= 40);
    for kind in [
        Kind::Options,
        Kind::Route,
        Kind::Initiation,
        Kind::PeerUp,
        Kind::PeerDown,
        Kind::Stats,
        Kind::Session,
    ] {
        assert!(!stage.of(kind).is_empty(), "{}", kind.name());
    }
}

#[test]
fn messages_of_every_kind_and_family() {
    let mut stage = Stage::new();
    stage.stream(1, &populations::bmp());
    for payload in populations::flows() {
        stage.datagram(IPFIX, &payload);
    }
    let [sflow, notifications] = populations::samples_and_notifications();
    sflow.iter().for_each(|payload| stage.datagram(SFLOW, payload));
    notifications.iter().for_each(|payload| stage.datagram(UDP_NOTIF, payload));
    for kind in [
        Kind::Flow,
        Kind::Options,
        Kind::Route,
        Kind::Initiation,
        Kind::Termination,
        Kind::PeerUp,
        Kind::PeerDown,
        Kind::Stats,
        Kind::Mirror,
        Kind::Session,
        Kind::Error,
        Kind::Sample,
        Kind::Counters,
        Kind::Notification,
    ] {
        assert!(!stage.of(kind).is_empty(), "{}", kind.name());
    }
    assert_eq!((stage.of(Kind::Sample).len(), stage.of(Kind::Notification).len()), (3, 5));
    let routes = stage.of(Kind::Route);
    let told = |path: &[&str]| {
        routes.iter().filter(|route| !path.iter().fold(*route, |value, key| &value[key]).is_null()).count()
    };
    for path in [
        &["attributes", "pmsiTunnel"][..],
        &["attributes", "tunnelEncap"],
        &["attributes", "prefixSid", "srv6"],
        &["attributes", "linkState"],
        &["attributes", "attrSet", "attributes"],
        &["attributes", "trafficEngineering"],
        &["attributes", "peLabels"],
        &["attributes", "bgpsecPath"],
        &["attributes", "domainPath"],
        &["attributes", "servicePath"],
        &["attributes", "errors"],
        &["attributes", "attr99"],
        &["attributes", "asPathSegments"],
        &["nlri", "routeType"],
        &["nlri", "components"],
        &["nlri", "local"],
        &["nlri", "color"],
        &["nlri", "routeTarget"],
        &["nlri", "edgeId"],
        &["rd"],
        &["labels"],
        &["pathId"],
        &["tlvs"],
    ] {
        assert!(told(path) > 0, "{path:?}");
    }
    let tagged = routes.iter().find(|route| !route["tlvs"].is_null()).unwrap();
    let names: Vec<&Value> = tagged["tlvs"].as_array().unwrap().iter().map(|tlv| &tlv["name"]).collect();
    assert!(names.contains(&&"vrfTableName".into()) && names.contains(&&"pathStatus".into()), "{tagged}");
}

#[test]
fn lines_that_found_no_room_are_told_as_a_gap_and_made_good_by_a_dump() {
    let mut stage = Stage::with_batches(2, BatchLimits { rows: 2, octets: 1 << 20 });
    let stream = StreamId(1);
    let [from, to] = ["192.0.2.1:33000", "192.0.2.9:11019"].map(|address| address.parse().unwrap());
    stage.collector.accept(stage.now, Input::Opened { stream, from, to }, &mut stage.out);
    let messages = populations::bmp();
    // All but the last, the Termination.
    for octets in messages.split_last().unwrap().1 {
        stage.collector.accept(stage.now, Input::Received { stream, octets }, &mut stage.out);
    }
    for _ in 0..100 {
        stage.check();
        stage.now.monotonic_ns += 1_000_000_000;
        stage.collector.tick(stage.now, &mut stage.out);
    }
    stage.check();
    let [gap] = stage.of(Kind::Gap) else { panic!("{:?}", stage.of(Kind::Gap)) };
    let [begin, end] = stage.of(Kind::Dump) else { panic!("{:?}", stage.of(Kind::Dump)) };
    assert_eq!((&begin["state"], &end["state"]), (&"begin".into(), &"end".into()));
    assert_eq!((&gap["session"], &begin["session"]), (&end["session"], &end["session"]));
    let number = |line: &Value, key: &str| line[key].as_u64().unwrap();
    assert!(number(gap, "firstSeq") < number(gap, "lastSeq"));
    let within = number(begin, "seq") + 1..number(end, "seq");
    let dumped = stage.of(Kind::Route).iter().filter(|route| within.contains(&number(route, "seq")));
    assert_eq!(dumped.count() as u64, within.end - within.start);
}

/// Damage makes other lines, not other keys.
#[test]
fn one_octet_wrong_anywhere() {
    let mut stage = Stage::new();
    let (bmp, flows) = (populations::bmp(), populations::flows());
    for (number, message) in (2..).zip(&bmp) {
        for at in (6..message.len()).step_by(3) {
            let mut damaged = message.clone();
            damaged[at] ^= [0xff, 0x01, 0x80, 0x10][at % 4];
            stage.now.monotonic_ns += 1;
            stage.stream(number * 10_000 + at as u64, &[bmp[1].clone(), damaged]);
        }
    }
    let [sflow, notifications] = populations::samples_and_notifications();
    for (port, payloads) in [(IPFIX, flows), (SFLOW, sflow), (UDP_NOTIF, notifications)] {
        for payload in payloads {
            for at in 0..payload.len() {
                let mut damaged = payload.clone();
                damaged[at] ^= [0xff, 0x01, 0x80, 0x10][at % 4];
                stage.now.monotonic_ns += 1_000_000_000;
                stage.datagram(port, &damaged);
            }
        }
    }
    assert!(stage.of(Kind::Error).len() > 100 && stage.of(Kind::Route).len() > 100);
}
