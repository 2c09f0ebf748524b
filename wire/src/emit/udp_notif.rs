//! Messages in, UDP-notif datagrams out, cut into segments where they are longer than a datagram may be.

use alloc::vec::Vec;

use crate::udp_notif::{HEADER_LENGTH, SEGMENTATION, VERSION};

/// The header's fields that a caller chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Media code: 1 JSON, 2 XML, 3 CBOR.
    pub media: u8,
    /// Which process of the node publishes.
    pub publisher_id: u32,
    /// Number of the message.
    pub message_id: u32,
}

/// The datagrams of a message, each with at most `most` octets of payload: one without options if that is enough,
/// else segments in order.
///
/// # Panics
/// If `most` is 0, a datagram would be longer than 65,535 octets, or there are more than 32,768 segments.
#[must_use]
pub fn datagrams(header: &Header, payload: &[u8], most: usize) -> Vec<Vec<u8>> {
    if payload.len() <= most {
        return alloc::vec![datagram(header, &[], payload)];
    }
    let count = payload.len().div_ceil(most);
    let segment = |(number, part): (usize, &[u8])| {
        let number = u16::try_from(number).ok().filter(|number| *number < 1 << 15).expect("32,768 segments");
        let [high, low] = (number << 1 | u16::from(usize::from(number) + 1 == count)).to_be_bytes();
        datagram(header, &[SEGMENTATION, 4, high, low], part)
    };
    payload.chunks(most).enumerate().map(segment).collect()
}

/// One datagram with options as they are.
///
/// # Panics
/// If the options are longer than 243 octets or the datagram is longer than 65,535.
#[must_use]
pub fn datagram(header: &Header, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header_length = u8::try_from(HEADER_LENGTH + options.len()).expect("options of at most 243 octets");
    let length = usize::from(header_length) + payload.len();
    let length = u16::try_from(length).expect("a datagram of at most 65,535 octets");
    let mut octets = alloc::vec![VERSION << 5 | header.media & 0x0f, header_length];
    octets.extend(length.to_be_bytes());
    octets.extend(header.publisher_id.to_be_bytes());
    octets.extend(header.message_id.to_be_bytes());
    octets.extend_from_slice(options);
    octets.extend_from_slice(payload);
    octets
}

#[cfg(test)]
mod tests {
    use super::{Header, datagrams};
    use crate::udp_notif::{Datagram, Media, Segment};
    use alloc::vec::Vec;

    const HEADER: Header = Header { media: 1, publisher_id: 7, message_id: 9 };

    #[test]
    fn a_short_message_is_one_datagram() {
        let datagrams = datagrams(&HEADER, b"{}", 100);
        assert_eq!(datagrams, [[0x21, 12, 0, 14, 0, 0, 0, 7, 0, 0, 0, 9, b'{', b'}']]);
    }

    #[test]
    fn a_long_message_is_cut_and_the_last_part_says_so() {
        let message: Vec<u8> = (0..=9).collect();
        let mut whole = Vec::new();
        for (number, octets) in (0..).zip(datagrams(&HEADER, &message, 4)) {
            let datagram = Datagram::parse(&octets).unwrap();
            assert_eq!(datagram.media(), Media::Json);
            assert_eq!(datagram.segment(), Ok(Some(Segment { number, is_last: number == 2 })));
            whole.extend_from_slice(datagram.payload.rest());
        }
        assert_eq!(whole, message);
    }
}
