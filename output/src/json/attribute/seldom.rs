//! Attributes that few routes have -> JSON: link capabilities, labels of PE, signed paths, domains, service paths.
//! Keeps the octets of what has no name.

use wire::bgp::bgpsec::BgpsecPath;
use wire::bgp::engineering::{Descriptors, Specific};
use wire::bgp::service::{DomainPath, PeLabels, ServicePath};

use super::super::text::Json;

/// `[{"switching","encoding","maxBandwidths":[8],"minBandwidth","mtu" or "indication","octets"}]`; bandwidths in
/// octets a second, one a priority.
pub(super) fn engineering(json: &mut Json<'_>, descriptors: Descriptors<'_>) {
    json.objects(descriptors, |json, descriptor| {
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
    });
}

/// `[{"address","label"}]`.
pub(super) fn pe_labels(json: &mut Json<'_>, labels: PeLabels<'_>) {
    json.objects(labels, |json, (address, label)| {
        json.key("address").text(address);
        json.key("label").unsigned(label.into());
    });
}

/// `{"segments":[{"as","count","flags"}],"signatures":[{"algorithm","keyIdentifier","octets"}]}`, both with the last
/// AS first.
pub(super) fn bgpsec(json: &mut Json<'_>, path: &BgpsecPath<'_>) {
    json.open();
    json.key("segments").objects(path.segments(), |json, segment| {
        json.key("as").unsigned(segment.autonomous_system.into());
        json.key("count").unsigned(segment.count.into());
        json.key("flags").unsigned(segment.flags.into());
    });
    let signatures =
        path.blocks().flat_map(|block| block.signatures().map(move |signature| (block.algorithm, signature)));
    json.key("signatures").objects(signatures, |json, (algorithm, signature)| {
        json.key("algorithm").unsigned(algorithm.into());
        json.key("keyIdentifier").hex("", signature.key_identifier);
        json.key("octets").hex("", signature.octets);
    });
    json.close();
}

/// `[{"domain":"65000:1","safi"}]`, the last one first.
pub(super) fn domains(json: &mut Json<'_>, path: DomainPath<'_>) {
    json.objects(path, |json, domain| {
        json.key("domain").text(domain);
        json.key("safi").unsigned(domain.safi.into());
    });
}

/// `[{"type","octets"}]`.
pub(super) fn service(json: &mut Json<'_>, path: ServicePath<'_>) {
    octets(json, path);
}

/// `[{"type","octets"}]`: what has a type and no more.
pub(super) fn octets<'a>(json: &mut Json<'_>, list: impl IntoIterator<Item = (impl Into<u64>, &'a [u8])>) {
    json.objects(list, |json, (kind, octets)| {
        json.key("type").unsigned(kind.into());
        json.key("octets").hex("", octets);
    });
}

#[cfg(test)]
mod tests {
    use crate::json::attribute::tests::written;
    use serde_json::json;

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
