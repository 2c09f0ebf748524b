//! One sFlow v5 datagram in, its header and its samples out (sFlow version 5, sflow.org, July 2004). Everything is
//! XDR: big-endian and padded to 4 octets. Samples before a malformed one are given first.
//!
//! ```text
//! | version 5 | agent address type | agent address, 4 or 16 octets | sub-agent id | sequence | uptime | samples |
//! | enterprise 20 bits, format 12 bits | length | sample ...                                     (repeated)
//! ```

pub mod sample;
pub mod record;
pub mod layout;
pub mod packet;

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};
use crate::sflow::sample::Sample;

/// The version of the datagrams read here.
pub const VERSION: u32 = 5;

/// An address of the wire: its type comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// Type 0: not known, no octets.
    Unknown,
    /// Type 1.
    Ipv4([u8; 4]),
    /// Type 2.
    Ipv6([u8; 16]),
}

impl Address {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let start = *cursor;
        match cursor.u32()? {
            0 => Ok(Self::Unknown),
            1 => cursor.array().map(Self::Ipv4),
            2 => cursor.array().map(Self::Ipv6),
            _ => Err(start.malformed(Reason::BadAddressType, 4)),
        }
    }
}

/// What a structure is: who defined it and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Format {
    /// Private enterprise number; 0 for the structures of sflow.org.
    pub enterprise: u32,
    /// Number within the enterprise, below 4,096.
    pub number: u16,
}

impl Format {
    /// A structure of sflow.org.
    #[must_use]
    pub const fn standard(number: u16) -> Self {
        Self { enterprise: 0, number }
    }

    /// The format of the wire's 32 bits.
    #[must_use]
    pub const fn from_wire(bits: u32) -> Self {
        Self { enterprise: bits >> 12, number: (bits & 0xfff) as u16 }
    }

    /// The wire's 32 bits.
    #[must_use]
    pub const fn to_wire(self) -> u32 {
        self.enterprise << 12 | self.number as u32
    }
}

/// `enterprise:format`, as records write it.
impl core::fmt::Display for Format {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.enterprise, self.number)
    }
}

/// Whether a datagram starts as sFlow v5 does: a version of 32 bits and the type of the agent's address.
#[must_use]
pub fn is_sflow(octets: &[u8]) -> bool {
    matches!(octets, [0, 0, 0, 5, 0, 0, 0, 1 | 2, ..])
}

/// A datagram: its header's fields and the octets of its samples.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Who sampled, which need not be the source address.
    pub agent: Address,
    /// The part of the agent that numbers these datagrams.
    pub sub_agent: u32,
    /// Datagrams sent before by this agent and sub-agent.
    pub sequence: u32,
    /// Milliseconds since the agent started, modulo 2^32.
    pub uptime_ms: u32,
    /// Samples that the agent says are inside.
    pub count: u32,
    body: Cursor<'a>,
}

impl<'a> Datagram<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// `truncated`, `bad_version`, `bad_address_type`.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(octets);
        if cursor.u32()? != VERSION {
            return Err(Malformed::new(Reason::BadVersion, 0, 4));
        }
        Ok(Self {
            agent: Address::read(&mut cursor)?,
            sub_agent: cursor.u32()?,
            sequence: cursor.u32()?,
            uptime_ms: cursor.u32()?,
            count: cursor.u32()?,
            body: cursor,
        })
    }

    /// The samples as they stand, in order: what each is, and its octets. Errors as with [`Datagram::samples`],
    /// but for a sample's own head, which [`Sample::read`] reads.
    #[must_use]
    pub const fn structures(&self) -> Structures<'a> {
        Structures::new(self.body, self.count)
    }

    /// The samples, in order.
    #[must_use]
    pub const fn samples(&self) -> Samples<'a> {
        Samples { structures: Structures::new(self.body, self.count) }
    }
}

/// Iterator over the samples of a datagram.
///
/// A sample whose own head cannot be read is one error, and reading goes on behind it; a length beyond the
/// datagram, or a count beyond its octets, is one error and the last item.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    structures: Structures<'a>,
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Sample<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.structures.next().map(|structure| structure.and_then(Sample::read))
    }
}

