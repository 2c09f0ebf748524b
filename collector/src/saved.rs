//! A router as octets: versioned, so that it can move between workers and survive a restart.
//!
//! ```text
//! magic 8 | version 2 | address | flow, sFlow, UDP-notif sessions | BMP sessions | RIB: tables, peers, attributes, paths | end 8
//! ```
//! The parts are postcard values, one after the other, so neither side holds the router twice. What is read may
//! come from anyone: nothing is trusted, everything is held to the limits of the settings, and nothing is changed
//! before all of it was read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::flow;
use crate::input::StreamId;
use crate::notification;
use crate::rib::{Rib, RibLimits};
use crate::router::{Router, RouterId};
use crate::sflow;
use crate::{Collector, bmp};

/// What a saved router begins with.
const MAGIC: [u8; 8] = *b"millrace";
/// What it ends with.
const END: [u8; 8] = *b"complete";
/// The form that is written, and the only one that is read.
const VERSION: u16 = 4;

/// Why octets were not taken for a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// They do not begin as a saved router does.
    #[error("not a saved router")]
    NotARouter,
    /// Another version of the program wrote them.
    #[error("saved in version {0}, this is version {VERSION}")]
    Version(u16),
    /// They end too early, or something in them is not what it must be.
    #[error("the saved router is damaged")]
    Damaged,
    /// Octets stand behind the end.
    #[error("{0} octets behind the end of the saved router")]
    Trailing(usize),
    /// It holds more than the settings allow.
    #[error("the saved router holds more {0} than the settings allow")]
    TooMany(&'static str),
    /// A stream of it has the name of a stream of another router.
    #[error("a stream of the saved router is in use by another router")]
    StreamInUse,
    /// There is no room for another router.
    #[error("no room for another router")]
    NoRoom,
}

/// Appends values.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Extend<u8> for Writer<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, octets: I) {
        self.0.extend(octets);
    }
}

impl Writer<'_> {
    /// Appends a value.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, value: &T) {
        let written = postcard::to_extend(value, Writer(self.0));
        debug_assert!(written.is_ok(), "a saved value always has a postcard form");
    }
}

/// Takes values off the front of octets.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Refused> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| Refused::Damaged)?;
        self.0 = rest;
        Ok(value)
    }

    /// The number of values that follow, each of at least one octet.
    pub(crate) fn count(&mut self) -> Result<u64, Refused> {
        let count: u64 = self.take()?;
        if count > self.0.len() as u64 { Err(Refused::Damaged) } else { Ok(count) }
    }

    fn owned<T: DeserializeOwned>(&mut self) -> Result<T, Refused> {
        self.take()
    }

    fn expect<const N: usize>(&mut self, octets: [u8; N]) -> Option<()> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        (*head == octets).then_some(())
    }
}

/// The address of a saved router, which says who is to have it. `None`: it is none, and nobody will take it.
#[must_use]
pub fn address(saved: &[u8]) -> Option<[u8; 16]> {
    let mut from = Reader(saved);
    from.expect(MAGIC)?;
    from.expect(VERSION.to_be_bytes())?;
    from.take().ok()
}

impl Collector {
    /// Appends all that a router told: flow sessions with templates and options, BMP sessions, routes. Octets of
    /// streams that were not consumed stay with their source. Nothing is appended for a router that is not there.
    pub fn save(&self, router: RouterId, to: &mut Vec<u8>) {
        let Some(router) = self.routers.get(router) else { return };
        to.extend_from_slice(&MAGIC);
        to.extend_from_slice(&VERSION.to_be_bytes());
        let mut to = Writer(to);
        to.put(&router.address);
        to.put(&router.flows.save());
        to.put(&router.sflow.save());
        to.put(&router.notifications.save());
        router.bmp.save(&mut to);
        router.rib.save(&mut to);
        to.0.extend_from_slice(&END);
    }

