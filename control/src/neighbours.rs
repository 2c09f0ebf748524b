//! Next hops that XDP uses -> neighbours that the kernel keeps fresh; idle ones are let go.
//!
//! The kernel's look-up takes a neighbour whatever its age and does not note that it was used, so without help an
//! entry goes stale, is collected, or keeps a MAC address that has moved. `NTF_MANAGED` (since 5.16) makes the kernel
//! resolve it again and again, `NTF_EXT_LEARNED` keeps it from being collected. What somebody has configured
//! (permanent, noarp) is left alone.
//!
//! [`plan`] is pure: uses and neighbours in, acts out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dataplane_common::address_of;
use dataplane_common::map::forward::{NextHop, NextHopUse};
use rtnetlink::Handle;
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourState,
};

use crate::kernel::{KernelState, Neighbour};

/// Device and address of a neighbour.
pub type Key = (u32, IpAddr);

/// What is to be done about one neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The kernel is to keep it fresh.
    Keep(Key),
    /// It is no longer in use: the kernel may treat it as any other.
    Release(Key),
    /// The next hop's entry in the map is to go: nobody uses it.
    Forget(NextHop),
}

/// Next hops whose neighbours are kept fresh. One an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(BTreeSet<Key>);

impl Kept {
    /// Whether the neighbour is kept fresh for us.
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        self.0.contains(key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does what `acts` say, but for [`Act::Forget`], in the network namespace of `kernel`'s socket; how many of them
    /// the kernel refused.
    pub async fn carry_out(&mut self, kernel: &Handle, acts: &[Act]) -> u32 {
        let mut refused = 0;
        for act in acts {
            match act {
                Act::Keep(key) => match keep(kernel, *key, true).await {
                    Ok(()) => drop(self.0.insert(*key)),
                    Err(_) => refused += 1,
                },
                Act::Release(key) => {
                    self.0.remove(key);
                    // Gone with its device, where it is refused.
                    refused += u32::from(keep(kernel, *key, false).await.is_err());
                }
                Act::Forget(_) => {}
            }
        }
        refused
    }

    /// Lets all of them go.
    pub async fn release_all(&mut self, kernel: &Handle) {
        let acts: Vec<Act> = self.0.iter().copied().map(Act::Release).collect();
        self.carry_out(kernel, &acts).await;
    }
}

/// What the uses ask for, at `now_ns` of the monotonic clock. Neighbours that an earlier process of this instance
/// kept are known by their flags and by standing in the map.
#[must_use]
pub fn plan(
    uses: &BTreeMap<NextHop, NextHopUse>,
    kept: &Kept,
    kernel: &KernelState,
    now_ns: u64,
    idle_ns: u64,
) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut live = BTreeSet::new();
    for (hop, uses) in uses {
        let key = (hop.device, address_of(hop.address));
        let neighbour = kernel.neighbours.get(&key);
        let exists = kernel.links.contains_key(&hop.device);
        if exists && now_ns.saturating_sub(uses.used_ns.max(uses.missing_ns)) < idle_ns {
            live.insert(key);
            let fresh = |neighbour: &Neighbour| neighbour.is_configured() || neighbour.managed;
            if !neighbour.is_some_and(fresh) {
                acts.push(Act::Keep(key));
            }
            continue;
        }
        acts.push(Act::Forget(*hop));
        if neighbour.is_some_and(|neighbour| neighbour.managed && neighbour.extern_learned)
            && !kept.holds(&key)
        {
            acts.push(Act::Release(key));
        }
    }
    acts.extend(kept.0.difference(&live).copied().map(Act::Release));
    acts
}

/// `ip neigh replace ADDRESS dev DEVICE managed extern_learn`, or without both. Its MAC address stays what the kernel
/// knows.
async fn keep(kernel: &Handle, (device, address): Key, fresh: bool) -> Result<(), rtnetlink::Error> {
    // Without managed, `NTF_USE` keeps the entry and has it looked at once more.
    let flags = if fresh { NeighbourFlags::ExtLearned } else { NeighbourFlags::Use };
    let request = kernel.neighbours().add(device, address).replace();
    let mut request = request.state(NeighbourState::None).flags(flags);
    if fresh {
        let managed = NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed);
        request.message_mut().attributes.push(managed);
    }
    request.execute().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Link;
    use crate::kernel::neighbour::PERMANENT;
    use dataplane_common::octets_of;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_000 * SECOND;

    fn hop(last: u8) -> NextHop {
        NextHop { device: 3, address: octets_of(address(last)) }
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn used(seconds_ago: u64) -> NextHopUse {
        NextHopUse { used_ns: NOW - seconds_ago * SECOND, missing_ns: 0 }
    }

    fn kernel(neighbours: &[(u8, Neighbour)]) -> KernelState {
        KernelState {
            links: [(3, Link::default())].into(),
            neighbours: neighbours.iter().map(|(last, n)| ((3, address(*last)), *n)).collect(),
            ..KernelState::default()
        }
    }

    fn planned(uses: &[(u8, u64)], kept: &[u8], kernel: &KernelState) -> Vec<Act> {
        let uses = uses.iter().map(|(last, ago)| (hop(*last), used(*ago))).collect();
        let kept = Kept(kept.iter().map(|last| (3, address(*last))).collect());
        plan(&uses, &kept, kernel, NOW, 90 * SECOND)
    }

    const MANAGED: Neighbour = Neighbour { mac: None, state: 2, managed: true, extern_learned: true };
    const PLAIN: Neighbour = Neighbour { managed: false, extern_learned: false, ..MANAGED };

    #[test]
    fn what_is_in_use_is_kept_until_the_kernel_keeps_it() {
        assert_eq!(planned(&[(1, 0)], &[], &kernel(&[])), [Act::Keep((3, address(1)))]);
        assert_eq!(planned(&[(1, 0)], &[], &kernel(&[(1, PLAIN)])), [Act::Keep((3, address(1)))]);
        assert_eq!(planned(&[(1, 0)], &[1], &kernel(&[(1, MANAGED)])), []);
        // Somebody flushed it.
        assert_eq!(planned(&[(1, 0)], &[1], &kernel(&[])), [Act::Keep((3, address(1)))]);
    }

    #[test]
    fn what_somebody_configured_is_left_alone() {
        let permanent = Neighbour { state: PERMANENT, ..PLAIN };
        assert_eq!(planned(&[(1, 0)], &[], &kernel(&[(1, permanent)])), []);
    }

    #[test]
    fn what_is_idle_is_let_go_once() {
        let kernel = kernel(&[(1, MANAGED), (2, MANAGED), (4, PLAIN)]);
        let idle = [(1, 91), (4, 500)];
        let forget = |last| Act::Forget(hop(last));
        assert_eq!(planned(&idle, &[1], &kernel), [forget(1), forget(4), Act::Release((3, address(1)))]);
        // An earlier process kept it.
        assert_eq!(planned(&idle, &[], &kernel), [forget(1), Act::Release((3, address(1))), forget(4)]);
        // The map has lost it.
        assert_eq!(planned(&[], &[2], &kernel), [Act::Release((3, address(2)))]);
    }

    #[test]
    fn a_device_that_is_gone_takes_its_next_hops_along() {
        let mut kernel = kernel(&[]);
        kernel.links.clear();
        assert_eq!(planned(&[(1, 0)], &[1], &kernel), [Act::Forget(hop(1)), Act::Release((3, address(1)))]);
    }
}
