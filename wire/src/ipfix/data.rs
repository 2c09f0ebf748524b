//! The octets of a data set and the fields of its template in, records and fields out (RFC 7011 section 3.4.3).
//! A record kept as octets is read back with the same views. Values are not interpreted here.

use crate::cursor::Cursor;
use crate::ipfix::template::Field;
use crate::malformed::{Malformed, Reason};

/// The octets that records of a template take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordLength {
    /// Every record, exactly.
    Fixed(usize),
    /// A record whose variable fields are all empty.
    AtLeast(usize),
}

impl RecordLength {
    /// The length of records with these fields.
    #[must_use]
    pub fn of(fields: &[Field]) -> Self {
        let octets = fields.iter().fold(0_usize, |sum, field| sum.saturating_add(field.minimum_length()));
        if fields.iter().any(|field| field.is_variable()) {
            Self::AtLeast(octets)
        } else {
            Self::Fixed(octets)
        }
    }

    /// The fewest octets of a record: fewer left over in a set are padding (RFC 7011 section 3.3.1).
    #[must_use]
    pub const fn minimum(self) -> usize {
        match self {
            Self::Fixed(octets) | Self::AtLeast(octets) => octets,
        }
    }
}

/// Iterator over the records of a data set.
///
/// Ends where fewer octets are left than the shortest record has. A record that runs past the end of the set is
/// one error and the last item; fields that could make a record without octets give `zero_length_record`.
#[derive(Debug, Clone)]
pub struct Records<'a, 't> {
    fields: &'t [Field],
    rest: Cursor<'a>,
    length: RecordLength,
}

impl<'a, 't> Records<'a, 't> {
    /// Records made by `fields` in the body of a data set.
    #[must_use]
    pub fn new(fields: &'t [Field], body: Cursor<'a>) -> Self {
        Self { fields, rest: body, length: RecordLength::of(fields) }
    }

    /// The octets behind the last record read: padding once the iterator has ended.
    #[must_use]
    pub const fn rest(&self) -> Cursor<'a> {
        self.rest
    }

    fn end(&mut self, malformed: Malformed) -> Malformed {
        self.rest = Cursor::with_base(&[], self.rest.offset());
        malformed
    }
}

impl<'a, 't> Iterator for Records<'a, 't> {
    type Item = Result<Record<'a, 't>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        if self.length.minimum() == 0 {
            let malformed = self.rest.malformed(Reason::ZeroLengthRecord, self.rest.remaining());
            return Some(Err(self.end(malformed)));
        }
        if self.rest.remaining() < self.length.minimum() {
            return None;
        }
        let start = self.rest;
        let length = match self.length {
            RecordLength::Fixed(octets) => octets,
            RecordLength::AtLeast(_) => {
                let mut walk = start;
                for field in self.fields {
                    if field_octets(*field, &mut walk).is_err() {
                        let malformed = start.malformed(Reason::Truncated, start.remaining());
                        return Some(Err(self.end(malformed)));
                    }
                }
                walk.offset() - start.offset()
            }
        };
        Some(self.rest.split(length).map(|octets| Record { fields: self.fields, octets }))
    }
}

/// One data record: the fields of its template over its octets.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a, 't> {
    fields: &'t [Field],
    octets: Cursor<'a>,
}

impl<'a, 't> Record<'a, 't> {
    /// A record kept elsewhere; offsets count from its own start.
    #[must_use]
    pub const fn new(fields: &'t [Field], octets: &'a [u8]) -> Self {
        Self { fields, octets: Cursor::new(octets) }
    }

    /// Its octets, with the length octets of variable fields.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets.rest()
    }

    /// Where it starts, in octets from the start of the message.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.octets.offset()
    }

    /// Its fields in the order of the template. Ends early only if the octets are not of this template.
    #[must_use]
    pub const fn fields(&self) -> RecordFields<'a, 't> {
        RecordFields { fields: self.fields, rest: self.octets }
    }
}

/// One field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordField<'a> {
    /// What the template says of it.
    pub field: Field,
    /// The value's octets, without the length octets of a variable field.
    pub octets: &'a [u8],
    /// Where these start, in octets from the start of the message.
    pub offset: usize,
}

/// Iterator over the fields of a record.
#[derive(Debug, Clone)]
pub struct RecordFields<'a, 't> {
    fields: &'t [Field],
    rest: Cursor<'a>,
}

impl<'a> Iterator for RecordFields<'a, '_> {
    type Item = RecordField<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (field, others) = self.fields.split_first()?;
        self.fields = others;
        let Ok(octets) = field_octets(*field, &mut self.rest) else {
            self.fields = &[];
            return None;
        };
        Some(RecordField { field: *field, octets: octets.rest(), offset: octets.offset() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.fields.len()))
    }
}

/// The value's octets of the field at the cursor, which goes on behind them.
fn field_octets<'a>(field: Field, cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, Malformed> {
    let length = if field.is_variable() { variable_length(cursor)? } else { usize::from(field.length) };
    cursor.split(length)
}

