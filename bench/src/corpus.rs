//! A seed in, BMP octets out: one session of many varied Route Monitoring messages, the same for the same seed.
//!
//! The recipe, for each message: one in four is IPv6; one in sixteen withdraws. The number of NLRI is spread evenly
//! over the logarithm of 1 to 200. AS paths have 1 to 12 numbers, one in sixteen ends in a set. MED is there in
//! half of them, communities (1 to 20) in seven of ten, LOCAL_PREF in three, large communities (1 to 8), route
//! targets (1 to 6) and the attributes of a route reflector in two each, an aggregator in one. Nothing is malformed:
//! peers give up a whole message for what we would only note.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::bgp::attribute::Origin;
use wire::bgp::{AsWidth, Community, ExtendedCommunity, Family, LargeCommunity, Prefix, SegmentKind};
use wire::bmp::PeerHeader;
use wire::emit::bgp::{Open, Update, next_hop_octets, put_prefix};
use wire::emit::bmp;

use crate::random::Random;

/// AS of the peer.
const PEER_AS: u32 = 64_500;

/// BMP octets of one session.
#[derive(Debug)]
pub struct Corpus {
    /// Initiation and Peer Up.
    pub opening: Vec<u8>,
    /// Route Monitoring messages, one after the other.
    pub octets: Vec<u8>,
    /// Where each of them ends.
    pub ends: Vec<usize>,
    /// NLRI in all of them.
    pub routes: u64,
}

impl Corpus {
    /// Messages of at least `octets` octets, and at least 4,096 of them.
    #[must_use]
    pub fn new(octets: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut corpus = Self { opening: opening(), octets: Vec::new(), ends: Vec::new(), routes: 0 };
        let peer = peer();
        while corpus.octets.len() < octets || corpus.ends.len() < 4_096 {
            let (update, routes) = update(&mut random);
            corpus.octets.extend(bmp::route_monitoring(&peer, &update));
            corpus.ends.push(corpus.octets.len());
            corpus.routes += u64::from(routes);
        }
        corpus
    }

    /// Messages of Route Monitoring.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Each message.
    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.octets[start..end])
    }
}

fn peer() -> PeerHeader {
    bmp::peer(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), PEER_AS, Ipv4Addr::new(192, 0, 2, 2))
}

fn opening() -> Vec<u8> {
    let open = |number: u32| {
        let mut open = Open::new(number, 90, Ipv4Addr::new(192, 0, 2, 2));
        open.multiprotocol(Family::IPV4_UNICAST).multiprotocol(Family::IPV6_UNICAST).four_octet_as();
        open.finish()
    };
    let local = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3)), 179);
    [
        bmp::initiation("corpus", "varied"),
        bmp::peer_up(&peer(), local, 40_000, &open(64_496), &open(PEER_AS), &[]),
    ]
    .concat()
}

/// An UPDATE and how many NLRI it has.
fn update(random: &mut Random) -> (Vec<u8>, u32) {
    let mut update = Update::new(AsWidth::Four);
    let is_ipv6 = random.one_in(4);
    let routes = count(random);
    let prefixes: Vec<Prefix> = (0..routes).map(|_| prefix(random, is_ipv6)).collect();
    if random.one_in(16) {
        if is_ipv6 {
            update.mp_unreach(Family::IPV6_UNICAST, &nlri(&prefixes));
        } else {
            for prefix in &prefixes {
                update.withdraw(None, prefix);
            }
        }
        return (update.finish(), routes);
    }
    attributes(&mut update, random);
    if is_ipv6 {
        let host = u128::from(1 + random.below(4_000));
        let global = Ipv6Addr::from(0x2001_0db8_0000_000c_u128 << 64 | host);
        let link_local = random.one_in(2).then(|| Ipv6Addr::from(0xfe80_u128 << 112 | host));
        let next_hop = next_hop_octets(Family::IPV6_UNICAST, IpAddr::V6(global), link_local);
        update.mp_reach(Family::IPV6_UNICAST, &next_hop, &nlri(&prefixes));
    } else {
        update.next_hop(Ipv4Addr::from(0xc000_0200 | (1 + random.below(250))));
        for prefix in &prefixes {
            update.announce(None, prefix);
        }
    }
    (update.finish(), routes)
}

