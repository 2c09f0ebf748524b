//! One pinned thread: sources, collector and outlet, turned until it is told to stop.
//!
//! A step is: look (sleep in it, if nothing was there last time), read the clock once, then
//! receive -> accept -> recycle for every source, and publish and tick when they are due. A panic is caught at
//! the step's edge: the collector starts again empty, everything else goes on. Never waits anywhere else.

mod start;
mod report;
mod asks;
mod hand_over;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use collector::ledger::{Kind, PacketEnd, RecordEnd};
use collector::{Collector, Input, Now, Outlet, Schemas};

use crate::datagram::Datagrams;
use crate::inbox::{Command, Inbox, Notice, Orders};
use crate::poll::{Poll, Ready};
use crate::ring::Ring;
use crate::settings::{BATCH, WorkerSettings};
use crate::source::Source;
use crate::stream::Streams;
use report::Report;

pub use asks::Ask;
use asks::Asks;
pub use start::{Remains, Running, Start, spawn};

/// One a core; [`spawn`] makes one and runs it. Made by hand it belongs to the calling thread, which steps it.
#[derive(Debug)]
pub struct Worker {
    settings: WorkerSettings,
    collector_settings: collector::Settings,
    schemas: Schemas,
    collector: Collector,
    outlet: Outlet,
    rings: Vec<Ring>,
    datagrams: Datagrams,
    streams: Streams,
    poll: Poll,
    orders: Orders,
    report: Report,
    asks: Asks,
    at: At,
    /// A packet is with the collector.
    under_way: bool,
    turns: u64,
    /// Inputs of the last step, and how many of them were packets.
    given: u32,
    packets: u32,
    began_ns: u64,
    tick_due_ns: u64,
    publish_due_ns: u64,
    /// When the collector wants its next tick.
    deadline_ns: Option<u64>,
    /// Inputs since the last tick; rows may wait to be handed on.
    unticked: bool,
    unpublished: bool,
    /// When the next panic is worth a notice.
    panic_notice_ns: u64,
    draining: bool,
    stopping: Option<Stopping>,
    #[cfg(test)]
    poison: Option<Vec<u8>>,
}

/// Where a step is: what to skip if it panics.
#[derive(Clone, Copy, Debug)]
enum At {
    Ring(usize),
    Datagrams,
    Elsewhere,
}

#[derive(Clone, Copy, Debug)]
struct Stopping {
    hand_over: bool,
    until_ns: u64,
}

/// A worker that is told to stop while packets keep coming stops after this time.
const STOP_NS: u64 = 1_000_000_000;

/// Whoever can make a worker panic can do so with every packet: one notice in this time.
const PANIC_NOTICE_NS: u64 = 1_000_000_000;

#[expect(clippy::disallowed_methods, reason = "the one place where the dataplane reads a clock")]
fn clock() -> Now {
    let nanoseconds = |id| {
        let time = rustix::time::clock_gettime(id);
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
    };
    Now {
        monotonic_ns: nanoseconds(rustix::time::ClockId::Monotonic),
        unix_ns: nanoseconds(rustix::time::ClockId::Realtime),
        frame: 0,
    }
}

impl Worker {
    /// A worker on the calling thread, which is pinned if `start` names a core.
    ///
    /// # Errors
    /// As [`spawn`].
    pub fn new(start: Start) -> io::Result<(Self, Inbox)> {
        let (poll, inbox, orders) = start::prepare(&start)?;
        Ok((Self::build(start, poll, orders), inbox))
    }

    pub(crate) fn build(start: Start, poll: Poll, orders: Orders) -> Self {
        let Start { id, core, settings, collector, schemas, outlet, rings, .. } = start;
        let mut worker = Self {
            collector: Collector::new(collector.clone(), schemas.clone()),
            collector_settings: collector,
            schemas,
            outlet,
            datagrams: Datagrams::new(),
            streams: Streams::new(id.0, start.remains.named),
            report: Report::new(start.counters, rings.len()),
            rings,
            poll,
            orders,
            settings,
            asks: Asks::default(),
            at: At::Elsewhere,
            under_way: false,
            turns: 0,
            given: 0,
            packets: 0,
            began_ns: 0,
            tick_due_ns: 0,
            publish_due_ns: 0,
            deadline_ns: None,
            unticked: false,
            unpublished: false,
            panic_notice_ns: 0,
            draining: false,
            stopping: None,
            #[cfg(test)]
            poison: None,
        };
        let pinned = core.is_some_and(crate::cores::pin);
        for ring in &worker.rings {
            let polled = ring.descriptor().map(|socket| worker.poll.add(socket, Ready::Ring));
            if let Some(Err(error)) = polled {
                worker.orders.say(Notice::SocketRefused(error));
            }
        }
        let datagrams = start.datagrams.into_iter().map(Command::Datagrams);
        let listeners = start.listeners.into_iter().map(Command::Listener);
        let remains = std::iter::once(Command::Adopt(Box::new(start.remains)));
        let now = clock();
        for command in remains.chain(datagrams).chain(listeners) {
            worker.obey(now, command);
        }
        worker.orders.say(Notice::Running { pinned });
        worker
    }

