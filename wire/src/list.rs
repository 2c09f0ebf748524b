//! The octets of an RFC 6313 list in, its values or record groups out. Templates are looked up by the caller, and
//! so is how deep lists may nest: nothing here calls itself.
//!
//! ```text
//! basicList              | semantic |E| element id    | length | E: enterprise number | values ...
//! subTemplateList        | semantic | template id     | records ...
//! subTemplateMultiList   | semantic | template id     | length, with these 4 octets | records ... (repeated)
//! ```

use crate::cursor::Cursor;
use crate::ipfix::data::variable_length;
use crate::ipfix::template::Field;
use crate::malformed::{Malformed, Reason};

/// How the members of a list relate (RFC 6313 section 4.4); any other code is undefined too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Semantic {
    /// None of the members is a property of the record.
    NoneOf,
    /// Exactly one is.
    ExactlyOneOf,
    /// At least one is.
    OneOrMoreOf,
    /// All are.
    AllOf,
    /// All are, in this order.
    Ordered,
    /// Not said; carries the code.
    Undefined(u8),
}

impl Semantic {
    /// The semantic of IANA's code.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NoneOf,
            1 => Self::ExactlyOneOf,
            2 => Self::OneOrMoreOf,
            3 => Self::AllOf,
            4 => Self::Ordered,
            code => Self::Undefined(code),
        }
    }

    /// IANA's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoneOf => "noneOf",
            Self::ExactlyOneOf => "exactlyOneOf",
            Self::OneOrMoreOf => "oneOrMoreOf",
            Self::AllOf => "allOf",
            Self::Ordered => "ordered",
            Self::Undefined(_) => "undefined",
        }
    }
}

/// Values of one element (RFC 6313 section 4.5.1).
#[derive(Debug, Clone, Copy)]
pub struct BasicList<'a> {
    /// How the values relate.
    pub semantic: Semantic,
    /// The element and the length of each value.
    pub field: Field,
    values: Cursor<'a>,
}

impl<'a> BasicList<'a> {
    /// Reads the head of a list; `octets` is the whole field.
    ///
    /// # Errors
    /// `truncated`; `zero_length_record` if values have no octets and so no number.
    pub fn parse(octets: Cursor<'a>) -> Result<Self, Malformed> {
        let mut values = octets;
        let semantic = Semantic::from_code(values.u8()?);
        let (id, length) = (values.u16()?, values.u16()?);
        let pen = if id & 0x8000 == 0 { 0 } else { values.u32()? };
        if length == 0 && !values.is_empty() {
            return Err(values.malformed(Reason::ZeroLengthRecord, values.remaining()));
        }
        Ok(Self { semantic, field: Field { pen, id: id & 0x7fff, length }, values })
    }

    /// Its values in order: the octets of each, with their place.
    #[must_use]
    pub const fn values(&self) -> Values<'a> {
        Values { field: self.field, rest: self.values }
    }
}

/// Iterator over the values of a basicList. A value past the end of the list is one error and the last item.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    field: Field,
    rest: Cursor<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<Cursor<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.rest;
        let length = match self.field.is_variable() {
            true => variable_length(&mut self.rest),
            false => Ok(usize::from(self.field.length)),
        };
        let value = length.and_then(|length| self.rest.split(length));
        if value.is_err() {
            self.rest = Cursor::with_base(&[], start.offset());
            return Some(Err(start.malformed(Reason::Truncated, start.remaining())));
        }
        Some(value)
    }
}

/// Records of one template (RFC 6313 section 4.5.2).
#[derive(Debug, Clone, Copy)]
pub struct SubTemplateList<'a> {
    /// How the records relate.
    pub semantic: Semantic,
    /// The template of the records.
    pub template_id: u16,
    /// The records, for [`crate::ipfix::data::Records`].
    pub records: Cursor<'a>,
}

impl<'a> SubTemplateList<'a> {
    /// Reads the head of a list; `octets` is the whole field.
    ///
    /// # Errors
    /// `truncated` below 3 octets.
    pub fn parse(octets: Cursor<'a>) -> Result<Self, Malformed> {
        let mut records = octets;
        let semantic = Semantic::from_code(records.u8()?);
        let template_id = records.u16()?;
        Ok(Self { semantic, template_id, records })
    }
}

/// Records of several templates (RFC 6313 section 4.5.3).
#[derive(Debug, Clone, Copy)]
pub struct SubTemplateMultiList<'a> {
    /// How the records relate.
    pub semantic: Semantic,
    groups: Cursor<'a>,
}

/// Records of one template within a subTemplateMultiList.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// The template of the records.
    pub template_id: u16,
    /// The records, for [`crate::ipfix::data::Records`].
    pub records: Cursor<'a>,
}

impl<'a> SubTemplateMultiList<'a> {
    /// Reads the head of a list; `octets` is the whole field.
    ///
    /// # Errors
    /// `truncated` if there is no octet.
    pub fn parse(octets: Cursor<'a>) -> Result<Self, Malformed> {
        let mut groups = octets;
        let semantic = Semantic::from_code(groups.u8()?);
        Ok(Self { semantic, groups })
    }

    /// Its groups in order.
    #[must_use]
    pub const fn groups(&self) -> Groups<'a> {
        Groups { rest: self.groups }
    }
}

/// Iterator over the groups of a subTemplateMultiList. A group whose length cannot be is one error and the last
/// item.
#[derive(Debug, Clone)]
pub struct Groups<'a> {
    rest: Cursor<'a>,
}

