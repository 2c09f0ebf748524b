//! A row of the flows table, or an options row of the messages table -> its line.

use collector::batch::Batch;
use collector::join::JoinedRoute;
use collector::ledger::JoinEnd;
use collector::message::Context;
use collector::schema::{
    Origin, PickedBy, RecordField, RouteField, SamplingFrom, Schema, Side, TimeFrom, VrfFrom,
};
use wire::element::Name;
use wire::ipfix::data::Record;

use super::template::{Cache, Prepared};
use super::text::Json;
use super::{Common, value};

/// IE 70-79: the label stack, from the top.
pub(super) const LABEL_STACK: std::ops::RangeInclusive<u16> = 70..=79;

/// Where the flows table has its columns. One a schema.
#[derive(Debug)]
pub(super) struct Layout {
    observation_domain_id: Option<usize>,
    template_id: Option<usize>,
    version: Option<usize>,
    export_time: Option<usize>,
    template: Option<usize>,
    record: Option<usize>,
    flow_start: Option<usize>,
    flow_end: Option<usize>,
    time_from: Option<usize>,
    sampling_rate: Option<usize>,
    sampling_from: Option<usize>,
    names: [(&'static str, Option<usize>); 4],
    sides: [JoinLayout; 2],
}

#[derive(Debug)]
struct JoinLayout {
    key: &'static str,
    result: Option<usize>,
    route: Option<usize>,
    used_element: Option<usize>,
    vrf_from: Option<usize>,
    picked_by: Option<usize>,
}

impl JoinLayout {
    fn new(schema: &Schema, side: Side, key: &'static str) -> Self {
        let at = |field| schema.position(Origin::Join { side, field });
        Self {
            key,
            result: at(RouteField::Result),
            route: at(RouteField::Route),
            used_element: at(RouteField::UsedElement),
            vrf_from: at(RouteField::VrfFrom),
            picked_by: at(RouteField::PickedBy),
        }
    }
}

impl Layout {
    pub(super) fn new(schema: &Schema) -> Self {
        let at = |field| schema.field(field);
        Self {
            observation_domain_id: at(RecordField::ObservationDomainId),
            template_id: at(RecordField::TemplateId),
            version: at(RecordField::Version),
            export_time: at(RecordField::ExportTime),
            template: at(RecordField::Template),
            record: at(RecordField::Record),
            flow_start: at(RecordField::FlowStart),
            flow_end: at(RecordField::FlowEnd),
            time_from: at(RecordField::TimeFrom),
            sampling_rate: at(RecordField::SamplingRate),
            sampling_from: at(RecordField::SamplingFrom),
            names: [
                ("ingressInterfaceName", at(RecordField::IngressInterfaceName)),
                ("egressInterfaceName", at(RecordField::EgressInterfaceName)),
                ("ingressVrfName", at(RecordField::IngressVrfName)),
                ("egressVrfName", at(RecordField::EgressVrfName)),
            ],
            sides: [
                JoinLayout::new(schema, Side::Destination, "destination"),
                JoinLayout::new(schema, Side::Source, "source"),
            ],
        }
    }
}

/// One row with its presence: a column that is not there and a value that is absent read the same.
#[derive(Clone, Copy)]
pub(super) struct Row<'b> {
    pub(super) batch: &'b Batch,
    pub(super) row: usize,
}

impl<'b> Row<'b> {
    fn present(self, column: Option<usize>) -> Option<usize> {
        let column = column?;
        self.batch.is_present(column, u32::try_from(self.row).ok()?).then_some(column)
    }

    pub(super) fn integer(self, column: Option<usize>) -> Option<u64> {
        self.batch.values.get(self.present(column)?)?.integer(self.row)
    }

    pub(super) fn octets(self, column: Option<usize>) -> Option<&'b [u8]> {
        self.batch.values.get(self.present(column)?)?.octets(self.row)
    }

    pub(super) fn sixteen(self, column: Option<usize>) -> Option<[u8; 16]> {
        self.batch.values.get(self.present(column)?)?.sixteen(self.row).copied()
    }

    fn route(self, column: Option<usize>) -> Option<JoinedRoute<'b>> {
        self.batch.values.get(self.present(column)?)?.route(self.row)
    }

    fn small(self, column: Option<usize>) -> Option<u8> {
        u8::try_from(self.integer(column)?).ok()
    }
}

/// Writes the line of a flow.
pub(super) fn flow(json: &mut Json<'_>, common: &Common, layout: &Layout, cache: &mut Cache, row: Row<'_>) {
    json.open();
    common.write(json, "flow", row);
    if let Some(number) = row.integer(layout.observation_domain_id) {
        json.key("observationDomainId").unsigned(number);
    }
    if let Some(number) = row.integer(layout.template_id) {
        json.key("templateId").unsigned(number);
    }
    if let Some(number) = row.integer(layout.version) {
        json.key("version").unsigned(number);
    }
    if let Some(ns) = row.integer(layout.export_time) {
        json.key("exportTime").time_ns(ns);
    }
    let prepared = row.octets(layout.template).and_then(|octets| cache.get(octets));
    let record = row.octets(layout.record).unwrap_or_default();
    json.key("fields").open();
    if let Some(prepared) = prepared {
        fields(json, prepared, record, 0..prepared.fields.len());
    } else {
        columns(json, row);
    }
    json.close();
    derived(json, layout, row, prepared.map(|prepared| (prepared, record)));
    join(json, layout, row);
    json.close();
    json.end_line();
}

