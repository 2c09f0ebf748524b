//! The value of one field of a flow or options record, as records.md writes it.

use wire::cursor::Cursor;
use wire::element::{DataType, lookup};
use wire::ipfix::data::{Record, Records};
use wire::ipfix::template::Field;
use wire::list::{BasicList, SubTemplateList, SubTemplateMultiList};
use wire::value::Value;

use super::template::{Inner, Prepared};
use super::text::Json;

/// How deep lists in lists are followed (RFC 6313); deeper ones are printed as hex.
const MAX_DEPTH: u8 = 4;

/// IE 90, mplsVpnRouteDistinguisher: eight octets that print as an RD.
const ROUTE_DISTINGUISHER: (u32, u16) = (0, 90);

/// Writes the fields of a record from `wanted.start` up to `wanted.end`, each with its key.
pub(super) fn fields(
    json: &mut Json<'_>,
    inner: &Inner,
    prepared: &Prepared,
    record: Record<'_, '_>,
    wanted: std::ops::Range<usize>,
    depth: u8,
) {
    for (field, octets) in prepared.fields.iter().zip(record.fields()).skip(wanted.start).take(wanted.len()) {
        if field.key.is_empty() {
            continue;
        }
        if octets.octets.is_empty() {
            json.prepared_key(&field.key).null();
            continue;
        }
        let before = json.mark();
        let written = field.data_type.and_then(|data_type| {
            json.prepared_key(&field.key);
            value(json, inner, field.field, data_type, octets.octets, depth)
        });
        if written.is_none() {
            json.undo(before);
            json.prepared_key(&field.raw_key).hex("", octets.octets);
        }
    }
}

/// Writes the records of a list: as objects where their template is known, else their octets.
fn records(json: &mut Json<'_>, inner: &Inner, template_id: u16, octets: Cursor<'_>, depth: u8) {
    let Some(prepared) = inner.get(&template_id) else {
        json.key("octets").hex("", octets.rest());
        return;
    };
    json.key("records").open_list();
    for record in Records::new(&prepared.wire, octets).map_while(Result::ok) {
        json.open();
        fields(json, inner, prepared, record, 0..prepared.fields.len(), depth + 1);
        json.close();
    }
    json.close_list();
}

/// Writes a value that its type allows. `None`: it does not, and nothing was written.
#[expect(clippy::wildcard_enum_match_arm, reason = "`plain` looks at every variant")]
pub(super) fn value(
    json: &mut Json<'_>,
    inner: &Inner,
    field: Field,
    data_type: DataType,
    octets: &[u8],
    depth: u8,
) -> Option<()> {
    if (field.pen, field.id) == ROUTE_DISTINGUISHER
        && let Ok(octets) = <[u8; 8]>::try_from(octets)
    {
        json.text(wire::bgp::RouteDistinguisher(octets));
        return Some(());
    }
    match Value::decode(data_type, octets).ok()? {
        Value::BasicList(octets) => basic_list(json, inner, octets, depth),
        Value::SubTemplateList(octets) => sub_template_list(json, inner, octets, depth),
        Value::SubTemplateMultiList(octets) => sub_template_multi_list(json, inner, octets, depth),
        value => plain(json, value),
    }
    Some(())
}

/// Writes a value that holds no records; the octets of one that does.
pub(super) fn plain(json: &mut Json<'_>, value: Value<'_>) {
    match value {
        Value::Null => json.null(),
        Value::Unsigned(number) => json.unsigned(number),
        Value::Signed(number) => json.signed(number),
        Value::Float32(number) => json.float32(number),
        Value::Float64(number) => json.float(number),
        Value::Boolean(value) => json.boolean(value),
        Value::Mac([a, b, c, d, e, f]) => {
            json.text(format_args!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"));
        }
        Value::Ipv4(address) => json.address_v4(address),
        Value::Ipv6(address) => json.address(address),
        Value::Time(time) => json.time(time.seconds, time.nanoseconds, time.digits),
        Value::String(text) => {
            json.utf8(text);
        }
        Value::Octets(octets)
        | Value::BasicList(octets)
        | Value::SubTemplateList(octets)
        | Value::SubTemplateMultiList(octets) => json.hex("", octets),
        Value::Unsigned256(octets) => json.hex("0x", octets),
    }
}

fn basic_list(json: &mut Json<'_>, inner: &Inner, octets: &[u8], depth: u8) {
    let Some(list) = BasicList::parse(Cursor::new(octets)).ok().filter(|_| depth < MAX_DEPTH) else {
        return json.hex("", octets);
    };
    let name = wire::element::Name { pen: list.field.pen, id: list.field.id };
    let data_type = lookup(name.pen, name.id).map(|element| element.data_type);
    json.open();
    json.key("semantic").string(list.semantic.name());
    json.key("element").text(name);
    json.key("values").open_list();
    for octets in list.values().map_while(Result::ok) {
        let written = data_type
            .and_then(|data_type| value(json, inner, list.field, data_type, octets.rest(), depth + 1));
        if written.is_none() {
            json.hex("", octets.rest());
        }
    }
    json.close_list();
    json.close();
}

fn sub_template_list(json: &mut Json<'_>, inner: &Inner, octets: &[u8], depth: u8) {
    let Some(list) = SubTemplateList::parse(Cursor::new(octets)).ok().filter(|_| depth < MAX_DEPTH) else {
        return json.hex("", octets);
    };
    json.open();
    json.key("semantic").string(list.semantic.name());
    json.key("templateId").unsigned(list.template_id.into());
    records(json, inner, list.template_id, list.records, depth);
    json.close();
}

fn sub_template_multi_list(json: &mut Json<'_>, inner: &Inner, octets: &[u8], depth: u8) {
    let Some(list) = SubTemplateMultiList::parse(Cursor::new(octets)).ok().filter(|_| depth < MAX_DEPTH)
    else {
        return json.hex("", octets);
    };
    json.open();
    json.key("semantic").string(list.semantic.name());
    json.key("groups").open_list();
    for group in list.groups().map_while(Result::ok) {
        json.open();
        json.key("templateId").unsigned(group.template_id.into());
        records(json, inner, group.template_id, group.records, depth);
        json.close();
    }
    json.close_list();
    json.close();
}
