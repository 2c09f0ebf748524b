//! One UDP-notif datagram in, its header, options and payload out (draft-ietf-netconf-udp-notif-22 section 3.2;
//! version 0 is the legacy header of revision -01, same layout, other media codes). Bodies are not decoded, and
//! segments are not put together: both need memory.
//!
//! ```text
//! +-----+-+-------+---------------+-------------------------------+
//! | Ver |S|  MT   | header length | message length, with header   |
//! |                     message publisher id                      |
//! |                     message id                                |
//! |  options: type, length with these 2 octets, data ...          |
//! |  payload ...                                                  |
//! ```

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// The version of the current header.
pub const VERSION: u8 = 1;

/// The version of the legacy header, where the publisher id is called observation domain id.
pub const LEGACY_VERSION: u8 = 0;

/// Octets of the header without options.
pub const HEADER_LENGTH: usize = 12;

/// What the payload is encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    /// `application/yang-data+json`
    Json,
    /// `application/yang-data+xml`
    Xml,
    /// `application/yang-data+cbor`
    Cbor,
    /// A code of the private space (S bit), or one without a meaning.
    Other(u8),
}

/// A datagram: its header's fields and its payload, which is a whole message or a segment of one.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// 1, or 0 for the legacy header.
    pub version: u8,
    /// Whether the media code is private to publisher and receiver.
    pub is_private: bool,
    /// The media code of the header.
    pub code: u8,
    /// Which process of the node published it; unique together with the source address.
    pub publisher_id: u32,
    /// Number of the message, +1 for each of this publisher, from 2^32-1 to 0.
    pub message_id: u32,
    /// The payload.
    pub payload: Cursor<'a>,
    options: Cursor<'a>,
}

impl<'a> Datagram<'a> {
    /// Reads the header. Octets behind the message's own length are left alone.
    ///
    /// # Errors
    /// `truncated` if the message is longer than `octets`; `bad_version`; `bad_length` if the header is shorter
    /// than 12 octets or longer than the message.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(octets);
        let [first, header_length] = cursor.array()?;
        let version = first >> 5;
        if version != VERSION && version != LEGACY_VERSION {
            return Err(Malformed::new(Reason::BadVersion, 0, 1));
        }
        let (header_length, length) = (usize::from(header_length), usize::from(cursor.u16()?));
        let Some(options_length) = header_length.checked_sub(HEADER_LENGTH) else {
            return Err(Malformed::new(Reason::BadLength, 1, header_length));
        };
        let Some(payload_length) = length.checked_sub(header_length) else {
            return Err(Malformed::new(Reason::BadLength, 2, length));
        };
        let (publisher_id, message_id) = (cursor.u32()?, cursor.u32()?);
        let is_private = first & 0x10 != 0;
        Ok(Self {
            version,
            is_private,
            code: first & 0x0f,
            publisher_id,
            message_id,
            options: cursor.split(options_length)?,
            payload: cursor.split(payload_length)?,
        })
    }

    /// What the payload is encoded in.
    #[must_use]
    pub const fn media(&self) -> Media {
        Media::of(self.version, self.is_private, self.code)
    }

    /// The options, in order.
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options { rest: self.options }
    }

    /// Which segment of its message this is; `None` if it is the whole message. Segmentation must be the first
    /// option, but a later one is taken as well.
    ///
    /// # Errors
    /// Those of the options before it; `bad_length` if the option has not 4 octets.
    pub fn segment(&self) -> Result<Option<Segment>, Malformed> {
        for option in self.options() {
            let mut option = option?;
            if option.kind == SEGMENTATION {
                if option.data.remaining() != 2 {
                    return Err(option.data.malformed(Reason::BadLength, option.data.remaining()));
                }
                let number = option.data.u16()?;
                return Ok(Some(Segment { number: number >> 1, is_last: number & 1 != 0 }));
            }
        }
        Ok(None)
    }
}

impl Media {
    /// The meaning of a header's code: revision -01 of the draft counted from 0 with CBOR first.
    #[must_use]
    pub const fn of(version: u8, is_private: bool, code: u8) -> Self {
        match (version, is_private, code) {
            (LEGACY_VERSION, false, 0) | (VERSION, false, 3) => Self::Cbor,
            (_, false, 1) => Self::Json,
            (_, false, 2) => Self::Xml,
            (_, _, code) => Self::Other(code),
        }
    }
}

