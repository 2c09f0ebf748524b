//! SIGHUP: the file, read again -> the running configuration, whole or not at all.
//!
//! ```text
//! file -> parsed, fits this host, changes nothing that stands fast -> new sockets open, with their entries
//!   -> only control concerned: at once
//!   -> else a restart of the dataplane that hands over; between the two processes the configuration changes
//!      the next process cannot begin with it: back to the one before, and the next one goes on with that
//! ```
//! A refusal is one line. No stream is closed either way.

mod fixed;

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};

use dataplane_common::map::SlotState;
use output::sink::SinkEnd;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::dataplane::State;
use super::{Control, sealed};
use crate::config::Config;
use crate::process::dataplane::{sinks, text_of};
use crate::process::message::Keep;
use crate::sockets::{self, Socket};

/// How far reloads have come.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    /// The last file was refused.
    pub(crate) refused: bool,
    /// Why the process that runs, or is about to end, could not begin.
    pub(super) why: Option<String>,
    /// Takes the place of what is there when the dataplane process has ended.
    next: Option<Change>,
    /// Takes the place of what is there if the new dataplane process cannot begin.
    back: Option<Change>,
    /// Asked for again while one was under way.
    again: bool,
    /// Who waits for the outcome.
    waiting: Vec<oneshot::Sender<Value>>,
}

/// A configuration with what belongs to it, ready to take the place of another one.
#[derive(Debug)]
struct Change {
    config: Config,
    text: OwnedFd,
    sockets: Vec<Socket>,
    socket_rows: Vec<u32>,
}

impl Reloads {
    /// The configuration that takes over when the dataplane process has ended, and how many workers run with it.
    pub(super) fn next(&self) -> Option<(&Config, usize)> {
        self.next.as_ref().map(|change| (&change.config, change.config.workers.len()))
    }
}

impl Control {
    /// Reads the file again, and tells the outcome.
    pub(super) fn reload_for(&mut self, back: oneshot::Sender<Value>) {
        self.reloads.waiting.push(back);
        if self.stopping.is_some() {
            self.tell(&json!({"error": "this instance is stopping"}));
        }
        self.reload();
    }

    fn tell(&mut self, outcome: &Value) {
        for back in self.reloads.waiting.drain(..) {
            // Who asked may have gone away.
            let _ = back.send(outcome.clone());
        }
    }

    /// Reads the file again.
    pub(super) fn reload(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        if self.reloads.next.is_some() || self.reloads.back.is_some() {
            self.reloads.again = true;
            return;
        }
        match self.prepare() {
            Err(why) => self.refused(&why),
            Ok((change, false)) => {
                self.switch(change);
                self.reloads.refused = false;
                tracing::info!("the configuration was read again; the dataplane process goes on");
                self.tell(&json!({"reloaded": true}));
            }
            Ok((change, true)) => {
                tracing::info!("the configuration was read again; the dataplane process makes way");
                self.reloads.next = Some(change);
                if self.dataplane.state == State::Gone {
                    self.switch_between();
                } else {
                    self.restart();
                }
            }
        }
    }

    fn refused(&mut self, why: &str) {
        self.reloads.refused = true;
        let line = format!("{}: {why}; the configuration stays as it was", self.path.display());
        tracing::error!("{line}");
        self.tell(&json!({"error": line}));
    }

    /// Everything that may fail; and whether the dataplane process is concerned.
    fn prepare(&mut self) -> Result<(Change, bool), String> {
        let (mut config, text) = Config::read(&self.path).map_err(|error| error.to_string())?;
        let old = text_of(&self.text).map_err(|error| error.to_string())?;
        let old = Config::parse(&old).map_err(|error| error.to_string())?;
        crate::host::fits(&config)?;
        fixed::check(&old, &config)?;
        let concerned = fixed::concerns_dataplane(&old, &config);
        config.workers.truncate(self.plane.workers(&config));
        self.places.clone().add(&config)?;
        let text = sealed("config", text.as_bytes()).map_err(|error| error.to_string())?;
        let mut open = BTreeMap::new();
        for socket in &self.sockets {
            let descriptor = socket.descriptor.try_clone().map_err(|error| error.to_string())?;
            open.insert(socket.name(), descriptor);
        }
        let known: Vec<String> = open.keys().cloned().collect();
        let workers = u16::try_from(config.workers.len()).unwrap_or(u16::MAX);
        let sockets = sockets::open(&config, workers, open).map_err(|error| error.to_string())?;
        let is_new = |socket: &Socket| !known.contains(&socket.name());
        let socket_rows = self.plane.serve(&config, &sockets, is_new).map_err(|error| error.to_string())?;
        self.count_from_here(config.workers.len(), &socket_rows);
        Ok((Change { config, text, sockets, socket_rows }, concerned))
    }

