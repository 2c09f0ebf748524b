//! Octets and time in, rows out: the sessions, the RIB and the join of one worker.
//!
//! ```text
//!  Input            packet          router            flow / bmp                 outlet
//!  Frame ---------> checks ------>  whose is it? --+-> flow session -> rows -join-> flows
//!  Datagram ---------------------->                |      templates, options   ^    messages
//!                                                  +-> sflow session --> samples +--> messages
//!                                                  +-> notification session ------> messages
//!  Opened, Received, Closed ------>                +-> bmp session --> rib ----+    routes, messages
//! ```
//! Pure: no clock, no thread, no socket, no log. The same collector is fed by rings, by kernel sockets,
//! by captures (`millrace decode`), by tests, benches and fuzz targets. One a worker; nothing is shared.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod input;
pub mod packet;
pub mod router;
mod spoken;
mod sequence;
pub mod flow;
pub mod sflow;
pub mod notification;
pub mod bmp;
pub mod rib;
pub mod join;
pub mod schema;
pub mod batch;
pub mod outlet;
pub mod message;
pub mod query;
pub mod saved;
pub mod ledger;
pub mod settings;
pub mod capture;

use std::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;

pub use input::{CLOSE_STREAM, Input, Now, StreamEnd, StreamId};
pub use ledger::Ledgers;
pub use outlet::{Drain, Lease, Outlet, Schemas};
pub use router::RouterId;
pub use settings::Settings;

use ledger::PacketEnd;
use router::Routers;
use spoken::Spoken;

/// Everything one worker knows of its routers. One a worker.
#[derive(Debug)]
pub struct Collector {
    settings: Settings,
    routers: Routers,
    streams: HashMap<StreamId, RouterId>,
    shared: flow::Shared,
    notifications: notification::Shared,
    bmp: bmp::Shared,
    schemas: Schemas,
    ledgers: Ledgers,
}

/// What a session needs of its surroundings while it takes one input.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) settings: &'a Settings,
    /// Address of the sender, as rows name the exporter.
    pub(crate) exporter: [u8; 16],
    pub(crate) ledgers: &'a mut Ledgers,
    pub(crate) out: &'a mut Outlet,
}

impl Turn<'_> {
    /// The same surroundings at another moment: rows of data that waited carry the time they came.
    pub(crate) fn at(&mut self, now: Now) -> Turn<'_> {
        Turn { now, settings: self.settings, exporter: self.exporter, ledgers: self.ledgers, out: self.out }
    }
}

/// An address as 16 octets, IPv4 as IPv4-mapped.
#[must_use]
pub fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

impl Collector {
    /// A collector that knows nothing yet. `schemas` must be those its outlets were made with.
    #[must_use]
    pub fn new(settings: Settings, schemas: Schemas) -> Self {
        let shared = flow::Shared::new(&schemas, &settings);
        Self {
            routers: Routers::default(),
            streams: HashMap::new(),
            notifications: notification::Shared::new(shared.waiting()),
            shared,
            bmp: bmp::Shared::new(&schemas),
            schemas,
            ledgers: Ledgers::default(),
            settings,
        }
    }

    /// Takes one input and writes the rows that follow from it. Returns the octets consumed: for a frame or a
    /// datagram all of them; for a stream those of whole messages. Octets of a stream that were not consumed
    /// must be given again, with more behind them. [`CLOSE_STREAM`]: the stream is to be closed.
    pub fn accept(&mut self, now: Now, input: Input<'_>, out: &mut Outlet) -> usize {
        match input {
            Input::Frame(frame) => {
                match packet::datagram(frame) {
                    Ok(datagram) => self.datagram(now, datagram.from, datagram.to, datagram.payload, out),
                    Err(end) => self.ledgers.packet(end),
                }
                frame.len()
            }
            Input::Datagram { from, to, payload } => {
                self.datagram(now, from, to, payload, out);
                payload.len()
            }
            Input::Opened { stream, from, to: _ } => {
                let owned = self.with_router(
                    sixteen(from.ip()),
                    now,
                    out,
                    |router, bmp, turn, routers_id, streams| {
                        streams.insert(stream, routers_id);
                        router.bmp.opened(stream, from, &mut router.rib, bmp, turn);
                    },
                );
                if owned { 0 } else { CLOSE_STREAM }
            }
            Input::Received { stream, octets } => self
                .with_stream(stream, now, out, |router, bmp, turn| {
                    router.bmp.received(stream, octets, &mut router.rib, bmp, turn)
                })
                // A stream that no session owns is read and forgotten.
                .unwrap_or(octets.len()),
            Input::Closed { stream, end } => {
                self.with_stream(stream, now, out, |router, bmp, turn| {
                    router.bmp.closed(stream, end, &mut router.rib, bmp, turn);
                });
                self.streams.remove(&stream);
                0
            }
        }
    }