/// Whether octets are a datagram by every sign that its header gives: a known version, a header of at least 12
/// octets, and a length that is the datagram's own.
#[must_use]
pub fn is_udp_notif(octets: &[u8]) -> bool {
    let &[first, header_length, high, low, ..] = octets else { return false };
    let is_known = match first >> 5 {
        VERSION => true,
        // The legacy header has no other mark, so its media code must be one that it knows.
        LEGACY_VERSION => first & 0x1f <= 2,
        _ => false,
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    is_known
        && usize::from(header_length) >= HEADER_LENGTH
        && length >= usize::from(header_length)
        && length == octets.len()
}

/// The option type of segmentation (section 4.1).
pub const SEGMENTATION: u8 = 1;

/// A part of a message that did not fit one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Its place, from 0, below 32,768.
    pub number: u16,
    /// Whether the message ends with it.
    pub is_last: bool,
}

/// One option of the header.
#[derive(Debug, Clone, Copy)]
pub struct DatagramOption<'a> {
    /// Its type.
    pub kind: u8,
    /// Its data.
    pub data: Cursor<'a>,
}

/// Iterator over options. One whose length cannot be is one error and the last item.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    rest: Cursor<'a>,
}

impl<'a> Options<'a> {
    /// The options in these octets, as [`Options::octets`] gave them.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: Cursor::new(octets) }
    }

    /// The octets not read yet.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.rest.rest()
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<DatagramOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest.entry(option)
    }
}

fn option<'a>(cursor: &mut Cursor<'a>) -> Result<DatagramOption<'a>, Malformed> {
    let start = *cursor;
    let [kind, length] = cursor.array()?;
    let Some(data_length) = usize::from(length).checked_sub(2) else {
        return Err(start.malformed(Reason::BadLength, usize::from(length)));
    };
    Ok(DatagramOption { kind, data: cursor.split(data_length)? })
}

#[cfg(test)]
mod tests {
    use super::{Datagram, Media, Segment};
    use crate::malformed::{Malformed, Reason};

    const SEGMENTED: [u8; 20] = [
        0x23, 16, 0, 20, // version 1, CBOR, header of 16 octets, message of 20
        0, 0, 0, 7, // publisher 7
        0, 0, 0, 9, // message 9
        1, 4, 0, 5, // segmentation: number 2, last
        0xa1, 0x01, 0x02, 0x03,
    ];

    //= draft-ietf-netconf-udp-notif-22 section 3.2
    //# All the binary fields MUST be encoded in network byte order (big endian).
    #[test]
    fn header_segment_and_payload_are_read() {
        let datagram = Datagram::parse(&SEGMENTED).unwrap();
        assert_eq!((datagram.version, datagram.media()), (1, Media::Cbor));
        assert_eq!((datagram.publisher_id, datagram.message_id), (7, 9));
        assert_eq!(datagram.segment(), Ok(Some(Segment { number: 2, is_last: true })));
        assert_eq!((datagram.payload.rest(), datagram.payload.offset()), (&SEGMENTED[16..], 16));
    }

    //= draft-ietf-netconf-udp-notif-22 section 3.2
    //# 0: Reserved, MUST NOT be used.
    #[test]
    fn media_codes_depend_on_version_and_space() {
        for (first, media) in [
            (0x21, Media::Json),
            (0x22, Media::Xml),
            (0x20, Media::Other(0)),
            (0x31, Media::Other(1)), // private space
            (0x00, Media::Cbor),     // legacy
            (0x01, Media::Json),
            (0x03, Media::Other(3)),
        ] {
            let mut octets = SEGMENTED;
            octets[0] = first;
            assert_eq!(Datagram::parse(&octets).unwrap().media(), media, "{first:#x}");
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        for (at, value, reason, offset) in [
            (0, 0x41, Reason::BadVersion, 0),
            (1, 11, Reason::BadLength, 1),
            (1, 21, Reason::BadLength, 2), // header beyond the message
            (3, 21, Reason::Truncated, 16),
        ] {
            let mut octets = SEGMENTED;
            octets[at] = value;
            let refused = Datagram::parse(&octets).unwrap_err();
            assert_eq!((refused.reason, refused.offset), (reason, offset));
        }
    }

    //= draft-ietf-netconf-udp-notif-22 section 4.1
    //# It MUST be set to 4 octets.
    #[test]
    fn options_are_bounded_by_the_header() {
        let mut octets = SEGMENTED;
        octets[13] = 5; // an option of 5 octets in 4
        assert_eq!(Datagram::parse(&octets).unwrap().segment().unwrap_err().reason, Reason::Truncated);
        octets[13] = 1;
        let refused = Datagram::parse(&octets).unwrap().segment().unwrap_err();
        assert_eq!(refused, Malformed::new(Reason::BadLength, 12, 1));
        octets[13] = 3; // segmentation of 3 octets, then one stray octet
        let refused = Datagram::parse(&octets).unwrap().segment().unwrap_err();
        assert_eq!(refused, Malformed::new(Reason::BadLength, 14, 1));
        octets[12] = 9; // an option without a meaning
        octets[13] = 4;
        assert_eq!(Datagram::parse(&octets).unwrap().segment(), Ok(None));
    }
}
