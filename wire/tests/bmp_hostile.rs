//! Cut anywhere, one bit wrong anywhere: no panic, no endless loop, nothing read outside. Every view is walked to
//! its end.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use wire::bgp::{Entries, Nlri, Session};
use wire::bmp::{self, Framed};

#[path = "walk/populations.rs"]
mod populations;
#[path = "walk/bmp.rs"]
mod walk;

use populations::{bmp as samples, typed_fields, updates};
use walk::walk;

#[test]
fn the_samples_are_sound() {
    for (family, nlri) in typed_fields() {
        let entries = Entries::new(wire::Cursor::new(&nlri), family, &Session::FOUR_OCTET, false);
        for entry in entries {
            let entry = entry.unwrap();
            assert_eq!(entry.nlri.check(), Ok(()), "{family} {entry:?}");
            assert!(!matches!(entry.nlri, Nlri::Raw(_)), "{family}");
        }
    }
}

#[test]
fn whole_messages_are_read_whole() {
    for octets in samples() {
        let found = walk(&octets);
        assert_eq!((found.messages, found.missing), (1, Some(6)));
    }
    let routes: usize = samples().iter().map(|octets| walk(octets).routes).sum();
    assert!(routes > 50, "{routes} routes");
}

#[test]
fn cut_anywhere() {
    for octets in samples() {
        for length in 0..octets.len() {
            let cut = &octets[..length];
            assert!(matches!(bmp::frame(cut, 1 << 16), Framed::NeedMore(_)));
            // The same cut, with a length that says it is whole.
            let mut whole = cut.to_vec();
            if let Some(field) = whole.get_mut(1..5) {
                field.copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
            }
            walk(&whole);
        }
    }
}

#[test]
fn one_bit_wrong_anywhere() {
    for octets in samples() {
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            walk(&flipped);
        }
    }
}

#[test]
fn one_octet_at_its_extremes_anywhere() {
    for octets in samples() {
        for place in 0..octets.len() {
            for value in [0, 0x7f, 0xff] {
                let mut changed = octets.clone();
                changed[place] = value;
                walk(&changed);
            }
        }
    }
}

/// Where the fuzzer starts from: one file a sample, written anew by `WRITE_SEEDS=1 cargo test -p wire seeds`; its finds
/// are added. Returns how many files were read.
fn seeds(folder: &str, samples: &[Vec<u8>], read: impl Fn(&[u8])) -> usize {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds")).join(folder);
    if std::env::var_os("WRITE_SEEDS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (number, octets) in samples.iter().enumerate() {
            std::fs::write(folder.join(format!("sample-{number:02}")), octets).unwrap();
        }
    }
    let mut count = 0;
    for seed in std::fs::read_dir(folder).unwrap() {
        read(&std::fs::read(seed.unwrap().path()).unwrap());
        count += 1;
    }
    count
}

#[test]
fn seeds_are_read_to_the_end() {
    let streams = samples();
    assert!(seeds("bmp", &streams, |octets| assert!(walk(octets).messages > 0)) >= streams.len());
    let bodies = updates();
    assert!(seeds("bgp", &bodies, |octets| _ = walk::walk_update(octets)) >= bodies.len());
}

#[test]
fn updates_cut_anywhere_and_one_bit_wrong() {
    for octets in updates() {
        for length in 0..octets.len() {
            walk::walk_update(&octets[..length]);
        }
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            walk::walk_update(&flipped);
        }
    }
}
