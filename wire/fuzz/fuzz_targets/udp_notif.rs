//! One UDP-notif datagram.
#![no_main]

#[path = "../../tests/walk/udp_notif.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    walk::walk(octets);
});
