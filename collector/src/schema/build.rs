//! What the sinks want becomes the columns of each table. Column names are those of the records; a name that
//! an element shares with a record's own field gets `fields.` in front.

use std::sync::Arc;

use wire::element::{DataType, Name, lookup};

use super::{Column, Interest, Origin, RecordField, RouteField, Schema, Side, Store, TableId};
use crate::ledger::Kind;
use crate::outlet::Schemas;

use RecordField as F;

/// Columns of flows that every schema has.
const FLOWS: &[RecordField] = &[
    F::Exporter,
    F::ReceiveTime,
    F::Frame,
    F::ObservationDomainId,
    F::TemplateId,
    F::Version,
    F::ExportTime,
    F::FlowStart,
    F::FlowEnd,
    F::TimeFrom,
    F::SamplingRate,
    F::SamplingFrom,
    F::IngressInterfaceName,
    F::EgressInterfaceName,
    F::IngressVrfName,
    F::EgressVrfName,
];

const ROUTES: &[RecordField] = &[
    F::Exporter,
    F::ReceiveTime,
    F::Frame,
    F::Version,
    F::Session,
    F::Sequence,
    F::Peer,
    F::PeerTimestamp,
    F::Action,
    F::Afi,
    F::Safi,
    F::PathId,
    F::Tlvs,
    F::Nlri,
    F::Attributes,
];

const MESSAGES: &[RecordField] = &[
    F::Exporter,
    F::ReceiveTime,
    F::Frame,
    F::Version,
    F::Session,
    F::Sequence,
    F::Kind,
    F::Context,
    F::Octets,
];

const JOIN: &[RouteField] = &[
    RouteField::Result,
    RouteField::Route,
    RouteField::UsedElement,
    RouteField::VrfFrom,
    RouteField::PickedBy,
];

/// The schemas of all tables for what the sinks want.
#[must_use]
pub fn schemas(interest: &Interest) -> Schemas {
    TableId::ALL.map(|table| Arc::new(Schema::build(table, interest)))
}

impl Schema {
    /// The columns of one table for what the sinks want. Elements and whole records concern flows only, the join
    /// flows and samples.
    #[must_use]
    pub fn build(table: TableId, interest: &Interest) -> Self {
        let fields = match table {
            TableId::Flows => FLOWS,
            TableId::Routes => ROUTES,
            TableId::Messages => MESSAGES,
        };
        let mut columns: Vec<Column> = fields.iter().map(|&field| record_column(field)).collect();
        if table == TableId::Flows {
            for &(pen, id) in &interest.elements {
                let nth = columns.iter().filter(|column| is_element(column, pen, id)).count();
                let column = element_column(pen, id, u8::try_from(nth).unwrap_or(u8::MAX), &columns);
                columns.push(column);
            }
            if interest.join {
                columns.extend(join_columns());
            }
            if interest.whole_records {
                columns.extend([F::Template, F::Record].map(record_column));
            }
        }
        // Samples of sFlow meet routes as flows do.
        if table == TableId::Messages && interest.join && interest.wants(Kind::Sample) {
            columns.extend(join_columns());
        }
        Self { table, columns: columns.into() }
    }
}

/// How values of an element are stored: by the natural width of their type; octets where it has none or where
/// the element is unknown.
#[must_use]
pub(crate) fn element_store(pen: u32, id: u16) -> Store {
    match lookup(pen, id).map(|element| element.data_type).and_then(DataType::store_width) {
        Some(1) => Store::Fixed1,
        Some(2) => Store::Fixed2,
        Some(4) => Store::Fixed4,
        Some(8) => Store::Fixed8,
        Some(16) => Store::Fixed16,
        _ => Store::Octets,
    }
}

fn is_element(column: &Column, wanted_pen: u32, wanted_id: u16) -> bool {
    matches!(column.origin, Origin::Element { pen, id, .. } if (pen, id) == (wanted_pen, wanted_id))
}

/// The column of one occurrence of an element: an element named twice in an interest means its second occurrence.
fn element_column(pen: u32, id: u16, nth: u8, before: &[Column]) -> Column {
    let mut name = Name { pen, id }.to_string();
    if nth > 0 {
        name.push('_');
        name.push_str(&(u32::from(nth) + 1).to_string());
    }
    if before.iter().any(|column| *column.name == *name) {
        name.insert_str(0, "fields.");
    }
    Column { name: name.into(), origin: Origin::Element { pen, id, nth }, store: element_store(pen, id) }
}

fn join_columns() -> impl Iterator<Item = Column> {
    let sides = [Side::Destination, Side::Source].into_iter();
    sides.flat_map(|side| JOIN.iter().map(move |&field| join_column(side, field)))
}