    /// Steps until it is told to stop.
    #[must_use]
    pub fn run(mut self) -> Remains {
        while !self.step() {}
        self.end()
    }

    /// One look and one turn. Returns whether the worker was told to stop and has nothing left to do.
    pub fn step(&mut self) -> bool {
        self.look();
        let now = clock();
        self.report.turned(self.given, now.monotonic_ns.saturating_sub(self.began_ns));
        self.began_ns = now.monotonic_ns;
        self.given = match catch_unwind(AssertUnwindSafe(|| self.turn(now))) {
            Ok(given) => given,
            Err(_) => {
                self.recover();
                self.packets = 1;
                1
            }
        };
        if self.packets == 0 && self.draining {
            self.draining = false;
            self.publish(now);
            self.tick_safely(now);
            self.orders.say(Notice::Drained);
        }
        self.stopping.is_some_and(|stopping| self.packets == 0 || now.monotonic_ns >= stopping.until_ns)
    }

    /// Inputs that the last step gave to the collector.
    #[must_use]
    pub const fn given(&self) -> u32 {
        self.given
    }

    /// Sees which sockets are ready: now and then while there is work, else asleep until something comes.
    fn look(&mut self) {
        let busy = self.given > 0 || self.datagrams.pending();
        let ending = self.draining || self.stopping.is_some();
        let timeout_ns = if ending || busy || self.asks.pending() { 0 } else { self.sleep_ns() };
        if !ending && busy && !self.turns.is_multiple_of(u64::from(self.settings.turns_per_poll.max(1))) {
            return;
        }
        let stopping = self.stopping.is_some();
        let Self { poll, datagrams, streams, tick_due_ns, .. } = self;
        poll.wait(timeout_ns, |ready| match ready {
            Ready::Ring => {}
            // Commands are read on the tick: have one now.
            Ready::Bell => *tick_due_ns = 0,
            Ready::Datagrams(number) => datagrams.ready(number),
            // What streams still bring stays in the kernel for whoever has them next.
            Ready::Listener(_) | Ready::Stream(_) if stopping => {}
            Ready::Listener(number) => streams.listener_ready(number),
            Ready::Stream(name) => streams.stream_ready(name),
        });
    }

    fn sleep_ns(&self) -> u64 {
        let mut wake_ns = self.began_ns.saturating_add(self.settings.idle_ns);
        if self.unticked || !self.asks.is_empty() {
            wake_ns = wake_ns.min(self.tick_due_ns);
        }
        if self.unpublished {
            wake_ns = wake_ns.min(self.publish_due_ns);
        }
        // Nobody rings when a replay brings frames.
        if self.rings.iter().any(|ring| ring.descriptor().is_none()) {
            wake_ns = wake_ns.min(self.began_ns.saturating_add(1_000_000));
        }
        wake_ns.min(self.deadline_ns.unwrap_or(u64::MAX)).saturating_sub(self.began_ns).max(1)
    }

