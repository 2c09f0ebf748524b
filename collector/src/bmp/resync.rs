//! Where a capture starts in the middle of a BMP stream: octets in, the offset of the first header that is hardly
//! one by accident out. Only used where the settings ask for it.

use wire::bgp::MARKER;
use wire::bmp::HEADER_LENGTH;

/// Octets that are needed to judge a header: the common one, peer type and flags.
const LOOK_OCTETS: usize = HEADER_LENGTH + 2;
/// The shortest messages by type: per-peer header and what must follow it.
const SHORTEST: [usize; 7] = [71, 52, 49, 68, 6, 6, 48];

/// What the octets at the start of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A message begins here.
    Here,
    /// Not decided: more octets are needed.
    NeedMore,
    /// No message begins in this many octets.
    Skip(usize),
}

/// Looks for the first plausible message: its header is, and so is the one behind it where that is there.
pub(crate) fn find(octets: &[u8], max_length: usize) -> Start {
    for at in 0..octets.len() {
        let Some(rest) = octets.get(at..) else { break };
        match judge(rest, max_length) {
            Judged::Plausible | Judged::TooFew if at > 0 => return Start::Skip(at),
            Judged::Plausible => return Start::Here,
            Judged::TooFew => return Start::NeedMore,
            Judged::Not => {}
        }
    }
    if octets.is_empty() { Start::NeedMore } else { Start::Skip(octets.len()) }
}

enum Judged {
    Plausible,
    TooFew,
    Not,
}

fn judge(octets: &[u8], max_length: usize) -> Judged {
    let length = match header(octets, max_length) {
        Ok(length) => length,
        Err(judged) => return judged,
    };
    // Whole, and something plausible behind it if anything is: six octets alone are too easily met by accident.
    match octets.get(length..) {
        None => Judged::TooFew,
        Some([]) => Judged::Plausible,
        Some(next) => match header(next, max_length) {
            Ok(_) | Err(Judged::TooFew) => Judged::Plausible,
            Err(judged) => judged,
        },
    }
}

/// The length of the message, if this looks like the start of one.
fn header(octets: &[u8], max_length: usize) -> Result<usize, Judged> {
    if octets.first().is_some_and(|version| !matches!(version, 3 | 4)) {
        return Err(Judged::Not);
    }
    // A length below 16 MiB: its first octet is zero.
    if octets.get(1).is_some_and(|octet| *octet != 0) {
        return Err(Judged::Not);
    }
    let Some(&[_, a, b, c, d, kind, peer_type, flags]) = octets.first_chunk::<LOOK_OCTETS>() else {
        return Err(Judged::TooFew);
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let Some(&shortest) = SHORTEST.get(usize::from(kind)) else { return Err(Judged::Not) };
    let has_peer = !matches!(kind, 4 | 5);
    let is_peer = peer_type <= 3 && flags & 0x0f == 0;
    // Behind an Initiation or a Termination stands the high octet of a TLV type.
    let fits = if has_peer { is_peer } else { length == HEADER_LENGTH || peer_type == 0 };
    if length < shortest || length > max_length || !fits {
        return Err(Judged::Not);
    }
    // The marker of the BGP message inside.
    let marker = match kind {
        0 => octets.get(48..64),
        3 => octets.get(68..84),
        _ => return Ok(length),
    };
    match marker {
        None => Err(Judged::TooFew),
        Some(marker) if marker == MARKER => Ok(length),
        Some(_) => Err(Judged::Not),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIATION: [u8; 12] = [3, 0, 0, 0, 12, 4, 0, 2, 0, 2, b'r', b'1'];

    #[test]
    fn the_tail_of_a_message_is_skipped() {
        let stream = [&[0xff, 3, 0, 0, 0, 9, 5, 9, 3, 0, 1][..], &INITIATION, &INITIATION].concat();
        assert_eq!(find(&stream, 1 << 20), Start::Skip(11));
        assert_eq!(find(&stream[11..], 1 << 20), Start::Here);
    }

    #[test]
    fn a_header_whose_message_is_not_there_waits_for_it() {
        // What could be a Route Monitoring of 2,307 octets: nothing says yet that it is not.
        let stream = [&[3, 0, 0, 9, 3, 0, 0, 0][..], &[0; 30]].concat();
        assert_eq!(find(&stream, 1 << 20), Start::NeedMore);
        // Here is no BGP marker.
        assert_eq!(find(&[&stream[..], &[0; 30]].concat(), 1 << 20), Start::Skip(68));
    }

    #[test]
    fn octets_without_a_header_go_and_few_octets_wait() {
        assert_eq!(find(&[0xff; 100], 1 << 20), Start::Skip(100));
        assert_eq!(find(&INITIATION[..3], 1 << 20), Start::NeedMore);
        assert_eq!(find(&[0xff, 3, 0], 1 << 20), Start::Skip(1));
        assert_eq!(find(&[], 1 << 20), Start::NeedMore);
    }
}