/// RFC 7011 section 7: one octet below 255, or 255 and two octets.
pub(crate) fn variable_length(cursor: &mut Cursor<'_>) -> Result<usize, Malformed> {
    match cursor.u8()? {
        255 => cursor.u16().map(usize::from),
        length => Ok(usize::from(length)),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Record, RecordLength, Records};
    use crate::cursor::Cursor;
    use crate::ipfix::template::{Field, VARIABLE_LENGTH};
    use crate::malformed::{Malformed, Reason};
    use std::vec::Vec;

    const FIXED: [Field; 2] = [Field::iana(4, 1), Field::iana(7, 2)];
    const VARIABLE: [Field; 2] = [Field::iana(82, VARIABLE_LENGTH), Field::iana(4, 1)];

    fn read<'a>(fields: &[Field], octets: &'a [u8]) -> Vec<Result<Vec<&'a [u8]>, Malformed>> {
        let records = Records::new(fields, Cursor::with_base(octets, 20));
        records
            .map(|record| record.map(|record| record.fields().map(|field| field.octets).collect()))
            .collect()
    }

    // RFC 7011 section 3.3.1: padding is shorter than any record of the set.
    //= RFC 7011 section 9
    //# The Collecting Process MUST accept padding in Data Records and Template Records.
    #[test]
    fn fixed_records_end_where_padding_starts() {
        let octets = [6, 0x00, 0x50, 17, 0x00, 0x35, 0, 0];
        let expected: [Result<Vec<&[u8]>, _>; 2] =
            [Ok(std::vec![&[6], &[0x00, 0x50]]), Ok(std::vec![&[17], &[0x00, 0x35]])];
        assert_eq!(read(&FIXED, &octets), expected);
        let mut records = Records::new(&FIXED, Cursor::new(&octets));
        assert_eq!(records.by_ref().count(), 2);
        assert_eq!(records.rest().rest(), [0, 0]);
    }

    // RFC 7011 section 7.
    //= RFC 7011 section 7
    //# The octets carrying the length (either the first or the first three octets) MUST NOT be included in
    //# the length of the Information Element.
    //= RFC 7011 section 7
    //# Where an Information Element has a variable length, the following mechanism MUST be used to carry the
    //# length information for both the IANA-assigned and enterprise-specific Information Elements.
    //= RFC 7011 section 7
    //# In this case, the first octet of the Length field MUST be 255, and the length is carried in the second
    //# and third octets, as shown in Figure S.
    #[test]
    fn variable_fields_have_short_or_long_lengths() {
        let mut octets = std::vec![3, b'e', b't', b'h', 6, 0, 17, 255, 0x01, 0x00];
        octets.extend([b'x'; 256]);
        octets.push(1);
        let records = read(&VARIABLE, &octets);
        assert_eq!(records[0], Ok(std::vec![&b"eth"[..], &[6]]));
        assert_eq!(records[1], Ok(std::vec![&b""[..], &[17]]));
        assert_eq!(records[2].as_ref().unwrap()[0].len(), 256);
        assert_eq!(records.len(), 3);
    }

    #[test]
    fn a_variable_field_past_the_end_keeps_the_records_before() {
        let octets = [1, b'a', 6, 200, b'b', b'c'];
        let records = read(&VARIABLE, &octets);
        assert_eq!(records, [Ok(std::vec![&b"a"[..], &[6]]), Err(Malformed::new(Reason::Truncated, 23, 3))]);
    }

    #[test]
    fn fields_without_octets_make_no_records() {
        let fields = [Field::iana(4, 0)];
        assert_eq!(read(&fields, &[1, 2]), [Err(Malformed::new(Reason::ZeroLengthRecord, 20, 2))]);
        assert_eq!(read(&[], &[1]).len(), 1);
        assert!(read(&[], &[]).is_empty());
    }

    #[test]
    fn a_field_of_no_octets_is_there_and_empty() {
        let fields = [Field::iana(8, 0), Field::iana(4, 1)];
        assert_eq!(read(&fields, &[6]), [Ok(std::vec![&[][..], &[6]])]);
    }

    #[test]
    fn a_kept_record_reads_as_it_did() {
        let octets = [3, b'e', b't', b'h', 6];
        let record = Records::new(&VARIABLE, Cursor::with_base(&octets, 40)).next().unwrap().unwrap();
        let kept = Record::new(&VARIABLE, record.octets());
        let values =
            |record: Record<'_, '_>| record.fields().map(|field| field.octets.to_vec()).collect::<Vec<_>>();
        assert_eq!(values(record), values(kept));
        assert_eq!(record.fields().next().unwrap().offset, 41);
        // Octets of another template: an early end, no panic.
        assert_eq!(Record::new(&VARIABLE, &[9, 1]).fields().count(), 0);
    }

    #[test]
    fn record_lengths_count_one_octet_for_a_variable_field() {
        assert_eq!(RecordLength::of(&FIXED), RecordLength::Fixed(3));
        assert_eq!(RecordLength::of(&VARIABLE), RecordLength::AtLeast(2));
    }
}
