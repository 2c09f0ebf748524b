//! What names a flow session, and all that one session knows; bounded in number, the one that rested longest
//! makes room.

use std::net::SocketAddr;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::announced::Announced;
use super::header::Header;
use super::options::Options;
use super::template::Templates;
use super::waiting::Waiting;
use crate::Turn;
use crate::ledger::{FlowEvent, Protocol, SetEnd};
use crate::sequence::{Order, Sequence};
use crate::settings::{ExporterKey, Settings, VrfName};

/// An exporter's uptime that falls by more is a restart; less is a packet that came late.
const LATE_MS: i32 = 60_000;

/// Identity of a flow session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Source address, IPv4 as IPv4-mapped. A router may have several.
    pub address: [u8; 16],
    /// Source port, where the settings make it part of the identity; else 0.
    pub port: u16,
    /// IPFIX observation domain, v9 source id, v5 engine type and id.
    pub domain: u32,
    /// 10, 9 or 5.
    pub version: u8,
}

impl Key {
    /// The session of a message.
    pub(crate) fn of(address: [u8; 16], from: SocketAddr, header: &Header, settings: &Settings) -> Self {
        let port = match settings.exporter_key {
            ExporterKey::Address => 0,
            ExporterKey::AddressAndPort => from.port(),
        };
        Self { address, port, domain: header.domain, version: header.version }
    }

    /// The protocol's place in the ledgers.
    pub(crate) const fn protocol(&self) -> Protocol {
        Header { version: self.version, ..Header::EMPTY }.protocol()
    }
}

/// What rows are worked out from beside the record itself.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) options: Options,
    pub(crate) announced: Announced,
    /// Sampling rate by the configuration.
    pub(crate) sampling: Option<f64>,
    /// Route distinguishers of its VRFs by the configuration; those of this very router first.
    pub(crate) vrfs: Box<[(VrfName, [u8; 8])]>,
}

impl Knowledge {
    /// What the configuration says about exporters of this router.
    fn of(router: [u8; 16], settings: &Settings) -> Self {
        let sampling = settings.sampling.iter().find(|(of, _)| *of == router).map(|&(_, rate)| rate);
        let own = settings.vrfs.iter().filter(|vrf| vrf.router == Some(router));
        let every = settings.vrfs.iter().filter(|vrf| vrf.router.is_none());
        let vrfs = own.chain(every).map(|vrf| (vrf.vrf.clone(), vrf.rd)).collect();
        Self { options: Options::default(), announced: Announced::default(), sampling, vrfs }
    }

    /// Whether it adds nothing to the columns of a record.
    pub(crate) const fn is_plain(&self) -> bool {
        self.options.are_none() && self.sampling.is_none()
    }

    /// The route distinguisher that the configuration gives to a VRF, by its number or by the name of options.
    pub(crate) fn configured(&self, vrf: u32) -> Option<[u8; 8]> {
        let is_it = |name: &VrfName| match name {
            VrfName::Id(id) => *id == vrf,
            VrfName::Name(name) => self.options.vrf_name(vrf) == Some(&**name),
        };
        self.vrfs.iter().find(|(name, _)| is_it(name)).map(|&(_, rd)| rd)
    }
}

/// One flow session.
#[derive(Debug, Default)]
pub(crate) struct Exporter {
    pub(crate) templates: Templates,
    pub(crate) knowledge: Knowledge,
    pub(crate) waiting: Waiting,
    pub(crate) sequence: Sequence,
    uptime_ms: Option<u32>,
    pub(crate) last_seen_ns: u64,
    pub(crate) last_seen_unix_ns: u64,
    /// Export time less receive time of the last message, ns.
    pub(crate) clock_offset_ns: i64,
    pub(crate) messages: u64,
    pub(crate) records: u64,
}

impl Exporter {
    /// A session of which nothing is known yet.
    pub(crate) fn new(key: &Key, settings: &Settings) -> Self {
        let alias = settings.aliases.iter().find(|(from, _)| *from == key.address);
        let router = alias.map_or(key.address, |&(_, router)| router);
        Self { knowledge: Knowledge::of(router, settings), ..Self::default() }
    }

    /// Takes notice of a message. `units`: what it adds to the exporter's sequence, if that can be told.
    pub(crate) fn seen(&mut self, header: &Header, units: Option<u32>, turn: &mut Turn<'_>) {
        let went_back = |before: u32| header.uptime_ms.map(|now| before.wrapping_sub(now).cast_signed());
        let is_restart = self.uptime_ms.and_then(went_back).is_some_and(|back_ms| back_ms > LATE_MS);
        if is_restart {
            self.sequence.forget();
        }
        self.uptime_ms = header.uptime_ms;
        let order = self.sequence.seen(header.sequence, units, turn.now.monotonic_ns);
        if is_restart || order == Order::Restart {
            turn.ledgers.flow_event(FlowEvent::ExporterRestarted);
        }
        self.count_lost(header.protocol(), turn);
        self.last_seen_ns = turn.now.monotonic_ns;
        self.last_seen_unix_ns = turn.now.unix_ns;
        self.clock_offset_ns = header.export_ns.wrapping_sub(turn.now.unix_ns).cast_signed();
        self.messages += 1;
    }

