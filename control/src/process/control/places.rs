//! Where each UDP listener and each sink is counted: its position on the counters page.
//!
//! A place is given once and never to another one, so the counts of what a reload took away stay, and go on when it
//! comes back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};

use super::{Control, sealed};
use crate::config::{Config, Listen};
use crate::process::dataplane::{SINK_PLACES, octets_of, sinks};

/// All that there have been, in the order of places.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Places {
    /// The most workers at a time.
    workers: usize,
    listeners: Vec<SocketAddr>,
    sinks: Vec<String>,
}

impl Places {
    /// Those that an earlier control process gave, or new ones.
    pub(super) fn kept(kept: &mut BTreeMap<String, OwnedFd>, config: &Config) -> Self {
        let file = kept.remove("places");
        let octets = file.and_then(|file| octets_of(&file).ok()).unwrap_or_default();
        let mut places: Self = postcard::from_bytes(&octets).unwrap_or_default();
        // As many as may be configured fit.
        let _ = places.add(config);
        places
    }

    /// Gives every listener and sink that has none a place.
    ///
    /// # Errors
    /// One line: too many have been there; nothing has changed.
    pub(super) fn add(&mut self, config: &Config) -> Result<(), String> {
        let udp = config.listen.iter().filter(|listen| !listen.protocol.is_stream()).map(address);
        let listeners: Vec<SocketAddr> = udp.filter(|address| !self.listeners.contains(address)).collect();
        let most = config.limits.max_socket_rows as usize;
        if self.listeners.len() + listeners.len() > most {
            return Err(format!(
                "key `listen`: {most} UDP listeners have been there (limits.max_socket_rows), only a start \
                 forgets them"
            ));
        }
        let mut sinks = sinks::identities(config);
        sinks.retain(|sink| !self.sinks.contains(sink));
        if self.sinks.len() + sinks.len() > SINK_PLACES {
            return Err(format!(
                "key `sink`: {SINK_PLACES} sinks have been there, only a start forgets them"
            ));
        }
        self.workers = self.workers.max(config.workers.len());
        self.listeners.extend(listeners);
        self.sinks.extend(sinks);
        Ok(())
    }

    /// Workers that have counted anything.
    pub(super) const fn workers(&self) -> usize {
        self.workers
    }

    /// The place of a UDP listener; 0 for one of TCP, which is not counted there.
    pub(super) fn of(&self, listen: &Listen) -> u16 {
        place(&self.listeners, &address(listen))
    }

    /// The place of each sink.
    pub(super) fn of_sinks(&self, config: &Config) -> Vec<u16> {
        sinks::identities(config).iter().map(|sink| place(&self.sinks, sink)).collect()
    }
}

const fn address(listen: &Listen) -> SocketAddr {
    SocketAddr::new(listen.address, listen.port)
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u16 {
    let place = all.iter().position(|known| known == one).unwrap_or(0);
    u16::try_from(place).unwrap_or(u16::MAX)
}

impl Control {
    /// Leaves the places with the keeper.
    pub(super) fn hold_places(&self) {
        let file = postcard::to_stdvec(&self.places)
            .map_err(std::io::Error::other)
            .and_then(|octets| sealed("places", &octets));
        match file {
            Ok(file) => self.hold("places", file.as_fd()),
            Err(error) => tracing::error!("cannot keep what is counted where: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(ports: &[u16], paths: &[&str]) -> Config {
        let listen =
            |port: &u16| format!("[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = {port}\n");
        let sink = |path: &&str| format!("[[sink]]\ntype = \"json\"\npath = \"{path}\"\n");
        let text: String = ports.iter().map(listen).chain(paths.iter().map(sink)).collect();
        Config::parse(&format!("[limits]\nmax_socket_rows = 4\n{text}")).unwrap()
    }

    #[test]
    fn a_place_is_never_given_to_another_one() {
        let mut places = Places::default();
        places.add(&config(&[1, 2], &["a", "b"])).unwrap();
        places.add(&config(&[3, 2], &["b", "c", "b"])).unwrap();
        places.add(&config(&[1, 4], &[])).unwrap();
        let of = |port| places.of(&config(&[port], &[]).listen[0]);
        assert_eq!([of(1), of(2), of(3), of(4)], [0, 1, 2, 3]);
        assert_eq!(places.of_sinks(&config(&[1], &["c", "b", "a", "b"])), [2, 1, 0, 3]);
        let before = places.clone();
        assert!(places.add(&config(&[4, 5], &["z"])).unwrap_err().contains("max_socket_rows"));
        assert_eq!(places, before);
    }
}
