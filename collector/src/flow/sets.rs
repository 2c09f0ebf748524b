//! The sets of one message in; templates learnt, data made rows or kept waiting. Each set has one end.

use std::sync::Arc;

use wire::ipfix::template::{Definition, Template, Templates};
use wire::set::{Set, SetKind, Sets};
use wire::{Cursor, Malformed, Reason};

use super::Shared;
use super::exporter::Exporter;
use super::header::Header;
use super::rows::{self, DataSet, Taken};
use super::template::{Learnt, TemplateOctets};
use super::waiting::WaitingSet;
use crate::Turn;
use crate::ledger::{FlowEvent, MessageEnd, SetEnd};
use crate::message::{write_error, write_fault};
use crate::rib::Rib;

/// Reason of the error row of a template that came again with another layout.
const TEMPLATE_CHANGED: &str = "template_changed";

/// All that the sets of one message are worked on with.
pub(crate) struct Work<'w, 't> {
    pub(crate) shared: &'w mut Shared,
    pub(crate) rib: &'w mut Rib,
    pub(crate) exporter: &'w mut Exporter,
    pub(crate) header: &'w Header,
    /// The whole message: error rows quote it.
    pub(crate) payload: &'w [u8],
    pub(crate) turn: &'w mut Turn<'t>,
}

/// What the sets of a message come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    pub(crate) end: MessageEnd,
    /// Data records; `None`: a set could not be counted.
    pub(crate) records: Option<u32>,
    /// There were templates among them.
    pub(crate) has_templates: bool,
}

impl Work<'_, '_> {
    /// Works on all sets, in order. `templates` reads the definitions of a template set.
    pub(crate) fn sets<'a>(&mut self, sets: Sets<'a>, templates: impl Fn(&Set<'a>) -> Templates<'a>) -> Sum {
        let protocol = self.header.protocol();
        let mut sum = Sum { end: MessageEnd::Decoded, records: Some(0), has_templates: false };
        for set in sets {
            self.turn.ledgers.set_in(protocol);
            let end = match set {
                Ok(Set { kind: SetKind::Data(id), body, .. }) => {
                    let (end, records) = self.data(id, body);
                    sum.records = sum.records.zip(records).map(|(sum, records)| sum.wrapping_add(records));
                    end
                }
                Ok(set) => {
                    sum.has_templates = true;
                    self.templates(templates(&set))
                }
                Err(malformed) => {
                    self.error(malformed);
                    match malformed.reason == Reason::BadSetId {
                        true => SetEnd::ReservedId,
                        false => SetEnd::Malformed,
                    }
                }
            };
            self.turn.ledgers.set(protocol, end);
            if end == SetEnd::Malformed {
                (sum.end, sum.records) = (MessageEnd::Partial, None);
            }
        }
        sum
    }

    fn error(&mut self, malformed: Malformed) {
        let from = usize::try_from(malformed.offset).unwrap_or(usize::MAX);
        let octets = self.payload.get(from..).unwrap_or_default();
        write_error(self.turn, self.header.protocol(), malformed, octets);
    }

    fn data(&mut self, id: u16, body: Cursor<'_>) -> (SetEnd, Option<u32>) {
        let set = DataSet {
            header: self.header,
            template_id: Some(id),
            octets: body.rest(),
            offset: body.offset(),
        };
        match self.take(&set) {
            Some(Taken { records, fault: None }) => (SetEnd::Decoded, Some(records)),
            Some(Taken { fault: Some(fault), .. }) => {
                self.error(fault);
                (SetEnd::Malformed, None)
            }
            None => (self.wait(id, &set), None),
        }
    }

    /// Makes rows of a data set; `None`: its template is not known.
    fn take(&mut self, set: &DataSet<'_>) -> Option<Taken> {
        let Shared { plans, scratch, .. } = &mut *self.shared;
        let plan =
            self.exporter.templates.plan(set.template_id?, &self.exporter.knowledge.announced, plans)?;
        let knowledge = &mut self.exporter.knowledge;
        let taken = rows::take(set, plan, knowledge, plans, scratch, self.rib, self.turn);
        self.exporter.records += u64::from(taken.records);
        Some(taken)
    }

    fn wait(&mut self, template_id: u16, set: &DataSet<'_>) -> SetEnd {
        let bound = self.shared.waiting_bound(self.turn.settings);
        if !self.exporter.waiting.has_room(set.octets.len(), bound) {
            return SetEnd::WaitingFull;
        }
        let kept = WaitingSet {
            template_id,
            header: *set.header,
            received: self.turn.now,
            offset: u32::try_from(set.offset).unwrap_or(u32::MAX),
            octets: set.octets.into(),
        };
        match self.exporter.waiting.push(kept, bound) {
            true => SetEnd::Waiting,
            false => SetEnd::WaitingFull,
        }
    }

