//! One NetFlow v5 packet in, its header and records out. The record format never changes, so it is shown as a
//! template of IANA's elements: whatever reads templates reads v5.
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! |          version 5            |  count of records, 1 to 30    |
//! |                 sysUptime, milliseconds                       |
//! |                 Unix seconds                                  |
//! |                 nanoseconds within that second                |
//! |                 sequence: flows sent before, modulo 2^32      |
//! |  engine type  |   engine id   |mod|  sampling interval        |
//! +---------------+---------------+---------------+---------------+
//! |  records of 48 octets ...                                     |
//! ```

use crate::cursor::Cursor;
use crate::ipfix::data::Records;
use crate::ipfix::template::Field;
use crate::malformed::{Malformed, Reason};
use crate::netflow::v9::UptimeClock;

/// The version number of a NetFlow v5 packet.
pub const VERSION: u16 = 5;

/// Octets of the packet header.
pub const HEADER_LENGTH: usize = 24;

/// Records that fit a packet by the protocol. Exporters on links with large frames put more.
pub const MAX_RECORDS: u16 = 30;

/// Octets of a record.
pub const RECORD_LENGTH: usize = 48;

/// The record as a template, in the order of its octets.
pub const FIELDS: [Field; 20] = [
    Field::iana(8, 4),   // source address: sourceIPv4Address
    Field::iana(12, 4),  // destination address: destinationIPv4Address
    Field::iana(15, 4),  // next hop: ipNextHopIPv4Address
    Field::iana(10, 2),  // input: ingressInterface
    Field::iana(14, 2),  // output: egressInterface
    Field::iana(2, 4),   // packets: packetDeltaCount
    Field::iana(1, 4),   // octets: octetDeltaCount
    Field::iana(22, 4),  // first: flowStartSysUpTime
    Field::iana(21, 4),  // last: flowEndSysUpTime
    Field::iana(7, 2),   // source port: sourceTransportPort
    Field::iana(11, 2),  // destination port: destinationTransportPort
    Field::iana(210, 1), // pad: paddingOctets
    Field::iana(6, 1),   // flags: tcpControlBits
    Field::iana(4, 1),   // protocol: protocolIdentifier
    Field::iana(5, 1),   // type of service: ipClassOfService
    Field::iana(16, 2),  // source AS: bgpSourceAsNumber
    Field::iana(17, 2),  // destination AS: bgpDestinationAsNumber
    Field::iana(9, 1),   // source mask: sourceIPv4PrefixLength
    Field::iana(13, 1),  // destination mask: destinationIPv4PrefixLength
    Field::iana(210, 2), // pad: paddingOctets
];

/// A packet: its header's fields and the octets of its records.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Records that the exporter says are inside.
    pub count: u16,
    /// Milliseconds since the exporter started, modulo 2^32.
    pub sys_uptime_ms: u32,
    /// When the packet left the exporter, in seconds since 1970.
    pub unix_seconds: u32,
    /// Nanoseconds within that second.
    pub nanoseconds: u32,
    /// Flows sent before, modulo 2^32.
    pub sequence: u32,
    /// Type of the flow switching engine.
    pub engine_type: u8,
    /// Slot of the flow switching engine.
    pub engine_id: u8,
    /// Top 2 bits of the sampling field: 1 deterministic, 2 random.
    pub sampling_mode: u8,
    /// Low 14 bits of the sampling field: one of so many packets; 0 where the exporter does not say.
    pub sampling_interval: u16,
    records: Cursor<'a>,
    missing: usize,
}

