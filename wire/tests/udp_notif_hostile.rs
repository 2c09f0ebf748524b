//! UDP-notif: a message cut into segments comes together again, and no octets panic or are read outside.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::emit::udp_notif::{Header, datagrams};
use wire::udp_notif::Datagram;

fn walk(octets: &[u8]) {
    if let Ok(datagram) = Datagram::parse(octets) {
        assert!(datagram.payload.offset() + datagram.payload.remaining() <= octets.len());
        for option in datagram.options().flatten() {
            assert!(option.data.offset() + option.data.remaining() <= datagram.payload.offset());
        }
        let _ = datagram.segment();
    }
}

proptest! {
    #[test]
    fn segments_make_the_message(message in vec(any::<u8>(), 0..600), most in 1_usize..200, publisher_id: u32) {
        let header = Header { media: 3, publisher_id, message_id: 1 };
        let mut whole = Vec::new();
        let sent = datagrams(&header, &message, most);
        for (at, octets) in sent.iter().enumerate() {
            let datagram = Datagram::parse(octets).unwrap();
            prop_assert_eq!(datagram.publisher_id, publisher_id);
            match datagram.segment().unwrap() {
                Some(segment) => {
                    prop_assert_eq!((usize::from(segment.number), segment.is_last), (at, at + 1 == sent.len()));
                }
                None => prop_assert_eq!(sent.len(), 1),
            }
            whole.extend_from_slice(datagram.payload.rest());
        }
        prop_assert_eq!(whole, message);
    }

    #[test]
    fn any_octets(octets in vec(any::<u8>(), 0..80)) {
        walk(&octets);
    }
}

#[test]
fn cut_anywhere_and_any_bit_flipped() {
    let header = Header { media: 1, publisher_id: 1, message_id: 2 };
    for octets in datagrams(&header, b"{\"a\":1}", 4) {
        for end in 0..octets.len() {
            assert!(Datagram::parse(&octets[..end]).is_err());
        }
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            walk(&flipped);
        }
    }
}
