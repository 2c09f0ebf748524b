//! Data sets that came before their template: kept in order, within bounds of octets (of the exporter, and of all
//! exporters of the worker) and age, and given back when the template comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::header::Header;
use crate::input::Now;

/// What an entry costs beside its octets: keeps a flood of tiny sets within the bound too.
const ENTRY_OCTETS: usize = 96;

/// One data set that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingSet {
    /// Its set id, hence the template it waits for.
    pub(crate) template_id: u16,
    /// Header of its message.
    pub(crate) header: Header,
    /// When it arrived.
    pub(crate) received: Now,
    /// Where its records start, in octets from the start of the message.
    pub(crate) offset: u32,
    /// Its records.
    pub(crate) octets: Box<[u8]>,
}

/// What waits at all exporters and publishers of one worker. Written by that worker only; atomic so that it can be shared without
/// a lock or a cell.
#[derive(Debug, Default)]
pub(crate) struct WorkerWaiting(AtomicUsize);

impl WorkerWaiting {
    /// Octets that wait, each set at its cost.
    pub(crate) fn octets(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// So many octets more wait.
    pub(crate) fn add(&self, octets: usize) {
        self.0.fetch_add(octets, Ordering::Relaxed);
    }

    /// So many octets wait no longer.
    pub(crate) fn remove(&self, octets: usize) {
        self.0.fetch_sub(octets, Ordering::Relaxed);
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    /// Octets at one exporter.
    pub(crate) exporter: usize,
    /// Octets at all exporters of the worker.
    pub(crate) worker: usize,
    /// What waits there now.
    pub(crate) waiting: &'a Arc<WorkerWaiting>,
}

/// The sets of one exporter that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    sets: VecDeque<WaitingSet>,
    octets: usize,
    /// Where its octets are counted too; nothing until the first set waits.
    worker: Option<Arc<WorkerWaiting>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gone(self.octets);
    }
}

impl Waiting {
    /// Keeps a set unless that would exceed a bound, and says whether it did.
    pub(crate) fn push(&mut self, set: WaitingSet, bound: Bound<'_>) -> bool {
        if !self.has_room(set.octets.len(), bound) {
            return false;
        }
        self.octets += cost(&set);
        self.worker.get_or_insert_with(|| Arc::clone(bound.waiting)).add(cost(&set));
        self.sets.push_back(set);
        true
    }

    /// Whether a set of so many octets would be kept.
    pub(crate) fn has_room(&self, octets: usize, bound: Bound<'_>) -> bool {
        let cost = octets + ENTRY_OCTETS;
        self.octets + cost <= bound.exporter && bound.waiting.octets() + cost <= bound.worker
    }

    fn gone(&mut self, octets: usize) {
        self.octets -= octets;
        if let Some(worker) = &self.worker {
            worker.remove(octets);
        }
    }

    /// The oldest set that waits for this template.
    pub(crate) fn take(&mut self, template_id: u16) -> Option<WaitingSet> {
        let at = self.sets.iter().position(|set| set.template_id == template_id)?;
        let set = self.sets.remove(at)?;
        self.gone(cost(&set));
        Some(set)
    }

    /// The oldest set, if it has waited for `max_ns`.
    pub(crate) fn expired(&mut self, now_ns: u64, max_ns: u64) -> Option<WaitingSet> {
        if self.due_ns(max_ns)? > now_ns {
            return None;
        }
        let set = self.sets.pop_front()?;
        self.gone(cost(&set));
        Some(set)
    }

    /// When the oldest set will have waited for `max_ns`.
    pub(crate) fn due_ns(&self, max_ns: u64) -> Option<u64> {
        self.sets.front().map(|set| set.received.monotonic_ns.saturating_add(max_ns))
    }

    /// Sets that wait.
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    /// All sets, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &WaitingSet> {
        self.sets.iter()
    }
}

const fn cost(set: &WaitingSet) -> usize {
    set.octets.len() + ENTRY_OCTETS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(template_id: u16, at_ns: u64, octets: usize) -> WaitingSet {
        let received = Now { monotonic_ns: at_ns, ..Now::default() };
        let header = Header::default();
        WaitingSet { template_id, header, received, offset: 20, octets: vec![0; octets].into() }
    }

    const fn of_exporter(exporter: usize, waiting: &Arc<WorkerWaiting>) -> Bound<'_> {
        Bound { exporter, worker: usize::MAX, waiting }
    }

    #[test]
    fn sets_come_back_in_order_and_by_template() {
        let (mut waiting, worker) = (Waiting::default(), Arc::default());
        for (id, at) in [(256, 1), (257, 2), (256, 3)] {
            assert!(waiting.push(set(id, at, 10), of_exporter(1_000, &worker)));
        }
        assert_eq!(waiting.take(256).unwrap().received.monotonic_ns, 1);
        assert_eq!(waiting.take(256).unwrap().received.monotonic_ns, 3);
        assert_eq!(waiting.take(256), None);
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn octets_and_age_are_bounded() {
        let (mut waiting, worker) = (Waiting::default(), Arc::default());
        let room = of_exporter(2 * (10 + ENTRY_OCTETS), &worker);
        assert!(waiting.push(set(256, 1, 10), room));
        assert!(waiting.has_room(10, room) && waiting.push(set(256, 5, 10), room));
        assert!(!waiting.has_room(0, room) && !waiting.push(set(256, 6, 0), room));
        assert_eq!(waiting.due_ns(100), Some(101));
        assert_eq!(waiting.expired(100, 100), None);
        assert_eq!(waiting.expired(101, 100).unwrap().received.monotonic_ns, 1);
        assert_eq!(waiting.expired(101, 100), None);
        assert!(waiting.push(set(257, 6, 10), room));
    }

    #[test]
    fn exporters_share_the_bound_of_their_worker() {
        let worker = Arc::default();
        let bound = Bound { exporter: 1_000, worker: 2 * (10 + ENTRY_OCTETS), waiting: &worker };
        let (mut one, mut other) = (Waiting::default(), Waiting::default());
        assert!(one.push(set(256, 1, 10), bound) && other.push(set(256, 2, 10), bound));
        assert!(!one.has_room(0, bound) && !other.push(set(256, 3, 0), bound));
        drop(one);
        assert!(other.push(set(256, 4, 10), bound));
        assert!(other.take(256).is_some() && other.expired(104, 100).is_some());
        assert_eq!(worker.octets(), 0);
    }
}
