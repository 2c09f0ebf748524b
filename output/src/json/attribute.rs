//! Path attributes in canonical form -> JSON, with the RFC 7606 verdict on each damaged one.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "attributes whose inside records do not spell out are hex"
)]

mod nested;
mod seldom;

use wire::bgp::attribute::code;
use wire::bgp::{NextHop, SegmentKind, Session, Update, Value, Verdict};
use wire::cursor::Cursor;

use super::text::Json;

/// Damaged attributes named in one line.
const MAX_ERRORS: usize = 16;

/// Writes canonical attributes as keys of the open object.
pub(super) fn attributes(json: &mut Json<'_>, octets: &[u8]) {
    let nothing = Cursor::new(&[]);
    let update = Update { withdrawn: nothing, attributes: Cursor::new(octets), nlri: nothing, damage: None };
    of_update(json, &update, &Session::FOUR_OCTET, false);
}

/// Writes the attributes of an UPDATE that reads by these rules as keys of the open object. `is_inner`: they stand in
/// an `ATTR_SET`.
pub(super) fn of_update(json: &mut Json<'_>, update: &Update<'_>, rules: &Session, is_inner: bool) {
    let multiprotocol = update.attributes().flatten().any(|attribute| attribute.code == code::MP_REACH);
    let mut errors: [Option<(u8, Verdict)>; MAX_ERRORS] = [None; MAX_ERRORS];
    let mut places = errors.iter_mut();
    for judged in update.judge(rules) {
        if let Some(finding) = judged.finding {
            if let Some(place) = places.next() {
                *place = Some((judged.attribute.code, finding.verdict));
            }
            if !matches!(judged.value, Value::Other(_)) {
                continue;
            }
        }
        let octets = judged.attribute.value.rest();
        match judged.value {
            Value::AttrSet(_) if is_inner => json.key("attr128").hex("", octets),
            value => attribute(json, judged.attribute.code, octets, value, multiprotocol),
        }
    }
    drop(places);
    if errors.iter().any(Option::is_some) {
        json.key("errors").open_list();
        for (code, verdict) in errors.into_iter().flatten() {
            json.open();
            json.key("attribute").unsigned(code.into());
            json.key("verdict").string(verdict.name());
            json.close();
        }
        json.close_list();
    }
}

fn attribute(json: &mut Json<'_>, code: u8, octets: &[u8], value: Value<'_>, multiprotocol: bool) {
    match value {
        Value::Origin(origin) => json.key("origin").string(origin.name()),
        Value::AsPath(path) => {
            numbers(json.key("asPath"), path.numbers());
            if !path.is_sequence() {
                json.key("asPathSegments").open_list();
                for segment in path.segments() {
                    json.open();
                    json.key("type").string(match segment.kind {
                        SegmentKind::Sequence => "sequence",
                        SegmentKind::Set => "set",
                        SegmentKind::ConfedSequence => "confedSequence",
                        SegmentKind::ConfedSet => "confedSet",
                    });
                    numbers(json.key("as"), segment.numbers());
                    json.close();
                }
                json.close_list();
            }
        }
        // With MP_REACH_NLRI the routes of this line have its next hop (RFC 4760 3).
        Value::NextHop(_) if multiprotocol => {}
        Value::NextHop(address) => json.key("nextHop").text(address),
        Value::MpReach(reach) => next_hop(json, &reach.next_hop),
        Value::MultiExitDisc(med) => json.key("med").unsigned(med.into()),
        Value::LocalPref(preference) => json.key("localPref").unsigned(preference.into()),
        Value::AtomicAggregate => json.key("atomicAggregate").boolean(true),
        Value::Aggregator(aggregator) => {
            json.key("aggregator").open();
            json.key("as").unsigned(aggregator.autonomous_system.into());
            json.key("address").text(aggregator.address);
            json.close();
        }
        Value::Communities(list) => texts(json.key("communities"), list),
        Value::ExtendedCommunities(list) => texts(json.key("extCommunities"), list),
        Value::Ipv6ExtendedCommunities(list) => texts(json.key("ipv6ExtCommunities"), list),
        Value::LargeCommunities(list) => texts(json.key("largeCommunities"), list),
        Value::OriginatorId(id) => json.key("originatorId").text(id),
        Value::ClusterList(list) => texts(json.key("clusterList"), list),
        Value::Aigp(Some(metric)) => json.key("aigp").unsigned(metric),
        Value::OnlyToCustomer(number) => json.key("otc").unsigned(number.into()),
        Value::Aigp(None) | Value::MpUnreach(_) | Value::As4Path(_) | Value::As4Aggregator(_) => {}
        Value::PmsiTunnel(tunnel) => nested::pmsi_tunnel(json.key("pmsiTunnel"), &tunnel),
        Value::Tunnels(tunnels) => nested::tunnels(json.key("tunnelEncap"), tunnels),
        Value::PrefixSid(tlvs) => nested::prefix_sid(json.key("prefixSid"), tlvs),
        Value::LinkState(tlvs) => nested::link_state(json.key("linkState"), tlvs),
        Value::Engineering(descriptors) => seldom::engineering(json.key("trafficEngineering"), descriptors),
        Value::PeLabels(labels) => seldom::pe_labels(json.key("peLabels"), labels),
        Value::BgpsecPath(path) => seldom::bgpsec(json.key("bgpsecPath"), &path),
        Value::DomainPath(path) => seldom::domains(json.key("domainPath"), path),
        Value::ServicePath(path) => seldom::service(json.key("servicePath"), path),
        Value::AttrSet(set) => nested::attr_set(json.key("attrSet"), &set, octets),
        _ => json.key(&format!("attr{code}")).hex("", octets),
    }
}

/// `nextHop`, and `linkLocalNextHop` where there are two.
fn next_hop(json: &mut Json<'_>, hop: &NextHop<'_>) {
    if let Some(address) = hop.address() {
        json.key("nextHop").text(address);
    }
    if let Some(address) = hop.link_local() {
        json.key("linkLocalNextHop").text(address);
    }
    if let NextHop::Raw(octets) = hop {
        json.key("nextHop").hex("0x", octets);
    }
}

pub(super) fn numbers(json: &mut Json<'_>, numbers: impl Iterator<Item = u32>) {
    json.open_list();
    for number in numbers {
        json.unsigned(number.into());
    }
    json.close_list();
}

fn texts(json: &mut Json<'_>, texts: impl Iterator<Item = impl std::fmt::Display>) {
    json.open_list();
    for text in texts {
        json.text(text);
    }
    json.close_list();
}
