//! An options record in, the exporter's own description of an element out (RFC 5610). Keeps nothing: who wants
//! names for enterprise elements stores them.

use crate::element::{DataType, Semantics, Units};
use crate::ipfix::data::Record;
use crate::value::number;

/// What an exporter says of one element: a record whose scope is privateEnterpriseNumber and informationElementId
/// (RFC 5610 section 3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeInformation<'a> {
    /// The element's enterprise number; 0 where the record has none.
    pub pen: u32,
    /// The element's id, without the enterprise bit.
    pub id: u16,
    /// Its abstract type.
    pub data_type: DataType,
    /// Its semantics, `default` where the record has none that IANA knows.
    pub semantics: Semantics,
    /// Its units, `none` where the record has none that IANA knows.
    pub units: Units,
    /// The smallest value, where the record has one.
    pub range_begin: Option<u64>,
    /// The largest value, where the record has one.
    pub range_end: Option<u64>,
    /// Its name in UTF-8, not checked; empty where the record has none.
    pub name: &'a [u8],
    /// Its description in UTF-8, not checked; empty where the record has none.
    pub description: &'a [u8],
}

impl<'a> TypeInformation<'a> {
    /// The description in `record`; `None` if the record is not one, or names a type that IANA does not.
    #[must_use]
    pub fn of(record: &Record<'a, '_>) -> Option<Self> {
        let field = |id| {
            let mut fields = record.fields();
            fields.find(|field| field.field.pen == 0 && field.field.id == id).map(|field| field.octets)
        };
        let code = |id| number(field(id)?).and_then(|code| u8::try_from(code).ok());
        let id = u16::try_from(number(field(303)?)?).ok()?;
        Some(Self {
            pen: field(346).and_then(number).and_then(|pen| u32::try_from(pen).ok()).unwrap_or(0),
            id: id & 0x7fff,
            data_type: DataType::from_code(code(339)?)?,
            semantics: code(344).and_then(Semantics::from_code).unwrap_or(Semantics::Default),
            units: code(345).and_then(Units::from_code).unwrap_or(Units::None),
            range_begin: field(342).and_then(number),
            range_end: field(343).and_then(number),
            name: field(341).unwrap_or_default(),
            description: field(340).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::TypeInformation;
    use crate::element::{DataType, Semantics, Units};
    use crate::ipfix::data::Record;
    use crate::ipfix::template::{Field, VARIABLE_LENGTH};

    // RFC 5610 section 3.9, with the fields of its options template.
    #[test]
    fn a_type_record_describes_an_element() {
        let fields = [
            Field::iana(346, 4),
            Field::iana(303, 2),
            Field::iana(339, 1),
            Field::iana(344, 1),
            Field::iana(345, 2),
            Field::iana(342, 8),
            Field::iana(343, 8),
            Field::iana(341, VARIABLE_LENGTH),
        ];
        let octets = [
            0, 0, 0x1a, 0xd7, // privateEnterpriseNumber 6871
            0x00, 0x64, // informationElementId 100
            3, 2, 0, 3, // unsigned32, totalCounter, packets
            0, 0, 0, 0, 0, 0, 0, 1, // from 1
            0, 0, 0, 0, 0, 0, 0, 9, // to 9
            4, b'n', b'a', b'm', b'e',
        ];
        let information = TypeInformation::of(&Record::new(&fields, &octets)).unwrap();
        assert_eq!((information.pen, information.id), (6_871, 100));
        assert_eq!(information.data_type, DataType::Unsigned32);
        assert_eq!((information.semantics, information.units), (Semantics::TotalCounter, Units::Packets));
        assert_eq!((information.range_begin, information.range_end), (Some(1), Some(9)));
        assert_eq!((information.name, information.description), (&b"name"[..], &b""[..]));
    }

    #[test]
    fn other_records_describe_nothing() {
        let fields = [Field::iana(303, 2), Field::iana(339, 1)];
        assert!(TypeInformation::of(&Record::new(&fields, &[0, 1, 99])).is_none()); // no such type
        assert!(TypeInformation::of(&Record::new(&fields[..1], &[0, 1])).is_none());
        assert_eq!(TypeInformation::of(&Record::new(&fields, &[0, 1, 4])).unwrap().pen, 0);
    }
}
