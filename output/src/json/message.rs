//! A row of the messages table -> its line: BMP messages other than routes, the life of sessions, errors, answers.

use collector::ledger::Kind;
use collector::message::Context;
use wire::bgp::{MessageType, Notification};
use wire::bmp::mirroring::{Mirrored, mirroring_information_name};
use wire::bmp::peer_down::{Cause, peer_down_reason_text};
use wire::bmp::{Framed, Message, StatisticValue, Tlvs};

use super::flow::Row;
use super::text::Json;
use super::{Common, attribute, error, peer};

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
        Context::Bmp { session, sequence, four_octet_as: _ } => {
            json.key("session").unsigned(session);
            json.key("seq").unsigned(sequence);
            if let Framed::Whole(frame) = wire::bmp::frame(octets, usize::MAX) {
                json.key("bmpVersion").unsigned(frame.version.into());
                if let Ok(message) = frame.message() {
                    if let Some(header) = message.peer() {
                        peer::peer(json, header, peer::timestamp_ns(header));
                    }
                    body(json, &message);
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
        | Context::Notification { .. } => {}
    }
    json.close();
    json.end_line();
}

fn body(json: &mut Json<'_>, message: &Message<'_>) {
    match message {
        Message::Initiation(initiation) => {
            if let Some(name) = initiation.sys_name() {
                json.key("sysName").text(name);
            }
            if let Some(description) = initiation.sys_descr() {
                json.key("sysDescr").text(description);
            }
            texts(json, "strings", initiation.strings());
            tlvs(json, initiation.tlvs(), wire::bmp::initiation::initiation_tlv_name);
        }
        Message::Termination(termination) => {
            if let Some(reason) = termination.reason() {
                json.key("reason").unsigned(reason.into());
                if let Some(text) = wire::bmp::initiation::termination_reason_text(reason) {
                    json.key("reasonText").string(text);
                }
            }
            texts(json, "strings", termination.strings());
            tlvs(json, termination.tlvs(), wire::bmp::initiation::termination_tlv_name);
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
            tlvs(json, up.tlvs(), wire::bmp::peer_up::peer_tlv_name);
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
            tlvs(json, down.tlvs(), wire::bmp::peer_up::peer_tlv_name);
        }
        Message::StatisticsReport(report) => {
            json.key("stats").open_list();
            for statistic in report.statistics().flatten() {
                json.open();
                json.key("type").unsigned(statistic.kind.into());
                if let Some(name) = statistic.name() {
                    json.key("name").string(name);
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
        }
        Message::RouteMirroring(mirroring) => {
            json.key("mirrored").open_list();
            for mirrored in mirroring.mirrored().flatten() {
                self::mirrored(json, &mirrored);
            }
            json.close_list();
        }
        Message::RouteMonitoring(_) | Message::Unknown { .. } => {}
    }
}

fn mirrored(json: &mut Json<'_>, mirrored: &Mirrored<'_>) {
    json.open();
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
                json.key("attributes").open();
                attribute::attributes(json, wire::bgp::Update::parse(message.body).attributes.rest());
                json.close();
            }
        }
        Mirrored::Other(tlv) => {
            json.key("type").unsigned(tlv.kind.into());
            json.key("octets").hex("", tlv.value);
        }
    }
    json.close();
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

fn tlvs(json: &mut Json<'_>, tlvs: Tlvs<'_>, name: impl Fn(u16) -> Option<&'static str>) {
    let mut tlvs = tlvs.flatten().peekable();
    if tlvs.peek().is_none() {
        return;
    }
    json.key("tlvs").open_list();
    for tlv in tlvs {
        json.open();
        json.key("type").unsigned(tlv.kind.into());
        if let Some(name) = name(tlv.kind) {
            json.key("name").string(name);
        }
        json.key("value").text(tlv.text());
        json.close();
    }
    json.close_list();
}
