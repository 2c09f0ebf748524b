//! Sequence numbers of one exporter, agent, source or publisher in, units lost on the way out.
//!
//! What a number counts is the protocol's rule: IPFIX data records before this message (RFC 7011 3.1), NetFlow
//! v9 packets (RFC 3954 5.1), v5 flows, sFlow datagrams and samples, UDP-notif messages. Ring and socket may reorder packets, so a gap is counted as lost only
//! when it has stood for a while; a late packet closes it again.

use serde::{Deserialize, Serialize};

/// How long a gap may still be closed by a late packet, ns.
const SETTLE_NS: u64 = 1_000_000_000;
/// Gaps that can be open at a time; a further one settles the oldest.
const MAX_GAPS: usize = 8;
/// A jump ahead by more is a new numbering, not a loss.
const MAX_JUMP: u32 = 1 << 24;

/// The numbering of one exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sequence {
    /// The number that the next message should carry; `None`: nothing to hold it against.
    expected: Option<u32>,
    /// Where a message that came out of order would be followed: two of them in a row are a new numbering.
    elsewhere: Option<u32>,
    gaps: Vec<Gap>,
    /// Units lost for certain.
    lost: u64,
    /// How many of them were counted by the owner.
    counted: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    start: u32,
    length: u32,
    missing: u32,
    since_ns: u64,
}

/// What a message's number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing to hold it against.
    First,
    /// The expected one.
    Next,
    /// Later than expected: something is missing before it.
    Gap,
    /// Earlier than expected, and missed before.
    Filled,
    /// Earlier than expected: a copy, or another numbering.
    Late,
    /// The exporter counts anew.
    Restart,
}

impl Sequence {
    /// Takes the number of a message and the units it holds by itself; `None`: they cannot be told, as with
    /// records of an unknown template, so nothing is expected of the next message.
    pub(crate) fn seen(&mut self, number: u32, units: Option<u32>, now_ns: u64) -> Order {
        let order = self.order(number, units, now_ns);
        match order {
            Order::First | Order::Next | Order::Gap | Order::Restart => {
                self.expected = units.map(|units| number.wrapping_add(units));
                self.elsewhere = None;
            }
            Order::Filled => {}
            Order::Late => self.elsewhere = units.map(|units| number.wrapping_add(units)),
        }
        order
    }

    fn order(&mut self, number: u32, units: Option<u32>, now_ns: u64) -> Order {
        let Some(expected) = self.expected else { return Order::First };
        let ahead = number.wrapping_sub(expected);
        if ahead == 0 {
            return Order::Next;
        }
        let is_late = ahead.cast_signed() < 0;
        if is_late && self.close(number, units.unwrap_or(0)) {
            return Order::Filled;
        }
        if self.elsewhere == Some(number) {
            return Order::Restart;
        }
        if is_late {
            return Order::Late;
        }
        if ahead > MAX_JUMP {
            return Order::Restart;
        }
        if self.gaps.len() >= MAX_GAPS {
            let oldest = self.gaps.remove(0);
            self.lost += u64::from(oldest.missing);
        }
        self.gaps.push(Gap { start: expected, length: ahead, missing: ahead, since_ns: now_ns });
        Order::Gap
    }

    /// Takes the units of a late message out of the gap that it belongs to, if there is one.
    fn close(&mut self, number: u32, units: u32) -> bool {
        let gap = self.gaps.iter_mut().find(|gap| number.wrapping_sub(gap.start) < gap.length);
        let is_found = gap.map(|gap| gap.missing = gap.missing.saturating_sub(units)).is_some();
        self.gaps.retain(|gap| gap.missing > 0);
        is_found
    }

    /// Settles gaps that are old enough.
    pub(crate) fn tick(&mut self, now_ns: u64) {
        let lost = &mut self.lost;
        self.gaps.retain(|gap| {
            let open = now_ns.saturating_sub(gap.since_ns) < SETTLE_NS;
            if !open {
                *lost += u64::from(gap.missing);
            }
            open
        });
    }

    /// When [`Sequence::tick`] would do something.
    pub(crate) fn due_ns(&self) -> Option<u64> {
        self.gaps.iter().map(|gap| gap.since_ns.saturating_add(SETTLE_NS)).min()
    }

