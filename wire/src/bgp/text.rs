//! Strings of the wire: octets in, printable text out. Never cuts inside a character, never hides a bad one.

use core::fmt::{self, Write};

/// Octets meant as UTF-8. Prints without trailing NULs, each invalid sequence as U+FFFD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The text, if it is valid UTF-8; without trailing NULs.
    #[must_use]
    pub fn valid(self) -> Option<&'a str> {
        core::str::from_utf8(self.trimmed()).ok()
    }

    fn trimmed(self) -> &'a [u8] {
        let end = self.0.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        self.0.get(..end).unwrap_or_default()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.trimmed().utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Text;
    use std::string::ToString;

    #[test]
    fn prints_what_is_valid_and_marks_what_is_not() {
        assert_eq!(Text(b"core1\0\0").to_string(), "core1");
        assert_eq!(Text(b"a\xffb").to_string(), "a\u{fffd}b");
        assert_eq!(Text(b"a\xffb").valid(), None);
        assert_eq!(Text(b"\0\0").valid(), Some(""));
    }
}
