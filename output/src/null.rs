//! A sink that takes everything and keeps nothing: for measuring what stands before it.

use collector::Now;
use collector::outlet::Lease;
use collector::schema::Interest;

use crate::sink::{Sink, SinkEnd, SinkError, SinkLedger};

/// Counts rows as written and forgets them.
#[derive(Clone, Debug, Default)]
pub struct Null {
    wants: Interest,
}

impl Null {
    /// A null sink that makes the workers produce what `wants` says.
    #[must_use]
    pub const fn new(wants: Interest) -> Self {
        Self { wants }
    }
}

impl Sink for Null {
    fn wants(&self) -> Interest {
        self.wants.clone()
    }

    fn write(&mut self, batch: &Lease, ledger: &SinkLedger) -> Result<(), SinkError> {
        ledger.count(SinkEnd::Written, u64::from(batch.rows));
        Ok(())
    }

    fn tick(&mut self, _now: Now, _ledger: &SinkLedger) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self, _ledger: &SinkLedger) -> Result<(), SinkError> {
        Ok(())
    }
}
