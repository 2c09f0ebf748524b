//! NetGauze 0.13: messages become owned trees of enums. Templates and peers are taught as a session would.

use std::collections::HashMap;
use std::net::IpAddr;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::community::{ExtendedCommunity, TransitiveTwoOctetExtendedCommunity};
use netgauze_bgp_pkt::path_attribute::{Aggregator, AsPath, MpReach, MpUnreach, PathAttributeValue};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bmp_pkt::wire::deserializer::BmpParsingContext;
use netgauze_bmp_pkt::{BmpMessage, v3};
use netgauze_flow_pkt::ie::Field;
use netgauze_flow_pkt::ipfix::{IpfixPacket, Set, TemplatesMap};
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;

use crate::bmp::{Walked, tag};
use crate::corpus::Corpus;
use crate::digest::Digest;
use crate::input::Input;

/// Decodes every data message. Returns records.
#[must_use]
pub fn flows(input: &Input) -> u64 {
    let mut templates = taught(input);
    let mut records = 0;
    for (_, octets) in &input.messages {
        let Ok(packet) = IpfixPacket::parse(&mut SliceReader::new(octets), &mut templates) else { continue };
        for set in packet.sets() {
            if let Set::Data { records: data, .. } = set {
                records += data.len() as u64;
            }
        }
        std::hint::black_box(&packet);
    }
    records
}

/// What it reads of every value.
#[must_use]
pub fn flows_digest(input: &Input) -> Digest {
    let mut templates = taught(input);
    let mut digest = Digest::default();
    for (_, octets) in &input.messages {
        let Ok(packet) = IpfixPacket::parse(&mut SliceReader::new(octets), &mut templates) else { continue };
        for set in packet.sets() {
            let Set::Data { records, .. } = set else { continue };
            for record in records.iter() {
                for (tag, field) in (0..).zip(record.fields()) {
                    digest.note(tag, number(field));
                }
            }
        }
    }
    digest
}

/// Templates of all routers are alike, so one map serves.
fn taught(input: &Input) -> TemplatesMap {
    let mut templates = HashMap::new();
    for octets in &input.templates {
        let taught = IpfixPacket::parse(&mut SliceReader::new(octets), &mut templates);
        debug_assert!(taught.is_ok());
    }
    templates
}

fn number(field: &Field) -> u64 {
    match field {
        Field::sourceIPv4Address(address)
        | Field::destinationIPv4Address(address)
        | Field::ipNextHopIPv4Address(address) => u64::from(address.to_bits()),
        Field::ingressInterface(n)
        | Field::egressInterface(n)
        | Field::bgpSourceAsNumber(n)
        | Field::bgpDestinationAsNumber(n) => u64::from(*n),
        Field::packetDeltaCount(n) | Field::octetDeltaCount(n) => *n,
        Field::flowStartMilliseconds(time) | Field::flowEndMilliseconds(time) => {
            time.timestamp_millis().cast_unsigned()
        }
        Field::sourceTransportPort(n) | Field::destinationTransportPort(n) | Field::vlanId(n) => {
            u64::from(*n)
        }
        Field::protocolIdentifier(protocol) => u64::from(u8::from(*protocol)),
        Field::tcpControlBits(flags) => u64::from(u8::from(*flags)),
        Field::ipClassOfService(n)
        | Field::ipVersion(n)
        | Field::sourceIPv4PrefixLength(n)
        | Field::destinationIPv4PrefixLength(n)
        | Field::ipTTL(n) => u64::from(*n),
        Field::flowEndReason(reason) => u64::from(u8::from(*reason)),
        Field::flowDirection(direction) => u64::from(u8::from(*direction)),
        _ => u64::MAX,
    }
}

/// Walks a corpus: every message decoded, every attribute and NLRI visited.
#[must_use]
pub fn walk(corpus: &Corpus) -> Walked {
    let mut context = BmpParsingContext::default();
    let mut opening = SliceReader::new(&corpus.opening);
    while !opening.is_empty() && BmpMessage::parse(&mut opening, &mut context).is_ok() {}
    let mut walked = Walked::default();
    let mut octets = SliceReader::new(&corpus.octets);
    while !octets.is_empty() {
        let Ok(message) = BmpMessage::parse(&mut octets, &mut context) else { break };
        if let BmpMessage::V3(v3::BmpMessageValue::RouteMonitoring(monitoring)) = &message
            && let BgpMessage::Update(update) = monitoring.update_message()
        {
            walked.messages += 1;
            visit(update, &mut walked);
        }
    }
    walked
}

