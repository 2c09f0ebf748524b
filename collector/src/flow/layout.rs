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

/// Appends the same integer for `rows` rows from `first` on.
#[expect(clippy::cast_possible_truncation, reason = "the column's width is the value's width")]
pub(crate) fn repeat(batch: &mut Batch, column: Option<usize>, value: u64, first: u32, rows: u32) {
    let Some(column) = column else { return };
    let end = (first + rows) as usize;
    match batch.values_mut(column) {
        Some(Values::Fixed1(to)) => to.resize(end, value as u8),
        Some(Values::Fixed2(to)) => to.resize(end, value as u16),
        Some(Values::Fixed4(to)) => to.resize(end, value as u32),
        Some(Values::Fixed8(to)) => to.resize(end, value),
        Some(Values::Fixed16(_) | Values::Octets { .. } | Values::Choice { .. }) | None => return,
    }
    batch.mark_present(column, first, rows);
}
