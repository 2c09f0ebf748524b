//! One UPDATE under every reading: the message's body is the input, so nothing is spent on headers.
#![no_main]

#[path = "../../tests/walk/bmp.rs"]
#[expect(dead_code, reason = "reading a whole stream is the other target's")]
mod walk;

mod bounded;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| bounded::bounded(|| {
    walk::walk_update(octets);
}));
