//! The first octets of a sampled packet in, its headers down to the transport out, under IANA's element ids.
//! Sampling cuts packets anywhere, so nothing here fails: what is not there is not shown.

use crate::cursor::Cursor;
use crate::malformed::Malformed;
use crate::value::Value;

/// Where the octets start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// An Ethernet header (sFlow header protocol 1, IPFIX dataLinkFrameSection).
    Ethernet,
    /// An IPv4 header (sFlow 11).
    Ipv4,
    /// An IPv6 header (sFlow 12).
    Ipv6,
    /// A label stack (sFlow 13).
    Mpls,
}

impl Start {
    /// The start of a header protocol of sFlow (enumeration `header_protocol`), where it is one of the above.
    #[must_use]
    pub const fn from_sflow(protocol: u32) -> Option<Self> {
        match protocol {
            1 => Some(Self::Ethernet),
            11 => Some(Self::Ipv4),
            12 => Some(Self::Ipv6),
            13 => Some(Self::Mpls),
            _ => None,
        }
    }
}

/// The headers of a packet as (IANA element id, value), in the order of the packet.
///
/// VLAN tags: the outer one as dot1qVlanId and dot1qPriority, the inner one as dot1qCustomerVlanId and
/// dot1qCustomerPriority. Labels: mplsTopLabelStackSection to mplsLabelStackSection10, 3 octets each.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    fields: [(u16, Value<'a>); MAX_FIELDS],
    count: usize,
    payload: Cursor<'a>,
}

/// Fields of the longest packet: Ethernet 7, labels 10, IP 9, transport 7.
const MAX_FIELDS: usize = 40;

/// Labels that have an element: 70 to 79.
const MAX_LABELS: u16 = 10;

/// Extension headers followed; more are not there in packets that mean well.
const MAX_EXTENSIONS: u32 = 8;

impl<'a> Headers<'a> {
    /// No headers yet before `octets`.
    pub(crate) const fn empty(octets: Cursor<'a>) -> Self {
        Self { fields: [(0, Value::Null); MAX_FIELDS], count: 0, payload: octets }
    }

    /// Reads the headers from `octets` on.
    #[must_use]
    pub fn read(start: Start, octets: Cursor<'a>) -> Self {
        let mut headers = Self::empty(octets);
        // A header that is cut short ends the reading and leaves the ones before.
        let _ = match start {
            Start::Ethernet => headers.ethernet(),
            Start::Ipv4 => headers.ipv4(),
            Start::Ipv6 => headers.ipv6(),
            Start::Mpls => headers.mpls(),
        };
        headers
    }

    /// The fields found.
    pub fn fields(&self) -> impl Iterator<Item = (u16, Value<'a>)> + '_ {
        self.fields.iter().take(self.count).copied()
    }

    /// The octets behind the last header that was there whole.
    #[must_use]
    pub const fn payload(&self) -> Cursor<'a> {
        self.payload
    }

    pub(crate) fn push(&mut self, id: u16, value: Value<'a>) {
        if let Some(place) = self.fields.get_mut(self.count) {
            *place = (id, value);
            self.count += 1;
        }
    }

    fn number(&mut self, id: u16, value: impl Into<u64>) {
        self.push(id, Value::Unsigned(value.into()));
    }

