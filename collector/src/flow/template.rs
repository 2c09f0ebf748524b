//! Template sets in, the templates of one exporter out: each is octets that explain records, and a plan.
//!
//! Templates are replaced by newer ones of the same id, forgotten when too old, and bounded in number and
//! length; an exporter cannot withdraw them over UDP (RFC 7011 section 8.1).

use std::sync::Arc;

use hashbrown::HashMap;
use wire::ipfix::template::{Field, Template};

use super::plan::{Plan, Plans};

/// A template as the columns `template` and options contexts carry it.
///
/// ```text
/// | options 1, else 0 | scope field count, 2 octets | field count, 2 octets | fields, 8 octets each |
/// field: enterprise number 4, element id 2, length 2 (65535: variable); all big-endian
/// ```
/// Scope fields come first; those of NetFlow v9 have [`wire::element::NETFLOW9_SCOPE_PEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateOctets<'a> {
    /// Whether it is an options template.
    pub is_options: bool,
    /// Leading fields that are scope.
    pub scope_count: u16,
    fields: &'a [[u8; Field::OCTETS]],
}

impl<'a> TemplateOctets<'a> {
    /// Reads the octets of a column or context. `None` if they are not a template's.
    #[must_use]
    pub fn read(octets: &'a [u8]) -> Option<Self> {
        let (&[options, scope_high, scope_low, count_high, count_low], rest) = octets.split_first_chunk()?;
        let (fields, []) = rest.as_chunks() else { return None };
        let count = usize::from(u16::from_be_bytes([count_high, count_low]));
        let scope_count = u16::from_be_bytes([scope_high, scope_low]);
        (fields.len() == count).then_some(Self { is_options: options != 0, scope_count, fields })
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

/// The templates of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_id: HashMap<u16, Entry>,
    /// No template was learnt before this, monotonic ns.
    oldest_ns: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    plan: Arc<Plan>,
    learnt_ns: u64,
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
    /// The plan of a template.
    pub(crate) fn plan(&self, id: u16) -> Option<&Arc<Plan>> {
        self.by_id.get(&id).map(|entry| &entry.plan)
    }

    /// Takes a template by its octets.
    pub(crate) fn learn(&mut self, id: u16, octets: &[u8], plans: &mut Plans, now_ns: u64) -> Option<Learnt> {
        if let Some(entry) = self.by_id.get_mut(&id)
            && entry.plan.octets() == octets
        {
            entry.learnt_ns = now_ns;
            return Some(Learnt::Same);
        }
        let plan = plans.plan(octets)?;
        self.oldest_ns = Some(self.oldest_ns.map_or(now_ns, |oldest_ns| oldest_ns.min(now_ns)));
        let before = self.by_id.insert(id, Entry { plan, learnt_ns: now_ns });
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
        before - self.by_id.len()
    }

    /// Forgets templates not learnt again for `lifetime_ns`. Returns how many.
    pub(crate) fn expire(&mut self, now_ns: u64, lifetime_ns: u64) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, entry| now_ns.saturating_sub(entry.learnt_ns) < lifetime_ns);
        self.oldest_ns = self.by_id.values().map(|entry| entry.learnt_ns).min();
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

    /// All of them: id, octets, when learnt (monotonic ns).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &[u8], u64)> {
        self.by_id.iter().map(|(&id, entry)| (id, entry.plan.octets(), entry.learnt_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Interest;

    fn octets(fields: &[Field]) -> Vec<u8> {
        let mut octets = Vec::new();
        TemplateOctets::write(&mut octets, false, 0, fields.iter().copied());
        octets
    }

    fn plans() -> Plans {
        Plans::new(&crate::schema::schemas(&Interest::default()), 100)
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
    fn templates_are_refreshed_replaced_and_expire() {
        let (mut templates, mut plans) = (Templates::default(), plans());
        let (one, two) = (octets(&[Field::iana(8, 4)]), octets(&[Field::iana(12, 4)]));
        assert_eq!(templates.learn(256, &one, &mut plans, 10), Some(Learnt::New));
        assert_eq!(templates.learn(256, &one, &mut plans, 20), Some(Learnt::Same));
        assert_eq!(templates.due_ns(100), Some(110));
        assert_eq!(templates.learn(256, &two, &mut plans, 30), Some(Learnt::Changed));
        assert_eq!(templates.expire(129, 100), 0);
        assert_eq!(templates.expire(130, 100), 1);
        assert!(templates.plan(256).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let (mut templates, mut plans) = (Templates::default(), plans());
        for id in 256..272 {
            templates.learn(id, &octets(&[Field::iana(8, 4)]), &mut plans, u64::from(id));
        }
        assert_eq!(templates.make_room(17), 0);
        assert_eq!(templates.make_room(16), 3);
        assert!(templates.plan(258).is_none() && templates.plan(259).is_some());
        assert_eq!(templates.len(), 13);
    }
}
