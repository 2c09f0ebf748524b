//! Which numbers the TLVs of version 4 have. Revisions of the draft moved them, and routers in the field follow
//! different ones: type and shape in, meaning out; a message in, the revision it was written by out.

use crate::bgp;
use crate::bmp::indexed::{IndexedTlv, IndexedTlvs};
use crate::cursor::Cursor;

/// A numbering of the Route Monitoring TLVs of version 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// draft-ietf-grow-bmp-tlv-21 (July 2026): PDU 4, Group 1.
    Draft21,
    /// draft-ietf-grow-bmp-tlv-20: PDU 7, Group 4.
    Draft20,
    /// What routers and collectors shipped before: PDU 4, Group 2, Path Status 5.
    Pre20,
    /// draft-ietf-grow-bmp-tlv-06 (2021): the UPDATE stands by itself, TLVs behind it; no groups.
    Draft06,
}

/// What a Route Monitoring TLV of version 4 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// NLRI that share an index.
    Group,
    /// Name of the VRF or table.
    VrfTableName,
    /// A capability that the UPDATE is to be read with.
    StatelessParsing,
    /// The UPDATE.
    BgpMessage,
    /// Number of the message in its session.
    Sequence,
    /// Flags beyond those of the per-peer header.
    ExtendedFlags,
    /// A point in time.
    Timestamp,
    /// What the router does with a path (draft-ietf-grow-bmp-path-marking-tlv).
    PathStatus,
    /// Not assigned in the profile, or an enterprise's own.
    Unknown,
}

impl Meaning {
    /// The name that records use.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Group => "group",
            Self::VrfTableName => "vrfTableName",
            Self::StatelessParsing => "statelessParsing",
            Self::BgpMessage => "bgpMessage",
            Self::Sequence => "sequence",
            Self::ExtendedFlags => "extendedFlags",
            Self::Timestamp => "timestamp",
            Self::PathStatus => "pathStatus",
            Self::Unknown => return None,
        })
    }
}

impl Profile {
    /// Every profile, at the place of its number.
    pub const ALL: [Self; 4] = [Self::Draft21, Self::Draft20, Self::Pre20, Self::Draft06];

    /// What the TLV is under this profile. Path Status has no number of its own yet and takes one that is in use:
    /// its 4 or 6 octets tell it from a sequence number's 8.
    #[must_use]
    pub const fn meaning(self, tlv: &IndexedTlv<'_>) -> Meaning {
        if tlv.enterprise.is_some() {
            return Meaning::Unknown;
        }
        let is_path_status = matches!(tlv.value.len(), 4 | 6);
        match (self, tlv.kind) {
            (Self::Draft21, 5) | (Self::Pre20 | Self::Draft06, 5) | (Self::Draft20, 8) if is_path_status => {
                Meaning::PathStatus
            }
            (Self::Draft21, 1) | (Self::Draft20, 4) | (Self::Pre20, 2) => Meaning::Group,
            (Self::Draft21, 2) | (Self::Draft20, 5) | (Self::Pre20 | Self::Draft06, 3) => {
                Meaning::VrfTableName
            }
            (Self::Draft21, 3) | (Self::Draft20, 6) | (Self::Pre20 | Self::Draft06, 1) => {
                Meaning::StatelessParsing
            }
            (Self::Draft21 | Self::Pre20, 4) | (Self::Draft20, 7) => Meaning::BgpMessage,
            (Self::Draft21, 5) | (Self::Draft20, 1) => Meaning::Sequence,
            (Self::Draft21, 6) | (Self::Draft20, 2) => Meaning::ExtendedFlags,
            (Self::Draft21, 7) | (Self::Draft20, 3) => Meaning::Timestamp,
            _ => Meaning::Unknown,
        }
    }

    /// The profile that the body of a Route Monitoring message was written by: told by the place of the BGP marker
    /// and, where two profiles share that, by the shape of what stands around it.
    #[must_use]
    pub fn detect(body: Cursor<'_>) -> Self {
        if body.rest().starts_with(&bgp::MARKER) {
            return Self::Draft06;
        }
        let tlvs = || IndexedTlvs::new(body).flatten().filter(|tlv| tlv.enterprise.is_none());
        let is_message = |tlv: &IndexedTlv<'_>| tlv.value.starts_with(&bgp::MARKER);
        if tlvs().any(|tlv| tlv.kind == 7 && is_message(&tlv)) {
            return Self::Draft20;
        }
        let is_pre_20 = |tlv: IndexedTlv<'_>| match tlv.kind {
            1 => Some(!tlv.is_group()),
            2 => Some(tlv.is_group()),
            3 => Some(!is_capability(tlv.value)),
            5 => matches!(tlv.value.len(), 4 | 6).then_some(true),
            6 | 7 => Some(false),
            _ => None,
        };
        match tlvs().find_map(is_pre_20) {
            Some(true) => Self::Pre20,
            Some(false) | None => Self::Draft21,
        }
    }
}

/// Whether octets have the shape of one capability: code, length, and as much as the length says.
fn is_capability(octets: &[u8]) -> bool {
    matches!(octets, [_, length, value @ ..] if value.len() == usize::from(*length))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn tlv(kind: u16, index: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), &index.to_be_bytes(), value].concat()
    }

    fn detect(parts: &[Vec<u8>]) -> Profile {
        Profile::detect(Cursor::new(&parts.concat()))
    }

    #[test]
    fn the_marker_and_the_shapes_around_it_tell_the_profile() {
        let message = [0xff; 20];
        assert_eq!(detect(&[message.to_vec()]), Profile::Draft06);
        assert_eq!(detect(&[tlv(7, 0, &message)]), Profile::Draft20);
        assert_eq!(detect(&[tlv(4, 0, &message)]), Profile::Draft21);
        assert_eq!(detect(&[tlv(1, 0x8001, &[0, 1, 0, 2]), tlv(4, 0, &message)]), Profile::Draft21);
        assert_eq!(detect(&[tlv(2, 0x8001, &[0, 1, 0, 2]), tlv(4, 0, &message)]), Profile::Pre20);
        assert_eq!(detect(&[tlv(3, 0, b"global"), tlv(4, 0, &message)]), Profile::Pre20);
        assert_eq!(detect(&[tlv(3, 0, &[65, 4, 0, 0, 0, 1]), tlv(4, 0, &message)]), Profile::Draft21);
        assert_eq!(detect(&[tlv(4, 0, &message), tlv(5, 1, &[0, 0, 0, 2])]), Profile::Pre20);
        assert_eq!(detect(&[tlv(4, 0, &message), tlv(7, 0, &[1, 0, 0, 0, 1])]), Profile::Draft21);
    }

    #[test]
    fn path_status_is_told_from_a_sequence_number_by_its_length() {
        let tlv = |length: usize| IndexedTlv {
            enterprise: None,
            kind: 5,
            index: 1,
            value: &[0; 8][..length],
            offset: 0,
        };
        assert_eq!(Profile::Draft21.meaning(&tlv(8)), Meaning::Sequence);
        assert_eq!(Profile::Draft21.meaning(&tlv(6)), Meaning::PathStatus);
        let own = IndexedTlv { enterprise: Some(9), ..tlv(4) };
        assert_eq!(Profile::Pre20.meaning(&own), Meaning::Unknown);
    }
}
