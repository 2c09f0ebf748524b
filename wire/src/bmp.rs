//! BMP: octets of a stream come in, one framed message after the other goes out, each a view over the seven types
//! of RFC 7854. Version 3 and version 4 (draft-ietf-grow-bmp-tlv). Never buffers, never resynchronises, never keeps
//! state between messages.
//!
//! ```text
//! stream -> frame -> message -> peer_header + monitoring (one UPDATE; version 4: indexed TLVs), statistics, peer_up, peer_down, mirroring
//!                            -> initiation, termination: tlv
//! ```

pub mod tlv;
pub mod peer_header;
pub mod initiation;
pub mod peer_up;
pub mod peer_down;
pub mod indexed;
pub mod profile;
pub mod path_status;
pub mod monitoring;
pub mod statistics;
pub mod mirroring;
pub mod route_event;

pub use indexed::{IndexedTlv, IndexedTlvs, TlvValue};
pub use initiation::{Initiation, Termination};
pub use mirroring::{Mirrored, RouteMirroring};
pub use monitoring::{RouteMonitoring, Tagged};
pub use path_status::PathStatus;
pub use peer_down::{Cause, PeerDown};
pub use peer_header::{PeerHeader, PeerType, RibView};
pub use peer_up::PeerUp;
pub use profile::{Meaning, Profile};
pub use route_event::RouteEvent;
pub use statistics::{Statistic, StatisticValue, StatisticsReport};
pub use tlv::{Tlv, Tlvs};

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Octets of the common header.
pub const HEADER_LENGTH: usize = 6;

/// A bound on the length of a message that no sound router reaches: one UPDATE of 65,535 octets, or two OPENs, and
/// generous TLVs. The RFC itself sets none.
pub const DEFAULT_MAX_LENGTH: usize = 1 << 20;

/// What the first octets of a stream hold.
#[derive(Debug, Clone, Copy)]
pub enum Framed<'a> {
    /// Not a whole message yet: at least this many octets are missing.
    NeedMore(usize),
    /// One whole message.
    Whole(Frame<'a>),
    /// Not BMP, or out of step: nothing behind can be trusted, the stream is to be closed.
    Malformed(Malformed),
}

/// One whole message with its common header read (RFC 7854 section 4.1).
///
/// ```text
///  0                   1                   2                   3
/// |    Version    |        Message Length (whole message)         |
/// |               |   Msg. Type   |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// 3 or 4.
    pub version: u8,
    /// Message type as sent.
    pub kind: u8,
    /// The whole message, common header included.
    pub octets: &'a [u8],
}

/// Frames the message at the start of `octets`. Messages longer than `max_length` octets are refused before they
/// are waited for.
#[must_use]
pub fn frame(octets: &[u8], max_length: usize) -> Framed<'_> {
    match read_frame(octets, max_length) {
        Ok(framed) => framed,
        Err(malformed) => Framed::Malformed(malformed),
    }
}

fn read_frame(octets: &[u8], max_length: usize) -> Result<Framed<'_>, Malformed> {
    let mut cursor = Cursor::new(octets);
    if let Some(version) = octets.first()
        && !matches!(version, 3 | 4)
    {
        return Err(cursor.malformed(Reason::BadVersion, 1));
    }
    if octets.len() < HEADER_LENGTH {
        return Ok(Framed::NeedMore(HEADER_LENGTH - octets.len()));
    }
    let version = cursor.u8()?;
    let place = cursor;
    let length = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
    let kind = cursor.u8()?;
    if length < HEADER_LENGTH {
        return Err(place.malformed(Reason::BadLength, 4));
    }
    if length > max_length {
        return Err(place.malformed(Reason::OverLimit, 4));
    }
    Ok(match octets.get(..length) {
        Some(octets) => Framed::Whole(Frame { version, kind, octets }),
        None => Framed::NeedMore(length - octets.len()),
    })
}

impl<'a> Frame<'a> {
    /// The message behind the common header. Offsets in what it yields, and in errors, count from the start of the
    /// frame.
    ///
    /// # Errors
    /// What breaks the message as a whole. The stream stays in step: the next frame is not touched by it.
    #[inline]
    pub fn message(&self) -> Result<Message<'a>, Malformed> {
        let mut body = Cursor::new(self.octets);
        body.skip(HEADER_LENGTH)?;
        Ok(match self.kind {
            0 => Message::RouteMonitoring(RouteMonitoring::parse(body, self.version)?),
            1 => Message::StatisticsReport(StatisticsReport::parse(body, self.version)?),
            2 => Message::PeerDown(PeerDown::parse(body, self.version)?),
            3 => Message::PeerUp(PeerUp::parse(body)?),
            4 => Message::Initiation(Initiation::new(body)),
            5 => Message::Termination(Termination::new(body)),
            6 => Message::RouteMirroring(RouteMirroring::parse(body)?),
            kind => Message::Unknown { kind, body },
        })
    }
}

