//! Templates and values in, NetFlow v9 and v5 packets out. Writes what it is told and checks nothing but that a
//! length fits its field.

use alloc::vec::Vec;

use super::ipfix::{data_record, put_u16, write_set};
use crate::ipfix::template::Field;
use crate::netflow::{v5, v9};

/// A NetFlow v9 packet under construction: flowsets are appended in call order and padded to 4 octets.
#[derive(Debug, Clone)]
pub struct Packet {
    octets: Vec<u8>,
    count: u16,
}

impl Packet {
    /// A packet without flowsets. `sequence` is the packets sent before for this source id.
    #[must_use]
    pub fn new(sys_uptime_ms: u32, unix_seconds: u32, sequence: u32, source_id: u32) -> Self {
        let mut octets = Vec::new();
        octets.extend(v9::VERSION.to_be_bytes());
        octets.extend([0, 0]);
        for number in [sys_uptime_ms, unix_seconds, sequence, source_id] {
            octets.extend(number.to_be_bytes());
        }
        Self { octets, count: 0 }
    }

    /// A template flowset with one template. Field types are the elements' ids, all 16 bits of them.
    pub fn template(&mut self, id: u16, fields: &[Field]) -> &mut Self {
        self.count += 1;
        self.flowset(0, |octets| {
            octets.extend(id.to_be_bytes());
            octets.extend(u16::try_from(fields.len()).expect("at most 65,535 fields").to_be_bytes());
            specifiers(octets, fields);
        })
    }

    /// An options template flowset with one template; scope fields have scope types as ids.
    pub fn options_template(&mut self, id: u16, scope: &[Field], options: &[Field]) -> &mut Self {
        self.count += 1;
        self.flowset(1, |octets| {
            octets.extend(id.to_be_bytes());
            for part in [scope, options] {
                octets.extend(u16::try_from(part.len() * 4).expect("at most 16,383 fields").to_be_bytes());
            }
            specifiers(octets, scope);
            specifiers(octets, options);
        })
    }

    /// A data flowset: one list of values a record, one value a field (of options: scope fields first).
    ///
    /// # Panics
    /// If a record has not one value a field, or a value not the length of its field.
    pub fn data(&mut self, id: u16, fields: &[Field], records: &[&[&[u8]]]) -> &mut Self {
        self.count += u16::try_from(records.len()).expect("at most 65,535 records");
        self.flowset(id, |octets| {
            for record in records {
                data_record(octets, fields, record);
            }
        })
    }

    /// A flowset of `records` records that are encoded already.
    pub fn raw(&mut self, flowset_id: u16, body: &[u8], records: u16) -> &mut Self {
        self.count += records;
        self.flowset(flowset_id, |octets| octets.extend_from_slice(body))
    }

    /// Octets so far.
    #[must_use]
    pub fn length(&self) -> usize {
        self.octets.len()
    }

    /// The packet, its count filled in.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        put_u16(&mut self.octets, 2, usize::from(self.count));
        self.octets
    }

    fn flowset(&mut self, id: u16, body: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        write_set(&mut self.octets, id, |octets| {
            body(octets);
            while !octets.len().is_multiple_of(4) {
                octets.push(0);
            }
        });
        self
    }
}

fn specifiers(octets: &mut Vec<u8>, fields: &[Field]) {
    for field in fields {
        octets.extend(field.id.to_be_bytes());
        octets.extend(field.length.to_be_bytes());
    }
}

/// The header of a NetFlow v5 packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeaderV5 {
    /// Milliseconds since the exporter started.
    pub sys_uptime_ms: u32,
    /// Seconds since 1970.
    pub unix_seconds: u32,
    /// Nanoseconds within that second.
    pub nanoseconds: u32,
    /// Flows sent before.
    pub sequence: u32,
    /// Type of the flow switching engine.
    pub engine_type: u8,
    /// Slot of the flow switching engine.
    pub engine_id: u8,
    /// Mode in the top 2 bits, interval in the others.
    pub sampling: u16,
}

