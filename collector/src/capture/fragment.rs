//! IP fragments of a capture -> whole packets, with a bound on what waits.

use std::collections::VecDeque;

use etherparse::IpNumber;
use etherparse::defrag::{IpDefragBuf, IpFragRange};
use hashbrown::HashMap;

use super::transport::Whole;

/// Packets that may wait for their parts at once; the oldest is given up for a new one.
const MAX_WAITING: usize = 256;

/// Fragments that wait for the rest. One a capture.
#[derive(Debug, Default)]
pub struct Fragments {
    waiting: HashMap<Whole, IpDefragBuf>,
    order: VecDeque<Whole>,
    /// Packets given up: parts contradict each other, or too many waited.
    pub given_up: u64,
}

impl Fragments {
    /// Adds a part. Returns the payload of the whole packet when this was the last part missing.
    pub fn add(&mut self, of: Whole, offset: usize, more: bool, payload: &[u8]) -> Option<Vec<u8>> {
        let fragment_offset = u16::try_from(offset / 8).ok().and_then(|units| units.try_into().ok())?;
        if !self.waiting.contains_key(&of) {
            if self.waiting.len() >= MAX_WAITING
                && let Some(oldest) = self.order.pop_front()
                && self.waiting.remove(&oldest).is_some()
            {
                self.given_up += 1;
            }
            self.order.push_back(of);
        }
        let buffer = self.waiting.entry(of).or_insert_with(|| {
            IpDefragBuf::new(IpNumber(of.protocol), Vec::new(), Vec::<IpFragRange>::new())
        });
        if buffer.add(fragment_offset, more, payload).is_err() {
            self.waiting.remove(&of);
            self.order.retain(|waiting| *waiting != of);
            self.given_up += 1;
            return None;
        }
        if !buffer.is_complete() {
            return None;
        }
        self.order.retain(|waiting| *waiting != of);
        self.waiting.remove(&of).map(|buffer| buffer.take_bufs().0)
    }

    /// Packets whose parts are still incomplete.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Whole = Whole {
        source: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        destination: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)),
        identification: 7,
        protocol: 17,
    };

    #[test]
    fn parts_in_any_order_make_the_whole() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.add(OF, 8, false, b"end"), None);
        assert_eq!(fragments.add(OF, 0, true, b"12345678"), Some(b"12345678end".to_vec()));
        assert_eq!(fragments.waiting(), 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut fragments = Fragments::default();
        for identification in 0..1_000 {
            assert_eq!(fragments.add(Whole { identification, ..OF }, 0, true, &[0; 8]), None);
        }
        assert_eq!(fragments.waiting(), MAX_WAITING);
        assert_eq!(fragments.given_up, 1_000 - MAX_WAITING as u64);
    }
}
