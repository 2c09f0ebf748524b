//! JSON text, appended to octets: separators, escapes, numbers, addresses, times. Knows no record.

use std::fmt::{self, Display, Write as _};
use std::net::Ipv6Addr;

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
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.value();
        self.out.push(b'"');
        self.out.extend_from_slice(prefix.as_bytes());
        for octet in octets {
            for nibble in [octet >> 4, octet & 0xF] {
                self.out.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'?'));
            }
        }
        self.out.push(b'"');
    }

    /// Sixteen octets as an address, IPv4-mapped as IPv4 (RFC 5952).
    pub fn address(&mut self, octets: [u8; 16]) {
        let address = Ipv6Addr::from(octets);
        match address.to_ipv4_mapped() {
            Some(address) => self.text(address),
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

    /// A time as RFC 3339 with so many digits of the second; null outside the years 0 to 9999.
    pub fn time(&mut self, seconds: i64, nanoseconds: u32, digits: u8) {
        match jiff::Timestamp::new(seconds, i32::try_from(nanoseconds).unwrap_or(0)) {
            Ok(time) => self.text(format_args!("{time:.*}", usize::from(digits))),
            Err(_) => self.null(),
        }
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
    for &octet in text.as_bytes() {
        match octet {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 | 0x7F => {
                let _ = write!(Plain(out), "\\u{octet:04x}");
            }
            _ => out.push(octet),
        }
    }
}

struct Plain<'o>(&'o mut Vec<u8>);

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
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
    }
}
