//! Data sets that came before their template: kept in order, within bounds of octets and age, and given back
//! when the template comes.

use std::collections::VecDeque;

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

/// The sets of one exporter that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    sets: VecDeque<WaitingSet>,
    octets: usize,
}

impl Waiting {
    /// Keeps a set unless that would exceed `max_octets`, and says whether it did.
    pub(crate) fn push(&mut self, set: WaitingSet, max_octets: usize) -> bool {
        if self.octets + cost(&set) > max_octets {
            return false;
        }
        self.octets += cost(&set);
        self.sets.push_back(set);
        true
    }

    /// Whether a set of so many octets would be kept.
    pub(crate) const fn has_room(&self, octets: usize, max_octets: usize) -> bool {
        self.octets + octets + ENTRY_OCTETS <= max_octets
    }

    /// The oldest set that waits for this template.
    pub(crate) fn take(&mut self, template_id: u16) -> Option<WaitingSet> {
        let at = self.sets.iter().position(|set| set.template_id == template_id)?;
        let set = self.sets.remove(at)?;
        self.octets -= cost(&set);
        Some(set)
    }

    /// The oldest set, if it has waited for `max_ns`.
    pub(crate) fn expired(&mut self, now_ns: u64, max_ns: u64) -> Option<WaitingSet> {
        if self.due_ns(max_ns)? > now_ns {
            return None;
        }
        let set = self.sets.pop_front()?;
        self.octets -= cost(&set);
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

    #[test]
    fn sets_come_back_in_order_and_by_template() {
        let mut waiting = Waiting::default();
        for (id, at) in [(256, 1), (257, 2), (256, 3)] {
            assert!(waiting.push(set(id, at, 10), 1_000));
        }
        assert_eq!(waiting.take(256).unwrap().received.monotonic_ns, 1);
        assert_eq!(waiting.take(256).unwrap().received.monotonic_ns, 3);
        assert_eq!(waiting.take(256), None);
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn octets_and_age_are_bounded() {
        let mut waiting = Waiting::default();
        let room = 2 * (10 + ENTRY_OCTETS);
        assert!(waiting.push(set(256, 1, 10), room));
        assert!(waiting.has_room(10, room) && waiting.push(set(256, 5, 10), room));
        assert!(!waiting.has_room(0, room) && !waiting.push(set(256, 6, 0), room));
        assert_eq!(waiting.due_ns(100), Some(101));
        assert_eq!(waiting.expired(100, 100), None);
        assert_eq!(waiting.expired(101, 100).unwrap().received.monotonic_ns, 1);
        assert_eq!(waiting.expired(101, 100), None);
        assert!(waiting.push(set(257, 6, 10), room));
    }
}
