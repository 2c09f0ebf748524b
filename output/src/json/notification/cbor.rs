//! YANG data in CBOR (RFC 9254) -> JSON. Keys that are names stay names, keys that are SIDs become `sid:N`, with
//! the deltas of inner maps added up.

use minicbor::data::{Tag, Type};
use minicbor::decode::Decoder;

use crate::json::text::Json;

/// Maps and lists within one another that are followed.
const MAX_DEPTH: u32 = 64;
/// An absolute SID where a delta is expected (RFC 9254 section 4.2.1).
const ABSOLUTE_SID: Tag = Tag::new(47);
/// A decimal fraction, the form of decimal64 (RFC 9254 section 6.3).
const DECIMAL: Tag = Tag::new(4);
/// Digits that a decimal fraction may have: decimal64 has at most 18 behind the point.
const MAX_DIGITS: i128 = 18;

/// Writes the one map that the octets must be.
pub(super) fn object(json: &mut Json<'_>, octets: &[u8]) -> Option<()> {
    let mut from = Decoder::new(octets);
    if !matches!(from.datatype().ok()?, Type::Map | Type::MapIndef) {
        return None;
    }
    value(json, &mut from, 0, 0)?;
    (from.position() == octets.len()).then_some(())
}

/// Writes the next value. `sid`: that of the node that it is the value of, 0 if it has a name.
fn value(json: &mut Json<'_>, from: &mut Decoder<'_>, sid: i128, depth: u32) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match from.datatype().ok()? {
        Type::Bool => json.boolean(from.bool().ok()?),
        Type::Null => {
            from.null().ok()?;
            json.null();
        }
        Type::Undefined => {
            from.undefined().ok()?;
            json.null();
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => json.unsigned(from.u64().ok()?),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let number = i128::from(from.int().ok()?);
            match i64::try_from(number) {
                Ok(number) => json.signed(number),
                // Below what a signed number of 64 bits can be, and no YANG type holds it.
                Err(_) => return None,
            }
        }
        Type::F16 => json.float32(from.f16().ok()?),
        Type::F32 => json.float32(from.f32().ok()?),
        Type::F64 => json.float(from.f64().ok()?),
        Type::Simple => json.unsigned(from.simple().ok()?.into()),
        Type::Bytes => json.hex("", from.bytes().ok()?),
        Type::BytesIndef => {
            let parts: Result<Vec<&[u8]>, _> = from.bytes_iter().ok()?.collect();
            json.hex("", &parts.ok()?.concat());
        }
        Type::String => json.string(from.str().ok()?),
        Type::StringIndef => json.string(&text(from)?),
        Type::Array | Type::ArrayIndef => {
            let mut left = from.array().ok()?;
            json.open_list();
            while more(from, &mut left)? {
                value(json, from, sid, depth + 1)?;
            }
            json.close_list();
        }
        Type::Map | Type::MapIndef => {
            let mut left = from.map().ok()?;
            json.open();
            while more(from, &mut left)? {
                let inner = key(json, from, sid)?;
                value(json, from, inner, depth + 1)?;
            }
            json.close();
        }
        Type::Tag => match from.tag().ok()? {
            DECIMAL => decimal(json, from)?,
            _ => value(json, from, sid, depth + 1)?,
        },
        Type::Break | Type::Unknown(_) => return None,
    }
    Some(())
}

/// Whether another element follows; takes the mark that ends a map or list of unknown length.
fn more(from: &mut Decoder<'_>, left: &mut Option<u64>) -> Option<bool> {
    match left {
        Some(0) => Some(false),
        Some(count) => {
            *count -= 1;
            Some(true)
        }
        None if from.datatype().ok()? == Type::Break => {
            from.set_position(from.position() + 1);
            Some(false)
        }
        None => Some(true),
    }
}

