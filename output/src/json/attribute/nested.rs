//! Attributes with an inside of their own -> JSON: tunnels, segment identifiers, link state, a customer's attributes.
//! What is typed is named; everything else keeps its octets, so that nothing is lost.

use wire::bgp::Update;
use wire::bgp::attribute::AttrSet;
use wire::bgp::link_state::{LsTlvs, LsValue};
use wire::bgp::prefix_sid::{PrefixSid, PrefixSidTlv, Srv6Sid};
use wire::bgp::segment_list::{SegmentPart, SegmentValue};
use wire::bgp::tunnel::{PmsiTunnel, SubTlv, SubTlvValue, Tunnels};
use wire::cursor::Cursor;

use super::super::text::Json;
use super::numbers;
use super::seldom::octets;

/// `{"flags","type","label","labelField","endpoint" or "identifier"}`. `label` is the upper 20 bits of the label
/// field, which are an MPLS label; all 24 are a VNI where the tunnel is one of VXLAN.
pub(super) fn pmsi_tunnel(json: &mut Json<'_>, tunnel: &PmsiTunnel<'_>) {
    json.open();
    json.key("flags").unsigned(tunnel.flags.into());
    kind(json, tunnel.name(), tunnel.kind.into());
    json.key("label").unsigned(tunnel.label().into());
    let [a, b, c] = tunnel.label_field;
    json.key("labelField").unsigned(u32::from_be_bytes([0, a, b, c]).into());
    match tunnel.endpoint() {
        Some(address) => json.key("endpoint").text(address),
        None => json.key("identifier").hex("", tunnel.identifier),
    }
    json.close();
}

/// `[{"type","subTlvs":[{"type","name", value}]}]`.
pub(super) fn tunnels(json: &mut Json<'_>, tunnels: Tunnels<'_>) {
    json.objects(tunnels, |json, tunnel| {
        kind(json, tunnel.name(), tunnel.kind.into());
        json.key("subTlvs").objects(tunnel.sub_tlvs(), |json, tlv| sub_tlv(json, &tlv));
    });
}

/// `number` or `text` where the type has one, `weight` and `segments` of a segment list, else `octets`.
fn sub_tlv(json: &mut Json<'_>, tlv: &SubTlv<'_>) {
    json.key("type").unsigned(tlv.kind.into());
    if let Some(name) = tlv.name() {
        json.key("name").string(name);
    }
    match tlv.value() {
        SubTlvValue::Number(number) => json.key("number").unsigned(number.into()),
        SubTlvValue::Address(address) => json.key("text").text(address),
        SubTlvValue::Name(name) => json.key("text").text(name),
        SubTlvValue::Segments(segments) => {
            if let Some(weight) = segments.weight() {
                json.key("weight").unsigned(weight.into());
            }
            json.key("segments").objects(segments, |json, part| segment(json, &part));
        }
        SubTlvValue::Raw(octets) => json.key("octets").hex("", octets),
    }
}

/// `{"type":"A".."K" or a number as text,"label" or "sid","behavior","octets"}`.
fn segment(json: &mut Json<'_>, part: &SegmentPart<'_>) {
    kind(json, part.name(), part.kind.into());
    match part.value() {
        SegmentValue::Label(label) => json.key("label").unsigned(label.into()),
        SegmentValue::Sid { sid, behavior } => {
            json.key("sid").text(sid);
            if let Some(behavior) = behavior {
                json.key("behavior").unsigned(behavior.into());
            }
        }
        SegmentValue::Raw(octets) => json.key("octets").hex("", octets),
    }
}

