//! Captures of real exporters, played whole: the packets that the hosts sent are the packets in the flows, and
//! each flow meets the routes of its own router. What the files hold stands in `captures/README.md`.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use collector::batch::{BatchLimits, WorkerId};
use collector::capture::{Capture, player::Player};
use collector::join::JoinedRoute;
use collector::ledger::{JoinEnd, Kind, MessageEnd, PacketEnd, Protocol, RecordEnd, SetEnd};
use collector::outlet::{Drain, Lease, Outlet};
use collector::schema::{Interest, Origin, RecordField, RouteField, Side, TableId, TimeFrom, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Ledgers};

/// What the hosts sent and had echoed, by the counters of both kernels.
const PACKETS: u64 = 900 + 225;
/// The filler that pushes softflowd's capture block out; nobody counts it.
const FILLER_PORT: u64 = 9;

struct Played {
    leases: Vec<Lease>,
    ledgers: Ledgers,
}

/// Plays captures one after the other into one collector.
fn play(files: &[&str]) -> Played {
    let elements = vec![(0, 2), (0, 7), (0, 11), (0, 12), (0, 28)];
    let interest = Interest { kinds: u32::MAX, whole_records: true, elements, join: true };
    let schemas = schemas(&interest);
    let limits = BatchLimits { rows: 256, octets: 1 << 20 };
    let (mut outlet, drain): (_, Drain) = Outlet::new(WorkerId(0), &schemas, 64, limits);
    let ports = [2055, 4739].map(|port| (port, PortProtocol::Any)).to_vec();
    let mut collector = Collector::new(Settings { ports, ..Settings::default() }, schemas);
    for file in files {
        let path = [env!("CARGO_MANIFEST_DIR"), "/tests/captures/", file].concat();
        let mut capture = Capture::open(std::fs::File::open(path).unwrap()).unwrap();
        let mut player = Player::new(&[11019]);
        while capture.next(|packet| player.packet(packet, &mut collector, &mut outlet)).unwrap() {
            assert_eq!(collector.ledgers().unexplained(), 0);
        }
    }
    outlet.publish();
    Played { leases: std::iter::from_fn(|| drain.take()).collect(), ledgers: collector.ledgers().clone() }
}

impl Played {
    /// Every flow: its batch and row.
    fn flows(&self) -> impl Iterator<Item = (&Lease, usize)> {
        let flows = self.leases.iter().filter(|lease| lease.schema.table == TableId::Flows);
        flows.flat_map(|lease| (0..lease.rows as usize).map(move |row| (lease, row)))
    }
}

fn integer((lease, row): (&Lease, usize), origin: Origin) -> Option<u64> {
    let column = lease.schema.position(origin).unwrap();
    lease.is_present(column, u32::try_from(row).unwrap()).then(|| lease.values[column].integer(row).unwrap())
}

const fn element(id: u16) -> Origin {
    Origin::Element { pen: 0, id, nth: 0 }
}

/// The route that a flow's destination was joined with, or why there is none.
fn route<'a>((lease, row): (&'a Lease, usize)) -> Result<JoinedRoute<'a>, JoinEnd> {
    let side = Side::Destination;
    let result = integer((lease, row), Origin::Join { side, field: RouteField::Result }).unwrap();
    let result = JoinEnd::ALL[usize::try_from(result).unwrap()];
    if result != JoinEnd::Found {
        return Err(result);
    }
    let column = lease.schema.position(Origin::Join { side, field: RouteField::Route }).unwrap();
    Ok(lease.values[column].route(row).unwrap())
}

#[test]
fn packets_in_flows_are_packets_sent() {
    let files = [
        ("softflowd-ipfix-ipv4.pcap", Protocol::Ipfix),
        ("softflowd-ipfix-ipv6.pcap", Protocol::Ipfix),
        ("softflowd-netflow9-ipv4.pcap", Protocol::Netflow9),
    ];
    for (file, protocol) in files {
        let played = play(&[file]);
        let mut packets = 0;
        for flow in played.flows() {
            let is_filler = [7, 11].iter().any(|&port| integer(flow, element(port)) == Some(FILLER_PORT));
            packets += if is_filler { 0 } else { integer(flow, element(2)).unwrap() };
            // softflowd tells uptimes only: 21, 22, and the boot time in options (IPFIX) or the header's clock (v9).
            let field = |field| integer(flow, Origin::Record(field));
            assert_eq!(field(RecordField::TimeFrom), Some(TimeFrom::SysUptime as u64));
            let [start, end, export] =
                [RecordField::FlowStart, RecordField::FlowEnd, RecordField::ExportTime]
                    .map(|name| field(name).unwrap());
            assert!(start <= end && export.abs_diff(end) < 60_000_000_000, "{file}: {start} {end} {export}");
            assert_eq!(field(RecordField::SamplingRate).map(f64::from_bits), Some(1.0), "{file}");
        }
        assert_eq!(packets, PACKETS, "{file}");
        let ledgers = &played.ledgers;
        let messages = ledgers.messages[protocol.index()][MessageEnd::Decoded.index()];
        assert_eq!(messages, ledgers.packets[PacketEnd::Delivered.index()], "{file}");
        let sets = ledgers.sets[protocol.index()][SetEnd::Decoded.index()];
        assert_eq!(sets, ledgers.sets_in[protocol.index()], "{file}");
        assert_eq!(ledgers.records[Kind::Options.index()][RecordEnd::Row.index()], 2, "{file}");
        assert_eq!(ledgers.sequence_lost, [0; Protocol::COUNT], "{file}");
    }
}

#[test]
fn flows_meet_the_routes_of_their_own_router() {
    for (files, announced, prefix) in [
        (["frr-bmp-ipv4.pcap", "softflowd-ipfix-ipv4.pcap"], "198.51.100.", "198.51.100.0/24"),
        (["gobgp-bmp-ipv4.pcap", "softflowd-netflow9-ipv4.pcap"], "198.51.100.", "198.51.100.0/24"),
        (["frr-bmp-ipv6.pcap", "softflowd-ipfix-ipv6.pcap"], "2001:db8:ffff:", "2001:db8:ffff::/48"),
    ] {
        let played = play(&files);
        let (mut found, mut missed) = (0, 0);
        for (lease, row) in played.flows() {
            let destination = match integer((lease, row), element(12)) {
                Some(address) => std::net::Ipv4Addr::from(u32::try_from(address).unwrap()).to_string(),
                None => {
                    let column = lease.schema.position(element(28)).unwrap();
                    std::net::Ipv6Addr::from(*lease.values[column].sixteen(row).unwrap()).to_string()
                }
            };
            match route((lease, row)) {
                Ok(route) => {
                    if destination.starts_with(announced) {
                        assert_eq!(route.prefix.to_string(), prefix);
                        found += 1;
                    }
                }
                Err(end) => {
                    assert!(!destination.starts_with(announced), "{destination}: {end:?}");
                    // The captures hold the end of the stream, and GoBGP sends no End-of-RIB: a miss says so.
                    assert_ne!(end, JoinEnd::NoAddress, "{destination}");
                    missed += 1;
                }
            }
        }
        assert!(found > 0 && missed > 0, "{files:?}: {found} found, {missed} missed");
    }
}

#[test]
fn flows_of_a_router_without_bmp_have_no_session_to_ask() {
    // The routes are 10.71.1.1's, the flows 10.71.2.1's.
    let played = play(&["frr-bmp-ipv4.pcap", "softflowd-netflow9-ipv4.pcap"]);
    assert!(played.flows().count() > 0);
    assert!(played.flows().all(|flow| route(flow) == Err(JoinEnd::NoSession)));
}
