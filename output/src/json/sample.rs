//! A flow sample, a discarded packet or an unknown structure of sFlow -> its line. The packet is printed under
//! IANA's names, every record of the sample under the names of the sFlow structures.

use wire::element::Name;
use wire::sflow::packet::Packet;
use wire::sflow::record::{Item, Kind, Record};
use wire::sflow::sample::{Interface, Sample, Source};
use wire::sflow::{Address, Format, Structure};
use wire::value::Value;

use super::counters::agent;
use super::flow::{self, Row};
use super::text::Json;
use super::{Common, value};

/// What the context of a sample's row says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    pub(super) agent: Option<[u8; 16]>,
    pub(super) sub_agent: u32,
    pub(super) format: Format,
}

/// Writes the line of a sample.
pub(super) fn sample(
    json: &mut Json<'_>,
    common: &Common,
    layout: &flow::Layout,
    row: Row<'_>,
    of: Of,
    octets: &[u8],
) {
    json.open();
    common.write(json, "sample", row);
    agent(json, common, row, of);
    let body = wire::cursor::Cursor::new(octets);
    match Sample::read(Structure { format: of.format, body }) {
        Ok(sample @ Sample::Flow(flow)) => {
            head(json, flow.sequence, flow.source);
            json.key("samplingRate").unsigned(flow.sampling_rate.into());
            json.key("pool").unsigned(flow.pool.into());
            json.key("drops").unsigned(flow.drops.into());
            interface(json, ["input", "inputPorts", "inputInternal"], flow.input);
            interface(json, ["output", "outputPorts", "outputInternal"], flow.output);
            for interface in [flow.input, flow.output] {
                if let Interface::Discarded(reason) = interface {
                    json.key("discardReason").unsigned(reason.into());
                    break;
                }
            }
            packet(json, &sample, Some(flow.sampling_rate));
            flow::join(json, layout, row);
        }
        Ok(sample @ Sample::Discarded(discarded)) => {
            head(json, discarded.sequence, discarded.source);
            json.key("drops").unsigned(discarded.drops.into());
            for (key, index) in [("input", discarded.input), ("output", discarded.output)] {
                if index != 0 {
                    json.key(key).unsigned(index.into());
                }
            }
            json.key("discardReason").unsigned(discarded.reason.into());
            packet(json, &sample, None);
            flow::join(json, layout, row);
        }
        Ok(Sample::Counters(_) | Sample::Other(_)) | Err(_) => {
            json.key("format").text(of.format);
            json.key("octets").hex("", octets);
        }
    }
    json.close();
    json.end_line();
}

/// Writes the number and the source of a sample.
pub(super) fn head(json: &mut Json<'_>, sequence: u32, source: Source) {
    json.key("sequence").unsigned(sequence.into());
    json.key("sourceId").open();
    json.key("type").unsigned(source.kind.into());
    json.key("index").unsigned(source.index.into());
    json.close();
}

/// A port by its index; several ports by their number, and the agent itself, under keys of their own.
fn interface(json: &mut Json<'_>, [port, ports, internal]: [&str; 3], interface: Interface) {
    match interface {
        Interface::Port(index) => json.key(port).unsigned(index.into()),
        Interface::Several(count) => json.key(ports).unsigned(count.into()),
        Interface::Internal => json.key(internal).boolean(true),
        Interface::Discarded(_) | Interface::Unknown => {}
    }
}

fn packet(json: &mut Json<'_>, sample: &Sample<'_>, sampling_rate: Option<u32>) {
    let packet = Packet::of(sample);
    json.key("fields").open();
    if let Some(packet) = &packet {
        if let Some(length) = packet.frame_length {
            json.key("octetDeltaCount").unsigned(length.into());
        }
        json.key("packetDeltaCount").unsigned(1);
        for (id, number) in packet.headers.fields() {
            json.key(&Name { pen: 0, id }.to_string());
            value::plain(json, number);
        }
    }
    json.close();
    records(json, Kind::Flow, sample);
    json.key("derived").open();
    json.key("timeFrom").string("none");
    if let Some(rate) = sampling_rate.filter(|rate| *rate > 0) {
        json.key("samplingRate").unsigned(rate.into());
        json.key("samplingFrom").string("record");
    }
    let labels = packet.iter().flat_map(|packet| packet.headers.fields()).filter_map(|(id, value)| {
        // 20 bits label, 3 bits traffic class, 1 bit bottom of stack (RFC 3032 2.1).
        let Value::Octets(&[a, b, c]) = value else { return None };
        flow::LABEL_STACK.contains(&id).then_some(u32::from_be_bytes([0, a, b, c]) >> 4)
    });
    let mut labels = labels.peekable();
    if labels.peek().is_some() {
        json.key("mplsLabels").open_list();
        labels.for_each(|label| json.unsigned(label.into()));
        json.close_list();
    }
    json.close();
}

/// Writes the records of a sample.
pub(super) fn records(json: &mut Json<'_>, kind: Kind, sample: &Sample<'_>) {
    json.key("records").open_list();
    for structure in sample.records().map_while(Result::ok) {
        record(json, &Record::new(kind, structure));
    }
    json.close_list();
}

/// A record by the names of its items; one without names, or that ends within an item, by its octets.
fn record(json: &mut Json<'_>, record: &Record<'_>) {
    json.open();
    json.key("format").text(record.format);
    let before = json.mark();
    let is_read = record.is_known()
        && record.items().all(|item| match item {
            Ok((name, item)) => {
                json.key(name);
                write(json, name, item);
                true
            }
            Err(_) => false,
        });
    if !is_read {
        json.undo(before);
        json.key("octets").hex("", record.body.rest());
    }
    json.close();
}

fn write(json: &mut Json<'_>, name: &str, item: Item<'_>) {
    match item {
        Item::Number(number) => json.unsigned(number),
        Item::Float(number) => json.float32(number),
        Item::Address(Address::Unknown) => json.null(),
        Item::Address(Address::Ipv4(octets)) => json.address_v4(octets),
        Item::Address(Address::Ipv6(octets)) => json.address(octets),
        Item::Mac(mac) => value::plain(json, Value::Mac(mac)),
        Item::Text(text) => {
            json.utf8(text);
        }
        Item::Octets(octets) => json.hex("", octets),
        Item::Numbers(numbers) => {
            json.open_list();
            for number in numbers {
                match name {
                    "communities" => json.text(format_args!("{}:{}", number >> 16, number & 0xffff)),
                    _ => json.unsigned(number.into()),
                }
            }
            json.close_list();
        }
        Item::Adapters(adapters) => {
            json.open_list();
            for adapter in adapters {
                json.open();
                json.key("ifIndex").unsigned(adapter.index.into());
                json.key("mac_address").open_list();
                adapter.macs.for_each(|mac| value::plain(json, Value::Mac(mac)));
                json.close_list();
                json.close();
            }
            json.close_list();
        }
        Item::AsPath(path) => {
            json.open_list();
            for segment in path {
                json.open();
                json.key("type").string(if segment.is_set { "set" } else { "sequence" });
                json.key("as").open_list();
                segment.as_numbers.for_each(|number| json.unsigned(number.into()));
                json.close_list();
                json.close();
            }
            json.close_list();
        }
    }
}
