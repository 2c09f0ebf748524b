//! One field's abstract type and octets in, its value out: reduced sizes, NTP and Unix times, addresses, lists
//! left as octets. Never guesses: octets that the type does not allow are an [`Unfit`], to be kept raw.

use core::fmt;

use crate::element::DataType;

/// Seconds from 1900 (NTP era 0) to 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// The value of one field. Borrows octets where it is as long as the wire made it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// No octets: the exporter sent the field without a value.
    Null,
    /// `unsigned8` to `unsigned64`.
    Unsigned(u64),
    /// `signed8` to `signed64`.
    Signed(i64),
    /// 4-octet float, also the reduced size of `float64`.
    Float32(f32),
    /// 8-octet float.
    Float64(f64),
    /// `boolean`.
    Boolean(bool),
    /// `macAddress`.
    Mac([u8; 6]),
    /// `ipv4Address`.
    Ipv4([u8; 4]),
    /// `ipv6Address`.
    Ipv6([u8; 16]),
    /// `dateTime*`.
    Time(Time),
    /// `string`, trailing NULs cut; UTF-8 is not checked.
    String(&'a [u8]),
    /// `octetArray`.
    Octets(&'a [u8]),
    /// `unsigned256`, big-endian, 1 to 32 octets.
    Unsigned256(&'a [u8]),
    /// A basicList, for [`crate::list::BasicList::parse`].
    BasicList(&'a [u8]),
    /// A subTemplateList, for [`crate::list::SubTemplateList::parse`].
    SubTemplateList(&'a [u8]),
    /// A subTemplateMultiList, for [`crate::list::SubTemplateMultiList::parse`].
    SubTemplateMultiList(&'a [u8]),
}

/// Why octets are no value of their type; the field is kept raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A length that the type does not allow, or a wider number that its type cannot hold.
    Length,
    /// A boolean that is neither 1 nor 2 (RFC 7011 section 6.1.5).
    Boolean,
}

impl Unfit {
    /// The counter's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "bad_length",
            Self::Boolean => "bad_boolean",
        }
    }
}

impl<'a> Value<'a> {
    /// Reads `octets` as a value of `data_type`.
    ///
    /// Integers may be shorter than their type (RFC 7011 section 6.2). They may also be longer, up to 8 octets, if
    /// the value fits the type: NetFlow v9 leaves lengths to the exporter, and exporters use that.
    ///
    /// # Errors
    /// [`Unfit`] if the type does not allow these octets.
    pub fn decode(data_type: DataType, octets: &'a [u8]) -> Result<Self, Unfit> {
        if octets.is_empty() {
            return Ok(Self::Null);
        }
        match data_type {
            DataType::OctetArray => Ok(Self::Octets(octets)),
            DataType::Unsigned8 => unsigned(octets, u64::from(u8::MAX)),
            DataType::Unsigned16 => unsigned(octets, u64::from(u16::MAX)),
            DataType::Unsigned32 => unsigned(octets, u64::from(u32::MAX)),
            DataType::Unsigned64 => unsigned(octets, u64::MAX),
            DataType::Signed8 => signed(octets, i64::from(i8::MIN), i64::from(i8::MAX)),
            DataType::Signed16 => signed(octets, i64::from(i16::MIN), i64::from(i16::MAX)),
            DataType::Signed32 => signed(octets, i64::from(i32::MIN), i64::from(i32::MAX)),
            DataType::Signed64 => signed(octets, i64::MIN, i64::MAX),
            DataType::Float32 => exactly(octets).map(|octets| Self::Float32(f32::from_be_bytes(octets))),
            DataType::Float64 if octets.len() == 4 => Self::decode(DataType::Float32, octets),
            DataType::Float64 => exactly(octets).map(|octets| Self::Float64(f64::from_be_bytes(octets))),
            DataType::Boolean => match octets {
                [1] => Ok(Self::Boolean(true)),
                [2] => Ok(Self::Boolean(false)),
                [_] => Err(Unfit::Boolean),
                _ => Err(Unfit::Length),
            },
            DataType::MacAddress => exactly(octets).map(Self::Mac),
            DataType::Ipv4Address => exactly(octets).map(Self::Ipv4),
            DataType::Ipv6Address => exactly(octets).map(Self::Ipv6),
            DataType::String => Ok(Self::String(without_trailing_nuls(octets))),
            DataType::DateTimeSeconds => {
                exactly(octets).map(|octets| Self::Time(Time::from_seconds(u32::from_be_bytes(octets))))
            }
            DataType::DateTimeMilliseconds => {
                exactly(octets).map(|octets| Self::Time(Time::from_milliseconds(u64::from_be_bytes(octets))))
            }
            DataType::DateTimeMicroseconds => {
                exactly(octets).map(|octets| Self::Time(Time::from_ntp_micros(u64::from_be_bytes(octets))))
            }
            DataType::DateTimeNanoseconds => {
                exactly(octets).map(|octets| Self::Time(Time::from_ntp(u64::from_be_bytes(octets))))
            }
            DataType::Unsigned256 if octets.len() <= 32 => Ok(Self::Unsigned256(octets)),
            DataType::Unsigned256 => Err(Unfit::Length),
            DataType::BasicList => Ok(Self::BasicList(octets)),
            DataType::SubTemplateList => Ok(Self::SubTemplateList(octets)),
            DataType::SubTemplateMultiList => Ok(Self::SubTemplateMultiList(octets)),
        }
    }
}

/// 1 to 8 octets as an unsigned number, whatever their element; `None` for other lengths.
///
/// For readers that know what a field is from its id and take what width comes.
#[must_use]
#[inline]
pub fn number(octets: &[u8]) -> Option<u64> {
    // The sizes of the wire each as one load; the others are rare.
    match *octets {
        [a] => Some(u64::from(a)),
        [a, b] => Some(u64::from(u16::from_be_bytes([a, b]))),
        [a, b, c, d] => Some(u64::from(u32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ if matches!(octets.len(), 3 | 5..=7) => {
            Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
        }
        _ => None,
    }
}

fn unsigned<'a>(octets: &[u8], maximum: u64) -> Result<Value<'a>, Unfit> {
    number(octets).filter(|value| *value <= maximum).map(Value::Unsigned).ok_or(Unfit::Length)
}

fn signed<'a>(octets: &[u8], minimum: i64, maximum: i64) -> Result<Value<'a>, Unfit> {
    let value = number(octets).ok_or(Unfit::Length)?;
    let unused_bits = 64 - 8 * u32::try_from(octets.len()).map_err(|_| Unfit::Length)?;
    let value = (value << unused_bits).cast_signed() >> unused_bits;
    if (minimum..=maximum).contains(&value) { Ok(Value::Signed(value)) } else { Err(Unfit::Length) }
}

fn exactly<const N: usize>(octets: &[u8]) -> Result<[u8; N], Unfit> {
    octets.try_into().map_err(|_| Unfit::Length)
}

fn without_trailing_nuls(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    octets.get(..end).unwrap_or(octets)
}

/// A point in time of the wire, UTC. `Display` is RFC 3339 with as many digits as the wire's type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds within that second, below 1,000,000,000.
    pub nanoseconds: u32,
    /// Decimal digits that the wire's type carries: 0, 3, 6 or 9.
    pub digits: u8,
}

impl Time {
    /// `dateTimeSeconds`: seconds since 1970.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self { seconds: seconds as i64, nanoseconds: 0, digits: 0 }
    }

    /// `dateTimeMilliseconds`: milliseconds since 1970.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        let nanoseconds = (milliseconds % 1000) as u32 * 1_000_000;
        Self { seconds: (milliseconds / 1000).cast_signed(), nanoseconds, digits: 3 }
    }

    /// `dateTimeMicroseconds`: NTP format without the low 11 bits of the fraction (RFC 7011 section 6.1.9).
    #[must_use]
    pub const fn from_ntp_micros(ntp: u64) -> Self {
        Self { digits: 6, ..Self::from_ntp(ntp & !0x7ff) }
    }

    /// `dateTimeNanoseconds`: NTP format (RFC 7011 section 6.1.10).
    ///
    /// Seconds with the top bit clear are those of the era that starts in 2036 (RFC 4330 section 3), except zero,
    /// which exporters send for "not known" and which stays in 1900.
    #[must_use]
    pub const fn from_ntp(ntp: u64) -> Self {
        let seconds = (ntp >> 32).cast_signed();
        let nanoseconds = (((ntp & 0xffff_ffff) * 1_000_000_000) >> 32) as u32;
        let era = if seconds & 0x8000_0000 == 0 && ntp != 0 { 1 << 32 } else { 0 };
        Self { seconds: seconds + era - NTP_TO_UNIX_S, nanoseconds, digits: 9 }
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub const fn unix_ns(self) -> i128 {
        self.seconds as i128 * 1_000_000_000 + self.nanoseconds as i128
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second_of_day = self.seconds.rem_euclid(86_400);
        let (year, month, day) = civil(self.seconds.div_euclid(86_400));
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match self.digits {
            0 => {}
            3 => write!(f, ".{:03}", self.nanoseconds / 1_000_000)?,
            6 => write!(f, ".{:06}", self.nanoseconds / 1000)?,
            _ => write!(f, ".{:09}", self.nanoseconds)?,
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day since 1970 in the Gregorian calendar, counted in years that start in March and
/// eras of 400 years, so that the leap day is the last day of its year.
fn civil(day_since_1970: i64) -> (i64, i64, i64) {
    let day = day_since_1970 + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Time, Unfit, Value, number};
    use crate::element::DataType;
    use std::string::ToString;

    // RFC 7011 section 6.2: integers may be sent in fewer octets than their type.
    //= RFC 7011 section 6.2
    //# The signed versus unsigned property of the reported value MUST be preserved.
    //= RFC 7011 section 6.1.1
    //# Integral data types -- unsigned8, unsigned16, unsigned32, unsigned64, signed8, signed16, signed32, and
    //# signed64 -- MUST be encoded using the default canonical format in network byte order.
    #[test]
    fn reduced_size_integers_are_numbers() {
        let octets = [0x01, 0x02, 0x03];
        assert_eq!(Value::decode(DataType::Unsigned64, &octets), Ok(Value::Unsigned(0x01_0203)));
        assert_eq!(Value::decode(DataType::Signed32, &[0xff, 0xfe]), Ok(Value::Signed(-2)));
        assert_eq!(Value::decode(DataType::Signed64, &[0x7f]), Ok(Value::Signed(127)));
        assert_eq!(
            Value::decode(DataType::Signed64, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
            Ok(Value::Signed(i64::MIN))
        );
    }

    #[test]
    fn numbers_have_one_to_eight_octets() {
        let octets = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        for length in 0..=9 {
            let value = octets[..length].iter().fold(0_u64, |value, octet| value << 8 | u64::from(*octet));
            assert_eq!(number(&octets[..length]), (1..=8).contains(&length).then_some(value));
        }
    }

    #[test]
    fn wider_integers_are_numbers_while_they_fit() {
        assert_eq!(Value::decode(DataType::Unsigned8, &[0, 0, 0, 9]), Ok(Value::Unsigned(9)));
        assert_eq!(Value::decode(DataType::Unsigned8, &[0, 0, 1, 0]), Err(Unfit::Length));
        assert_eq!(Value::decode(DataType::Signed8, &[0xff, 0xff]), Ok(Value::Signed(-1)));
        assert_eq!(Value::decode(DataType::Signed8, &[0x00, 0x80]), Err(Unfit::Length));
        assert_eq!(Value::decode(DataType::Unsigned64, &[0; 9]), Err(Unfit::Length));
    }

    //= RFC 7011 section 6.2
    //# Reduced-size encoding MUST NOT be applied to any other data type defined in [RFC7012] that implies a
    //# fixed length, as these types either have internal structure (such as ipv4Address or
    //# dateTimeMicroseconds) or restricted ranges that are not suitable for reduced-size encoding (such as
    //# dateTimeMilliseconds).
    #[test]
    fn lengths_that_a_type_does_not_allow_are_unfit() {
        for (data_type, length) in [
            (DataType::Ipv4Address, 3),
            (DataType::Ipv6Address, 4),
            (DataType::MacAddress, 8),
            (DataType::Boolean, 2),
            (DataType::Float32, 8),
            (DataType::Float64, 5),
            (DataType::DateTimeSeconds, 8),
            (DataType::DateTimeMilliseconds, 4),
            (DataType::Unsigned256, 33),
        ] {
            assert_eq!(Value::decode(data_type, &[1; 40][..length]), Err(Unfit::Length), "{data_type:?}");
            assert_eq!(Value::decode(data_type, &[]), Ok(Value::Null));
        }
        assert_eq!(Value::decode(DataType::Boolean, &[0]), Err(Unfit::Boolean));
        assert_eq!(Value::decode(DataType::Boolean, &[2]), Ok(Value::Boolean(false)));
    }

    //= RFC 7011 section 6.1.3
    //# The float32 data type MUST be encoded as an IEEE binary32 floating point type as specified in
    //# [IEEE.754.2008], in network byte order as specified in Section 3.6 of [RFC1014].
    //= RFC 7011 section 6.1.4
    //# The float64 data type MUST be encoded as an IEEE binary64 floating point type as specified in
    //# [IEEE.754.2008], in network byte order as specified in Section 3.7 of [RFC1014].
    #[test]
    fn floats_are_ieee_754() {
        assert_eq!(
            Value::decode(DataType::Float64, &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
            Ok(Value::Float64(1.5))
        );
        assert_eq!(Value::decode(DataType::Float64, &[0x3f, 0xc0, 0, 0]), Ok(Value::Float32(1.5)));
    }

    #[test]
    fn strings_lose_trailing_nuls_only() {
        assert_eq!(Value::decode(DataType::String, b"Gi0\0\0"), Ok(Value::String(b"Gi0")));
        assert_eq!(Value::decode(DataType::String, b"a\0b\0"), Ok(Value::String(b"a\0b")));
        assert_eq!(Value::decode(DataType::String, b"\0\0"), Ok(Value::String(b"")));
    }

    fn text(data_type: DataType, octets: &[u8]) -> std::string::String {
        match Value::decode(data_type, octets) {
            Ok(Value::Time(time)) => time.to_string(),
            other => std::format!("{other:?}"),
        }
    }

    //= RFC 7011 section 6.1.9
    //# Therefore, the bottom 11 bits of the Fraction field SHOULD be zero and MUST be ignored for all
    //# Information Elements of this data type (as 2^11 x 233 picoseconds = .477 microseconds).
    #[test]
    fn times_are_rfc_3339_with_the_digits_of_their_type() {
        assert_eq!(text(DataType::DateTimeSeconds, &1_709_164_800_u32.to_be_bytes()), "2024-02-29T00:00:00Z");
        assert_eq!(
            text(DataType::DateTimeMilliseconds, &1_999_u64.to_be_bytes()),
            "1970-01-01T00:00:01.999Z"
        );
        let noon_2026 = (1_782_907_200_u64 + 2_208_988_800) << 32;
        let half = noon_2026 | 0x8000_0000;
        assert_eq!(
            text(DataType::DateTimeNanoseconds, &half.to_be_bytes()),
            "2026-07-01T12:00:00.500000000Z"
        );
        // The low 11 bits carry nothing: set or not, the microsecond is the same.
        assert_eq!(
            text(DataType::DateTimeMicroseconds, &(half | 0x7ff).to_be_bytes()),
            "2026-07-01T12:00:00.500000Z"
        );
    }

    //= RFC 7011 section 5.2
    //# Collecting Processes SHOULD use the current date, or other contextual information, to determine the
    //# NTP era in order to properly interpret dateTimeMicroseconds and dateTimeNanoseconds values in received
    //# Data Records.
    #[test]
    fn ntp_time_goes_on_after_2036() {
        assert_eq!(Time::from_ntp(1 << 32).to_string(), "2036-02-07T06:28:17.000000000Z");
        assert_eq!(Time::from_ntp(0).to_string(), "1900-01-01T00:00:00.000000000Z");
        assert_eq!(Time::from_milliseconds(u64::MAX).unix_ns(), i128::from(u64::MAX) * 1_000_000);
    }
}
