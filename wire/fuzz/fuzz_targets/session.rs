//! A script of datagrams and stream octets played into one collector, and every row that comes out printed: templates
//! of one datagram meet data of another, BMP is cut anywhere, sessions end in the middle; each line is one JSON object.
#![no_main]

#[path = "../../../collector/tests/walk/session.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let mut encoder = output::json::Encoder::default();
    let mut text = Vec::new();
    walk::play(script, |lease| {
        for row in 0..lease.rows as usize {
            text.clear();
            encoder.line(lease, row, &mut text).expect("a row that a session wrote has a line");
            let line: serde_json::Value = serde_json::from_slice(&text).expect("a line is JSON");
            assert!(line.is_object());
        }
    });
});
