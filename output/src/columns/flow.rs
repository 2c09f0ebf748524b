//! A lease of flows -> a record batch: elements under `fields`, what was worked out under `derived`, the join under
//! `join`, as in the JSON lines.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, StringBuilder, UInt32Builder};
use arrow_array::types::{Int32Type, UInt8Type};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use collector::batch::Values;
use collector::ledger::JoinEnd;
use collector::outlet::Lease;
use collector::schema::{Origin, PickedBy, RecordField, RouteField, SamplingFrom, Side, TimeFrom, VrfFrom};
use wire::bgp::RouteDistinguisher;

use super::attribute::{AttributeColumns, spread};
use super::{Column, Named, common, element};

pub(super) fn record_batch(lease: &Lease) -> Result<RecordBatch, ArrowError> {
    let rows = lease.rows as usize;
    let at = |field| lease.schema.field(field).map(|column| Column::new(lease, column));
    let mut named = common(lease);
    named.push("observationDomainId", at(RecordField::ObservationDomainId).and_then(|c| c.unsigned()));
    named.push("templateId", at(RecordField::TemplateId).and_then(|c| c.unsigned()));
    named.push("version", at(RecordField::Version).and_then(|c| c.unsigned()));
    named.push("exportTime", at(RecordField::ExportTime).and_then(|c| c.nanoseconds()));

    let mut fields = Named::default();
    for (position, column) in lease.schema.columns.iter().enumerate() {
        let Origin::Element { pen, id, .. } = column.origin else { continue };
        let Some(data_type) = wire::element::lookup(pen, id).map(|element| element.data_type) else {
            continue;
        };
        let name = column.name.strip_prefix("fields.").unwrap_or(&column.name);
        fields.push(name, element::array(lease, position, data_type));
    }
    named.push_struct("fields", fields, rows)?;

    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let mut derived = Named::default();
    derived.push("flowStart", at(RecordField::FlowStart).and_then(|c| c.nanoseconds()));
    derived.push("flowEnd", at(RecordField::FlowEnd).and_then(|c| c.nanoseconds()));
    let words =
        [TimeFrom::Absolute, TimeFrom::Delta, TimeFrom::SysUptime, TimeFrom::None].map(TimeFrom::name);
    derived.push("timeFrom", at(RecordField::TimeFrom).and_then(|c| c.words(&words)));
    derived.push("samplingRate", at(RecordField::SamplingRate).and_then(|c| c.floats()));
    let words = [SamplingFrom::Record, SamplingFrom::Options, SamplingFrom::Config].map(SamplingFrom::name);
    derived.push("samplingFrom", at(RecordField::SamplingFrom).and_then(|c| c.words(&words)));
    for (name, field) in [
        ("ingressInterfaceName", RecordField::IngressInterfaceName),
        ("egressInterfaceName", RecordField::EgressInterfaceName),
        ("ingressVrfName", RecordField::IngressVrfName),
        ("egressVrfName", RecordField::EgressVrfName),
    ] {
        derived.push(name, at(field).and_then(|c| c.choice_texts(text)));
    }
    named.push_struct("derived", derived, rows)?;

    let mut join = Named::default();
    for (name, side) in [("destination", Side::Destination), ("source", Side::Source)] {
        let columns = joined(lease, side)?;
        join.push_struct(name, columns, rows)?;
    }
    named.push_struct("join", join, rows)?;
    named.finish(rows)
}

fn joined(lease: &Lease, side: Side) -> Result<Named, ArrowError> {
    let mut named = Named::default();
    let at =
        |field| lease.schema.position(Origin::Join { side, field }).map(|column| Column::new(lease, column));
    let (Some(result), Some(route)) =
        (at(RouteField::Result), lease.schema.position(Origin::Join { side, field: RouteField::Route }))
    else {
        return Ok(named);
    };
    named.push("miss", result.numbers::<UInt8Type>().map(|ends| misses(&ends)));
    let Some(Values::Routes(routes)) = lease.values.get(route) else { return Ok(named) };
    // Most of a route is the same in many rows: it is worked out once.
    let mut entries: HashMap<(usize, u32), i32> = HashMap::new();
    let mut keys = Vec::with_capacity(lease.rows as usize);
    let mut attributes = AttributeColumns::default();
    let [mut prefix, mut peer, mut view, mut rd] = [(); 4].map(|()| StringBuilder::new());
    let (mut peer_as, mut stale) = (UInt32Builder::new(), BooleanBuilder::new());
    let mut text = String::new();
    for row in 0..lease.rows as usize {
        let read = routes.common(row).zip(routes.get(row));
        prefix.append_option(read.map(|(_, route)| {
            text.clear();
            // Writing into memory cannot fail.
            let _ = write!(text, "{}", route.prefix);
            text.as_str()
        }));
        stale.append_option(read.map(|(_, route)| route.stale));
        let Some((common, route)) = read else {
            keys.push(None);
            continue;
        };
        let next = i32::try_from(entries.len()).unwrap_or(i32::MAX);
        let key = *entries.entry(common).or_insert(next);
        keys.push(Some(key));
        if key < next {
            continue;
        }
        view.append_value(route.view.name());
        peer_as.append_value(route.peer_as);
        rd.append_option(route.rd.map(|rd| RouteDistinguisher(rd).to_string()));
        peer.append_option(route.peer.map(|octets| {
            text.clear();
            element::write_address(&mut text, octets);
            text.as_str()
        }));
        attributes.push(route.attributes);
    }
    let keys = PrimitiveArray::<Int32Type>::from(keys);
    let columns: [(&str, ArrayRef, bool); 6] = [
        ("prefix", Arc::new(prefix.finish()), false),
        ("peer", Arc::new(peer.finish()), true),
        ("peerAs", Arc::new(peer_as.finish()), true),
        ("ribView", Arc::new(view.finish()), true),
        ("rd", Arc::new(rd.finish()), true),
        ("stale", Arc::new(stale.finish()), false),
    ];
    for (name, array, is_common) in columns {
        named.push(name, Some(if is_common { spread(&array, &keys)? } else { array }));
    }
    attributes.spread(&keys, &mut named)?;
    named.push("usedElement", at(RouteField::UsedElement).and_then(|c| c.unsigned()));
    let words = [VrfFrom::Record, VrfFrom::Options, VrfFrom::Config, VrfFrom::Default].map(VrfFrom::name);
    named.push("vrfFrom", at(RouteField::VrfFrom).and_then(|c| c.words(&words)));
    let words =
        [PickedBy::Only, PickedBy::NextHop, PickedBy::PathStatus, PickedBy::BestPath].map(PickedBy::name);
    named.push("pickedBy", at(RouteField::PickedBy).and_then(|c| c.words(&words)));
    Ok(named)
}

/// Why no route was found; null where one was.
fn misses(ends: &arrow_array::PrimitiveArray<UInt8Type>) -> ArrayRef {
    let words = ends.iter().map(|end| {
        let end = JoinEnd::ALL.get(usize::from(end?))?;
        (*end != JoinEnd::Found).then(|| end.name())
    });
    Arc::new(words.collect::<StringArray>())
}
