//! The bounded way from a worker to the sinks: open batches here, full ones out, empty ones home again.
//!
//! A worker never waits: where no empty batch is at home, the caller counts its rows as
//! [`RecordEnd::OutletFull`](crate::ledger::RecordEnd::OutletFull) and goes on.

use std::ops::Deref;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::batch::{Batch, BatchLimits, WorkerId};
use crate::flow::Pending;
use crate::schema::{Schema, TableId};

/// The schemas of all tables, shared by workers and sinks.
pub type Schemas = [Arc<Schema>; TableId::COUNT];

/// A worker's end. One a worker.
#[derive(Debug)]
pub struct Outlet {
    tables: [Table; TableId::COUNT],
    full: Arc<ArrayQueue<Box<Batch>>>,
    /// One numbering for all tables: a key that a route remembers is of one batch, whatever its table.
    next_sequence: u64,
    /// Rows of the open batch of flows that lack columns still.
    pending: Pending,
    errors: Errors,
}

/// Error rows of the present second.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    second: u64,
    rows: u32,
}

#[derive(Debug)]
struct Table {
    open: Option<Box<Batch>>,
    /// Batches that came home, the one that came last on top: its memory is the likeliest to be in a cache still.
    #[expect(clippy::vec_box, reason = "the queue that they come from and go to holds boxes")]
    stack: Vec<Box<Batch>>,
    empty: Arc<ArrayQueue<Box<Batch>>>,
}

impl Table {
    /// An empty batch, if one is at home.
    fn empty(&mut self) -> Option<Box<Batch>> {
        while let Some(batch) = self.empty.pop() {
            self.stack.push(batch);
        }
        self.stack.pop()
    }

    /// The open batch, opened if need be.
    #[inline]
    fn open(&mut self, next_sequence: &mut u64) -> Option<&mut Batch> {
        if self.open.is_none() {
            self.open = self.fresh(next_sequence);
        }
        self.open.as_deref_mut()
    }

    #[cold]
    fn fresh(&mut self, next_sequence: &mut u64) -> Option<Box<Batch>> {
        let mut batch = self.empty()?;
        batch.clear();
        batch.sequence = *next_sequence;
        *next_sequence += 1;
        Some(batch)
    }
}

/// The sinks' end. One a worker.
#[derive(Clone, Debug)]
pub struct Drain {
    full: Arc<ArrayQueue<Box<Batch>>>,
    empty: [Arc<ArrayQueue<Box<Batch>>>; TableId::COUNT],
}

impl Outlet {
    /// An outlet with `batches` batches a table, all allocated now, and the drain at its other end.
    #[must_use]
    pub fn new(worker: WorkerId, schemas: &Schemas, batches: usize, limits: BatchLimits) -> (Self, Drain) {
        let batches = batches.max(2);
        let full = Arc::new(ArrayQueue::new(batches * TableId::COUNT));
        let tables: [Table; TableId::COUNT] = std::array::from_fn(|table| {
            let empty = Arc::new(ArrayQueue::new(batches));
            for _ in 0..batches {
                let Some(schema) = schemas.get(table) else { continue };
                let batch = Box::new(Batch::new(Arc::clone(schema), worker, limits));
                let pushed = empty.push(batch);
                debug_assert!(pushed.is_ok(), "the queue has room for all batches of its table");
            }
            Table { open: None, stack: Vec::with_capacity(batches), empty }
        });
        let empty = std::array::from_fn(|table| {
            tables.get(table).map_or_else(|| Arc::new(ArrayQueue::new(1)), |table| Arc::clone(&table.empty))
        });
        let drain = Drain { full: Arc::clone(&full), empty };
        let [flows, ..] = schemas;
        let pending = Pending::new(flows);
        (Self { tables, full, next_sequence: 1, pending, errors: Errors::default() }, drain)
    }

    /// The open batch of a table with room for at least one row, or `None` when all batches are out: a drop.
    pub fn batch(&mut self, table: TableId) -> Option<&mut Batch> {
        if table == TableId::Flows {
            let (batch, pending) = self.flows()?;
            pending.write(batch);
            return Some(batch);
        }
        let Self { tables, full, next_sequence, .. } = self;
        let table = tables.get_mut(table.index())?;
        if table.open.as_ref().is_some_and(|batch| batch.room() == 0) {
            hand_on(table, full);
        }
        table.open(next_sequence)
    }