/// A structure that says what it is: a sample, or a record of one.
#[derive(Debug, Clone, Copy)]
pub struct Structure<'a> {
    /// What it is.
    pub format: Format,
    /// Its octets, without format and length.
    pub body: Cursor<'a>,
}

/// Iterator over structures behind their count. Bounded by the octets, whatever the count says.
#[derive(Debug, Clone)]
pub struct Structures<'a> {
    rest: Cursor<'a>,
    left: u32,
}

impl<'a> Structures<'a> {
    pub(crate) const fn new(rest: Cursor<'a>, count: u32) -> Self {
        Self { rest, left: count }
    }

    fn read(&mut self) -> Result<Structure<'a>, Malformed> {
        let format = Format::from_wire(self.rest.u32()?);
        let length = usize::try_from(self.rest.u32()?).unwrap_or(usize::MAX);
        Ok(Structure { format, body: self.rest.split(length)? })
    }
}

impl<'a> Iterator for Structures<'a> {
    type Item = Result<Structure<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let start = self.rest;
        let structure = self.read();
        if structure.is_err() {
            self.left = 0;
            return Some(Err(start.malformed(Reason::Truncated, start.remaining())));
        }
        Some(structure)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Datagram, Format, is_sflow};
    use crate::malformed::{Malformed, Reason};
    use crate::sflow::sample::Sample;

    const DATAGRAM: [u8; 40] = [
        0, 0, 0, 5, // version 5
        0, 0, 0, 1, 192, 0, 2, 1, // agent 192.0.2.1
        0, 0, 0, 2, // sub-agent
        0, 0, 0, 3, // sequence
        0, 0, 0, 4, // uptime
        0, 0, 0, 1, // one sample
        0x00, 0x00, 0x90, 0x07, 0, 0, 0, 4, // enterprise 9, format 7, 4 octets
        1, 2, 3, 4,
    ];

    #[test]
    fn the_header_is_read_and_unknown_samples_are_kept() {
        let datagram = Datagram::parse(&DATAGRAM).unwrap();
        assert_eq!(datagram.agent, Address::Ipv4([192, 0, 2, 1]));
        assert_eq!((datagram.sub_agent, datagram.sequence, datagram.uptime_ms), (2, 3, 4));
        let mut samples = datagram.samples();
        let Some(Ok(Sample::Other(structure))) = samples.next() else { panic!() };
        assert_eq!(structure.format, Format { enterprise: 9, number: 7 });
        assert_eq!((structure.body.rest(), structure.body.offset()), (&[1, 2, 3, 4][..], 36));
        assert!(samples.next().is_none());
        assert!(is_sflow(&DATAGRAM));
    }

    // A count of 2^32-1 over no octets is one error, not four thousand million.
    #[test]
    fn counts_are_bounded_by_the_octets() {
        let mut octets = DATAGRAM;
        octets[24..28].copy_from_slice(&[0xff; 4]);
        let mut samples = Datagram::parse(&octets).unwrap().samples();
        assert!(samples.next().unwrap().is_ok());
        assert_eq!(samples.next().unwrap().unwrap_err(), Malformed::new(Reason::Truncated, 40, 0));
        assert!(samples.next().is_none());
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        let mut octets = DATAGRAM;
        octets[7] = 3;
        assert_eq!(Datagram::parse(&octets).unwrap_err(), Malformed::new(Reason::BadAddressType, 4, 4));
        octets[3] = 4;
        assert_eq!(Datagram::parse(&octets).unwrap_err().reason, Reason::BadVersion);
        assert_eq!(Datagram::parse(&DATAGRAM[..27]).unwrap_err().reason, Reason::Truncated);
    }

    #[test]
    fn formats_are_20_and_12_bits() {
        let format = Format { enterprise: 4_413, number: 1 };
        assert_eq!(Format::from_wire(format.to_wire()), format);
    }
}
