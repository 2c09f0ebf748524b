//! A script of datagrams and stream octets played into one collector: templates of one meet data of another, BMP
//! cut anywhere, sessions that end in the middle.
#![no_main]

#[path = "../../../collector/tests/walk/session.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    walk::play(script, |_| {});
});
