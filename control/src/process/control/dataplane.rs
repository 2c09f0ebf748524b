//! The dataplane process as control sees it: started, heard, drained, mourned.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use dataplane_common::map::SlotState;

use super::super::asynchronous::AsyncChannel;
use super::super::channel::{Channel, ChannelError, Received};
use super::super::message::{Keep, Order, Report, Topic, VERSION, tame};
use super::Control;

/// Where a dataplane process is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// There is none.
    #[default]
    Gone,
    /// It has its orders and opens what they name.
    Starting,
    /// Its workers turn.
    Running,
    /// It takes what still waits.
    Draining,
}

/// One at a time.
#[derive(Debug, Default)]
pub(crate) struct Dataplane {
    channel: Option<AsyncChannel>,
    pub(crate) state: State,
    pub(crate) pid: u32,
    /// How many there have been.
    pub(crate) generation: u32,
    since: Option<Instant>,
    /// Rings in the map, by (row, worker): without a copy?
    pub(crate) rings: BTreeMap<(u32, u16), bool>,
    /// Its orders have changed since it was given them.
    pub(super) outdated: bool,
    /// Log lines since the last look, so that no process fills the log.
    lines: u32,
}

/// How long a process may take to hand over: some millions of routes a second are saved.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(30);

/// Lines of one dataplane process between two looks that reach the log.
const MAX_LINES: u32 = 50;

impl Dataplane {
    /// The next report; never, where there is no process.
    pub(super) async fn receive(&self) -> Result<Received<Report>, ChannelError> {
        match &self.channel {
            Some(channel) => channel.receive().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// It ends: takes what still waits, or hands over.
    pub(super) fn drain(&mut self, order: &Order) {
        // It is about to end anyway.
        if self.state == State::Draining {
            return;
        }
        let sent = self.channel.as_ref().map(|channel| channel.send(order, &[]));
        self.since = Some(Instant::now());
        self.state = match (self.state, sent) {
            (State::Running, Some(Ok(()))) => State::Draining,
            // One that has not begun has taken nothing; one that does not hear cannot be drained.
            _ => State::Gone,
        };
    }

    /// A look: as many lines again may be written. Returns whether it takes too long to hand over; said once.
    pub(super) fn looked(&mut self) -> bool {
        self.lines = 0;
        let late = self.since.is_some_and(|since| since.elapsed() > HAND_OVER_PATIENCE);
        let stuck = late && self.state == State::Draining;
        if stuck {
            self.since = None;
        }
        stuck
    }
}

impl Control {
    /// A new dataplane process, or one that an earlier control process has started.
    pub(super) fn introduce(
        &mut self,
        end: OwnedFd,
        pid: u32,
        generation: u32,
        running: bool,
    ) -> Result<(), ChannelError> {
        let channel = Channel::new(end)
            .and_then(AsyncChannel::new)
            .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))?;
        self.dataplane = Dataplane {
            channel: Some(channel),
            state: match (running, self.stopping.is_some()) {
                (true, _) => State::Running,
                // It gets no orders any more.
                (false, true) => State::Gone,
                (false, false) => State::Starting,
            },
            pid,
            generation,
            since: Some(Instant::now()),
            ..Dataplane::default()
        };
        if running || self.stopping.is_some() {
            return Ok(());
        }
        // No ring of the one before is in the map any more, so what it had and did not count is known now.
        self.settle_rings();
        let workers = u16::try_from(self.workers).unwrap_or(0);
        let sinks = self.places.of_sinks(&self.config);
        let start = Order::Start {
            version: VERSION,
            workers,
            sinks,
            key: self.plane.programs.as_ref().map(|_| self.key),
        };
        self.order(&start, &[self.text.as_fd(), self.page_file.as_fd()])?;
        for socket in &self.sockets {
            let listen = self.config.listen.get(usize::from(socket.listen));
            let place = listen.map_or(0, |listen| self.places.of(listen));
            let order = Order::Serve { worker: socket.worker, listen: socket.listen, place };
            self.order(&order, &[socket.descriptor.as_fd()])?;
        }
        for ring in &self.plane.rings {
            let order = Order::Open {
                device: ring.device.clone(),
                queue: ring.queue,
                row: ring.row,
                generic: ring.generic,
                only: ring.only,
            };
            self.order(&order, &[])?;
        }
        self.bequeath()?;
        self.order(&Order::Begin, &[])
    }

    pub(super) fn order(
        &self,
        order: &Order,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        match &self.dataplane.channel {
            Some(channel) => channel.send(order, descriptors),
            None => Err(ChannelError::Closed),
        }
    }

