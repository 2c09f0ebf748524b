//! A sample in, the packet that it tells of out: its headers under IANA's element ids and where it was forwarded
//! to. Reads the raw header where there is one, else the fields that the agent took from it.

use crate::frame::{Headers, Start};
use crate::sflow::record::{Item, Kind, Record};
use crate::sflow::sample::Sample;
use crate::sflow::{Address, Format};
use crate::value::Value;

/// What a sample tells of one packet.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// Octets of the packet before sampling, if the sample says so.
    pub frame_length: Option<u32>,
    /// Its headers; none where their protocol has no reader.
    pub headers: Headers<'a>,
}

impl<'a> Packet<'a> {
    /// The packet of a flow sample or a discarded packet; `None` of a sample without one.
    ///
    /// The raw header (0:1) says more than `sampled_ethernet`, `sampled_ipv4` and `sampled_ipv6` (0:2 to 0:4) and
    /// goes before them.
    #[must_use]
    pub fn of(sample: &Sample<'a>) -> Option<Self> {
        let raw = flow_records(sample).find_map(|record| record.raw_header());
        if let Some(raw) = raw {
            let headers = match Start::from_sflow(raw.protocol) {
                Some(start) => Headers::read(start, raw.header),
                None => Headers::empty(raw.header),
            };
            return Some(Self { frame_length: Some(raw.frame_length), headers });
        }
        let mut packet: Option<Self> = None;
        for record in flow_records(sample) {
            let format = record.format;
            if format.enterprise != 0 || !(2..=4).contains(&format.number) {
                continue;
            }
            let packet = packet
                .get_or_insert_with(|| Self { frame_length: None, headers: Headers::empty(record.body) });
            packet.take(record);
        }
        packet
    }

    /// Takes the fields of `sampled_ethernet`, `sampled_ipv4` or `sampled_ipv6`.
    fn take(&mut self, record: Record<'a>) {
        let mut protocol = 0;
        match record.format.number {
            3 => self.headers.push(60, Value::Unsigned(4)),
            4 => self.headers.push(60, Value::Unsigned(6)),
            _ => {}
        }
        for (name, item) in record.items().map_while(Result::ok) {
            let has_ports = matches!(protocol, 6 | 17 | 33 | 132 | 136);
            let (id, value) = match (name, item) {
                ("length", Item::Number(length)) => {
                    // The frame's length goes before that of the packet in it.
                    let length = u32::try_from(length).ok();
                    self.frame_length = self.frame_length.or(length);
                    continue;
                }
                ("protocol", Item::Number(number)) => {
                    protocol = number;
                    (4, Value::Unsigned(number))
                }
                ("src_mac", Item::Mac(mac)) => (56, Value::Mac(mac)),
                ("dst_mac", Item::Mac(mac)) => (80, Value::Mac(mac)),
                ("type", Item::Number(number)) => (256, Value::Unsigned(number)),
                ("src_ip", Item::Address(Address::Ipv4(address))) => (8, Value::Ipv4(address)),
                ("dst_ip", Item::Address(Address::Ipv4(address))) => (12, Value::Ipv4(address)),
                ("src_ip", Item::Address(Address::Ipv6(address))) => (27, Value::Ipv6(address)),
                ("dst_ip", Item::Address(Address::Ipv6(address))) => (28, Value::Ipv6(address)),
                ("src_port", Item::Number(number)) if has_ports => (7, Value::Unsigned(number)),
                ("dst_port", Item::Number(number)) if has_ports => (11, Value::Unsigned(number)),
                ("tcp_flags", Item::Number(number)) if protocol == 6 => (6, Value::Unsigned(number)),
                ("tos" | "priority", Item::Number(number)) => (5, Value::Unsigned(number)),
                _ => continue,
            };
            self.headers.push(id, value);
        }
    }
}

/// The next hops that a sample gives, best first: that of BGP (`extended_gateway`, 0:1003), that of the forwarding
/// table (`extended_router`, 0:1002).
#[must_use]
pub fn next_hop(sample: &Sample<'_>) -> Option<Address> {
    let hop = |number| {
        let mut records = flow_records(sample).filter(|record| record.format == Format::standard(number));
        let (_, item) = records.next()?.items().next()?.ok()?;
        let Item::Address(address) = item else { return None };
        (address != Address::Unknown).then_some(address)
    };
    hop(1003).or_else(|| hop(1002))
}

/// The records of a sample of packets; none of counters.
fn flow_records<'a>(sample: &Sample<'a>) -> impl Iterator<Item = Record<'a>> {
    let is_packet = matches!(sample, Sample::Flow(_) | Sample::Discarded(_));
    let records = sample.records().take_while(move |_| is_packet);
    records.map_while(Result::ok).map(|structure| Record::new(Kind::Flow, structure))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Packet, next_hop};
    use crate::cursor::Cursor;
    use crate::sflow::sample::Sample;
    use crate::sflow::{Address, Format, Structure};
    use crate::value::Value;
    use std::vec::Vec;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn flow(records: &[u32], count: u32) -> Vec<u8> {
        [words(&[7, 17, 512, 9_000, 1, 17, 18, count]), words(records)].concat()
    }

    fn sample(octets: &[u8]) -> Sample<'_> {
        Sample::read(Structure { format: Format::standard(1), body: Cursor::new(octets) }).unwrap()
    }

    fn value<'a>(packet: &Packet<'a>, id: u16) -> Option<Value<'a>> {
        packet.headers.fields().find(|(candidate, _)| *candidate == id).map(|(_, value)| value)
    }

    #[test]
    fn fields_of_the_agent_stand_for_a_header() {
        let octets = flow(
            &[
                2,
                24,
                1_518,
                0x0200_0000,
                0x0001_0000,
                0x0200_0000,
                0x0002_0000,
                0x0800, // sampled_ethernet
                3,
                32,
                1_500,
                6,
                0xc000_0201,
                0xc633_6407,
                443,
                49_152,
                0x12,
                0xb8, // sampled_ipv4
            ],
            2,
        );
        let packet = Packet::of(&sample(&octets)).unwrap();
        assert_eq!(packet.frame_length, Some(1_518));
        assert_eq!(value(&packet, 80), Some(Value::Mac([2, 0, 0, 0, 0, 2])));
        assert_eq!(value(&packet, 12), Some(Value::Ipv4([198, 51, 100, 7])));
        assert_eq!(
            (value(&packet, 7), value(&packet, 6)),
            (Some(Value::Unsigned(443)), Some(Value::Unsigned(0x12)))
        );
        assert_eq!(
            (value(&packet, 60), value(&packet, 5)),
            (Some(Value::Unsigned(4)), Some(Value::Unsigned(0xb8)))
        );
    }

    #[test]
    fn the_next_hop_of_bgp_goes_first() {
        let router = [1002, 16, 1, 0xc000_0202, 24, 24];
        let gateway = [1003, 36, 1, 0xc000_0203, 1, 2, 3, 0, 0, 100, 0];
        let both = flow(&[&router[..], &gateway].concat(), 2);
        assert_eq!(next_hop(&sample(&both)), Some(Address::Ipv4([192, 0, 2, 3])));
        let one = flow(&router, 1);
        assert_eq!(next_hop(&sample(&one)), Some(Address::Ipv4([192, 0, 2, 2])));
        assert!(Packet::of(&sample(&one)).is_none());
    }
}
