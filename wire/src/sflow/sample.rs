//! One sample's octets in, its head and its records out. The compact and the expanded forms give the same views.

use crate::cursor::Cursor;
use crate::malformed::Malformed;
use crate::sflow::{Format, Structure, Structures};

/// A sample of a datagram.
#[derive(Debug, Clone, Copy)]
pub enum Sample<'a> {
    /// One packet of so many (formats 1 and 3).
    Flow(FlowSample<'a>),
    /// Counters of a source (formats 2 and 4).
    Counters(CounterSample<'a>),
    /// A packet that was dropped (format 5).
    Discarded(DiscardedPacket<'a>),
    /// Any other structure, its octets kept.
    Other(Structure<'a>),
}

/// What was sampled: a port, a VLAN or a part of a chassis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// 0 ifIndex, 1 smonVlanDataSource, 2 entPhysicalEntry.
    pub kind: u32,
    /// Its index.
    pub index: u32,
}

/// The port a packet came in at or left by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interface {
    /// The ifIndex of one port.
    Port(u32),
    /// The packet was not sent; carries the reason's code.
    Discarded(u32),
    /// So many ports; 0 means an unknown number.
    Several(u32),
    /// Not known.
    Unknown,
    /// The agent itself sent or received it.
    Internal,
}

impl Interface {
    /// From the 2 bits and the 30 bits of the compact form, or the two words of the expanded one.
    fn of(format: u32, value: u32, expanded: bool) -> Self {
        let internal = if expanded { 0xffff_ffff } else { 0x3fff_ffff };
        match (format, value) {
            (0, 0) => Self::Unknown,
            (0, value) if value == internal || value == 0x3fff_ffff => Self::Internal,
            (0, index) => Self::Port(index),
            (1, reason) => Self::Discarded(reason),
            (2, count) => Self::Several(count),
            _ => Self::Unknown,
        }
    }

    /// The ifIndex, if it is one port.
    #[must_use]
    pub const fn index(self) -> Option<u32> {
        match self {
            Self::Port(index) => Some(index),
            Self::Discarded(_) | Self::Several(_) | Self::Unknown | Self::Internal => None,
        }
    }
}

/// One sampled packet.
#[derive(Debug, Clone, Copy)]
pub struct FlowSample<'a> {
    /// Flow samples of this source before.
    pub sequence: u32,
    /// What was sampled.
    pub source: Source,
    /// One of so many packets.
    pub sampling_rate: u32,
    /// Packets that could have been sampled.
    pub pool: u32,
    /// Samples lost for lack of resources.
    pub drops: u32,
    /// Where the packet came in.
    pub input: Interface,
    /// Where it left.
    pub output: Interface,
    records: Records<'a>,
}

/// Counters of one source.
#[derive(Debug, Clone, Copy)]
pub struct CounterSample<'a> {
    /// Counter samples of this source before.
    pub sequence: u32,
    /// What was counted.
    pub source: Source,
    records: Records<'a>,
}

/// One packet that was dropped (sFlow Dropped Packet Notification Structures, sflow.org 2020).
#[derive(Debug, Clone, Copy)]
pub struct DiscardedPacket<'a> {
    /// Discarded packet notifications of this source before.
    pub sequence: u32,
    /// What was watched.
    pub source: Source,
    /// Notifications lost for lack of resources.
    pub drops: u32,
    /// ifIndex of the input port; 0 unknown.
    pub input: u32,
    /// ifIndex of the output port; 0 unknown.
    pub output: u32,
    /// The reason's code, from 0 to 262 as ICMP codes, higher ones by the specification.
    pub reason: u32,
    records: Records<'a>,
}

/// The undecoded records of a sample.
#[derive(Debug, Clone, Copy)]
struct Records<'a> {
    count: u32,
    body: Cursor<'a>,
}

impl<'a> Records<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self { count: cursor.u32()?, body: *cursor })
    }

    const fn structures(&self) -> Structures<'a> {
        Structures::new(self.body, self.count)
    }
}

impl<'a> Sample<'a> {
    /// Reads the head of a sample.
    ///
    /// # Errors
    /// `truncated` if the structure ends before the head does.
    pub fn read(structure: Structure<'a>) -> Result<Self, Malformed> {
        let mut cursor = structure.body;
        match structure.format {
            Format { enterprise: 0, number: 1 } => FlowSample::read(&mut cursor, false).map(Self::Flow),
            Format { enterprise: 0, number: 3 } => FlowSample::read(&mut cursor, true).map(Self::Flow),
            Format { enterprise: 0, number: 2 } => {
                CounterSample::read(&mut cursor, false).map(Self::Counters)
            }
            Format { enterprise: 0, number: 4 } => CounterSample::read(&mut cursor, true).map(Self::Counters),
            Format { enterprise: 0, number: 5 } => DiscardedPacket::read(&mut cursor).map(Self::Discarded),
            _ => Ok(Self::Other(structure)),
        }
    }

