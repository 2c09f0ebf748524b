//! Attributes that few routes have -> JSON: link capabilities, labels of PE, signed paths, domains, service paths.
//! Keeps the octets of what has no name.

use wire::bgp::bgpsec::BgpsecPath;
use wire::bgp::engineering::{Descriptors, Specific};
use wire::bgp::service::{DomainPath, PeLabels, ServicePath};

use super::super::text::Json;

/// `[{"switching","encoding","maxBandwidths":[8],"minBandwidth","mtu" or "indication","octets"}]`; bandwidths in
/// octets a second, one a priority.
pub(super) fn engineering(json: &mut Json<'_>, descriptors: Descriptors<'_>) {
    json.open_list();
    for descriptor in descriptors {
        json.open();
        json.key("switching").unsigned(descriptor.switching.into());
        json.key("encoding").unsigned(descriptor.encoding.into());
        json.key("maxBandwidths").open_list();
        descriptor.bandwidths.into_iter().for_each(|bandwidth| json.float32(bandwidth));
        json.close_list();
        match descriptor.specific {
            Specific::Packet { minimum_bandwidth, mtu } => {
                json.key("minBandwidth").float32(minimum_bandwidth);
                json.key("mtu").unsigned(mtu.into());
            }
            Specific::TimeDivision { minimum_bandwidth, indication } => {
                json.key("minBandwidth").float32(minimum_bandwidth);
                json.key("indication").unsigned(indication.into());
            }
            Specific::Other([]) => {}
            Specific::Other(octets) => json.key("octets").hex("", octets),
        }
        json.close();
    }
    json.close_list();
}

/// `[{"address","label"}]`.
pub(super) fn pe_labels(json: &mut Json<'_>, labels: PeLabels<'_>) {
    json.open_list();
    for (address, label) in labels {
        json.open();
        json.key("address").text(address);
        json.key("label").unsigned(label.into());
        json.close();
    }
    json.close_list();
}

/// `{"segments":[{"as","count","flags"}],"signatures":[{"algorithm","keyIdentifier","octets"}]}`, both with the last
/// AS first.
pub(super) fn bgpsec(json: &mut Json<'_>, path: &BgpsecPath<'_>) {
    json.open();
    json.key("segments").open_list();
    for segment in path.segments() {
        json.open();
        json.key("as").unsigned(segment.autonomous_system.into());
        json.key("count").unsigned(segment.count.into());
        json.key("flags").unsigned(segment.flags.into());
        json.close();
    }
    json.close_list();
    json.key("signatures").open_list();
    for block in path.blocks() {
        for signature in block.signatures() {
            json.open();
            json.key("algorithm").unsigned(block.algorithm.into());
            json.key("keyIdentifier").hex("", signature.key_identifier);
            json.key("octets").hex("", signature.octets);
            json.close();
        }
    }
    json.close_list();
    json.close();
}

/// `[{"domain":"65000:1","safi"}]`, the last one first.
pub(super) fn domains(json: &mut Json<'_>, path: DomainPath<'_>) {
    json.open_list();
    for domain in path {
        json.open();
        json.key("domain").text(domain);
        json.key("safi").unsigned(domain.safi.into());
        json.close();
    }
    json.close_list();
}

/// `[{"type","octets"}]`.
pub(super) fn service(json: &mut Json<'_>, path: ServicePath<'_>) {
    json.open_list();
    for (kind, octets) in path {
        json.open();
        json.key("type").unsigned(kind.into());
        json.key("octets").hex("", octets);
        json.close();
    }
    json.close_list();
}

#[cfg(test)]
mod tests {
    use crate::json::attribute::attributes;
    use crate::json::text::Json;
    use serde_json::{Value, json};

    /// The attribute's object, of the octets of its value; held to the schema.
    fn written(flags: u8, code: u8, value: &[u8]) -> Value {
        let length = u8::try_from(value.len()).unwrap();
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.open();
        attributes(&mut json, &[&[flags, code, length], value].concat());
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
    fn links_tell_what_they_can() {
        let mut value = vec![1, 2, 0, 0];
        (0..8_u8).for_each(|priority| value.extend(f32::from(priority).to_be_bytes()));
        value.extend([0x3f, 0xc0, 0, 0, 0x05, 0xdc, 0, 0]);
        assert_eq!(
            written(0x80, 24, &value),
            json!({"trafficEngineering": [{"switching": 1, "encoding": 2, "maxBandwidths": [0, 1, 2, 3, 4, 5, 6, 7],
                "minBandwidth": 1.5, "mtu": 1500}]})
        );
        let told = written(0x80, 24, &[7]);
        assert_eq!(told["attr24"], "07");
        assert_eq!(told["errors"], json!([{"attribute": 24, "verdict": "withdraw"}]));
    }

    #[test]
    fn labels_domains_and_service_paths() {
        assert_eq!(
            written(0xc0, 27, &[192, 0, 2, 1, 0, 0x06, 0x41]),
            json!({"peLabels": [{"address": "192.0.2.1", "label": 100}]})
        );
        assert_eq!(
            written(0xc0, 36, &[1, 0, 0, 0xfd, 0xe8, 0, 1, 70]),
            json!({"domainPath": [{"domain": "65000:1", "safi": 70}]})
        );
        assert_eq!(
            written(0xc0, 37, &[1, 0, 2, 9, 9]),
            json!({"servicePath": [{"type": 1, "octets": "0909"}]})
        );
    }

    #[test]
    fn a_signed_path_has_its_signatures() {
        let mut value = vec![0, 8, 1, 0, 0, 0, 0xfd, 0xe8, 0, 27, 1];
        value.extend([7; 20]);
        value.extend([0, 2, 0xaa, 0xbb]);
        assert_eq!(
            written(0x80, 33, &value),
            json!({"bgpsecPath": {"segments": [{"as": 65000, "count": 1, "flags": 0}],
                "signatures": [{"algorithm": 1, "keyIdentifier": "07".repeat(20), "octets": "aabb"}]}})
        );
    }
}