    /// Whether a gap is open.
    pub(crate) const fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Units lost for certain so far.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Units lost for certain since this was last asked.
    pub(crate) const fn newly_lost(&mut self) -> u64 {
        let newly = self.lost.saturating_sub(self.counted);
        self.counted = self.lost;
        newly
    }

    /// How far a number is ahead of the expected one; 0 if nothing is expected or it is not ahead.
    pub(crate) fn ahead(&self, number: u32) -> u32 {
        let ahead = number.wrapping_sub(self.expected.unwrap_or(number));
        if ahead.cast_signed() < 0 { 0 } else { ahead }
    }

    /// Forgets where the exporter's numbering stood.
    pub(crate) const fn forget(&mut self) {
        self.expected = None;
        self.elsewhere = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settle(sequence: &mut Sequence) -> u64 {
        sequence.tick(u64::MAX);
        sequence.lost()
    }

    #[test]
    fn a_gap_that_stands_is_lost() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.seen(u32::MAX - 1, Some(2), 0), Order::First);
        assert_eq!(sequence.seen(0, Some(5), 0), Order::Next);
        assert_eq!(sequence.seen(15, Some(5), 0), Order::Gap);
        assert_eq!(sequence.lost(), 0);
        assert_eq!(sequence.due_ns(), Some(SETTLE_NS));
        sequence.tick(SETTLE_NS);
        assert_eq!((sequence.lost(), sequence.due_ns()), (10, None));
    }

    #[test]
    fn an_uncertain_message_expects_nothing() {
        let mut sequence = Sequence::default();
        sequence.seen(0, Some(5), 0);
        assert_eq!(sequence.seen(5, None, 0), Order::Next);
        assert_eq!(sequence.seen(900, Some(1), 0), Order::First);
        assert_eq!(settle(&mut sequence), 0);
    }

    #[test]
    fn two_in_a_row_elsewhere_are_a_restart() {
        let mut sequence = Sequence::default();
        sequence.seen(5_000, Some(10), 0);
        assert_eq!(sequence.seen(0, Some(10), 0), Order::Late);
        assert_eq!(sequence.seen(10, Some(10), 0), Order::Restart);
        assert_eq!(sequence.seen(20, Some(10), 0), Order::Next);
        assert_eq!(sequence.seen(20 + (1 << 25), Some(10), 0), Order::Restart);
        assert_eq!(settle(&mut sequence), 0);
    }

    #[test]
    fn gaps_are_bounded() {
        let mut sequence = Sequence::default();
        for number in 0..100 {
            sequence.seen(number * 10, Some(1), 0);
        }
        assert_eq!(sequence.gaps.len(), MAX_GAPS);
        assert_eq!(settle(&mut sequence), 99 * 9);
    }

    proptest! {
        /// Messages of one stream, some lost and the rest moved by up to three places: exactly the lost
        /// units are counted.
        #[test]
        fn reordering_is_no_loss(
            sizes in proptest::collection::vec(1..40_u32, 8..80),
            start in any::<u32>(),
            lost in proptest::collection::vec(any::<bool>(), 80),
            moves in proptest::collection::vec(0..4_usize, 80),
        ) {
            let mut number = start;
            let mut messages = Vec::new();
            for (at, &size) in sizes.iter().enumerate() {
                messages.push((number, size, at > 3 && at + 1 < sizes.len() && lost[at] && at % 3 == 0));
                number = number.wrapping_add(size);
            }
            let missing: u64 = messages.iter().filter(|m| m.2).map(|m| u64::from(m.1)).sum();
            let mut arrive: Vec<_> = messages.into_iter().filter(|m| !m.2).collect();
            // Every other message may be late by some places, the first and last stay.
            let mut at = 1;
            while at + 4 < arrive.len() {
                let message = arrive.remove(at);
                arrive.insert(at + moves[at % moves.len()], message);
                at += 5;
            }
            let mut sequence = Sequence::default();
            for (number, size, _) in arrive {
                sequence.seen(number, Some(size), 0);
            }
            prop_assert_eq!(settle(&mut sequence), missing);
        }
    }
}
