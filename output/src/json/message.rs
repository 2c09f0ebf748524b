//! A row of the messages table -> its line: BMP messages other than routes, the life of sessions, errors, answers.

use collector::ledger::Kind;
use collector::message::Context;
use wire::bgp::{Action, AsWidth, MessageType, Notification, Session, Update};
use wire::bmp::initiation::{REASON, STRING};
use wire::bmp::mirroring::{Mirrored, mirroring_information_name};
use wire::bmp::peer_down::{Cause, peer_down_reason_text};
use wire::bmp::peer_up::peer_tlv_name;
use wire::bmp::statistics::STATS_TLV;
use wire::bmp::{Framed, Message, StatisticValue, Tlv};

use super::flow::Row;
use super::text::Json;
use super::{Common, attribute, error, peer, route, tlv};

/// Writes the line of a message.
pub(super) fn message(
    json: &mut Json<'_>,
    common: &Common,
    row: Row<'_>,
    kind: Kind,
    context: Context<'_>,
    octets: &[u8],
) {
    if let Context::Answer { json: answer } = context {
        json.raw(answer);
        json.end_line();
        return;
    }
    json.open();
    common.write(json, kind.name(), row);
    match context {
        Context::Bmp { session, sequence, four_octet_as } => {
            json.key("session").unsigned(session);
            json.key("seq").unsigned(sequence);
            if let Framed::Whole(frame) = wire::bmp::frame(octets, usize::MAX) {
                json.key("bmpVersion").unsigned(frame.version.into());
                if let Ok(message) = frame.message() {
                    if let Some(header) = message.peer() {
                        peer::peer(json, header, peer::timestamp_ns(header));
                    }
                    body(json, frame.version, four_octet_as, &message);
                }
            }
        }
        Context::Error { .. } => error::error(json, &context, octets),
        Context::Session { .. } | Context::Gap { .. } | Context::Dump { .. } => {
            error::session(json, &context)
        }
        Context::Options { .. }
        | Context::Answer { .. }
        | Context::Sflow { .. }
        | Context::Notification(_) => {}
    }
    json.close();
    json.end_line();
}

fn body(json: &mut Json<'_>, version: u8, four_octet_as: bool, message: &Message<'_>) {
    match message {
        Message::Initiation(initiation) => {
            if let Some(name) = initiation.sys_name() {
                json.key("sysName").text(name);
            }
            if let Some(description) = initiation.sys_descr() {
                json.key("sysDescr").text(description);
            }
            texts(json, "strings", initiation.strings());
            tlv::plain(
                json,
                version,
                initiation.tlvs().flatten(),
                wire::bmp::initiation::initiation_tlv_name,
            );
        }
        Message::Termination(termination) => {
            if let Some(reason) = termination.reason() {
                json.key("reason").unsigned(reason.into());
                if let Some(text) = wire::bmp::initiation::termination_reason_text(reason) {
                    json.key("reasonText").string(text);
                }
            }
            texts(json, "strings", termination.strings());
            // A reason of another length than two octets, and types that nobody named.
            let read = |tlv: &Tlv<'_>| tlv.kind == REASON && tlv.u16().is_some();
            let others = termination.tlvs().flatten().filter(|tlv| !read(tlv));
            tlv::plain(json, version, others, |kind| (kind == STRING).then_some("string"));
        }
        Message::PeerUp(up) => {
            json.key("localAddress").text(up.local_address);
            json.key("localPort").unsigned(up.local_port.into());
            json.key("remotePort").unsigned(up.remote_port.into());
            for (name, open) in [("sentOpen", &up.sent_open), ("receivedOpen", &up.received_open)] {
                if !open.is_absent() {
                    json.key(name);
                    peer::open(json, open);
                }
            }
            if let Some(name) = up.table_name() {
                json.key("tableName").text(name);
            }
            tlv::plain(json, version, up.tlvs().flatten(), peer_tlv_name);
        }
        Message::PeerDown(down) => {
            json.key("reason").unsigned(down.reason.into());
            if let Some(text) = peer_down_reason_text(down.reason) {
                json.key("reasonText").string(text);
            }
            if let Some(told) = down.notification() {
                notification(json, told);
            }
            if let Cause::LocalEvent(event) = down.cause {
                json.key("fsmEvent").unsigned(event.into());
            }
            tlv::plain(json, version, down.tlvs().flatten(), peer_tlv_name);
        }
        Message::StatisticsReport(report) => {
            json.key("stats").open_list();
            for statistic in report.statistics().flatten() {
                json.open();
                json.key("type").unsigned(statistic.kind.into());
                if let Some(name) = statistic.name() {
                    json.key("name").string(name);
                }
                if let Some(enterprise) = statistic.enterprise {
                    json.key("enterprise").unsigned(enterprise.into());
                }
                match statistic.value {
                    StatisticValue::Counter(value) => json.key("value").unsigned(value.into()),
                    StatisticValue::Gauge(value) => json.key("value").unsigned(value),
                    StatisticValue::FamilyGauge(family, value) => {
                        json.key("afi").unsigned(family.afi.into());
                        json.key("safi").unsigned(family.safi.into());
                        json.key("value").unsigned(value);
                    }
                    StatisticValue::Raw(octets) => json.key("octets").hex("", octets),
                }
                json.close();
            }
            json.close_list();
            let others = report.tlvs().flatten().filter(|tlv| tlv.kind != STATS_TLV);
            tlv::plain(json, version, others, |_| None);
        }
        Message::RouteMirroring(mirroring) => {
            let all = || mirroring.mirrored().flatten();
            // A message is about one BGP message and a note on it; whatever else it has stands apart.
            let note = all().position(|mirrored| matches!(mirrored, Mirrored::Information(_)));
            let message = all().position(|mirrored| matches!(mirrored, Mirrored::Message(_)));
            let is_main = |at: &usize| Some(*at) == note || Some(*at) == message;
            for (_, main) in all().enumerate().filter(|(at, _)| is_main(at)) {
                mirrored(json, four_octet_as, &main);
            }
            let mut others = all().enumerate().filter(|(at, _)| !is_main(at)).peekable();
            if others.peek().is_some() {
                json.key("others").objects(others, |json, (_, other)| mirrored(json, four_octet_as, &other));
            }
        }
        Message::RouteMonitoring(_) | Message::Unknown { .. } => {}
    }
}

