//! One record's octets in, its named items out, by the layouts of sflow.org. Records without a layout keep their
//! octets; nothing is guessed.

use crate::cursor::Cursor;
use crate::malformed::{Malformed, Reason};
use crate::sflow::layout::{self, Layout, Shape};
use crate::sflow::{Address, Format, Structure};

/// Which numbering a record's format belongs to: formats 1 and 2 mean different things in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A record of a flow sample or a discarded packet.
    Flow,
    /// A record of a counter sample.
    Counters,
}

/// A record of a sample.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// What it is.
    pub format: Format,
    /// Its octets.
    pub body: Cursor<'a>,
    layout: Option<Layout>,
}

impl<'a> Record<'a> {
    /// A record of [`crate::sflow::sample::Sample::records`].
    #[must_use]
    pub fn new(kind: Kind, structure: Structure<'a>) -> Self {
        let layout = layout::of(kind, structure.format);
        Self { format: structure.format, body: structure.body, layout }
    }

    /// Whether [`Record::items`] can name what is inside.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.layout.is_some()
    }

    /// Its items in the order of the specification; none if the record is not known.
    #[must_use]
    pub fn items(&self) -> Items<'a> {
        Items { layout: self.layout.unwrap_or_default(), rest: self.body }
    }

    /// The sampled packet's first octets, if the record is such (format 0:1 of a flow sample).
    #[must_use]
    pub fn raw_header(&self) -> Option<RawHeader<'a>> {
        if self.layout != Some(layout::RAW_HEADER) {
            return None;
        }
        RawHeader::read(self.body).ok()
    }
}

/// One named item of a record.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A number of 32 or 64 bits.
    Number(u64),
    /// An IEEE 754 single.
    Float(f32),
    /// An address whose type the wire gives, or fixes.
    Address(Address),
    /// A MAC address.
    Mac([u8; 6]),
    /// Text, not checked to be UTF-8.
    Text(&'a [u8]),
    /// Octets.
    Octets(&'a [u8]),
    /// Numbers of 32 bits.
    Numbers(Numbers<'a>),
    /// Segments of an AS path.
    AsPath(AsPath<'a>),
    /// Adapters of a host.
    Adapters(Adapters<'a>),
}

/// Iterator over the items of a record. An item beyond the record is one error and the last.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    layout: Layout,
    rest: Cursor<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<(&'static str, Item<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let ((name, shape), others) = self.layout.split_first()?;
        self.layout = others;
        let item = read(*shape, &mut self.rest);
        if item.is_err() {
            self.layout = &[];
        }
        Some(item.map(|item| (*name, item)))
    }
}

fn read<'a>(shape: Shape, cursor: &mut Cursor<'a>) -> Result<Item<'a>, Malformed> {
    match shape {
        Shape::U32 => cursor.u32().map(|number| Item::Number(number.into())),
        Shape::U64 => cursor.u64().map(Item::Number),
        Shape::Float => cursor.array().map(|octets| Item::Float(f32::from_be_bytes(octets))),
        Shape::Ipv4 => cursor.array().map(|octets| Item::Address(Address::Ipv4(octets))),
        Shape::Ipv6 => cursor.array().map(|octets| Item::Address(Address::Ipv6(octets))),
        Shape::Address => Address::read(cursor).map(Item::Address),
        Shape::Mac => {
            let mac = cursor.array()?;
            cursor.skip(2)?;
            Ok(Item::Mac(mac))
        }
        Shape::Text => opaque(cursor).map(|text| Item::Text(text.rest())),
        Shape::Opaque => opaque(cursor).map(|octets| Item::Octets(octets.rest())),
        Shape::Fixed(length) => cursor.take(length).map(Item::Octets),
        Shape::Numbers => numbers(cursor).map(Item::Numbers),
        Shape::AsPath => as_path(cursor).map(Item::AsPath),
        Shape::Adapters => adapters(cursor).map(Item::Adapters),
    }
}

/// A length, so many octets, and padding to a multiple of 4.
fn opaque<'a>(cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, Malformed> {
    let length = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
    let octets = cursor.split(length)?;
    // The last item of a record is not padded by every agent.
    cursor.skip((length.wrapping_neg() % 4).min(cursor.remaining()))?;
    Ok(octets)
}

