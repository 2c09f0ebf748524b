//! A data set and the plan of its template in; rows of flows and options out, each record counted once where it
//! is cut off the set and once where it ends.

use std::sync::Arc;

use wire::{Malformed, Reason};

use super::exporter::Knowledge;
use super::header::Header;
use super::key::KeySpace;
use super::layout::Layout;
use super::options::Options;
use super::pending::Run;
use super::place::Records;
use super::plan::{Plan, Plans};
use crate::Turn;
use crate::batch::{Batch, Values};
use crate::input::Now;
use crate::join;
use crate::ledger::{FlowEvent, Kind, Ledgers, RecordEnd};
use crate::message::{self, Context};
use crate::rib::Rib;

/// Space that rows are made in, kept so that nothing is allocated for a set.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    anchors: Vec<u32>,
    numbers: [Vec<u64>; 2],
    keys: KeySpace,
}

/// Records of a set that go into one batch together.
pub(crate) struct Part<'a> {
    pub(crate) records: &'a Records<'a>,
    pub(crate) header: &'a Header,
    pub(crate) layout: &'a Layout,
}

/// One data set whose template is known.
#[derive(Clone, Copy)]
pub(crate) struct DataSet<'a> {
    /// Header of its message.
    pub(crate) header: &'a Header,
    /// Absent for NetFlow v5.
    pub(crate) template_id: Option<u16>,
    /// Its records.
    pub(crate) octets: &'a [u8],
    /// Where they start, in octets from the start of the message.
    pub(crate) offset: usize,
}

/// How many records a set had, and what was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Records read; each has its end.
    pub(crate) records: u32,
    /// The record that runs past the end, or octets that no record fits.
    pub(crate) fault: Option<Malformed>,
}

/// Makes the rows of a set.
pub(crate) fn take(
    set: &DataSet<'_>,
    plan: &Arc<Plan>,
    knowledge: &mut Knowledge,
    plans: &Plans,
    scratch: &mut Scratch,
    rib: &mut Rib,
    turn: &mut Turn<'_>,
) -> Taken {
    let Scratch { anchors, numbers, keys } = scratch;
    let records = plan.shape.cut(set.octets, anchors);
    let n = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let kind = if plan.is_options { Kind::Options } else { Kind::Flow };
    turn.ledgers.records_in(kind, records.len() as u64);
    if plan.is_options {
        learn(plan, &records, knowledge, turn);
    }
    if turn.settings.kinds & (1 << kind.index()) == 0 {
        turn.ledgers.records(kind, RecordEnd::NotWanted, records.len() as u64);
    } else if plan.is_options {
        options(set, plan, &records, turn);
    } else {
        let maker = Maker { set, plan, layout: plans.layout() };
        maker.flows(&records, knowledge, numbers, keys, rib, turn);
    }
    let fault = fault(set, plan, records.used());
    if fault.is_some_and(|fault| fault.reason == Reason::Truncated) {
        turn.ledgers.records_in(kind, 1);
        turn.ledgers.records(kind, RecordEnd::Malformed, 1);
    }
    Taken { records: n, fault }
}

/// What the octets behind the last record mean: padding is shorter than any record (RFC 7011 section 3.3.1).
/// A set of nothing but padding that is not zero is no padding.
fn fault(set: &DataSet<'_>, plan: &Plan, used: usize) -> Option<Malformed> {
    let rest = set.octets.get(used..).unwrap_or_default();
    let is_padding = rest.len() < plan.shape.minimum() && (used > 0 || rest.iter().all(|&octet| octet == 0));
    let fault = || Malformed::new(Reason::Truncated, set.offset + used, rest.len());
    (!is_padding && !rest.is_empty()).then(fault)
}

fn learn(plan: &Plan, records: &Records<'_>, knowledge: &mut Knowledge, turn: &mut Turn<'_>) {
    for row in 0..records.len() {
        let max = turn.settings.max_options_entries_per_exporter;
        let told = knowledge.options.learn(&plan.told, records, row, max);
        let described = plan.told.describes.is_none_or(|at| knowledge.announced.learn(at, records, row, max));
        if !told || !described {
            turn.ledgers.flow_event(FlowEvent::OptionsEntryRefused);
        }
    }
}

fn options(set: &DataSet<'_>, plan: &Plan, records: &Records<'_>, turn: &mut Turn<'_>) {
    let context = Context::Options {
        observation_domain_id: set.header.domain,
        template_id: set.template_id.unwrap_or(0),
        version: set.header.version,
        export_time_ns: set.header.export_ns,
        template: plan.octets(),
    };
    for row in 0..records.len() {
        let end = message::write_row(turn, Kind::Options, &context, records.record(row));
        turn.ledgers.records(Kind::Options, end, 1);
    }
}

/// Makes the rows of flows.
struct Maker<'a> {
    set: &'a DataSet<'a>,
    plan: &'a Arc<Plan>,
    layout: &'a Layout,
}