fn join_column(side: Side, field: RouteField) -> Column {
    let side_name = match side {
        Side::Destination => "destination",
        Side::Source => "source",
    };
    let (field_name, store) = match field {
        RouteField::Result => ("result", Store::Fixed1),
        RouteField::Route => ("route", Store::Route),
        RouteField::UsedElement => ("usedElement", Store::Fixed2),
        RouteField::VrfFrom => ("vrfFrom", Store::Fixed1),
        RouteField::PickedBy => ("pickedBy", Store::Fixed1),
    };
    let name = ["join", side_name, field_name].join(".").into();
    Column { name, origin: Origin::Join { side, field }, store }
}

fn record_column(field: RecordField) -> Column {
    let (name, store) = match field {
        F::Exporter => ("exporter", Store::Fixed16),
        F::ReceiveTime => ("receiveTime", Store::Fixed8),
        F::Frame => ("frame", Store::Fixed8),
        F::ObservationDomainId => ("observationDomainId", Store::Fixed4),
        F::TemplateId => ("templateId", Store::Fixed2),
        F::Version => ("version", Store::Fixed1),
        F::ExportTime => ("exportTime", Store::Fixed8),
        F::Template => ("template", Store::Choice),
        F::Record => ("record", Store::Octets),
        F::FlowStart => ("flowStart", Store::Fixed8),
        F::FlowEnd => ("flowEnd", Store::Fixed8),
        F::TimeFrom => ("timeFrom", Store::Fixed1),
        F::SamplingRate => ("samplingRate", Store::Fixed8),
        F::SamplingFrom => ("samplingFrom", Store::Fixed1),
        F::IngressInterfaceName => ("ingressInterfaceName", Store::Choice),
        F::EgressInterfaceName => ("egressInterfaceName", Store::Choice),
        F::IngressVrfName => ("ingressVrfName", Store::Choice),
        F::EgressVrfName => ("egressVrfName", Store::Choice),
        F::Session => ("session", Store::Fixed8),
        F::Sequence => ("seq", Store::Fixed8),
        F::Peer => ("peer", Store::Choice),
        F::PeerTimestamp => ("peerTimestamp", Store::Fixed8),
        F::Action => ("action", Store::Fixed1),
        F::Afi => ("afi", Store::Fixed2),
        F::Safi => ("safi", Store::Fixed1),
        F::PathId => ("pathId", Store::Fixed4),
        F::Tlvs => ("tlvs", Store::Octets),
        F::Nlri => ("nlri", Store::Octets),
        F::Attributes => ("attributes", Store::Choice),
        F::Kind => ("kind", Store::Fixed1),
        F::Context => ("context", Store::Octets),
        F::Octets => ("octets", Store::Octets),
    };
    Column { name: name.into(), origin: Origin::Record(field), store }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_stores_follow_the_element() {
        let elements = vec![(0, 8), (0, 28), (0, 1), (0, 82), (0, 149), (0, 8), (0, 152), (4_294_967_294, 7)];
        let interest = Interest { kinds: u32::MAX, whole_records: true, elements, join: true };
        let schema = Schema::build(TableId::Flows, &interest);
        let names: BTreeSet<_> = schema.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(names.len(), schema.columns.len());
        let column = |name| schema.columns.iter().find(|column| &*column.name == name).unwrap();
        assert_eq!(column("sourceIPv4Address").store, Store::Fixed4);
        assert_eq!(column("sourceIPv4Address_2").origin, Origin::Element { pen: 0, id: 8, nth: 1 });
        assert_eq!(column("destinationIPv6Address").store, Store::Fixed16);
        assert_eq!(column("octetDeltaCount").store, Store::Fixed8);
        assert_eq!(column("interfaceName").store, Store::Octets);
        assert_eq!(column("flowStartMilliseconds").store, Store::Fixed8);
        assert_eq!(column("e4294967294id7").store, Store::Octets);
        // The exporter's own observationDomainId (element 149) beside the one of the header.
        assert_eq!(column("fields.observationDomainId").origin, Origin::Element { pen: 0, id: 149, nth: 0 });
        assert!(schema.field(RecordField::Record).is_some());
    }

    //= RFC 7011 section 9
    //# The Collecting Process MUST note the Information Element identifier of any Information Element that it
    //# does not understand and MAY discard that Information Element from received Data Records.
    #[test]
    fn what_nobody_wants_has_no_column() {
        let schemas = schemas(&Interest::default());
        assert_eq!(schemas[TableId::Flows.index()].columns.len(), FLOWS.len());
        assert!(schemas[TableId::Routes.index()].field(RecordField::Attributes).is_some());
        assert!(schemas[TableId::Messages.index()].field(RecordField::Context).is_some());
        assert_eq!(schemas[TableId::Flows.index()].field(RecordField::Record), None);
    }
}
