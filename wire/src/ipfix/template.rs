//! A template set in, definitions and withdrawals out (RFC 7011 sections 3.4 and 8.1). NetFlow v9's templates
//! give the same views, so that what holds templates need not know which protocol brought them.
//!
//! ```text
//! | template id >= 256            | field count                   |  options template: | scope field count |
//! |E| element id                  | length, 65535: variable       |  E: | enterprise number of 4 octets |
//! ```

use crate::cursor::Cursor;
use crate::element::NETFLOW9_SCOPE_PEN;
use crate::malformed::{Malformed, Reason};
use crate::set::{Dialect, FIRST_DATA_ID, Set, SetKind};

/// The length of a field that carries its own length in front (RFC 7011 section 7).
pub const VARIABLE_LENGTH: u16 = 0xffff;

/// Fields of no octets that a template may have beyond one for each octet of its shortest record.
///
/// Exporters use few of them. Without a bound, a set of 60,000 records of one octet and 16,000 such fields would be
/// 10^9 fields to visit in one datagram; with it work stays in proportion to octets.
pub const MAX_EMPTY_FIELDS: usize = 16;

/// One field of a template, in the order of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field {
    /// Private enterprise number; 0 for IANA's elements and NetFlow v9 field types.
    pub pen: u32,
    /// Element id without the enterprise bit.
    pub id: u16,
    /// Octets, or [`VARIABLE_LENGTH`].
    pub length: u16,
}

impl Field {
    /// Octets of [`Field::to_octets`].
    pub const OCTETS: usize = 8;

    /// An IANA element (PEN 0) of `length` octets.
    #[must_use]
    pub const fn iana(id: u16, length: u16) -> Self {
        Self { pen: 0, id, length }
    }

    /// Whether values carry their own length.
    #[must_use]
    pub const fn is_variable(self) -> bool {
        self.length == VARIABLE_LENGTH
    }

    /// The fewest octets that the field takes in a record.
    #[must_use]
    pub fn minimum_length(self) -> usize {
        if self.is_variable() { 1 } else { usize::from(self.length) }
    }

    /// A form to keep beside stored records: enterprise number, id and length, big-endian. Not a form of the wire.
    #[must_use]
    pub const fn to_octets(self) -> [u8; Self::OCTETS] {
        let ([a, b, c, d], [e, f], [g, h]) =
            (self.pen.to_be_bytes(), self.id.to_be_bytes(), self.length.to_be_bytes());
        [a, b, c, d, e, f, g, h]
    }

    /// The field of [`Field::to_octets`].
    #[must_use]
    pub const fn from_octets([a, b, c, d, e, f, g, h]: [u8; Self::OCTETS]) -> Self {
        Self {
            pen: u32::from_be_bytes([a, b, c, d]),
            id: u16::from_be_bytes([e, f]),
            length: u16::from_be_bytes([g, h]),
        }
    }
}

/// What one record of a template set says.
#[derive(Debug, Clone, Copy)]
pub enum Definition<'a> {
    /// A template or options template.
    Template(Template<'a>),
    /// The template with this id is void (RFC 7011 section 8.1).
    Withdrawal(u16),
    /// All templates of the set's kind are void.
    WithdrawAll,
}

/// A template or options template: whose fields can all be read.
#[derive(Debug, Clone, Copy)]
pub struct Template<'a> {
    /// The id of data sets made by it, at least 256.
    pub id: u16,
    /// Whether it came as an options template.
    pub options: bool,
    /// Leading fields that are scope; 0 for a template.
    pub scope_count: u16,
    /// Fields, scope fields included.
    pub field_count: u16,
    specifiers: Cursor<'a>,
    dialect: Dialect,
}

impl<'a> Template<'a> {
    /// Its fields in the order of the record, scope fields first.
    #[must_use]
    pub const fn fields(&self) -> Fields<'a> {
        Fields {
            rest: self.specifiers,
            left: self.field_count,
            scope_left: self.scope_count,
            dialect: self.dialect,
        }
    }
}

/// One field of a template and where the wire defined it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Specifier {
    /// The field.
    pub field: Field,
    /// Whether it is a scope field.
    pub scope: bool,
    /// Octets from the start of the message.
    pub offset: usize,
}

