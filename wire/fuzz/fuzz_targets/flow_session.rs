//! Several datagrams of one exporter, each behind its length: templates of one meet data of another.
#![no_main]

#[path = "../../tests/walk/flow.rs"]
#[expect(dead_code, reason = "reading one datagram by itself is the other target's")]
mod walk;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let mut walk = walk::Walk::default();
    let mut rest = octets;
    while let [high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (datagram, others) = behind.split_at(length);
        walk.read(datagram);
        rest = others;
    }
});
