//! A template that travels in a batch -> the keys of its fields, prepared once and used for every record of it.

use std::fmt::Write as _;

use collector::flow::template::{Described, TemplateOctets};
use hashbrown::HashMap;
use wire::element::{DataType, Name, lookup};
use wire::ipfix::template::Field;

/// IE 210, paddingOctets: never printed.
const PADDING: (u32, u16) = (0, 210);
/// Prepared templates kept before all are forgotten and made again.
const MAX_PREPARED: usize = 4_096;

/// One field of a prepared template.
#[derive(Debug)]
pub(super) struct PreparedField {
    pub(super) field: Field,
    /// `"name":`, with `_2`, `_3` for later occurrences; empty for padding.
    pub(super) key: Box<[u8]>,
    /// `"e<PEN>id<N>":`, for octets that the type does not allow.
    pub(super) raw_key: Box<[u8]>,
    /// `None`: the element is unknown.
    pub(super) data_type: Option<DataType>,
}

/// A template ready to print records.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) scope_count: usize,
    pub(super) fields: Box<[PreparedField]>,
    /// The fields alone, as wire's record view takes them.
    pub(super) wire: Box<[Field]>,
    /// The templates that records in its lists are made by.
    pub(super) inner: Inner,
}

/// Prepared templates by their ids.
pub(super) type Inner = HashMap<u16, Prepared>;

impl Prepared {
    fn new(octets: &[u8]) -> Option<Self> {
        let template = TemplateOctets::read(octets)?;
        let described: Vec<Described<'_>> = template.described().collect();
        let inner =
            template.inner().map(|(id, fields)| (id, Self::of(fields.into(), 0, &described))).collect();
        let fields = template.fields().collect();
        Some(Self { inner, ..Self::of(fields, template.scope_count.into(), &described) })
    }

    fn of(wire: Box<[Field]>, scope_count: usize, described: &[Described<'_>]) -> Self {
        let mut seen: HashMap<(u32, u16), u32> = HashMap::new();
        let mut text = String::new();
        let mut key = |name: std::fmt::Arguments<'_>, nth: u32| {
            text.clear();
            // Writing into memory cannot fail.
            let _ = write!(text, "\"{name}");
            if nth > 1 {
                let _ = write!(text, "_{nth}");
            }
            text.push_str("\":");
            Box::from(text.as_bytes())
        };
        let fields = wire
            .iter()
            .map(|&field| {
                let nth = seen.entry((field.pen, field.id)).or_default();
                *nth += 1;
                let name = Name { pen: field.pen, id: field.id };
                let described = description(described, field);
                let data_type = lookup(field.pen, field.id).map(|element| element.data_type);
                PreparedField {
                    field,
                    key: match described {
                        _ if (field.pen, field.id) == PADDING => Box::default(),
                        Some(described) => key(format_args!("e{}:{}", field.pen, described.name), *nth),
                        None => key(format_args!("{name}"), *nth),
                    },
                    raw_key: key(format_args!("{}", wire::element::Unnamed(name)), *nth),
                    data_type: data_type.or(described.map(|described| described.data_type)),
                }
            })
            .collect();
        Self { scope_count, fields, wire, inner: Inner::new() }
    }
}

/// What the exporter says of a field that has no name in the registry, unless it gives the name to two elements:
/// the key is `e<PEN>:name`, so that it can be no other's.
fn description<'d>(described: &'d [Described<'d>], field: Field) -> Option<&'d Described<'d>> {
    let found = described.iter().find(|one| (one.pen, one.id) == (field.pen, field.id))?;
    let namesakes = described.iter().filter(|one| (one.pen, one.name) == (found.pen, found.name));
    (lookup(field.pen, field.id).is_none() && namesakes.count() == 1).then_some(found)
}

/// Prepared templates by their octets. One an encoder.
#[derive(Debug, Default)]
pub(super) struct Cache {
    prepared: HashMap<Box<[u8]>, Prepared>,
}

impl Cache {
    /// The prepared form of a template; `None` if the octets are no template.
    pub(super) fn get(&mut self, octets: &[u8]) -> Option<&Prepared> {
        if !self.prepared.contains_key(octets) {
            if self.prepared.len() >= MAX_PREPARED {
                self.prepared.clear();
            }
            self.prepared.insert(octets.into(), Prepared::new(octets)?);
        }
        self.prepared.get(octets)
    }
}
