//! One datagram of IPFIX, NetFlow v9 or v5.
#![no_main]

#[path = "../../tests/walk/flow.rs"]
mod walk;

mod bounded;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| bounded::bounded(|| {
    walk::Walk::over(octets);
}));
