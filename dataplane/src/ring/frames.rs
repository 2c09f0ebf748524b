//! The frames of one RX queue: empty ones go to the fill ring, from there the kernel moves them to a receive
//! ring, from there a worker takes them and brings them back. Every frame has one owner at every moment.
//!
//! Any worker of the queue refills, under one token that it tries once a batch and never waits for. Who does
//! not get it keeps its frames until its next turn. (With one worker as owner of the fill ring, that worker
//! standing still starves all others.)

use std::sync::{Arc, Mutex, TryLockError};

use crossbeam_queue::ArrayQueue;

/// One frame of a queue's memory, empty. Who holds it owns it: it cannot be copied.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Frame(pub(crate) u32);

/// The user's side of a fill ring.
pub(crate) trait Fill {
    /// Frames that fit now.
    fn room(&mut self) -> usize;

    /// Hands the last `n` of `frames` to the kernel, all or none: `n` is at most [`Fill::room`].
    fn produce(&mut self, frames: &mut Vec<Frame>, n: usize);
}

/// One a queue, shared by its rings.
#[derive(Debug)]
pub(crate) struct Frames<F> {
    /// Only ever tried, never waited for: one compare-and-swap.
    token: Mutex<F>,
    /// Frames of rings that have been closed; the next refill takes them.
    left: ArrayQueue<Frame>,
    count: u32,
}

impl<F: Fill> Frames<F> {
    /// All of a queue's frames, filled as far as the ring has room; the rest waits in `left`.
    pub(crate) fn new(mut fill: F, count: u32) -> Arc<Self> {
        let mut frames: Vec<Frame> = (0..count).map(Frame).collect();
        let n = fill.room().min(frames.len());
        fill.produce(&mut frames, n);
        let left = ArrayQueue::new(count.max(1) as usize);
        for frame in frames {
            let pushed = left.push(frame);
            debug_assert!(pushed.is_ok(), "there is room for every frame there is");
        }
        Arc::new(Self { token: Mutex::new(fill), left, count })
    }

    /// How many frames the queue has.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Brings `held` frames back to the kernel, if nobody else refills at this moment; `after` runs under the
    /// same token. Returns whether the token was free.
    pub(crate) fn refill(&self, held: &mut Vec<Frame>, after: impl FnOnce(&mut F)) -> bool {
        let mut fill = match self.token.try_lock() {
            Ok(fill) => fill,
            // A fill ring has no half-done state: a panic under the token changes nothing.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let room = fill.room();
        let n = room.min(held.len());
        fill.produce(held, n);
        if held.is_empty() && !self.left.is_empty() {
            while held.len() < room.saturating_sub(n).min(held.capacity())
                && let Some(frame) = self.left.pop()
            {
                held.push(frame);
            }
            let n = held.len();
            fill.produce(held, n);
        }
        after(&mut fill);
        true
    }

    /// A ring closes: its frames wait for the next refill of any other ring.
    pub(crate) fn leave(&self, held: &mut Vec<Frame>) {
        for frame in held.drain(..) {
            let pushed = self.left.push(frame);
            debug_assert!(pushed.is_ok(), "there is room for every frame there is");
        }
    }

    /// Takes out the frames that wait for a refill and those that `inspect` finds in the fill ring: to see
    /// that every frame is still there, once.
    pub(crate) fn audit(&self, inspect: impl FnOnce(&mut F) -> Vec<Frame>) -> Vec<Frame> {
        let mut found: Vec<Frame> = std::iter::from_fn(|| self.left.pop()).collect();
        let mut rest = Vec::new();
        self.refill(&mut rest, |fill| found.extend(inspect(fill)));
        found.append(&mut rest);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Small(Vec<Frame>, usize);

    impl Fill for Small {
        fn room(&mut self) -> usize {
            self.1 - self.0.len()
        }

        fn produce(&mut self, frames: &mut Vec<Frame>, n: usize) {
            assert!(n <= self.room());
            self.0.extend(frames.drain(frames.len() - n..));
        }
    }

    fn take(frames: &Frames<Small>, n: usize) -> Vec<Frame> {
        frames.token.try_lock().unwrap().0.drain(..n).collect()
    }

    #[test]
    fn every_frame_is_found_once_whatever_the_rings_do() {
        let frames = Frames::new(Small(Vec::new(), 8), 20);
        let mut first = take(&frames, 8);
        first.reserve(64);
        assert!(frames.refill(&mut first, |_| ()));
        assert!(first.is_empty());
        let mut second = take(&frames, 5);
        let mut third = take(&frames, 3);
        frames.leave(&mut second);
        assert!(frames.refill(&mut third, |_| ()));
        let mut found = frames.audit(|fill| fill.0.drain(..).collect());
        found.append(&mut third);
        found.sort();
        assert_eq!(found, (0..20).map(Frame).collect::<Vec<_>>());
    }

    #[test]
    fn a_taken_token_is_not_waited_for() {
        let frames = Frames::new(Small(Vec::new(), 8), 8);
        let mut held = take(&frames, 4);
        let token = frames.token.try_lock().unwrap();
        assert!(!frames.refill(&mut held, |_| ()));
        assert_eq!(held.len(), 4);
        drop(token);
        assert!(frames.refill(&mut held, |_| ()));
        assert!(held.is_empty());
    }

    #[test]
    fn frames_of_a_closed_ring_come_back_through_another() {
        let frames = Frames::new(Small(Vec::new(), 8), 8);
        let mut gone = take(&frames, 8);
        frames.leave(&mut gone);
        let mut other = Vec::with_capacity(64);
        assert!(frames.refill(&mut other, |_| ()));
        assert_eq!(take(&frames, 8).len(), 8);
    }

    #[test]
    fn a_panic_under_the_token_does_not_take_it_away() {
        let frames = Frames::new(Small(Vec::new(), 8), 8);
        let shared = Arc::clone(&frames);
        let panicked = std::thread::spawn(move || {
            shared.refill(&mut Vec::new(), |_| panic!("under the token"));
        })
        .join();
        assert!(panicked.is_err());
        assert!(frames.refill(&mut Vec::new(), |_| ()));
    }
}