    fn templates(&mut self, definitions: Templates<'_>) -> SetEnd {
        let mut end = SetEnd::Decoded;
        for definition in definitions {
            let one = match definition {
                Ok(Definition::Template(template)) => self.template(&template),
                Ok(Definition::Withdrawal(_) | Definition::WithdrawAll) => SetEnd::WithdrawalRefused,
                Err(malformed) => {
                    self.error(malformed);
                    SetEnd::Malformed
                }
            };
            end = worse(end, one);
        }
        end
    }

    fn template(&mut self, template: &Template<'_>) -> SetEnd {
        if usize::from(template.field_count) > self.turn.settings.max_fields_per_template {
            self.turn.ledgers.flow_event(FlowEvent::TemplateTooLong);
            return SetEnd::Refused;
        }
        let mut octets = std::mem::take(&mut self.shared.template);
        TemplateOctets::write_template(&mut octets, template);
        let learnt = self.learn(template.id, &octets);
        self.shared.template = octets;
        match learnt {
            None => return SetEnd::Refused,
            Some(Learnt::Same) => return SetEnd::Decoded,
            Some(Learnt::Changed) => self.changed(template),
            Some(Learnt::New) => {}
        }
        self.replay(template.id);
        SetEnd::Decoded
    }

    /// A template that comes with another layout is what poisoning looks like: counted, and told with its octets.
    fn changed(&mut self, template: &Template<'_>) {
        self.turn.ledgers.flow_event(FlowEvent::TemplateChanged);
        let mut fields = template.fields();
        let start = fields.next().map_or(0, |field| field.offset);
        let end = fields.last().map_or(start, |field| field.offset).saturating_add(4);
        let octets = self.payload.get(start..end.min(self.payload.len())).unwrap_or_default();
        let place = [start, octets.len()].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        write_fault(self.turn, self.header.protocol(), TEMPLATE_CHANGED, place, octets);
    }

    fn learn(&mut self, id: u16, octets: &[u8]) -> Option<Learnt> {
        if !self.exporter.templates.knows(id) {
            for _ in 0..self.exporter.templates.make_room(self.turn.settings.max_templates_per_exporter) {
                self.turn.ledgers.flow_event(FlowEvent::TemplateEvicted);
            }
        }
        let now_ns = self.turn.now.monotonic_ns;
        self.exporter.templates.learn(id, octets, &mut self.shared.plans, now_ns)
    }

    /// Makes rows of the sets that waited for a template, as of the moment they came.
    fn replay(&mut self, template_id: u16) {
        let protocol = self.header.protocol();
        while let Some(kept) = self.exporter.waiting.take(template_id) {
            let set = DataSet {
                header: &kept.header,
                template_id: Some(template_id),
                octets: &kept.octets,
                offset: kept.offset as usize,
            };
            let Shared { plans, scratch, .. } = &mut *self.shared;
            let Exporter { templates, knowledge, .. } = &mut *self.exporter;
            let plan = templates.plan(template_id, &knowledge.announced, plans);
            let Some(plan) = plan.map(Arc::clone) else { return };
            let mut turn = self.turn.at(kept.received);
            let knowledge = &mut self.exporter.knowledge;
            let taken = rows::take(&set, &plan, knowledge, plans, scratch, self.rib, &mut turn);
            self.exporter.records += u64::from(taken.records);
            let end = match taken.fault {
                None => SetEnd::Decoded,
                Some(fault) => {
                    write_error(&mut turn, protocol, fault, &kept.octets);
                    SetEnd::Malformed
                }
            };
            turn.ledgers.set_moved(protocol, SetEnd::Waiting, end);
        }
    }
}

/// The end of a set of templates that end differently.
const fn worse(one: SetEnd, other: SetEnd) -> SetEnd {
    const fn rank(end: SetEnd) -> u8 {
        match end {
            SetEnd::Malformed => 3,
            SetEnd::WithdrawalRefused => 2,
            SetEnd::Refused => 1,
            SetEnd::Decoded
            | SetEnd::Waiting
            | SetEnd::NoTemplate
            | SetEnd::WaitingFull
            | SetEnd::ReservedId
            | SetEnd::WorkerPanic => 0,
        }
    }
    if rank(other) > rank(one) { other } else { one }
}