/// Iterator over the fields of a template.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: Cursor<'a>,
    left: u16,
    scope_left: u16,
    dialect: Dialect,
}

impl Fields<'_> {
    fn read(&mut self) -> Result<Specifier, Malformed> {
        let offset = self.rest.offset();
        let scope = self.scope_left > 0;
        let (id, length) = (self.rest.u16()?, self.rest.u16()?);
        let field = match self.dialect {
            Dialect::Ipfix if id & 0x8000 != 0 => Field { pen: self.rest.u32()?, id: id & 0x7fff, length },
            Dialect::Netflow9 if scope => Field { pen: NETFLOW9_SCOPE_PEN, id, length },
            Dialect::Ipfix | Dialect::Netflow9 => Field { pen: 0, id, length },
        };
        self.left = self.left.saturating_sub(1);
        self.scope_left = self.scope_left.saturating_sub(1);
        Ok(Specifier { field, scope, offset })
    }
}

impl Iterator for Fields<'_> {
    type Item = Specifier;

    fn next(&mut self) -> Option<Specifier> {
        if self.left == 0 {
            return None;
        }
        self.read().ok()
    }
}

/// Iterator over the records of a template set or options template set.
///
/// A record that breaks a rule but has an end is one error, and reading goes on behind it.
#[derive(Debug, Clone)]
pub struct Templates<'a> {
    rest: Cursor<'a>,
    options: bool,
    dialect: Dialect,
}

impl<'a> Templates<'a> {
    /// The definitions of an IPFIX set; none if it is a data set.
    #[must_use]
    pub fn new(set: &Set<'a>) -> Self {
        Self::of(set, Dialect::Ipfix)
    }

    pub(crate) fn of(set: &Set<'a>, dialect: Dialect) -> Self {
        let rest = match set.kind {
            SetKind::Templates | SetKind::OptionsTemplates => set.body,
            SetKind::Data(_) => Cursor::with_base(&[], set.body.offset()),
        };
        Self { rest, options: set.kind == SetKind::OptionsTemplates, dialect }
    }

    fn read(&mut self) -> Result<Result<Definition<'a>, Malformed>, Malformed> {
        let start = self.rest;
        let id = self.rest.u16()?;
        let (field_count, scope_count) = match (self.dialect, self.options) {
            (Dialect::Ipfix, options) => {
                let field_count = self.rest.u16()?;
                if field_count == 0 {
                    return Ok(self.withdrawal(id, start));
                }
                (field_count, if options { self.rest.u16()? } else { 0 })
            }
            (Dialect::Netflow9, false) => (self.rest.u16()?, 0),
            (Dialect::Netflow9, true) => {
                let (scope_octets, option_octets) = (self.rest.u16()?, self.rest.u16()?);
                if scope_octets % 4 != 0 || option_octets % 4 != 0 {
                    return Err(start.malformed(Reason::BadLength, 6));
                }
                (scope_octets / 4 + option_octets / 4, scope_octets / 4)
            }
        };
        let specifiers = self.rest;
        let mut fields = Fields {
            rest: specifiers,
            left: field_count,
            scope_left: scope_count.min(field_count),
            dialect: self.dialect,
        };
        let (mut minimum, mut empty) = (0_usize, 0_usize);
        while fields.left > 0 {
            let length = fields.read()?.field.minimum_length();
            minimum = minimum.saturating_add(length);
            empty += usize::from(length == 0);
        }
        self.rest = fields.rest;
        let refused = |reason| Ok(Err(start.malformed(reason, fields.rest.offset() - start.offset())));
        if id < FIRST_DATA_ID {
            return refused(Reason::BadTemplateId);
        }
        if field_count == 0 {
            return refused(Reason::BadCount);
        }
        // RFC 7011 section 3.4.2.2: the scope field count MUST NOT be zero. NetFlow v9 does not say so.
        let scopeless = self.options && scope_count == 0 && self.dialect == Dialect::Ipfix;
        if scopeless || scope_count > field_count {
            return refused(Reason::BadScopeCount);
        }
        if minimum == 0 {
            return refused(Reason::ZeroLengthRecord);
        }
        if empty > minimum.saturating_add(MAX_EMPTY_FIELDS) {
            return refused(Reason::TooManyEmptyFields);
        }
        let (options, dialect) = (self.options, self.dialect);
        Ok(Ok(Definition::Template(Template { id, options, scope_count, field_count, specifiers, dialect })))
    }

    /// RFC 7011 section 8.1: a field count of 0; the set's own id stands for all templates of its kind.
    fn withdrawal(&self, id: u16, start: Cursor<'a>) -> Result<Definition<'a>, Malformed> {
        match (id, self.options) {
            (2, false) | (3, true) => Ok(Definition::WithdrawAll),
            (FIRST_DATA_ID.., _) => Ok(Definition::Withdrawal(id)),
            _ => Err(start.malformed(Reason::BadTemplateId, 4)),
        }
    }
}

