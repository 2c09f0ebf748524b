//! Compiled plans against a straightforward decoder: random templates and data, every cell of every column.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]
#![expect(clippy::wildcard_enum_match_arm, reason = "all other kinds are numbers here")]

use std::net::SocketAddr;

use collector::batch::{BatchLimits, Values, WorkerId};
use collector::outlet::{Lease, Outlet};
use collector::schema::{Interest, Origin, RecordField, TableId, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{Collector, Input, Now};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::element::{DataType, lookup};
use wire::emit::ipfix::{Message, data_record};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};
use wire::value::{Value, number};

/// Elements of every type of column, each wanted three times: as first, second and third occurrence.
const ELEMENTS: [(u32, u16); 17] = [
    (0, 8),      // ipv4Address
    (0, 28),     // ipv6Address
    (0, 1),      // unsigned64
    (0, 10),     // unsigned32
    (0, 7),      // unsigned16
    (0, 4),      // unsigned8
    (0, 434),    // signed32
    (0, 320),    // float64
    (0, 56),     // macAddress
    (0, 82),     // string
    (0, 313),    // octetArray
    (0, 276),    // boolean
    (0, 150),    // dateTimeSeconds
    (0, 152),    // dateTimeMilliseconds
    (0, 156),    // dateTimeNanoseconds
    (0, 210),    // padding
    (65_000, 9), // nobody's
];

fn fields() -> impl Strategy<Value = Vec<Field>> {
    let field = (0..ELEMENTS.len(), 0..10_u8, 0..20_u16).prop_map(|(element, how, length)| {
        let (pen, id) = ELEMENTS[element];
        let natural = lookup(pen, id).and_then(|element| element.data_type.natural_length());
        let length = match how {
            0 => VARIABLE_LENGTH,
            1 | 2 => length,
            _ => natural.unwrap_or(length),
        };
        Field { pen, id, length }
    });
    vec(field, 1..24)
        .prop_filter("records have octets", |fields| fields.iter().any(|field| field.minimum_length() > 0))
}

fn records(fields: &[Field], seed: &[u8], rows: usize) -> Vec<Vec<Vec<u8>>> {
    let mut octets = seed.iter().copied().cycle();
    let mut next = || octets.next().unwrap();
    (0..rows)
        .map(|_| {
            let value = |field: &Field| {
                let length = match field.length {
                    VARIABLE_LENGTH => usize::from(next()) * if next() == 0 { 3 } else { 1 } / 8,
                    length => usize::from(length),
                };
                (0..length).map(|_| next()).collect()
            };
            fields.iter().map(value).collect()
        })
        .collect()
}

/// What a column should hold of a field's octets.
#[derive(Debug, PartialEq)]
enum Cell {
    Absent,
    Integer(u64),
    Sixteen([u8; 16]),
    Octets(Vec<u8>),
}

fn expected(pen: u32, id: u16, octets: &[u8]) -> Cell {
    if octets.is_empty() {
        return Cell::Absent;
    }
    let Some(element) = lookup(pen, id) else { return Cell::Octets(octets.to_vec()) };
    let mask = match element.data_type.natural_length() {
        Some(length @ 1..=7) => (1_u64 << (8 * length)) - 1,
        _ => u64::MAX,
    };
    match Value::decode(element.data_type, octets) {
        Err(_) | Ok(Value::Null) => Cell::Absent,
        Ok(Value::Unsigned(value)) => Cell::Integer(value),
        Ok(Value::Signed(value)) => Cell::Integer(value.cast_unsigned() & mask),
        Ok(Value::Float32(value)) if element.data_type == DataType::Float64 => {
            Cell::Integer(f64::from(value).to_bits())
        }
        Ok(Value::Ipv6(address)) => Cell::Sixteen(address),
        Ok(Value::String(text)) => Cell::Octets(text.to_vec()),
        Ok(Value::Octets(octets)) => Cell::Octets(octets.to_vec()),
        Ok(_) => Cell::Integer(number(octets).unwrap()),
    }
}

fn seen(lease: &Lease, column: usize, row: usize) -> Cell {
    if !lease.is_present(column, u32::try_from(row).unwrap()) {
        return Cell::Absent;
    }
    match &lease.values[column] {
        values @ (Values::Octets { .. } | Values::Choice { .. }) => {
            Cell::Octets(values.octets(row).unwrap().to_vec())
        }
        values @ Values::Fixed16(_) => Cell::Sixteen(*values.sixteen(row).unwrap()),
        values => Cell::Integer(values.integer(row).unwrap()),
    }
}

