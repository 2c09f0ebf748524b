//! A collector that is fed datagrams of exporters, and the rows that come out. Part of the tests that include it.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "each test that includes this file uses a part of it, and fails where that part does"
)]

use std::net::SocketAddr;

use collector::batch::{BatchLimits, WorkerId};
use collector::ledger::{FlowEvent, Kind, MessageEnd, Protocol, RecordEnd, SetEnd};
use collector::outlet::{Drain, Lease, Outlet};
use collector::schema::{Interest, Origin, RecordField, TableId, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Input, Now};

/// A second, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;
/// Export time of the messages, unix seconds.
pub const EXPORT: u32 = 1_750_000_000;
/// The same in nanoseconds.
pub const EXPORT_NS: u64 = EXPORT as u64 * SECOND;

/// One collector with its outlet, and a clock.
pub struct Rig {
    pub collector: Collector,
    pub outlet: Outlet,
    pub drain: Drain,
    pub now: Now,
}

impl Rig {
    pub fn new(elements: &[(u32, u16)], limits: BatchLimits, batches: usize, settings: Settings) -> Self {
        let interest =
            Interest { kinds: u32::MAX, whole_records: true, elements: elements.to_vec(), join: true };
        let schemas = schemas(&interest);
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, batches, limits);
        let now = Now { monotonic_ns: SECOND, unix_ns: EXPORT_NS + 7, frame: 1 };
        let ports = vec![
            (4739, PortProtocol::Ipfix),
            (2055, PortProtocol::Netflow),
            (6343, PortProtocol::Sflow),
            (10_003, PortProtocol::UdpNotif),
        ];
        Self { collector: Collector::new(Settings { ports, ..settings }, schemas), outlet, drain, now }
    }

    pub fn with(elements: &[(u32, u16)]) -> Self {
        Self::new(elements, BatchLimits { rows: 64, octets: 1 << 20 }, 8, Settings::default())
    }

    pub fn send(&mut self, port: u16, payload: &[u8]) {
        self.send_from("192.0.2.1:50000", port, payload);
    }

    pub fn send_from(&mut self, from: &str, port: u16, payload: &[u8]) {
        let to = SocketAddr::new("192.0.2.9".parse().unwrap(), port);
        let input = Input::Datagram { from: from.parse().unwrap(), to, payload };
        assert_eq!(self.collector.accept(self.now, input, &mut self.outlet), payload.len());
        assert_eq!(self.collector.ledgers().unexplained(), 0);
    }

    pub fn tick(&mut self, after_ns: u64) {
        self.now.monotonic_ns += after_ns;
        self.collector.tick(self.now, &mut self.outlet);
        assert_eq!(self.collector.ledgers().unexplained(), 0);
    }

    pub fn rows(&mut self, table: TableId) -> Vec<(Lease, usize)> {
        self.outlet.publish();
        let mut rows = Vec::new();
        while let Some(lease) = self.drain.take() {
            if lease.schema.table == table {
                rows.extend((0..lease.rows as usize).map(|row| (lease.clone(), row)));
            }
        }
        rows
    }

    pub fn sets(&self, protocol: Protocol, end: SetEnd) -> u64 {
        self.collector.ledgers().sets[protocol.index()][end.index()]
    }

    pub fn messages(&self, protocol: Protocol, end: MessageEnd) -> u64 {
        self.collector.ledgers().messages[protocol.index()][end.index()]
    }

    pub fn records(&self, kind: Kind, end: RecordEnd) -> u64 {
        self.collector.ledgers().records[kind.index()][end.index()]
    }

    pub fn event(&self, event: FlowEvent) -> u64 {
        self.collector.ledgers().flow_events[event.index()]
    }

    pub fn lost(&self, protocol: Protocol) -> u64 {
        self.collector.ledgers().sequence_lost[protocol.index()]
    }
}

pub fn integer((lease, row): &(Lease, usize), origin: Origin) -> Option<u64> {
    let column = lease.schema.position(origin).unwrap();
    let row_number = u32::try_from(*row).unwrap();
    lease.is_present(column, row_number).then(|| lease.values[column].integer(*row).unwrap())
}

pub fn octets((lease, row): &(Lease, usize), origin: Origin) -> Option<Vec<u8>> {
    let column = lease.schema.position(origin).unwrap();
    let row_number = u32::try_from(*row).unwrap();
    lease.is_present(column, row_number).then(|| lease.values[column].octets(*row).unwrap().to_vec())
}

pub const fn element(id: u16) -> Origin {
    Origin::Element { pen: 0, id, nth: 0 }
}

pub const fn field(field: RecordField) -> Origin {
    Origin::Record(field)
}
