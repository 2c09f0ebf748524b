//! One BMP stream.
#![no_main]

#[path = "../../tests/walk/bmp.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    walk::walk(octets);
});