/// `{"labelIndex","flags","srgb":[{"base","size"}],"srv6":[..],"others":[{"type","octets"}]}`.
pub(super) fn prefix_sid(json: &mut Json<'_>, tlvs: PrefixSid<'_>) {
    json.open();
    let label_index = { tlvs }.find_map(|tlv| match tlv {
        PrefixSidTlv::LabelIndex { flags, index } => Some((flags, index)),
        PrefixSidTlv::OriginatorSrgb { .. }
        | PrefixSidTlv::Srv6Service { .. }
        | PrefixSidTlv::Other { .. } => None,
    });
    if let Some((flags, index)) = label_index {
        json.key("labelIndex").unsigned(index.into());
        json.key("flags").unsigned(flags.into());
    }
    let ranges = { tlvs }.find_map(|tlv| match tlv {
        PrefixSidTlv::OriginatorSrgb { ranges, .. } => Some(ranges),
        PrefixSidTlv::LabelIndex { .. } | PrefixSidTlv::Srv6Service { .. } | PrefixSidTlv::Other { .. } => {
            None
        }
    });
    if let Some(ranges) = ranges {
        json.key("srgb").objects(ranges, |json, [a, b, c, d, e, f]| {
            json.key("base").unsigned(u32::from_be_bytes([0, *a, *b, *c]).into());
            json.key("size").unsigned(u32::from_be_bytes([0, *d, *e, *f]).into());
        });
    }
    services(json, tlvs);
    let others = tlvs.filter_map(|tlv| match tlv {
        PrefixSidTlv::Other { kind, octets } => Some((kind, octets)),
        PrefixSidTlv::LabelIndex { .. }
        | PrefixSidTlv::OriginatorSrgb { .. }
        | PrefixSidTlv::Srv6Service { .. } => None,
    });
    let mut others = others.peekable();
    if others.peek().is_some() {
        octets(json.key("others"), others);
    }
    json.close();
}

fn services(json: &mut Json<'_>, tlvs: PrefixSid<'_>) {
    let mut sids = tlvs
        .filter_map(|tlv| match tlv {
            PrefixSidTlv::Srv6Service { layer, sids } => Some(sids.map(move |sid| (layer, sid))),
            PrefixSidTlv::LabelIndex { .. }
            | PrefixSidTlv::OriginatorSrgb { .. }
            | PrefixSidTlv::Other { .. } => None,
        })
        .flatten()
        .peekable();
    if sids.peek().is_none() {
        return;
    }
    json.key("srv6").objects(sids, |json, (layer, sid)| srv6_sid(json, layer, &sid));
}

fn srv6_sid(json: &mut Json<'_>, layer: u8, sid: &Srv6Sid) {
    json.key("layer").unsigned(layer.into());
    json.key("sid").text(sid.sid);
    json.key("flags").unsigned(sid.flags.into());
    json.key("behavior").unsigned(sid.behavior.into());
    if let Some(structure) = sid.structure {
        let names = [
            "locatorBlockLength",
            "locatorNodeLength",
            "functionLength",
            "argumentLength",
            "transpositionLength",
            "transpositionOffset",
        ];
        json.key("structure").open();
        for (name, bits) in names.into_iter().zip(structure) {
            json.key(name).unsigned(bits.into());
        }
        json.close();
    }
}

/// `[{"type","name", value}]`: `number`, `text` (names, addresses, prefixes), `numbers` or `octets`.
pub(super) fn link_state(json: &mut Json<'_>, tlvs: LsTlvs<'_>) {
    json.objects(tlvs.flatten(), |json, tlv| {
        json.key("type").unsigned(tlv.kind.into());
        if let Some(name) = tlv.name() {
            json.key("name").string(name);
        }
        match tlv.value(None) {
            LsValue::Number(number) => json.key("number").unsigned(number),
            LsValue::Float(number) => json.key("number").float32(number),
            LsValue::Address(address) => json.key("text").text(address),
            LsValue::Prefix(prefix) => json.key("text").text(prefix),
            LsValue::Text(text) => json.key("text").text(text),
            LsValue::Numbers(list) => {
                numbers(json.key("numbers"), list.iter().map(|octets| u32::from_be_bytes(*octets)));
            }
            LsValue::ShortNumbers(list) => {
                numbers(json.key("numbers"), list.iter().map(|octets| u16::from_be_bytes(*octets).into()));
            }
            LsValue::Pair(local, remote) => numbers(json.key("numbers"), [local, remote].into_iter()),
            LsValue::Tlvs(_) => json.key("octets").hex("", tlv.octets),
            LsValue::Raw(octets) => json.key("octets").hex("", octets),
        }
    });
}

