//! Flow sessions of one router: IPFIX, NetFlow v9 and v5 messages become rows of flows and options.
//!
//! ```text
//! payload -> header -> exporter (key, bounded) -> sets -+-> template -> plan (shared)
//!                                |                      +-> records -> place -> rows -+-> pending -> column -+-> batch
//!                                +-> sequence           |                             +-> sampling, join ----+
//!                                                       +-> waiting, until the template comes
//! ```
//! Never waits, never allocates for a message of known templates, never trusts a length.

mod header;
mod exporter;
pub mod template;
mod plan;
mod layout;
mod lane;
mod plane;
mod place;
mod column;
mod time;
mod sampling;
mod options;
mod announced;
mod key;
mod rows;
mod pending;
pub(crate) mod waiting;
mod sets;
mod saved;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;

use wire::ipfix;
use wire::netflow::{Version, v5, v9};
use wire::{Malformed, Reason};

use crate::Turn;
use crate::ledger::{FlowEvent, MessageEnd, PacketEnd, Protocol, SetEnd};
use crate::message::write_error;
use crate::outlet::Schemas;
use crate::rib::Rib;
use crate::settings::{PortProtocol, Settings};

use exporter::{Exporters, Key};
use header::Header;
use plan::{Plan, Plans};
use rows::{DataSet, Scratch};
use sets::Work;
use waiting::{Bound, WorkerWaiting};

pub(crate) use pending::Pending;
pub use saved::Saved;
pub use state::{ExporterState, TemplateState};

/// What all flow sessions of a worker share: plans of equal templates, scratch space. One a worker.
#[derive(Debug)]
pub struct Shared {
    plans: Plans,
    scratch: Scratch,
    template: Vec<u8>,
    netflow5: Option<Arc<Plan>>,
    /// Data of all exporters that waits for its template.
    waiting: Arc<WorkerWaiting>,
}

impl Shared {
    /// Prepares for rows of these schemas.
    #[must_use]
    pub fn new(schemas: &Schemas, settings: &Settings) -> Self {
        let mut plans = Plans::new(schemas, settings.max_shared_plans, settings.join_address);
        let netflow5 = plans.netflow5();
        let waiting = Arc::default();
        Self { plans, scratch: Scratch::default(), template: Vec::new(), netflow5, waiting }
    }

    /// What waits at the worker.
    pub(crate) const fn waiting(&self) -> &Arc<WorkerWaiting> {
        &self.waiting
    }

    /// How much data may wait for its template.
    const fn waiting_bound(&self, settings: &Settings) -> Bound<'_> {
        Bound {
            exporter: settings.max_waiting_octets_per_exporter,
            worker: settings.max_waiting_octets_per_worker,
            waiting: &self.waiting,
        }
    }
}

/// The flow sessions of one router.
#[derive(Debug, Default)]
pub struct Sessions {
    exporters: Exporters,
    /// When something is next to be done, monotonic ns; `None`: nothing waits.
    due_ns: Option<u64>,
}

impl Sessions {
    /// Takes one datagram. Returns how the packet ended.
    pub(crate) fn message(
        &mut self,
        shared: &mut Shared,
        rib: &mut Rib,
        port: PortProtocol,
        from: SocketAddr,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> PacketEnd {
        let (protocol, result) = match (port, Version::of(payload)) {
            (PortProtocol::Ipfix | PortProtocol::Netflow | PortProtocol::Any, Some(Version::Ipfix)) => {
                turn.ledgers.message_in(Protocol::Ipfix);
                (Protocol::Ipfix, self.ipfix(shared, rib, from, payload, turn))
            }
            (PortProtocol::Netflow | PortProtocol::Any, Some(Version::V9)) => {
                turn.ledgers.message_in(Protocol::Netflow9);
                (Protocol::Netflow9, self.netflow9(shared, rib, from, payload, turn))
            }
            (PortProtocol::Netflow | PortProtocol::Any, Some(Version::V5)) => {
                turn.ledgers.message_in(Protocol::Netflow5);
                (Protocol::Netflow5, self.netflow5(shared, rib, from, payload, turn))
            }
            (PortProtocol::Ipfix, _) => {
                turn.ledgers.message_in(Protocol::Ipfix);
                let short = Malformed::new(Reason::Truncated, 0, payload.len());
                let end = if payload.len() < 2 { Err(short) } else { Ok(MessageEnd::UnknownVersion) };
                (Protocol::Ipfix, end)
            }
            (
                PortProtocol::Netflow
                | PortProtocol::Any
                | PortProtocol::Sflow
                | PortProtocol::Bmp
                | PortProtocol::UdpNotif,
                _,
            ) => return PacketEnd::UnknownProtocol,
        };
        let end = result.unwrap_or_else(|malformed| {
            write_error(turn, protocol, malformed, payload);
            MessageEnd::Malformed
        });
        turn.ledgers.message(protocol, end);
        for _ in 0..shared.plans.take_not_shared() {
            turn.ledgers.flow_event(FlowEvent::PlanNotShared);
        }
        PacketEnd::Delivered
    }

    /// Expires templates and waiting data. Returns the next monotonic ns at which there is something to do.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>) -> Option<u64> {
        if self.due_ns? <= turn.now.monotonic_ns {
            for (key, exporter) in self.exporters.iter_mut() {
                exporter.tick(key.protocol(), turn);
            }
            self.due_ns = self.exporters.iter().filter_map(|(_, one)| one.due_ns(turn.settings)).min();
        }
        self.due_ns
    }