/// Writes a key. Returns the SID that keys within its value are relative to.
fn key(json: &mut Json<'_>, from: &mut Decoder<'_>, parent: i128) -> Option<i128> {
    let mut base = parent;
    let mut kind = from.datatype().ok()?;
    if kind == Type::Tag {
        if from.tag().ok()? != ABSOLUTE_SID {
            return None;
        }
        base = 0;
        kind = from.datatype().ok()?;
    }
    match kind {
        Type::String => {
            json.text_key(from.str().ok()?);
            Some(0)
        }
        Type::StringIndef => {
            json.text_key(&text(from)?);
            Some(0)
        }
        Type::U8
        | Type::U16
        | Type::U32
        | Type::U64
        | Type::I8
        | Type::I16
        | Type::I32
        | Type::I64
        | Type::Int => {
            let sid = base.checked_add(i128::from(from.int().ok()?)).filter(|sid| *sid >= 0)?;
            json.text_key(&format!("sid:{sid}"));
            Some(sid)
        }
        Type::Bool
        | Type::Null
        | Type::Undefined
        | Type::F16
        | Type::F32
        | Type::F64
        | Type::Simple
        | Type::Bytes
        | Type::BytesIndef
        | Type::Array
        | Type::ArrayIndef
        | Type::Map
        | Type::MapIndef
        | Type::Tag
        | Type::Break
        | Type::Unknown(_) => None,
    }
}

fn text(from: &mut Decoder<'_>) -> Option<String> {
    let parts: Result<Vec<&str>, _> = from.str_iter().ok()?.collect();
    Some(parts.ok()?.concat())
}

/// A decimal fraction as text, as RFC 7951 section 6.1 writes decimal64.
fn decimal(json: &mut Json<'_>, from: &mut Decoder<'_>) -> Option<()> {
    if from.array().ok()? != Some(2) {
        return None;
    }
    let exponent = i128::from(from.int().ok()?);
    let mantissa = i128::from(from.int().ok()?);
    if !(-MAX_DIGITS..=0).contains(&exponent) {
        return None;
    }
    let digits = usize::try_from(-exponent).ok()?;
    let sign = if mantissa < 0 { "-" } else { "" };
    let all = format!("{:0>width$}", mantissa.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = all.split_at_checked(all.len() - digits)?;
    match digits {
        0 => json.text(format_args!("{sign}{whole}")),
        _ => json.text(format_args!("{sign}{whole}.{fraction}")),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(octets: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        object(&mut Json::new(&mut out), octets)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn names_stay_and_sids_add_up() {
        // {"a:b": {1: true}, 1720: {1: "x", 11: [{2: null}]}, 47(60000): -1}
        let octets = [
            &[0xa3, 0x63][..],
            b"a:b",
            &[0xa1, 0x01, 0xf5],
            &[0x19, 0x06, 0xb8, 0xa2, 0x01, 0x61, b'x', 0x0b, 0x81, 0xa1, 0x02, 0xf6],
            &[0xd8, 47, 0x19, 0xea, 0x60, 0x20],
        ]
        .concat();
        let text = r#"{"a:b":{"sid:1":true},"sid:1720":{"sid:1721":"x","sid:1731":[{"sid:1733":null}]},"sid:60000":-1}"#;
        assert_eq!(written(&octets).as_deref(), Some(text));
    }

    #[test]
    fn values_of_every_kind() {
        // {"v": [1.5 (half), h'0102', 2.57 as 4([-2, 257]), -0.05, 2^64-1, (_ "a" "b"), {_ "k": 1}]}
        let octets = [
            &[0xa1, 0x61, b'v', 0x87, 0xf9, 0x3e, 0x00, 0x42, 1, 2][..],
            &[0xc4, 0x82, 0x21, 0x19, 0x01, 0x01, 0xc4, 0x82, 0x21, 0x24],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x7f, 0x61, b'a', 0x61, b'b', 0xff, 0xbf, 0x61, b'k', 0x01, 0xff],
        ]
        .concat();
        let text = r#"{"v":[1.5,"0102","2.57","-0.05",18446744073709551615,"ab",{"k":1}]}"#;
        assert_eq!(written(&octets).as_deref(), Some(text));
    }

    #[test]
    fn what_is_no_map_or_is_cut_is_not_written() {
        let deep = [&[0xa1, 0x01][..], &[0x81; 100_000]].concat();
        let long = [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01];
        for octets in [&[][..], &[0x81, 0x01], &[0xa1, 0x01], &[0xa0, 0x00], &[0xbf, 0x01], &long, &deep] {
            assert_eq!(written(octets), None);
        }
    }
}
