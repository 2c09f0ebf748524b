//! The agents of one router and their numberings: of datagrams, and of the samples of each source. Bounded in
//! number; the agent that rested longest makes room.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use wire::sflow::sample::{Sample, Source};
use wire::sflow::{Address, Datagram};

use dataplane_common::walk::mapped;

use crate::Turn;
use crate::ledger::{FlowEvent, Protocol};
use crate::sequence::{Order, Sequence};

/// An agent's uptime that falls by more is a restart; less is a datagram that came late.
const LATE_MS: i32 = 60_000;

/// Which agent numbers a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Its address, IPv4 as IPv4-mapped; unspecified if it does not know one.
    agent: [u8; 16],
    pub(super) sub_agent: u32,
}

impl Key {
    pub(super) const fn of(datagram: &Datagram<'_>) -> Self {
        let agent = match datagram.agent {
            Address::Unknown => [0; 16],
            Address::Ipv4(octets) => mapped(octets),
            Address::Ipv6(octets) => octets,
        };
        Self { agent, sub_agent: datagram.sub_agent }
    }

    /// The agent's address, if it is told.
    pub(super) fn address(self) -> Option<[u8; 16]> {
        (self.agent != [0; 16]).then_some(self.agent)
    }
}

/// One numbering of samples: each source counts its flow samples, its counters and its discards by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Counting {
    what: u8,
    kind: u32,
    index: u32,
}

/// One agent, or one sub-agent of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Agent {
    sequence: Sequence,
    sources: HashMap<Counting, Sequence>,
    uptime_ms: Option<u32>,
    last_seen_ns: u64,
    last_seen_unix_ns: u64,
    datagrams: u64,
    samples: u64,
    samples_lost: u64,
}

/// What an agent looks like from outside: part of the answer to `show exporters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentState {
    /// Its address, IPv4 as IPv4-mapped; `None`: not told.
    #[serde(skip)]
    pub agent: Option<[u8; 16]>,
    /// The part of it that numbers datagrams.
    pub sub_agent: u32,
    /// Sources whose samples are accounted for.
    pub sources: usize,
    /// Datagrams taken.
    pub messages: u64,
    /// Samples read.
    pub records: u64,
    /// Datagrams lost on the way.
    pub sequence_lost: u64,
    /// Samples lost on the way or, by their own numbers, before.
    pub samples_lost: u64,
    /// Arrival of its last datagram, unix ns.
    #[serde(skip)]
    pub last_seen_unix_ns: u64,
}

impl Agent {
    /// Takes notice of a datagram. Returns when a gap of its numbering is to be settled, monotonic ns.
    pub(super) fn datagram(&mut self, datagram: &Datagram<'_>, turn: &mut Turn<'_>) -> Option<u64> {
        let back_ms = |before: u32| before.wrapping_sub(datagram.uptime_ms).cast_signed();
        let is_restart = self.uptime_ms.map(back_ms).is_some_and(|back_ms| back_ms > LATE_MS);
        if is_restart {
            self.sequence.forget();
            self.sources.values_mut().for_each(Sequence::forget);
        }
        self.uptime_ms = Some(datagram.uptime_ms);
        let order = self.sequence.seen(datagram.sequence, Some(1), turn.now.monotonic_ns);
        if is_restart || order == Order::Restart {
            turn.ledgers.flow_event(FlowEvent::ExporterRestarted);
        }
        turn.ledgers.lost(Protocol::Sflow, self.sequence.newly_lost());
        self.last_seen_ns = turn.now.monotonic_ns;
        self.last_seen_unix_ns = turn.now.unix_ns;
        self.datagrams += 1;
        self.sequence.due_ns()
    }

