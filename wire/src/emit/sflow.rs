//! Samples and their records in, sFlow v5 datagrams out, with counts, lengths and padding filled in.

use alloc::vec::Vec;

use crate::sflow::sample::Source;
use crate::sflow::{Address, Format, VERSION};

/// A datagram under construction: samples are appended in call order.
///
/// ```
/// use wire::emit::sflow::{Datagram, Sample};
/// use wire::sflow::{Address, sample::Source};
/// let mut datagram = Datagram::new(Address::Ipv4([192, 0, 2, 1]), 0, 7, 1_000);
/// let source = Source { kind: 0, index: 3 };
/// let mut sample = Sample::flow(1, source, 512, 512, 0, (3, 4));
/// sample.raw_header(1, 1_518, 4, &[0; 14]);
/// datagram.sample(sample);
/// assert_eq!(datagram.finish().len(), 28 + 8 + 32 + 8 + 32);
/// ```
#[derive(Debug, Clone)]
pub struct Datagram {
    octets: Vec<u8>,
    count_at: usize,
    count: u32,
}

impl Datagram {
    /// A datagram without samples.
    #[must_use]
    pub fn new(agent: Address, sub_agent: u32, sequence: u32, uptime_ms: u32) -> Self {
        let mut octets = Vec::new();
        words(&mut octets, &[VERSION]);
        address(&mut octets, agent);
        words(&mut octets, &[sub_agent, sequence, uptime_ms, 0]);
        Self { count_at: octets.len() - 4, octets, count: 0 }
    }

    /// Appends a sample.
    pub fn sample(&mut self, sample: Sample) -> &mut Self {
        self.count += 1;
        let (format, body) = sample.finish();
        structure(&mut self.octets, format, &body);
        self
    }

    /// The datagram, its count filled in.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        put_u32(&mut self.octets, self.count_at, self.count);
        self.octets
    }
}

/// A sample under construction.
#[derive(Debug, Clone)]
pub struct Sample {
    format: Format,
    octets: Vec<u8>,
    count_at: usize,
    count: u32,
}

impl Sample {
    /// A flow sample between two ports (format 0:1), or the expanded form (0:3) if an index needs it.
    #[must_use]
    pub fn flow(sequence: u32, source: Source, rate: u32, pool: u32, drops: u32, ports: (u32, u32)) -> Self {
        let mut octets = Vec::new();
        let compact = source.index < 1 << 24 && ports.0 < 1 << 30 && ports.1 < 1 << 30;
        if compact {
            let source = source.kind << 24 | source.index;
            words(&mut octets, &[sequence, source, rate, pool, drops, ports.0, ports.1, 0]);
        } else {
            let head = [sequence, source.kind, source.index, rate, pool, drops, 0, ports.0, 0, ports.1, 0];
            words(&mut octets, &head);
        }
        Self::new(if compact { 1 } else { 3 }, octets)
    }

    /// A counter sample (format 0:2).
    #[must_use]
    pub fn counters(sequence: u32, source: Source) -> Self {
        let mut octets = Vec::new();
        words(&mut octets, &[sequence, source.kind << 24 | source.index & 0x00ff_ffff, 0]);
        Self::new(2, octets)
    }

    /// A discarded packet (format 0:5).
    #[must_use]
    pub fn discarded(sequence: u32, source: Source, drops: u32, ports: (u32, u32), reason: u32) -> Self {
        let mut octets = Vec::new();
        words(&mut octets, &[sequence, source.kind, source.index, drops, ports.0, ports.1, reason, 0]);
        Self::new(5, octets)
    }

    fn new(number: u16, octets: Vec<u8>) -> Self {
        Self { format: Format::standard(number), count_at: octets.len() - 4, octets, count: 0 }
    }

    /// Appends a record whose octets are there.
    pub fn record(&mut self, format: Format, body: &[u8]) -> &mut Self {
        self.count += 1;
        structure(&mut self.octets, format, body);
        self
    }

    /// Appends the first octets of a sampled packet (format 0:1).
    pub fn raw_header(
        &mut self,
        protocol: u32,
        frame_length: u32,
        stripped: u32,
        header: &[u8],
    ) -> &mut Self {
        let mut body = Vec::new();
        words(&mut body, &[protocol, frame_length, stripped]);
        opaque(&mut body, header);
        self.record(Format::standard(1), &body)
    }

    fn finish(mut self) -> (Format, Vec<u8>) {
        put_u32(&mut self.octets, self.count_at, self.count);
        (self.format, self.octets)
    }
}

/// Big-endian words of 32 bits: the body of most records.
pub fn words(octets: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        octets.extend(word.to_be_bytes());
    }
}

/// A length, the octets, and padding to a multiple of 4.
pub fn opaque(octets: &mut Vec<u8>, value: &[u8]) {
    words(octets, &[length(value)]);
    octets.extend_from_slice(value);
    while !octets.len().is_multiple_of(4) {
        octets.push(0);
    }
}

/// An address with its type in front.
pub fn address(octets: &mut Vec<u8>, address: Address) {
    match address {
        Address::Unknown => words(octets, &[0]),
        Address::Ipv4(value) => {
            words(octets, &[1]);
            octets.extend(value);
        }
        Address::Ipv6(value) => {
            words(octets, &[2]);
            octets.extend(value);
        }
    }
}

fn structure(octets: &mut Vec<u8>, format: Format, body: &[u8]) {
    words(octets, &[format.to_wire(), length(body)]);
    octets.extend_from_slice(body);
}

fn length(octets: &[u8]) -> u32 {
    u32::try_from(octets.len()).expect("a length of 32 bits")
}

fn put_u32(octets: &mut [u8], at: usize, value: u32) {
    if let Some(place) = octets.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{Datagram, Sample};
    use crate::sflow::sample::Source;
    use crate::sflow::{Address, Format};

    #[test]
    fn octets_are_those_of_the_specification() {
        let mut datagram = Datagram::new(Address::Unknown, 1, 2, 3);
        let mut sample = Sample::counters(9, Source { kind: 0, index: 5 });
        sample.record(Format::standard(5), &[7; 4]);
        datagram.sample(sample);
        let expected = [
            0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0,
            1, // header, one sample
            0, 0, 0, 2, 0, 0, 0, 24, // counter sample of 24 octets
            0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0, 1, // sequence, source, one record
            0, 0, 0, 5, 0, 0, 0, 4, 7, 7, 7, 7, // VLAN counters, cut short
        ];
        assert_eq!(datagram.finish(), expected);
    }
}
