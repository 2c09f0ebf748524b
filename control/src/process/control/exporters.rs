//! What passed of each exporter: the tallies of dataplane processes, added up.

use std::collections::BTreeMap;

use crate::process::message::{ExporterCounts, OTHER};

/// One an instance.
#[derive(Debug, Default)]
pub(crate) struct Exporters {
    /// Of processes that have ended.
    before: BTreeMap<[u8; 16], ExporterCounts>,
    /// Of the process that runs.
    now: BTreeMap<[u8; 16], ExporterCounts>,
}

impl Exporters {
    /// The running process said so. At most `limit` exporters are kept, and what stands for all others.
    pub(super) fn told(&mut self, counts: &[ExporterCounts], limit: usize) {
        for counts in counts {
            if self.now.len() < limit || self.now.contains_key(&counts.address) || counts.address == OTHER {
                self.now.insert(counts.address, *counts);
            }
        }
    }

    /// The running process has ended.
    pub(super) fn ended(&mut self) {
        self.before = self.list().into_iter().map(|counts| (counts.address, counts)).collect();
        self.now.clear();
    }

    /// Every exporter, by address.
    pub(crate) fn list(&self) -> Vec<ExporterCounts> {
        let mut sum = self.before.clone();
        for (address, now) in &self.now {
            let counts = sum.entry(*address).or_default();
            *counts = ExporterCounts {
                address: *address,
                worker: now.worker,
                flows: counts.flows.wrapping_add(now.flows),
                joined: counts.joined.wrapping_add(now.joined),
                not_joined: counts.not_joined.wrapping_add(now.not_joined),
                announced: counts.announced.wrapping_add(now.announced),
                withdrawn: counts.withdrawn.wrapping_add(now.withdrawn),
                messages: counts.messages.wrapping_add(now.messages),
                last_unix_ns: counts.last_unix_ns.max(now.last_unix_ns),
            };
        }
        sum.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_the_process_and_stay_bounded() {
        let counts =
            |address, flows| ExporterCounts { address: [address; 16], flows, ..ExporterCounts::default() };
        let mut exporters = Exporters::default();
        exporters.told(&[counts(1, 5), counts(2, 7), counts(3, 9)], 2);
        exporters.told(&[counts(1, 6)], 2);
        exporters.ended();
        exporters.told(&[counts(1, 10)], 2);
        let seen: Vec<_> = exporters.list().iter().map(|counts| (counts.address[0], counts.flows)).collect();
        assert_eq!(seen, [(1, 16), (2, 7)]);
    }
}
