//! Frames of a described population in, a whole collector in one process, out to a sink that takes no time: what a
//! datagram costs without a ring, and how that grows with exporters, templates, routes and the size of datagrams.
//!
//! Everything a worker does is in it (headers and checksums, session, template, columns, join, batches) but its ring.

use std::net::SocketAddr;

use anyhow::ensure;
use collector::batch::{BatchLimits, WorkerId};
use collector::schema::{Interest, schemas};
use collector::settings::PortProtocol;
use collector::{Collector, Drain, Input, Now, Outlet, Settings, StreamId};
use lab::frame::Frame;
use wire::bgp::Prefix;

use crate::cpu::Cpu;
use crate::generate::bmp;
use crate::generate::population::{Class, Population};
use crate::generate::script::{Item, Script};

/// Where frames go.
const FLOWS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 73, 0, 1)), 4739);
/// Where BMP sessions go.
const BMP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 73, 0, 1)), 11_019);
/// Seconds since 1970 of the exporters' clocks.
const CLOCK: u32 = 1_700_000_000;
/// Datagrams of a round, shared evenly: more than 100,000 addresses.
const ROUND: u32 = 8_192;
/// Octets of a stream that a collector is given at once.
const PIECE: usize = 64 * 1024;

/// What a population is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// IPFIX exporters.
    pub exporters: u32,
    /// Templates of each.
    pub templates: u16,
    /// Routes of all together, each exporter's by a BMP session of its own; 0: no join.
    pub routes: u32,
    /// Largest payload of a datagram.
    pub octets: u16,
}

/// A collector that knows all templates and routes of a population, and frames for it.
#[derive(Debug)]
pub struct Replay {
    collector: Collector,
    outlet: Outlet,
    drain: Drain,
    script: Script,
    prefixes: Vec<Prefix>,
    round: u32,
    frames: Vec<Vec<u8>>,
}

/// What a round came to.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// Datagrams.
    pub datagrams: u64,
    /// Rows of flows.
    pub records: u64,
    /// Time of this thread.
    pub seconds: f64,
}

impl Replay {
    /// Teaches templates and routes.
    ///
    /// # Errors
    /// A size out of the generator's range.
    pub fn new(size: &Size) -> anyhow::Result<Self> {
        let Size { exporters, templates, octets, .. } = *size;
        let population = Population {
            prefixes: if size.routes > 0 { (size.routes / exporters).max(1) } else { 100_000 },
            skew: 2.0,
            datagrams: ROUND.max(2 * exporters),
            run: 1,
            class: vec![Class { exporters, templates, octets, template_every: 0, ..Class::default() }],
            ..Population::default()
        };
        population.check()?;
        let elements = lab::exporter::FIELDS_V4.iter().map(|field| (0, field.id)).collect();
        let join = size.routes > 0;
        let schemas = schemas(&Interest { kinds: u32::MAX, whole_records: false, elements, join });
        let limits = BatchLimits { rows: 1_024, octets: 1 << 20 };
        let (outlet, drain) = Outlet::new(WorkerId(0), &schemas, 16, limits);
        let ports = vec![(FLOWS.port(), PortProtocol::Ipfix), (BMP.port(), PortProtocol::Bmp)];
        let settings = Settings { ports, join, ..Settings::default() };
        let script = Script::new(&population, CLOCK);
        let prefixes = population.prefixes();
        let collector = Collector::new(settings, schemas);
        let mut replay = Self { collector, outlet, drain, script, prefixes, round: 0, frames: Vec::new() };
        for item in &replay.script.items[..replay.script.cycle] {
            let frame = Frame::udp(item.source, FLOWS, &item.octets).octets();
            replay.collector.accept(Now::default(), Input::Frame(&frame), &mut replay.outlet);
        }
        if join {
            for index in 0..exporters {
                let from = SocketAddr::new(population.source(index, false), 50_000);
                replay.table(index, from);
            }
        }
        replay.settle();
        Ok(replay)
    }

    /// Prefixes that every exporter has routes of.
    #[must_use]
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// Frames of the round that was run last.
    #[must_use]
    pub fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    /// Makes the frames of the next round, and gives them to the collector: only that takes time.
    ///
    /// # Errors
    /// Not every record became a row.
    pub fn run(&mut self) -> anyhow::Result<Ran> {
        let cycle = &self.script.items[self.script.cycle..];
        let frame = |item: &Item| {
            let mut octets = item.octets.clone();
            Item::turn(&item.words, &mut octets, self.round);
            Frame::udp(item.source, FLOWS, &octets).octets()
        };
        self.frames = cycle.iter().map(frame).collect();
        self.round += 1;
        let mut records = 0;
        let started = Cpu::start();
        for frame in &self.frames {
            self.collector.accept(Now::default(), Input::Frame(frame), &mut self.outlet);
            if self.drain.backlog() > 0 {
                records += settle(&self.drain);
            }
        }
        self.outlet.publish();
        records += settle(&self.drain);
        let seconds = started.seconds();
        let items = self.script.items.len() as u64;
        let counts = |sent| self.script.counts(sent).iter().map(|counts| counts.records).sum::<u64>();
        let expected = counts(items) - counts(self.script.cycle as u64);
        ensure!(records == expected, "{records} rows of {expected} records");
        Ok(Ran { datagrams: self.frames.len() as u64, records, seconds })
    }

    fn table(&mut self, index: u32, from: SocketAddr) {
        let stream = StreamId(u64::from(index));
        self.collector.accept(Now::default(), Input::Opened { stream, from, to: BMP }, &mut self.outlet);
        let octets = bmp::session(index, from.ip(), &self.prefixes);
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let octets = &rest[..rest.len().min(PIECE)];
            let given = Input::Received { stream, octets };
            let consumed = self.collector.accept(Now::default(), given, &mut self.outlet);
            rest = &rest[consumed..];
            self.settle();
        }
    }

    fn settle(&mut self) {
        settle(&self.drain);
    }
}

/// Sends all batches home. Returns the rows of flows in them.
fn settle(drain: &Drain) -> u64 {
    let mut rows = 0;
    while let Some(lease) = drain.take() {
        if lease.schema.table == collector::schema::TableId::Flows {
            rows += u64::from(lease.rows);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use collector::ledger::JoinEnd;

    use super::*;

    #[test]
    fn every_record_of_every_round_becomes_a_row_and_finds_its_route() {
        for size in [
            Size { exporters: 3, templates: 1, routes: 0, octets: 1_400 },
            Size { exporters: 4, templates: 5, routes: 400, octets: 512 },
        ] {
            let mut replay = Replay::new(&size).unwrap();
            for _ in 0..3 {
                let ran = replay.run().unwrap();
                // Each exporter has its whole share.
                assert!(ran.datagrams > u64::from(ROUND - size.exporters));
                assert!(ran.records >= ran.datagrams);
            }
            // Gaps would be losses now.
            replay.collector.settle(Now::default(), &mut replay.outlet);
            let ledgers = replay.collector.ledgers();
            assert_eq!(ledgers.sequence_lost.iter().sum::<u64>(), 0);
            let found: u64 = ledgers.joins.iter().map(|ends| ends[JoinEnd::Found.index()]).sum();
            assert_eq!(found > 0, size.routes > 0);
        }
    }
}