impl Maker<'_> {
    fn flows(
        &self,
        records: &Records<'_>,
        knowledge: &mut Knowledge,
        numbers: &mut [Vec<u64>; 2],
        keys: &mut KeySpace,
        rib: &mut Rib,
        turn: &mut Turn<'_>,
    ) {
        let (plan, layout) = (self.plan, self.layout);
        let mut run = self.run(turn.exporter, turn.now);
        let mut done = 0;
        while done < records.len() {
            let Some((batch, pending)) = turn.out.flows() else {
                let left = (records.len() - done) as u64;
                turn.ledgers.records(Kind::Flow, RecordEnd::OutletFull, left);
                return;
            };
            run.rows = (records.len() - done).min(batch.room() as usize);
            if plan.is_laid {
                run.rows = pending.make_room(plan, &run, run.rows, batch);
            } else {
                pending.write(batch);
                plan.steps.fill(&records.part(done, run.rows), batch);
                Run::write(&[run], layout, batch);
            }
            let some;
            let records = if run.rows == records.len() {
                records
            } else {
                some = records.part(done, run.rows);
                &some
            };
            let part = Part { records, header: self.set.header, layout };
            if !plan.is_plain || !knowledge.is_plain() || self.set.header.sampling > 0 {
                self.of_session(batch, &part, knowledge, numbers);
            }
            if layout.joins() && turn.settings.join {
                self.join(batch, records, knowledge, keys, rib, turn.ledgers);
            }
            if plan.is_laid {
                pending.lay(records, &run);
            }
            done += run.rows;
            batch.grow_rows(u32::try_from(run.rows).unwrap_or(u32::MAX));
            turn.ledgers.records(Kind::Flow, RecordEnd::Row, run.rows as u64);
        }
    }

    /// What all rows of the set have in common.
    const fn run(&self, exporter: [u8; 16], now: Now) -> Run {
        let header = self.set.header;
        Run {
            rows: 0,
            exporter,
            received_ns: now.unix_ns,
            frame: now.frame,
            template_id: self.set.template_id,
            domain: header.domain,
            version: header.version,
            export_ns: header.export_ns,
        }
    }

    /// Columns of the join.
    #[inline(never)]
    fn join(
        &self,
        batch: &mut Batch,
        records: &Records<'_>,
        knowledge: &Knowledge,
        keys: &mut KeySpace,
        rib: &mut Rib,
        ledgers: &mut Ledgers,
    ) {
        let keys = self.plan.keys.fill(records, knowledge, rib.tables(), keys);
        join::join_sides(self.layout.joins.each_ref(), keys, rib, batch, ledgers);
    }

    /// The template and the octets of each record, for sinks that want whole records.
    #[inline(never)]
    fn whole_records(&self, batch: &mut Batch, records: &Records<'_>) {
        if let Some(column) = self.layout.template
            && let Some(key) = self.plan.choice(batch, column)
            && let Some(Values::Choice { keys, .. }) = batch.values_mut(column)
        {
            keys.resize(keys.len() + records.len(), key);
        }
        if let Some(column) = self.layout.record
            && let Some(Values::Octets { ends, octets }) = batch.values_mut(column)
        {
            let before = octets.len();
            let (whole, record_ends) = records.contiguous();
            octets.extend_from_slice(whole);
            ends.extend(record_ends.map(|end| i32::try_from(before + end).unwrap_or(i32::MAX)));
        }
    }

    /// Columns that hang on the message or on what its session knows, and those of whole records.
    #[inline(never)]
    fn of_session(
        &self,
        batch: &mut Batch,
        part: &Part<'_>,
        knowledge: &mut Knowledge,
        numbers: &mut [Vec<u64>; 2],
    ) {
        let (plan, layout) = (self.plan, self.layout);
        let options = &mut knowledge.options;
        if layout.record.is_some() || layout.template.is_some() {
            self.whole_records(batch, part.records);
        }
        if !plan.is_laid || plan.times.are_relative() {
            plan.times.fill(part, options.boot_ms(), numbers, batch);
        }
        plan.sampling.fill(part, options, knowledge.sampling, batch);
        if options.has_any_names() {
            self.names(batch, part.records, options, numbers);
        }
    }

    /// Names of interfaces and VRFs.
    #[inline(never)]
    fn names(
        &self,
        batch: &mut Batch,
        records: &Records<'_>,
        options: &mut Options,
        numbers: &mut [Vec<u64>; 2],
    ) {
        let (plan, layout) = (self.plan, self.layout);
        for (which, (place, column)) in plan.named_by.iter().zip(&layout.names).enumerate() {
            if let (Some(place), Some(column)) = (place, column)
                && options.has_names(which)
            {
                let [ids, _] = numbers;
                records.numbers(*place, ids);
                options.fill_names(which, ids, batch, *column);
            }
        }
    }
}
