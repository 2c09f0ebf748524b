//! The two sides of each figure: a whole collector with its sinks' columns, and a plain walk over wire's views.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use collector::batch::{BatchLimits, WorkerId};
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{Collector, Drain, Input as Given, Now, Outlet, Settings, StreamId};
use wire::element::lookup;
use wire::ipfix::Message;
use wire::ipfix::data::Records;
use wire::ipfix::template::Field;
use wire::value::Value;

use crate::input::Input;

const FLOW_PORT: u16 = 4739;
const BMP_PORT: u16 = 11_019;

/// A collector with an outlet whose batches go home at once: a sink that takes no time.
pub struct Pipeline {
    collector: Collector,
    outlet: Outlet,
    drain: Drain,
    rows: u64,
}

impl Pipeline {
    /// One that reads all 23 fields of the population into columns, and joins if `join`.
    #[must_use]
    pub fn new(join: bool) -> Self {
        let elements = lab::exporter::FIELDS_V4.iter().map(|field| (0, field.id)).collect();
        let schemas = schemas(&Interest { kinds: u32::MAX, whole_records: false, elements, join });
        let limits = BatchLimits { rows: 1_024, octets: 1 << 20 };
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 16, limits);
        let ports = vec![(FLOW_PORT, PortProtocol::Ipfix), (BMP_PORT, PortProtocol::Bmp)];
        let collector = Collector::new(Settings { ports, join, ..Settings::default() }, schemas);
        Self { collector, outlet, drain, rows: 0 }
    }

    /// Teaches templates.
    pub fn templates(&mut self, input: &Input) {
        for (from, template) in input.sources.iter().zip(&input.templates) {
            self.datagram(*from, template);
        }
        self.settle();
    }

    /// Plays every router's BMP table. Returns seconds.
    pub fn tables(&mut self, input: &Input) -> f64 {
        let started = Instant::now();
        for (id, (from, table)) in (0..).zip(input.sources.iter().zip(&input.tables)) {
            let stream = StreamId(id);
            let to = SocketAddr::from(([127, 0, 0, 1], BMP_PORT));
            self.collector.accept(
                Now::default(),
                Given::Opened { stream, from: *from, to },
                &mut self.outlet,
            );
            let mut rest = &table[..];
            while !rest.is_empty() {
                let octets = &rest[..rest.len().min(64 * 1024)];
                let consumed = self.collector.accept(
                    Now::default(),
                    Given::Received { stream, octets },
                    &mut self.outlet,
                );
                rest = &rest[consumed..];
                self.settle();
            }
        }
        started.elapsed().as_secs_f64()
    }

    /// Takes every data message. Returns seconds and the flow rows that came out.
    pub fn flows(&mut self, input: &Input) -> (f64, u64) {
        self.rows = 0;
        let started = Instant::now();
        for (router, message) in &input.messages {
            self.datagram(input.sources[*router], message);
            if self.drain.backlog() > 0 {
                self.settle();
            }
        }
        self.outlet.publish();
        self.settle();
        (started.elapsed().as_secs_f64(), self.rows)
    }

    fn datagram(&mut self, from: SocketAddr, payload: &[u8]) {
        let to = SocketAddr::from(([127, 0, 0, 1], FLOW_PORT));
        self.collector.accept(Now::default(), Given::Datagram { from, to, payload }, &mut self.outlet);
    }

    fn settle(&mut self) {
        while let Some(lease) = self.drain.take() {
            self.rows += u64::from(lease.rows);
            debug_assert!(Arc::strong_count(&lease.schema) > 0);
        }
    }
}

/// Every value of every record by the views alone, field by field, without columns. Returns seconds and records.
#[must_use]
pub fn plain_flows(input: &Input) -> (f64, u64) {
    let fields: &[Field] = &lab::exporter::FIELDS_V4;
    let (mut records, mut digest) = (0_u64, 0_u64);
    let started = Instant::now();
    for (_, octets) in &input.messages {
        let Ok(message) = Message::parse(octets) else { continue };
        for set in message.sets().flatten() {
            for record in Records::new(fields, set.body).flatten() {
                records += 1;
                for field in record.fields() {
                    let Some(element) = lookup(field.field.pen, field.field.id) else { continue };
                    if let Ok(Value::Unsigned(number)) = Value::decode(element.data_type, field.octets) {
                        digest = digest.wrapping_add(number);
                    }
                }
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    std::hint::black_box(digest);
    (seconds, records)
}

/// Every BMP message, attribute and NLRI by the views alone, without a RIB. Returns seconds and messages.
#[must_use]
pub fn plain_tables(input: &Input) -> (f64, u64) {
    let (mut messages, mut digest) = (0_u64, 0_usize);
    let rules = wire::bgp::Session::FOUR_OCTET;
    let started = Instant::now();
    for table in &input.tables {
        let mut rest = &table[..];
        while let wire::bmp::Framed::Whole(frame) = wire::bmp::frame(rest, 1 << 20) {
            rest = &rest[frame.octets.len()..];
            messages += 1;
            let Ok(wire::bmp::Message::RouteMonitoring(monitoring)) = frame.message() else { continue };
            let Ok(update) = monitoring.update() else { continue };
            digest += update.judge(&rules).count();
            for routes in update.routes().flatten() {
                digest += routes.entries(&rules).flatten().count();
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    std::hint::black_box(digest);
    (seconds, messages)
}