impl<'a> Packet<'a> {
    /// Reads the header. Octets behind the counted records are left alone.
    ///
    /// # Errors
    /// `truncated` below 24 octets, `bad_version`, `bad_count` if no record is counted, or more than
    /// [`MAX_RECORDS`] of which not all are there: then the header is not to be believed.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(octets);
        if cursor.u16()? != VERSION {
            return Err(Malformed::new(Reason::BadVersion, 0, 2));
        }
        let count = cursor.u16()?;
        let (sys_uptime_ms, unix_seconds, nanoseconds) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let sequence = cursor.u32()?;
        let [engine_type, engine_id] = cursor.array()?;
        let sampling = cursor.u16()?;
        let wanted = usize::from(count) * RECORD_LENGTH;
        if count == 0 || (count > MAX_RECORDS && wanted > cursor.remaining()) {
            return Err(Malformed::new(Reason::BadCount, 2, 2));
        }
        let here = wanted.min(cursor.remaining());
        Ok(Self {
            count,
            sys_uptime_ms,
            unix_seconds,
            nanoseconds,
            sequence,
            engine_type,
            engine_id,
            sampling_mode: (sampling >> 14) as u8,
            sampling_interval: sampling & 0x3fff,
            records: cursor.split(here)?,
            missing: wanted - here,
        })
    }

    /// The records whose octets are all there, as records of [`FIELDS`].
    #[must_use]
    pub fn records(&self) -> Records<'a, 'static> {
        Records::new(&FIELDS, self.records)
    }

    /// The octets of the records, for readers that hold [`FIELDS`] as one of their templates.
    #[must_use]
    pub const fn body(&self) -> Cursor<'a> {
        self.records
    }

    /// `truncated` if counted records did not arrive; [`Packet::records`] still gives those that did.
    ///
    /// # Errors
    /// The place where the octets end and how many are missing.
    pub fn complete(&self) -> Result<(), Malformed> {
        match self.missing {
            0 => Ok(()),
            missing => Err(Malformed::new(
                Reason::Truncated,
                self.records.offset().saturating_add(self.records.remaining()),
                missing,
            )),
        }
    }

    /// The header's clock.
    #[must_use]
    pub fn clock(&self) -> UptimeClock {
        UptimeClock {
            sys_uptime_ms: self.sys_uptime_ms,
            unix_ns: i128::from(self.unix_seconds) * 1_000_000_000 + i128::from(self.nanoseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{FIELDS, Packet, RECORD_LENGTH};
    use crate::ipfix::data::RecordLength;
    use crate::malformed::{Malformed, Reason};
    use std::vec::Vec;

    fn packet(count: u8, records: usize) -> Vec<u8> {
        let mut octets = std::vec![
            0, 5, 0, count, // version 5, count
            0, 0, 0x03, 0xe8, // up for 1,000 ms
            0x68, 0, 0, 0, // Unix seconds
            0, 0, 0, 5, // nanoseconds
            0, 0, 0, 100, // 100 flows before
            1, 2, 0x40, 0x64, // engine type 1, id 2, sampling mode 1, interval 100
        ];
        for number in 0..records {
            octets.extend([192, 0, 2, u8::try_from(number).unwrap()]);
            octets.extend([0; RECORD_LENGTH - 4]);
        }
        octets
    }

    #[test]
    fn the_fixed_template_is_the_record() {
        assert_eq!(RecordLength::of(&FIELDS), RecordLength::Fixed(RECORD_LENGTH));
    }

    #[test]
    fn header_and_records_are_read() {
        let octets = packet(2, 2);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!((packet.sampling_mode, packet.sampling_interval), (1, 100));
        assert_eq!((packet.engine_type, packet.engine_id, packet.sequence), (1, 2, 100));
        let sources: Vec<_> =
            packet.records().map(|record| record.unwrap().fields().next().unwrap().octets[3]).collect();
        assert_eq!(sources, [0, 1]);
        assert_eq!(packet.complete(), Ok(()));
        assert_eq!(packet.clock().unix_ns_at(0), i128::from(0x6800_0000 - 1) * 1_000_000_000 + 5);
    }

    #[test]
    fn records_that_did_not_arrive_are_named_and_the_others_read() {
        let octets = packet(3, 2);
        let packet = Packet::parse(&octets[..octets.len() - 1]).unwrap();
        assert_eq!(packet.records().count(), 1);
        assert_eq!(packet.complete(), Err(Malformed::new(Reason::Truncated, 119, 49)));
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        for (count, records) in [(0, 1), (31, 30)] {
            let refused = Packet::parse(&packet(count, records)).unwrap_err();
            assert_eq!(refused, Malformed::new(Reason::BadCount, 2, 2));
        }
        assert_eq!(Packet::parse(&packet(31, 31)).unwrap().records().count(), 31);
    }
}
