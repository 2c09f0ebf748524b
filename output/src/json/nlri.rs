//! NLRI that are no IP prefix -> the object `nlri`: its octets, and what they say as far as they read.

use std::fmt::Display;

use wire::bgp::link_state::{LsTlv, LsTlvs, LsValue, ls_protocol_name};
use wire::bgp::nlri::flowspec::Condition;
use wire::bgp::nlri::vpls::VplsContent;
use wire::bgp::nlri::{BgpLs, Evpn, Flowspec, McastVpn, RouteTarget, SrPolicy, Vpls};
use wire::bgp::{IpVersion, Nlri};

use super::attribute::numbers;
use super::text::Json;

/// Writes the object; `octets` are the NLRI's, `nlri` is nothing where they do not read.
pub(super) fn nlri(json: &mut Json<'_>, nlri: Option<&Nlri<'_>>, octets: &[u8]) {
    json.key("nlri").open();
    json.key("raw").hex("", octets);
    match nlri {
        Some(Nlri::Evpn(route)) => evpn(json, route),
        Some(Nlri::Flowspec(rule)) => flowspec(json, rule),
        Some(Nlri::BgpLs(object)) => bgp_ls(json, object),
        Some(Nlri::SrPolicy(policy)) => sr_policy(json, policy),
        Some(Nlri::RouteTarget(constraint)) => route_target(json, constraint),
        Some(Nlri::McastVpn(route)) => mcast_vpn(json, route),
        Some(Nlri::Vpls(route)) => vpls(json, route),
        Some(Nlri::Prefix(_) | Nlri::Labeled(_) | Nlri::Vpn(_) | Nlri::Raw(_)) | None => {}
    }
    json.close();
}

/// A key with a value that prints, where there is one.
fn text(json: &mut Json<'_>, key: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        json.key(key).text(value);
    }
}

/// A key with a number, where there is one.
fn number(json: &mut Json<'_>, key: &str, value: Option<impl Into<u64>>) {
    if let Some(value) = value {
        json.key(key).unsigned(value.into());
    }
}

fn evpn(json: &mut Json<'_>, evpn: &Evpn<'_>) {
    json.key("routeType").unsigned(evpn.route_type.into());
    let Ok(route) = evpn.route() else { return };
    text(json, "rd", route.distinguisher);
    text(json, "esi", route.esi);
    number(json, "ethernetTag", route.ethernet_tag);
    text(json, "mac", route.mac);
    text(json, "ip", route.address);
    text(json, "prefix", route.prefix);
    text(json, "gateway", route.gateway);
    if !route.labels.entries().is_empty() {
        numbers(json.key("labels"), route.labels);
    }
    text(json, "source", route.source);
    text(json, "group", route.group);
    text(json, "originator", route.originator);
    number(json, "flags", route.flags);
}

fn flowspec(json: &mut Json<'_>, rule: &Flowspec<'_>) {
    text(json, "rd", rule.distinguisher);
    json.key("components").open_list();
    for component in rule.components().flatten() {
        json.open();
        json.key("type").string(component.name());
        match component.condition {
            Condition::Prefix { prefix, offset } => {
                json.key("prefix").text(prefix);
                // Only IPv6 patterns have one (RFC 8956 section 3.1).
                if rule.version == Some(IpVersion::V6) {
                    json.key("offset").unsigned(offset.into());
                }
            }
            Condition::Number(numbers) => json.key("match").text(numbers),
            Condition::Bits(bits) => json.key("match").text(bits),
        }
        json.close();
    }
    json.close_list();
}

/// Local and remote node, then descriptors that have a name of their own here; of each the first.
fn bgp_ls(json: &mut Json<'_>, nlri: &BgpLs<'_>) {
    match nlri.name() {
        Some(name) => json.key("type").string(name),
        None => json.key("type").text(nlri.kind),
    }
    let Ok(object) = nlri.object() else { return };
    text(json, "rd", object.distinguisher);
    match ls_protocol_name(object.protocol) {
        Some(name) => json.key("protocol").string(name),
        None => json.key("protocol").text(object.protocol),
    }
    json.key("identifier").unsigned(object.identifier);
    for (kind, key) in [(256, "local"), (257, "remote")] {
        if let Some(LsValue::Tlvs(node)) = first(object.descriptors, kind).map(|tlv| tlv.value(None)) {
            json.key(key).open();
            (512..=517).filter_map(|kind| first(node, kind)).for_each(|tlv| descriptor(json, &tlv, None));
            json.close();
        }
    }
    for kind in (258..=265).chain([518]) {
        if let Some(tlv) = first(object.descriptors, kind) {
            descriptor(json, &tlv, nlri.version());
        }
    }
}

