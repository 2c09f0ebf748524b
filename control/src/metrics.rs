//! `/metrics` in Prometheus' text format, `/metrics/exporters`, `/healthz`, `/readyz`.
//!
//! Labels are bounded: ends, protocols, kinds, slots, devices, sinks. Exporters have a page of their own, capped.

use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use collector::ledger::{
    FlowEvent, JoinEnd, Kind, MessageEnd, PacketEnd, Protocol, RecordEnd, RibEnd, RouteAction, SetEnd,
};
use output::sink::SinkEnd;
use tokio::sync::{mpsc, oneshot};

use crate::ebpf::RuleBlocks;
use crate::nic::Nic;
use crate::process::control::Control;
use crate::process::control::answers::{Question, text_of};
use crate::process::message::ExporterCounts;
use crate::totals::Totals;

type Asked = mpsc::Sender<Question>;

/// Serves until the process ends.
///
/// # Errors
/// One line: the address cannot be listened on.
pub async fn serve(address: SocketAddr, asked: Asked) -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| format!("key `metrics.listen`, value `{address}`: {error}"))?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/metrics/exporters", get(exporters))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(asked);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("metrics: {error}");
        }
    });
    Ok(())
}

async fn ask<T>(asked: &Asked, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
    let (back, answer) = oneshot::channel();
    asked.send(question(back)).await.ok()?;
    answer.await.ok()
}

fn page(text: Option<String>) -> impl IntoResponse {
    let status = if text.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.unwrap_or_default())
}

async fn metrics(State(asked): State<Asked>) -> impl IntoResponse {
    page(ask(&asked, Question::Metrics).await)
}

async fn exporters(State(asked): State<Asked>) -> impl IntoResponse {
    page(ask(&asked, Question::Exporters).await.map(|counts| exporters_text(&counts)))
}

