//! Questions to the control process -> JSON: `show`, and what metrics need.

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use collector::ledger::{
    FlowEvent, JoinEnd, Kind, MessageEnd, PacketEnd, Protocol, RecordEnd, RibEnd, RouteAction, SetEnd,
};
use dataplane_common::map::SlotState;
use output::sink::SinkEnd;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::Control;
use super::dataplane::State;
use super::dump::Frames;
use super::explain::Packet;
use crate::ebpf::attach;
use crate::ebpf::lost::LostFrames;
use crate::nic::Nic;
use crate::process::message::{ExporterCounts, OTHER, Topic};
use crate::totals::Totals;

/// What `show` can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Workers: core, packets, rows, load.
    Workers,
    /// Exporters: worker, flows, routes, joined.
    Exporters,
    /// Slots: buckets, state, owner.
    Steering,
    /// Devices: index, XDP mode, RX queues, rings.
    Devices,
    /// How frames are forwarded: arrivals, ways out, stations, ports, as the maps hold them and as the kernel is.
    Fib,
    /// Neighbours of devices that packets leave through, and who uses them.
    Neighbours,
    /// Flow sessions: versions, templates, sequence numbers.
    Sessions,
    /// Templates of flow sessions.
    Templates,
    /// Peers of BMP sessions.
    Peers,
    /// Routes that count.
    Rib,
    /// Local addresses whose telemetry is taken, as the map holds them.
    Addresses,
    /// Every counter and every difference of the chain.
    Counters,
    /// Frames with their verdicts, for `millrace dump`.
    #[value(skip)]
    Dump,
    /// Whether the configuration was read again, for `millrace reload`.
    #[value(skip)]
    Reload,
    /// That what was attached stays, for `millrace confirm`.
    #[value(skip)]
    Confirm,
}

impl What {
    /// What only workers know, and answer themselves.
    #[must_use]
    pub const fn topic(self, router: Option<IpAddr>, prefix: Option<(IpAddr, u8)>) -> Option<Topic> {
        match self {
            Self::Sessions => Some(Topic::Sessions),
            Self::Templates => Some(Topic::Templates),
            Self::Peers => Some(Topic::Peers),
            Self::Rib => Some(Topic::Rib { router, prefix }),
            Self::Workers
            | Self::Exporters
            | Self::Steering
            | Self::Devices
            | Self::Fib
            | Self::Neighbours
            | Self::Addresses
            | Self::Counters
            | Self::Dump
            | Self::Reload
            | Self::Confirm => None,
        }
    }
}

/// A question, with the way back.
#[derive(Debug)]
pub enum Question {
    /// For `show`.
    Show(What, oneshot::Sender<Value>),
    /// For `show fib --to`.
    Explain(Packet, oneshot::Sender<Value>),
    /// For `show`, to be answered by the workers on the client's own stream.
    Pass(Topic, OwnedFd),
    /// For `dump`, on the client's own stream.
    Dump(Frames, tokio::net::UnixStream),
    /// For `/metrics`.
    Metrics(oneshot::Sender<String>),
    /// For `/metrics/exporters`.
    Exporters(oneshot::Sender<Vec<ExporterCounts>>),
    /// For `/readyz`: traffic is on.
    Ready(oneshot::Sender<bool>),
}

impl Control {
    pub(super) fn answer(&mut self, question: Question) {
        // Who asked may have gone away.
        match question {
            Question::Show(What::Reload, back) => self.reload_for(back),
            Question::Show(What::Confirm, back) => drop(back.send(self.confirmed())),
            Question::Show(what, back) => drop(back.send(self.show(what))),
            Question::Explain(packet, back) => drop(back.send(shown(self.explain(&packet)))),
            Question::Pass(topic, client) => self.pass(topic, &client),
            Question::Dump(frames, client) => self.start_dump(&frames, client),
            Question::Metrics(back) => drop(back.send(crate::metrics::text(self))),
            Question::Exporters(back) => drop(back.send(self.exporters.list())),
            Question::Ready(back) => drop(back.send(self.dataplane.state == State::Running)),
        }
    }

