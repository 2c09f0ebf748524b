//! Our side: a whole collector with its sinks' columns. And a plain walk over wire's views.

use std::net::SocketAddr;

use collector::batch::{Batch, BatchLimits, WorkerId};
use collector::schema::{Interest, Origin, TableId, schemas};
use collector::settings::PortProtocol;
use collector::{Collector, Drain, Input as Given, Now, Outlet, Settings, StreamId};
use wire::element::lookup;
use wire::ipfix::Message;
use wire::ipfix::data::Records;
use wire::ipfix::template::Field;
use wire::value::Value;

use crate::corpus::Corpus;
use crate::digest::Digest;
use crate::input::Input;

const FLOW_PORT: u16 = 4739;
const BMP_PORT: u16 = 11_019;

/// A collector with an outlet whose batches go home at once: a sink that takes no time.
pub struct Pipeline {
    collector: Collector,
    outlet: Outlet,
    drain: Drain,
    rows: u64,
    /// Sums of all element columns, where they are wanted.
    digest: Option<Digest>,
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
        Self { collector, outlet, drain, rows: 0, digest: None }
    }

    /// Teaches templates.
    pub fn templates(&mut self, input: &Input) {
        for (from, template) in input.sources.iter().zip(&input.templates) {
            self.datagram(*from, template);
        }
        self.settle();
    }

    /// Plays every router's BMP table.
    pub fn tables(&mut self, input: &Input) {
        for (id, (from, table)) in (0..).zip(input.sources.iter().zip(&input.tables)) {
            self.opened(StreamId(id), *from);
            self.received(StreamId(id), table);
        }
    }

    /// Begins the BMP session of a corpus.
    pub fn begin(&mut self, corpus: &Corpus) {
        self.opened(StreamId(0), SocketAddr::from(([192, 0, 2, 9], 50_000)));
        self.received(StreamId(0), &corpus.opening);
    }

    /// Takes every message of a corpus. Returns how many they are.
    pub fn routes(&mut self, corpus: &Corpus) -> u64 {
        self.received(StreamId(0), &corpus.octets);
        corpus.messages()
    }

    fn opened(&mut self, stream: StreamId, from: SocketAddr) {
        let to = SocketAddr::from(([127, 0, 0, 1], BMP_PORT));
        self.collector.accept(Now::default(), Given::Opened { stream, from, to }, &mut self.outlet);
    }

    /// Hands octets on as a stream's buffer does, a piece at a time.
    fn received(&mut self, stream: StreamId, mut rest: &[u8]) {
        while !rest.is_empty() {
            let octets = &rest[..rest.len().min(64 * 1024)];
            let given = Given::Received { stream, octets };
            let consumed = self.collector.accept(Now::default(), given, &mut self.outlet);
            rest = &rest[consumed..];
            self.settle();
        }
    }

    /// Takes every data message. Returns the flow rows that came out.
    pub fn flows(&mut self, input: &Input) -> u64 {
        self.rows = 0;
        for (router, message) in &input.messages {
            self.datagram(input.sources[*router], message);
            if self.drain.backlog() > 0 {
                self.settle();
            }
        }
        self.outlet.publish();
        self.settle();
        self.rows
    }

    /// Takes every data message and sums what stands in the columns of elements.
    pub fn flows_digest(&mut self, input: &Input) -> Digest {
        self.digest = Some(Digest::default());
        self.flows(input);
        self.digest.take().unwrap_or_default()
    }

    fn datagram(&mut self, from: SocketAddr, payload: &[u8]) {
        let to = SocketAddr::from(([127, 0, 0, 1], FLOW_PORT));
        self.collector.accept(Now::default(), Given::Datagram { from, to, payload }, &mut self.outlet);
    }

    fn settle(&mut self) {
        while let Some(lease) = self.drain.take() {
            self.rows += u64::from(lease.rows);
            if let Some(digest) = &mut self.digest {
                note(&lease, digest);
            }
        }
    }
}

/// Sums a batch's columns of elements; each has its position in the template as its tag.
fn note(batch: &Batch, digest: &mut Digest) {
    if batch.schema.table != TableId::Flows {
        return;
    }
    for (tag, field) in (0..).zip(&lab::exporter::FIELDS_V4) {
        let origin = Origin::Element { pen: field.pen, id: field.id, nth: 0 };
        let Some(column) = batch.schema.position(origin) else { continue };
        for row in 0..batch.rows {
            let value = batch.values.get(column).and_then(|values| values.integer(row as usize));
            let value = value.filter(|_| batch.is_present(column, row));
            digest.note(tag, value.unwrap_or(u64::MAX));
        }
    }
}

/// Every value of every record by the views alone, field by field, without columns. Returns records.
#[must_use]
pub fn plain_flows(input: &Input) -> u64 {
    let fields: &[Field] = &lab::exporter::FIELDS_V4;
    let (mut records, mut digest) = (0_u64, 0_u64);
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
    std::hint::black_box(digest);
    records
}
