//! A row of the routes table -> its line; a route that a flow was joined with -> an object.

use collector::join::JoinedRoute;
use collector::ledger::RouteAction;
use collector::schema::{RecordField, Schema};
use wire::bgp::{
    AsPath, AsWidth, Attributes, Entries, Family, FamilySet, Labels, Nlri, RouteDistinguisher, Session,
};
use wire::cursor::Cursor;

use super::flow::Row;
use super::text::Json;
use super::{Common, attribute, peer, tlv};

/// Where the routes table has its columns. One a schema.
#[derive(Debug)]
pub(super) struct Layout {
    version: Option<usize>,
    session: Option<usize>,
    sequence: Option<usize>,
    peer: Option<usize>,
    peer_timestamp: Option<usize>,
    action: Option<usize>,
    afi: Option<usize>,
    safi: Option<usize>,
    path_id: Option<usize>,
    tlvs: Option<usize>,
    nlri: Option<usize>,
    attributes: Option<usize>,
}

impl Layout {
    pub(super) fn new(schema: &Schema) -> Self {
        let at = |field| schema.field(field);
        Self {
            version: at(RecordField::Version),
            session: at(RecordField::Session),
            sequence: at(RecordField::Sequence),
            peer: at(RecordField::Peer),
            peer_timestamp: at(RecordField::PeerTimestamp),
            action: at(RecordField::Action),
            afi: at(RecordField::Afi),
            safi: at(RecordField::Safi),
            path_id: at(RecordField::PathId),
            tlvs: at(RecordField::Tlvs),
            nlri: at(RecordField::Nlri),
            attributes: at(RecordField::Attributes),
        }
    }
}

/// Writes the line of a route.
pub(super) fn route(json: &mut Json<'_>, common: &Common, layout: &Layout, row: Row<'_>) {
    json.open();
    common.write(json, "route", row);
    if let Some(session) = row.integer(layout.session) {
        json.key("session").unsigned(session);
    }
    if let Some(sequence) = row.integer(layout.sequence) {
        json.key("seq").unsigned(sequence);
    }
    if let Some(version) = row.integer(layout.version) {
        json.key("bmpVersion").unsigned(version);
    }
    if let Some(header) = row.octets(layout.peer).and_then(peer::header) {
        peer::peer(json, &header, row.integer(layout.peer_timestamp).unwrap_or(0));
        json.key("ribView").string(header.rib_view().name());
    }
    let action = row
        .integer(layout.action)
        .and_then(|number| RouteAction::ALL.get(usize::try_from(number).ok()?).copied())
        .unwrap_or(RouteAction::EndOfRib);
    json.key("action").string(action.name());
    let afi = row.integer(layout.afi).and_then(|afi| u16::try_from(afi).ok()).unwrap_or(0);
    let safi = row.integer(layout.safi).and_then(|safi| u8::try_from(safi).ok()).unwrap_or(0);
    json.key("afi").unsigned(afi.into());
    json.key("safi").unsigned(safi.into());
    if action != RouteAction::EndOfRib
        && let Some(octets) = row.octets(layout.nlri)
    {
        nlri(json, Family::new(afi, safi), octets, action == RouteAction::Withdraw);
    }
    if let Some(id) = row.integer(layout.path_id) {
        json.key("pathId").unsigned(id);
    }
    if let Some(octets) = row.octets(layout.attributes) {
        json.key("attributes").open();
        attribute::attributes(json, octets);
        json.close();
    }
    if let Some(octets) = row.octets(layout.tlvs) {
        tlv::of_nlri(json, octets);
    }
    json.close();
    json.end_line();
}

/// Writes `prefix`, `rd` and `labels`, or `nlri`, as keys of the open object.
pub(super) fn nlri(json: &mut Json<'_>, family: Family, octets: &[u8], withdraw: bool) {
    match read_nlri(family, octets, withdraw) {
        Some(Nlri::Prefix(prefix)) => json.key("prefix").text(prefix),
        Some(Nlri::Labeled(labeled)) => {
            json.key("prefix").text(labeled.prefix);
            labels(json, labeled.labels, withdraw);
        }
        Some(Nlri::Vpn(vpn)) => {
            json.key("prefix").text(vpn.prefix);
            json.key("rd").text(vpn.distinguisher);
            labels(json, vpn.labels, withdraw);
        }
        other => super::nlri::nlri(json, other.as_ref(), octets),
    }
}

/// One NLRI of a row. Whether several labels were negotiated does not travel: the reading that takes all octets
/// is the one.
pub(crate) fn read_nlri(family: Family, octets: &[u8], withdraw: bool) -> Option<Nlri<'_>> {
    [FamilySet::EMPTY, FamilySet::from_iter([family])].into_iter().find_map(|multiple_labels| {
        let session = Session { multiple_labels, ..Session::FOUR_OCTET };
        let entry = Entries::new(Cursor::new(octets), family, &session, withdraw).next()?.ok()?;
        (entry.octets.len() == octets.len()).then_some(entry.nlri)
    })
}

fn labels(json: &mut Json<'_>, labels: Labels<'_>, withdraw: bool) {
    if !withdraw && !labels.entries().is_empty() {
        attribute::numbers(json.key("labels"), labels);
    }
}

/// Writes the route of a join as keys of the open object.
pub(super) fn joined(json: &mut Json<'_>, route: &JoinedRoute<'_>) {
    json.key("prefix").text(route.prefix);
    attribute::attributes(json, route.attributes);
    if let Some(origin) = origin_as(route.attributes) {
        json.key("originAs").unsigned(origin.into());
    }
    if let Some(address) = route.peer {
        json.key("peer").address(address);
    }
    json.key("peerAs").unsigned(route.peer_as.into());
    json.key("ribView").string(route.view.name());
    if let Some(rd) = route.rd {
        json.key("rd").text(RouteDistinguisher(rd));
    }
    if !route.labels.is_empty() {
        attribute::numbers(json.key("labels"), Labels::new(route.labels));
    }
    json.key("stale").boolean(route.stale);
}

/// The AS that a route in canonical form comes from.
pub(crate) fn origin_as(attributes: &[u8]) -> Option<u32> {
    let path = Attributes::new(Cursor::new(attributes))
        .flatten()
        .find(|attribute| attribute.code == wire::bgp::attribute::code::AS_PATH)?;
    AsPath::parse(path.value, AsWidth::Four).ok()?.origin()
}