    fn show(&self, what: What) -> Value {
        let items = match what {
            What::Workers => self.workers(),
            What::Exporters => self.show_exporters(),
            What::Steering => self.steering(),
            What::Devices => self.devices(),
            What::Fib => self.show_fib(),
            What::Neighbours => self.show_neighbours(),
            // Answered by the workers.
            What::Sessions | What::Templates | What::Peers | What::Rib => Vec::new(),
            // Answered on the client's own stream.
            What::Dump => Vec::new(),
            // Commands, not questions.
            What::Reload | What::Confirm => Vec::new(),
            What::Addresses => self.addresses(),
            What::Counters => {
                let mut counters = counters(&self.totals());
                counters["lostAfterVerdict"] = self.losses().into();
                vec![counters]
            }
        };
        shown(items)
    }

    fn workers(&self) -> Vec<Value> {
        let totals = self.totals();
        let each = totals.workers.iter().zip(&self.config.workers).enumerate();
        each.map(|(n, (block, core))| {
            let ledgers = &block.ledgers;
            let rows =
                |kind: Kind| ledgers.records.get(kind.index()).map_or(0, |ends| ends[RecordEnd::Row.index()]);
            let rings = totals.rings.iter().filter(|ring| usize::from(ring.worker) == n);
            let sockets = totals.sockets.iter().filter(|socket| usize::from(socket.worker) == n);
            let joins = &ledgers.joins[0];
            json!({
                "worker": n,
                "core": core,
                "slot": n,
                "state": if self.dataplane.state == State::Running { "running" } else { "stopped" },
                "fromRings": rings.map(|ring| ring.received).sum::<u64>(),
                "fromSockets": sockets.map(|socket| socket.received).sum::<u64>(),
                "flows": rows(Kind::Flow),
                "routes": rows(Kind::Route),
                "joined": joins[JoinEnd::Found.index()],
                "notJoined": joins.iter().sum::<u64>() - joins[JoinEnd::Found.index()],
                "streamsOpen": block.gauges.streams_open,
                "busyNs": block.gauges.busy_ns,
                "panics": block.gauges.panics,
                "backlog": block.gauges.backlog,
            })
        })
        .collect()
    }

    fn show_exporters(&self) -> Vec<Value> {
        let one = |counts: ExporterCounts| {
            json!({
                "exporter": text_of(counts.address),
                "worker": counts.worker,
                "flows": counts.flows,
                "routes": counts.announced.saturating_sub(counts.withdrawn),
                "routesAnnounced": counts.announced,
                "routesWithdrawn": counts.withdrawn,
                "joined": counts.joined,
                "notJoined": counts.not_joined,
                "messages": counts.messages,
                "state": "active",
                "lastSeen": unix_ns_text(counts.last_unix_ns),
            })
        };
        let mut items: Vec<Value> = self.exporters.list().into_iter().map(one).collect();
        // Routers that XDP has seen and that no row names: refused, malformed, or waiting for a template.
        let known: Vec<[u8; 16]> = self.exporters.list().iter().map(|counts| counts.address).collect();
        let programs = self.plane.programs.as_ref();
        let seen = programs.and_then(|programs| programs.tables.routers_seen.list().ok()).unwrap_or_default();
        let silent = seen.into_iter().filter(|(router, _)| !known.contains(&collector::sixteen(*router)));
        items.extend(silent.take(self.config.metrics.max_exporters as usize).map(|(router, _)| {
            json!({"exporter": router.to_string(), "worker": self.slot(router), "state": "no_rows"})
        }));
        // Routers that the configuration names and that nobody has heard of.
        let named: Vec<Value> = self
            .config
            .expected()
            .into_iter()
            .filter(|router| items.iter().all(|item| item["exporter"] != router.to_string()))
            .map(|router| json!({"exporter": router.to_string(), "worker": self.slot(router), "state": "silent"}))
            .collect();
        items.extend(named);
        items
    }

    fn slot(&self, router: IpAddr) -> Option<u32> {
        let table = self.plane.programs.as_ref()?.tables.steering.current();
        crate::steering::slot_of(table, collector::sixteen(router), self.key)
    }