impl<'a> Groups<'a> {
    fn read(&mut self) -> Result<Group<'a>, Malformed> {
        let start = self.rest;
        let (template_id, length) = (self.rest.u16()?, self.rest.u16()?);
        // A group without records may say 0 instead of the length of its head.
        let records = match length {
            0 => Some(0),
            length => usize::from(length).checked_sub(4),
        };
        let Some(records) = records else {
            return Err(start.malformed(Reason::BadLength, usize::from(length)));
        };
        Ok(Group { template_id, records: self.rest.split(records)? })
    }
}

impl<'a> Iterator for Groups<'a> {
    type Item = Result<Group<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.rest;
        let group = self.read();
        if group.is_err() {
            self.rest = Cursor::with_base(&[], start.offset());
        }
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{BasicList, Semantic, SubTemplateList, SubTemplateMultiList};
    use crate::cursor::Cursor;
    use crate::ipfix::template::{Field, VARIABLE_LENGTH};
    use crate::malformed::{Malformed, Reason};
    use std::vec::Vec;

    // RFC 6313 section 4.5.1 and its example in appendix A.
    #[test]
    fn a_basic_list_has_values_of_one_element() {
        let octets = [
            0x03, // allOf
            0x00, 0x0a, 0x00, 0x04, // ingressInterface, 4 octets
            0, 0, 0, 1, 0, 0, 0, 4,
        ];
        let list = BasicList::parse(Cursor::new(&octets)).unwrap();
        assert_eq!((list.semantic, list.field), (Semantic::AllOf, Field::iana(10, 4)));
        let values: Vec<_> = list.values().map(|value| value.unwrap().rest()).collect();
        assert_eq!(values, [[0, 0, 0, 1], [0, 0, 0, 4]]);
    }

    //= RFC 6313 section 4.5.1
    //# Instead, if the Enterprise bit is set to 1, a four-byte Enterprise Number MUST be encoded immediately
    //# after the Element Length as shown below.
    //= RFC 6313 section 7
    //# As described in [RFC5101], a Collecting Process MUST note the Information Element identifier of any
    //# Information Element that it does not understand and MAY discard that Information Element from the Flow
    //# Record.
    #[test]
    fn a_basic_list_of_an_enterprise_element_may_be_variable() {
        let octets = [0xff, 0x80, 0x01, 0xff, 0xff, 0, 0, 0, 9, 2, b'a', b'b', 0, 3, b'c'];
        let list = BasicList::parse(Cursor::new(&octets)).unwrap();
        assert_eq!(list.semantic, Semantic::Undefined(255));
        assert_eq!(list.field, Field { pen: 9, id: 1, length: VARIABLE_LENGTH });
        let values: Vec<_> = list.values().map(|value| value.map(|value| value.rest())).collect();
        let cut = Err(Malformed::new(Reason::Truncated, 13, 2));
        assert_eq!(values, [Ok(&b"ab"[..]), Ok(&[][..]), cut]);
    }

    //= RFC 6313 section 4.5.1
    //# Effectively, the Element Length field is part of the header, so even in the case of a zero-element
    //# list, it MUST NOT be omitted.
    #[test]
    fn values_without_octets_have_no_number() {
        let octets = [3, 0, 10, 0, 0, 1];
        let refused = BasicList::parse(Cursor::new(&octets)).unwrap_err();
        assert_eq!(refused, Malformed::new(Reason::ZeroLengthRecord, 5, 1));
        assert_eq!(BasicList::parse(Cursor::new(&octets[..5])).unwrap().values().count(), 0);
    }

    #[test]
    fn a_sub_template_list_has_one_template() {
        let list = SubTemplateList::parse(Cursor::with_base(&[0x04, 0x01, 0x02, 9, 9], 30)).unwrap();
        assert_eq!((list.semantic, list.template_id), (Semantic::Ordered, 258));
        assert_eq!((list.records.rest(), list.records.offset()), (&[9, 9][..], 33));
    }

    #[test]
    fn a_multi_list_has_groups_with_their_own_length() {
        let octets = [0x02, 1, 0, 0, 6, 7, 7, 1, 1, 0, 4, 1, 2, 0, 3];
        let list = SubTemplateMultiList::parse(Cursor::new(&octets)).unwrap();
        assert_eq!(list.semantic, Semantic::OneOrMoreOf);
        let groups: Vec<_> = list.groups().collect();
        assert_eq!(groups.len(), 3);
        let first = groups[0].as_ref().unwrap();
        assert_eq!((first.template_id, first.records.rest()), (256, &[7, 7][..]));
        assert!(groups[1].as_ref().unwrap().records.is_empty());
        assert_eq!(groups[2].unwrap_err(), Malformed::new(Reason::BadLength, 11, 3));
    }

    // RFC 6313 section 4.5.3: without records the length is zero.
    #[test]
    fn a_group_of_length_zero_has_no_records() {
        let octets = [0x03, 1, 0, 0, 0, 1, 1, 0, 6, 7, 7];
        let groups: Vec<_> =
            SubTemplateMultiList::parse(Cursor::new(&octets)).unwrap().groups().map(Result::unwrap).collect();
        let read: Vec<_> = groups.iter().map(|group| (group.template_id, group.records.rest())).collect();
        assert_eq!(read, [(256, &[][..]), (257, &[7, 7])]);
    }
}
