//! The flow side of a router: template and data messages of one 23-field template a family.
//!
//! In: the router's state. Out: whole messages, counted. Sequence numbers follow the protocol's own rule: records
//! sent before (IPFIX), packets sent before (NetFlow v9).

use std::net::IpAddr;

use wire::emit::{ipfix, netflow};
use wire::ipfix::template::Field;

use super::{Protocol, Router};

/// Template id of IPv4 flows.
pub const TEMPLATE_V4: u16 = 256;
/// Template id of IPv6 flows.
pub const TEMPLATE_V6: u16 = 257;

/// Seconds since 1970 of everything a population exports: constant, so that octets are.
const EXPORT_TIME: u32 = 1_700_000_000;
/// Milliseconds of uptime in NetFlow v9 headers.
const UPTIME_MS: u32 = 3_600_000;

const fn fields(source: (u16, u16), destination: (u16, u16), next_hop: (u16, u16)) -> [Field; 23] {
    [
        Field::iana(source.0, source.1),
        Field::iana(destination.0, destination.1),
        Field::iana(next_hop.0, next_hop.1),
        Field::iana(10, 4),  // ingressInterface
        Field::iana(14, 4),  // egressInterface
        Field::iana(2, 8),   // packetDeltaCount
        Field::iana(1, 8),   // octetDeltaCount
        Field::iana(152, 8), // flowStartMilliseconds
        Field::iana(153, 8), // flowEndMilliseconds
        Field::iana(7, 2),   // sourceTransportPort
        Field::iana(11, 2),  // destinationTransportPort
        Field::iana(4, 1),   // protocolIdentifier
        Field::iana(6, 2),   // tcpControlBits
        Field::iana(5, 1),   // ipClassOfService
        Field::iana(136, 1), // flowEndReason
        Field::iana(61, 1),  // flowDirection
        Field::iana(60, 1),  // ipVersion
        Field::iana(9, 1),   // sourceIPv4PrefixLength
        Field::iana(13, 1),  // destinationIPv4PrefixLength
        Field::iana(16, 4),  // bgpSourceAsNumber
        Field::iana(17, 4),  // bgpDestinationAsNumber
        Field::iana(58, 2),  // vlanId
        Field::iana(192, 1), // ipTTL
    ]
}

/// Fields of an IPv4 flow: 76 octets a record.
pub const FIELDS_V4: [Field; 23] = fields((8, 4), (12, 4), (15, 4));
/// Fields of an IPv6 flow: 112 octets a record.
pub const FIELDS_V6: [Field; 23] = fields((27, 16), (28, 16), (62, 16));

impl Router {
    /// A message that holds the template of this router's flows and nothing else.
    #[must_use]
    pub fn template(&mut self) -> Vec<u8> {
        self.counts.sets += 1;
        self.counts.templates += 1;
        let (id, fields) = self.flow_template();
        self.message(
            |message| {
                message.template(id, fields);
            },
            |packet| {
                packet.template(id, fields);
            },
        )
    }

    /// A message with one data set of `records` flows.
    #[must_use]
    pub fn flows(&mut self, records: u16) -> Vec<u8> {
        let (id, _) = self.flow_template();
        let mut body = Vec::new();
        for _ in 0..records {
            self.record(&mut body);
        }
        self.counts.sets += 1;
        let octets = self.message(
            |message| {
                message.raw(id, &body, u32::from(records));
            },
            |packet| {
                packet.raw(id, &body, records);
            },
        );
        // After the message: IPFIX numbers it by the records before it.
        self.counts.records += u64::from(records);
        octets
    }

    const fn flow_template(&self) -> (u16, &'static [Field; 23]) {
        if self.is_ipv6() { (TEMPLATE_V6, &FIELDS_V6) } else { (TEMPLATE_V4, &FIELDS_V4) }
    }

    fn message(
        &mut self,
        ipfix: impl FnOnce(&mut ipfix::Message),
        netflow: impl FnOnce(&mut netflow::Packet),
    ) -> Vec<u8> {
        let wrapped = |count: u64| u32::try_from(count & u64::from(u32::MAX)).expect("32 bits");
        let octets = match self.protocol {
            Protocol::Ipfix => {
                let mut message = ipfix::Message::new(EXPORT_TIME, wrapped(self.counts.records), 1);
                ipfix(&mut message);
                message.finish()
            }
            Protocol::NetFlow9 => {
                let mut packet =
                    netflow::Packet::new(UPTIME_MS, EXPORT_TIME, wrapped(self.counts.messages), 1);
                netflow(&mut packet);
                packet.finish()
            }
        };
        self.counts.messages += 1;
        octets
    }

