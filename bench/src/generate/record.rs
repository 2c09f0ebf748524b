//! One flow in the fields of a template, or as a record of NetFlow v5, or as a sampled packet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lab::exporter::{FIELDS_V4, FIELDS_V6};
use lab::frame::Frame;
use wire::emit::netflow::RecordV5;
use wire::ipfix::template::Field;

use super::prefix::Prefixes;
use crate::random::Random;

/// Templates that differ from each other.
pub(super) const MAX_TEMPLATES: u16 = 100;
/// Addresses and next hop: what every template begins with.
const HEAD: usize = 3;
/// Octets of a sampled packet that a sample carries.
pub(super) const SAMPLED_OCTETS: usize = 128;

/// Fields of template number `nth`: the 23 of the test kit, those after the addresses turned by `nth`, and from
/// the twentieth on one less for every twenty.
pub(super) fn fields(ipv6: bool, nth: u16) -> Vec<Field> {
    let all = if ipv6 { &FIELDS_V6 } else { &FIELDS_V4 };
    let (head, tail) = all.split_at(HEAD);
    let mut tail = tail.to_vec();
    let turns = usize::from(nth) % tail.len();
    let fewer = usize::from(nth) / tail.len();
    tail.rotate_left(turns);
    tail.truncate(tail.len() - fewer);
    [head, &tail].concat()
}

/// What a flow says, whatever the protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    source: IpAddr,
    destination: IpAddr,
    next_hop: IpAddr,
    interfaces: (u32, u32),
    packets: u32,
    packet_octets: u32,
    start_ms: u64,
    duration_ms: u32,
    source_port: u16,
    protocol: u8,
}

impl Flow {
    pub(super) fn new(prefixes: &Prefixes, unix_seconds: u32, random: &mut Random) -> Self {
        let destination = prefixes.destination(random);
        let next_hop = match destination {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(0xc000_0200 | (1 + random.below(16)))),
            IpAddr::V6(_) => {
                IpAddr::V6((0x2001_0db8_000c_u128 << 80 | u128::from(1 + random.below(16))).into())
            }
        };
        let duration_ms = random.below(60_000);
        Self {
            source: prefixes.near(random),
            destination,
            next_hop,
            interfaces: (1 + random.below(64), 1 + random.below(64)),
            packets: 1 + random.below(200),
            packet_octets: 64 + random.below(1_400),
            start_ms: u64::from(unix_seconds) * 1_000 - u64::from(duration_ms + random.below(60_000)),
            duration_ms,
            source_port: 1_024 + u16::try_from(random.below(60_000)).unwrap_or_default(),
            protocol: if random.one_in(4) { 17 } else { 6 },
        }
    }

    fn octets(self) -> u32 {
        self.packets * self.packet_octets
    }

    /// Appends the record of a template.
    pub(super) fn put(self, body: &mut Vec<u8>, fields: &[Field]) {
        for field in fields {
            let value: u128 = match field.id {
                8 | 27 => bits(self.source),
                12 | 28 => bits(self.destination),
                15 | 62 => bits(self.next_hop),
                10 => self.interfaces.0.into(),
                14 => self.interfaces.1.into(),
                2 => self.packets.into(),
                1 => self.octets().into(),
                152 => self.start_ms.into(),
                153 => (self.start_ms + u64::from(self.duration_ms)).into(),
                7 => self.source_port.into(),
                11 => 443,
                4 => self.protocol.into(),
                6 => 0x1b,
                136 => 1,
                60 if self.source.is_ipv4() => 4,
                60 => 6,
                9 | 13 => 24,
                16 => 64_500,
                17 => 64_501,
                192 => 64,
                _ => 0,
            };
            body.extend(value.to_be_bytes().iter().skip(16 - usize::from(field.length)));
        }
    }

    /// As NetFlow v5 says it; `uptime_ms` is when the packet is sent, by the exporter's own clock.
    pub(super) fn v5(self, uptime_ms: u32) -> RecordV5 {
        let four = |address| match address {
            IpAddr::V4(address) => Ipv4Addr::octets(&address),
            IpAddr::V6(_) => [0; 4],
        };
        let sixteen = |number: u32| u16::try_from(number).unwrap_or_default();
        RecordV5 {
            source: four(self.source),
            destination: four(self.destination),
            next_hop: four(self.next_hop),
            input: sixteen(self.interfaces.0),
            output: sixteen(self.interfaces.1),
            packets: self.packets,
            octets: self.octets(),
            first_ms: uptime_ms - self.duration_ms,
            last_ms: uptime_ms,
            source_port: self.source_port,
            destination_port: 443,
            tcp_flags: 0x1b,
            protocol: self.protocol,
            type_of_service: 0,
            source_as: 64_500,
            destination_as: 64_501,
            source_mask: 24,
            destination_mask: 24,
        }
    }

    /// One of its packets, as an interface saw it: length on the wire, and the first octets. Always TCP, which an
    /// agent that samples at random sees most.
    pub(super) fn sampled(self) -> (u32, Vec<u8>) {
        let payload = vec![0; self.packet_octets as usize];
        let (from, to) = (self.source, self.destination);
        let frame =
            Frame::tcp(SocketAddr::new(from, self.source_port), SocketAddr::new(to, 443), 1, &payload);
        let mut octets = frame.octets();
        let length = u32::try_from(octets.len()).unwrap_or_default() + 4; // with the frame check sequence
        octets.truncate(SAMPLED_OCTETS);
        octets.resize(SAMPLED_OCTETS, 0);
        (length, octets)
    }

    /// Interfaces in and out.
    pub(super) const fn interfaces(self) -> (u32, u32) {
        self.interfaces
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn templates_differ_and_records_fit_them() {
        let mut random = Random::new(1);
        for ipv6 in [false, true] {
            let prefixes = Prefixes::new(10, ipv6, 1, 1.0, 10);
            let mut seen = HashSet::new();
            for nth in 0..MAX_TEMPLATES {
                let fields = fields(ipv6, nth);
                assert!(fields.len() > 18 && seen.insert(fields.iter().map(|f| f.id).collect::<Vec<_>>()));
                let mut body = Vec::new();
                Flow::new(&prefixes, 1_700_000_000, &mut random).put(&mut body, &fields);
                assert_eq!(body.len(), fields.iter().map(|f| usize::from(f.length)).sum::<usize>());
            }
        }
    }
}
