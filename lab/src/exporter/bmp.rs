//! The BMP side of a router: one session with one peer, and the table that its flows are joined with.
//!
//! In: the router's state. Out: octets of whole BMP messages to be written to a stream, counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use wire::bgp::attribute::Origin;
use wire::bgp::{AsWidth, Community, Family, Prefix, SegmentKind};
use wire::bmp::PeerHeader;
use wire::emit::bgp::{Open, Update, end_of_rib, next_hop_octets, put_prefix};
use wire::emit::bmp;

use super::{Router, SHARED};

/// AS of every router.
const OWN_AS: u32 = 64_496;
/// AS of every router's only peer, the first of every path.
const PEER_AS: u32 = 64_500;

impl Router {
    /// Initiation and Peer Up: what a session begins with.
    #[must_use]
    pub fn opening(&mut self) -> Vec<u8> {
        let mut octets = bmp::initiation(&format!("router-{}", self.index), "population of the test kit");
        let open = |number: u32, id: Ipv4Addr| {
            let mut open = Open::new(number, 90, id);
            open.multiprotocol(self.family()).four_octet_as();
            open.finish()
        };
        let own = open(OWN_AS, Ipv4Addr::new(192, 0, 2, 1));
        let received = open(PEER_AS, Ipv4Addr::new(192, 0, 2, 2));
        octets.extend(bmp::peer_up(&self.peer(), (self.address(), 179), 40_000, &own, &received, &[]));
        self.counts.bmp_messages += 2;
        octets
    }

    /// The whole table and its End-of-RIB.
    #[must_use]
    pub fn table(&mut self) -> Vec<u8> {
        let mut octets = self.announce(0..self.routes);
        octets.extend(bmp::route_monitoring(&self.peer(), &end_of_rib(self.family())));
        self.counts.bmp_messages += 1;
        octets
    }

    /// Route Monitoring for these of its prefixes, [`SHARED`] to a message where they have one path.
    #[must_use]
    pub fn announce(&mut self, prefixes: Range<u32>) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut next = prefixes.start;
        while next < prefixes.end {
            let end = ((next / SHARED + 1) * SHARED).min(prefixes.end);
            octets.extend(bmp::route_monitoring(&self.peer(), &self.update(next..end)));
            self.counts.bmp_messages += 1;
            self.counts.announced += u64::from(end - next);
            next = end;
        }
        octets
    }

    /// Route Monitoring that takes one prefix away again.
    #[must_use]
    pub fn withdraw(&mut self, nth: u32) -> Vec<u8> {
        let mut update = Update::new(AsWidth::Four);
        let prefix = self.wire_prefix(nth);
        if self.is_ipv6() {
            let mut nlri = Vec::new();
            put_prefix(&mut nlri, None, &prefix);
            update.mp_unreach(Family::IPV6_UNICAST, &nlri);
        } else {
            update.withdraw(None, &prefix);
        }
        self.counts.bmp_messages += 1;
        self.counts.withdrawn += 1;
        bmp::route_monitoring(&self.peer(), &update.finish())
    }

    /// Termination: administratively closed (reason 0).
    #[must_use]
    pub fn closing(&mut self) -> Vec<u8> {
        self.counts.bmp_messages += 1;
        bmp::termination(0, "end of the population")
    }

    /// Prefixes of one path: the first one's path is that of all.
    fn update(&self, prefixes: Range<u32>) -> Vec<u8> {
        let mut update = Update::new(AsWidth::Four);
        let path = self.as_path(prefixes.start);
        update
            .origin(Origin::Igp)
            .as_path(&[(SegmentKind::Sequence, &path)])
            .multi_exit_disc(prefixes.start)
            .communities(&[Community((64_500 << 16) | (self.index & 0xffff)), Community(64_501 << 16)]);
        if self.is_ipv6() {
            let mut nlri = Vec::new();
            for nth in prefixes {
                put_prefix(&mut nlri, None, &self.wire_prefix(nth));
            }
            let next_hop = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 1));
            let next_hop = next_hop_octets(Family::IPV6_UNICAST, next_hop, None);
            update.mp_reach(Family::IPV6_UNICAST, &next_hop, &nlri);
        } else {
            update.next_hop(Ipv4Addr::new(192, 0, 2, 1));
            for nth in prefixes {
                update.announce(None, &self.wire_prefix(nth));
            }
        }
        update.finish()
    }

    fn wire_prefix(&self, nth: u32) -> Prefix {
        let (address, length) = self.prefix(nth);
        Prefix::new(address, length)
    }

    const fn family(&self) -> Family {
        if self.is_ipv6() { Family::IPV6_UNICAST } else { Family::IPV4_UNICAST }
    }

    fn peer(&self) -> PeerHeader {
        let address = if self.is_ipv6() {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 1))
        } else {
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))
        };
        bmp::peer(address, PEER_AS, Ipv4Addr::new(192, 0, 2, 2))
    }
}

#[cfg(test)]
mod tests {
    use super::super::population;

    /// Version 3, a length that leads to the next message, and as many of them as were counted.
    #[test]
    fn messages_are_framed_and_counted() {
        for mut router in population(4, 25, 1) {
            let mut octets = router.opening();
            octets.extend(router.table());
            octets.extend(router.withdraw(3));
            octets.extend(router.closing());
            let mut kinds = Vec::new();
            let mut rest = octets.as_slice();
            while !rest.is_empty() {
                assert_eq!(rest[0], 3);
                let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
                kinds.push(rest[5]);
                rest = &rest[length..];
            }
            // Initiation, Peer Up, 25 prefixes in 3 messages, End-of-RIB, a withdrawal, Termination.
            assert_eq!(kinds, [4, 3, 0, 0, 0, 0, 0, 5]);
            let counts = router.counts();
            assert_eq!((counts.bmp_messages, counts.announced, counts.withdrawn), (8, 25, 1));
        }
    }
}
