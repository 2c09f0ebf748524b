//! A lease of routes -> a record batch, named as in the JSON lines.

use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt32Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use collector::ledger::RouteAction;
use collector::outlet::Lease;
use collector::schema::RecordField;
use wire::bgp::{Family, Nlri};

use super::attribute::{AttributeColumns, spread};
use super::{Column, Named, common};
use crate::json::peer;
use crate::json::route::read_nlri;

pub(super) fn record_batch(lease: &Lease) -> Result<RecordBatch, ArrowError> {
    let rows = lease.rows as usize;
    let at = |field| lease.schema.field(field).map(|column| Column::new(lease, column));
    let mut named = common(lease);
    named.push("session", at(RecordField::Session).and_then(|c| c.unsigned()));
    named.push("seq", at(RecordField::Sequence).and_then(|c| c.unsigned()));
    named.push("bmpVersion", at(RecordField::Version).and_then(|c| c.unsigned()));
    peers(lease, &mut named)?;
    let words: Vec<&str> = RouteAction::ALL.iter().map(|action| action.name()).collect();
    named.push("action", at(RecordField::Action).and_then(|c| c.words(&words)));
    named.push("afi", at(RecordField::Afi).and_then(|c| c.unsigned()));
    named.push("safi", at(RecordField::Safi).and_then(|c| c.unsigned()));
    named.push("pathId", at(RecordField::PathId).and_then(|c| c.unsigned()));
    nlris(lease, &mut named);
    if let Some(column) = at(RecordField::Attributes)
        && let Some(keys) = column.keys()
    {
        let mut attributes = AttributeColumns::default();
        column.entries().for_each(|entry| attributes.push(entry));
        let mut inner = Named::default();
        attributes.spread(&keys, &mut inner)?;
        named.push_struct("attributes", inner, rows)?;
    }
    named.finish(rows)
}

fn peers(lease: &Lease, named: &mut Named) -> Result<(), ArrowError> {
    let rows = lease.rows as usize;
    let Some(column) = lease.schema.field(RecordField::Peer).map(|at| Column::new(lease, at)) else {
        return Ok(());
    };
    let Some(keys) = column.keys() else { return Ok(()) };
    let [mut kind, mut distinguisher, mut address, mut view] = [(); 4].map(|()| StringBuilder::new());
    let mut number = UInt32Builder::new();
    for entry in column.entries() {
        let header = peer::header(entry);
        kind.append_option(header.and_then(|header| header.peer_type().name()));
        distinguisher.append_option(header.map(|header| header.route_distinguisher().to_string()));
        address.append_option(header.map(|header| header.address().to_string()));
        number.append_option(header.map(|header| header.autonomous_system));
        view.append_option(header.map(|header| header.rib_view().name()));
    }
    let mut inner = Named::default();
    let columns: [(&str, ArrayRef); 4] = [
        ("type", Arc::new(kind.finish())),
        ("distinguisher", Arc::new(distinguisher.finish())),
        ("address", Arc::new(address.finish())),
        ("as", Arc::new(number.finish())),
    ];
    for (name, array) in columns {
        inner.push(name, Some(spread(&array, &keys)?));
    }
    let timestamp = lease.schema.field(RecordField::PeerTimestamp).map(|at| Column::new(lease, at));
    inner.push("timestamp", timestamp.and_then(|c| c.nanoseconds()));
    named.push_struct("peer", inner, rows)?;
    let view: ArrayRef = Arc::new(view.finish());
    named.push("ribView", Some(spread(&view, &keys)?));
    Ok(())
}

fn nlris(lease: &Lease, named: &mut Named) {
    let value = |field, row| lease.values.get(lease.schema.field(field)?)?.integer(row);
    let withdraw = u64::from(RouteAction::Withdraw as u8);
    let [mut prefix, mut rd, mut raw] = [(); 3].map(|()| StringBuilder::new());
    for row in 0..lease.rows as usize {
        let octets = lease.schema.field(RecordField::Nlri).and_then(|at| lease.values.get(at)?.octets(row));
        let family = Family::new(
            value(RecordField::Afi, row).and_then(|afi| u16::try_from(afi).ok()).unwrap_or(0),
            value(RecordField::Safi, row).and_then(|safi| u8::try_from(safi).ok()).unwrap_or(0),
        );
        let octets = octets.filter(|octets| !octets.is_empty());
        let nlri = octets
            .and_then(|octets| read_nlri(family, octets, value(RecordField::Action, row) == Some(withdraw)));
        prefix.append_option(nlri.and_then(|nlri| nlri.prefix().map(ToString::to_string)));
        rd.append_option(match nlri {
            Some(Nlri::Vpn(vpn)) => Some(vpn.distinguisher.to_string()),
            _ => None,
        });
        raw.append_option(octets.filter(|_| nlri.is_none_or(|nlri| nlri.prefix().is_none())).map(hex));
    }
    named.push("prefix", Some(Arc::new(prefix.finish())));
    named.push("rd", Some(Arc::new(rd.finish())));
    named.push("nlriRaw", Some(Arc::new(raw.finish())));
}

fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing into memory cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}