impl<'a> Iterator for Templates<'a> {
    type Item = Result<Definition<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        // No id is zero: zeros up to the end are padding, and behind others no record can be found. Ending there
        // also keeps the search for the end of the zeros from being made again for each of them.
        let start = self.rest;
        if let [] | [0] | [0, 0, ..] = start.rest() {
            self.rest = Cursor::with_base(&[], start.offset());
            let is_padding = start.rest().iter().all(|octet| *octet == 0);
            return (!is_padding).then(|| Err(start.malformed(Reason::BadTemplateId, start.remaining())));
        }
        match self.read() {
            Ok(record) => Some(record),
            Err(malformed) => {
                self.rest = Cursor::with_base(&[], start.offset());
                // What is cut short is the record, wherever in it the octets ended.
                let cut = malformed.reason == Reason::Truncated;
                Some(Err(if cut { start.malformed(Reason::Truncated, start.remaining()) } else { malformed }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Definition, Field, Templates, VARIABLE_LENGTH};
    use crate::cursor::Cursor;
    use crate::malformed::{Malformed, Reason};
    use crate::set::{Set, SetKind};
    use std::vec::Vec;

    fn templates(kind: SetKind, octets: &[u8]) -> Templates<'_> {
        Templates::new(&Set { kind, id: 2, offset: 0, body: Cursor::with_base(octets, 4) })
    }

    fn only<'a>(kind: SetKind, octets: &'a [u8]) -> Result<Definition<'a>, Malformed> {
        let mut templates = templates(kind, octets);
        let first = templates.next().unwrap();
        assert!(templates.next().is_none());
        first
    }

    //= RFC 7011 section 3.2
    //# If this bit is zero, the Information Element identifier identifies an Information Element in
    //# [IANA-IPFIX], and the four-octet Enterprise Number field MUST NOT be present.
    //= RFC 7011 section 3.2
    //# If this bit is one, the Information Element identifier identifies an enterprise-specific Information
    //# Element, and the Enterprise Number field MUST be present.
    #[test]
    fn a_template_lists_its_fields_with_enterprise_and_place() {
        let octets = [
            0x01, 0x00, 0x00, 0x03, // template 256, 3 fields
            0x00, 0x08, 0x00, 0x04, // sourceIPv4Address, 4 octets
            0x80, 0x01, 0x00, 0x08, 0x00, 0x00, 0x72, 0x79, // element 1 of PEN 29305, 8 octets
            0x00, 0x52, 0xff, 0xff, // interfaceName, variable
            0x00, 0x00, // padding
        ];
        let Ok(Definition::Template(template)) = only(SetKind::Templates, &octets) else { panic!() };
        assert_eq!((template.id, template.field_count, template.scope_count), (256, 3, 0));
        let fields: Vec<_> = template.fields().map(|specifier| (specifier.field, specifier.offset)).collect();
        let reverse = Field { pen: 29_305, id: 1, length: 8 };
        assert_eq!(fields, [(Field::iana(8, 4), 8), (reverse, 12), (Field::iana(82, VARIABLE_LENGTH), 20)]);
    }

