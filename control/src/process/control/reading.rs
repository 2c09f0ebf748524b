//! Maps, counters page and reports -> [`Totals`]; what a killed process cost is settled here.

use std::os::fd::{AsFd, OwnedFd};

use dataplane_common::PacketEnd;

use super::dataplane::State;
use super::{Control, sealed};
use crate::ebpf::tables::Counters;
use crate::process::dataplane::{octets_of, sinks};
use crate::process::message::Keep;
use crate::totals::{Base, RingTotals, SinkTotals, SocketTotals, Totals};

impl Control {
    /// Every counter, now.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals {
            workers: (0..self.places.workers()).filter_map(|worker| self.page.read(worker)).collect(),
            ..Totals::default()
        };
        if let Some(programs) = &self.plane.programs {
            let counters = &programs.tables.counters;
            totals.frames = since(counters.frame_ends().unwrap_or([0; PacketEnd::COUNT]), &self.base.frames);
            totals.selections =
                since(counters.socket_ends().unwrap_or([0; PacketEnd::COUNT]), &self.base.selections);
            self.rings(counters, &mut totals);
            totals.received = self.plane.reception.now(self.plane.frames_seen());
        }
        self.udp(&mut totals);
        let ledgers = sinks::ledgers(&self.places.of_sinks(&self.config), &self.page);
        for (n, (name, ledger)) in sinks::names(&self.config).into_iter().zip(ledgers).enumerate() {
            let lost = self.base.rows_lost.get(n).copied().unwrap_or(0);
            totals.sinks.push(SinkTotals { name, ends: ledger.ends(), lost });
        }
        totals
    }

    fn rings(&self, counters: &Counters, totals: &mut Totals) {
        for ring in self.plane.rings.iter().chain(&self.plane.past) {
            for (worker, block) in (0_u16..).zip(&totals.workers) {
                let at = (ring.row, worker);
                let redirected = counters.redirected(ring.row, u32::from(worker)).unwrap_or(0);
                let counted = block.rings.get(ring.row as usize).copied().unwrap_or_default();
                totals.rings.push(RingTotals {
                    device: ring.device.clone(),
                    queue: ring.queue,
                    worker,
                    redirected: redirected.wrapping_sub(self.base.redirected.get(&at).copied().unwrap_or(0)),
                    received: counted.received,
                    dropped: counted.rx_dropped + counted.rx_ring_full,
                    lost: self.base.frames_lost.get(&at).copied().unwrap_or(0),
                });
            }
        }
    }

    fn udp(&self, totals: &mut Totals) {
        let udp = self.config.listen.iter().enumerate().filter(|(_, listen)| !listen.protocol.is_stream());
        for (listen, entry) in udp {
            let place = self.places.of(entry);
            let row = self.plane.socket_rows.get(listen).copied();
            let listen = u16::try_from(listen).unwrap_or(u16::MAX);
            for (worker, block) in (0_u16..).zip(&totals.workers) {
                let counted = block.sockets.get(usize::from(place)).copied().unwrap_or_default();
                let selected = row.zip(self.plane.programs.as_ref()).map(|(row, programs)| {
                    let now = programs.tables.counters.selected(row, u32::from(worker)).unwrap_or(0);
                    now.wrapping_sub(self.base.selected.get(&(row, worker)).copied().unwrap_or(0))
                });
                totals.sockets.push(SocketTotals {
                    listen,
                    worker,
                    selected,
                    received: counted.received,
                    dropped: counted.dropped,
                    lost: self.base.datagrams_lost.get(&(place, worker)).copied().unwrap_or(0),
                });
            }
        }
    }

    /// Where the counters of the maps stand, which may be those of an earlier instance.
    pub(super) fn baseline(&self) -> Base {
        let mut base = Base::default();
        let Some(programs) = &self.plane.programs else { return base };
        let counters = &programs.tables.counters;
        base.frames = counters.frame_ends().unwrap_or([0; PacketEnd::COUNT]).to_vec();
        base.selections = counters.socket_ends().unwrap_or([0; PacketEnd::COUNT]).to_vec();
        for worker in (0_u16..).take(self.workers) {
            for ring in &self.plane.rings {
                let count = counters.redirected(ring.row, u32::from(worker)).unwrap_or(0);
                base.redirected.insert((ring.row, worker), count);
            }
            for row in &self.plane.socket_rows {
                let count = counters.selected(*row, u32::from(worker)).unwrap_or(0);
                base.selected.insert((*row, worker), count);
            }
        }
        base
    }

    /// The process that wrote the sinks' files is gone: what it was about to do is counted as far as it was done, and
    /// rows that reached no end are lost with it.
    pub(super) fn settle_sinks(&mut self) {
        let ledgers = sinks::ledgers(&self.places.of_sinks(&self.config), &self.page);
        for (sink, ledger) in self.config.sink.iter().zip(ledgers) {
            if let Err(error) = ledger.settle(&sink.path) {
                tracing::warn!("{}: what was written last is counted as lost: {error}", sink.path.display());
            }
        }
        self.base.ended(&self.totals());
    }

    /// Rows and slots that this instance had not used yet may have been counted in by an earlier one.
    /// Called before anything is steered there.
    pub(super) fn count_from_here(&mut self, workers: usize, socket_rows: &[u32]) {
        let Some(programs) = &self.plane.programs else { return };
        let counters = &programs.tables.counters;
        for worker in (0_u16..).take(workers) {
            for ring in &self.plane.rings {
                let count = || counters.redirected(ring.row, u32::from(worker)).unwrap_or(0);
                self.base.redirected.entry((ring.row, worker)).or_insert_with(count);
            }
            for row in socket_rows {
                let count = || counters.selected(*row, u32::from(worker)).unwrap_or(0);
                self.base.selected.entry((*row, worker)).or_insert_with(count);
            }
        }
    }

    /// No ring is in the map: frames that were redirected and that nobody counted are lost with their process.
    pub(super) fn settle_rings(&mut self) {
        if !std::mem::take(&mut self.rings_unsettled) {
            return;
        }
        for (ring, row) in self.totals().rings.iter().zip(self.ring_places()) {
            let missing = ring.redirected.saturating_sub(ring.received + ring.dropped);
            self.base.frames_lost.insert(row, missing);
        }
        self.hold_base();
    }

    fn ring_places(&self) -> Vec<(u32, u16)> {
        let workers = u16::try_from(self.places.workers()).unwrap_or(0);
        self.plane
            .rings
            .iter()
            .chain(&self.plane.past)
            .flat_map(|ring| (0..workers).map(|worker| (ring.row, worker)))
            .collect()
    }

    /// Called now and then: datagrams wait in sockets that outlive a process, so what a kill cost there is known
    /// only once the next process has read them, that is when a socket's counts stand still.
    pub(super) fn settle(&mut self) {
        if self.dataplane.looked() {
            tracing::error!("the dataplane process does not hand over: it is killed, its sessions end");
            // Without a keeper nothing would come after it.
            let _ = self.keeper.send(&Keep::Kill, &[]);
        }
        if !self.sockets_unsettled {
            return;
        }
        let sockets = self.totals().sockets;
        let still = sockets == self.last_sockets && self.dataplane.state == State::Running;
        for socket in &sockets {
            let counted = socket.received + socket.dropped;
            let missing = socket.selected.map_or(0, |selected| selected.saturating_sub(counted));
            if let Some(entry) = self.config.listen.get(usize::from(socket.listen)) {
                self.base.datagrams_lost.insert((self.places.of(entry), socket.worker), missing);
            }
        }
        self.last_sockets = sockets;
        if still {
            self.sockets_unsettled = false;
            self.hold_base();
        }
    }

    /// Leaves the base with the keeper, for the next control process.
    pub(super) fn hold_base(&self) {
        let held =
            postcard::to_stdvec(&self.base).map_err(std::io::Error::other).and_then(|o| sealed("base", &o));
        match held {
            Ok(file) => self.hold("base", file.as_fd()),
            Err(error) => tracing::error!("cannot keep what earlier processes counted: {error}"),
        }
    }
}

/// What an earlier control process knew of processes before it.
pub(super) fn read_base(file: &OwnedFd) -> Option<Base> {
    postcard::from_bytes(&octets_of(file).ok()?).ok()
}

fn since(now: [u64; PacketEnd::COUNT], then: &[u64]) -> [u64; PacketEnd::COUNT] {
    let mut now = now;
    now.iter_mut().zip(then).for_each(|(now, then)| *now = now.wrapping_sub(*then));
    now
}
