//! A capture's packets -> a collector: each packet becomes the inputs that a live collector would have had.

use std::net::{Ipv4Addr, SocketAddr};

use etherparse::IpNumber;

use super::Packet;
use super::fragment::Fragments;
use super::stream::Streams;
use super::transport::{self, Carried};
use crate::Collector;
use crate::input::{Input, Now, StreamId};
use crate::outlet::Outlet;
use crate::settings::PortProtocol;

/// The one stream of payload files; streams of captures count from 0.
const PAYLOAD_STREAM: StreamId = StreamId(u64::MAX);

/// A datagram that waits for the end of the capture: when, from, to, payload.
type Deferred = (Now, SocketAddr, SocketAddr, Vec<u8>);

/// Plays captures into a collector. One a run of `decode`.
#[derive(Debug, Default)]
pub struct Player {
    fragments: Fragments,
    streams: Streams,
    bmp_ports: Vec<u16>,
    any_bmp_port: bool,
    deferred: Option<Vec<Deferred>>,
    now: Now,
    payload_rest: Vec<u8>,
    /// Packets seen.
    pub packets: u64,
    /// Packets that carry neither UDP nor TCP.
    pub other: u64,
}

impl Player {
    /// A player for these BMP ports; none: every TCP stream is tried.
    #[must_use]
    pub fn new(bmp_ports: &[u16]) -> Self {
        Self { any_bmp_port: bmp_ports.is_empty(), bmp_ports: bmp_ports.to_vec(), ..Self::default() }
    }

    /// Keeps datagrams back until [`Player::finish`]: flows then meet the routes as of the capture's end.
    pub fn defer_datagrams(&mut self) {
        self.deferred = Some(Vec::new());
    }

    /// Plays one packet.
    pub fn packet(&mut self, packet: Packet<'_>, collector: &mut Collector, out: &mut Outlet) {
        self.packets += 1;
        self.now = Now {
            monotonic_ns: packet.unix_ns.max(self.now.monotonic_ns),
            unix_ns: packet.unix_ns,
            frame: packet.number,
        };
        match transport::dissect(packet.link, packet.octets) {
            Carried::Fragment { of, offset, more, payload } => {
                if let Some(whole) = self.fragments.add(of, offset, more, payload) {
                    let carried =
                        transport::carried(of.source, of.destination, IpNumber(of.protocol), &whole);
                    self.carried(carried, collector, out);
                }
            }
            carried @ (Carried::Datagram { .. } | Carried::Segment { .. } | Carried::Other) => {
                self.carried(carried, collector, out);
            }
        }
    }

    /// Plays the payload of one datagram that never was in a capture.
    pub fn payload(
        &mut self,
        source: super::payload::Source,
        octets: &[u8],
        collector: &mut Collector,
        out: &mut Outlet,
    ) {
        self.packets += 1;
        self.now.frame += 1;
        let to = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), source.port);
        if source.protocol == PortProtocol::Bmp {
            // The files are one stream: a message may begin in one and end in the next.
            if self.now.frame == 1 {
                collector.accept(
                    self.now,
                    Input::Opened { stream: PAYLOAD_STREAM, from: source.from, to },
                    out,
                );
            }
            self.payload_rest.extend_from_slice(octets);
            while !self.payload_rest.is_empty() {
                let input = Input::Received { stream: PAYLOAD_STREAM, octets: &self.payload_rest };
                let consumed = collector.accept(self.now, input, out).min(self.payload_rest.len());
                self.payload_rest.drain(..consumed);
                if consumed == 0 {
                    break;
                }
            }
        } else {
            collector.accept(self.now, Input::Datagram { from: source.from, to, payload: octets }, out);
        }
    }

    /// The capture is over.
    pub fn finish(
        &mut self,
        collector: &mut Collector,
        out: &mut Outlet,
        mut after_each: impl FnMut(&mut Outlet),
    ) {
        let now = self.now;
        self.streams.finish(|input| collector.accept(now, input, out));
        after_each(out);
        for (now, from, to, payload) in self.deferred.take().unwrap_or_default() {
            collector.accept(now, Input::Datagram { from, to, payload: &payload }, out);
            after_each(out);
        }
        collector.settle(now, out);
    }

    /// Time and number of the packet played last.
    #[must_use]
    pub const fn now(&self) -> Now {
        self.now
    }

    /// What the capture itself lacked, by name.
    #[must_use]
    pub fn shortfalls(&self) -> [(&'static str, u64); 5] {
        [
            ("otherPackets", self.other),
            ("fragmentsGivenUp", self.fragments.given_up),
            ("fragmentsWaiting", self.fragments.waiting() as u64),
            ("streamsFromTheMiddle", self.streams.from_the_middle),
            ("streamOctetsMissing", self.streams.missing_octets),
        ]
    }

    fn carried(&mut self, carried: Carried<'_>, collector: &mut Collector, out: &mut Outlet) {
        let now = self.now;
        match carried {
            Carried::Datagram { from, to, payload } => match &mut self.deferred {
                Some(deferred) => deferred.push((now, from, to, payload.to_vec())),
                None => {
                    collector.accept(now, Input::Datagram { from, to, payload }, out);
                }
            },
            Carried::Segment { from, to, segment }
                if self.any_bmp_port || self.bmp_ports.contains(&to.port()) =>
            {
                self.streams.segment(from, to, segment, |input| collector.accept(now, input, out));
            }
            Carried::Segment { .. } | Carried::Fragment { .. } | Carried::Other => self.other += 1,
        }
    }
}

/// Ports that `decode` listens to when none are named: (port, protocol).
pub const DEFAULT_PORTS: [(u16, PortProtocol); 9] = [
    (2055, PortProtocol::Any),
    (4739, PortProtocol::Any),
    (6343, PortProtocol::Any),
    (9995, PortProtocol::Any),
    (9996, PortProtocol::Any),
    (1790, PortProtocol::Bmp),
    (5000, PortProtocol::Bmp),
    (10_179, PortProtocol::Bmp),
    (11_019, PortProtocol::Bmp),
];
