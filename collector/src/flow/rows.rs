//! A data set and the plan of its template in; rows of flows and options out, each record counted once where it
//! is cut off the set and once where it ends.

use std::sync::Arc;

use wire::{Malformed, Reason};

use super::exporter::Knowledge;
use super::header::Header;
use super::key::KeySpace;
use super::lane::LaneSpace;
use super::layout::{Layout, repeat};
use super::options::Options;
use super::place::Records;
use super::plan::{Plan, Plans};
use crate::Turn;
use crate::batch::{Batch, Values};
use crate::input::Now;
use crate::join;
use crate::ledger::{FlowEvent, Kind, Ledgers, RecordEnd};
use crate::message::{self, Context};
use crate::rib::Rib;
use crate::schema::{Side, TableId};

/// Columns from which on it pays to lay records side by side.
const WORTH_LANES: usize = 4;

/// Space that rows are made in, kept so that nothing is allocated for a set.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    anchors: Vec<u32>,
    lanes: LaneSpace,
    numbers: [Vec<u64>; 2],
    keys: KeySpace,
}

/// Records of a set that go into one batch together.
pub(crate) struct Part<'a> {
    pub(crate) records: Records<'a>,
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
    let Scratch { anchors, lanes, numbers, keys } = scratch;
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
        maker.flows(&records, knowledge, lanes, numbers, keys, rib, turn);
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
    plan: &'a Plan,
    layout: &'a Layout,
}

impl Maker<'_> {
    #[expect(
        clippy::too_many_arguments,
        reason = "the spaces that rows are made in are apart so that they can be lent"
    )]
    fn flows(
        &self,
        records: &Records<'_>,
        knowledge: &mut Knowledge,
        lanes: &mut LaneSpace,
        numbers: &mut [Vec<u64>; 2],
        keys: &mut KeySpace,
        rib: &mut Rib,
        turn: &mut Turn<'_>,
    ) {
        let mut done = 0;
        while done < records.len() {
            let Some(batch) = turn.out.batch(TableId::Flows) else {
                let left = (records.len() - done) as u64;
                turn.ledgers.records(Kind::Flow, RecordEnd::OutletFull, left);
                return;
            };
            let records = self.part(records, done, batch.room() as usize, lanes);
            let rows = u32::try_from(records.len()).unwrap_or(u32::MAX);
            let part = Part { records, header: self.set.header, layout: self.layout };
            self.columns(batch, &part, knowledge, numbers, turn.exporter, turn.now);
            if self.layout.joins() && turn.settings.join {
                self.join(batch, &part.records, knowledge, keys, rib, turn.ledgers);
            }
            done += part.records.len();
            batch.grow_rows(rows);
            turn.ledgers.records(Kind::Flow, RecordEnd::Row, u64::from(rows));
        }
    }

    /// All columns but those of the join.
    #[inline(never)]
    fn columns(
        &self,
        batch: &mut Batch,
        part: &Part<'_>,
        knowledge: &mut Knowledge,
        numbers: &mut [Vec<u64>; 2],
        exporter: [u8; 16],
        now: Now,
    ) {
        self.of_message(batch, exporter, now, part.records.len());
        if self.layout.record.is_some() || self.layout.template.is_some() {
            self.whole_records(batch, &part.records);
        }
        self.plan.steps.fill(&part.records, batch);
        self.derived(batch, part, knowledge, numbers);
    }

    /// Some of the records, side by side if many columns are to be read from them.
    fn part<'r>(
        &self,
        records: &Records<'r>,
        first: usize,
        rows: usize,
        lanes: &'r mut LaneSpace,
    ) -> Records<'r> {
        let part = records.part(first, rows);
        if self.plan.steps.len() < WORTH_LANES { part } else { part.side_by_side(lanes) }
    }

    /// Columns that are the same for all rows of a set.
    fn of_message(&self, batch: &mut Batch, exporter: [u8; 16], now: Now, rows: usize) {
        let (layout, header) = (self.layout, self.set.header);
        repeat(batch, layout.exporter, Values::fixed16, exporter, rows);
        repeat(batch, layout.receive_time, Values::fixed8, now.unix_ns, rows);
        if now.frame > 0 {
            repeat(batch, layout.frame, Values::fixed8, now.frame, rows);
        }
        repeat(batch, layout.domain, Values::fixed4, header.domain, rows);
        if let Some(id) = self.set.template_id {
            repeat(batch, layout.template_id, Values::fixed2, id, rows);
        }
        repeat(batch, layout.version, Values::fixed1, header.version, rows);
        repeat(batch, layout.export_time, Values::fixed8, header.export_ns, rows);
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
        for (side, columns) in [Side::Destination, Side::Source].into_iter().zip(&self.layout.joins) {
            let keys = self.plan.keys.fill(side, records, knowledge, rib.tables(), keys);
            join::join(columns, &keys, rib, batch, ledgers);
        }
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

    /// Columns that are worked out.
    fn derived(
        &self,
        batch: &mut Batch,
        part: &Part<'_>,
        knowledge: &mut Knowledge,
        numbers: &mut [Vec<u64>; 2],
    ) {
        let plan = self.plan;
        let options = &mut knowledge.options;
        plan.times.fill(part, options.boot_ms(), numbers, batch);
        plan.sampling.fill(part, options, knowledge.sampling, batch);
        if options.has_names(0) || options.has_names(2) {
            self.names(batch, &part.records, options, numbers);
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
