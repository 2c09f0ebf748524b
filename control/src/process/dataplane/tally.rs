//! Batches -> rows of each exporter, counted beside the sinks. Wants nothing: it counts what others want.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use collector::Now;
use collector::ledger::{JoinEnd, RouteAction};
use collector::outlet::Lease;
use collector::schema::{Interest, Origin, RecordField, RouteField, Side, TableId};
use output::sink::{Sink, SinkEnd, SinkError, SinkLedger};

use crate::process::message::{EXPORTERS_A_MESSAGE, ExporterCounts, OTHER};

/// Counted, and whether it changed since it was last taken.
type Table = HashMap<[u8; 16], (ExporterCounts, bool)>;

/// The sink's end. One a dataplane process.
#[derive(Debug)]
pub(super) struct Tally {
    table: Arc<Mutex<Table>>,
    limit: usize,
}

/// The reader's end.
#[derive(Debug)]
pub(super) struct Changed {
    table: Arc<Mutex<Table>>,
    looks: u32,
}

/// Looks between two takes.
const LOOKS: u32 = 20;

/// Both ends, for at most `limit` exporters; those beyond are counted together, as [`OTHER`].
pub(super) fn pair(limit: usize) -> (Tally, Changed) {
    let table = Arc::new(Mutex::new(Table::new()));
    (Tally { table: Arc::clone(&table), limit }, Changed { table, looks: 0 })
}

impl Changed {
    /// Exporters that have changed, in portions; nothing at most looks.
    pub(super) fn take(&mut self) -> Vec<Vec<ExporterCounts>> {
        self.looks += 1;
        if self.looks < LOOKS {
            return Vec::new();
        }
        self.looks = 0;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let changed =
            table.values_mut().filter_map(|(counts, changed)| std::mem::take(changed).then_some(*counts));
        let changed: Vec<ExporterCounts> = changed.collect();
        changed.chunks(EXPORTERS_A_MESSAGE).map(<[_]>::to_vec).collect()
    }
}

impl Sink for Tally {
    fn wants(&self) -> Interest {
        Interest::default()
    }

    fn write(&mut self, batch: &Lease, ledger: &SinkLedger) -> Result<(), SinkError> {
        ledger.count(SinkEnd::NotWanted, u64::from(batch.rows));
        let schema = &batch.schema;
        let result = Origin::Join { side: Side::Destination, field: RouteField::Result };
        let detail = match schema.table {
            TableId::Flows => schema.position(result),
            TableId::Routes => schema.field(RecordField::Action),
            TableId::Messages => None,
        };
        let column = |position: Option<usize>| position.and_then(|position| batch.values.get(position));
        let Some(exporters) = column(schema.field(RecordField::Exporter)) else { return Ok(()) };
        let (times, details) = (column(schema.field(RecordField::ReceiveTime)), column(detail));
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        for row in 0..batch.rows as usize {
            let Some(address) = exporters.sixteen(row) else { continue };
            let known = table.len() < self.limit || table.contains_key(address);
            let address = if known { address } else { &OTHER };
            let (counts, changed) = table.entry(*address).or_default();
            *changed = true;
            counts.address = *address;
            counts.worker = batch.worker.0;
            counts.last_unix_ns = times.and_then(|times| times.integer(row)).unwrap_or(counts.last_unix_ns);
            let detail = details.and_then(|details| details.integer(row));
            match schema.table {
                TableId::Flows => {
                    counts.flows += 1;
                    let found = detail == Some(JoinEnd::Found as u64);
                    counts.joined += u64::from(found);
                    counts.not_joined += u64::from(!found && detail.is_some());
                }
                TableId::Routes if detail == Some(RouteAction::Announce as u64) => counts.announced += 1,
                TableId::Routes if detail == Some(RouteAction::Withdraw as u64) => counts.withdrawn += 1,
                TableId::Routes | TableId::Messages => counts.messages += 1,
            }
        }
        Ok(())
    }

    fn tick(&mut self, _now: Now, _ledger: &SinkLedger) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self, _ledger: &SinkLedger) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collector::Outlet;
    use collector::batch::{BatchLimits, WorkerId};
    use collector::schema::schemas;

    #[test]
    fn exporters_beyond_the_limit_are_counted_together() {
        let schemas = schemas(&Interest { kinds: u32::MAX, ..Interest::default() });
        let (mut outlet, drain) =
            Outlet::new(WorkerId(3), &schemas, 2, BatchLimits { rows: 16, octets: 4096 });
        let batch = outlet.batch(TableId::Flows).unwrap();
        let exporter = batch.schema.field(RecordField::Exporter).unwrap();
        for last in [1, 2, 1, 3, 4] {
            batch.push_sixteen(exporter, [last; 16]);
            batch.finish_rows(1);
        }
        outlet.publish();
        let (mut tally, mut changed) = pair(2);
        tally.write(&drain.take().unwrap(), &SinkLedger::default()).unwrap();
        let taken = (0..LOOKS).flat_map(|_| changed.take()).flatten();
        let mut seen: Vec<_> = taken.map(|counts| (counts.address[0], counts.flows, counts.worker)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(0, 2, 3), (1, 2, 3), (2, 1, 3)]);
        assert!((0..LOOKS).all(|_| changed.take().is_empty()));
    }
}