    fn turn(&mut self, now: Now) -> u32 {
        self.turns = self.turns.wrapping_add(1);
        let mut given = 0;
        let Self { collector, outlet, under_way, .. } = self;
        #[cfg(test)]
        let poison = self.poison.as_deref();
        let mut accept = |input: Input<'_>| {
            *under_way = matches!(input, Input::Frame(_) | Input::Datagram { .. });
            #[cfg(test)]
            assert!(!matches!(input, Input::Frame(octets) if Some(octets) == poison), "poisoned frame");
            let consumed = collector.accept(now, input, outlet);
            *under_way = false;
            consumed
        };
        for (number, ring) in self.rings.iter_mut().enumerate() {
            self.at = At::Ring(number);
            given += ring.receive(BATCH as u32, &mut accept);
            ring.recycle();
            self.report.put_off(ring.held());
        }
        self.at = At::Datagrams;
        given += self.datagrams.receive(BATCH as u32, &mut accept);
        self.packets = given;
        self.at = At::Elsewhere;
        if self.stopping.is_none() {
            given += self.streams.receive(&self.poll, &self.settings, &mut accept);
        }
        if given > 0 {
            (self.unticked, self.unpublished) = (true, true);
        }
        if self.unpublished && now.monotonic_ns >= self.publish_due_ns {
            self.publish(now);
        }
        let due = now.monotonic_ns >= self.tick_due_ns;
        if !self.asks.is_empty() && (given == 0 || due) {
            self.asks.answer(now, &mut self.collector);
        }
        if due || self.deadline_ns.is_some_and(|deadline| now.monotonic_ns >= deadline) {
            self.tick(now);
        }
        given
    }

    fn publish(&mut self, now: Now) {
        self.outlet.publish();
        self.unpublished = false;
        self.publish_due_ns = now.monotonic_ns.saturating_add(self.settings.publish_ns);
    }

    fn tick(&mut self, now: Now) {
        self.deadline_ns = self.collector.tick(now, &mut self.outlet);
        self.streams.tick(&self.poll);
        while let Some(command) = self.orders.next() {
            self.obey(now, command);
        }
        self.tick_due_ns = now.monotonic_ns.saturating_add(self.settings.tick_ns);
        self.unticked = false;
        self.write_report(now);
    }

    fn write_report(&mut self, now: Now) {
        self.report.rings(&self.rings, self.collector.ledgers_mut());
        self.report.sockets(&self.datagrams, self.collector.ledgers_mut());
        let (open, backlog) = (self.streams.open(), self.outlet.backlog());
        self.report.rest(&self.streams.counts, open, backlog, self.orders.lost);
        self.report.write(now, self.collector.ledgers());
    }

    fn obey(&mut self, now: Now, command: Command) {
        let taken = match command {
            Command::Datagrams(socket) if !self.report.has_place(socket.place) => {
                Err(io::ErrorKind::QuotaExceeded.into())
            }
            Command::Datagrams(socket) => self.datagrams.add(socket, &self.poll, &self.settings),
            Command::Listener(socket) => self.streams.listen(socket, &self.poll),
            Command::Adopt(remains) => {
                self.adopt(now, *remains);
                Ok(())
            }
            Command::Ask(ask) => {
                self.asks.add(*ask);
                Ok(())
            }
            Command::Drain => {
                self.draining = true;
                Ok(())
            }
            Command::Stop { hand_over } => {
                let until_ns = now.monotonic_ns.saturating_add(STOP_NS);
                self.stopping = Some(Stopping { hand_over, until_ns });
                Ok(())
            }
        };
        if let Err(error) = taken {
            self.orders.say(Notice::SocketRefused(error));
        }
    }

    fn tick_safely(&mut self, now: Now) {
        if catch_unwind(AssertUnwindSafe(|| self.tick(now))).is_err() {
            self.recover();
        }
    }

    /// After a panic: what was under way gets its end, the collector starts again empty, sources go on behind
    /// the input that it panicked over. Streams cannot be taken up in the middle: they are closed.
    ///
    /// The worker's entries in the maps stay: it is back within its own turn, before anyone could take them out,
    /// and what would miss its rings meanwhile would come to its own sockets. Rings and sockets hold what arrives
    /// until then; what they cannot hold is a counted drop.
    fn recover(&mut self) {
        let fresh = Collector::new(self.collector_settings.clone(), self.schemas.clone());
        let mut gone = std::mem::replace(&mut self.collector, fresh);
        if std::mem::take(&mut self.under_way) {
            gone.ledgers_mut().packet(PacketEnd::WorkerPanic);
        }
        for _ in 0..self.outlet.undo() {
            gone.ledgers_mut().record_moved(Kind::Flow, RecordEnd::Row, RecordEnd::WorkerPanic);
        }
        gone.ledgers_mut().panicked();
        self.report.panicked(gone.ledgers());
        // What panicked once may do so again while it is taken apart. Freeing millions of routes takes longer than
        // a ring holds frames: that is done beside.
        let _ = catch_unwind(AssertUnwindSafe(move || {
            if gone.routers().next().is_some() {
                drop(std::thread::Builder::new().name("panicked".into()).spawn(move || drop(gone)));
            }
        }));
        match std::mem::replace(&mut self.at, At::Elsewhere) {
            At::Ring(number) => {
                if let Some(ring) = self.rings.get_mut(number) {
                    ring.skip();
                }
            }
            At::Datagrams => self.datagrams.skip(),
            At::Elsewhere => {}
        }
        self.streams.forget();
        self.asks.forget();
        if self.began_ns >= self.panic_notice_ns {
            self.panic_notice_ns = self.began_ns.saturating_add(PANIC_NOTICE_NS);
            self.orders.say(Notice::Panicked);
        }
    }
}

#[cfg(test)]
mod tests;
