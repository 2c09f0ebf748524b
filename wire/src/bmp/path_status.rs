//! Path status (draft-ietf-grow-bmp-path-marking-tlv-05): `status bitmap u32 | [reason u16]` in, what the router does
//! with a path out. Contradictory bits are kept: routers send them.

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// What the router does with a path, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PathStatus {
    /// Bits as sent; none set says that the path is unmarked.
    pub bits: u32,
    /// Why it was not chosen, where the router says so.
    pub reason: Option<u16>,
}

impl PathStatus {
    /// The path is the best one.
    pub const BEST: u32 = 0x2;
    /// The path is the primary one.
    pub const PRIMARY: u32 = 0x8;
    /// The path is a backup.
    pub const BACKUP: u32 = 0x10;

    /// Reads the value of a Path Status TLV.
    ///
    /// # Errors
    /// `bad_length` unless it has 4 or 6 octets.
    pub fn parse(mut value: Cursor<'_>) -> Result<Self, Malformed> {
        let has_reason = match value.remaining() {
            4 => false,
            6 => true,
            other => return Err(value.malformed(Reason::BadLength, other)),
        };
        let bits = value.u32()?;
        Ok(Self { bits, reason: if has_reason { Some(value.u16()?) } else { None } })
    }

    /// Names of the bits that are set, lowest first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let bits = self.bits;
        NAMES.into_iter().enumerate().filter(move |(bit, _)| bits & 1 << bit != 0).map(|(_, name)| name)
    }

    /// The reason in words.
    #[must_use]
    pub const fn reason_text(&self) -> Option<&'static str> {
        let Some(reason) = self.reason else { return None };
        Some(match reason {
            1 => "AS loop",
            2 => "unresolvable next hop",
            3 => "local preference",
            4 => "AS path length",
            5 => "origin",
            6 => "MED",
            7 => "peer type",
            8 => "IGP cost",
            9 => "router ID",
            10 => "peer address",
            11 => "AIGP",
            _ => return None,
        })
    }
}

const NAMES: [&str; 12] = [
    "invalid",
    "best",
    "nonselected",
    "primary",
    "backup",
    "nonInstalled",
    "bestExternal",
    "addPath",
    "filteredInbound",
    "filteredOutbound",
    "stale",
    "suppressed",
];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn reads_bits_and_reason() {
        let status = PathStatus::parse(Cursor::new(&[0, 0, 0, 0x8a])).unwrap();
        assert_eq!(status.names().collect::<Vec<_>>(), ["best", "primary", "addPath"]);
        let status = PathStatus::parse(Cursor::new(&[0, 0, 0, 4, 0, 3])).unwrap();
        assert_eq!(
            (status.reason_text(), status.names().next()),
            (Some("local preference"), Some("nonselected"))
        );
        assert!(PathStatus::parse(Cursor::new(&[0, 0, 0, 4, 0])).is_err());
    }
}
