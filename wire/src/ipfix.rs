//! One IPFIX message in, its header and its sets out (RFC 7011 section 3.1). Holds no templates and no state:
//! which set can be read is its caller's knowledge.
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! |         version 10            |    length, with this header   |
//! |                     export time, Unix seconds                 |
//! |          sequence: data records sent before, modulo 2^32      |
//! |                     observation domain id                     |
//! +---------------+---------------+---------------+---------------+
//! |  sets ...                                                     |
//! ```

pub mod template;
pub mod data;
pub mod information;

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};
use crate::set::{Dialect, Sets};

/// The version number of an IPFIX message.
pub const VERSION: u16 = 10;

/// Octets of the message header.
pub const HEADER_LENGTH: usize = 16;

/// A message: its header's fields and the octets of its sets.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Octets of the whole message by its header.
    pub length: u16,
    /// When the header left the exporter, in seconds since 1970.
    pub export_time: u32,
    /// Data records sent before this message in this observation domain and transport session, modulo 2^32.
    pub sequence: u32,
    /// The exporter's numbering space of templates and of the sequence.
    pub observation_domain_id: u32,
    body: Cursor<'a>,
    missing: usize,
}

impl<'a> Message<'a> {
    /// Reads the header at the start of `octets`. Octets behind the message's own length are left alone; if the
    /// message is cut short, its complete sets can still be read and [`Sets`] ends with `truncated`.
    ///
    /// # Errors
    /// `truncated` below 16 octets, `bad_version`, `bad_length` if the length is below 16.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(octets);
        let version = cursor.u16()?;
        if version != VERSION {
            return Err(Malformed::new(Reason::BadVersion, 0, 2));
        }
        let length = cursor.u16()?;
        let export_time = cursor.u32()?;
        let sequence = cursor.u32()?;
        let observation_domain_id = cursor.u32()?;
        let Some(wanted) = usize::from(length).checked_sub(HEADER_LENGTH) else {
            return Err(Malformed::new(Reason::BadLength, 2, usize::from(length)));
        };
        let here = wanted.min(cursor.remaining());
        let body = cursor.split(here)?;
        Ok(Self { length, export_time, sequence, observation_domain_id, body, missing: wanted - here })
    }

    /// The message's sets, in order.
    #[must_use]
    pub fn sets(&self) -> Sets<'a> {
        Sets::new(self.body, self.missing, Dialect::Ipfix)
    }
}

/// How many octets the message at the start of a byte stream has (RFC 7011 section 10.4: over TCP the message
/// length is the framing); `None` until the first 4 octets are there.
///
/// # Errors
/// `bad_version` or `bad_length`: the stream has lost its framing.
pub fn frame_length(octets: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut cursor = Cursor::new(octets);
    let (Ok(version), Ok(length)) = (cursor.u16(), cursor.u16()) else {
        return Ok(None);
    };
    if version != VERSION {
        return Err(Malformed::new(Reason::BadVersion, 0, 2));
    }
    if usize::from(length) < HEADER_LENGTH {
        return Err(Malformed::new(Reason::BadLength, 2, usize::from(length)));
    }
    Ok(Some(usize::from(length)))
}

#[cfg(test)]
mod tests {
    use super::{Message, frame_length};
    use crate::malformed::{Malformed, Reason};

    const MESSAGE: [u8; 21] = [
        0x00, 0x0a, 0x00, 0x15, // version 10, length 21
        0x68, 0x00, 0x00, 0x01, // export time
        0x00, 0x00, 0x01, 0x00, // sequence 256
        0x00, 0x00, 0x00, 0x07, // observation domain 7
        0x01, 0x00, 0x00, 0x05, 0xaa, // data set 256 of 1 octet
    ];

    #[test]
    fn the_header_is_read_and_the_sets_have_absolute_offsets() {
        let message = Message::parse(&MESSAGE).unwrap();
        assert_eq!((message.length, message.export_time), (21, 0x6800_0001));
        assert_eq!((message.sequence, message.observation_domain_id), (256, 7));
        let set = message.sets().next().unwrap().unwrap();
        assert_eq!((set.offset, set.body.offset(), set.length()), (16, 20, 5));
    }

    #[test]
    fn octets_behind_the_message_are_not_part_of_it() {
        let mut longer = [0; 24];
        longer[..21].copy_from_slice(&MESSAGE);
        assert_eq!(Message::parse(&longer).unwrap().sets().count(), 1);
    }

    #[test]
    fn a_message_cut_short_keeps_its_complete_sets() {
        let mut octets = MESSAGE;
        octets[3] = 30; // the header says 9 octets more
        let message = Message::parse(&octets).unwrap();
        let mut sets = message.sets();
        assert!(sets.next().unwrap().is_ok());
        assert_eq!(sets.next().unwrap().unwrap_err(), Malformed::new(Reason::Truncated, 21, 9));
        assert!(sets.next().is_none());
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        let mut short = MESSAGE;
        short[3] = 15;
        assert_eq!(Message::parse(&short).unwrap_err(), Malformed::new(Reason::BadLength, 2, 15));
        let mut version = MESSAGE;
        version[1] = 11;
        assert_eq!(Message::parse(&version).unwrap_err().reason, Reason::BadVersion);
        assert_eq!(Message::parse(&MESSAGE[..15]).unwrap_err(), Malformed::new(Reason::Truncated, 12, 4));
    }

    #[test]
    fn a_stream_is_framed_by_the_length() {
        assert_eq!(frame_length(&MESSAGE[..3]), Ok(None));
        assert_eq!(frame_length(&MESSAGE[..4]), Ok(Some(21)));
        assert_eq!(frame_length(&[0, 9, 0, 20]).unwrap_err().reason, Reason::BadVersion);
        assert_eq!(frame_length(&[0, 10, 0, 15]).unwrap_err().reason, Reason::BadLength);
    }
}