fn attributes(update: &mut Update, random: &mut Random) {
    update.origin([Origin::Igp, Origin::Egp, Origin::Incomplete][random.below(3) as usize]);
    let path: Vec<u32> = (0..=random.below(12)).map(|_| number(random)).collect();
    let set: Vec<u32> = (0..=random.below(4)).map(|_| number(random)).collect();
    if random.one_in(16) {
        update.as_path(&[(SegmentKind::Sequence, &path), (SegmentKind::Set, &set)]);
    } else {
        update.as_path(&[(SegmentKind::Sequence, &path)]);
    }
    if random.one_in(2) {
        update.multi_exit_disc(random.below(1_000));
    }
    if random.below(10) < 3 {
        update.local_pref(100 + random.below(100));
    }
    if random.one_in(20) {
        update.attribute(0x40, 6, &[]); // ATOMIC_AGGREGATE
    }
    if random.one_in(10) {
        let aggregator = [number(random).to_be_bytes(), random.below(u32::MAX).to_be_bytes()].concat();
        update.attribute(0xc0, 7, &aggregator);
    }
    if random.below(10) < 7 {
        let communities: Vec<Community> =
            (0..=random.below(20)).map(|_| Community(64_500 << 16 | random.below(65_000))).collect();
        update.communities(&communities);
    }
    if random.one_in(5) {
        update.attribute(0x80, 9, &random.below(u32::MAX).to_be_bytes()); // ORIGINATOR_ID
        let clusters: Vec<u8> =
            (0..=random.below(3)).flat_map(|_| random.below(u32::MAX).to_be_bytes()).collect();
        update.attribute(0x80, 10, &clusters);
    }
    if random.one_in(5) {
        let targets: Vec<ExtendedCommunity> = (0..=random.below(6))
            .map(|_| {
                let [a, b, c, d] = random.below(u32::MAX).to_be_bytes();
                ExtendedCommunity([0, 2, 0xfb, 0xf4, a, b, c, d])
            })
            .collect();
        update.extended_communities(&targets);
    }
    if random.one_in(5) {
        let communities: Vec<LargeCommunity> = (0..=random.below(8))
            .map(|_| LargeCommunity {
                administrator: number(random),
                first: random.below(1_000),
                second: random.below(u32::MAX),
            })
            .collect();
        update.large_communities(&communities);
    }
}

/// 1 to 200, as often between 1 and 14 as between 14 and 200.
fn count(random: &mut Random) -> u32 {
    let power = f64::from(random.below(1 << 20)) / f64::from(1_u32 << 20);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 200")]
    let count = 201_f64.powf(power) as u32;
    count.clamp(1, 200)
}

/// An AS number, one in four of those that need 32 bits.
fn number(random: &mut Random) -> u32 {
    if random.one_in(4) { 131_072 + random.below(300_000) } else { 1 + random.below(64_000) }
}

/// Lengths as a full table has them: most IPv4 prefixes are /24, most IPv6 ones /48.
fn prefix(random: &mut Random, is_ipv6: bool) -> Prefix {
    if is_ipv6 {
        let length = [48, 48, 48, 32, 36, 40, 44, 29][random.below(8) as usize];
        let bits = 0x2_u128 << 124 | u128::from(random.next()) << 60;
        Prefix::new(IpAddr::V6(Ipv6Addr::from(bits)), length)
    } else {
        let length =
            [24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 20, 19, 18, 17, 16, 12][random.below(16) as usize];
        let bits = (1 + random.below(222)) << 24 | random.below(1 << 24);
        Prefix::new(IpAddr::V4(Ipv4Addr::from(bits)), length)
    }
}

fn nlri(prefixes: &[Prefix]) -> Vec<u8> {
    let mut nlri = Vec::new();
    prefixes.iter().for_each(|prefix| put_prefix(&mut nlri, None, prefix));
    nlri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_is_varied_sound_and_the_same_again() {
        let corpus = Corpus::new(0, 7);
        assert_eq!(corpus.messages(), 4_096);
        let mut distinct: Vec<&[u8]> = corpus.each().collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 4_096);
        assert_eq!(corpus.octets, Corpus::new(0, 7).octets);
        let walked = crate::bmp::walk(&corpus);
        assert_eq!((walked.messages, walked.routes, walked.findings), (4_096, corpus.routes, 0));
    }
}
