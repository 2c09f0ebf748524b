//! JSON text, appended to octets: separators, escapes, numbers, addresses, times. Knows no record.

use std::fmt::{self, Display, Write as _};
use std::net::Ipv6Addr;

use jiff::Timestamp;
use jiff::tz::Offset;

/// Appends JSON to a buffer. Separators follow from what stands before, so no state is kept.
#[derive(Debug)]
pub struct Json<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Json<'o> {
    /// Appends to `out`.
    pub const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Opens an object.
    pub fn open(&mut self) {
        self.value();
        self.out.push(b'{');
    }

    /// Closes an object.
    pub fn close(&mut self) {
        self.out.push(b'}');
    }

    /// Opens an array.
    pub fn open_list(&mut self) {
        self.value();
        self.out.push(b'[');
    }

    /// Closes an array.
    pub fn close_list(&mut self) {
        self.out.push(b']');
    }

    /// Writes a list of objects, each with the keys that `write` gives it.
    pub fn objects<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.open_list();
        for item in items {
            self.open();
            write(self, item);
            self.close();
        }
        self.close_list();
    }

    /// Ends a line.
    pub fn end_line(&mut self) {
        self.out.push(b'\n');
    }

    /// A key; its value comes next. `name` must need no escapes.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.value();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self
    }

    /// A key that may need escapes.
    pub(crate) fn text_key(&mut self, name: &str) {
        self.string(name);
        self.out.push(b':');
    }

    /// A key that was prepared with its quotes and colon.
    pub(crate) fn prepared_key(&mut self, quoted: &[u8]) -> &mut Self {
        self.value();
        self.out.extend_from_slice(quoted);
        self
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.value();
        self.out.push(b'"');
        escape(self.out, text);
        self.out.push(b'"');
    }

    /// A string made by `Display`.
    pub fn text(&mut self, text: impl Display) {
        self.value();
        self.out.push(b'"');
        // Writing into memory cannot fail; a `Display` that fails by itself leaves what it wrote.
        let _ = write!(Escaped(self.out), "{text}");
        self.out.push(b'"');
    }

    /// Octets meant as UTF-8: trailing NULs cut, invalid sequences as U+FFFD. Returns whether all were valid.
    pub fn utf8(&mut self, octets: &[u8]) -> bool {
        let end = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        self.value();
        self.out.push(b'"');
        let mut valid = true;
        for chunk in octets.get(..end).unwrap_or_default().utf8_chunks() {
            escape(self.out, chunk.valid());
            if !chunk.invalid().is_empty() {
                valid = false;
                self.out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        self.out.push(b'"');
        valid
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self, number: u64) {
        self.value();
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A signed integer.
    pub fn signed(&mut self, number: i64) {
        self.value();
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A float; NaN and infinities as null, whole numbers without a fraction.
    pub fn float(&mut self, number: f64) {
        self.value();
        if !number.is_finite() {
            self.out.extend_from_slice(b"null");
            return;
        }
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(number);
        self.out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }

    /// A 4-octet float with the digits that it has.
    pub fn float32(&mut self, number: f32) {
        self.value();
        if !number.is_finite() {
            self.out.extend_from_slice(b"null");
            return;
        }
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(number);
        self.out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.value();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// `null`.
    pub fn null(&mut self) {
        self.value();
        self.out.extend_from_slice(b"null");
    }

    /// Octets as lower-case hex, after `prefix`.
    pub fn hex(&mut self, prefix: &str, octets: &[u8]) {
        self.value();
        self.out.push(b'"');
        self.out.extend_from_slice(prefix.as_bytes());
        self.out.extend(octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 0xf)]));
        self.out.push(b'"');
    }

    /// Four octets as an address.
    pub fn address_v4(&mut self, octets: [u8; 4]) {
        self.value();
        self.out.push(b'"');
        for (nth, octet) in octets.into_iter().enumerate() {
            if nth > 0 {
                self.out.push(b'.');
            }
            self.out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
        }
        self.out.push(b'"');
    }

    /// Sixteen octets as an address, IPv4-mapped as IPv4 (RFC 5952).
    pub fn address(&mut self, octets: [u8; 16]) {
        let address = Ipv6Addr::from(octets);
        match address.to_ipv4_mapped() {
            Some(address) => self.address_v4(address.octets()),
            None => self.text(address),
        }
    }

    /// Unix nanoseconds as RFC 3339 with as many digits, of 0, 3, 6 or 9, as the value needs.
    pub fn time_ns(&mut self, unix_ns: u64) {
        let digits = match unix_ns {
            ns if ns % 1_000_000_000 == 0 => 0,
            ns if ns % 1_000_000 == 0 => 3,
            ns if ns % 1_000 == 0 => 6,
            _ => 9,
        };
        let nanoseconds = (unix_ns % 1_000_000_000) as u32;
        self.time(i64::try_from(unix_ns / 1_000_000_000).unwrap_or(i64::MAX), nanoseconds, digits);
    }

    /// A time as RFC 3339 with so many digits of the second, at most 9; null outside the years 0 to 9999.
    pub fn time(&mut self, seconds: i64, nanoseconds: u32, digits: u8) {
        let time = i32::try_from(nanoseconds).ok().and_then(|ns| Timestamp::new(seconds, ns).ok());
        let Some(time) = time.map(|time| Offset::UTC.to_datetime(time)).filter(|time| time.year() >= 0)
        else {
            return self.null();
        };
        self.value();
        self.out.push(b'"');
        self.digits(time.year().unsigned_abs().into(), 4);
        for (before, number) in [
            (b'-', time.month()),
            (b'-', time.day()),
            (b'T', time.hour()),
            (b':', time.minute()),
            (b':', time.second()),
        ] {
            self.out.push(before);
            self.digits(number.unsigned_abs().into(), 2);
        }
        if digits > 0 {
            let digits = digits.min(9);
            self.out.push(b'.');
            self.digits(nanoseconds / 10_u32.pow(9 - u32::from(digits)), digits);
        }
        self.out.extend_from_slice(b"Z\"");
    }

    /// The last `count` decimal digits of a number, at most 9.
    fn digits(&mut self, mut number: u32, count: u8) {
        let mut text = [b'0'; 9];
        let place = &mut text[..usize::from(count.min(9))];
        for digit in place.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.out.extend_from_slice(place);
    }

    /// JSON text made elsewhere.
    pub fn raw(&mut self, json: &str) {
        self.value();
        self.out.extend_from_slice(json.as_bytes());
    }

    /// Where the text stands now, for [`Json::undo`].
    pub(crate) const fn mark(&self) -> usize {
        self.out.len()
    }

    /// Takes back what was written since the mark.
    pub(crate) fn undo(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    fn value(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':' | b'\n')) {
            self.out.push(b',');
        }
    }
}

