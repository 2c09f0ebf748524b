//! One NetFlow v9 packet in, its header, flowsets and templates out (RFC 3954 section 5). Templates and records
//! are IPFIX's views: the formats differ only in ids, in the missing enterprise bit and in how scopes are counted.
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! |          version 9            |  count: templates + records   |
//! |                 sysUptime, milliseconds                       |
//! |                 Unix seconds                                  |
//! |                 sequence: packets sent before, modulo 2^32    |
//! |                 source id                                     |
//! +---------------+---------------+---------------+---------------+
//! |  flowsets ...                                                 |
//! ```

use crate::cursor::Cursor;
use crate::ipfix::template::Templates;
use crate::malformed::{Malformed, Reason};
use crate::set::{Dialect, Set, Sets};

/// The version number of a NetFlow v9 packet.
pub const VERSION: u16 = 9;

/// Octets of the packet header.
pub const HEADER_LENGTH: usize = 20;

/// A packet: its header's fields and the octets of its flowsets.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Templates and records that the exporter says are inside; it is not needed to read them.
    pub count: u16,
    /// Milliseconds since the exporter started, modulo 2^32.
    pub sys_uptime_ms: u32,
    /// When the packet left the exporter, in seconds since 1970.
    pub unix_seconds: u32,
    /// Packets sent before for this source id, modulo 2^32.
    pub sequence: u32,
    /// The exporter's numbering space of templates and of the sequence.
    pub source_id: u32,
    body: Cursor<'a>,
}

impl<'a> Packet<'a> {
    /// Reads the header; the packet ends with `octets`, for it has no length of its own.
    ///
    /// # Errors
    /// `truncated` below 20 octets, `bad_version`.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(octets);
        if cursor.u16()? != VERSION {
            return Err(Malformed::new(Reason::BadVersion, 0, 2));
        }
        Ok(Self {
            count: cursor.u16()?,
            sys_uptime_ms: cursor.u32()?,
            unix_seconds: cursor.u32()?,
            sequence: cursor.u32()?,
            source_id: cursor.u32()?,
            body: cursor,
        })
    }

    /// The packet's flowsets, in order.
    #[must_use]
    pub const fn sets(&self) -> Sets<'a> {
        Sets::new(self.body, 0, Dialect::Netflow9)
    }
}

/// The definitions of a template flowset or options template flowset (RFC 3954 sections 5.2 and 6.1); none if it
/// is a data flowset.
///
/// Scope fields carry [`crate::element::NETFLOW9_SCOPE_PEN`] as their enterprise number and keep their scope type
/// as id. All 16 bits of a field type are its id: there is no enterprise bit, and there are no withdrawals.
#[must_use]
pub fn templates<'a>(set: &Set<'a>) -> Templates<'a> {
    Templates::of(set, Dialect::Netflow9)
}

/// What a header says of the exporter's clock at the moment of export, to turn sysUptime times into UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UptimeClock {
    /// Milliseconds since the exporter started, modulo 2^32.
    pub sys_uptime_ms: u32,
    /// The same moment in nanoseconds since 1970.
    pub unix_ns: i128,
}

impl UptimeClock {
    /// Nanoseconds since 1970 of a moment given as sysUptime in milliseconds (elements 21 and 22).
    ///
    /// The counter wraps every 49.7 days, so a moment is at most 2^31 ms before or after the header's, whichever
    /// is nearer.
    #[must_use]
    pub fn unix_ns_at(self, sys_uptime_ms: u32) -> i128 {
        let after_ms = sys_uptime_ms.wrapping_sub(self.sys_uptime_ms).cast_signed();
        self.unix_ns + i128::from(after_ms) * 1_000_000
    }
}