fn visit(update: &BgpUpdateMessage, walked: &mut Walked) {
    let mut digest = Digest::default();
    for attribute in update.path_attributes() {
        value(attribute.value(), &mut digest, walked);
    }
    for (tag, routes) in [(tag::WITHDRAWN, update.withdraw_routes()), (tag::ANNOUNCED, update.nlri())] {
        for route in routes {
            let net = route.network().address();
            digest.note(tag, u64::from(net.prefix_len()) << 40 | u64::from(net.addr().to_bits()));
            walked.routes += 1;
        }
    }
    walked.digest.close(digest);
}

fn value(value: &PathAttributeValue, digest: &mut Digest, walked: &mut Walked) {
    use PathAttributeValue as V;
    match value {
        V::Origin(origin) => digest.note(1, u64::from(*origin as u8)),
        V::AsPath(AsPath::As4PathSegments(segments)) => {
            for segment in segments.iter() {
                digest.note(tag::SEGMENT, segment.as_numbers().len() as u64);
                segment.as_numbers().iter().for_each(|&number| digest.note(2, u64::from(number)));
            }
        }
        V::NextHop(next_hop) => digest.note(3, u64::from(next_hop.next_hop().to_bits())),
        V::MultiExitDiscriminator(med) => digest.note(4, u64::from(med.metric())),
        V::LocalPreference(preference) => digest.note(5, u64::from(preference.metric())),
        V::AtomicAggregate(_) => digest.note(6, 0),
        V::Aggregator(Aggregator::As4Aggregator(aggregator)) => {
            digest.note(7, u64::from(*aggregator.asn()));
            digest.note(tag::AGGREGATOR_ADDRESS, u64::from(aggregator.origin().to_bits()));
        }
        V::Communities(list) => {
            list.communities().iter().for_each(|community| digest.note(8, u64::from(community.value())));
        }
        V::Originator(originator) => digest.note(9, u64::from(originator.id().to_bits())),
        V::ClusterList(list) => {
            list.cluster_list().iter().for_each(|cluster| digest.note(10, u64::from(cluster.id().to_bits())));
        }
        V::ExtendedCommunities(list) => {
            for community in list.communities() {
                let ExtendedCommunity::TransitiveTwoOctet(TransitiveTwoOctetExtendedCommunity::RouteTarget {
                    global_admin,
                    local_admin,
                }) = community
                else {
                    continue;
                };
                digest.note(16, 2 << 48 | u64::from(*global_admin) << 32 | u64::from(*local_admin));
            }
        }
        V::LargeCommunities(list) => {
            for community in list.communities() {
                digest.note(32, u64::from(community.global_admin()));
                let data = u64::from(community.local_data1()) << 32 | u64::from(community.local_data2());
                digest.note(tag::LARGE_DATA, data);
            }
        }
        V::MpReach(MpReach::Ipv6Unicast { next_hop_global, next_hop_local, nlri }) => {
            digest.note_wide(tag::NEXT_HOP_6, next_hop_global.to_bits());
            if let Some(local) = next_hop_local {
                digest.note_wide(tag::LINK_LOCAL, local.to_bits());
            }
            for route in nlri.iter() {
                note_ipv6(
                    tag::ANNOUNCED,
                    IpAddr::V6(route.network().address().addr()),
                    route.network().address().prefix_len(),
                    digest,
                );
                walked.routes += 1;
            }
        }
        V::MpUnreach(MpUnreach::Ipv6Unicast { nlri }) => {
            for route in nlri.iter() {
                note_ipv6(
                    tag::WITHDRAWN,
                    IpAddr::V6(route.network().address().addr()),
                    route.network().address().prefix_len(),
                    digest,
                );
                walked.routes += 1;
            }
        }
        _ => digest.note(255, u64::MAX),
    }
}

fn note_ipv6(tag: u8, address: IpAddr, length: u8, digest: &mut Digest) {
    if let IpAddr::V6(address) = address {
        digest.note_wide(tag, address.to_bits() ^ u128::from(u64::from(length) << 40));
    }
}