/// `{"originAs","attributes":{..}}`; `octets` are the attribute's. AS numbers in it have 4 octets (RFC 6368
/// section 5), and an attribute of this kind in it is one too many: that is printed as its octets.
pub(super) fn attr_set(json: &mut Json<'_>, set: &AttrSet<'_>, octets: &[u8]) {
    let nothing = Cursor::new(&[]);
    let inside = octets.get(4..).unwrap_or_default();
    let update = Update { withdrawn: nothing, attributes: Cursor::new(inside), nlri: nothing, damage: None };
    json.open();
    json.key("originAs").unsigned(set.origin_as.into());
    json.key("attributes").open();
    super::of_update(json, &update, &wire::bgp::Session::FOUR_OCTET, true);
    json.close();
    json.close();
}

/// `type` as its name, or its number as text.
fn kind(json: &mut Json<'_>, name: Option<&str>, number: u32) {
    match name {
        Some(name) => json.key("type").string(name),
        None => json.key("type").text(number),
    }
}

#[cfg(test)]
mod tests {
    use crate::json::attribute::tests::written;
    use serde_json::json;

    #[test]
    fn a_multicast_tunnel_has_its_endpoint() {
        // Ingress replication, label 100, to 192.0.2.1.
        let told = written(0xc0, 22, &[0, 6, 0, 6, 0x40, 192, 0, 2, 1]);
        let expected = json!({"flags": 0, "type": "ingressReplication", "label": 100, "labelField": 1600, "endpoint": "192.0.2.1"});
        assert_eq!(told["pmsiTunnel"], expected);
        let told = written(0xc0, 22, &[1, 99, 0, 0, 1, 7]);
        assert_eq!(
            (&told["pmsiTunnel"]["type"], &told["pmsiTunnel"]["identifier"]),
            (&"99".into(), &"07".into())
        );
    }

    #[test]
    fn an_sr_policy_travels_in_a_tunnel() {
        let sid = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let segments = [
            &[0, 9, 6, 0, 0, 0, 0, 0, 5][..],   // weight 5
            &[1, 6, 0, 0, 0x03, 0xe8, 0x10, 0], // A: label 16001
            &[13, 26, 0, 0],                    // B with its behavior and structure
            &sid,
            &[0, 57, 0, 0, 32, 16, 16, 0],
            &[13, 18, 0, 0], // B alone
            &sid,
            &[3, 6, 0, 0, 192, 0, 2, 1], // C
            &[99, 2, 7, 7],              // nobody's
        ]
        .concat();
        let sub_tlvs = [
            &[12, 6, 0, 0, 0, 0, 0, 100][..],    // preference 100
            &[4, 8, 3, 0x0b, 0, 0, 0, 0, 0, 7],  // color 7
            &[130, 0, 4, 0, b'r', b'e', b'd'],   // policy name
            &[13, 6, 0, 0, 0x03, 0xe8, 0x10, 0], // binding SID 16001
            &[20, 18, 0, 0],
            &sid,
            &[14, 3, 0, 0, 3],
            &[128, 0, u8::try_from(segments.len()).unwrap()],
            &segments,
            &[128, 0, 2, 9, 9], // a segment list that does not read
        ]
        .concat();
        let value = [&[0, 15, 0, u8::try_from(sub_tlvs.len()).unwrap()][..], &sub_tlvs].concat();
        let told = written(0xc0, 23, &value);
        assert_eq!(
            told["tunnelEncap"],
            json!([{"type": "srPolicy", "subTlvs": [
                {"type": 12, "name": "preference", "number": 100},
                {"type": 4, "name": "color", "number": 7},
                {"type": 130, "name": "policyName", "text": "red"},
                {"type": 13, "name": "bindingSid", "number": 16001},
                {"type": 20, "name": "srv6BindingSid", "text": "2001:db8::1"},
                {"type": 14, "name": "explicitNullLabelPolicy", "number": 3},
                {"type": 128, "name": "segmentList", "weight": 5, "segments": [
                    {"type": "A", "label": 16001},
                    {"type": "B", "sid": "2001:db8::1", "behavior": 57},
                    {"type": "B", "sid": "2001:db8::1"},
                    {"type": "C", "octets": "0000c0000201"},
                    {"type": "99", "octets": "0707"},
                ]},
                {"type": 128, "name": "segmentList", "octets": "0909"},
            ]}])
        );
    }

