//! A script of hostile input played into one collector: datagrams of two exporters, octets of two BMP streams cut
//! anywhere, streams that open and close, time that passes. Shared by the tests and the fuzzer. Panics where a
//! ledger does not balance, where more is consumed than was given, or where a saved router is not taken back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use collector::batch::{BatchLimits, WorkerId};
use collector::schema::{Interest, schemas};
use collector::settings::{PortProtocol, Settings};
use collector::{CLOSE_STREAM, Collector, Input, Ledgers, Now, Outlet, StreamEnd, StreamId};
use collector::{Drain, Lease};

/// Most octets of one step: the longest UDP datagram.
const MAX_STEP: usize = 65_507;

/// Small limits, so that every bound is met by a short script.
fn settings() -> Settings {
    Settings {
        ports: vec![
            (1, PortProtocol::Any),
            (2, PortProtocol::Netflow),
            (3, PortProtocol::Sflow),
            (4, PortProtocol::UdpNotif),
        ],
        max_routers: 2,
        max_exporters_per_router: 4,
        max_templates_per_exporter: 8,
        max_shared_plans: 4,
        max_waiting_octets_per_exporter: 2_000,
        max_waiting_ns: 4_000,
        template_lifetime_ns: 20_000,
        max_options_entries_per_exporter: 4,
        max_bmp_message_octets: 1 << 14,
        max_bmp_sessions_per_router: 2,
        max_peers_per_session: 4,
        max_tables_per_router: 4,
        max_paths_per_router: 64,
        max_attribute_octets_per_router: 1 << 12,
        stale_routes_ns: 8_000,
        bmp_assume_peers: true,
        ..Settings::default()
    }
}

/// One step of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// A datagram of exporter 0 or 1 to one of the ports 1 to 4.
    Datagram { exporter: u8, port: u8, payload: &'a [u8] },
    /// Octets of stream 0 or 1, wherever they are cut.
    Octets { stream: u8, octets: &'a [u8] },
    /// A stream opens anew.
    Open { stream: u8 },
    /// A stream ends.
    Close { stream: u8, end: StreamEnd },
    /// Time passes.
    Tick { ns: u64 },
}

impl<'a> Step<'a> {
    /// Takes a step off the front: an octet that says what, for octets a length of two behind it.
    fn take(script: &mut &'a [u8]) -> Option<Self> {
        let (&[what], rest) = script.split_first_chunk()?;
        *script = rest;
        let which = what >> 7;
        Some(match what & 0x7 {
            port @ 0..=3 => Self::Datagram { exporter: which, port: port + 1, payload: octets(script) },
            4 => Self::Octets { stream: which, octets: octets(script) },
            5 => Self::Open { stream: which },
            6 if what & 0x8 == 0 => Self::Close { stream: which, end: StreamEnd::Fin },
            6 => Self::Close { stream: which, end: StreamEnd::Timeout },
            _ => Self::Tick { ns: 1 << (what >> 3 & 0xf) },
        })
    }

    /// The step as a script has it.
    #[allow(dead_code, reason = "the fuzzer only reads scripts")]
    pub(crate) fn write(self, script: &mut Vec<u8>) {
        let mut framed = |what: u8, octets: &[u8]| {
            script.push(what);
            script.extend_from_slice(&u16::try_from(octets.len()).unwrap().to_be_bytes());
            script.extend_from_slice(octets);
        };
        match self {
            Self::Datagram { exporter, port, payload } => framed(exporter << 7 | (port - 1), payload),
            Self::Octets { stream, octets } => framed(stream << 7 | 4, octets),
            Self::Open { stream } => script.push(stream << 7 | 5),
            Self::Close { stream, end } => {
                script.push(stream << 7 | if end == StreamEnd::Fin { 6 } else { 14 });
            }
            Self::Tick { ns } => script.push(7 | u8::try_from(ns.ilog2().min(15)).unwrap() << 3),
        }
    }
}

fn octets<'a>(script: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = script.split_first_chunk() else { return std::mem::take(script) };
    let length = usize::from(u16::from_be_bytes(*length)).min(MAX_STEP).min(rest.len());
    let (octets, rest) = rest.split_at(length);
    *script = rest;
    octets
}

/// A collector with its surroundings.
struct Stage<F> {
    collector: Collector,
    out: Outlet,
    drain: Drain,
    now: Now,
    streams: [Stream; 2],
    opened: u64,
    each: F,
}

