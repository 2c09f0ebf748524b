//! Rows -> JSON lines. The only encoder: `decode`, the file sink and `show` all print through it.
//!
//! Octets of the wire become text here and nowhere before; the words are those of the record reference.

mod text;
mod template;
mod value;
mod flow;
pub(crate) mod route;
mod nlri;
mod attribute;
mod tlv;
pub(crate) mod peer;
mod message;
mod sample;
mod counters;
mod notification;
mod error;

use std::sync::Arc;

use collector::batch::Batch;
use collector::ledger::Kind;
use collector::message::Context;
use collector::schema::{RecordField, Schema, TableId};
use wire::sflow::Format;

pub use text::Json;

use flow::Row;

/// What every line begins with. One a schema.
#[derive(Debug)]
struct Common {
    exporter: Option<usize>,
    receive_time: Option<usize>,
    frame: Option<usize>,
}

impl Common {
    fn write(&self, json: &mut Json<'_>, kind: &str, row: Row<'_>) {
        json.key("kind").string(kind);
        if let Some(exporter) = row.sixteen(self.exporter) {
            json.key("exporter").address(exporter);
        }
        if let Some(ns) = row.integer(self.receive_time) {
            json.key("receiveTime").time_ns(ns);
        }
        if let Some(number) = row.integer(self.frame) {
            json.key("frame").unsigned(number);
        }
    }
}

/// Column positions of one schema.
#[derive(Debug)]
struct Layout {
    schema: Arc<Schema>,
    common: Common,
    flow: flow::Layout,
    route: route::Layout,
    kind: Option<usize>,
    context: Option<usize>,
    octets: Option<usize>,
}

impl Layout {
    fn new(schema: &Arc<Schema>) -> Self {
        Self {
            common: Common {
                exporter: schema.field(RecordField::Exporter),
                receive_time: schema.field(RecordField::ReceiveTime),
                frame: schema.field(RecordField::Frame),
            },
            flow: flow::Layout::new(schema),
            route: route::Layout::new(schema),
            kind: schema.field(RecordField::Kind),
            context: schema.field(RecordField::Context),
            octets: schema.field(RecordField::Octets),
            schema: Arc::clone(schema),
        }
    }
}

/// Turns rows into lines. One a sink.
#[derive(Debug, Default)]
pub struct Encoder {
    layouts: [Option<Layout>; TableId::COUNT],
    templates: template::Cache,
}

impl Encoder {
    /// Appends the line of a row to `out`. Returns its kind, or `None` for a row that cannot be read, which
    /// no session writes.
    pub fn line(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) -> Option<Kind> {
        let layout = self.layouts.get_mut(batch.schema.table.index())?;
        if layout.as_ref().is_none_or(|layout| !Arc::ptr_eq(&layout.schema, &batch.schema)) {
            *layout = Some(Layout::new(&batch.schema));
        }
        let layout = layout.as_ref()?;
        let row = Row { batch, row };
        let json = &mut Json::new(out);
        match batch.schema.table {
            TableId::Flows => {
                flow::flow(json, &layout.common, &layout.flow, &mut self.templates, row);
                Some(Kind::Flow)
            }
            TableId::Routes => {
                route::route(json, &layout.common, &layout.route, row);
                Some(Kind::Route)
            }
            TableId::Messages => {
                let kind = *Kind::ALL.get(usize::try_from(row.integer(layout.kind)?).ok()?)?;
                let context = Context::read(row.octets(layout.context)?)?;
                let octets = row.octets(layout.octets).unwrap_or_default();
                let common = &layout.common;
                match context {
                    Context::Options { .. } => {
                        flow::options(json, common, &mut self.templates, row, context, octets);
                    }
                    Context::Sflow { agent, sub_agent, format } => {
                        let of = sample::Of { agent, sub_agent, format: Format::from_wire(format) };
                        if kind == Kind::Counters {
                            counters::counters(json, common, row, of, octets);
                        } else {
                            sample::sample(json, common, &layout.flow, row, of, octets);
                        }
                    }
                    Context::Notification(of) => notification::notification(json, common, row, of, octets),
                    Context::Bmp { .. }
                    | Context::Session { .. }
                    | Context::Gap { .. }
                    | Context::Dump { .. }
                    | Context::Error { .. }
                    | Context::Answer { .. } => message::message(json, common, row, kind, context, octets),
                }
                Some(kind)
            }
        }
    }
}
