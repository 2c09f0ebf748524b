//! BMP octets in, every message framed, its UPDATE judged by RFC 7606, every attribute and every NLRI read.

use std::net::IpAddr;

use wire::bgp::attribute::Value;
use wire::bgp::{Action, IpVersion, NextHop, Nlri, Prefix, Routes, Session, Update};
use wire::bmp::{Framed, Message, frame};

use crate::corpus::Corpus;
use crate::digest::Digest;

/// What a walk over a corpus came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Route Monitoring messages.
    pub messages: u64,
    /// NLRI in them.
    pub routes: u64,
    /// Defects that RFC 7606 has a verdict on.
    pub findings: u64,
    /// Everything that was read.
    pub digest: Digest,
}

/// Kinds of values, told apart in digests: attributes have their codes.
pub mod tag {
    #![expect(missing_docs, reason = "the names say it")]
    pub const ANNOUNCED: u8 = 200;
    pub const WITHDRAWN: u8 = 201;
    pub const NEXT_HOP_6: u8 = 202;
    pub const LINK_LOCAL: u8 = 203;
    pub const AGGREGATOR_ADDRESS: u8 = 204;
    pub const SEGMENT: u8 = 205;
    pub const LARGE_DATA: u8 = 206;
}

/// Our side: wire's views over the octets as a stream has them.
#[must_use]
pub fn walk(corpus: &Corpus) -> Walked {
    let rules = Session::FOUR_OCTET;
    let mut walked = Walked::default();
    let mut rest = &corpus.octets[..];
    while let Framed::Whole(framed) = frame(rest, 1 << 20) {
        rest = &rest[framed.octets.len()..];
        let Ok(Message::RouteMonitoring(monitoring)) = framed.message() else { continue };
        let Ok(update) = monitoring.update() else { continue };
        walked.messages += 1;
        self::update(&update, &rules, &mut walked);
    }
    walked
}

fn update(update: &Update<'_>, rules: &Session, walked: &mut Walked) {
    let mut digest = Digest::default();
    let mut judge = update.judge(rules);
    judge.each(|judged| {
        walked.findings += u64::from(judged.finding.is_some());
        value(judged.attribute.code, &judged.value, &mut digest);
    });
    walked.findings += judge.finish(update).count() as u64;
    for routes in judge.routes(update) {
        match routes {
            Ok(routes) => self::routes(&routes, rules, walked, &mut digest),
            Err(_) => walked.findings += 1,
        }
    }
    walked.digest.close(digest);
}

#[inline(never)]
fn routes(routes: &Routes<'_>, rules: &Session, walked: &mut Walked, digest: &mut Digest) {
    let tag = if routes.action == Action::Announce { tag::ANNOUNCED } else { tag::WITHDRAWN };
    let (mut read, mut bad, mut sum) = (0, 0, Digest::default());
    routes.entries(rules).for_each(|entry| {
        match entry.map(|entry| entry.nlri) {
            Ok(Nlri::Prefix(prefix)) => note_prefix(tag, &prefix, &mut sum),
            Ok(_) | Err(_) => bad += 1,
        }
        read += 1;
    });
    digest.merge(sum);
    walked.routes += read;
    walked.findings += bad;
}

#[inline]
fn note_prefix(tag: u8, prefix: &Prefix, digest: &mut Digest) {
    let length = u64::from(prefix.length) << 40;
    match prefix.version {
        IpVersion::V4 => {
            let [a, b, c, d, ..] = prefix.octets;
            digest.note(tag, length | u64::from(u32::from_be_bytes([a, b, c, d])));
        }
        IpVersion::V6 => digest.note_wide(tag, u128::from_be_bytes(prefix.octets) ^ u128::from(length)),
    }
}

#[inline]
#[expect(clippy::wildcard_enum_match_arm, reason = "the corpus has no others, and their digest would differ")]
fn value(code: u8, value: &Value<'_>, digest: &mut Digest) {
    match value {
        Value::Origin(origin) => digest.note(code, *origin as u64),
        Value::AsPath(path) => {
            for segment in path.segments() {
                digest.note(tag::SEGMENT, segment.len() as u64);
                segment.numbers().for_each(|number| digest.note(code, u64::from(number)));
            }
        }
        Value::NextHop(address) | Value::OriginatorId(address) => {
            digest.note(code, u64::from(address.to_bits()));
        }
        Value::MultiExitDisc(number) | Value::LocalPref(number) => digest.note(code, u64::from(*number)),
        Value::AtomicAggregate => digest.note(code, 0),
        Value::Aggregator(aggregator) => {
            digest.note(code, u64::from(aggregator.autonomous_system));
            digest.note(tag::AGGREGATOR_ADDRESS, u64::from(aggregator.address.to_bits()));
        }
        Value::Communities(communities) => {
            communities.for_each(|community| digest.note(code, u64::from(community.0)));
        }
        Value::ClusterList(list) => list.for_each(|id| digest.note(code, u64::from(id.to_bits()))),
        Value::ExtendedCommunities(communities) => {
            communities.for_each(|community| digest.note(code, u64::from_be_bytes(community.0)));
        }
        Value::LargeCommunities(communities) => communities.for_each(|community| {
            digest.note(code, u64::from(community.administrator));
            digest.note(tag::LARGE_DATA, u64::from(community.first) << 32 | u64::from(community.second));
        }),
        Value::MpReach(reach) => match reach.next_hop {
            NextHop::Address(IpAddr::V6(address)) => digest.note_wide(tag::NEXT_HOP_6, address.to_bits()),
            NextHop::WithLinkLocal(address, local) => {
                digest.note_wide(tag::NEXT_HOP_6, address.to_bits());
                digest.note_wide(tag::LINK_LOCAL, local.to_bits());
            }
            NextHop::Address(IpAddr::V4(_)) | NextHop::Absent | NextHop::Raw(_) => {}
        },
        // Its routes are all it holds.
        Value::MpUnreach(_) => {}
        _ => digest.note(code, u64::MAX),
    }
}