/// Writes the line of an options record.
pub(super) fn options(
    json: &mut Json<'_>,
    common: &Common,
    cache: &mut Cache,
    row: Row<'_>,
    context: Context<'_>,
    record: &[u8],
) {
    let Context::Options { observation_domain_id, template_id, version, export_time_ns, template } = context
    else {
        return;
    };
    json.open();
    common.write(json, "options", row);
    json.key("observationDomainId").unsigned(observation_domain_id.into());
    json.key("templateId").unsigned(template_id.into());
    json.key("version").unsigned(version.into());
    json.key("exportTime").time_ns(export_time_ns);
    if let Some(prepared) = cache.get(template) {
        let scopes = prepared.scope_count.min(prepared.fields.len());
        json.key("scope").open();
        fields(json, prepared, record, 0..scopes);
        json.close();
        json.key("fields").open();
        fields(json, prepared, record, scopes..prepared.fields.len());
        json.close();
    }
    json.close();
    json.end_line();
}

fn fields(json: &mut Json<'_>, prepared: &Prepared, record: &[u8], wanted: std::ops::Range<usize>) {
    let record = Record::new(&prepared.wire, record);
    value::fields(json, &prepared.inner, prepared, record, wanted, 0);
}

/// Without the whole record, the elements that are columns.
fn columns(json: &mut Json<'_>, row: Row<'_>) {
    for (at, column) in row.batch.schema.columns.iter().enumerate() {
        let Origin::Element { pen, id, nth } = column.origin else { continue };
        let Some(data_type) = wire::element::lookup(pen, id).map(|element| element.data_type) else {
            continue;
        };
        let name = Name { pen, id };
        let key = |json: &mut Json<'_>| match nth {
            0 => drop(json.key(&name.to_string())),
            nth => drop(json.key(&format!("{name}_{}", u16::from(nth) + 1))),
        };
        if let Some(number) = row.integer(Some(at)) {
            key(json);
            crate::columns::element::number_to_json(json, data_type, number);
        } else if let Some(octets) = row.sixteen(Some(at)) {
            key(json);
            json.address(octets);
        } else if let Some(octets) = row.octets(Some(at)) {
            key(json);
            crate::columns::element::octets_to_json(json, data_type, octets);
        }
    }
}

fn derived(json: &mut Json<'_>, layout: &Layout, row: Row<'_>, record: Option<(&Prepared, &[u8])>) {
    json.key("derived").open();
    if let Some(ns) = row.integer(layout.flow_start) {
        json.key("flowStart").time_ns(ns);
    }
    if let Some(ns) = row.integer(layout.flow_end) {
        json.key("flowEnd").time_ns(ns);
    }
    if let Some(from) = row.small(layout.time_from).and_then(TimeFrom::from_number) {
        json.key("timeFrom").string(from.name());
    }
    if let Some(bits) = row.integer(layout.sampling_rate) {
        json.key("samplingRate").float(f64::from_bits(bits));
    }
    if let Some(from) = row.small(layout.sampling_from).and_then(SamplingFrom::from_number) {
        json.key("samplingFrom").string(from.name());
    }
    for (key, column) in layout.names {
        if let Some(name) = row.octets(column) {
            json.key(key).utf8(name);
        }
    }
    if let Some((prepared, record)) = record {
        labels(json, prepared, record);
    }
    json.close();
}

fn labels(json: &mut Json<'_>, prepared: &Prepared, record: &[u8]) {
    let mut open = false;
    for field in Record::new(&prepared.wire, record).fields() {
        let [a, b, c, ..] = field.octets else { continue };
        if field.field.pen != 0 || !LABEL_STACK.contains(&field.field.id) {
            continue;
        }
        // 20 bits label, 3 bits traffic class, 1 bit bottom of stack (RFC 3032 2.1); all zero: no entry.
        let entry = u32::from_be_bytes([0, *a, *b, *c]);
        if entry == 0 {
            continue;
        }
        if !open {
            json.key("mplsLabels").open_list();
            open = true;
        }
        json.unsigned((entry >> 4).into());
    }
    if open {
        json.close_list();
    }
}

/// Writes what a row was joined with.
pub(super) fn join(json: &mut Json<'_>, layout: &Layout, row: Row<'_>) {
    if layout.sides.iter().all(|side| row.integer(side.result).is_none()) {
        return;
    }
    json.key("join").open();
    for side in &layout.sides {
        let Some(end) = row.integer(side.result).and_then(|n| JoinEnd::ALL.get(usize::try_from(n).ok()?))
        else {
            continue;
        };
        json.key(side.key).open();
        if *end == JoinEnd::Found {
            if let Some(route) = row.route(side.route) {
                super::route::joined(json, &route);
            }
            if let Some(id) = row.integer(side.used_element).and_then(|id| u16::try_from(id).ok()) {
                json.key("usedElement").text(Name { pen: 0, id });
            }
            if let Some(from) = row.small(side.vrf_from).and_then(VrfFrom::from_number) {
                json.key("vrfFrom").string(from.name());
            }
            if let Some(by) = row.small(side.picked_by).and_then(PickedBy::from_number) {
                json.key("pickedBy").string(by.name());
            }
        } else {
            json.key("miss").string(end.name());
        }
        json.close();
    }
    json.close();
}
