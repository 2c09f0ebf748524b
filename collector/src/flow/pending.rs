//! Records of one plan out of message after message in, their columns out when many have come together: what a column
//! costs by itself is paid once for all of them.
//!
//! The rows are in their batch already; only these columns are behind: elements, absolute times, and what the rows of
//! a message have in common. Whatever hangs on what a session knows is written when the message comes.

use std::sync::Arc;

use super::header::Header;
use super::lane::{LANES, LaneSpace};
use super::layout::{Layout, repeat};
use super::place::Records;
use super::plan::Plan;
use super::plane::PlaneSpace;
use super::rows::Part;
use crate::batch::{Batch, Values};
use crate::schema::Schema;

/// Rows of one message, one after the other in a batch, and what they have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) rows: usize,
    /// Address of the sender.
    pub(crate) exporter: [u8; 16],
    /// When the message came, unix ns.
    pub(crate) received_ns: u64,
    /// Number of its packet in a capture; 0: not from a capture.
    pub(crate) frame: u64,
    /// Absent for NetFlow v5.
    pub(crate) template_id: Option<u16>,
    pub(crate) domain: u32,
    pub(crate) version: u8,
    /// When it left the exporter, unix ns.
    pub(crate) export_ns: u64,
}

impl Run {
    /// Whether the rows of both have values in the same columns.
    const fn is_like(&self, other: &Self) -> bool {
        self.template_id.is_some() == other.template_id.is_some() && (self.frame > 0) == (other.frame > 0)
    }

    /// Appends the columns that are the same for all rows of a message; all runs are alike.
    pub(crate) fn write(runs: &[Self], layout: &Layout, batch: &mut Batch) {
        let Some(first) = runs.first() else { return };
        repeat(batch, layout.exporter, Values::fixed16, runs.iter().map(|run| (run.exporter, run.rows)));
        repeat(
            batch,
            layout.receive_time,
            Values::fixed8,
            runs.iter().map(|run| (run.received_ns, run.rows)),
        );
        if first.frame > 0 {
            repeat(batch, layout.frame, Values::fixed8, runs.iter().map(|run| (run.frame, run.rows)));
        }
        repeat(batch, layout.domain, Values::fixed4, runs.iter().map(|run| (run.domain, run.rows)));
        if first.template_id.is_some() {
            let ids = runs.iter().map(|run| (run.template_id.unwrap_or(0), run.rows));
            repeat(batch, layout.template_id, Values::fixed2, ids);
        }
        repeat(batch, layout.version, Values::fixed1, runs.iter().map(|run| (run.version, run.rows)));
        repeat(batch, layout.export_time, Values::fixed8, runs.iter().map(|run| (run.export_ns, run.rows)));
    }
}

/// Rows of the open batch of flows whose columns are behind. One an outlet.
#[derive(Debug)]
pub(crate) struct Pending {
    layout: Layout,
    /// Of all of them.
    plan: Option<Arc<Plan>>,
    lanes: LaneSpace,
    planes: PlaneSpace,
    runs: Vec<Run>,
    rows: usize,
    /// Rows whose columns are being written: still there when that panicked.
    under_way: usize,
}

impl Pending {
    /// Of a batch of this schema.
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            layout: Layout::of(schema),
            plan: None,
            lanes: LaneSpace::default(),
            planes: PlaneSpace::default(),
            runs: Vec::with_capacity(LANES),
            rows: 0,
            under_way: 0,
        }
    }

    /// Makes room for records of a plan. Returns how many of `wanted` there is room for.
    pub(crate) fn make_room(
        &mut self,
        plan: &Arc<Plan>,
        run: &Run,
        wanted: usize,
        batch: &mut Batch,
    ) -> usize {
        if self.rows > 0 {
            let is_same = self.plan.as_ref().is_some_and(|known| Arc::ptr_eq(known, plan))
                && self.runs.first().is_some_and(|first| first.is_like(run));
            if is_same && self.rows + wanted <= LANES {
                return wanted;
            }
            self.write(batch);
        }
        if !self.plan.as_ref().is_some_and(|known| Arc::ptr_eq(known, plan)) {
            self.plan = Some(Arc::clone(plan));
        }
        wanted.min(LANES)
    }

    /// Takes the records of a message, for which there is room; their rows follow those of the batch.
    pub(crate) fn lay(&mut self, records: &Records<'_>, run: &Run) {
        let (octets, stride) = records.fixed();
        self.lanes.lay(self.rows, octets, stride);
        self.runs.push(*run);
        self.rows += run.rows;
    }

    /// Writes what is behind.
    pub(crate) fn write(&mut self, batch: &mut Batch) {
        if self.rows > 0 {
            self.columns(batch);
        }
    }

    #[inline(never)]
    fn columns(&mut self, batch: &mut Batch) {
        let Some(plan) = &self.plan else { return };
        self.under_way = std::mem::take(&mut self.rows);
        let rows = u32::try_from(self.under_way).unwrap_or(u32::MAX);
        batch.rows = batch.rows.saturating_sub(rows);
        let records = Records::side_by_side(self.lanes.lanes(self.under_way));
        plan.steps.fill_from(&records, &mut self.planes, batch);
        Run::write(&self.runs, &self.layout, batch);
        if !plan.times.are_relative() {
            let part = Part { records: &records, header: &Header::EMPTY, layout: &self.layout };
            plan.times.fill(&part, 0, &mut Default::default(), batch);
        }
        batch.grow_rows(rows);
        self.runs.clear();
        self.under_way = 0;
    }

    /// After a panic: rows that it took with it.
    pub(crate) fn undone(&mut self) -> usize {
        if self.under_way > 0 {
            self.runs.clear();
        }
        std::mem::take(&mut self.under_way)
    }
}
