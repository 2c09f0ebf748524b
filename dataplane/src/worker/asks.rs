//! Questions that a worker answers beside its work: a slice now and then, into an outlet of the asker's.
//!
//! Never in the way of packets: a slice a step while nothing comes, else a slice a tick. An asker that goes away or
//! reads no more costs nothing but its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use collector::query::{Cursor, Query};
use collector::{Collector, Now, Outlet};

/// A question to one worker.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub query: Query,
    /// Where the answer goes: made with the schemas of the worker's own outlet. The asker reads its drain.
    pub outlet: Outlet,
    /// Set when the answer is complete or will not be: the drain then holds all there is.
    pub done: Arc<AtomicBool>,
}

/// Questions that one worker answers at a time; more are refused.
const ASKS: usize = 8;

/// The questions of one worker.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    open: Vec<(Ask, Cursor)>,
    /// The last slices came to nothing: outlets are full.
    stuck: bool,
}

impl Asks {
    /// Takes a question, or answers it with nothing if there are too many.
    pub(crate) fn add(&mut self, ask: Ask) {
        if self.open.len() < ASKS {
            self.open.push((ask, Cursor::default()));
            self.stuck = false;
        } else {
            ask.done.store(true, Ordering::Release);
        }
    }

    /// Whether a slice would get on at once.
    pub(crate) const fn pending(&self) -> bool {
        !self.open.is_empty() && !self.stuck
    }

    /// Whether any question is open.
    pub(crate) const fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// One slice of each answer.
    pub(crate) fn answer(&mut self, now: Now, collector: &mut Collector) {
        let mut moved = false;
        self.open.retain_mut(|(ask, cursor)| {
            // Nobody else holds `done`: the asker is gone.
            if Arc::strong_count(&ask.done) == 1 {
                return false;
            }
            let next = collector.answer(now, &ask.query, *cursor, &mut ask.outlet);
            ask.outlet.publish();
            let Some(next) = next else {
                ask.done.store(true, Ordering::Release);
                return false;
            };
            moved |= next != *cursor;
            *cursor = next;
            true
        });
        self.stuck = !moved;
    }

    /// The collector has panicked: no answer goes on.
    pub(crate) fn forget(&mut self) {
        for (ask, _) in self.open.drain(..) {
            ask.done.store(true, Ordering::Release);
        }
    }
}
