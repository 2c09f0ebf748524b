//! One UDP-notif datagram.
#![no_main]

#[path = "../../tests/walk/udp_notif.rs"]
mod walk;

mod bounded;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| bounded::bounded(|| {
    walk::walk(octets);
}));