/// A TCP stream as its source keeps it.
#[derive(Default)]
struct Stream {
    id: Option<StreamId>,
    rest: Vec<u8>,
}

/// Plays a script to its end; every batch of rows goes to `each`. Returns the counters.
pub(crate) fn play(mut script: &[u8], each: impl FnMut(&Lease)) -> Ledgers {
    let interest = Interest {
        kinds: u32::MAX,
        whole_records: true,
        elements: vec![(0, 1), (0, 8), (0, 12)],
        join: true,
    };
    let schemas = schemas(&interest);
    let (out, drain) = Outlet::new(WorkerId(0), &schemas, 2, BatchLimits { rows: 32, octets: 1 << 14 });
    let mut stage = Stage {
        collector: Collector::new(settings(), schemas),
        out,
        drain,
        now: Now { monotonic_ns: 1, unix_ns: 1_750_000_000_000_000_000, frame: 1 },
        streams: Default::default(),
        opened: 0,
        each,
    };
    while let Some(step) = Step::take(&mut script) {
        stage.step(step);
        assert_eq!(stage.collector.ledgers().unexplained(), 0, "{step:?}");
    }
    stage.end()
}

impl<F: FnMut(&Lease)> Stage<F> {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Datagram { exporter, port, payload } => {
                let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, exporter)), 50_000);
                let to = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.into());
                let taken =
                    self.collector.accept(self.now, Input::Datagram { from, to, payload }, &mut self.out);
                assert_eq!(taken, payload.len());
            }
            Step::Open { stream } => {
                self.close(stream, StreamEnd::Reset);
                self.opened += 1;
                let id = StreamId(self.opened);
                let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, stream)), 33_000);
                let to = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1_790);
                let opened = Input::Opened { stream: id, from, to };
                let wish = self.collector.accept(self.now, opened, &mut self.out);
                assert!(wish == 0 || wish == CLOSE_STREAM);
                if wish == 0 {
                    self.stream(stream).id = Some(id);
                }
            }
            Step::Octets { stream, octets } => self.octets(stream, octets),
            Step::Close { stream, end } => self.close(stream, end),
            Step::Tick { ns } => {
                self.now.monotonic_ns += ns;
                self.now.unix_ns += ns;
                self.collector.tick(self.now, &mut self.out);
            }
        }
        self.empty();
    }

    fn stream(&mut self, stream: u8) -> &mut Stream {
        let [one, other] = &mut self.streams;
        if stream == 0 { one } else { other }
    }

    fn octets(&mut self, stream: u8, octets: &[u8]) {
        let Stream { id: Some(id), rest } = self.stream(stream) else { return };
        rest.extend_from_slice(octets);
        let (id, rest) = (*id, std::mem::take(rest));
        let received = Input::Received { stream: id, octets: &rest };
        match self.collector.accept(self.now, received, &mut self.out) {
            CLOSE_STREAM => self.close(stream, StreamEnd::Closed),
            consumed => {
                assert!(consumed <= rest.len());
                let left = &rest[consumed..];
                assert!(left.len() <= 1 << 16, "{} octets without a whole message", left.len());
                self.stream(stream).rest.extend_from_slice(left);
            }
        }
    }

    fn close(&mut self, stream: u8, end: StreamEnd) {
        let place = self.stream(stream);
        place.rest.clear();
        if let Some(stream) = place.id.take() {
            self.collector.accept(self.now, Input::Closed { stream, end }, &mut self.out);
        }
    }

    fn empty(&mut self) {
        self.out.publish();
        while let Some(lease) = self.drain.take() {
            (self.each)(&lease);
        }
    }

    /// Every router is saved, taken by another collector, and saved again: nothing that counts is lost on the way.
    fn end(mut self) -> Ledgers {
        let mut other = Collector::new(settings(), self.collector.schemas().clone());
        for id in self.collector.routers().collect::<Vec<_>>() {
            let mut saved = Vec::new();
            self.collector.save(id, &mut saved);
            let [first, second] = [(); 2].map(|()| {
                let taken = other.restore(&saved).expect("what was saved is taken back");
                saved.clear();
                other.save(taken, &mut saved);
                let rib = other.rib(taken).expect("the router was just taken");
                (rib.paths(), rib.prefixes(), rib.attributes().len(), rib.sessions())
            });
            assert_eq!(first, second);
        }
        self.close(0, StreamEnd::Fin);
        self.close(1, StreamEnd::Reset);
        self.empty();
        assert_eq!(self.collector.ledgers().unexplained(), 0);
        self.collector.ledgers().clone()
    }
}
