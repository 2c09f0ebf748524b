//! bgpkit-parser 0.23: messages become owned vectors of prefixes and attributes.

use bgpkit_parser::models::{
    AsPathSegment, AttributeValue, BgpMessage, BgpUpdateMessage, Community, ExtendedCommunity, NextHopAddress,
};
use bgpkit_parser::parse_bmp_msg;
use bgpkit_parser::parser::bmp::messages::BmpMessageBody;
use bytes::Bytes;
use std::net::IpAddr;

use crate::bmp::{Walked, tag};
use crate::corpus::Corpus;
use crate::digest::Digest;

/// Walks a corpus: every message decoded, every attribute and NLRI visited. `octets` are those of the corpus.
#[must_use]
pub fn walk(octets: &Bytes) -> Walked {
    let mut walked = Walked::default();
    let mut rest = octets.clone();
    while !rest.is_empty() {
        let Ok(message) = parse_bmp_msg(&mut rest) else { break };
        if let BmpMessageBody::RouteMonitoring(monitoring) = &message.message_body
            && let BgpMessage::Update(update) = &monitoring.bgp_message
        {
            walked.messages += 1;
            visit(update, &mut walked);
        }
    }
    walked
}

/// The octets of a corpus as this crate wants them.
#[must_use]
pub fn octets(corpus: &Corpus) -> Bytes {
    Bytes::copy_from_slice(&corpus.octets)
}

fn visit(update: &BgpUpdateMessage, walked: &mut Walked) {
    let mut digest = Digest::default();
    for attribute in &update.attributes {
        value(attribute, &mut digest, walked);
    }
    for (tag, prefixes) in
        [(tag::WITHDRAWN, &update.withdrawn_prefixes), (tag::ANNOUNCED, &update.announced_prefixes)]
    {
        for prefix in prefixes {
            note(tag, prefix.prefix.addr(), prefix.prefix.prefix_len(), &mut digest);
            walked.routes += 1;
        }
    }
    walked.digest.close(digest);
}

fn value(value: &AttributeValue, digest: &mut Digest, walked: &mut Walked) {
    use AttributeValue as V;
    match value {
        V::Origin(origin) => digest.note(1, u64::from(u8::from(*origin))),
        V::AsPath(path) => {
            for segment in &path.segments {
                let (AsPathSegment::AsSequence(numbers)
                | AsPathSegment::AsSet(numbers)
                | AsPathSegment::ConfedSequence(numbers)
                | AsPathSegment::ConfedSet(numbers)) = segment;
                digest.note(tag::SEGMENT, numbers.len() as u64);
                numbers.iter().for_each(|number| digest.note(2, u64::from(number.to_u32())));
            }
        }
        V::NextHop(IpAddr::V4(address)) => digest.note(3, u64::from(address.to_bits())),
        V::MultiExitDiscriminator(metric) => digest.note(4, u64::from(*metric)),
        V::LocalPreference(preference) => digest.note(5, u64::from(*preference)),
        V::AtomicAggregate => digest.note(6, 0),
        V::Aggregator { asn, id } => {
            digest.note(7, u64::from(asn.to_u32()));
            digest.note(tag::AGGREGATOR_ADDRESS, u64::from(id.to_bits()));
        }
        V::Communities(list) => {
            for community in list {
                if let Community::Custom(asn, low) = community {
                    digest.note(8, u64::from(asn.to_u32()) << 16 | u64::from(*low));
                }
            }
        }
        V::OriginatorId(id) => digest.note(9, u64::from(id.to_bits())),
        V::Clusters(list) => list.iter().for_each(|id| digest.note(10, u64::from(*id))),
        V::ExtendedCommunities(list) => {
            for community in list {
                let ExtendedCommunity::TransitiveTwoOctetAs(target) = community else { continue };
                let local = u64::from(u32::from_be_bytes(target.local_admin));
                let subtype = u64::from(target.subtype) << 48;
                digest.note(16, subtype | u64::from(target.global_admin.to_u32()) << 32 | local);
            }
        }
        V::LargeCommunities(list) => {
            for community in list {
                digest.note(32, u64::from(community.global_admin));
                let [first, second] = community.local_data;
                digest.note(tag::LARGE_DATA, u64::from(first) << 32 | u64::from(second));
            }
        }
        V::MpReachNlri(nlri) => {
            match nlri.next_hop {
                Some(NextHopAddress::Ipv6(address)) => digest.note_wide(tag::NEXT_HOP_6, address.to_bits()),
                Some(NextHopAddress::Ipv6LinkLocal(address, local)) => {
                    digest.note_wide(tag::NEXT_HOP_6, address.to_bits());
                    digest.note_wide(tag::LINK_LOCAL, local.to_bits());
                }
                _ => {}
            }
            for prefix in &nlri.prefixes {
                note(tag::ANNOUNCED, prefix.prefix.addr(), prefix.prefix.prefix_len(), digest);
                walked.routes += 1;
            }
        }
        V::MpUnreachNlri(nlri) => {
            for prefix in &nlri.prefixes {
                note(tag::WITHDRAWN, prefix.prefix.addr(), prefix.prefix.prefix_len(), digest);
                walked.routes += 1;
            }
        }
        _ => digest.note(255, u64::MAX),
    }
}

fn note(tag: u8, address: IpAddr, length: u8, digest: &mut Digest) {
    let length = u64::from(length) << 40;
    match address {
        IpAddr::V4(address) => digest.note(tag, length | u64::from(address.to_bits())),
        IpAddr::V6(address) => digest.note_wide(tag, address.to_bits() ^ u128::from(length)),
    }
}