/// A count and so many numbers.
fn numbers<'a>(cursor: &mut Cursor<'a>) -> Result<Numbers<'a>, Malformed> {
    let start = *cursor;
    let count = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
    match count.checked_mul(4).map(|length| cursor.split(length)) {
        Some(Ok(rest)) => Ok(Numbers { rest }),
        _ => Err(start.malformed(Reason::BadCount, 4)),
    }
}

/// Iterator over numbers of 32 bits.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a> {
    rest: Cursor<'a>,
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.rest.u32().ok()
    }
}

/// A count of segments, each a type, a count and AS numbers; checked whole, so that reading cannot fail later.
fn as_path<'a>(cursor: &mut Cursor<'a>) -> Result<AsPath<'a>, Malformed> {
    let start = *cursor;
    let count = cursor.u32()?;
    let segments = *cursor;
    for _ in 0..count {
        let segment = cursor.skip(4).and_then(|()| numbers(cursor));
        if segment.is_err() {
            return Err(start.malformed(Reason::BadCount, 4));
        }
    }
    Ok(AsPath { rest: segments, left: count })
}

/// Iterator over the segments of an AS path.
#[derive(Debug, Clone, Copy)]
pub struct AsPath<'a> {
    rest: Cursor<'a>,
    left: u32,
}

/// A part of an AS path.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Whether the order means nothing: 1 is a set, 2 a sequence.
    pub is_set: bool,
    /// The AS numbers.
    pub as_numbers: Numbers<'a>,
}

impl<'a> Iterator for AsPath<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        self.left = self.left.checked_sub(1)?;
        let kind = self.rest.u32().ok()?;
        let as_numbers = numbers(&mut self.rest).ok()?;
        Some(Segment { is_set: kind == 1, as_numbers })
    }
}

/// A count of adapters, each an index, a count and MAC addresses; checked whole, so that reading cannot fail later.
fn adapters<'a>(cursor: &mut Cursor<'a>) -> Result<Adapters<'a>, Malformed> {
    let start = *cursor;
    let count = cursor.u32()?;
    let rest = *cursor;
    for _ in 0..count {
        let adapter = cursor.skip(4).and_then(|()| macs(cursor));
        if adapter.is_err() {
            return Err(start.malformed(Reason::BadCount, 4));
        }
    }
    Ok(Adapters { rest, left: count })
}

/// A count and so many MAC addresses.
fn macs<'a>(cursor: &mut Cursor<'a>) -> Result<Macs<'a>, Malformed> {
    let start = *cursor;
    let count = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
    match count.checked_mul(8).map(|length| cursor.split(length)) {
        Some(Ok(rest)) => Ok(Macs { rest }),
        _ => Err(start.malformed(Reason::BadCount, 4)),
    }
}

/// Iterator over the adapters of a host.
#[derive(Debug, Clone, Copy)]
pub struct Adapters<'a> {
    rest: Cursor<'a>,
    left: u32,
}

/// An adapter of a host.
#[derive(Debug, Clone, Copy)]
pub struct Adapter<'a> {
    /// Its ifIndex.
    pub index: u32,
    /// Its MAC addresses.
    pub macs: Macs<'a>,
}

impl<'a> Iterator for Adapters<'a> {
    type Item = Adapter<'a>;

    fn next(&mut self) -> Option<Adapter<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(Adapter { index: self.rest.u32().ok()?, macs: macs(&mut self.rest).ok()? })
    }
}

/// Iterator over MAC addresses, each of 6 octets and 2 of padding.
#[derive(Debug, Clone, Copy)]
pub struct Macs<'a> {
    rest: Cursor<'a>,
}

impl Iterator for Macs<'_> {
    type Item = [u8; 6];

    fn next(&mut self) -> Option<[u8; 6]> {
        let mac = self.rest.array().ok()?;
        self.rest.skip(2).ok()?;
        Some(mac)
    }
}

/// The first octets of a sampled packet.
#[derive(Debug, Clone, Copy)]
pub struct RawHeader<'a> {
    /// 1 Ethernet, 11 IPv4, 12 IPv6, 13 MPLS; others by the specification.
    pub protocol: u32,
    /// Octets of the packet before sampling.
    pub frame_length: u32,
    /// Octets removed from it before the header was taken.
    pub stripped: u32,
    /// The first octets.
    pub header: Cursor<'a>,
}