    fn steering(&self) -> Vec<Value> {
        let Some(programs) = &self.plane.programs else {
            return vec![
                json!({"slot": 0, "buckets": dataplane_common::BUCKETS, "state": "millrace", "worker": 0}),
            ];
        };
        let table = programs.tables.steering.current();
        (0..self.config.slots())
            .map(|slot| {
                let state = table.states.get(slot as usize).copied().and_then(SlotState::from_octet);
                let state = match state {
                    Some(SlotState::Empty) => "empty",
                    Some(SlotState::Millrace) => "millrace",
                    Some(SlotState::Foreign) => "foreign",
                    Some(SlotState::Draining) => "draining",
                    Some(SlotState::Moving) => "moving",
                    None => "damaged",
                };
                let buckets = table.slots.iter().filter(|owner| u32::from(**owner) == slot).count();
                let worker = ((slot as usize) < self.workers).then_some(slot);
                json!({"slot": slot, "buckets": buckets, "state": state, "worker": worker})
            })
            .collect()
    }

    fn addresses(&self) -> Vec<Value> {
        let programs = self.plane.programs.as_ref();
        let held =
            programs.and_then(|programs| programs.tables.local_addresses.list().ok()).unwrap_or_default();
        held.into_iter().map(|address| json!({"address": address.to_string()})).collect()
    }

    /// What the kernel lost after XDP had ended it well, by device and reason.
    fn losses(&self) -> Vec<Value> {
        let names = super::fib::Names(self.follower.state());
        let one = |lost: &LostFrames| {
            json!({
                "at": lost.point(),
                "device": names.of(lost.at.device),
                "to": (lost.at.to != 0).then(|| names.of(lost.at.to)),
                "error": lost.error(),
                "frames": lost.frames,
            })
        };
        self.plane.losses().iter().map(one).collect()
    }

    fn devices(&self) -> Vec<Value> {
        let losses = self.plane.losses();
        let programs = self.plane.programs.as_ref();
        let ports = programs.and_then(|programs| programs.tables.forwarding.port_ends.list().ok());
        let ports = ports.unwrap_or_default();
        let each = self.config.devices.iter();
        each.map(|name| {
            let kind = self.follower.state().kind(name);
            let Some(nic) = Nic::read_as(name, kind) else {
                return json!({"device": name, "state": "missing"});
            };
            let attached =
                attach::attachment(nic.index).map_or("unknown", |(attachment, _)| attachment.name());
            let rows: Vec<u32> =
                self.plane.rings.iter().filter(|ring| ring.device == *name).map(|ring| ring.row).collect();
            let rings = self.dataplane.rings.iter().filter(|((row, _), _)| rows.contains(row));
            let zero_copy = rings.clone().filter(|(_, zero_copy)| **zero_copy).count();
            let forwards = self.plane.held.forward.members.contains_key(&nic.index);
            let counted = ports.get(&nic.index).cloned().unwrap_or_default();
            let of_kernel = crate::kernel::ask::received(nic.index).ok();
            json!({
                "device": name,
                "index": nic.index,
                "driver": nic.driver,
                "attached": attached,
                "queues": nic.rx_queues,
                "mtu": nic.mtu,
                "up": nic.up,
                "rings": rings.count(),
                "zeroCopy": zero_copy,
                "nicDropped": nic.dropped,
                "forwards": forwards,
                "transmits": self.follower.state().transmits.get(&nic.index),
                "framesByKernel": of_kernel,
                "frames": counted.ends.iter().sum::<u64>(),
                "sent": counted.sent,
                "lostAfterVerdict": losses.iter().filter(|lost| lost.at.device == nic.index)
                    .map(|lost| lost.frames).sum::<u64>(),
            })
        })
        .collect()
    }
}

fn shown(items: Vec<Value>) -> Value {
    json!({"schema": 1, "time": unix_ns_text(now_unix_ns()), "items": items})
}

