//! A UDP-notif datagram read to the end by every view there is. Panics if a place lies outside of the datagram.

use wire::udp_notif::Datagram;

/// Reads one datagram by itself.
pub(crate) fn walk(octets: &[u8]) {
    let Ok(datagram) = Datagram::parse(octets) else { return };
    assert!(datagram.payload.offset() + datagram.payload.remaining() <= octets.len());
    for option in datagram.options().flatten() {
        assert!(option.data.offset() + option.data.remaining() <= datagram.payload.offset());
    }
    if let Ok(Some(segment)) = datagram.segment() {
        assert!(segment.number < 1 << 15);
    }
}
