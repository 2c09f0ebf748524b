//! One BMP stream.
#![no_main]

#[path = "../../tests/walk/bmp.rs"]
#[expect(dead_code, reason = "reading one UPDATE by itself is the other target's")]
mod walk;

mod bounded;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| bounded::bounded(|| {
    walk::walk(octets);
}));
