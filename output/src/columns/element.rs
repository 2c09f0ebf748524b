//! A column of an information element: which array, and which JSON value, its stored numbers and octets make.
#![expect(clippy::wildcard_enum_match_arm, reason = "most types share one form")]

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use arrow_array::ArrayRef;
use collector::batch::Values;
use collector::outlet::Lease;
use wire::element::DataType;

use super::Column;
use crate::json::Json;

/// The array of an element's column.
pub(crate) fn array(lease: &Lease, at: usize, data_type: DataType) -> Option<ArrayRef> {
    let column = Column::new(lease, at);
    match data_type {
        DataType::Signed8 | DataType::Signed16 | DataType::Signed32 | DataType::Signed64 => column.signed(),
        DataType::Float32 | DataType::Float64 => column.floats(),
        DataType::Ipv4Address => {
            let Values::Fixed4(values) = lease.values.get(at)? else { return None };
            Some(column.texts(values, |text, value| write_v4(text, value.to_be_bytes())))
        }
        DataType::Ipv6Address => Some(addresses(lease, at)),
        DataType::String => column.strings(),
        DataType::DateTimeMilliseconds => column.milliseconds(),
        DataType::DateTimeMicroseconds | DataType::DateTimeNanoseconds => column.nanoseconds(),
        _ => column
            .unsigned()
            .or_else(|| column.octets().map(|octets| std::sync::Arc::new(octets) as ArrayRef))
            .or_else(|| matches!(lease.values.get(at)?, Values::Fixed16(_)).then(|| addresses(lease, at))),
    }
}

/// Text of a column of sixteen-octet addresses, IPv4-mapped as IPv4.
pub(crate) fn addresses(lease: &Lease, at: usize) -> ArrayRef {
    let values = match lease.values.get(at) {
        Some(Values::Fixed16(values)) => values.as_slice(),
        _ => &[],
    };
    Column::new(lease, at).texts(values, write_address)
}

/// Sixteen octets as records write an address.
pub(crate) fn write_address(text: &mut String, octets: [u8; 16]) {
    let address = Ipv6Addr::from(octets);
    match address.to_ipv4_mapped() {
        Some(address) => write_v4(text, address.octets()),
        // Writing into memory cannot fail.
        None => drop(write!(text, "{address}")),
    }
}

/// Four octets as an address, without a formatter: there are several in every row.
fn write_v4(text: &mut String, octets: [u8; 4]) {
    for (nth, octet) in octets.into_iter().enumerate() {
        if nth > 0 {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
}

/// A stored number as the JSON value of its element.
#[expect(clippy::cast_possible_truncation, reason = "a column is as wide as its type")]
pub(crate) fn number_to_json(json: &mut Json<'_>, data_type: DataType, number: u64) {
    match data_type {
        DataType::Ipv4Address => json.address_v4((number as u32).to_be_bytes()),
        DataType::Signed8 => json.signed((number as u8).cast_signed().into()),
        DataType::Signed16 => json.signed((number as u16).cast_signed().into()),
        DataType::Signed32 => json.signed((number as u32).cast_signed().into()),
        DataType::Signed64 => json.signed(number.cast_signed()),
        DataType::Float32 => json.float32(f32::from_bits(number as u32)),
        DataType::Float64 => json.float(f64::from_bits(number)),
        DataType::Boolean => json.boolean(number == 1),
        DataType::DateTimeSeconds => json.time(i64::try_from(number).unwrap_or(i64::MAX), 0, 0),
        DataType::DateTimeMilliseconds => json.time(
            i64::try_from(number / 1_000).unwrap_or(i64::MAX),
            (number % 1_000) as u32 * 1_000_000,
            3,
        ),
        DataType::DateTimeMicroseconds => json.time(
            i64::try_from(number / 1_000_000_000).unwrap_or(i64::MAX),
            (number % 1_000_000_000) as u32,
            6,
        ),
        DataType::DateTimeNanoseconds => json.time(
            i64::try_from(number / 1_000_000_000).unwrap_or(i64::MAX),
            (number % 1_000_000_000) as u32,
            9,
        ),
        _ => json.unsigned(number),
    }
}

/// Stored octets as the JSON value of their element.
pub(crate) fn octets_to_json(json: &mut Json<'_>, data_type: DataType, octets: &[u8]) {
    match data_type {
        DataType::String => {
            json.utf8(octets);
        }
        DataType::Unsigned256 => json.hex("0x", octets),
        _ => json.hex("", octets),
    }
}
