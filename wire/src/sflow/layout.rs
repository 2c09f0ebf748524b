//! The structures of sflow.org as data: the names of the specification and the shape of each item, in order.

mod flow;
mod counters;

use crate::sflow::Format;
use crate::sflow::record::Kind;

/// A record's items: name and shape.
pub(crate) type Layout = &'static [(&'static str, Shape)];

/// How an item stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    U32,
    U64,
    Float,
    Ipv4,
    Ipv6,
    /// A type, then 0, 4 or 16 octets.
    Address,
    /// 6 octets and 2 of padding.
    Mac,
    /// A length, then text.
    Text,
    /// A length, then octets.
    Opaque,
    /// So many octets.
    Fixed(usize),
    /// A count, then words.
    Numbers,
    /// A count, then segments.
    AsPath,
    /// A count, then adapters.
    Adapters,
}

/// The layout of a format, if it is one of those below.
pub(crate) fn of(kind: Kind, format: Format) -> Option<Layout> {
    let table = match kind {
        Kind::Flow => flow::FLOW,
        Kind::Counters => counters::COUNTERS,
    };
    if format.enterprise != 0 {
        return None;
    }
    let at = table.binary_search_by_key(&format.number, |(number, _)| *number).ok()?;
    table.get(at).map(|(_, layout)| *layout)
}

/// The first octets of a packet (sFlow version 5, sampled_header).
pub(crate) const RAW_HEADER: Layout = &[
    ("protocol", Shape::U32),
    ("frame_length", Shape::U32),
    ("stripped", Shape::U32),
    ("header", Shape::Opaque),
];

#[cfg(test)]
mod tests {
    use super::counters::COUNTERS;
    use super::flow::FLOW;

    #[test]
    fn tables_are_sorted_for_the_search() {
        for table in [FLOW, COUNTERS] {
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