/// A record that was sent, and the message that it was in.
struct Sent<'a> {
    fields: &'a [Field],
    values: &'a [Vec<u8>],
    octets: Vec<u8>,
    message: u32,
}

/// Holds every cell of a batch against what was sent, from row `first` on. Returns its rows.
fn check(lease: &Lease, sent: &[Sent<'_>], first: usize) -> Result<usize, TestCaseError> {
    prop_assert_eq!(lease.schema.table, TableId::Flows);
    for (at, record) in sent.iter().skip(first).take(lease.rows as usize).enumerate() {
        for (column, what) in lease.schema.columns.iter().enumerate() {
            let wanted = match what.origin {
                Origin::Element { pen, id, nth } => {
                    let same = |pair: &(&Field, &Vec<u8>)| (pair.0.pen, pair.0.id) == (pen, id);
                    let found = record.fields.iter().zip(record.values).filter(same).nth(usize::from(nth));
                    found.map_or(Cell::Absent, |(_, octets)| expected(pen, id, octets))
                }
                Origin::Record(RecordField::Record) => Cell::Octets(record.octets.clone()),
                Origin::Record(RecordField::ObservationDomainId) => Cell::Integer(record.message.into()),
                Origin::Record(RecordField::ReceiveTime) => Cell::Integer(u64::from(record.message) + 1),
                _ => continue,
            };
            prop_assert_eq!(seen(lease, column, at), wanted, "{} of row {}", what.name, first + at);
        }
    }
    Ok(lease.rows as usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Messages of one template, with records of another one between some of them.
    #[test]
    fn every_cell_is_what_the_wire_says(
        fields in fields(),
        seed in vec(any::<u8>(), 97),
        rows in 0..20_usize,
        batch_rows in prop_oneof![1..9_u32, 100..400_u32],
        padding in 0..4_usize,
        between in vec(any::<bool>(), 1..16),
    ) {
        let elements = ELEMENTS.repeat(3);
        let interest = Interest { kinds: u32::MAX, whole_records: true, elements, join: false };
        let schemas = schemas(&interest);
        let limits = BatchLimits { rows: batch_rows, octets: 1 << 20 };
        let (mut outlet, drain) = Outlet::new(WorkerId(0), &schemas, 32, limits);
        let ports = vec![(4739, PortProtocol::Ipfix)];
        let mut collector = Collector::new(Settings { ports, ..Settings::default() }, schemas);
        let here: SocketAddr = "192.0.2.1:4739".parse().unwrap();

        let others = [Field::iana(8, 4), Field::iana(4, 1), Field::iana(7, 2), Field::iana(1, 8)];
        let other_values = records(&others, &seed, 1);
        let values = records(&fields, &seed, rows);
        let minimum: usize = fields.iter().map(|field| field.minimum_length()).sum();
        let (mut sent, mut read) = (Vec::new(), 0);
        for (number, is_between) in (0..).zip(between) {
            let (mut body, mut other_body) = (Vec::new(), Vec::new());
            let add = |body: &mut Vec<u8>, fields, values: &'_ Vec<Vec<u8>>| {
                let slices: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
                let start = body.len();
                data_record(body, fields, &slices);
                body[start..].to_vec()
            };
            for values in &values {
                let octets = add(&mut body, &fields, values);
                sent.push(Sent { fields: &fields, values, octets, message: number });
            }
            body.extend(vec![0; padding.min(minimum - 1)]);
            let mut message = Message::new(1_750_000_000, 0, number);
            message.template(256, &fields).raw(256, &body, 0);
            if is_between {
                let values = &other_values[0];
                let octets = add(&mut other_body, &others, values);
                sent.push(Sent { fields: &others, values, octets, message: number });
                message.template(300, &others).raw(300, &other_body, 0);
            }
            prop_assume!(message.length() < 65_000);
            let payload = message.finish();
            let input = Input::Datagram { from: here, to: here, payload: &payload };
            let now = Now { unix_ns: u64::from(number) + 1, ..Now::default() };
            collector.accept(now, input, &mut outlet);
            while let Some(lease) = drain.take() {
                read += check(&lease, &sent, read)?;
            }
        }
        outlet.publish();
        while let Some(lease) = drain.take() {
            read += check(&lease, &sent, read)?;
        }
        prop_assert_eq!(read, sent.len());
        prop_assert_eq!(collector.ledgers().unexplained(), 0);
    }
}
