//! One sFlow datagram.
#![no_main]

#[path = "../../tests/walk/sflow.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    walk::walk(octets);
});