    /// One dataplane process has ended and the next has no orders yet: the moment for another configuration.
    pub(super) fn switch_between(&mut self) {
        let why = self.reloads.why.take();
        if let Some(back) = self.reloads.back.take() {
            self.switch(back);
            // Whatever the one that could not begin has counted.
            self.base.ended(&self.totals());
            self.refused(&why.unwrap_or_else(|| "the dataplane process ended before it was at work".into()));
        } else if let Some(next) = self.reloads.next.take() {
            self.reloads.back = Some(self.switch(next));
        }
    }

    /// The dataplane process is at work: there is no way back from its configuration.
    pub(super) fn reloaded(&mut self) {
        if self.reloads.back.take().is_some() {
            self.reloads.refused = false;
            tracing::info!("the new configuration is at work");
            if !self.reloads.again {
                self.tell(&json!({"reloaded": true}));
            }
        }
        if std::mem::take(&mut self.reloads.again) {
            self.reload();
        }
    }

    /// Puts a configuration in the place of the one that is there, which comes back.
    fn switch(&mut self, change: Change) -> Change {
        let Change { config, text, sockets, socket_rows } = change;
        let lost = self.rows_lost();
        let before = Change {
            config: std::mem::replace(&mut self.config, config),
            text: std::mem::replace(&mut self.text, text),
            sockets: std::mem::replace(&mut self.sockets, sockets),
            socket_rows: std::mem::replace(&mut self.plane.socket_rows, socket_rows),
        };
        self.workers = self.config.workers.len();
        if self.workers != before.config.workers.len() || self.config.slots() != before.config.slots() {
            self.steer_anew();
        }
        // Checked when it was prepared.
        let _ = self.places.add(&self.config);
        self.count_rows_from_here(&lost);
        self.hold("config", self.text.as_fd());
        self.hold_places();
        let names = |sockets: &[Socket]| sockets.iter().map(Socket::name).collect::<Vec<_>>();
        let (old, new) = (names(&before.sockets), names(&self.sockets));
        for socket in self.sockets.iter().filter(|socket| !old.contains(&socket.name())) {
            self.hold(&socket.name(), socket.descriptor.as_fd());
        }
        old.into_iter().filter(|name| !new.contains(name)).for_each(|name| self.forget(name));
        sockets::resize(&self.config, &self.sockets);
        if let Err(error) = self.plane.alias(&self.config) {
            tracing::error!("aliases: {error}");
        }
        self.plane.place_sources(&self.config, self.key, self.workers);
        self.reconcile();
        let restart_max_ms = self.config.process.restart_max_ms;
        // Without a keeper nobody starts anything.
        let _ = self.keeper.send(&Keep::Ready { restart_max_ms }, &[]);
        self.hold_base();
        before
    }

    /// There are other workers than before, or other slots.
    fn steer_anew(&mut self) {
        if let Err(error) = self.plane.steer(&self.config, self.workers, SlotState::Millrace) {
            tracing::error!("cannot steer by the workers: {error}");
        }
        if let Err(error) = self.plane.open(&self.config) {
            tracing::error!("no rows for the rings: {error}");
        }
    }

    /// Rows that were lost, by place of the sink.
    fn rows_lost(&self) -> BTreeMap<u16, i64> {
        let places = self.places.of_sinks(&self.config).into_iter().enumerate();
        places.map(|(n, place)| (place, self.base.rows_lost.get(n).copied().unwrap_or(0))).collect()
    }

    /// Rows from before a sink was there, or while it was not, are rows that it did not want.
    fn count_rows_from_here(&mut self, lost: &BTreeMap<u16, i64>) {
        let places = self.places.of_sinks(&self.config);
        self.base.rows_lost = places.iter().map(|place| lost.get(place).copied().unwrap_or(0)).collect();
        let rows = self.totals().rows();
        for (place, ledger) in places.iter().zip(sinks::ledgers(&places, &self.page)) {
            if !lost.contains_key(place) {
                let ended = ledger.ends().iter().sum();
                ledger.count(SinkEnd::NotWanted, rows.saturating_sub(ended));
            }
        }
    }
}