/// All counters as one object, also the last line that `run` prints.
#[must_use]
pub fn counters(totals: &Totals) -> Value {
    let ledgers = totals.ledgers();
    let mut packets = ends(PacketEnd::ALL.iter().map(|end| end.name()), &ledgers.packets);
    if totals.packets_lost() > 0 {
        packets.insert("lost_in_crash".into(), totals.packets_lost().into());
    }
    let by_protocol = |of: &dyn Fn(usize) -> Map<String, Value>| -> Map<String, Value> {
        let named = Protocol::ALL.iter().map(|protocol| (protocol.name().to_owned(), of(protocol.index())));
        named.filter(|(_, ends)| !ends.is_empty()).map(|(name, ends)| (name, ends.into())).collect()
    };
    let messages = by_protocol(&|n| ends(MessageEnd::ALL.iter().map(|end| end.name()), &ledgers.messages[n]));
    let sets = by_protocol(&|n| ends(SetEnd::ALL.iter().map(|end| end.name()), &ledgers.sets[n]));
    let records: Map<String, Value> = Kind::ALL
        .iter()
        .map(|kind| {
            let row = &ledgers.records[kind.index()];
            (kind.name().to_owned(), ends(RecordEnd::ALL.iter().map(|end| end.name()), row))
        })
        .filter(|(_, ends)| !ends.is_empty())
        .map(|(name, ends)| (name, ends.into()))
        .collect();
    let sinks: Map<String, Value> = totals
        .sinks
        .iter()
        .map(|sink| {
            let mut ends = ends(SinkEnd::ALL.iter().map(|end| end.name()), &sink.ends);
            if sink.lost != 0 {
                ends.insert("lost_in_crash".into(), sink.lost.into());
            }
            (sink.name.clone(), ends.into())
        })
        .collect();
    let received: Vec<Value> = totals
        .received
        .iter()
        .flat_map(|received| &received.devices)
        .map(|d| json!({"device": d.device, "least": d.least, "most": d.most, "exact": d.held}))
        .collect();
    let gauges = totals.gauges();
    let joins = |side: usize| ends(JoinEnd::ALL.iter().map(|end| end.name()), &ledgers.joins[side]);
    let differences = totals
        .differences()
        .into_iter()
        .map(|d| json!({"link": d.link, "place": d.place, "left": d.left, "right": d.right}));
    json!({
        "packets": packets,
        "received": received,
        "xdp": ends(PacketEnd::ALL.iter().map(|end| end.name()), &totals.frames),
        "sockets": ends(PacketEnd::ALL.iter().map(|end| end.name()), &totals.selections),
        "messages": messages,
        "sets": sets,
        "records": records,
        "rows": totals.rows(),
        "sinks": sinks,
        "join": {"destination": joins(0), "source": joins(1)},
        "flowEvents": ends(FlowEvent::ALL.iter().map(|event| event.name()), &ledgers.flow_events),
        "rib": ends(RibEnd::ALL.iter().map(|end| end.name()), &ledgers.rib),
        "routes": ends(RouteAction::ALL.iter().map(|action| action.name()), &ledgers.routes),
        "streams": {
            "opened": gauges.streams_opened,
            "closed": gauges.streams_closed,
            "refused": gauges.streams_refused,
            "open": gauges.streams_open,
        },
        "path": {
            "xsk": totals.rings.iter().map(|ring| ring.received).sum::<u64>(),
            "kernel": totals.sockets.iter().map(|socket| socket.received).sum::<u64>(),
        },
        "differences": differences.collect::<Vec<_>>(),
        "unexplained": totals.unexplained(),
    })
}

/// Counters that are not 0, by name.
fn ends<'a>(names: impl Iterator<Item = &'a str>, counts: &[u64]) -> Map<String, Value> {
    let named = names.zip(counts).filter(|(_, count)| **count != 0);
    named.map(|(name, count)| (name.to_owned(), (*count).into())).collect()
}

/// An exporter's address as text, IPv4-mapped as IPv4; what stands for all others as `other`.
#[must_use]
pub fn text_of(address: [u8; 16]) -> String {
    if address == OTHER {
        return "other".to_owned();
    }
    IpAddr::V6(Ipv6Addr::from(address)).to_canonical().to_string()
}

pub(crate) fn now_unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC, milliseconds.
pub(crate) fn unix_ns_text(unix_ns: u64) -> String {
    let milliseconds = i64::try_from(unix_ns / 1_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}
