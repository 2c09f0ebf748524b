//! Where a worker's knowledge goes when it ends, and where that of the one before comes in.
//!
//! In: remains, or the order to stop. Out: remains with routers and open streams, or closed streams. Never waits:
//! what has not come yet stays in the sockets for whoever has them next.

use std::panic::{AssertUnwindSafe, catch_unwind};

use collector::ledger::SetEnd;
use collector::{Input, Ledgers, Now, StreamEnd, StreamId};

use super::{At, Remains, Worker, clock};
use crate::inbox::Notice;
use crate::source::Source as _;

impl Worker {
    pub(super) fn adopt(&mut self, now: Now, remains: Remains) {
        for router in remains.routers {
            if let Err(refused) = self.collector.restore(&router) {
                self.orders.say(Notice::RouterRefused(refused));
            }
        }
        for stream in remains.streams {
            // In the middle of a stream only its own session can go on.
            if !self.collector.has_stream(stream.name) {
                self.streams.counts.closed += 1;
                continue;
            }
            let name = stream.name;
            let Self { collector, outlet, streams, .. } = self;
            let mut accept = |input: Input<'_>| collector.accept(now, input, outlet);
            if let Err(error) = streams.adopt(stream, &self.poll, &self.settings, &mut accept) {
                self.orders.say(Notice::SocketRefused(error));
                self.lost(now, name);
            }
        }
        for name in remains.lost {
            self.lost(now, name);
        }
        (self.unticked, self.unpublished) = (true, true);
    }

    /// A session was restored whose stream is gone.
    fn lost(&mut self, now: Now, stream: StreamId) {
        if self.collector.has_stream(stream) {
            self.streams.counts.closed += 1;
            self.collector.accept(now, Input::Closed { stream, end: StreamEnd::Reset }, &mut self.outlet);
        }
    }

    /// Everything is handed over or closed, the last rows are handed on, the counters written.
    pub(super) fn end(mut self) -> Remains {
        let now = clock();
        let hand_over = self.stopping.is_some_and(|stopping| stopping.hand_over);
        while self.datagrams.left() > 0 {
            if catch_unwind(AssertUnwindSafe(|| self.give_rest(now))).is_err() {
                self.recover();
            }
        }
        let ended =
            catch_unwind(AssertUnwindSafe(|| if hand_over { self.remains() } else { self.close(now) }));
        let remains = ended.unwrap_or_else(|_| {
            self.recover();
            Remains::default()
        });
        self.asks.forget();
        self.outlet.publish();
        self.write_report(now);
        remains
    }

    fn remains(&mut self) -> Remains {
        let collector = &self.collector;
        let save = |router| {
            let mut octets = Vec::new();
            collector.save(router, &mut octets);
            octets
        };
        let routers = collector.routers().map(save).collect();
        // Sets that wait go along, and are counted by whoever has them: the next one counts them in again.
        let Ledgers { sets_in, sets, .. } = self.collector.ledgers_mut();
        for (count, ends) in sets_in.iter_mut().zip(sets) {
            if let Some(waiting) = ends.get_mut(SetEnd::Waiting.index()) {
                *count = count.wrapping_sub(std::mem::take(waiting));
            }
        }
        let streams = self.streams.hand_over(|stream| self.collector.router_of(stream));
        Remains { routers, streams, lost: Vec::new(), named: self.streams.named() }
    }

    /// What was read off a socket and not given yet is given before the end.
    fn give_rest(&mut self, now: Now) {
        self.at = At::Datagrams;
        let Self { collector, outlet, datagrams, under_way, .. } = self;
        let left = u32::try_from(datagrams.left()).unwrap_or(0);
        datagrams.receive(left, |input| {
            *under_way = true;
            let consumed = collector.accept(now, input, outlet);
            *under_way = false;
            consumed
        });
        self.at = At::Elsewhere;
    }

    fn close(&mut self, now: Now) -> Remains {
        let Self { collector, outlet, streams, .. } = self;
        streams.close(&mut |input| collector.accept(now, input, outlet));
        Remains::default()
    }
}