impl<'a> RawHeader<'a> {
    fn read(body: Cursor<'a>) -> Result<Self, Malformed> {
        let mut cursor = body;
        Ok(Self {
            protocol: cursor.u32()?,
            frame_length: cursor.u32()?,
            stripped: cursor.u32()?,
            header: opaque(&mut cursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Item, Kind, Record};
    use crate::cursor::Cursor;
    use crate::malformed::{Malformed, Reason};
    use crate::sflow::{Address, Format, Structure};
    use std::vec::Vec;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn record(kind: Kind, number: u16, octets: &[u8]) -> Record<'_> {
        Record::new(kind, Structure { format: Format::standard(number), body: Cursor::new(octets) })
    }

    #[test]
    fn a_gateway_has_its_path_and_communities() {
        let octets = words(&[
            1,
            0xc000_0201, // next hop 192.0.2.1
            65_000,
            65_001,
            65_002, // as, src_as, src_peer_as
            2,      // two segments
            2,
            2,
            65_003,
            65_004, // a sequence of two
            1,
            1,
            65_005, // a set of one
            1,
            0x0001_0002, // one community
            100,         // local preference
        ]);
        let items: Vec<_> = record(Kind::Flow, 1003, &octets).items().map(Result::unwrap).collect();
        let names: Vec<_> = items.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            ["nexthop", "as", "src_as", "src_peer_as", "dst_as_path", "communities", "localpref"]
        );
        assert!(matches!(items[0].1, Item::Address(Address::Ipv4([192, 0, 2, 1]))));
        let Item::AsPath(path) = items[4].1 else { panic!() };
        let path: Vec<_> =
            path.map(|segment| (segment.is_set, segment.as_numbers.collect::<Vec<_>>())).collect();
        assert_eq!(path, [(false, std::vec![65_003, 65_004]), (true, std::vec![65_005])]);
        let Item::Numbers(communities) = items[5].1 else { panic!() };
        assert_eq!(communities.collect::<Vec<_>>(), [0x0001_0002]);
    }

    #[test]
    fn counts_beyond_the_record_are_refused_at_once() {
        let octets = words(&[0, 1, 2, 3, 0xffff_ffff, 2, 0xffff_ffff]);
        let last = record(Kind::Flow, 1003, &octets).items().last().unwrap();
        assert_eq!(last.unwrap_err(), Malformed::new(Reason::BadCount, 16, 4));
    }

    #[test]
    fn a_raw_header_gives_the_packet() {
        let octets = words(&[1, 1_518, 4, 6, 0x0102_0304, 0x0506_0000]);
        let header = record(Kind::Flow, 1, &octets).raw_header().unwrap();
        assert_eq!((header.protocol, header.frame_length, header.stripped), (1, 1_518, 4));
        assert_eq!((header.header.rest(), header.header.offset()), (&[1, 2, 3, 4, 5, 6][..], 16));
        assert!(record(Kind::Counters, 1, &octets).raw_header().is_none());
    }

    #[test]
    fn the_same_number_means_another_thing_among_counters() {
        let octets = words(&[3; 22]);
        let items: Vec<_> = record(Kind::Counters, 1, &octets).items().map(Result::unwrap).collect();
        assert_eq!((items.len(), items[0].0, items[18].0), (19, "ifIndex", "ifPromiscuousMode"));
        assert!(matches!(items[2].1, Item::Number(0x0000_0003_0000_0003)));
    }

    #[test]
    fn a_host_has_adapters_with_addresses() {
        let octets = words(&[2, 7, 1, 0x0200_0000, 0x0001_0000, 8, 0]);
        let item = record(Kind::Counters, 2001, &octets).items().next().unwrap().unwrap();
        let ("adapters", Item::Adapters(adapters)) = item else { panic!() };
        let adapters: Vec<_> =
            adapters.map(|adapter| (adapter.index, adapter.macs.collect::<Vec<_>>())).collect();
        assert_eq!(adapters, [(7, std::vec![[2, 0, 0, 0, 0, 1]]), (8, std::vec![])]);
        for octets in [words(&[0xffff_ffff, 7, 0]), words(&[1, 7, 0xffff_ffff])] {
            let refused = record(Kind::Counters, 2001, &octets).items().next().unwrap().unwrap_err();
            assert_eq!(refused, Malformed::new(Reason::BadCount, 0, 4));
        }
    }

    #[test]
    fn records_without_a_layout_keep_their_octets() {
        let octets = words(&[1, 2]);
        let record = record(Kind::Flow, 4_000, &octets);
        assert!(!record.is_known());
        assert_eq!((record.items().count(), record.body.rest()), (0, &octets[..]));
    }
}