    /// Takes notice of a sample, likewise.
    pub(super) fn sample(&mut self, sample: &Sample<'_>, turn: &mut Turn<'_>) -> Option<u64> {
        let (what, Source { kind, index }, number) = match sample {
            Sample::Flow(flow) => (0, flow.source, flow.sequence),
            Sample::Counters(counters) => (1, counters.source, counters.sequence),
            Sample::Discarded(discarded) => (2, discarded.source, discarded.sequence),
            Sample::Other(_) => return None,
        };
        self.samples += 1;
        let counting = Counting { what, kind, index };
        let has_room = self.sources.len() < turn.settings.max_sources_per_agent;
        if !has_room && !self.sources.contains_key(&counting) {
            turn.ledgers.flow_event(FlowEvent::SourceRefused);
            return None;
        }
        let sequence = self.sources.entry(counting).or_default();
        sequence.seen(number, Some(1), turn.now.monotonic_ns);
        let lost = sequence.newly_lost();
        self.samples_lost += lost;
        turn.ledgers.flow_events(FlowEvent::SampleLost, lost);
        sequence.due_ns()
    }

    /// Settles gaps. Returns when the next one is to be settled.
    fn tick(&mut self, turn: &mut Turn<'_>) -> Option<u64> {
        self.sequence.tick(turn.now.monotonic_ns);
        turn.ledgers.lost(Protocol::Sflow, self.sequence.newly_lost());
        let mut due_ns = self.sequence.due_ns();
        for sequence in self.sources.values_mut() {
            sequence.tick(turn.now.monotonic_ns);
            let lost = sequence.newly_lost();
            self.samples_lost += lost;
            turn.ledgers.flow_events(FlowEvent::SampleLost, lost);
            due_ns = [due_ns, sequence.due_ns()].into_iter().flatten().min();
        }
        due_ns
    }

    /// Sources accounted for.
    pub(super) fn sources(&self) -> usize {
        self.sources.len()
    }
}

/// The agents of one router.
#[derive(Debug, Default)]
pub(super) struct Agents {
    by_key: HashMap<Key, Box<Agent>>,
}

impl Agents {
    /// The agent of a key, made if need be; the one that rested longest goes when there are too many.
    pub(super) fn agent(&mut self, key: Key, turn: &mut Turn<'_>) -> &mut Agent {
        if self.by_key.len() >= turn.settings.max_agents_per_router.max(1) && !self.by_key.contains_key(&key)
        {
            let oldest = self.by_key.iter().min_by_key(|(_, agent)| agent.last_seen_ns).map(|(key, _)| *key);
            if oldest.is_some_and(|key| self.by_key.remove(&key).is_some()) {
                turn.ledgers.flow_event(FlowEvent::AgentEvicted);
            }
        }
        self.by_key.entry(key).or_default()
    }

    /// Settles gaps of all. Returns when the next one is to be settled.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) -> Option<u64> {
        self.by_key.values_mut().filter_map(|agent| agent.tick(turn)).min()
    }

    /// When the next gap is to be settled.
    pub(super) fn due_ns(&self) -> Option<u64> {
        let due = |agent: &Agent| {
            let sources = agent.sources.values().filter_map(Sequence::due_ns).min();
            [agent.sequence.due_ns(), sources].into_iter().flatten().min()
        };
        self.by_key.values().filter_map(|agent| due(agent)).min()
    }

    /// Puts an agent into the table.
    pub(super) fn insert(&mut self, key: Key, agent: Agent) {
        self.by_key.insert(key, Box::new(agent));
    }

    /// All agents.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Agent)> {
        self.by_key.iter().map(|(key, agent)| (key, &**agent))
    }

    /// All agents as answers tell them, in the order of their keys.
    pub(super) fn states(&self) -> Vec<AgentState> {
        let mut agents: Vec<_> = self.iter().collect();
        agents.sort_unstable_by_key(|(key, _)| **key);
        let state = |(key, agent): (&Key, &Agent)| AgentState {
            agent: key.address(),
            sub_agent: key.sub_agent,
            sources: agent.sources.len(),
            messages: agent.datagrams,
            records: agent.samples,
            sequence_lost: agent.sequence.lost(),
            samples_lost: agent.samples_lost,
            last_seen_unix_ns: agent.last_seen_unix_ns,
        };
        agents.into_iter().map(state).collect()
    }
}