    /// Its records in order, for [`crate::sflow::record::Record`]; none of a structure that is not known.
    ///
    /// A record beyond the sample is one error and the last item.
    #[must_use]
    pub const fn records(&self) -> Structures<'a> {
        match self {
            Self::Flow(sample) => sample.records.structures(),
            Self::Counters(sample) => sample.records.structures(),
            Self::Discarded(sample) => sample.records.structures(),
            Self::Other(structure) => Structures::new(structure.body, 0),
        }
    }
}

impl Source {
    fn read(cursor: &mut Cursor<'_>, expanded: bool) -> Result<Self, Malformed> {
        let word = cursor.u32()?;
        if expanded {
            return Ok(Self { kind: word, index: cursor.u32()? });
        }
        Ok(Self { kind: word >> 24, index: word & 0x00ff_ffff })
    }
}

impl<'a> FlowSample<'a> {
    fn read(cursor: &mut Cursor<'a>, expanded: bool) -> Result<Self, Malformed> {
        let interface = |cursor: &mut Cursor<'a>| {
            let word = cursor.u32()?;
            let (format, value) =
                if expanded { (word, cursor.u32()?) } else { (word >> 30, word & 0x3fff_ffff) };
            Ok(Interface::of(format, value, expanded))
        };
        Ok(Self {
            sequence: cursor.u32()?,
            source: Source::read(cursor, expanded)?,
            sampling_rate: cursor.u32()?,
            pool: cursor.u32()?,
            drops: cursor.u32()?,
            input: interface(cursor)?,
            output: interface(cursor)?,
            records: Records::read(cursor)?,
        })
    }
}

impl<'a> CounterSample<'a> {
    fn read(cursor: &mut Cursor<'a>, expanded: bool) -> Result<Self, Malformed> {
        Ok(Self {
            sequence: cursor.u32()?,
            source: Source::read(cursor, expanded)?,
            records: Records::read(cursor)?,
        })
    }
}

impl<'a> DiscardedPacket<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            sequence: cursor.u32()?,
            source: Source::read(cursor, true)?,
            drops: cursor.u32()?,
            input: cursor.u32()?,
            output: cursor.u32()?,
            reason: cursor.u32()?,
            records: Records::read(cursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Interface, Sample, Source};
    use crate::cursor::Cursor;
    use crate::sflow::{Format, Structure};
    use std::vec::Vec;

    fn read(number: u16, words: &[u32]) -> Vec<u8> {
        assert!(number > 0);
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn sample(number: u16, octets: &[u8]) -> Sample<'_> {
        Sample::read(Structure { format: Format::standard(number), body: Cursor::new(octets) }).unwrap()
    }

    #[test]
    fn compact_and_expanded_flow_samples_say_the_same() {
        let compact = read(1, &[7, 0x0000_0011, 512, 9_000, 1, 17, 0x4000_0005, 1, 1, 4, 99]);
        let expanded = read(3, &[7, 0, 17, 512, 9_000, 1, 0, 17, 1, 5, 1, 1, 4, 99]);
        for (number, octets) in [(1, compact), (3, expanded)] {
            let sample = sample(number, &octets);
            let Sample::Flow(flow) = sample else { panic!() };
            assert_eq!((flow.sequence, flow.sampling_rate, flow.pool, flow.drops), (7, 512, 9_000, 1));
            assert_eq!(flow.source, Source { kind: 0, index: 17 });
            assert_eq!((flow.input, flow.output), (Interface::Port(17), Interface::Discarded(5)));
            let records: Vec<_> = sample.records().map(Result::unwrap).collect();
            assert_eq!((records.len(), records[0].format), (1, Format::standard(1)));
            assert_eq!(records[0].body.rest(), 99_u32.to_be_bytes());
        }
    }

    #[test]
    fn ports_may_be_several_unknown_or_the_agent() {
        assert_eq!(Interface::of(2, 3, false), Interface::Several(3));
        assert_eq!(Interface::of(0, 0, false), Interface::Unknown);
        assert_eq!(Interface::of(0, 0x3fff_ffff, false), Interface::Internal);
        assert_eq!(Interface::of(0, 0xffff_ffff, true), Interface::Internal);
        assert_eq!(Interface::of(0, 4, true).index(), Some(4));
    }

    #[test]
    fn counters_and_discards_have_their_heads() {
        let octets = read(2, &[7, 0x0100_0002, 0]);
        let Sample::Counters(counters) = sample(2, &octets) else { panic!() };
        assert_eq!((counters.sequence, counters.source), (7, Source { kind: 1, index: 2 }));
        let octets = read(5, &[8, 0, 3, 2, 10, 11, 256, 0]);
        let Sample::Discarded(discarded) = sample(5, &octets) else { panic!() };
        assert_eq!((discarded.sequence, discarded.drops, discarded.reason), (8, 2, 256));
        assert_eq!((discarded.input, discarded.output), (10, 11));
    }
}
