//! Which flow export protocol a datagram speaks, told by its first two octets. The versions themselves are below.

pub mod v5;
pub mod v9;

/// The flow export protocols that share a port and a version field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// NetFlow v5.
    V5,
    /// NetFlow v9 (RFC 3954).
    V9,
    /// IPFIX (RFC 7011), version 10.
    Ipfix,
}

impl Version {
    /// The version that `octets` start with; `None` for any other number or fewer than 2 octets.
    #[must_use]
    pub fn of(octets: &[u8]) -> Option<Self> {
        match octets {
            [0, 5, ..] => Some(Self::V5),
            [0, 9, ..] => Some(Self::V9),
            [0, 10, ..] => Some(Self::Ipfix),
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::V5 => 5,
            Self::V9 => 9,
            Self::Ipfix => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_told_by_two_octets() {
        for version in [Version::V5, Version::V9, Version::Ipfix] {
            assert_eq!(Version::of(&version.number().to_be_bytes()), Some(version));
        }
        assert_eq!(Version::of(&[0, 0, 0, 5]), None); // sFlow v5 starts with 32 bits
        assert_eq!(Version::of(&[0]), None);
    }
}
