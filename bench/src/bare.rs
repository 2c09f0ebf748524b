//! The limit that a collector is held against: frames in, columns out, every offset known beforehand.
//!
//! In: frames of IPv4 without options, UDP, IPFIX with one data set of the 23-field template of the test kit. Out: the
//! same columns that a collector fills, as wide as their fields, without sessions, templates or a sink. It verifies
//! the UDP checksum, as a collector must. Written as fast as can be: records are arrays of known length.

/// Ethernet, IPv4 and UDP headers.
const PAYLOAD: usize = 14 + 20 + 8;
/// Header of the message and of its set.
const RECORDS: usize = PAYLOAD + 16 + 4;
/// Octets of a record.
const RECORD: usize = 76;
/// Rows of a batch; then it is thrown away and the next one begins.
const ROWS: usize = 1_024;

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident: $number:ident at $at:literal,)+) => {
        /// A batch of flows, one array a field.
        #[derive(Debug)]
        pub struct Columns {
            rows: usize,
            $($(#[$doc])* pub $name: Box<[$number; ROWS]>,)+
        }

        impl Default for Columns {
            fn default() -> Self {
                Self { rows: 0, $($name: Box::new([0; ROWS]),)+ }
            }
        }

        impl Columns {
            /// Reads every field of records that have room.
            #[inline]
            fn fill(&mut self, records: &[[u8; RECORD]]) {
                let rows = self.rows..self.rows + records.len();
                $(
                    for (to, record) in self.$name[rows.clone()].iter_mut().zip(records) {
                        let octets = record[$at..].first_chunk().copied().unwrap_or_default();
                        *to = $number::from_be_bytes(octets);
                    }
                )+
                self.rows = rows.end;
            }

            /// What makes a reader of these columns real to the compiler.
            fn hand_on(&mut self) {
                $(std::hint::black_box(&self.$name);)+
                self.rows = 0;
            }
        }
    };
}

columns! {
    /// sourceIPv4Address.
    source: u32 at 0,
    /// destinationIPv4Address.
    destination: u32 at 4,
    /// ipNextHopIPv4Address.
    next_hop: u32 at 8,
    /// ingressInterface.
    ingress: u32 at 12,
    /// egressInterface.
    egress: u32 at 16,
    /// packetDeltaCount.
    packets: u64 at 20,
    /// octetDeltaCount.
    octets: u64 at 28,
    /// flowStartMilliseconds.
    start: u64 at 36,
    /// flowEndMilliseconds.
    end: u64 at 44,
    /// sourceTransportPort.
    source_port: u16 at 52,
    /// destinationTransportPort.
    destination_port: u16 at 54,
    /// protocolIdentifier.
    protocol: u8 at 56,
    /// tcpControlBits.
    tcp_control_bits: u16 at 57,
    /// ipClassOfService.
    class_of_service: u8 at 59,
    /// flowEndReason.
    end_reason: u8 at 60,
    /// flowDirection.
    direction: u8 at 61,
    /// ipVersion.
    version: u8 at 62,
    /// sourceIPv4PrefixLength.
    source_length: u8 at 63,
    /// destinationIPv4PrefixLength.
    destination_length: u8 at 64,
    /// bgpSourceAsNumber.
    source_as: u32 at 65,
    /// bgpDestinationAsNumber.
    destination_as: u32 at 69,
    /// vlanId.
    vlan: u16 at 73,
    /// ipTTL.
    ttl: u8 at 75,
}

impl Columns {
    /// Rows of the batch under way.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Reads every field of every record of a frame at its known place, and calls `also` with the batch and its new
    /// rows. Returns how many records there were: none in templates and in frames with a wrong checksum.
    #[inline]
    pub fn take(&mut self, frame: &[u8], also: impl FnOnce(&Self, std::ops::Range<usize>)) -> usize {
        if frame.len() < RECORDS || !verified(frame) {
            return 0;
        }
        let (set, records) = frame[RECORDS - 4..].split_at(4);
        // Template sets have nothing to read.
        if set[0] == 0 {
            return 0;
        }
        let (records, _) = records.as_chunks();
        if self.rows + records.len() > ROWS {
            self.hand_on();
        }
        let first = self.rows;
        self.fill(records);
        also(self, first..self.rows);
        records.len()
    }
}

/// The UDP checksum with its pseudo header (RFC 768), in the order of this machine: the sum of one's complement does
/// not hang on it.
#[inline]
fn verified(frame: &[u8]) -> bool {
    let (words, tail) = frame[26..].as_chunks();
    let whole: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..tail.len()].copy_from_slice(tail);
    let length = u16::try_from(frame.len() - 34).unwrap_or(u16::MAX).to_be();
    let mut sum = whole + u64::from(u32::from_ne_bytes(last)) + u64::from(17_u16.to_be()) + u64::from(length);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

#[cfg(test)]
mod tests {
    use lab::exporter::FIELDS_V4;
    use lab::frame::Frame;

    use super::*;
    use crate::generate::population::{Class, Population};
    use crate::generate::script::Script;

    #[test]
    fn every_record_is_read_and_a_wrong_checksum_refused() {
        let class = Class { exporters: 3, ..Class::default() };
        let population = Population { class: vec![class], datagrams: 30, ..Population::default() };
        let script = Script::new(&population, 1_700_000_000);
        let mut columns = Columns::default();
        let mut records = 0;
        for item in &script.items {
            let mut frame = Frame::udp(item.source, "10.73.0.1:4739".parse().unwrap(), &item.octets).octets();
            records += columns.take(&frame, |columns, rows| {
                // ipVersion, the seventeenth field, is 4 in every record.
                assert!(columns.version[rows].iter().all(|version| *version == 4));
            }) as u64;
            frame[60] ^= 1;
            assert_eq!(columns.take(&frame, |_, _| ()), 0);
        }
        let counts = script.counts(script.items.len() as u64);
        assert_eq!(records, counts[0].records);
        assert_eq!(FIELDS_V4.iter().map(|field| usize::from(field.length)).sum::<usize>(), RECORD);
    }
}
