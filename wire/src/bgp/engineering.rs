//! Traffic engineering (RFC 5543): a value in, what the links towards the routes can do out. Descriptors are those
//! of OSPF and IS-IS (RFC 4203 section 1.4, RFC 5307 section 1.3).

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Iterator over the descriptors of the attribute; checked whole before it is handed out.
#[derive(Debug, Clone, Copy)]
pub struct Descriptors<'a> {
    cursor: Cursor<'a>,
}

/// One descriptor.
///
/// ```text
/// | Switching 1 | Encoding 1 | Reserved 2 | Max LSP Bandwidth, 4 each of 8 priorities | specific .. |
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descriptor<'a> {
    /// Switching capability (IANA "GMPLS Signaling Parameters").
    pub switching: u8,
    /// LSP encoding type (same registry).
    pub encoding: u8,
    /// Octets a second that an LSP can have, by priority.
    pub bandwidths: [f32; 8],
    /// What hangs on the switching capability.
    pub specific: Specific<'a>,
}

/// The part of a descriptor that hangs on its switching capability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Specific<'a> {
    /// Packets: least octets a second of an LSP, and the interface's MTU in octets.
    Packet {
        /// Octets a second.
        minimum_bandwidth: f32,
        /// Octets.
        mtu: u16,
    },
    /// Time slots: least octets a second of an LSP, and whether arbitrary SONET/SDH is spoken (1).
    TimeDivision {
        /// Octets a second.
        minimum_bandwidth: f32,
        /// 0 standard, 1 arbitrary.
        indication: u8,
    },
    /// Any other capability: the octets up to the end of the attribute, often none.
    Other(&'a [u8]),
}

impl<'a> Descriptors<'a> {
    pub(super) fn parse(value: Cursor<'a>) -> Result<Self, Malformed> {
        if value.is_empty() {
            return Err(value.malformed(Reason::BadLength, 0));
        }
        let mut cursor = value;
        while !cursor.is_empty() {
            descriptor(&mut cursor)?;
        }
        Ok(Self { cursor: value })
    }
}

impl<'a> Iterator for Descriptors<'a> {
    type Item = Descriptor<'a>;

    fn next(&mut self) -> Option<Descriptor<'a>> {
        descriptor(&mut self.cursor).ok()
    }
}

fn descriptor<'a>(cursor: &mut Cursor<'a>) -> Result<Descriptor<'a>, Malformed> {
    let [switching, encoding] = cursor.array()?;
    cursor.skip(2)?;
    let mut bandwidths = [0.0; 8];
    for bandwidth in &mut bandwidths {
        *bandwidth = f32::from_bits(cursor.u32()?);
    }
    let specific = match switching {
        1..=4 => {
            let packet =
                Specific::Packet { minimum_bandwidth: f32::from_bits(cursor.u32()?), mtu: cursor.u16()? };
            cursor.skip(2)?;
            packet
        }
        100 => {
            let slots = Specific::TimeDivision {
                minimum_bandwidth: f32::from_bits(cursor.u32()?),
                indication: cursor.u8()?,
            };
            cursor.skip(3)?;
            slots
        }
        51 | 150 | 200 => Specific::Other(&[]),
        _ => Specific::Other(cursor.take(cursor.remaining())?),
    };
    Ok(Descriptor { switching, encoding, bandwidths, specific })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn head(switching: u8) -> Vec<u8> {
        let mut octets = std::vec![switching, 1, 0, 0];
        (0..8_u8).for_each(|priority| octets.extend(f32::from(priority).to_be_bytes()));
        octets
    }

    #[test]
    fn descriptors_end_by_their_switching_capability() {
        let octets =
            [&head(1)[..], &[0x3f, 0x80, 0, 0, 0x05, 0xdc, 0, 0], &head(150), &head(77), &[9]].concat();
        let read: Vec<_> = Descriptors::parse(Cursor::new(&octets)).unwrap().collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].bandwidths, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(read[0].specific, Specific::Packet { minimum_bandwidth: 1.0, mtu: 1500 });
        assert_eq!((read[1].switching, read[1].specific), (150, Specific::Other(&[])));
        assert_eq!(read[2].specific, Specific::Other(&[9]));
        let slots = [&head(100)[..], &[0x40, 0, 0, 0, 1, 0, 0, 0]].concat();
        let read = Descriptors::parse(Cursor::new(&slots)).unwrap().next().unwrap();
        assert_eq!(read.specific, Specific::TimeDivision { minimum_bandwidth: 2.0, indication: 1 });
    }

    #[test]
    fn a_part_of_a_descriptor_is_malformed() {
        for octets in [&[][..], &head(150)[..35], &head(1), &[&head(150)[..], &[1]].concat()] {
            assert!(Descriptors::parse(Cursor::new(octets)).is_err(), "{octets:?}");
        }
    }
}
