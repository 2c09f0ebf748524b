//! The octets of a template as rows carry them: written for a template of the wire, read by whoever explains a record.

use wire::element::{DataType, lookup};
use wire::ipfix::template::{Field, Template};

/// A template as the columns `template` and options contexts carry it.
///
/// ```text
/// | options 1, else 0 | scope field count 2 | field count 2 | fields 8 each | explanations |
/// field: enterprise number 4, element id 2, length 2 (65535: variable); all big-endian
/// explanation: | template id 2 | field count 2 | fields 8 each |                                an inner template
///              | 0 2 | enterprise number 4 | element id 2 | type 1 | name length 1 | name |     an element
/// ```
/// Scope fields come first; those of NetFlow v9 have [`wire::element::NETFLOW9_SCOPE_PEN`]. Inner templates are
/// there only where a field is a subTemplateList or subTemplateMultiList (RFC 6313): the exporter's other
/// templates, by which the records of such lists are read. Elements are those that have no name in the registry and
/// that the exporter has described (RFC 5610).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateOctets<'a> {
    /// Whether it is an options template.
    pub is_options: bool,
    /// Leading fields that are scope.
    pub scope_count: u16,
    fields: FieldOctets<'a>,
    explanations: &'a [u8],
}

/// What an exporter says of an element of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described<'a> {
    /// Private enterprise number.
    pub pen: u32,
    /// Element id.
    pub id: u16,
    /// Its type.
    pub data_type: DataType,
    /// Its name: letters, digits and hyphens of ASCII.
    pub name: &'a str,
}

/// One explanation behind the fields of a template.
enum Explanation<'a> {
    Inner(u16, FieldOctets<'a>),
    Element(Described<'a>),
}

/// Fields, each as its octets.
type FieldOctets<'a> = &'a [[u8; Field::OCTETS]];

/// What stands in the place of an inner template's id for an element.
pub(super) const ELEMENT: u16 = 0;

impl<'a> TemplateOctets<'a> {
    /// Reads the octets of a column or context. `None` if they are not a template's.
    #[must_use]
    pub fn read(octets: &'a [u8]) -> Option<Self> {
        let (&[options, scope_high, scope_low], rest) = octets.split_first_chunk()?;
        let (fields, explanations) = split_fields(rest)?;
        let mut left = explanations;
        while !left.is_empty() {
            (_, left) = split_explanation(left)?;
        }
        let scope_count = u16::from_be_bytes([scope_high, scope_low]);
        Some(Self { is_options: options != 0, scope_count, fields, explanations })
    }

    /// The octets of a template without its explanations.
    pub(crate) fn own(octets: &'a [u8]) -> &'a [u8] {
        let explanations = Self::read(octets).map_or(0, |template| template.explanations.len());
        octets.get(..octets.len() - explanations).unwrap_or(octets)
    }

    /// Whether its exporter may describe some of its fields.
    pub(super) fn has_unknown(&self) -> bool {
        self.fields().any(is_unknown)
    }

    /// Whether records of another template can stand in its fields.
    pub(super) fn has_lists(&self) -> bool {
        let data_type = |field: Field| lookup(field.pen, field.id).map(|element| element.data_type);
        self.fields()
            .filter_map(data_type)
            .any(|kind| matches!(kind, DataType::SubTemplateList | DataType::SubTemplateMultiList))
    }

    /// The inner templates with their ids, by ascending id.
    pub fn inner(&self) -> impl Iterator<Item = (u16, Vec<Field>)> + use<'a> {
        self.explanations().filter_map(|explanation| match explanation {
            Explanation::Inner(id, fields) => {
                Some((id, fields.iter().map(|octets| Field::from_octets(*octets)).collect()))
            }
            Explanation::Element(_) => None,
        })
    }

    /// The elements that the exporter has described.
    pub fn described(&self) -> impl Iterator<Item = Described<'a>> + use<'a> {
        self.explanations().filter_map(|explanation| match explanation {
            Explanation::Element(described) => Some(described),
            Explanation::Inner(..) => None,
        })
    }

    fn explanations(&self) -> impl Iterator<Item = Explanation<'a>> + use<'a> {
        let mut left = self.explanations;
        std::iter::from_fn(move || {
            let (explanation, rest) = split_explanation(left)?;
            left = rest;
            Some(explanation)
        })
    }

    /// Its fields, in the order of the record.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field> + use<'a> {
        self.fields.iter().map(|octets| Field::from_octets(*octets))
    }

    /// Puts the octets of a template in the place of whatever is in `to`.
    pub(crate) fn write(
        to: &mut Vec<u8>,
        options: bool,
        scope_count: u16,
        fields: impl Iterator<Item = Field>,
    ) {
        to.clear();
        to.push(u8::from(options));
        to.extend(scope_count.to_be_bytes());
        to.extend([0; 2]);
        let count = fields.map(|field| to.extend(field.to_octets())).count();
        let count = u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes();
        for (to, octet) in to.iter_mut().skip(3).zip(count) {
            *to = octet;
        }
    }

    /// Puts the octets of a template of the wire in the place of whatever is in `to`.
    pub(crate) fn write_template(to: &mut Vec<u8>, template: &Template<'_>) {
        let fields = template.fields().map(|specifier| specifier.field);
        Self::write(to, template.options, template.scope_count, fields);
    }
}

/// A field count with its fields, and what follows.
fn split_fields(octets: &[u8]) -> Option<(FieldOctets<'_>, &[u8])> {
    let (count, rest) = octets.split_first_chunk()?;
    let (fields, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * Field::OCTETS)?;
    Some((fields.as_chunks().0, rest))
}

/// The first of some explanations, and the others.
fn split_explanation(octets: &[u8]) -> Option<(Explanation<'_>, &[u8])> {
    let (id, rest) = octets.split_first_chunk()?;
    let id = u16::from_be_bytes(*id);
    if id != ELEMENT {
        let (fields, rest) = split_fields(rest)?;
        return Some((Explanation::Inner(id, fields), rest));
    }
    let (pen, rest) = rest.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (&[data_type, length], rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let described = Described {
        pen: u32::from_be_bytes(*pen),
        id: u16::from_be_bytes(*id),
        data_type: DataType::from_code(data_type)?,
        name: std::str::from_utf8(name).ok()?,
    };
    Some((Explanation::Element(described), rest))
}

/// Whether the registry has no name for an element of an enterprise.
pub(super) fn is_unknown(field: Field) -> bool {
    field.pen != 0 && lookup(field.pen, field.id).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_explain_the_template() {
        let fields = [Field { pen: 9, id: 7, length: 4 }, Field::iana(82, 0xffff)];
        let mut octets = vec![1, 2, 3];
        TemplateOctets::write(&mut octets, true, 1, fields.into_iter());
        let template = TemplateOctets::read(&octets).unwrap();
        assert_eq!((template.is_options, template.scope_count), (true, 1));
        assert_eq!(template.fields().collect::<Vec<_>>(), fields);
        for length in 0..octets.len() {
            assert_eq!(TemplateOctets::read(&octets[..length]), None);
        }
    }
}