async fn ready(State(asked): State<Asked>) -> impl IntoResponse {
    match ask(&asked, Question::Ready).await {
        Some(true) => (StatusCode::OK, "ready\n"),
        Some(false) => (StatusCode::SERVICE_UNAVAILABLE, "no dataplane process is at work\n"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

/// A page under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes everything.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page of everything but exporters.
pub(crate) fn text(control: &Control) -> String {
    let totals = control.totals();
    let mut page = Page::default();
    packets(&mut page, &totals);
    units(&mut page, &totals);
    rows(&mut page, &totals);
    workers(&mut page, &totals);
    page.family(
        "millrace_nic_dropped_packets_total",
        "counter",
        "Packets that devices dropped, by their own word.",
    );
    for device in &control.config.devices {
        if let Some(nic) = Nic::read(device) {
            page.sample("millrace_nic_dropped_packets_total", &[("device", device)], nic.dropped);
        }
    }
    page.family(
        "millrace_unexplained_units",
        "gauge",
        "Sum of all differences between the parties that count.",
    );
    page.sample("millrace_unexplained_units", &[], totals.unexplained());
    page.family("millrace_dataplane_starts_total", "counter", "Dataplane processes started.");
    page.sample("millrace_dataplane_starts_total", &[], control.dataplane.generation);
    page.family("millrace_netlink_dumps_total", "counter", "Times that links and addresses were read whole.");
    page.sample("millrace_netlink_dumps_total", &[], control.follower.dumps());
    forwarding(&mut page, control);
    rules(&mut page, control);
    page.family("millrace_uptime_seconds", "gauge", "Seconds since the control process began.");
    page.sample("millrace_uptime_seconds", &[], control.started.elapsed().as_secs());
    page.family(
        "millrace_config_last_reload_successful",
        "gauge",
        "1: the configuration in use is the file's last.",
    );
    page.sample("millrace_config_last_reload_successful", &[], u8::from(!control.reloads.refused));
    page.family("millrace_build_info", "gauge", "1, with the version.");
    page.sample("millrace_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.0
}

fn packets(page: &mut Page, totals: &Totals) {
    let name = "millrace_packets_total";
    page.family(name, "counter", "Packets by how they ended, and who saw it: xdp, reuseport, worker.");
    let ledgers = totals.ledgers();
    let parties = [("xdp", &totals.frames), ("reuseport", &totals.selections), ("worker", &ledgers.packets)];
    for (by, counts) in parties {
        for (end, count) in PacketEnd::ALL.iter().zip(counts) {
            // What is handed on ends elsewhere: it has metrics of its own.
            if !matches!(end, PacketEnd::Redirected | PacketEnd::Selected) {
                page.sample(name, &[("end", end.name()), ("by", by)], count);
            }
        }
    }
    page.sample(name, &[("end", "lost_in_crash"), ("by", "control")], totals.packets_lost());
    let name = "millrace_device_received_packets_total";
    page.family(name, "counter", "Packets that the kernel counted on a device since the program runs there.");
    for device in totals.received.iter().flat_map(|received| &received.devices) {
        page.sample(name, &[("device", &device.device)], device.most);
    }
    let name = "millrace_steered_packets_total";
    page.family(name, "counter", "Frames that XDP redirected to a ring, by device, queue and slot.");
    for ring in &totals.rings {
        let (queue, slot) = (ring.queue.to_string(), ring.worker.to_string());
        page.sample(name, &[("device", &ring.device), ("queue", &queue), ("slot", &slot)], ring.redirected);
    }
    let name = "millrace_selected_packets_total";
    page.family(name, "counter", "Datagrams that SK_REUSEPORT gave to a socket, by listener and slot.");
    for socket in &totals.sockets {
        let (listen, slot) = (socket.listen.to_string(), socket.worker.to_string());
        page.sample(name, &[("listener", &listen), ("slot", &slot)], socket.selected.unwrap_or(0));
    }
    let name = "millrace_received_packets_total";
    page.family(name, "counter", "Packets that workers took, by the way they came.");
    page.sample(name, &[("path", "xsk")], totals.rings.iter().map(|ring| ring.received).sum::<u64>());
    page.sample(
        name,
        &[("path", "kernel")],
        totals.sockets.iter().map(|socket| socket.received).sum::<u64>(),
    );
}

/// Rules with a series of their own: labels are bounded.
const MAX_RULES: usize = 1000;

fn rules(page: &mut Page, control: &Control) {
    let Some(rules) = control.plane.programs.as_ref().map(|programs| &programs.tables.rules) else { return };
    if !control.config.acl.is_empty() {
        let name = "millrace_rule_packets_total";
        page.family(name, "counter", "Packets that a rule decided, by its place in the configuration.");
        for (rule, counter) in (0..control.config.acl.len().min(MAX_RULES)).zip(0_u32..) {
            page.sample(name, &[("rule", &rule.to_string())], rules.hits(counter).unwrap_or(0));
        }
    }
    let shared = (1_u32..).zip(&control.config.policer).filter(|(_, policer)| !policer.per_source);
    if control.config.rule_blocks() != RuleBlocks::default() {
        let name = "millrace_policer_dropped_packets_total";
        page.family(name, "counter", "Packets above the rate of a policer that all sources share.");
        for (number, policer) in shared {
            page.sample(name, &[("policer", &policer.name)], rules.dropped(number).unwrap_or(0));
        }
    }
}

fn forwarding(page: &mut Page, control: &Control) {
    let audit = &control.audit;
    page.family("millrace_audits_total", "counter", "Comparisons of the maps with the kernel.");
    page.sample("millrace_audits_total", &[], audit.runs);
    let name = "millrace_audit_divergences_total";
    page.family(name, "counter", "What a comparison found and mended: missed_events, map_entries.");
    page.sample(name, &[("what", "missed_events")], audit.missed_events);
    page.sample(name, &[("what", "map_entries")], audit.entries);
    if !control.config.forwards() {
        return;
    }
    let name = "millrace_port_frames_total";
    page.family(name, "counter", "Frames by the port on which they arrived, and how they ended there.");
    let programs = control.plane.programs.as_ref();
    let ports = programs.and_then(|programs| programs.tables.forwarding.port_ends.list().ok());
    let ports: Vec<_> = ports
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(index, counted)| {
            Some((control.follower.state().links.get(&index)?.name.clone(), counted))
        })
        .collect();
    for (port, counted) in &ports {
        for (end, count) in PacketEnd::ALL.iter().zip(&counted.ends).filter(|(_, count)| **count != 0) {
            page.sample(name, &[("port", port), ("end", end.name())], count);
        }
    }
    let name = "millrace_port_sent_frames_total";
    page.family(name, "counter", "Frames redirected to a port.");
    for (port, counted) in &ports {
        page.sample(name, &[("port", port)], counted.sent);
    }
    let name = "millrace_frames_lost_after_verdict_total";
    page.family(
        name,
        "counter",
        "Frames that the kernel lost after XDP had ended them well, by its tracepoints.",
    );
    let names = crate::process::control::fib::Names(control.follower.state());
    for lost in control.plane.losses() {
        let (device, to, error) = (names.of(lost.at.device), names.of(lost.at.to), lost.error());
        let labels = [("at", lost.point()), ("device", &*device), ("to", &*to), ("error", &*error)];
        page.sample(name, &labels, lost.frames);
    }
    let held = &control.plane.held.forward;
    let name = "millrace_forward_entries";
    page.family(name, "gauge", "Entries of the tables of forwarding.");
    let tables = [
        ("ports", held.members.len()),
        ("arrivals", held.ingress.len()),
        ("departures", held.egress.len()),
        ("stations", held.stations.len()),
        ("left_out", held.left_out),
    ];
    for (table, entries) in tables {
        page.sample(name, &[("table", table)], entries);
    }
    let name = "millrace_forward_entries_refused_total";
    page.family(name, "counter", "Entries of forwarding that a map did not take.");
    page.sample(name, &[], control.plane.refused);
    page.family("millrace_neighbours_kept", "gauge", "Neighbours of next hops in use that are kept fresh.");
    page.sample("millrace_neighbours_kept", &[], audit.kept.len());
    let name = "millrace_neighbours_refused_total";
    page.family(name, "counter", "Changes of neighbours that the kernel refused.");
    page.sample(name, &[], audit.refused);
}

fn units(page: &mut Page, totals: &Totals) {
    let ledgers = totals.ledgers();
    let by_protocol = |page: &mut Page, name: &str, counts: &[u64]| {
        for (protocol, count) in Protocol::ALL.iter().zip(counts) {
            page.sample(name, &[("protocol", protocol.name())], count);
        }
    };
    page.family("millrace_messages_in_total", "counter", "Messages when their header was read.");
    by_protocol(page, "millrace_messages_in_total", &ledgers.messages_in);
    page.family("millrace_messages_total", "counter", "Messages by how they ended.");
    for (protocol, ends) in Protocol::ALL.iter().zip(&ledgers.messages) {
        for (end, count) in MessageEnd::ALL.iter().zip(ends) {
            let labels = [("protocol", protocol.name()), ("end", end.name())];
            page.sample("millrace_messages_total", &labels, count);
        }
    }
    page.family("millrace_sets_in_total", "counter", "Sets when their header was read.");
    by_protocol(page, "millrace_sets_in_total", &ledgers.sets_in);
    page.family("millrace_sets_total", "counter", "Sets by how they ended.");
    for (protocol, ends) in Protocol::ALL.iter().zip(&ledgers.sets) {
        for (end, count) in SetEnd::ALL.iter().zip(ends) {
            page.sample("millrace_sets_total", &[("protocol", protocol.name()), ("end", end.name())], count);
        }
    }
    page.family("millrace_sequence_lost_total", "counter", "Units that exporters' sequence numbers miss.");
    by_protocol(page, "millrace_sequence_lost_total", &ledgers.sequence_lost);
    page.family("millrace_flow_events_total", "counter", "What befell the tables of flow sessions.");
    for (event, count) in FlowEvent::ALL.iter().zip(&ledgers.flow_events) {
        page.sample("millrace_flow_events_total", &[("event", event.name())], count);
    }
}

fn rows(page: &mut Page, totals: &Totals) {
    let ledgers = totals.ledgers();
    page.family(
        "millrace_records_in_total",
        "counter",
        "Records when they were cut off their set or message.",
    );
    for (kind, count) in Kind::ALL.iter().zip(&ledgers.records_in) {
        page.sample("millrace_records_in_total", &[("kind", kind.name())], count);
    }
    page.family("millrace_records_total", "counter", "Records by how they ended.");
    for (kind, ends) in Kind::ALL.iter().zip(&ledgers.records) {
        for (end, count) in RecordEnd::ALL.iter().zip(ends) {
            page.sample("millrace_records_total", &[("kind", kind.name()), ("end", end.name())], count);
        }
    }
    page.family("millrace_sink_records_total", "counter", "Rows at a sink by how they ended.");
    for sink in &totals.sinks {
        for (end, count) in SinkEnd::ALL.iter().zip(&sink.ends) {
            page.sample("millrace_sink_records_total", &[("sink", &sink.name), ("end", end.name())], count);
        }
        let lost = [("sink", sink.name.as_str()), ("end", "lost_in_crash")];
        page.sample("millrace_sink_records_total", &lost, sink.lost.max(0));
    }
    page.family("millrace_join_total", "counter", "Sides of flows by what the join found.");
    for (side, ends) in ["destination", "source"].iter().zip(&ledgers.joins) {
        for (end, count) in JoinEnd::ALL.iter().zip(ends) {
            page.sample("millrace_join_total", &[("side", side), ("result", end.name())], count);
        }
    }
    page.family("millrace_bmp_routes_total", "counter", "Routes by what they did to the RIB.");
    for (action, count) in RouteAction::ALL.iter().zip(&ledgers.routes) {
        page.sample("millrace_bmp_routes_total", &[("action", action.name())], count);
    }
    page.family("millrace_rib_routes_total", "counter", "Routes by what became of them in the RIB.");
    for (end, count) in RibEnd::ALL.iter().zip(&ledgers.rib) {
        page.sample("millrace_rib_routes_total", &[("end", end.name())], count);
    }
}

/// Name, type, help, value.
type GaugeFamily = (&'static str, &'static str, &'static str, fn(&dataplane::counters::Gauges) -> f64);
/// Name, help, value.
type ExporterFamily = (&'static str, &'static str, fn(&ExporterCounts) -> u64);

fn workers(page: &mut Page, totals: &Totals) {
    let families: [GaugeFamily; 5] = [
        ("millrace_worker_busy_seconds_total", "counter", "Time in turns that brought work.", |g| {
            g.busy_ns as f64 / 1e9
        }),
        ("millrace_worker_panics_total", "counter", "Panics caught at a turn's edge.", |g| g.panics as f64),
        ("millrace_bmp_streams_open", "gauge", "BMP streams that are open.", |g| g.streams_open as f64),
        (
            "millrace_bmp_streams_refused_total",
            "counter",
            "BMP streams closed at once for lack of room.",
            |g| g.streams_refused as f64,
        ),
        ("millrace_outlet_backlog_batches", "gauge", "Full batches that no sink has taken.", |g| {
            g.backlog as f64
        }),
    ];
    for (name, kind, help, of) in families {
        page.family(name, kind, help);
        for (n, block) in totals.workers.iter().enumerate() {
            page.sample(name, &[("worker", &n.to_string())], of(&block.gauges));
        }
    }
}

fn exporters_text(exporters: &[ExporterCounts]) -> String {
    let families: [ExporterFamily; 5] = [
        ("millrace_exporter_flows_total", "Flow rows.", |counts| counts.flows),
        ("millrace_exporter_joined_flows_total", "Flow rows whose destination was found.", |counts| {
            counts.joined
        }),
        (
            "millrace_exporter_not_joined_flows_total",
            "Flow rows whose destination was not found.",
            |counts| counts.not_joined,
        ),
        ("millrace_exporter_routes_announced_total", "Route rows that announce.", |counts| counts.announced),
        ("millrace_exporter_routes_withdrawn_total", "Route rows that withdraw.", |counts| counts.withdrawn),
    ];
    let mut page = Page::default();
    for (name, help, of) in families {
        page.family(name, "counter", help);
        for counts in exporters {
            page.sample(name, &[("exporter", &text_of(counts.address))], of(counts));
        }
    }
    page.0
}
