//! sFlow sessions of one router: datagrams become rows of samples and counters, samples joined with its routes.
//!
//! ```text
//! datagram -> agent (address, sub-agent; bounded) -> samples -+-> source -> sequence
//!                 |                                           +-> packet -> keys -> join --+
//!                 +-> sequence                                +-> octets ------------------+-> row
//! ```
//! Each sample is one record with one end; there are no sets. The octets of a sample are not decoded here but for
//! the addresses that the join needs, and nothing is allocated for an agent and sources that are known.

mod agent;
mod packet;
mod saved;

use wire::sflow::record::Kind as RecordKind;
use wire::sflow::sample::Sample;
use wire::sflow::{Datagram, Format, Structure};
use wire::{Malformed, Reason};

use crate::Turn;
use crate::batch::Batch;
use crate::input::Now;
use crate::join::{self, Columns};
use crate::ledger::{Kind, Ledgers, MessageEnd, Protocol, RecordEnd};
use crate::message::{Context, write_error, write_row_with};
use crate::rib::Rib;
use crate::schema::Side;

use agent::{Agents, Key};

pub use agent::AgentState;

/// A tick looks at every source of every agent, so an agent that opens gaps all the time must not cause one a turn.
const BETWEEN_TICKS_NS: u64 = 100_000_000;

/// The sFlow sessions of one router.
#[derive(Debug, Default)]
pub struct Sessions {
    agents: Agents,
    /// When a gap in some sequence is settled, monotonic ns; `None`: none is open.
    due_ns: Option<u64>,
}

impl Sessions {
    /// Takes one datagram.
    pub(crate) fn message(&mut self, rib: &mut Rib, payload: &[u8], turn: &mut Turn<'_>) {
        turn.ledgers.message_in(Protocol::Sflow);
        let end = match Datagram::parse(payload) {
            Ok(datagram) => self.datagram(&datagram, rib, payload, turn),
            Err(malformed) if malformed.reason == Reason::BadVersion => MessageEnd::UnknownVersion,
            Err(malformed) => {
                write_error(turn, Protocol::Sflow, malformed, payload);
                MessageEnd::Malformed
            }
        };
        turn.ledgers.message(Protocol::Sflow, end);
    }

    /// Settles gaps. Returns the next monotonic ns at which there is something to do.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>) -> Option<u64> {
        if self.due_ns? <= turn.now.monotonic_ns {
            let not_before = turn.now.monotonic_ns.saturating_add(BETWEEN_TICKS_NS);
            self.due_ns = self.agents.tick(turn).map(|due_ns| due_ns.max(not_before));
        }
        self.due_ns
    }

    /// Takes every open gap for a loss.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        let end = Now { monotonic_ns: u64::MAX, ..turn.now };
        self.due_ns = self.agents.tick(&mut turn.at(end));
    }

    /// All agents, in the order of their addresses.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentState> {
        self.agents.states()
    }

    fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        rib: &mut Rib,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> MessageEnd {
        let key = Key::of(datagram);
        let agent = self.agents.agent(key, turn);
        let due_ns = agent.datagram(datagram, turn);
        self.due_ns = [self.due_ns, due_ns].into_iter().flatten().min();
        let mut faults = 0_u32;
        let mut fault = |malformed: Malformed, turn: &mut Turn<'_>| {
            write_error(turn, Protocol::Sflow, malformed, payload);
            faults += 1;
        };
        for structure in datagram.structures() {
            let structure = match structure {
                Ok(structure) => structure,
                Err(malformed) => {
                    // What it was to be is not there to be read.
                    turn.ledgers.records_in(Kind::Sample, 1);
                    turn.ledgers.records(Kind::Sample, RecordEnd::Malformed, 1);
                    fault(malformed, turn);
                    continue;
                }
            };
            let kind = kind(structure.format);
            turn.ledgers.records_in(kind, 1);
            let sample = match Sample::read(structure) {
                Ok(sample) => sample,
                Err(malformed) => {
                    turn.ledgers.records(kind, RecordEnd::Malformed, 1);
                    fault(malformed, turn);
                    continue;
                }
            };
            let due_ns = agent.sample(&sample, turn);
            self.due_ns = [self.due_ns, due_ns].into_iter().flatten().min();
            // A record that runs past its sample is told; the records before it and the sample itself are kept.
            if let Some(malformed) = sample.records().find_map(Result::err) {
                fault(malformed, turn);
            }
            let end = row(key, kind, structure, &sample, rib, turn);
            turn.ledgers.records(kind, end, 1);
        }
        if faults == 0 { MessageEnd::Decoded } else { MessageEnd::Partial }
    }
}

/// The kind of a sample's row. Structures that are not known are samples.
fn kind(format: Format) -> Kind {
    match (format.enterprise, format.number) {
        (0, 2 | 4) => Kind::Counters,
        _ => Kind::Sample,
    }
}

/// The numbering that the formats of a sample's records belong to.
#[must_use]
pub const fn record_kind(sample: &Sample<'_>) -> RecordKind {
    match sample {
        Sample::Counters(_) => RecordKind::Counters,
        Sample::Flow(_) | Sample::Discarded(_) | Sample::Other(_) => RecordKind::Flow,
    }
}

fn join_one(columns: &Columns, key: &packet::Key, rib: &mut Rib, batch: &mut Batch, ledgers: &mut Ledgers) {
    let keys = join::Keys {
        addresses: &[key.address],
        used_elements: &[key.used_element],
        next_hops: &[key.next_hop],
        vrfs: &[],
    };
    join::join(columns, &keys, rib, batch, ledgers);
}

fn row(
    key: Key,
    kind: Kind,
    structure: Structure<'_>,
    sample: &Sample<'_>,
    rib: &mut Rib,
    turn: &mut Turn<'_>,
) -> RecordEnd {
    let context =
        Context::Sflow { agent: key.address(), sub_agent: key.sub_agent, format: structure.format.to_wire() };
    let joins = turn.settings.join && matches!(sample, Sample::Flow(_) | Sample::Discarded(_));
    write_row_with(turn, kind, &context, structure.body.rest(), |batch, ledgers| {
        let columns = Columns::of(&batch.schema, Side::Destination);
        if joins && columns.are_there() {
            let [destination, source] = packet::keys(sample);
            join_one(&columns, &destination, rib, batch, ledgers);
            join_one(&Columns::of(&batch.schema, Side::Source), &source, rib, batch, ledgers);
        }
    })
}