    #[test]
    fn an_options_template_marks_its_scope() {
        let octets = [
            0x01, 0x01, 0x00, 0x02, 0x00, 0x01, // template 257, 2 fields, 1 of scope
            0x00, 0x95, 0x00, 0x04, // observationDomainId
            0x00, 0x22, 0x00, 0x04, // samplingInterval
        ];
        let Ok(Definition::Template(template)) = only(SetKind::OptionsTemplates, &octets) else { panic!() };
        assert!(template.options);
        let scopes: Vec<_> = template.fields().map(|specifier| specifier.scope).collect();
        assert_eq!(scopes, [true, false]);
    }

    // RFC 7011 section 8.1.
    #[test]
    fn withdrawals_name_one_template_or_all() {
        let octets = [0x01, 0x00, 0, 0, 0x00, 0x02, 0, 0];
        let found: Vec<_> = templates(SetKind::Templates, &octets).map(Result::unwrap).collect();
        assert!(matches!(found[..], [Definition::Withdrawal(256), Definition::WithdrawAll]));
        assert!(matches!(only(SetKind::OptionsTemplates, &[0, 3, 0, 0]), Ok(Definition::WithdrawAll)));
        assert_eq!(
            only(SetKind::OptionsTemplates, &[0, 2, 0, 0]).unwrap_err(),
            Malformed::new(Reason::BadTemplateId, 4, 4)
        );
    }

    //= RFC 7011 section 9
    //# The Collecting Process MUST accept padding in Data Records and Template Records.
    #[test]
    fn an_id_of_zero_is_padding_or_the_end() {
        assert!(templates(SetKind::Templates, &[0; 9]).next().is_none());
        let octets = [0, 0, 0, 0, 1, 0, 0, 1, 0, 8, 0, 4];
        assert_eq!(
            only(SetKind::Templates, &octets).unwrap_err(),
            Malformed::new(Reason::BadTemplateId, 4, 12)
        );
    }

    #[test]
    fn a_bad_record_does_not_hide_the_next() {
        let octets = [
            0x00, 0xff, 0x00, 0x01, 0x00, 0x08, 0x00, 0x04, // template id 255
            0x01, 0x00, 0x00, 0x01, 0x00, 0x08, 0x00, 0x00, // 256 with one field of no octets
            0x01, 0x01, 0x00, 0x01, 0x00, 0x08, 0x00, 0x04, // 257
        ];
        let found: Vec<_> = templates(SetKind::Templates, &octets).collect();
        assert_eq!(found[0].unwrap_err(), Malformed::new(Reason::BadTemplateId, 4, 8));
        assert_eq!(found[1].unwrap_err(), Malformed::new(Reason::ZeroLengthRecord, 12, 8));
        assert!(matches!(found[2], Ok(Definition::Template(template)) if template.id == 257));
    }

    #[test]
    fn empty_fields_are_bounded_by_the_record() {
        for (empty, octets, accepted) in [(17, 1, true), (18, 1, false), (18, 2, true)] {
            let mut record = std::vec![1, 0, 0, empty + 1, 0, 4, 0, octets];
            record.extend([0, 8, 0, 0].repeat(usize::from(empty)));
            let reason = only(SetKind::Templates, &record).err().map(|malformed| malformed.reason);
            assert_eq!(reason, (!accepted).then_some(Reason::TooManyEmptyFields));
        }
    }

    //= RFC 7011 section 3.4.2.2
    //# The Scope Field Count MUST NOT be zero.
    #[test]
    fn scope_counts_are_one_to_the_field_count() {
        for (scope_count, bad) in [(0, true), (1, false), (2, true)] {
            let octets = [1, 1, 0, 1, 0, scope_count, 0, 149, 0, 4];
            let reason = only(SetKind::OptionsTemplates, &octets).err().map(|malformed| malformed.reason);
            assert_eq!(reason, bad.then_some(Reason::BadScopeCount));
        }
    }

    #[test]
    fn a_count_beyond_the_set_is_truncated() {
        let octets = [0x01, 0x00, 0xff, 0xff, 0x00, 0x08, 0x00, 0x04];
        assert_eq!(only(SetKind::Templates, &octets).unwrap_err(), Malformed::new(Reason::Truncated, 4, 8));
    }

    #[test]
    fn a_field_survives_its_stored_form() {
        let field = Field { pen: 29_305, id: 0x7fff, length: VARIABLE_LENGTH };
        assert_eq!(Field::from_octets(field.to_octets()), field);
    }
}
