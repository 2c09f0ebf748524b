//! Workers and N -> which slot each bucket falls on, and who owns each slot.
//!
//! The table is a function of N alone, so boxes with one N agree, and it is built so that one more slot takes
//! its share from the fullest slots and moves nothing else.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dataplane_common::map::{SlotState, Steering};
use dataplane_common::{BUCKETS, MAX_SLOTS, bucket, router_hash};

use crate::config::{Config, sixteen};

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

/// The receive queue, of `queues`, on which datagrams of each configured source address best come: that of the same
/// number as the worker that owns its slot among `workers`. Addresses whose slot has no owner here have none.
#[must_use]
pub fn own_queues(config: &Config, key: [u8; 16], workers: u32, queues: u32) -> BTreeMap<IpAddr, u32> {
    let table = table(config.slots(), workers, SlotState::Millrace);
    let sources = config.rule_sources().into_iter();
    let own = sources.filter_map(|source| {
        let slot = slot_of(&table, config.steering.router_of(sixteen(source)), key)?;
        (slot < workers).then_some((source, slot % queues.max(1)))
    });
    own.collect()
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

    #[test]
    fn a_configured_address_has_the_queue_of_its_worker() {
        let text = "workers = [0, 1, 2]\n[[exporters.allow]]\nsource = \"192.0.2.0/24\"\n\
            [[exporters.allow]]\nsource = \"192.0.2.1\"\n[[exporters.allow]]\nsource = \"2001:db8::1\"\n\
            [[exporters.sampling]]\nrouter = \"192.0.2.2\"\nrate = 10\n\
            [[steering.alias]]\naddress = \"192.0.2.3\"\nrouter = \"192.0.2.1\"\n\
            [[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";
        let key = [7; 16];
        let config = Config::parse(text).unwrap();
        let queues = own_queues(&config, key, 3, 8);
        let hosts: Vec<String> = queues.keys().map(ToString::to_string).collect();
        assert_eq!(hosts, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"]);
        let table = table(3, 3, SlotState::Millrace);
        for (source, queue) in &queues {
            let router =
                if source.to_string() == "192.0.2.3" { "192.0.2.1".parse().unwrap() } else { *source };
            assert_eq!(slot_of(&table, sixteen(router), key), Some(*queue), "{source}");
        }
        // Fewer queues than workers are shared; slots of others have none.
        assert!(own_queues(&config, key, 3, 2).iter().all(|(source, queue)| *queue == queues[source] % 2));
        let mut elsewhere = config.clone();
        elsewhere.steering.slots = 64;
        assert!(own_queues(&elsewhere, key, 1, 8).values().all(|queue| *queue == 0));
        elsewhere.limits.max_ntuple_rules = 1;
        assert_eq!(elsewhere.rule_sources().len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn every_router_has_a_slot_below_n(router: [u8; 16], key: [u8; 16], slots in 1..=MAX_SLOTS) {
            let table = table(slots, 1, SlotState::Millrace);
            proptest::prop_assert!(slot_of(&table, router, key).is_some_and(|slot| slot < slots));
        }
    }
}