    /// One flow in the order of `fields`; seven of eight go to a prefix that this router announces.
    fn record(&mut self, body: &mut Vec<u8>) {
        let routed = self.random.below(8) != 0;
        let (nth, host) =
            (self.random.below(self.routes), u8::try_from(1 + self.random.below(250)).expect("one octet"));
        let packets = 1 + u64::from(self.random.below(1_000));
        let octets = packets * u64::from(64 + self.random.below(1_400));
        let start_ms = u64::from(EXPORT_TIME) * 1_000 - u64::from(self.random.below(60_000));
        let (source, destination, next_hop) = if self.is_ipv6() {
            let far =
                if routed { self.prefix(nth).0 } else { "2001:db8:eeee::".parse().expect("an address") };
            (
                octets_of("2001:db8:b::".parse().expect("an address"), host),
                octets_of(far, host),
                octets_of("2001:db8:c::".parse().expect("an address"), 1),
            )
        } else {
            let far = if routed { self.prefix(nth).0 } else { "203.0.113.0".parse().expect("an address") };
            (
                octets_of("172.16.0.0".parse().expect("an address"), host),
                octets_of(far, host),
                octets_of("192.0.2.0".parse().expect("an address"), 1),
            )
        };
        body.extend(source);
        body.extend(destination);
        body.extend(next_hop);
        body.extend((1 + self.random.below(64)).to_be_bytes());
        body.extend((1 + self.random.below(64)).to_be_bytes());
        body.extend(packets.to_be_bytes());
        body.extend(octets.to_be_bytes());
        body.extend(start_ms.to_be_bytes());
        body.extend((start_ms + packets).to_be_bytes());
        body.extend(u16::try_from(1_024 + self.random.below(60_000)).expect("a port").to_be_bytes());
        body.extend(443_u16.to_be_bytes());
        body.push(if self.random.below(4) == 0 { 17 } else { 6 });
        body.extend(0x1b_u16.to_be_bytes());
        body.push(0);
        body.push(1);
        body.push(0);
        body.push(if self.is_ipv6() { 6 } else { 4 });
        body.push(24);
        body.push(24);
        body.extend((4_200_000_000 + self.index).to_be_bytes());
        body.extend(self.as_path(nth)[2].to_be_bytes());
        body.extend(0_u16.to_be_bytes());
        body.push(64);
        self.counts.routed += u64::from(routed);
        self.counts.packets += packets;
        self.counts.octets += octets;
    }
}

/// The network's address with another last octet.
fn octets_of(network: IpAddr, host: u8) -> Vec<u8> {
    let mut octets = match network {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    if let Some(last) = octets.last_mut() {
        *last = host;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::super::{Counts, population};
    use super::*;

    /// Record sizes by the sum of the template's lengths.
    #[test]
    fn templates_say_what_records_are() {
        let octets = |fields: &[Field]| fields.iter().map(|field| usize::from(field.length)).sum::<usize>();
        assert_eq!((octets(&FIELDS_V4), octets(&FIELDS_V6)), (76, 112));
        for mut router in population(4, 10, 1) {
            let mut body = Vec::new();
            router.record(&mut body);
            assert_eq!(body.len(), octets(router.flow_template().1));
        }
    }

    /// 16 + 4 + 20 x 76 octets of IPFIX; its sequence number is the records before it.
    #[test]
    fn ipfix_counts_records_and_netflow_counts_packets() {
        let mut routers = population(2, 100, 7);
        for router in &mut routers {
            let _ = (router.template(), router.flows(20), router.flows(20));
            let message = router.flows(20);
            let at = if router.protocol() == Protocol::Ipfix { 8 } else { 12 };
            let sequence = u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
            assert_eq!(sequence, if router.protocol() == Protocol::Ipfix { 40 } else { 3 });
            let header = if router.protocol() == Protocol::Ipfix { 16 } else { 20 };
            assert_eq!(message.len(), header + 4 + 20 * 76);
            let Counts { messages, sets, templates, records, .. } = router.counts();
            assert_eq!((messages, sets, templates, records), (4, 4, 1, 60));
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_octets() {
        let octets =
            |seed| population(4, 50, seed).iter_mut().map(|router| router.flows(5)).collect::<Vec<_>>();
        assert_eq!(octets(3), octets(3));
        assert_ne!(octets(3), octets(4));
    }

    #[test]
    fn addresses_differ_and_every_fourth_is_ipv6() {
        let routers = population(1_000, 1, 0);
        let addresses: std::collections::HashSet<_> = routers.iter().map(Router::address).collect();
        assert_eq!(addresses.len(), 1_000);
        assert_eq!(addresses.iter().filter(|address| address.is_ipv6()).count(), 250);
    }
}