fn first(mut tlvs: LsTlvs<'_>, kind: u16) -> Option<LsTlv<'_>> {
    tlvs.find_map(|tlv| tlv.ok().filter(|tlv| tlv.kind == kind))
}

/// A descriptor under its name. One whose value is not what its type has is left to `raw`.
fn descriptor(json: &mut Json<'_>, tlv: &LsTlv<'_>, version: Option<IpVersion>) {
    let Some(name) = tlv.name() else { return };
    match tlv.value(version) {
        LsValue::Number(number) => json.key(name).unsigned(number),
        LsValue::Pair(local, remote) => {
            json.key("linkLocalId").unsigned(local.into());
            json.key("linkRemoteId").unsigned(remote.into());
        }
        LsValue::Address(address) => json.key(name).text(address),
        LsValue::Prefix(prefix) => json.key("prefix").text(prefix),
        LsValue::ShortNumbers(list) => {
            numbers(json.key(name), list.iter().map(|octets| u16::from_be_bytes(*octets).into()));
        }
        LsValue::Raw(octets) if tlv.kind == 515 => json.key(name).hex("", octets),
        LsValue::Tlvs(_) | LsValue::Float(_) | LsValue::Text(_) | LsValue::Numbers(_) | LsValue::Raw(_) => {}
    }
}

fn sr_policy(json: &mut Json<'_>, policy: &SrPolicy) {
    json.key("distinguisher").unsigned(policy.distinguisher.into());
    json.key("color").unsigned(policy.color.into());
    json.key("endpoint").text(policy.endpoint);
}

fn route_target(json: &mut Json<'_>, constraint: &RouteTarget) {
    json.key("length").unsigned(constraint.length.into());
    number(json, "originAs", constraint.origin_as);
    // A part of a target names a range of them, and reads as none.
    if constraint.length == 96 {
        json.key("routeTarget").text(constraint.target);
    }
}

fn mcast_vpn(json: &mut Json<'_>, mcast: &McastVpn<'_>) {
    json.key("routeType").unsigned(mcast.route_type.into());
    let Ok(route) = mcast.route() else { return };
    text(json, "rd", route.distinguisher);
    number(json, "sourceAs", route.source_as);
    text(json, "source", route.source);
    text(json, "group", route.group);
    text(json, "originator", route.originator);
}

fn vpls(json: &mut Json<'_>, vpls: &Vpls) {
    json.key("rd").text(vpls.distinguisher);
    match vpls.content {
        VplsContent::Signaling { edge_id, block_offset, block_size, label_base } => {
            json.key("edgeId").unsigned(edge_id.into());
            json.key("blockOffset").unsigned(block_offset.into());
            json.key("blockSize").unsigned(block_size.into());
            json.key("labelBase").unsigned(label_base.into());
        }
        VplsContent::Discovery(address) => json.key("originator").text(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::route::read_nlri;
    use wire::bgp::Family;

    fn line(family: Family, octets: &[u8]) -> serde_json::Value {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.open();
        nlri(&mut json, read_nlri(family, octets, false).as_ref(), octets);
        json.close();
        let mut line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        line["nlri"].take()
    }

    #[test]
    fn an_evpn_route_names_its_parts() {
        let octets = [
            2, 33, 0, 1, 192, 0, 2, 1, 0, 5, // MAC/IP, RD 192.0.2.1:5
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, // ESI, tag
            48, 0xaa, 0xbb, 0xcc, 0, 0, 1, 0, 0x00, 0x27, 0x11, // MAC, no IP, label
        ];
        let line = line(Family::EVPN, &octets);
        assert_eq!(line["routeType"], 2);
        assert_eq!((&line["rd"], &line["mac"]), (&"192.0.2.1:5".into(), &"aa:bb:cc:00:00:01".into()));
        assert_eq!((&line["labels"], &line["ethernetTag"]), (&serde_json::json!([625]), &100.into()));
        assert_eq!(line.get("ip"), None);
        assert_eq!(line["raw"].as_str().map(str::len), Some(70));
    }

    #[test]
    fn a_flow_specification_prints_its_terms_in_wire_order() {
        let octets = [14, 2, 8, 192, 4, 3, 0x89, 0x45, 0x8b, 0x91, 0x1f, 0x90, 12, 0x80, 4];
        let expected = serde_json::json!([
            {"type": "sourcePrefix", "prefix": "192.0.0.0/8"},
            {"type": "port", "match": ">=137&<=139 =8080"},
            {"type": "fragment", "match": "0x4"},
        ]);
        assert_eq!(line(Family::new(1, 133), &octets)["components"], expected);
    }

    #[test]
    fn a_link_has_both_its_ends() {
        let node = |kind: u8, id: u8| [1, kind, 0, 8, 2, 0, 0, 4, 0, 0, 0, id];
        let link = [
            &[3, 0, 0, 0, 0, 0, 0, 0, 7][..],
            &node(0, 1),
            &node(1, 2),
            &[1, 2, 0, 8, 0, 0, 0, 3, 0, 0, 0, 4],
        ]
        .concat();
        let octets = [&[0, 2, 0, u8::try_from(link.len()).unwrap()][..], &link].concat();
        let line = line(Family::new(16388, 71), &octets);
        assert_eq!((&line["type"], &line["protocol"]), (&"link".into(), &"ospfv2".into()));
        assert_eq!(line["local"]["autonomousSystem"], 1);
        assert_eq!(line["remote"]["autonomousSystem"], 2);
        assert_eq!((&line["linkLocalId"], &line["linkRemoteId"]), (&3.into(), &4.into()));
    }

    #[test]
    fn what_does_not_read_is_its_octets() {
        assert_eq!(line(Family::EVPN, &[2, 9, 1]), serde_json::json!({"raw": "020901"}));
        assert_eq!(line(Family::new(16398, 75), &[1, 2]), serde_json::json!({"raw": "0102"}));
    }
}