impl Packet<'_> {
    /// The header's clock.
    #[must_use]
    pub fn clock(&self) -> UptimeClock {
        UptimeClock {
            sys_uptime_ms: self.sys_uptime_ms,
            unix_ns: i128::from(self.unix_seconds) * 1_000_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Packet, UptimeClock, templates};
    use crate::element::NETFLOW9_SCOPE_PEN;
    use crate::ipfix::template::{Definition, Field};
    use crate::malformed::{Malformed, Reason};
    use crate::set::SetKind;
    use std::vec::Vec;

    const HEADER: [u8; 20] = [
        0x00, 0x09, 0x00, 0x02, // version 9, count 2
        0x00, 0x00, 0x27, 0x10, // up for 10,000 ms
        0x68, 0x00, 0x00, 0x00, // Unix seconds
        0x00, 0x00, 0x00, 0x2a, // sequence 42
        0x00, 0x00, 0x00, 0x09, // source id 9
    ];

    fn packet(sets: &[u8]) -> Vec<u8> {
        [&HEADER[..], sets].concat()
    }

    #[test]
    fn the_header_is_read() {
        let octets = packet(&[]);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!((packet.count, packet.sys_uptime_ms, packet.unix_seconds), (2, 10_000, 0x6800_0000));
        assert_eq!((packet.sequence, packet.source_id), (42, 9));
        assert_eq!(packet.sets().count(), 0);
        assert_eq!(Packet::parse(&octets[..19]).unwrap_err(), Malformed::new(Reason::Truncated, 16, 4));
    }

    #[test]
    fn field_types_have_no_enterprise_bit() {
        let octets = packet(&[
            0, 0, 0, 16, // template flowset of 16 octets
            0x01, 0x04, 0x00, 0x02, // template 260, 2 fields
            0x00, 0x08, 0x00, 0x04, // 8, 4 octets
            0x80, 0xe8, 0x00, 0x0c, // 33000 (ASA ingress ACL), 12 octets
        ]);
        let set = Packet::parse(&octets).unwrap().sets().next().unwrap().unwrap();
        let Some(Ok(Definition::Template(template))) = templates(&set).next() else { panic!() };
        let fields: Vec<_> = template.fields().map(|specifier| specifier.field).collect();
        assert_eq!(fields, [Field::iana(8, 4), Field::iana(33_000, 12)]);
    }

    // RFC 3954 section 6.1: lengths of the scope and option parts are in octets.
    #[test]
    fn options_scopes_keep_their_own_numbering() {
        let octets = packet(&[
            0, 1, 0, 24, // options template flowset of 24 octets
            0x01, 0x01, 0x00, 0x04, 0x00, 0x08, // template 257, 4 octets of scope, 8 of options
            0x00, 0x02, 0x00, 0x04, // scope: interface
            0x00, 0x22, 0x00, 0x04, // samplingInterval
            0x00, 0x23, 0x00, 0x01, // samplingAlgorithm
            0x00, 0x00, // padding
        ]);
        let set = Packet::parse(&octets).unwrap().sets().next().unwrap().unwrap();
        assert_eq!(set.kind, SetKind::OptionsTemplates);
        let mut definitions = templates(&set);
        let Some(Ok(Definition::Template(template))) = definitions.next() else { panic!() };
        assert_eq!((template.id, template.scope_count, template.field_count), (257, 1, 3));
        let first = template.fields().next().unwrap();
        assert_eq!((first.field.pen, first.field.id, first.scope), (NETFLOW9_SCOPE_PEN, 2, true));
        assert!(definitions.next().is_none());
    }

    #[test]
    fn lengths_that_are_no_specifiers_and_empty_templates_are_refused() {
        for (id, record, reason) in [
            (1, [0x01, 0x01, 0x00, 0x03, 0x00, 0x04, 0, 2], Reason::BadLength),
            (0, [0x01, 0x01, 0x00, 0x00, 0x01, 0x02, 0, 0], Reason::BadCount),
        ] {
            let octets = packet(&[&[0, id, 0, 12][..], &record[..]].concat());
            let set = Packet::parse(&octets).unwrap().sets().next().unwrap().unwrap();
            assert_eq!(templates(&set).next().unwrap().unwrap_err().reason, reason);
        }
    }

    #[test]
    fn uptime_times_are_read_across_the_wrap() {
        let clock = UptimeClock { sys_uptime_ms: 1_000, unix_ns: 5_000_000_000 };
        assert_eq!(clock.unix_ns_at(500), 4_500_000_000);
        assert_eq!(clock.unix_ns_at(1_500), 5_500_000_000); // after the header: some exporters do that
        assert_eq!(clock.unix_ns_at(0u32.wrapping_sub(1_000)), 3_000_000_000);
    }
}
