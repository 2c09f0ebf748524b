//! TLVs inside attributes, whose types and lengths have one octet or two: octets in, framed values out.

use crate::cursor::Cursor;
use crate::malformed::Malformed;

/// How type and length stand on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `type u16 | length u16`.
    Wide,
    /// `type u8 | length u16`.
    Narrow,
    /// `type u8 | length u8` below type 128, `length u16` from there (RFC 9012 section 2).
    SubTlv,
}

/// Iterator over TLVs of one form: type and value; a malformed one ends them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tlvs<'a> {
    cursor: Cursor<'a>,
    form: Form,
}

impl<'a> Tlvs<'a> {
    pub(super) const fn new(cursor: Cursor<'a>, form: Form) -> Self {
        Self { cursor, form }
    }

    /// The TLVs, if all of them are framed soundly.
    pub(super) fn checked(cursor: Cursor<'a>, form: Form) -> Result<Self, Malformed> {
        let tlvs = Self::new(cursor, form);
        { tlvs }.try_for_each(|tlv| tlv.map(|_| ()))?;
        Ok(tlvs)
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<(u16, Cursor<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let form = self.form;
        self.cursor.entry(|cursor| parse(cursor, form))
    }
}

fn parse<'a>(cursor: &mut Cursor<'a>, form: Form) -> Result<(u16, Cursor<'a>), Malformed> {
    let kind = match form {
        Form::Wide => cursor.u16()?,
        Form::Narrow | Form::SubTlv => u16::from(cursor.u8()?),
    };
    let length = match form {
        Form::SubTlv if kind < 128 => u16::from(cursor.u8()?),
        Form::Wide | Form::Narrow | Form::SubTlv => cursor.u16()?,
    };
    Ok((kind, cursor.split(usize::from(length))?))
}
