//! The body of an IPFIX message or NetFlow v9 packet in, its sets out, in order. Sets before a malformed one are
//! given first; nothing is known of templates here.
//!
//! ```text
//!  0                   1                   2                   3
//! +---------------+---------------+---------------+---------------+
//! |             set id            |   length, with this header    |   RFC 7011 section 3.3.2, RFC 3954 section 5.2
//! +---------------+---------------+---------------+---------------+
//! |  records, then padding that is shorter than a record ...      |
//! ```

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};

/// Octets of a set header.
pub const HEADER_LENGTH: usize = 4;

/// The first id of data sets and of templates.
pub const FIRST_DATA_ID: u16 = 256;

/// What a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// Template records.
    Templates,
    /// Options template records.
    OptionsTemplates,
    /// Data records of the template with this id.
    Data(u16),
}

/// One set: its kind, and a cursor over what follows its header.
#[derive(Debug, Clone, Copy)]
pub struct Set<'a> {
    /// What it holds.
    pub kind: SetKind,
    /// The id on the wire.
    pub id: u16,
    /// Where its header starts, in octets from the start of the message.
    pub offset: usize,
    /// The records.
    pub body: Cursor<'a>,
}

impl Set<'_> {
    /// Octets of the set with its header.
    #[must_use]
    pub const fn length(&self) -> usize {
        HEADER_LENGTH + self.body.remaining()
    }
}

/// The two numberings of set ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// 2 templates, 3 options templates.
    Ipfix,
    /// 0 templates, 1 options templates.
    Netflow9,
}

/// Iterator over the sets of a message.
///
/// A set with a reserved id is one error and reading goes on behind it; a set whose length is below its header or
/// beyond the message ends the iteration after its error, since no later set can be found.
#[derive(Debug, Clone)]
pub struct Sets<'a> {
    rest: Cursor<'a>,
    missing: usize,
    dialect: Dialect,
}

impl<'a> Sets<'a> {
    /// Sets of `body`; `missing` octets of the message did not arrive.
    pub(crate) const fn new(body: Cursor<'a>, missing: usize, dialect: Dialect) -> Self {
        Self { rest: body, missing, dialect }
    }

    /// Gives up: no later set can be found.
    fn end(&mut self, malformed: Malformed) -> Option<Result<Set<'a>, Malformed>> {
        self.missing = 0;
        self.rest = Cursor::with_base(&[], self.rest.offset());
        Some(Err(malformed))
    }
}

impl<'a> Iterator for Sets<'a> {
    type Item = Result<Set<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return match self.missing {
                0 => None,
                missing => self.end(self.rest.malformed(Reason::Truncated, missing)),
            };
        }
        // RFC 3954 section 5.3 pads flowsets, not packets, but exporters do the latter too.
        if self.dialect == Dialect::Netflow9
            && self.rest.remaining() < HEADER_LENGTH
            && self.rest.rest().iter().all(|octet| *octet == 0)
        {
            self.rest = Cursor::with_base(&[], self.rest.offset());
            return None;
        }
        let start = self.rest;
        let header = self.rest.u16().and_then(|id| self.rest.u16().map(|length| (id, usize::from(length))));
        let (id, length) = match header {
            Ok(header) => header,
            Err(_) => return self.end(start.malformed(Reason::Truncated, start.remaining())),
        };
        let Some(body_length) = length.checked_sub(HEADER_LENGTH) else {
            return self.end(start.malformed(Reason::BadLength, length));
        };
        let body = match self.rest.split(body_length) {
            Ok(body) => body,
            Err(_) => return self.end(start.malformed(Reason::Truncated, length)),
        };
        let kind = match (self.dialect, id) {
            (Dialect::Ipfix, 2) | (Dialect::Netflow9, 0) => SetKind::Templates,
            (Dialect::Ipfix, 3) | (Dialect::Netflow9, 1) => SetKind::OptionsTemplates,
            (_, FIRST_DATA_ID..) => SetKind::Data(id),
            _ => return Some(Err(start.malformed(Reason::BadSetId, length))),
        };
        Some(Ok(Set { kind, id, offset: start.offset(), body }))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Dialect, SetKind, Sets};
    use crate::cursor::Cursor;
    use crate::malformed::{Malformed, Reason};
    use std::vec::Vec;

    fn read(octets: &[u8], dialect: Dialect) -> Vec<Result<(SetKind, usize, usize), Malformed>> {
        let sets = Sets::new(Cursor::with_base(octets, 16), 0, dialect);
        sets.map(|set| set.map(|set| (set.kind, set.offset, set.body.remaining()))).collect()
    }

    #[test]
    fn sets_come_in_order_with_their_place() {
        let octets = [
            0, 2, 0, 8, 1, 2, 3, 4, // templates, 4 octets
            1, 0, 0, 5, 9, // data of template 256, 1 octet
            0, 3, 0, 4, // options templates, empty
        ];
        let expected = [
            Ok((SetKind::Templates, 16, 4)),
            Ok((SetKind::Data(256), 24, 1)),
            Ok((SetKind::OptionsTemplates, 29, 0)),
        ];
        assert_eq!(read(&octets, Dialect::Ipfix), expected);
    }

    //= RFC 7011 section 3.3.2
    //# Because an individual Set MAY contain multiple records, the Length value MUST be used to determine the
    //# position of the next Set.
    #[test]
    fn reserved_ids_do_not_hide_what_follows() {
        let octets = [0, 255, 0, 4, 1, 0, 0, 4];
        let expected = [Err(Malformed::new(Reason::BadSetId, 16, 4)), Ok((SetKind::Data(256), 20, 0))];
        assert_eq!(read(&octets, Dialect::Ipfix), expected);
        assert_eq!(read(&[0, 2, 0, 4], Dialect::Netflow9), [Err(Malformed::new(Reason::BadSetId, 16, 4))]);
    }

    #[test]
    fn a_bad_length_ends_the_message_and_keeps_what_came_before() {
        let before = Ok((SetKind::Data(256), 16, 0));
        for (second, reason, length) in [
            ([1, 0, 0, 0], Reason::BadLength, 0),
            ([1, 0, 0, 3], Reason::BadLength, 3),
            ([1, 0, 0, 5], Reason::Truncated, 5),
            ([1, 0, 0xff, 0xff], Reason::Truncated, 65_535),
        ] {
            let mut octets = std::vec![1, 0, 0, 4];
            octets.extend(second);
            assert_eq!(read(&octets, Dialect::Ipfix), [before, Err(Malformed::new(reason, 20, length))]);
        }
    }

    #[test]
    fn zeros_shorter_than_a_header_pad_a_netflow_packet_only() {
        assert_eq!(read(&[1, 0, 0, 4, 0, 0], Dialect::Netflow9), [Ok((SetKind::Data(256), 16, 0))]);
        assert_eq!(
            read(&[1, 0, 0, 4, 0, 0], Dialect::Ipfix),
            [Ok((SetKind::Data(256), 16, 0)), Err(Malformed::new(Reason::Truncated, 20, 2))]
        );
    }

    #[test]
    fn octets_that_did_not_arrive_are_one_error_at_the_end() {
        let sets: Vec<_> = Sets::new(Cursor::new(&[1, 0, 0, 4]), 8, Dialect::Ipfix).collect();
        assert!(sets[0].is_ok());
        assert_eq!(sets[1].unwrap_err(), Malformed::new(Reason::Truncated, 4, 8));
        assert_eq!(sets.len(), 2);
    }
}