    /// Hands a client's stream over: the workers answer on it. Without any at work it just ends.
    pub(super) fn pass(&self, topic: Topic, client: &OwnedFd) {
        if self.dataplane.state == State::Running
            && let Err(error) = self.order(&Order::Ask { topic }, &[client.as_fd()])
        {
            tracing::warn!("the dataplane process takes no question: {error}");
        }
    }

    pub(super) fn report(&mut self, report: Result<Received<Report>, ChannelError>) {
        let received = match report {
            Ok(received) => received,
            Err(error) => {
                // Its end follows from the keeper; nothing more is read from this one.
                if !matches!(error, ChannelError::Closed) {
                    tracing::error!("dataplane process: {error}");
                }
                self.dataplane.channel = None;
                return;
            }
        };
        match received.message {
            Report::Ring { row, worker, zero_copy } => {
                let socket = received.descriptors.into_iter().next();
                self.ring(row, worker, zero_copy, socket);
            }
            Report::Remains { worker } => self.remains(worker, received.descriptors),
            Report::Hold { worker, streams } => self.hold_streams(worker, &streams, received.descriptors),
            Report::Adopted => self.adopted(),
            Report::Running => self.running(),
            Report::Exporters { exporters } => {
                self.exporters.told(&exporters, self.config.metrics.max_exporters as usize);
            }
            Report::Notice { text } => self.line(|text| tracing::warn!("dataplane: {text}"), &text),
            Report::Failed { text } if self.dataplane.generation == 1 && self.stopping.is_none() => {
                // Nothing has run yet: a mistake of the operator's, not an accident to get over.
                self.failed = Some(tame(&text));
                self.dataplane.state = State::Gone;
                self.stop();
            }
            Report::Failed { text } => {
                self.line(|text| tracing::error!("dataplane: {text}"), &text);
                self.reloads.why = Some(tame(&text));
            }
            Report::Drained => self.dataplane.state = State::Gone,
        }
    }

    fn line(&mut self, write: impl Fn(&str), text: &str) {
        self.dataplane.lines += 1;
        if self.dataplane.lines <= MAX_LINES {
            write(&tame(text));
        }
    }

    /// An AF_XDP socket goes into the map if it was asked for; our copy is closed, since a queue stays busy for
    /// as long as anybody holds its socket.
    fn ring(&mut self, row: u32, worker: u16, zero_copy: bool, socket: Option<OwnedFd>) {
        let known =
            self.plane.rings.iter().any(|ring| ring.row == row && ring.only.is_none_or(|w| w == worker));
        let (Some(socket), true) = (socket, known && usize::from(worker) < self.workers) else {
            self.line(|text| tracing::error!("{text}"), "dataplane named a ring that it was not asked for");
            return;
        };
        match self.plane.insert_ring(row, worker, socket.as_fd()) {
            Ok(()) => drop(self.dataplane.rings.insert((row, worker), zero_copy)),
            Err(error) => tracing::error!("ring row {row}, worker {worker}: {error}"),
        }
    }

    fn running(&mut self) {
        if self.dataplane.state != State::Starting || self.stopping.is_some() {
            return;
        }
        self.dataplane.state = State::Running;
        if let Err(error) = self.plane.steer(&self.config, self.workers, SlotState::Millrace) {
            tracing::error!("cannot switch traffic on: {error}");
        }
        let took = self.dataplane.since.map_or(0, |since| since.elapsed().as_millis());
        tracing::info!(
            pid = self.dataplane.pid,
            workers = self.workers,
            rings = self.dataplane.rings.len(),
            took_ms = took,
            "the dataplane is at work"
        );
        // Without a keeper nobody hears it.
        let _ = self.keeper.send(&Keep::Running, &[]);
        self.reloaded();
        if std::mem::take(&mut self.dataplane.outdated) {
            self.restart();
        }
    }

    pub(super) fn dataplane_ended(&mut self, how: &str) {
        tracing::debug!("the dataplane process ended: {}", tame(how));
        // What it said last may still wait in the channel.
        while let Some(received) = self.dataplane.channel.as_ref().and_then(AsyncChannel::try_receive) {
            self.report(Ok(received));
        }
        self.settle_sinks();
        self.exporters.ended();
        (self.rings_unsettled, self.sockets_unsettled) = (true, true);
        let generation = self.dataplane.generation;
        self.dataplane = Dataplane { generation, ..Dataplane::default() };
        if self.plane.withheld {
            self.plane.setup.restore();
        }
        self.switch_between();
        self.hold_base();
    }
}
