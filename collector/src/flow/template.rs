//! Template sets in, the templates of one exporter out: each is octets that explain records, and a plan.
//!
//! Templates are replaced by newer ones of the same id, forgotten when too old, and bounded in number and
//! length; an exporter cannot withdraw them over UDP (RFC 7011 section 8.1).

use std::sync::Arc;

use hashbrown::HashMap;
use wire::element::{DataType, lookup};
use wire::ipfix::template::{Field, Template};

use super::announced::Announced;
use super::plan::{Plan, Plans};

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

/// Inner templates that one template carries at most, lowest ids first.
const MAX_INNER: usize = 64;
/// Octets of a template with its explanations at which no more are added.
const MAX_OCTETS: usize = 16 * 1024;
/// What stands in the place of an inner template's id for an element.
const ELEMENT: u16 = 0;

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
    fn has_unknown(&self) -> bool {
        self.fields().any(is_unknown)
    }

    /// Whether records of another template can stand in its fields.
    fn has_lists(&self) -> bool {
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
fn is_unknown(field: Field) -> bool {
    field.pen != 0 && lookup(field.pen, field.id).is_none()
}

/// The templates of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_id: HashMap<u16, Entry>,
    /// No template was learnt before this, monotonic ns.
    oldest_ns: Option<u64>,
    /// Counts changes of the table: plans of templates that need explanations are made anew after one.
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    plan: Arc<Plan>,
    learnt_ns: u64,
    /// For a template that needs explanations: the changes that those it has are of.
    explained_as_of: Option<u64>,
}

/// What became of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learnt {
    /// Not known before.
    New,
    /// Known with the same fields: its age starts again.
    Same,
    /// Known with other fields: replaced.
    Changed,
}

impl Templates {
    /// Whether a template is known.
    pub(crate) fn knows(&self, id: u16) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The plan of a template.
    pub(crate) fn plan(&mut self, id: u16, announced: &Announced, plans: &mut Plans) -> Option<&Arc<Plan>> {
        // Both only grow, so no two states have the same sum.
        let changes = self.changes.wrapping_add(announced.changes());
        if self.by_id.get(&id)?.explained_as_of.is_some_and(|as_of| as_of != changes) {
            self.explain(id, changes, announced, plans);
        }
        self.by_id.get(&id).map(|entry| &entry.plan)
    }

    /// Gives a template the explanations of this moment: inner templates if it has lists, and descriptions of
    /// elements.
    fn explain(&mut self, id: u16, changes: u64, announced: &Announced, plans: &mut Plans) {
        let Some(template) = self.by_id.get(&id).and_then(|entry| TemplateOctets::read(entry.plan.octets()))
        else {
            return;
        };
        let Some(entry) = self.by_id.get(&id) else { return };
        let mut octets = TemplateOctets::own(entry.plan.octets()).to_vec();
        let mut described: Vec<Field> = template.fields().filter(|field| is_unknown(*field)).collect();
        if template.has_lists() {
            self.add_inner(&mut octets, &mut described);
        }
        described.sort_unstable_by_key(|field| (field.pen, field.id));
        described.dedup_by_key(|field| (field.pen, field.id));
        for Field { pen, id, .. } in described {
            let Some(announcement) = announced.get(pen, id) else { continue };
            if octets.len() + announcement.name.len() > MAX_OCTETS {
                break;
            }
            octets.extend(ELEMENT.to_be_bytes());
            octets.extend(pen.to_be_bytes());
            octets.extend(id.to_be_bytes());
            octets.push(announcement.data_type);
            octets.push(u8::try_from(announcement.name.len()).unwrap_or(u8::MAX));
            octets.extend_from_slice(&announcement.name);
        }
        let plan = plans.plan(&octets);
        if let (Some(entry), Some(plan)) = (self.by_id.get_mut(&id), plan) {
            entry.plan = plan;
            entry.explained_as_of = Some(changes);
        }
    }

    /// Appends the exporter's other templates, and what in them has no name.
    fn add_inner(&self, octets: &mut Vec<u8>, described: &mut Vec<Field>) {
        let mut others: Vec<_> = self.by_id.iter().filter(|(_, entry)| !entry.plan.is_options).collect();
        others.sort_unstable_by_key(|(id, _)| **id);
        for (id, entry) in others.into_iter().take(MAX_INNER) {
            let own = TemplateOctets::own(entry.plan.octets());
            // Behind the octets for options and scope.
            let inner = own.get(3..).unwrap_or_default();
            if octets.len() + inner.len() > MAX_OCTETS {
                break;
            }
            octets.extend(id.to_be_bytes());
            octets.extend_from_slice(inner);
            let fields = TemplateOctets::read(own).into_iter().flat_map(|template| template.fields());
            described.extend(fields.filter(|field| is_unknown(*field)));
        }
    }

    /// Takes a template by its octets.
    pub(crate) fn learn(&mut self, id: u16, octets: &[u8], plans: &mut Plans, now_ns: u64) -> Option<Learnt> {
        if let Some(entry) = self.by_id.get_mut(&id)
            && TemplateOctets::own(entry.plan.octets()) == octets
        {
            entry.learnt_ns = now_ns;
            return Some(Learnt::Same);
        }
        let plan = plans.plan(octets)?;
        self.oldest_ns = Some(self.oldest_ns.map_or(now_ns, |oldest_ns| oldest_ns.min(now_ns)));
        let template = TemplateOctets::read(octets)?;
        let needs_more = plans.wants_templates() && (template.has_lists() || template.has_unknown());
        // No table is in state 0, so that explanations are looked for when first needed.
        let entry = Entry { plan, learnt_ns: now_ns, explained_as_of: needs_more.then_some(0) };
        self.changes += 1;
        let before = self.by_id.insert(id, entry);
        Some(if before.is_some() { Learnt::Changed } else { Learnt::New })
    }