    /// Lets time pass: settles losses, expires templates and sets that waited too long.
    pub(crate) fn tick(&mut self, protocol: Protocol, turn: &mut Turn<'_>) {
        let (now_ns, settings) = (turn.now.monotonic_ns, turn.settings);
        self.sequence.tick(now_ns);
        self.count_lost(protocol, turn);
        if settings.template_lifetime_ns > 0 {
            for _ in 0..self.templates.expire(now_ns, settings.template_lifetime_ns) {
                turn.ledgers.flow_event(FlowEvent::TemplateExpired);
            }
        }
        while self.waiting.expired(now_ns, settings.max_waiting_ns).is_some() {
            turn.ledgers.set_moved(protocol, SetEnd::Waiting, SetEnd::NoTemplate);
        }
    }

    /// No further message will close a gap.
    pub(crate) fn settle(&mut self, protocol: Protocol, turn: &mut Turn<'_>) {
        self.sequence.tick(u64::MAX);
        self.count_lost(protocol, turn);
    }

    /// Whether a tick is to do something for data or gaps; the age of templates aside.
    pub(crate) fn awaits(&self) -> bool {
        self.sequence.has_gaps() || self.waiting.len() > 0
    }

    /// When a tick would do something, monotonic ns.
    pub(crate) fn due_ns(&self, settings: &Settings) -> Option<u64> {
        let templates = match settings.template_lifetime_ns {
            0 => None,
            lifetime_ns => self.templates.due_ns(lifetime_ns),
        };
        [self.sequence.due_ns(), self.waiting.due_ns(settings.max_waiting_ns), templates]
            .into_iter()
            .flatten()
            .min()
    }

    fn count_lost(&mut self, protocol: Protocol, turn: &mut Turn<'_>) {
        turn.ledgers.lost(protocol, self.sequence.newly_lost());
    }
}

/// The flow sessions of one router.
#[derive(Debug, Default)]
pub(crate) struct Exporters {
    sessions: Vec<(Key, Exporter)>,
    /// Where each is, once there are several.
    by_key: HashMap<Key, usize>,
    /// Where the one of the last message is: most routers have but one, and others send several messages in a row.
    last: usize,
}

impl Exporters {
    /// The session of a key, made if need be; one that rested longest goes when there are too many.
    pub(crate) fn session(&mut self, key: Key, turn: &mut Turn<'_>) -> &mut Exporter {
        if self.sessions.get(self.last).is_none_or(|session| session.0 != key) {
            self.last = match self.by_key.get(&key) {
                Some(&at) => at,
                None => self.add(key, turn),
            };
        }
        let Some(session) = self.sessions.get_mut(self.last) else {
            unreachable!("the last one is among them");
        };
        &mut session.1
    }

    /// Puts a new session into the table, in the place of the one that rested longest if there are too many.
    #[cold]
    fn add(&mut self, key: Key, turn: &mut Turn<'_>) -> usize {
        if self.sessions.len() >= turn.settings.max_exporters_per_router.max(1) {
            self.evict(turn);
        }
        self.insert(key, Exporter::new(&key, turn.settings))
    }

    fn evict(&mut self, turn: &mut Turn<'_>) {
        let sessions = self.sessions.iter().enumerate();
        let Some((oldest, _)) = sessions.min_by_key(|(_, session)| session.1.last_seen_ns) else { return };
        let (key, exporter) = self.sessions.swap_remove(oldest);
        self.by_key.remove(&key);
        if let Some(moved) = self.sessions.get(oldest) {
            self.by_key.insert(moved.0, oldest);
        }
        turn.ledgers.flow_event(FlowEvent::ExporterEvicted);
        for _ in 0..exporter.waiting.len() {
            turn.ledgers.set_moved(key.protocol(), SetEnd::Waiting, SetEnd::NoTemplate);
        }
    }

    /// Puts a session into the table, in the place of one with the same key. Returns where it is.
    pub(crate) fn insert(&mut self, key: Key, exporter: Exporter) -> usize {
        let at = *self.by_key.entry(key).or_insert(self.sessions.len());
        match self.sessions.get_mut(at) {
            Some(session) => session.1 = exporter,
            None => {
                // No room for four where there is one.
                if self.sessions.len() == self.sessions.capacity() {
                    self.sessions.reserve_exact(self.sessions.len().max(1));
                }
                self.sessions.push((key, exporter));
            }
        }
        at
    }

    /// All sessions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Exporter)> {
        self.sessions.iter().map(|session| (&session.0, &session.1))
    }

    /// All sessions, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Exporter)> {
        self.sessions.iter_mut().map(|session| (&session.0, &mut session.1))
    }
}