fn mirrored(json: &mut Json<'_>, four_octet_as: bool, mirrored: &Mirrored<'_>) {
    match mirrored {
        Mirrored::Information(code) => match mirroring_information_name(*code) {
            Some(name) => json.key("information").string(name),
            None => json.key("information").text(code),
        },
        Mirrored::Message(tlv) => {
            json.key("message").hex("", tlv.value);
            if let Some(message) = mirrored.message()
                && message.kind == MessageType::Update
            {
                update(json, four_octet_as, &Update::parse(message.body));
            }
        }
        Mirrored::Other(tlv) => {
            json.key("type").unsigned(tlv.kind.into());
            json.key("octets").hex("", tlv.value);
        }
    }
}

/// What a mirrored UPDATE says, by rules that the Peer Up may have changed: its attributes, and each of its routes.
fn update(json: &mut Json<'_>, four_octet_as: bool, update: &Update<'_>) {
    let as_width = if four_octet_as { AsWidth::Four } else { AsWidth::Two };
    let mut rules = Session { as_width, ..Session::FOUR_OCTET };
    rules.as_width = rules.plausible_as_width(update).unwrap_or(as_width);
    json.key("attributes").open();
    attribute::of_update(json, update, &rules, false);
    json.close();
    json.key("routes").open_list();
    for routes in update.routes().flatten() {
        for entry in routes.entries(&rules).map_while(Result::ok) {
            json.open();
            json.key("action").string(routes.action.name());
            json.key("afi").unsigned(routes.family.afi.into());
            json.key("safi").unsigned(routes.family.safi.into());
            route::nlri(json, routes.family, entry.octets, routes.action == Action::Withdraw);
            json.close();
        }
    }
    json.close_list();
}

fn notification(json: &mut Json<'_>, notification: &Notification<'_>) {
    json.key("notification").open();
    json.key("code").unsigned(notification.code.into());
    json.key("subcode").unsigned(notification.subcode.into());
    match (notification.shutdown_text(), notification.text()) {
        (Some(text), _) => json.key("text").text(text),
        (None, Some(text)) => json.key("text").string(text),
        (None, None) => {}
    }
    json.close();
}

fn texts(json: &mut Json<'_>, key: &str, texts: impl Iterator<Item = impl std::fmt::Display>) {
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return;
    }
    json.key(key).open_list();
    for text in texts {
        json.text(text);
    }
    json.close_list();
}