    #[test]
    fn segment_identifiers_of_mpls_and_srv6() {
        let label = [1, 0, 7, 0, 0, 0, 0, 0, 0, 91];
        let srgb = [3, 0, 8, 0, 0, 0, 0x3e, 0x80, 0, 0x1f, 0x40];
        let other = [99, 0, 1, 5];
        let mut sid = [0; 37];
        sid[..8].copy_from_slice(&[5, 0, 34, 0, 1, 0, 30, 0]);
        sid[8..14].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 0x44]);
        sid[25..].copy_from_slice(&[0, 63, 0, 1, 0, 6, 32, 16, 16, 0, 16, 48]);
        let told = written(0xc0, 40, &[&label[..], &srgb, &sid, &other].concat());
        assert_eq!(
            told["prefixSid"],
            json!({"labelIndex": 91, "flags": 0, "srgb": [{"base": 16000, "size": 8000}],
                "srv6": [{"layer": 3, "sid": "2001:db8:44::", "flags": 0, "behavior": 63, "structure": {
                    "locatorBlockLength": 32, "locatorNodeLength": 16, "functionLength": 16, "argumentLength": 0,
                    "transpositionLength": 16, "transpositionOffset": 48}}],
                "others": [{"type": 99, "octets": "05"}]})
        );
    }

    #[test]
    fn link_state_is_named_where_it_is_known() {
        let value = [
            &[0x04, 0x02, 0, 2, b'r', b'1'][..],         // node name
            &[0x04, 0x47, 0, 3, 0, 0, 10],               // IGP metric 10
            &[0x04, 0x04, 0, 4, 10, 0, 0, 1],            // router id
            &[0x04, 0x48, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2], // shared risk groups
            &[0x04, 0x41, 0, 4, 0x4b, 0x18, 0x96, 0x80], // 10 Mbit/s... in octets
            &[0x7f, 0xff, 0, 1, 9],                      // nobody's
        ]
        .concat();
        let told = written(0x80, 29, &value);
        assert_eq!(
            told["linkState"],
            json!([
                {"type": 1026, "name": "nodeName", "text": "r1"},
                {"type": 1095, "name": "igpMetric", "number": 10},
                {"type": 1028, "name": "localRouterId", "text": "10.0.0.1"},
                {"type": 1096, "name": "sharedRiskGroups", "numbers": [1, 2]},
                {"type": 1089, "name": "maximumBandwidth", "number": 10_000_000},
                {"type": 32767, "octets": "09"},
            ])
        );
    }

    #[test]
    fn attributes_of_a_customer_stand_inside() {
        let set = [&[0, 0, 0xfd, 0xe8][..], &[0x40, 1, 1, 0], &[0xc0, 128, 4, 0, 0, 0, 1]].concat();
        let told = written(0xc0, 128, &set);
        let inside = json!({"origin": "igp", "attr128": "00000001"});
        assert_eq!(told["attrSet"], json!({"originAs": 65000, "attributes": inside}));
    }

    #[test]
    fn what_has_no_type_is_its_octets() {
        assert_eq!(written(0xc0, 39, &[1, 2]), json!({"attr39": "0102"}));
        assert_eq!(written(0xc0, 41, &[7]), json!({"attr41": "07"}));
    }
}
