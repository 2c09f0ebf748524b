//! A planned restart of the dataplane: what one process leaves is held for the next, here and by the keeper.
//!
//! ```text
//! restart: rings out of the map -> HandOver -> Remains, Hold.. (held) -> Drained, its end
//!       -> the next process: Start, .., Remains, Adopt.., Begin -> Adopted (held no more)
//! ```
//! Nothing of it is read: remains are what routers said. A process that dies leaves nothing, since octets that it
//! had read are nowhere else: the kernel closes its streams at once, and the routers connect again.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};

use dataplane_common::map::SlotState;

use super::Control;
use super::dataplane::State;
use crate::process::channel::ChannelError;
use crate::process::message::{Order, STREAMS_A_MESSAGE};

/// Descriptors that wait for the next dataplane process.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By worker.
    remains: BTreeMap<u16, OwnedFd>,
    /// By worker and name.
    streams: BTreeMap<(u16, u64), OwnedFd>,
}

impl Held {
    /// What an earlier control process left with the keeper.
    pub(super) fn kept(kept: &mut BTreeMap<String, OwnedFd>) -> Self {
        let mut held = Self::default();
        for (name, descriptor) in kept.extract_if(.., |name, _| name.starts_with("held/")) {
            let mut words = name.split('/').skip(1);
            let worker = words.next().and_then(|word| word.parse().ok());
            match (worker, words.next().map(str::parse)) {
                (Some(worker), None) => drop(held.remains.insert(worker, descriptor)),
                (Some(worker), Some(Ok(stream))) => drop(held.streams.insert((worker, stream), descriptor)),
                _ => {}
            }
        }
        held
    }

    fn names(&self) -> impl Iterator<Item = String> + '_ {
        let remains = self.remains.keys().map(|worker| remains_name(*worker));
        remains.chain(self.streams.keys().map(|(worker, stream)| stream_name(*worker, *stream)))
    }
}

fn remains_name(worker: u16) -> String {
    format!("held/{worker}")
}

fn stream_name(worker: u16, stream: u64) -> String {
    format!("held/{worker}/{stream}")
}

impl Control {
    /// The dataplane process makes way for one with new orders, which goes on where this one stops.
    pub(super) fn restart(&mut self) {
        match self.dataplane.state {
            State::Running => {}
            // It begins with old orders: once it is at work it makes way too.
            State::Starting => {
                self.dataplane.outdated = true;
                return;
            }
            // The next one is given the new orders.
            State::Draining | State::Gone => return,
        }
        // Whoever is to have a router finds what comes for it from now on in its sockets.
        if let Some((config, workers)) = self.reloads.next()
            && let Err(error) = self.plane.steer(config, workers, SlotState::Millrace)
        {
            tracing::error!("cannot steer by the new workers: {error}");
        }
        let rings = std::mem::take(&mut self.dataplane.rings);
        if let Err(error) = self.plane.remove_rings(rings.into_keys()) {
            tracing::error!("rings stay in the map, their last frames are lost: {error}");
        }
        self.dataplane.drain(&Order::HandOver);
    }

    /// A worker's remains have come.
    pub(super) fn remains(&mut self, worker: u16, descriptors: Vec<OwnedFd>) {
        let Some(file) = descriptors.into_iter().next() else { return };
        if usize::from(worker) < self.workers {
            self.hold(&remains_name(worker), file.as_fd());
            self.held.remains.insert(worker, file);
        }
    }

    /// Streams of a worker have come.
    pub(super) fn hold_streams(&mut self, worker: u16, streams: &[u64], descriptors: Vec<OwnedFd>) {
        let most = self.workers.saturating_mul(self.config.limits.max_streams_per_worker);
        for (stream, socket) in streams.iter().zip(descriptors) {
            if usize::from(worker) < self.workers && self.held.streams.len() < most {
                self.hold(&stream_name(worker, *stream), socket.as_fd());
                self.held.streams.insert((worker, *stream), socket);
            }
        }
    }

    /// Gives a new process all that is held. It stays held until that one says that it has it.
    pub(super) fn bequeath(&self) -> Result<(), ChannelError> {
        for (worker, file) in &self.held.remains {
            self.order(&Order::Remains { worker: *worker }, &[file.as_fd()])?;
            let streams = self.held.streams.range((*worker, 0)..=(*worker, u64::MAX));
            let streams: Vec<_> = streams.map(|((_, stream), socket)| (*stream, socket.as_fd())).collect();
            for streams in streams.chunks(STREAMS_A_MESSAGE) {
                let (names, sockets): (Vec<_>, Vec<_>) = streams.iter().copied().unzip();
                self.order(&Order::Adopt { worker: *worker, streams: names }, &sockets)?;
            }
        }
        Ok(())
    }

    /// The new process has it: nobody else can go on with it any more.
    pub(super) fn adopted(&mut self) {
        let held = std::mem::take(&mut self.held);
        if !held.streams.is_empty() {
            tracing::info!(streams = held.streams.len(), "open streams were handed over");
        }
        held.names().for_each(|name| self.forget(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_keeper_holds_is_found_again() {
        let descriptor = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let mut held = Held::default();
        held.remains.insert(3, descriptor());
        held.streams.insert((3, u64::MAX), descriptor());
        let names: Vec<String> = held.names().collect();
        let mut kept: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), descriptor())).collect();
        kept.extend(["config", "held/x", "held/1/y"].map(|name| (name.to_owned(), descriptor())));
        let found = Held::kept(&mut kept);
        assert_eq!(found.names().collect::<Vec<_>>(), names);
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["config"]);
    }
}
