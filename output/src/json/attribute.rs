//! Path attributes in canonical form -> JSON, with the RFC 7606 verdict on each damaged one.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "attributes whose inside records do not spell out are hex"
)]

mod nested;
mod seldom;

use wire::bgp::attribute::code;
use wire::bgp::{Attributes, NextHop, SegmentKind, Session, Update, Value, Verdict};
use wire::cursor::Cursor;

use super::text::Json;

/// Damaged attributes named in one line.
const MAX_ERRORS: usize = 16;

/// Writes the canonical attributes of a route as keys of the open object.
pub(super) fn attributes(json: &mut Json<'_>, octets: &[u8]) {
    let (nothing, attributes) = (Cursor::new(&[]), Cursor::new(octets));
    // Where the route stood: in the field of the UPDATE, which asks for a NEXT_HOP, or in the attribute.
    let multiprotocol =
        Attributes::new(attributes).flatten().any(|attribute| attribute.code == code::MP_REACH);
    let nlri = if multiprotocol { nothing } else { Cursor::new(&[0]) };
    let update = Update { withdrawn: nothing, attributes, nlri, damage: None };
    of_update(json, &update, &Session::FOUR_OCTET, false);
}

/// Writes the attributes of an UPDATE that reads by these rules as keys of the open object. `is_inner`: they stand in
/// an `ATTR_SET`.
pub(super) fn of_update(json: &mut Json<'_>, update: &Update<'_>, rules: &Session, is_inner: bool) {
    let multiprotocol = update.attributes().flatten().any(|attribute| attribute.code == code::MP_REACH);
    let mut errors: [Option<(u8, Verdict)>; MAX_ERRORS] = [None; MAX_ERRORS];
    let mut places = errors.iter_mut();
    let mut note = |code, verdict| {
        if let Some(place) = places.next() {
            *place = Some((code, verdict));
        }
    };
    let mut judge = update.judge(rules);
    for judged in judge.by_ref() {
        if let Some(finding) = judged.finding {
            note(judged.attribute.code, finding.verdict);
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
    let missing = judge.finish(update).filter_map(|finding| Some((finding.attribute?, finding.verdict)));
    missing.for_each(|(code, verdict)| note(code, verdict));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The object that holds one attribute, of the octets of its value; held to the schema.
    pub(super) fn written(flags: u8, code: u8, value: &[u8]) -> Value {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        let octets = [&[flags | 0x10, code][..], &length, value].concat();
        let nothing = Cursor::new(&[]);
        let update =
            Update { withdrawn: nothing, attributes: Cursor::new(&octets), nlri: nothing, damage: None };
        object(|json| of_update(json, &update, &Session::FOUR_OCTET, false))
    }

    fn object(write: impl FnOnce(&mut Json<'_>)) -> Value {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.open();
        write(&mut json);
        json.close();
        let written = serde_json::from_slice(&out).unwrap();
        let mut schema = crate::schema::of(collector::ledger::Kind::Route);
        let attributes = schema["properties"]["attributes"].clone();
        schema.as_object_mut().unwrap().retain(|key, _| key == "$defs" || key == "$schema");
        schema["allOf"] = json!([attributes]);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        assert!(validator.is_valid(&written), "{written:#}");
        written
    }

    #[test]
    fn what_a_route_lacks_is_an_error() {
        let missing = |codes: &[u8]| {
            codes.iter().map(|code| json!({"attribute": code, "verdict": "withdraw"})).collect::<Vec<_>>()
        };
        let of = |octets: &[u8]| object(|json| attributes(json, octets));
        let (origin, path) = ([0x40, 1, 1, 0], [0x40, 2, 0]);
        assert_eq!(of(&[])["errors"], json!(missing(&[1, 2, 3])));
        assert_eq!(of(&[&origin[..], &path].concat())["errors"], json!(missing(&[3])));
        assert_eq!(of(&[&origin[..], &path, &[0x40, 3, 4, 10, 0, 0, 1]].concat()).get("errors"), None);
        // A route of MP_REACH_NLRI has its next hop there, if any.
        let reach = [0x80, 14, 5, 0, 1, 133, 0, 0];
        assert_eq!(of(&[&origin[..], &path, &reach].concat()).get("errors"), None);
        assert_eq!(of(&reach)["errors"], json!(missing(&[1, 2])));
    }
}