    /// Takes a saved router, in the place of the one with the same address if there is one. Its streams keep their
    /// names ([`Collector::rename_stream`] gives them others).
    ///
    /// # Errors
    /// Why the octets were refused; then nothing has changed.
    pub fn restore(&mut self, from: &[u8]) -> Result<RouterId, Refused> {
        let mut from = Reader(from);
        from.expect(MAGIC).ok_or(Refused::NotARouter)?;
        let version = from.0.split_first_chunk().ok_or(Refused::Damaged)?;
        let (version, rest) = (u16::from_be_bytes(*version.0), version.1);
        if version != VERSION {
            return Err(Refused::Version(version));
        }
        from.0 = rest;
        let address: [u8; 16] = from.take()?;
        let flows: flow::Saved = from.owned()?;
        let sflow = sflow::Sessions::restore(from.owned()?, &self.settings)?;
        let notifications: notification::Saved = from.owned()?;
        let mut bmp = bmp::Sessions::restore(&mut from, &self.settings)?;
        let (rib, peers) = Rib::restore(&mut from, &RibLimits::from(&self.settings))?;
        bmp.adopt(&peers, &rib)?;
        from.expect(END).ok_or(Refused::Damaged)?;
        if !from.0.is_empty() {
            return Err(Refused::Trailing(from.0.len()));
        }
        let known = self.routers.find(address);
        let is_foreign = |stream: StreamId| self.streams.get(&stream).is_some_and(|id| Some(*id) != known);
        if bmp.streams().any(is_foreign) {
            return Err(Refused::StreamInUse);
        }
        let streams: Vec<StreamId> = bmp.streams().collect();
        let mut router = Box::new(Router::new(address));
        (router.sflow, router.bmp, router.rib) = (sflow, bmp, rib);
        let id = self.routers.insert(router, &self.settings).map_err(|_| Refused::NoRoom)?;
        // Data that waits is counted in, so only for a router that has its place.
        let flows = flow::Sessions::restore(flows, &mut self.shared, &self.settings, &mut self.ledgers);
        let notifications = notification::Sessions::restore(
            notifications,
            &self.notifications,
            &self.settings,
            &mut self.ledgers,
        );
        if let Some(router) = self.routers.get_mut(id) {
            (router.flows, router.notifications) = (flows, notifications);
        }
        self.streams.extend(streams.into_iter().map(|stream| (stream, id)));
        Ok(id)
    }

    /// Gives a stream another name: that of the worker that has taken it over. False: the stream is not there, or
    /// the new name is in use.
    pub fn rename_stream(&mut self, from: StreamId, to: StreamId) -> bool {
        if self.streams.contains_key(&to) {
            return false;
        }
        let Some(id) = self.streams.remove(&from) else { return false };
        if let Some(router) = self.routers.get_mut(id) {
            router.bmp.rename_stream(from, to);
        }
        self.streams.insert(to, id);
        true
    }

    /// The routes of a router.
    #[must_use]
    pub fn rib(&self, router: RouterId) -> Option<&Rib> {
        self.routers.get(router).map(|router| &router.rib)
    }

    /// The routes of a router, to look addresses up in.
    pub fn rib_mut(&mut self, router: RouterId) -> Option<&mut Rib> {
        self.routers.get_mut(router).map(|router| &mut router.rib)
    }

    /// Every router.
    pub fn routers(&self) -> impl Iterator<Item = RouterId> {
        self.routers.iter().map(|(id, _)| id)
    }

    /// The address of the router that has this stream.
    #[must_use]
    pub fn router_of(&self, stream: StreamId) -> Option<[u8; 16]> {
        Some(self.routers.get(*self.streams.get(&stream)?)?.address)
    }

    /// Whether a session has this stream.
    #[must_use]
    pub fn has_stream(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// The router with this address.
    #[must_use]
    pub fn router(&self, address: [u8; 16]) -> Option<RouterId> {
        self.routers.find(address)
    }
}