/// One message by its type.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// Type 0.
    RouteMonitoring(RouteMonitoring<'a>),
    /// Type 1.
    StatisticsReport(StatisticsReport<'a>),
    /// Type 2.
    PeerDown(PeerDown<'a>),
    /// Type 3.
    PeerUp(PeerUp<'a>),
    /// Type 4.
    Initiation(Initiation<'a>),
    /// Type 5.
    Termination(Termination<'a>),
    /// Type 6.
    RouteMirroring(RouteMirroring<'a>),
    /// Any other type: to be counted and stepped over.
    Unknown {
        /// Type as sent.
        kind: u8,
        /// Everything behind the common header.
        body: Cursor<'a>,
    },
}

impl Message<'_> {
    /// The per-peer header, where the type has one.
    #[must_use]
    pub const fn peer(&self) -> Option<&PeerHeader> {
        match self {
            Self::RouteMonitoring(message) => Some(&message.peer),
            Self::StatisticsReport(message) => Some(&message.peer),
            Self::PeerDown(message) => Some(&message.peer),
            Self::PeerUp(message) => Some(&message.peer),
            Self::RouteMirroring(message) => Some(&message.peer),
            Self::Initiation(_) | Self::Termination(_) | Self::Unknown { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIATION: [u8; 12] = [
        0x03, // version
        0x00, 0x00, 0x00, 0x0c, // length 12
        0x04, // Initiation
        0x00, 0x02, 0x00, 0x02, b'r', b'1', // sysName
    ];

    #[test]
    fn frames_one_message_and_leaves_the_rest() {
        let stream = [&INITIATION[..], &INITIATION[..3]].concat();
        let Framed::Whole(frame) = frame(&stream, DEFAULT_MAX_LENGTH) else { panic!("a whole message") };
        assert_eq!((frame.version, frame.kind, frame.octets.len()), (3, 4, 12));
        let Message::Initiation(initiation) = frame.message().unwrap() else { panic!("an Initiation") };
        assert_eq!(initiation.sys_name().and_then(crate::bgp::Text::valid), Some("r1"));
    }

    #[test]
    fn says_how_many_octets_are_missing() {
        for length in 0..INITIATION.len() {
            let Framed::NeedMore(missing) = frame(&INITIATION[..length], DEFAULT_MAX_LENGTH) else {
                panic!("{length} octets are not a message")
            };
            assert_eq!(missing, if length < 6 { 6 - length } else { 12 - length });
        }
    }

    //= RFC 7854 section 4.1
    //# ('1' and '2' were used by draft versions of this document.) Version 0 is reserved and MUST NOT be
    //# sent.
    #[test]
    fn refuses_version_and_length_as_early_as_seen() {
        let refused = |octets: &[u8], max_length| match frame(octets, max_length) {
            Framed::Malformed(malformed) => malformed,
            Framed::NeedMore(_) | Framed::Whole(_) => panic!("a refusal"),
        };
        assert_eq!(refused(&[1], 100), Malformed::new(Reason::BadVersion, 0, 1));
        assert_eq!(refused(&[3, 0, 0, 0, 5, 4], 100), Malformed::new(Reason::BadLength, 1, 4));
        assert_eq!(refused(&[3, 0, 0, 0, 101, 4], 100), Malformed::new(Reason::OverLimit, 1, 4));
        assert_eq!(refused(&[3, 255, 255, 255, 255, 4], 100).reason, Reason::OverLimit);
    }

    #[test]
    fn an_unknown_type_keeps_its_octets() {
        let octets = [3, 0, 0, 0, 8, 200, 0xaa, 0xbb];
        let Framed::Whole(frame) = frame(&octets, 100) else { panic!("a whole message") };
        let Message::Unknown { kind: 200, body } = frame.message().unwrap() else { panic!("type 200") };
        assert_eq!(body.rest(), [0xaa, 0xbb]);
    }
}