/// One NetFlow v5 record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordV5 {
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
    /// Next hop.
    pub next_hop: [u8; 4],
    /// SNMP index of the input interface.
    pub input: u16,
    /// SNMP index of the output interface.
    pub output: u16,
    /// Packets of the flow.
    pub packets: u32,
    /// Octets of the flow.
    pub octets: u32,
    /// sysUptime at its first packet, milliseconds.
    pub first_ms: u32,
    /// sysUptime at its last packet, milliseconds.
    pub last_ms: u32,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// TCP flags seen.
    pub tcp_flags: u8,
    /// IP protocol.
    pub protocol: u8,
    /// Type of service.
    pub type_of_service: u8,
    /// AS of the source.
    pub source_as: u16,
    /// AS of the destination.
    pub destination_as: u16,
    /// Prefix length of the source.
    pub source_mask: u8,
    /// Prefix length of the destination.
    pub destination_mask: u8,
}

/// A NetFlow v5 packet.
///
/// # Panics
/// If there are more than 65,535 records (the protocol allows 30).
#[must_use]
pub fn packet_v5(header: &HeaderV5, records: &[RecordV5]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(v5::HEADER_LENGTH + records.len() * v5::RECORD_LENGTH);
    octets.extend(v5::VERSION.to_be_bytes());
    octets.extend(u16::try_from(records.len()).expect("at most 65,535 records").to_be_bytes());
    for number in [header.sys_uptime_ms, header.unix_seconds, header.nanoseconds, header.sequence] {
        octets.extend(number.to_be_bytes());
    }
    octets.extend([header.engine_type, header.engine_id]);
    octets.extend(header.sampling.to_be_bytes());
    for record in records {
        record_v5(&mut octets, record);
    }
    octets
}

fn record_v5(octets: &mut Vec<u8>, record: &RecordV5) {
    octets.extend([record.source, record.destination, record.next_hop].concat());
    octets.extend(record.input.to_be_bytes());
    octets.extend(record.output.to_be_bytes());
    for number in [record.packets, record.octets, record.first_ms, record.last_ms] {
        octets.extend(number.to_be_bytes());
    }
    octets.extend(record.source_port.to_be_bytes());
    octets.extend(record.destination_port.to_be_bytes());
    octets.extend([0, record.tcp_flags, record.protocol, record.type_of_service]);
    octets.extend(record.source_as.to_be_bytes());
    octets.extend(record.destination_as.to_be_bytes());
    octets.extend([record.source_mask, record.destination_mask, 0, 0]);
}

#[cfg(test)]
mod tests {
    use super::{HeaderV5, Packet, RecordV5, packet_v5};
    use crate::ipfix::template::Field;
    use crate::netflow::v5;

    #[test]
    fn flowsets_are_padded_and_counted() {
        let fields = [Field::iana(33_000, 1)];
        let mut packet = Packet::new(1, 2, 3, 4);
        packet.template(256, &fields).data(256, &fields, &[&[&[9]], &[&[8]]]);
        let expected = [
            0, 9, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0,
            4, // header: 1 template and 2 records
            0, 0, 0, 12, 1, 0, 0, 1, 0x80, 0xe8, 0, 1, // template 256
            1, 0, 0, 8, 9, 8, 0, 0, // data, padded
        ];
        assert_eq!(packet.finish(), expected);
    }

    #[test]
    fn options_templates_count_octets() {
        let mut packet = Packet::new(1, 2, 3, 4);
        packet.options_template(257, &[Field::iana(1, 4)], &[Field::iana(34, 4), Field::iana(35, 1)]);
        let expected = [0, 1, 0, 24, 1, 1, 0, 4, 0, 8, 0, 1, 0, 4, 0, 34, 0, 4, 0, 35, 0, 1, 0, 0];
        assert_eq!(packet.finish()[20..], expected);
    }

    #[test]
    fn a_v5_record_has_48_octets_in_the_order_of_its_template() {
        let record = RecordV5 { destination_mask: 24, protocol: 6, ..RecordV5::default() };
        let octets = packet_v5(&HeaderV5::default(), &[record]);
        assert_eq!(octets.len(), v5::HEADER_LENGTH + v5::RECORD_LENGTH);
        let packet = v5::Packet::parse(&octets).unwrap();
        let value = |id| {
            let record = packet.records().next().unwrap().unwrap();
            record.fields().find(|field| field.field.id == id).unwrap().octets.to_vec()
        };
        assert_eq!((value(13), value(4)), (alloc::vec![24], alloc::vec![6]));
    }
}