    /// No further message will close a gap.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        for (key, exporter) in self.exporters.iter_mut() {
            exporter.settle(key.protocol(), turn);
        }
    }

    fn ipfix(
        &mut self,
        shared: &mut Shared,
        rib: &mut Rib,
        from: SocketAddr,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<MessageEnd, Malformed> {
        let message = ipfix::Message::parse(payload)?;
        let header = Header::ipfix(&message);
        let key = Key::of(turn.exporter, from, &header, turn.settings);
        let exporter = self.exporters.session(key, turn);
        let mut work = Work { shared, rib, exporter, header: &header, payload, turn };
        let sum = work.sets(message.sets(), ipfix::template::Templates::new);
        // RFC 7011 section 3.1: data records, those of options included, since the session began.
        exporter.seen(&header, sum.records, turn);
        if sum.has_templates || exporter.awaits() {
            self.due_ns = [self.due_ns, exporter.due_ns(turn.settings)].into_iter().flatten().min();
        }
        Ok(sum.end)
    }

    fn netflow9(
        &mut self,
        shared: &mut Shared,
        rib: &mut Rib,
        from: SocketAddr,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<MessageEnd, Malformed> {
        let packet = v9::Packet::parse(payload)?;
        let header = Header::netflow9(&packet);
        let key = Key::of(turn.exporter, from, &header, turn.settings);
        let exporter = self.exporters.session(key, turn);
        let mut work = Work { shared, rib, exporter, header: &header, payload, turn };
        let sum = work.sets(packet.sets(), v9::templates);
        // RFC 3954 section 5.1: packets.
        exporter.seen(&header, Some(1), turn);
        if sum.has_templates || exporter.awaits() {
            self.due_ns = [self.due_ns, exporter.due_ns(turn.settings)].into_iter().flatten().min();
        }
        Ok(sum.end)
    }

    fn netflow5(
        &mut self,
        shared: &mut Shared,
        rib: &mut Rib,
        from: SocketAddr,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<MessageEnd, Malformed> {
        let packet = v5::Packet::parse(payload)?;
        let header = Header::netflow5(&packet);
        let key = Key::of(turn.exporter, from, &header, turn.settings);
        let exporter = self.exporters.session(key, turn);
        turn.ledgers.set_in(Protocol::Netflow5);
        let Some(plan) = &shared.netflow5 else {
            turn.ledgers.set(Protocol::Netflow5, SetEnd::NoTemplate);
            return Ok(MessageEnd::Partial);
        };
        let body = packet.body();
        let set = DataSet { header: &header, template_id: None, octets: body.rest(), offset: body.offset() };
        let knowledge = &mut exporter.knowledge;
        let taken = rows::take(&set, plan, knowledge, &shared.plans, &mut shared.scratch, rib, turn);
        exporter.records += u64::from(taken.records);
        let fault = packet.complete().err().or(taken.fault);
        if let Some(fault) = fault {
            write_error(turn, Protocol::Netflow5, fault, payload);
        }
        turn.ledgers
            .set(Protocol::Netflow5, if fault.is_some() { SetEnd::Malformed } else { SetEnd::Decoded });
        // Flows, also those of the packet that did not arrive whole.
        exporter.seen(&header, Some(u32::from(packet.count)), turn);
        if exporter.awaits() {
            self.due_ns = [self.due_ns, exporter.due_ns(turn.settings)].into_iter().flatten().min();
        }
        Ok(if fault.is_some() { MessageEnd::Partial } else { MessageEnd::Decoded })
    }
}
