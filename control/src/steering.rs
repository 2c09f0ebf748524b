//! Workers and N -> which slot each bucket falls on, and who owns each slot.
//!
//! The table is a function of N alone, so boxes with one N agree, and it is built so that one more slot takes
//! its share from the fullest slots and moves nothing else.

use dataplane_common::map::{SlotState, Steering};
use dataplane_common::{BUCKETS, MAX_SLOTS, bucket, router_hash};

/// Slot of each bucket for `slots` slots (1 to 64). From N to N + 1 at most one bucket in N + 1 moves, all of
/// them to the new slot; no slot has over one bucket more than another.
#[must_use]
pub fn buckets(slots: u32) -> [u8; BUCKETS as usize] {
    let slots = slots.clamp(1, MAX_SLOTS);
    let mut table = [0_u8; BUCKETS as usize];
    let mut owned = vec![(0..BUCKETS).collect::<Vec<u32>>()];
    for slot in 1..slots {
        let mut taken = Vec::new();
        for _ in 0..BUCKETS / (slot + 1) {
            // The fullest, the lowest of them; its newest bucket, so what moved last moves first.
            let fullest = owned.iter_mut().rev().max_by_key(|buckets| buckets.len());
            taken.extend(fullest.and_then(Vec::pop));
        }
        for bucket in &taken {
            if let (Some(entry), Ok(slot)) = (table.get_mut(*bucket as usize), u8::try_from(slot)) {
                *entry = slot;
            }
        }
        owned.push(taken);
    }
    table
}

/// The steering table of `workers` workers among `slots` slots: worker i owns slot i, in `state`; the other
/// slots have no owner here.
#[must_use]
pub fn table(slots: u32, workers: u32, state: SlotState) -> Steering {
    let mut table = Steering { slots: buckets(slots), ..Steering::EMPTY };
    for entry in table.states.iter_mut().take(workers as usize) {
        *entry = state as u8;
    }
    table
}

/// The slot of a router's 16 octets.
#[must_use]
pub fn slot_of(table: &Steering, router: [u8; 16], key: [u8; 16]) -> Option<u32> {
    table.slot(bucket(router_hash(router, key))).map(|(slot, _)| slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_slot_moves_its_share_and_nothing_else() {
        for slots in 1..MAX_SLOTS {
            let (before, after) = (buckets(slots), buckets(slots + 1));
            let moved: Vec<u8> =
                before.iter().zip(after).filter(|(b, a)| **b != *a).map(|(_, a)| a).collect();
            assert!(moved.iter().all(|slot| u32::from(*slot) == slots), "N = {slots}");
            assert!(moved.len() as u32 <= BUCKETS / (slots + 1), "N = {slots}");
        }
    }

    #[test]
    fn slots_are_even() {
        for slots in 1..=MAX_SLOTS {
            let mut counts = vec![0_u32; slots as usize];
            buckets(slots).iter().for_each(|slot| counts[usize::from(*slot)] += 1);
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "N = {slots}: {least} to {most}");
        }
    }

    #[test]
    fn slots_without_worker_have_no_owner() {
        let table = table(4, 2, SlotState::Millrace);
        assert_eq!(table.states[..5], [1, 1, 0, 0, 0]);
        let slots: std::collections::BTreeSet<u8> = table.slots.iter().copied().collect();
        assert_eq!(slots, [0, 1, 2, 3].into());
    }

    proptest::proptest! {
        #[test]
        fn every_router_has_a_slot_below_n(router: [u8; 16], key: [u8; 16], slots in 1..=MAX_SLOTS) {
            let table = table(slots, 1, SlotState::Millrace);
            proptest::prop_assert!(slot_of(&table, router, key).is_some_and(|slot| slot < slots));
        }
    }
}
