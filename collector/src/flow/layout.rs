//! Where the columns of flows that are not elements stand in the schema: looked up once.

use crate::batch::{Batch, Values};
use crate::join;
use crate::schema::{RecordField, Schema, Side};

/// Columns of flows, by position; `None`: the schema has no such column.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) exporter: Option<usize>,
    pub(crate) receive_time: Option<usize>,
    pub(crate) frame: Option<usize>,
    pub(crate) domain: Option<usize>,
    pub(crate) template_id: Option<usize>,
    pub(crate) version: Option<usize>,
    pub(crate) export_time: Option<usize>,
    pub(crate) template: Option<usize>,
    pub(crate) record: Option<usize>,
    pub(crate) flow_start: Option<usize>,
    pub(crate) flow_end: Option<usize>,
    pub(crate) time_from: Option<usize>,
    pub(crate) sampling_rate: Option<usize>,
    pub(crate) sampling_from: Option<usize>,
    /// Ingress and egress interface name, ingress and egress VRF name.
    pub(crate) names: [Option<usize>; 4],
    /// Destination and source.
    pub(crate) joins: [join::Columns; 2],
}

impl Layout {
    /// Of the schema of flows.
    pub(crate) fn of(schema: &Schema) -> Self {
        use RecordField as F;
        Self {
            exporter: schema.field(F::Exporter),
            receive_time: schema.field(F::ReceiveTime),
            frame: schema.field(F::Frame),
            domain: schema.field(F::ObservationDomainId),
            template_id: schema.field(F::TemplateId),
            version: schema.field(F::Version),
            export_time: schema.field(F::ExportTime),
            template: schema.field(F::Template),
            record: schema.field(F::Record),
            flow_start: schema.field(F::FlowStart),
            flow_end: schema.field(F::FlowEnd),
            time_from: schema.field(F::TimeFrom),
            sampling_rate: schema.field(F::SamplingRate),
            sampling_from: schema.field(F::SamplingFrom),
            names: [F::IngressInterfaceName, F::EgressInterfaceName, F::IngressVrfName, F::EgressVrfName]
                .map(|field| schema.field(field)),
            joins: [Side::Destination, Side::Source].map(|side| join::Columns::of(schema, side)),
        }
    }

    /// Whether flows are joined with routes at all.
    pub(crate) const fn joins(&self) -> bool {
        let [destination, source] = self.joins;
        destination.are_there() || source.are_there()
    }
}

/// Values that one step of a loop writes.
const STEP: usize = 16;

/// Appends values to a column, each for as many rows as stand beside it. Equal ones in a row, as most are that
/// messages have in common, are written together.
#[inline(never)]
pub(crate) fn repeat<T: Copy + PartialEq>(
    batch: &mut Batch,
    column: Option<usize>,
    of: impl Fn(&mut Values) -> Option<&mut Vec<T>>,
    mut values: impl Iterator<Item = (T, usize)>,
) {
    let Some(column) = column else { return };
    let Some(to) = batch.fixed(column, of) else { return };
    let Some((mut value, mut rows)) = values.next() else { return };
    for (next, more) in values {
        if next == value {
            rows += more;
        } else {
            fill(to, value, rows);
            (value, rows) = (next, more);
        }
    }
    fill(to, value, rows);
}

/// Appends one value so often.
#[inline]
fn fill<T: Copy>(to: &mut Vec<T>, value: T, rows: usize) {
    let (end, step) = (to.len() + rows, [value; STEP]);
    for _ in 0..rows.div_ceil(STEP) {
        to.extend_from_slice(&step);
    }
    to.truncate(end);
}
