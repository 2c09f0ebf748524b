//! Plain TLVs of BMP: `type u16 | length u16 | value`, in every message but Route Monitoring. In comes the rest of
//! a message, out go TLVs in order; the first malformed one ends them. Never interprets a value.

use crate::bgp::Text;
use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// One information TLV (RFC 7854 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Type as sent. In version 4 the top bit (E) says that the value starts with an enterprise number.
    pub kind: u16,
    /// The value.
    pub value: &'a [u8],
    /// Where the value starts, in octets from the start of the message.
    pub offset: usize,
}

impl<'a> Tlv<'a> {
    /// The value as text.
    #[must_use]
    pub const fn text(&self) -> Text<'a> {
        Text(self.value)
    }

    /// The value as a 2-octet number, where it is one.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        self.value.try_into().ok().map(u16::from_be_bytes)
    }
}

/// Iterator over TLVs up to the end of the octets.
#[derive(Debug, Clone, Copy)]
pub struct Tlvs<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Tlvs<'a> {
    /// TLVs from the cursor's place to its end.
    #[must_use]
    pub const fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.entry(parse)
    }
}

fn parse<'a>(cursor: &mut Cursor<'a>) -> Result<Tlv<'a>, Malformed> {
    let kind = cursor.u16()?;
    let length = cursor.u16()?;
    let offset = cursor.offset();
    let value = cursor.take(usize::from(length))?;
    Ok(Tlv { kind, value, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yields_what_is_whole_before_a_bad_one() {
        let octets = [
            0x00, 0x02, 0x00, 0x02, b'r', b'1', // sysName "r1"
            0x00, 0x00, 0x00, 0x00, // empty String
            0x00, 0x01, 0x00, 0x09, b'x', // sysDescr of 9 octets, 1 there
        ];
        let mut tlvs = Tlvs::new(Cursor::new(&octets));
        let name = tlvs.next().unwrap().unwrap();
        assert_eq!((name.kind, name.text(), name.offset), (2, Text(b"r1"), 4));
        assert_eq!(tlvs.next().unwrap().unwrap().value, b"");
        assert_eq!(tlvs.next().unwrap().unwrap_err().offset, 14);
        assert!(tlvs.next().is_none());
    }
}
