//! IANA's codes for what an element's values are: abstract type, semantics, units. Codes are those that RFC 5610
//! type information carries; names are IANA's words.

/// A list of variants with IANA's code and word for each.
macro_rules! coded {
    ($(#[doc = $head:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $code:literal $word:literal,)+ }) => {
        $(#[doc = $head])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant = $code,)+
        }

        impl $name {
            /// Every variant, in the order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The variant of IANA's code, as RFC 5610 type information carries it.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// IANA's code.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// IANA's word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

coded! {
    /// Abstract data types with IANA's codes (RFC 7012 section 3.1, RFC 6313 section 4.4, RFC 9740).
    DataType {
        /// Octets without further structure.
        OctetArray = 0 "octetArray",
        /// 1-octet number.
        Unsigned8 = 1 "unsigned8",
        /// 2-octet number.
        Unsigned16 = 2 "unsigned16",
        /// 4-octet number.
        Unsigned32 = 3 "unsigned32",
        /// 8-octet number.
        Unsigned64 = 4 "unsigned64",
        /// 1-octet number, two's complement.
        Signed8 = 5 "signed8",
        /// 2-octet number, two's complement.
        Signed16 = 6 "signed16",
        /// 4-octet number, two's complement.
        Signed32 = 7 "signed32",
        /// 8-octet number, two's complement.
        Signed64 = 8 "signed64",
        /// IEEE 754 single.
        Float32 = 9 "float32",
        /// IEEE 754 double.
        Float64 = 10 "float64",
        /// 1 is true, 2 is false.
        Boolean = 11 "boolean",
        /// 6-octet address.
        MacAddress = 12 "macAddress",
        /// UTF-8.
        String = 13 "string",
        /// Seconds since 1970, 4 octets.
        DateTimeSeconds = 14 "dateTimeSeconds",
        /// Milliseconds since 1970, 8 octets.
        DateTimeMilliseconds = 15 "dateTimeMilliseconds",
        /// NTP format, the low 11 bits of the fraction without meaning.
        DateTimeMicroseconds = 16 "dateTimeMicroseconds",
        /// NTP format.
        DateTimeNanoseconds = 17 "dateTimeNanoseconds",
        /// 4-octet address.
        Ipv4Address = 18 "ipv4Address",
        /// 16-octet address.
        Ipv6Address = 19 "ipv6Address",
        /// Values of one element.
        BasicList = 20 "basicList",
        /// Records of one template.
        SubTemplateList = 21 "subTemplateList",
        /// Records of several templates.
        SubTemplateMultiList = 22 "subTemplateMultiList",
        /// 32-octet number, sent in as few octets as it needs.
        Unsigned256 = 23 "unsigned256",
    }
}

impl DataType {
    /// Octets of a full-size value; `None` where the length is free.
    #[must_use]
    pub const fn natural_length(self) -> Option<u16> {
        match self {
            Self::Unsigned8 | Self::Signed8 | Self::Boolean => Some(1),
            Self::Unsigned16 | Self::Signed16 => Some(2),
            Self::Unsigned32 | Self::Signed32 | Self::Float32 | Self::DateTimeSeconds | Self::Ipv4Address => {
                Some(4)
            }
            Self::MacAddress => Some(6),
            Self::Unsigned64
            | Self::Signed64
            | Self::Float64
            | Self::DateTimeMilliseconds
            | Self::DateTimeMicroseconds
            | Self::DateTimeNanoseconds => Some(8),
            Self::Ipv6Address => Some(16),
            Self::Unsigned256 => Some(32),
            Self::OctetArray
            | Self::String
            | Self::BasicList
            | Self::SubTemplateList
            | Self::SubTemplateMultiList => None,
        }
    }

    /// Octets of a column cell that holds any value of the type: 1, 2, 4, 8 or 16; `None` where values are kept
    /// as octets. A MAC address takes the low 6 octets of 8.
    #[must_use]
    pub const fn store_width(self) -> Option<u8> {
        match self.natural_length() {
            Some(1) => Some(1),
            Some(2) => Some(2),
            Some(4) => Some(4),
            Some(6 | 8) => Some(8),
            Some(16) => Some(16),
            _ => None,
        }
    }
}

coded! {
    /// Data type semantics with IANA's codes (RFC 7012 section 3.2, RFC 6313, RFC 8038).
    Semantics {
        /// None stated.
        Default = 0 "default",
        /// A measured amount.
        Quantity = 1 "quantity",
        /// Counts since the start of measuring.
        TotalCounter = 2 "totalCounter",
        /// Counts since the last record.
        DeltaCounter = 3 "deltaCounter",
        /// Names something; arithmetic is meaningless.
        Identifier = 4 "identifier",
        /// Single bits.
        Flags = 5 "flags",
        /// An RFC 6313 list.
        List = 6 "list",
        /// A MIB counter.
        SnmpCounter = 7 "snmpCounter",
        /// A MIB gauge.
        SnmpGauge = 8 "snmpGauge",
    }
}

coded! {
    /// Units with IANA's codes (registry "IPFIX Information Element Units").
    Units {
        /// None.
        None = 0 "none",
        /// Bits.
        Bits = 1 "bits",
        /// Octets.
        Octets = 2 "octets",
        /// Packets.
        Packets = 3 "packets",
        /// Flows.
        Flows = 4 "flows",
        /// Seconds.
        Seconds = 5 "seconds",
        /// Milliseconds.
        Milliseconds = 6 "milliseconds",
        /// Microseconds.
        Microseconds = 7 "microseconds",
        /// Nanoseconds.
        Nanoseconds = 8 "nanoseconds",
        /// IPv4 header lengths.
        FourOctetWords = 9 "4-octet words",
        /// Messages.
        Messages = 10 "messages",
        /// Hops.
        Hops = 11 "hops",
        /// MPLS label stack entries.
        Entries = 12 "entries",
        /// Layer 2 frames.
        Frames = 13 "frames",
        /// Ports.
        Ports = 14 "ports",
        /// Those of the element that the value is about.
        Inferred = 15 "inferred",
    }
}

#[cfg(test)]
mod tests {
    use super::{DataType, Semantics, Units};

    #[test]
    fn codes_lead_back_to_their_variant() {
        for data_type in DataType::ALL {
            assert_eq!(DataType::from_code(data_type.code()), Some(*data_type));
        }
        assert_eq!(DataType::from_code(24), None);
        assert_eq!(
            (Semantics::from_code(8), Units::from_code(15)),
            (Some(Semantics::SnmpGauge), Some(Units::Inferred))
        );
    }

    #[test]
    fn widths_hold_their_type() {
        assert_eq!(DataType::MacAddress.store_width(), Some(8));
        assert_eq!(DataType::Unsigned256.store_width(), None);
        for data_type in DataType::ALL {
            if let (Some(width), Some(length)) = (data_type.store_width(), data_type.natural_length()) {
                assert!(u16::from(width) >= length);
            }
        }
    }
}
