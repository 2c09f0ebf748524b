//! Every emitted message cut at every octet and with every bit flipped is read to the end without a panic, every
//! error and every field lies inside the message, and what stands before a cut is not lost.

#[path = "walk/flow.rs"]
mod walk;

use proptest::collection::vec;
use proptest::prelude::*;
use walk::{Found, Walk};
use wire::emit::{ipfix as emit_ipfix, netflow as emit_netflow};
use wire::ipfix::template::{Field, VARIABLE_LENGTH};
use wire::netflow::Version;

/// One datagram of each shape, and what is in it.
fn datagrams() -> Vec<(Vec<u8>, Found)> {
    let flow = [Field::iana(8, 4), Field { pen: 29_305, id: 1, length: 8 }, Field::iana(82, VARIABLE_LENGTH)];
    let lists = [
        Field::iana(291, VARIABLE_LENGTH),
        Field::iana(292, VARIABLE_LENGTH),
        Field::iana(293, VARIABLE_LENGTH),
    ];
    let inner: &[u8] = &[192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 9, 2, b'e', b'0'];
    let sub_template = [&[3, 1, 0][..], inner].concat();
    let multi = [&[4, 1, 0, 0, 19][..], inner].concat();
    let mut message = emit_ipfix::Message::new(1, 2, 3);
    message
        .template(256, &flow)
        .template(257, &lists)
        .options_template(258, 1, &[Field::iana(149, 4), Field::iana(34, 4)])
        .data(256, &flow, &[&[&[192, 0, 2, 1], &[0; 8], b"eth0"], &[&[192, 0, 2, 2], &[1; 8], b""]])
        .data(257, &lists, &[&[&[3, 0, 10, 0, 4, 0, 0, 0, 1], &sub_template, &multi]])
        .data(258, &[Field::iana(149, 4), Field::iana(34, 4)], &[&[&[0, 0, 0, 3], &[0, 0, 0, 100]]])
        .withdrawal(256, false)
        .pad();
    let ipfix = Found { sets: 7, templates: 3, records: 2 + 1 + 2 + 1, fields: 6 + 3 + 6 + 2, errors: 0 };

    let mut packet = emit_netflow::Packet::new(1, 2, 3, 4);
    let fields = [Field::iana(8, 4), Field::iana(33_000, 12), Field::iana(1, 0)];
    packet.template(256, &fields).options_template(257, &[Field::iana(1, 4)], &[Field::iana(34, 2)]).data(
        256,
        &fields,
        &[&[&[1, 2, 3, 4], &[7; 12], &[]], &[&[1, 2, 3, 5], &[8; 12], &[]]],
    );
    let netflow9 = Found { sets: 3, templates: 2, records: 2, fields: 6, errors: 0 };

    let record = emit_netflow::RecordV5::default();
    let netflow5 = Found { records: 2, fields: 40, ..Found::default() };
    vec![
        (message.finish(), ipfix),
        (packet.finish(), netflow9),
        (emit_netflow::packet_v5(&emit_netflow::HeaderV5::default(), &[record; 2]), netflow5),
    ]
}

#[test]
fn whole_datagrams_are_read_whole() {
    for (octets, found) in datagrams() {
        assert_eq!(Walk::over(&octets), found);
    }
}

#[test]
fn cut_anywhere() {
    for (octets, whole) in datagrams() {
        let mut records = 0;
        for end in 0..octets.len() {
            let found = Walk::over(&octets[..end]);
            assert!(found.records >= records && found.sets <= whole.sets, "{end}: {found:?}");
            records = found.records;
            // NetFlow v9 has no length of its own: cut between flowsets it is a shorter packet.
            let has_length = Version::of(&octets[..end]).is_some_and(|version| version != Version::V9);
            assert!(found.errors > 0 || !has_length, "{end}: {found:?}");
        }
    }
}

#[test]
fn any_bit_flipped() {
    for (octets, _) in datagrams() {
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            Walk::over(&flipped);
        }
    }
}

proptest! {
    #[test]
    fn any_octets(octets in vec(any::<u8>(), 0..200), version in 0_u8..12) {
        let mut octets = octets;
        if let [high, low, ..] = octets.as_mut_slice() {
            (*high, *low) = (0, version);
        }
        Walk::over(&octets);
    }

    #[test]
    fn several_octets_overwritten(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        for (mut octets, _) in datagrams() {
            for (at, octet) in &changes {
                let at = at.index(octets.len());
                octets[at] = *octet;
            }
            Walk::over(&octets);
        }
    }
}

/// What each hostile seed of the fuzzer holds: (file, templates, records, errors). Lists are followed
/// [`walk::MAX_DEPTH`] deep.
const SEEDS: [(&str, usize, usize, usize); 15] = [
    ("basic-list-of-no-octets", 1, 1, 1),
    ("list-within-itself", 1, 5, 0),
    ("multi-list-group-below-header", 1, 1, 1),
    ("netflow5-count-above-octets", 0, 0, 1),
    ("netflow9-record-per-octet", 1, 1_000, 0),
    ("netflow9-scope-length-odd", 0, 0, 1),
    ("redefined", 2, 1 + 4, 0),
    ("scope-count-above-fields", 0, 0, 1),
    ("set-beyond-message", 1, 0, 1),
    ("set-length-zero", 1, 0, 1),
    ("template-of-65535-fields", 0, 0, 1),
    ("template-of-empty-fields", 0, 0, 1),
    ("template-of-no-octets", 0, 0, 1),
    ("variable-past-the-end", 1, 1, 1),
    ("withdraw-all", 1, 0, 0),
];

#[test]
fn attacks_end_as_they_should() {
    for (name, templates, records, errors) in SEEDS {
        let path = format!("{}/fuzz/seeds/flow/{name}", env!("CARGO_MANIFEST_DIR"));
        let found = Walk::over(&std::fs::read(path).unwrap());
        assert_eq!((found.templates, found.records, found.errors), (templates, records, errors), "{name}");
    }
}

/// Every seed, whatever it holds: the fuzzer's finds are added to the folder.
#[test]
fn seeds_are_read_to_the_end() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/flow");
    let read = std::fs::read_dir(seeds).unwrap().map(|seed| {
        Walk::over(&std::fs::read(seed.unwrap().path()).unwrap());
    });
    assert!(read.count() >= SEEDS.len());
}
