//! The one parse error of the crate: in comes what a reader could not accept, out goes a copyable reason with
//! the place of the offending octets. Never allocates, never holds the octets themselves.

use core::fmt;

/// Octets that break the format of their protocol.
///
/// `offset` counts octets from the start of the outermost unit (the datagram, or the framed message of a stream)
/// to the first offending one; `length` is how many octets the failed reading covers (0 where it has no extent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Malformed {
    /// What is wrong.
    pub reason: Reason,
    /// First offending octet, from the start of the outermost unit.
    pub offset: u32,
    /// Octets concerned.
    pub length: u32,
}

impl Malformed {
    /// A malformed unit at `offset`, `length` octets long. Both saturate at `u32::MAX`.
    #[must_use]
    pub fn new(reason: Reason, offset: usize, length: usize) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { reason, offset: narrow(offset), length: narrow(length) }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {} (length {})", self.reason.name(), self.offset, self.length)
    }
}

impl core::error::Error for Malformed {}

/// One list makes the enum, its names and its documentation, so that they cannot part.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why octets were not accepted: one variant for each distinct reason, shared by all protocols.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name that records, metrics and logs use: `snake_case`, stable.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

reasons! {
    // Every protocol.
    /// The octets end before the unit does.
    Truncated = "truncated",
    /// A version that this reader does not know.
    BadVersion = "bad_version",
    /// A length below its own header, beyond what holds it, or one its type does not allow.
    BadLength = "bad_length",
    /// A count that the octets cannot hold.
    BadCount = "bad_count",
    /// Octets left over behind a complete unit.
    TrailingOctets = "trailing_octets",
    /// Nested deeper than the reader was told to follow.
    TooDeep = "too_deep",

    // IPFIX and NetFlow.
    /// A set id that is reserved: 0, 1 and 4-255 in IPFIX (RFC 7011 section 3.3.2), 2-255 in NetFlow v9.
    BadSetId = "bad_set_id",
    /// A template id below 256 (RFC 7011 section 3.4.1).
    BadTemplateId = "bad_template_id",
    /// A scope field count of 0 or above the field count (RFC 7011 section 3.4.2.2).
    BadScopeCount = "bad_scope_count",
    /// A template whose records would have no octets: no number of them can be told.
    ZeroLengthRecord = "zero_length_record",
    /// A template with so many fields of no octets that few octets would make endless work.
    TooManyEmptyFields = "too_many_empty_fields",

    // sFlow.
    /// An address type other than none, IPv4 and IPv6.
    BadAddressType = "bad_address_type",

    // UDP-notif.
    /// A segment that contradicts others of its message: another encoding, or a place behind the last one.
    SegmentMismatch = "segment_mismatch",

    // BMP and BGP.
    /// A message longer than the reader was told to accept.
    OverLimit = "over_limit",
    /// A BGP message whose marker is not all ones (RFC 4271 section 4.1).
    BadMarker = "bad_marker",
    /// A BGP message of another type than belongs there.
    BadMessageType = "bad_message_type",
    /// A Route Monitoring message without an UPDATE (draft-ietf-grow-bmp-tlv-21 section 5.2).
    MissingMessage = "missing_message",
    /// A prefix length that its family does not allow.
    BadPrefixLength = "bad_prefix_length",
    /// A next hop of a length that its family does not allow.
    BadNextHop = "bad_next_hop",
    /// An AS path segment of an unknown type.
    BadSegmentType = "bad_segment_type",
    /// A value outside its field's definition.
    BadValue = "bad_value",
    /// Attribute flags that are not those of the attribute's definition.
    BadAttributeFlags = "bad_attribute_flags",
    /// An attribute that was there before.
    DuplicateAttribute = "duplicate_attribute",
    /// A well-known attribute that is not there.
    MissingAttribute = "missing_attribute",
    /// An attribute of internal sessions on an external one.
    InternalAttribute = "internal_attribute",
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Malformed, Reason};
    use std::collections::BTreeSet;
    use std::string::ToString;

    #[test]
    fn display_names_reason_and_place() {
        let malformed = Malformed::new(Reason::BadLength, 16, 4);
        assert_eq!(malformed.to_string(), "bad_length at offset 16 (length 4)");
    }

    #[test]
    fn names_are_distinct_snake_case() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for name in names {
            assert!(
                name.bytes()
                    .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_')
            );
        }
    }

    #[test]
    fn places_beyond_u32_saturate() {
        assert_eq!(Malformed::new(Reason::Truncated, usize::MAX, 0).offset, u32::MAX);
    }
}