    /// Time passes: expiry of templates, waiting data and stale routes, a slice of freeing. Returns the next
    /// moment, in monotonic nanoseconds, at which a tick would do something, if there is one.
    pub fn tick(&mut self, now: Now, out: &mut Outlet) -> Option<u64> {
        let mut next: Option<u64> = None;
        for (_, router) in self.routers.iter_mut() {
            let mut turn = Turn {
                now,
                settings: &self.settings,
                exporter: router.address,
                ledgers: &mut self.ledgers,
                out,
            };
            let flows = router.flows.tick(&mut turn);
            let sflow = router.sflow.tick(&mut turn);
            let notifications = router.notifications.tick(&mut turn);
            let bmp = router.bmp.tick(&mut router.rib, &mut self.bmp, &mut turn);
            next = [next, flows, sflow, notifications, bmp].into_iter().flatten().min();
        }
        next
    }

    /// No input will come any more, as at the end of a capture: gaps in sequence numbers are losses now.
    pub fn settle(&mut self, now: Now, out: &mut Outlet) {
        for (_, router) in self.routers.iter_mut() {
            let (settings, exporter, ledgers) = (&self.settings, router.address, &mut self.ledgers);
            let mut turn = Turn { now, settings, exporter, ledgers, out };
            router.flows.settle(&mut turn);
            router.sflow.settle(&mut turn);
            router.notifications.settle(&mut turn);
        }
    }

    /// The counters so far.
    #[must_use]
    pub const fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// The counters, for packet ends that the sources of the worker know.
    pub const fn ledgers_mut(&mut self) -> &mut Ledgers {
        &mut self.ledgers
    }

    /// The schemas that its rows have.
    #[must_use]
    pub const fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    fn datagram(&mut self, now: Now, from: SocketAddr, to: SocketAddr, payload: &[u8], out: &mut Outlet) {
        let end = self.message(now, from, to, payload, out).unwrap_or_else(|end| end);
        self.ledgers.packet(end);
    }

    fn message(
        &mut self,
        now: Now,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        out: &mut Outlet,
    ) -> Result<PacketEnd, PacketEnd> {
        let mut ports = self.settings.ports.iter();
        let (_, port) = *ports.find(|(number, _)| *number == to.port()).ok_or(PacketEnd::NotTelemetry)?;
        let spoken = Spoken::of(port, payload).ok_or(PacketEnd::UnknownProtocol)?;
        let exporter = sixteen(from.ip());
        let id = self.routers.resolve(exporter, &self.settings)?;
        let router = self.routers.get_mut(id).ok_or(PacketEnd::Internal)?;
        let mut turn = Turn { now, settings: &self.settings, exporter, ledgers: &mut self.ledgers, out };
        Ok(match spoken {
            Spoken::Flow => {
                router.flows.message(&mut self.shared, &mut router.rib, port, from, payload, &mut turn)
            }
            Spoken::Sflow => {
                router.sflow.message(&mut router.rib, payload, &mut turn);
                PacketEnd::Delivered
            }
            Spoken::UdpNotif => {
                router.notifications.message(&mut self.notifications, payload, &mut turn);
                PacketEnd::Delivered
            }
        })
    }

    fn with_router(
        &mut self,
        exporter: [u8; 16],
        now: Now,
        out: &mut Outlet,
        act: impl FnOnce(
            &mut router::Router,
            &mut bmp::Shared,
            &mut Turn<'_>,
            RouterId,
            &mut HashMap<StreamId, RouterId>,
        ),
    ) -> bool {
        let Ok(id) = self.routers.resolve(exporter, &self.settings) else { return false };
        let Some(router) = self.routers.get_mut(id) else { return false };
        let mut turn = Turn { now, settings: &self.settings, exporter, ledgers: &mut self.ledgers, out };
        act(router, &mut self.bmp, &mut turn, id, &mut self.streams);
        true
    }

    fn with_stream<T>(
        &mut self,
        stream: StreamId,
        now: Now,
        out: &mut Outlet,
        act: impl FnOnce(&mut router::Router, &mut bmp::Shared, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let id = *self.streams.get(&stream)?;
        let router = self.routers.get_mut(id)?;
        let exporter = router.address;
        let mut turn = Turn { now, settings: &self.settings, exporter, ledgers: &mut self.ledgers, out };
        Some(act(router, &mut self.bmp, &mut turn))
    }
}
