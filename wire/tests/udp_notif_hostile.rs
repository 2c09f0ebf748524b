//! UDP-notif: a message cut into segments comes together again, and no octets panic or are read outside.

#[path = "walk/udp_notif.rs"]
mod walk;

use proptest::collection::vec;
use proptest::prelude::*;
use walk::walk;
use wire::emit::udp_notif::{Header, datagram, datagrams};
use wire::udp_notif::Datagram;

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

    /// Options that nobody knows stand beside the body and are read as they were written.
    #[test]
    fn options_are_kept(
        options in vec((2_u8..255, vec(any::<u8>(), 0..20)), 0..8),
        body in vec(any::<u8>(), 0..40),
        media in 0_u8..16,
        message_id: u32,
    ) {
        let written: Vec<u8> = options
            .iter()
            .flat_map(|(kind, data)| [&[*kind, u8::try_from(data.len() + 2).unwrap()][..], data].concat())
            .collect();
        let octets = datagram(&Header { media, publisher_id: 9, message_id }, &written, &body);
        let read = Datagram::parse(&octets).unwrap();
        prop_assert_eq!((read.publisher_id, read.message_id, read.payload.rest()), (9, message_id, &body[..]));
        let found: Vec<(u8, Vec<u8>)> =
            read.options().map(|option| option.map(|option| (option.kind, option.data.rest().to_vec())).unwrap()).collect();
        prop_assert_eq!(found, options);
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

/// Every seed, whatever it holds: the fuzzer's finds are added to the folder.
#[test]
fn seeds_are_read_to_the_end() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/udp_notif");
    let read = std::fs::read_dir(seeds).unwrap().map(|seed| {
        walk(&std::fs::read(seed.unwrap().path()).unwrap());
    });
    assert!(read.count() > 0);
}