    /// The same of flows, with those of its rows that lack columns.
    pub(crate) fn flows(&mut self) -> Option<(&mut Batch, &mut Pending)> {
        let Self { tables: [table, ..], full, next_sequence, pending, .. } = self;
        if let Some(batch) = table.open.as_deref_mut().filter(|batch| batch.room() == 0) {
            pending.write(batch);
            hand_on(table, full);
        }
        Some((table.open(next_sequence)?, pending))
    }

    /// Hands every open batch on that holds rows; called on the tick and at the end.
    pub fn publish(&mut self) {
        let [flows, ..] = &mut self.tables;
        if let Some(batch) = &mut flows.open {
            self.pending.write(batch);
        }
        for table in &mut self.tables {
            if table.open.as_ref().is_some_and(|batch| batch.rows > 0) {
                hand_on(table, &self.full);
            }
        }
    }

    /// Whether one more error row may be written in this second of the monotonic clock; if so it is counted in.
    /// `most` rows a second, 0: no limit. What floods a collector must not flood its sinks.
    pub(crate) const fn allows_error(&mut self, monotonic_ns: u64, most: u32) -> bool {
        let second = monotonic_ns / 1_000_000_000;
        if self.errors.second != second {
            self.errors = Errors { second, rows: 0 };
        }
        let is_allowed = most == 0 || self.errors.rows < most;
        self.errors.rows = self.errors.rows.saturating_add(is_allowed as u32);
        is_allowed
    }

    /// Takes back rows that were begun and not finished: what a panic in mid-row leaves behind. Returns how many of
    /// them were counted as rows of flows already.
    pub fn undo(&mut self) -> usize {
        for batch in self.tables.iter_mut().filter_map(|table| table.open.as_deref_mut()) {
            batch.undo_rows();
        }
        self.pending.undone()
    }

    /// Full batches that no sink has taken yet.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.full.len()
    }
}

fn hand_on(table: &mut Table, full: &ArrayQueue<Box<Batch>>) {
    if let Some(mut batch) = table.open.take() {
        batch.complete();
        // The queue has room for every batch there is, so this cannot fail; were it to, the batch stays open.
        table.open = full.push(batch).err();
    }
}

impl Drain {
    /// The next full batch, in the order in which the worker handed them on.
    #[must_use]
    pub fn take(&self) -> Option<Lease> {
        let batch = self.full.pop()?;
        let home = Arc::clone(self.empty.get(batch.schema.table.index())?);
        Some(Lease(Arc::new(Loan { batch: Some(batch), home })))
    }

    /// Full batches waiting.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.full.len()
    }
}

/// A full batch on loan: shared by sinks, sent home by the last drop.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Loan>);

#[derive(Debug)]
struct Loan {
    batch: Option<Box<Batch>>,
    home: Arc<ArrayQueue<Box<Batch>>>,
}

impl Deref for Lease {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        match &self.0.batch {
            Some(batch) => batch,
            None => unreachable!("a loan holds its batch until it is dropped"),
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            // Home has room for every batch of its table; were it full, the batch would just be freed.
            let _ = self.home.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, Origin, RecordField, Store};

    fn schemas() -> Schemas {
        TableId::ALL.map(|table| {
            let column = Column {
                name: "frame".into(),
                origin: Origin::Record(RecordField::Frame),
                store: Store::Fixed8,
            };
            Arc::new(Schema { table, columns: Box::new([column]) })
        })
    }

    #[test]
    fn batches_come_home_and_a_full_outlet_says_so() {
        let (mut outlet, drain) =
            Outlet::new(WorkerId(0), &schemas(), 2, BatchLimits { rows: 2, octets: 1024 });
        let mut written = 0;
        while let Some(batch) = outlet.batch(TableId::Flows) {
            batch.push_integer(0, written);
            batch.finish_rows(1);
            written += 1;
        }
        assert_eq!(written, 4);
        let first = drain.take().unwrap();
        let second = first.clone();
        assert_eq!((first.rows, first.values[0].integer(1)), (2, Some(1)));
        drop(first);
        assert!(outlet.batch(TableId::Flows).is_none());
        drop(second);
        assert_eq!(outlet.batch(TableId::Flows).unwrap().sequence, 3);
    }
}