struct Escaped<'o>(&'o mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    let plain = |octet: &u8| !matches!(octet, b'"' | b'\\' | 0..0x20 | 0x7F);
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|octet| !plain(octet)) {
        let (before, [octet, behind @ ..]) = rest.split_at(at) else { break };
        out.extend_from_slice(before);
        match octet {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            octet => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(octet >> 4), digit(octet & 0xf)]),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// A hexadecimal digit; `nibble` is below 16.
const fn digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Json<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Json::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn separators_follow_from_what_stands_before() {
        let text = written(|json| {
            json.open();
            json.key("a").unsigned(1);
            json.key("b").open_list();
            json.unsigned(1);
            json.open();
            json.close();
            json.close_list();
            json.close();
            json.end_line();
            json.open();
            json.close();
        });
        assert_eq!(text, "{\"a\":1,\"b\":[1,{}]}\n{}");
    }

    #[test]
    fn hostile_text_is_escaped_and_parses() {
        let text = written(|json| assert!(!json.utf8(b"a\"\\\x01\xff\x00\x00")));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "a\"\\\u{1}\u{fffd}");
        let text = written(|json| json.string("x\u{2028}\u{7f}"));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "x\u{2028}\u{7f}");
    }

    #[test]
    fn numbers_addresses_and_times() {
        assert_eq!(written(|json| json.float(10.0)), "10");
        assert_eq!(written(|json| json.float(f64::NAN)), "null");
        assert_eq!(written(|json| json.unsigned(u64::MAX)), "18446744073709551615");
        assert_eq!(written(|json| json.hex("0x", &[0xAB, 1])), "\"0xab01\"");
        assert_eq!(
            written(|json| json.address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1])),
            "\"192.0.2.1\""
        );
        assert_eq!(written(|json| json.time_ns(1_700_000_000_123_000_000)), "\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(written(|json| json.time_ns(1_700_000_000_000_000_000)), "\"2023-11-14T22:13:20Z\"");
        assert_eq!(written(|json| json.time(i64::MAX, 0, 0)), "null");
        for (seconds, nanoseconds) in
            [(0, 0), (-1, 999_999_999), (951_782_399, 5), (253_402_207_200, 120_000_000)]
        {
            let time = Timestamp::new(seconds, nanoseconds).unwrap();
            for digits in [0, 3, 6, 9] {
                let expected = format!("\"{time:.*}\"", usize::from(digits));
                let nanoseconds = u32::try_from(nanoseconds).unwrap();
                assert_eq!(written(|json| json.time(seconds, nanoseconds, digits)), expected);
            }
        }
    }
}