    fn ethernet(&mut self) -> Result<(), Malformed> {
        let mut cursor = self.payload;
        let (destination, source, mut ether_type) = (cursor.array()?, cursor.array()?, cursor.u16()?);
        self.push(80, Value::Mac(destination));
        self.push(56, Value::Mac(source));
        self.payload = cursor;
        for (vlan, priority) in [(243, 244), (245, 246)] {
            // IEEE 802.1Q, 802.1ad and the type that was used before it.
            if !matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
                break;
            }
            let (tag, inner) = (cursor.u16()?, cursor.u16()?);
            self.number(vlan, tag & 0x0fff);
            self.number(priority, tag >> 13);
            ether_type = inner;
            self.payload = cursor;
        }
        self.number(256, ether_type);
        match ether_type {
            0x0800 => self.ipv4(),
            0x86dd => self.ipv6(),
            0x8847 | 0x8848 => self.mpls(),
            _ => Ok(()),
        }
    }

    fn mpls(&mut self) -> Result<(), Malformed> {
        let mut position = 0_u16;
        loop {
            let mut cursor = self.payload;
            let entry = cursor.take(4)?;
            let &[first, second, third, _] = entry else { return Ok(()) };
            if position < MAX_LABELS {
                self.push(70 + position, Value::Octets(entry.get(..3).unwrap_or(entry)));
            }
            position += 1;
            self.payload = cursor;
            if third & 1 == 0 {
                continue;
            }
            // Nothing says what follows the stack but its first bits and the reserved labels.
            let label = u32::from(first) << 12 | u32::from(second) << 4 | u32::from(third) >> 4;
            let version = cursor.u8()? >> 4;
            return match (label, version) {
                (0, _) | (_, 4) => self.ipv4(),
                (2, _) | (_, 6) => self.ipv6(),
                _ => Ok(()),
            };
        }
    }

    fn ipv4(&mut self) -> Result<(), Malformed> {
        let mut cursor = self.payload;
        let (version, class, length) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
        let (identification, fragment) = (cursor.u16()?, cursor.u16()?);
        let (time_to_live, protocol) = (cursor.u8()?, cursor.u8()?);
        cursor.skip(2)?;
        let (source, destination) = (cursor.array()?, cursor.array()?);
        let header_length = usize::from(version & 0x0f) * 4;
        if version >> 4 != 4 || header_length < 20 {
            return Ok(());
        }
        self.number(60, 4_u8);
        self.number(5, class);
        self.number(190, length);
        self.number(54, identification);
        let offset = fragment & 0x1fff;
        self.number(88, offset);
        self.number(192, time_to_live);
        self.number(4, protocol);
        self.push(8, Value::Ipv4(source));
        self.push(12, Value::Ipv4(destination));
        cursor.skip(header_length - 20)?;
        self.payload = cursor;
        if offset == 0 { self.transport(protocol) } else { Ok(()) }
    }

    fn ipv6(&mut self) -> Result<(), Malformed> {
        let mut cursor = self.payload;
        let (first, length) = (cursor.u32()?, cursor.u16()?);
        let (mut next, hop_limit) = (cursor.u8()?, cursor.u8()?);
        let (source, destination) = (cursor.array()?, cursor.array()?);
        if first >> 28 != 6 {
            return Ok(());
        }
        self.number(60, 6_u8);
        self.number(5, (first >> 20) & 0xff);
        self.number(31, first & 0x000f_ffff);
        self.number(191, length);
        self.number(192, hop_limit);
        self.push(27, Value::Ipv6(source));
        self.push(28, Value::Ipv6(destination));
        self.payload = cursor;
        let mut first_fragment = true;
        for _ in 0..MAX_EXTENSIONS {
            let mut cursor = self.payload;
            // RFC 8200 section 4: lengths are in 8 octets beyond the first 8; the authentication header's in 4.
            let length = match next {
                0 | 43 | 60 | 135 => {
                    let [inner, length] = cursor.array()?;
                    next = inner;
                    usize::from(length) * 8 + 6
                }
                51 => {
                    let [inner, length] = cursor.array()?;
                    next = inner;
                    usize::from(length) * 4 + 6
                }
                44 => {
                    let [inner, _, high, low] = cursor.array()?;
                    next = inner;
                    let offset = u16::from_be_bytes([high, low]) >> 3;
                    first_fragment = offset == 0;
                    let identification = cursor.u32()?;
                    self.number(88, offset);
                    self.number(54, identification);
                    0
                }
                _ => break,
            };
            cursor.skip(length)?;
            self.payload = cursor;
        }
        self.number(4, next);
        if first_fragment { self.transport(next) } else { Ok(()) }
    }

    fn transport(&mut self, protocol: u8) -> Result<(), Malformed> {
        let mut cursor = self.payload;
        match protocol {
            1 => self.icmp(176, 177, 32),
            58 => self.icmp(178, 179, 139),
            // TCP, UDP, DCCP, SCTP, UDP-Lite start with their ports.
            6 | 17 | 33 | 132 | 136 => {
                let (source, destination) = (cursor.u16()?, cursor.u16()?);
                self.number(7, source);
                self.number(11, destination);
                match protocol {
                    6 => self.tcp(cursor),
                    17 => {
                        let length = cursor.u16()?;
                        cursor.skip(2)?;
                        self.number(205, length);
                        self.payload = cursor;
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// What follows TCP's ports.
    fn tcp(&mut self, mut cursor: Cursor<'a>) -> Result<(), Malformed> {
        let (sequence, acknowledgement) = (cursor.u32()?, cursor.u32()?);
        let (offset_and_flags, window) = (cursor.u16()?, cursor.u16()?);
        self.number(184, sequence);
        self.number(185, acknowledgement);
        self.number(6, offset_and_flags & 0x0fff);
        self.number(186, window);
        cursor.skip(4)?;
        let options = (usize::from(offset_and_flags >> 12) * 4).saturating_sub(20);
        cursor.skip(options)?;
        self.payload = cursor;
        Ok(())
    }

    fn icmp(&mut self, kind: u16, code: u16, both: u16) -> Result<(), Malformed> {
        let mut cursor = self.payload;
        let octets: [u8; 2] = cursor.array()?;
        let [its_kind, its_code] = octets;
        self.number(kind, its_kind);
        self.number(code, its_code);
        self.number(both, u16::from_be_bytes(octets));
        cursor.skip(2)?;
        self.payload = cursor;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Headers, Start};
    use crate::cursor::Cursor;
    use crate::value::Value;
    use std::vec::Vec;

    const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    const IPV4_TCP: [u8; 40] = [
        0x45, 0xb8, 0x05, 0xdc, 0x00, 0x2a, 0x40, 0x00, 63, 6, 0, 0, // 1,500 octets, id 42, TTL 63, TCP
        192, 0, 2, 1, 198, 51, 100, 7, // addresses
        0xc0, 0x00, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x10, 0x00, 0, 0, 0,
        0, // 49152 -> 443
    ];

    fn fields(start: Start, octets: &[u8]) -> Vec<(u16, Value<'_>)> {
        Headers::read(start, Cursor::new(octets)).fields().collect()
    }

    fn value<'a>(fields: &[(u16, Value<'a>)], id: u16) -> Option<Value<'a>> {
        fields.iter().find(|(candidate, _)| *candidate == id).map(|(_, value)| *value)
    }

    #[test]
    fn two_tags_then_ipv4_and_tcp() {
        let octets = [
            &ETHERNET[..],
            &[0x88, 0xa8, 0x60, 0x64, 0x81, 0x00, 0x00, 0xc8, 0x08, 0x00], // VLAN 100 priority 3, VLAN 200
            &IPV4_TCP,
        ]
        .concat();
        let fields = fields(Start::Ethernet, &octets);
        let number = |id| value(&fields, id);
        assert_eq!(number(80), Some(Value::Mac([2, 0, 0, 0, 0, 1])));
        assert_eq!((number(243), number(244)), (Some(Value::Unsigned(100)), Some(Value::Unsigned(3))));
        assert_eq!((number(245), number(246)), (Some(Value::Unsigned(200)), Some(Value::Unsigned(0))));
        assert_eq!(number(256), Some(Value::Unsigned(0x0800)));
        assert_eq!(number(8), Some(Value::Ipv4([192, 0, 2, 1])));
        assert_eq!((number(5), number(192)), (Some(Value::Unsigned(0xb8)), Some(Value::Unsigned(63))));
        assert_eq!((number(7), number(11)), (Some(Value::Unsigned(49_152)), Some(Value::Unsigned(443))));
        assert_eq!(number(6), Some(Value::Unsigned(0x018)));
    }

    #[test]
    fn labels_then_what_they_carry() {
        let octets = [&[0x00, 0x01, 0x40, 64, 0x00, 0x06, 0x41, 64][..], &IPV4_TCP].concat(); // labels 20 and 100
        let fields = fields(Start::Mpls, &octets);
        assert_eq!(value(&fields, 70), Some(Value::Octets(&[0x00, 0x01, 0x40])));
        assert_eq!(value(&fields, 71), Some(Value::Octets(&[0x00, 0x06, 0x41])));
        assert_eq!(value(&fields, 12), Some(Value::Ipv4([198, 51, 100, 7])));
    }

    #[test]
    fn extension_headers_are_walked_to_the_transport() {
        let mut octets = std::vec![0x60, 0x50, 0x00, 0x07, 0, 32, 0, 64]; // class 5, label 7, hop-by-hop next
        octets.extend([0x20; 16]);
        octets.extend([0x30; 16]);
        octets.extend([44, 0, 0, 0, 0, 0, 0, 0]); // hop-by-hop of 8 octets, fragment next
        octets.extend([17, 0, 0x00, 0x01, 0, 0, 0, 9]); // first fragment, id 9, UDP next
        octets.extend([0, 53, 0x30, 0x39, 0, 8, 0, 0]);
        let fields = fields(Start::Ipv6, &octets);
        assert_eq!(value(&fields, 31), Some(Value::Unsigned(7)));
        assert_eq!(
            (value(&fields, 4), value(&fields, 54)),
            (Some(Value::Unsigned(17)), Some(Value::Unsigned(9)))
        );
        assert_eq!(
            (value(&fields, 7), value(&fields, 205)),
            (Some(Value::Unsigned(53)), Some(Value::Unsigned(8)))
        );
    }

    #[test]
    fn later_fragments_have_no_ports() {
        let mut octets = IPV4_TCP;
        octets[7] = 185;
        let fields = fields(Start::Ipv4, &octets);
        assert_eq!((value(&fields, 88), value(&fields, 7)), (Some(Value::Unsigned(185)), None));
    }

    #[test]
    fn a_cut_leaves_the_headers_before_it() {
        for end in 0..=IPV4_TCP.len() {
            let fields = fields(Start::Ipv4, &IPV4_TCP[..end]);
            assert_eq!(value(&fields, 8).is_some(), end >= 20);
            assert_eq!(value(&fields, 11).is_some(), end >= 24);
            assert_eq!(value(&fields, 6).is_some(), end >= 36);
        }
    }
}