    /// Makes room when there are `max` templates or more: the eighth of them that was learnt first goes. Returns
    /// how many went.
    pub(crate) fn make_room(&mut self, max: usize) -> usize {
        let before = self.by_id.len();
        if before < max {
            return 0;
        }
        let mut ages: Vec<u64> = self.by_id.values().map(|entry| entry.learnt_ns).collect();
        ages.sort_unstable();
        let cut = ages.get(before / 8).copied().unwrap_or(u64::MAX);
        let mut left = before / 8 + 1;
        self.by_id.retain(|_, entry| {
            let goes = entry.learnt_ns <= cut && left > 0;
            left -= usize::from(goes);
            !goes
        });
        self.changes += 1;
        before - self.by_id.len()
    }

    /// Forgets templates not learnt again for `lifetime_ns`. Returns how many.
    pub(crate) fn expire(&mut self, now_ns: u64, lifetime_ns: u64) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, entry| now_ns.saturating_sub(entry.learnt_ns) < lifetime_ns);
        self.oldest_ns = self.by_id.values().map(|entry| entry.learnt_ns).min();
        self.changes += 1;
        before - self.by_id.len()
    }

    /// Before which [`Templates::expire`] need not be asked.
    pub(crate) fn due_ns(&self, lifetime_ns: u64) -> Option<u64> {
        self.oldest_ns.map(|oldest_ns| oldest_ns.saturating_add(lifetime_ns))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All of them: id, own octets, when learnt (monotonic ns).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &[u8], u64)> {
        self.by_id.iter().map(|(&id, entry)| (id, TemplateOctets::own(entry.plan.octets()), entry.learnt_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Interest;
    use crate::settings::JoinAddress;

    fn octets(fields: &[Field]) -> Vec<u8> {
        let mut octets = Vec::new();
        TemplateOctets::write(&mut octets, false, 0, fields.iter().copied());
        octets
    }

    fn plans() -> Plans {
        Plans::new(&crate::schema::schemas(&Interest::default()), 100, JoinAddress::Last)
    }

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

    #[test]
    fn templates_with_lists_carry_those_of_the_lists() {
        let interest = Interest { whole_records: true, ..Interest::default() };
        let mut plans = Plans::new(&crate::schema::schemas(&interest), 100, JoinAddress::Last);
        let mut templates = Templates::default();
        let (list, one) = ([Field::iana(292, 0xffff)], [Field::iana(8, 4), Field::iana(4, 1)]);
        let inner = |templates: &mut Templates, plans: &mut Plans| -> Vec<_> {
            let plan = Arc::clone(templates.plan(256, &Announced::default(), plans).unwrap());
            TemplateOctets::read(plan.octets()).unwrap().inner().collect()
        };
        templates.learn(256, &octets(&list), &mut plans, 1);
        assert_eq!(inner(&mut templates, &mut plans), [(256, list.to_vec())]);
        templates.learn(300, &octets(&one), &mut plans, 1);
        let both = [(256, list.to_vec()), (300, one.to_vec())];
        assert_eq!(inner(&mut templates, &mut plans), both);
        assert_eq!(templates.learn(256, &octets(&list), &mut plans, 2), Some(Learnt::Same));
        assert_eq!(inner(&mut templates, &mut plans), both);
        let plan = Arc::clone(templates.plan(256, &Announced::default(), &mut plans).unwrap());
        for length in octets(&list).len() + 1..plan.octets().len() {
            let cut = TemplateOctets::read(&plan.octets()[..length]);
            assert!(cut.is_none_or(|template| template.inner().count() == 1));
        }
    }

    #[test]
    fn templates_are_refreshed_replaced_and_expire() {
        let (mut templates, mut plans) = (Templates::default(), plans());
        let (one, two) = (octets(&[Field::iana(8, 4)]), octets(&[Field::iana(12, 4)]));
        assert_eq!(templates.learn(256, &one, &mut plans, 10), Some(Learnt::New));
        assert_eq!(templates.learn(256, &one, &mut plans, 20), Some(Learnt::Same));
        assert_eq!(templates.due_ns(100), Some(110));
        assert_eq!(templates.learn(256, &two, &mut plans, 30), Some(Learnt::Changed));
        assert_eq!(templates.expire(129, 100), 0);
        assert_eq!(templates.expire(130, 100), 1);
        assert!(!templates.knows(256));
    }

    #[test]
    fn the_oldest_make_room() {
        let (mut templates, mut plans) = (Templates::default(), plans());
        for id in 256..272 {
            templates.learn(id, &octets(&[Field::iana(8, 4)]), &mut plans, u64::from(id));
        }
        assert_eq!(templates.make_room(17), 0);
        assert_eq!(templates.make_room(16), 3);
        assert!(!templates.knows(258) && templates.knows(259));
        assert_eq!(templates.len(), 13);
    }
}
