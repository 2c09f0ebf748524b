//! Template sets in, the templates of one exporter out: each is octets that explain records, and a plan.
//!
//! Templates are replaced by newer ones of the same id, forgotten when too old, and bounded in number and
//! length; an exporter cannot withdraw them over UDP (RFC 7011 section 8.1).

mod octets;

use std::sync::Arc;

use wire::ipfix::template::Field;

use super::announced::Announced;
use super::plan::{Plan, Plans};

pub use octets::{Described, TemplateOctets};
use octets::{ELEMENT, is_unknown};

/// Inner templates that one template carries at most, lowest ids first.
const MAX_INNER: usize = 64;
/// Octets of a template with its explanations at which no more are added.
const MAX_OCTETS: usize = 16 * 1024;

/// The templates of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    /// By id, ascending: most exporters number their templates without a gap, so that an id tells its place.
    entries: Vec<Entry>,
    /// Id of the first.
    first_id: u16,
    /// No template was learnt before this, monotonic ns.
    oldest_ns: Option<u64>,
    /// Counts changes of the table: plans of templates that need explanations are made anew after one.
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    id: u16,
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
        self.place(id).is_ok()
    }

    /// The plan of a template.
    pub(crate) fn plan(&mut self, id: u16, announced: &Announced, plans: &mut Plans) -> Option<&Arc<Plan>> {
        // Both only grow, so no two states have the same sum.
        let changes = self.changes.wrapping_add(announced.changes());
        let at = self.place(id).ok()?;
        if self.entries.get(at)?.explained_as_of.is_some_and(|as_of| as_of != changes) {
            self.explain(at, changes, announced, plans);
        }
        self.entries.get(at).map(|entry| &entry.plan)
    }

    /// Where the entry of an id is, or where it would be.
    #[inline]
    fn place(&self, id: u16) -> Result<usize, usize> {
        let guess = usize::from(id.wrapping_sub(self.first_id));
        if self.entries.get(guess).is_some_and(|entry| entry.id == id) {
            return Ok(guess);
        }
        self.entries.binary_search_by_key(&id, |entry| entry.id)
    }

    /// Gives a template the explanations of this moment: inner templates if it has lists, and descriptions of
    /// elements.
    fn explain(&mut self, at: usize, changes: u64, announced: &Announced, plans: &mut Plans) {
        let Some(entry) = self.entries.get(at) else { return };
        let Some(template) = TemplateOctets::read(entry.plan.octets()) else { return };
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
        if let (Some(entry), Some(plan)) = (self.entries.get_mut(at), plan) {
            entry.plan = plan;
            entry.explained_as_of = Some(changes);
        }
    }

    /// Appends the exporter's other templates, and what in them has no name.
    fn add_inner(&self, octets: &mut Vec<u8>, described: &mut Vec<Field>) {
        let others = self.entries.iter().filter(|entry| !entry.plan.is_options);
        for Entry { id, plan, .. } in others.take(MAX_INNER) {
            let own = TemplateOctets::own(plan.octets());
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
        let place = self.place(id);
        if let Ok(at) = place
            && let Some(entry) = self.entries.get_mut(at)
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
        let entry = Entry { id, plan, learnt_ns: now_ns, explained_as_of: needs_more.then_some(0) };
        self.changes += 1;
        let learnt = match place.map(|at| self.entries.get_mut(at)) {
            Ok(Some(known)) => {
                *known = entry;
                Learnt::Changed
            }
            Ok(None) => Learnt::New,
            Err(at) => {
                self.entries.insert(at, entry);
                Learnt::New
            }
        };
        self.note_first();
        Some(learnt)
    }

    /// Makes room when there are `max` templates or more: the eighth of them that was learnt first goes. Returns
    /// how many went.
    pub(crate) fn make_room(&mut self, max: usize) -> usize {
        let before = self.entries.len();
        if before < max {
            return 0;
        }
        let mut ages: Vec<u64> = self.entries.iter().map(|entry| entry.learnt_ns).collect();
        ages.sort_unstable();
        let cut = ages.get(before / 8).copied().unwrap_or(u64::MAX);
        let mut left = before / 8 + 1;
        self.entries.retain(|entry| {
            let goes = entry.learnt_ns <= cut && left > 0;
            left -= usize::from(goes);
            !goes
        });
        self.changes += 1;
        self.note_first();
        before - self.entries.len()
    }

    /// Forgets templates not learnt again for `lifetime_ns`. Returns how many.
    pub(crate) fn expire(&mut self, now_ns: u64, lifetime_ns: u64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|entry| now_ns.saturating_sub(entry.learnt_ns) < lifetime_ns);
        self.oldest_ns = self.entries.iter().map(|entry| entry.learnt_ns).min();
        self.changes += 1;
        self.note_first();
        before - self.entries.len()
    }

    /// Before which [`Templates::expire`] need not be asked.
    pub(crate) fn due_ns(&self, lifetime_ns: u64) -> Option<u64> {
        self.oldest_ns.map(|oldest_ns| oldest_ns.saturating_add(lifetime_ns))
    }

    fn note_first(&mut self) {
        self.first_id = self.entries.first().map_or(0, |entry| entry.id);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All of them: id, own octets, when learnt (monotonic ns).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &[u8], u64)> {
        self.entries.iter().map(|entry| (entry.id, TemplateOctets::own(entry.plan.octets()), entry.learnt_ns))
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
