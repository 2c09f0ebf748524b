//! Addresses in, the longest prefixes that cover them out: a trie with 8 bits a step over the prefixes of one
//! table and one protocol. Holds ids of prefixes only; what a prefix means is `rib::path`'s business.
//!
//! A node tells prefixes that end inside its 8 bits from children that go on, each by a bitmap and a packed list
//! (the "allotment" numbering of Knuth and Hariguchi: prefix bits `b` of length `n` stand at `2^n + b`). A child
//! below which only one prefix lives is that prefix itself, so sparse tables stay shallow.

use wire::bgp::{IpVersion, Prefix};

use super::direct::{self, Direct};

/// Names a prefix of a router's RIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrefixId(pub(crate) u32);

/// Marks a child that is a prefix by itself.
const LEAF: u32 = 1 << 31;
/// Prefixes that ids can name.
pub(crate) const MAX_PREFIXES: usize = LEAF as usize;

/// For 7 leading bits of an octet: the positions of all prefixes of 0 to 7 bits that cover it.
const COVERS: [[u64; 4]; 128] = covers();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, for which `get` is not const")]
const fn covers() -> [[u64; 4]; 128] {
    let mut table = [[0; 4]; 128];
    let mut octet = 0;
    while octet < 128 {
        let mut position = 128 + octet;
        while position > 0 {
            table[octet][position / 64] |= 1 << (position % 64);
            position /= 2;
        }
        octet += 1;
    }
    table
}

/// Where a look-up goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// At this node, one octet further down.
    Node(u32),
    /// At this prefix, if it covers the address.
    Leaf(PrefixId),
    /// Nowhere.
    End,
}

/// What the trie must be told about a prefix that it only knows by its id.
pub(crate) trait Prefixes {
    /// The prefix; `None` for an id that is not in use.
    fn prefix(&self, id: PrefixId) -> Option<Prefix>;
}

/// IPv4 prefixes from which on a trie has a direct table beside it; with half as many it is given up. At this size
/// the table takes at most 1 KiB a prefix, at a million 64 octets.
pub(crate) const DIRECT_FROM: usize = 65_536;

/// A trie. One a table and protocol.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// Prefixes in it.
    held: usize,
    direct: Option<Box<Direct>>,
}

#[derive(Debug, Default)]
struct Node {
    prefix_bits: Bits,
    child_bits: Bits,
    prefixes: Vec<u32>,
    children: Vec<u32>,
}

/// 256 bits that number a packed list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits([u64; 4]);

impl Bits {
    fn has(self, position: usize) -> bool {
        self.0.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 != 0)
    }

    /// How many positions before this one are set: its place in the packed list.
    fn rank(self, position: usize) -> usize {
        let mut rank = 0;
        for (index, word) in self.0.iter().enumerate() {
            let from = index * 64;
            let kept = match position.saturating_sub(from) {
                0 => break,
                n if n < 64 => word & ((1 << n) - 1),
                _ => *word,
            };
            rank += kept.count_ones() as usize;
        }
        rank
    }

    fn flip(&mut self, position: usize) {
        if let Some(word) = self.0.get_mut(position / 64) {
            *word ^= 1 << (position % 64);
        }
    }

    fn and(self, other: [u64; 4]) -> Self {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other;
        Self([a & e, b & f, c & g, d & h])
    }

    fn highest(self) -> Option<usize> {
        let (index, word) = self.0.iter().enumerate().rev().find(|(_, word)| **word != 0)?;
        Some(index * 64 + 63 - word.leading_zeros() as usize)
    }
}

impl Node {
    fn child(&self, octet: u8) -> Option<u32> {
        let position = usize::from(octet);
        if !self.child_bits.has(position) {
            return None;
        }
        self.children.get(self.child_bits.rank(position)).copied()
    }

    fn set_child(&mut self, octet: u8, child: Option<u32>) {
        let position = usize::from(octet);
        set(&mut self.child_bits, &mut self.children, position, child);
    }

    fn set_prefix(&mut self, position: usize, id: Option<u32>) {
        set(&mut self.prefix_bits, &mut self.prefixes, position, id);
    }

    fn prefix(&self, position: usize) -> Option<u32> {
        if !self.prefix_bits.has(position) {
            return None;
        }
        self.prefixes.get(self.prefix_bits.rank(position)).copied()
    }
}

fn set(bits: &mut Bits, list: &mut Vec<u32>, position: usize, value: Option<u32>) {
    let place = bits.rank(position);
    match (bits.has(position), value) {
        (false, Some(value)) => {
            bits.flip(position);
            list.insert(place.min(list.len()), value);
        }
        (true, Some(value)) => {
            if let Some(entry) = list.get_mut(place) {
                *entry = value;
            }
        }
        (true, None) => {
            bits.flip(position);
            if place < list.len() {
                list.remove(place);
            }
        }
        (false, None) => {}
    }
}

/// Where a prefix stands, seen from a node `depth` octets down: inside it, or below one of its children.
enum Place {
    Here(usize),
    Below(u8),
}

fn place(prefix: &Prefix, depth: usize) -> Place {
    let octet = prefix.octets.get(depth).copied().unwrap_or(0);
    let bits_left = usize::from(prefix.length).saturating_sub(depth * 8);
    match u32::try_from(bits_left) {
        Ok(0) => Place::Here(1),
        Ok(bits @ 1..8) => Place::Here((1 << bits) | (usize::from(octet) >> (8 - bits))),
        _ => Place::Below(octet),
    }
}

/// Whether a prefix covers an address that is given in the same form.
pub(crate) fn covers_address(prefix: &Prefix, address: &[u8; 16]) -> bool {
    let differ = u128::from_be_bytes(prefix.octets) ^ u128::from_be_bytes(*address);
    differ.leading_zeros() >= u32::from(prefix.length)
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], free: Vec::new(), held: 0, direct: None }
    }
}

impl Trie {
    /// The id under which exactly this prefix stands.
    pub(crate) fn find(&self, prefix: &Prefix, prefixes: &impl Prefixes) -> Option<PrefixId> {
        let mut at = 0;
        for depth in 0.. {
            let node = self.nodes.get(at as usize)?;
            match place(prefix, depth) {
                Place::Here(position) => return node.prefix(position).map(PrefixId),
                Place::Below(octet) => {
                    let child = node.child(octet)?;
                    if child & LEAF != 0 {
                        let id = PrefixId(child & !LEAF);
                        return (prefixes.prefix(id)? == *prefix).then_some(id);
                    }
                    at = child;
                }
            }
        }
        None
    }

    /// Puts a prefix in that is not in yet.
    pub(crate) fn insert(&mut self, prefix: &Prefix, id: PrefixId, prefixes: &impl Prefixes) {
        self.held += 1;
        self.insert_below(prefix, id, prefixes);
        if prefix.version == IpVersion::V6 {
            return;
        }
        match &mut self.direct {
            Some(direct) if prefix.length >= direct::SHORTEST => direct.insert(prefix, id, prefixes),
            Some(_) => {}
            None if self.held >= DIRECT_FROM => self.direct = Some(Box::new(self.copied(prefixes))),
            None => {}
        }
    }

    /// All its prefixes in a direct table.
    fn copied(&self, prefixes: &impl Prefixes) -> Direct {
        let mut direct = Direct::new();
        for node in &self.nodes {
            let leaves = node.children.iter().filter(|child| **child & LEAF != 0).map(|leaf| leaf & !LEAF);
            for id in node.prefixes.iter().copied().chain(leaves).map(PrefixId) {
                if let Some(prefix) = prefixes.prefix(id)
                    && prefix.length >= direct::SHORTEST
                {
                    direct.insert(&prefix, id, prefixes);
                }
            }
        }
        direct
    }

    fn insert_below(&mut self, prefix: &Prefix, id: PrefixId, prefixes: &impl Prefixes) {
        let mut at = 0;
        for depth in 0.. {
            let Some(node) = self.nodes.get_mut(at as usize) else { return };
            match place(prefix, depth) {
                Place::Here(position) => return node.set_prefix(position, Some(id.0)),
                Place::Below(octet) => match node.child(octet) {
                    None => return node.set_child(octet, Some(id.0 | LEAF)),
                    Some(leaf) if leaf & LEAF != 0 => {
                        let below = self.new_node();
                        self.put(below, depth + 1, leaf & !LEAF, prefixes);
                        if let Some(node) = self.nodes.get_mut(at as usize) {
                            node.set_child(octet, Some(below));
                        }
                        at = below;
                    }
                    Some(child) => at = child,
                },
            }
        }
    }

    /// Takes a prefix out; the octets of nodes that it leaves empty are used again.
    pub(crate) fn remove(&mut self, prefix: &Prefix, prefixes: &impl Prefixes) {
        let Some(id) = self.take_out(prefix) else { return };
        self.held = self.held.saturating_sub(1);
        if self.held < DIRECT_FROM / 2 {
            self.direct = None;
        }
        if prefix.version == IpVersion::V6 || prefix.length < direct::SHORTEST || self.direct.is_none() {
            return;
        }
        let shorter = self.longest(&prefix.octets, prefix.length, prefixes);
        let is_there =
            |id: &PrefixId| prefixes.prefix(*id).is_some_and(|shorter| shorter.length >= direct::SHORTEST);
        if let Some(direct) = &mut self.direct {
            direct.remove(prefix, id, shorter.filter(is_there));
        }
    }

    fn take_out(&mut self, prefix: &Prefix) -> Option<PrefixId> {
        let mut way = [(0, 0); 17];
        let mut at = 0;
        for depth in 0..way.len() {
            let node = self.nodes.get_mut(at as usize)?;
            match place(prefix, depth) {
                Place::Here(position) => {
                    let id = node.prefix(position).map(PrefixId);
                    node.set_prefix(position, None);
                    self.shrink(way.get(..depth).unwrap_or(&[]), at);
                    return id;
                }
                Place::Below(octet) => match node.child(octet) {
                    None => return None,
                    Some(leaf) if leaf & LEAF != 0 => {
                        node.set_child(octet, None);
                        self.shrink(way.get(..depth).unwrap_or(&[]), at);
                        return Some(PrefixId(leaf & !LEAF));
                    }
                    Some(child) => {
                        if let Some(step) = way.get_mut(depth) {
                            *step = (at, octet);
                        }
                        at = child;
                    }
                },
            }
        }
        None
    }

    /// Whether addresses are looked up by [`Trie::direct`].
    pub(crate) const fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// The longest prefix that covers an IPv4 address, in one or two reads, where [`Trie::is_direct`].
    #[inline]
    pub(crate) fn direct(&self, address: &[u8; 16], prefixes: &impl Prefixes) -> Option<PrefixId> {
        let [a, b, c, d, ..] = *address;
        let found = self.direct.as_ref()?.longest([a, b, c, d]);
        found.or_else(|| self.longest(address, direct::SHORTEST, prefixes))
    }

    /// Octets that it takes.
    pub(crate) fn octets(&self) -> usize {
        let lists = |node: &Node| (node.prefixes.capacity() + node.children.capacity()) * size_of::<u32>();
        let direct = self.direct.as_ref().map_or(0, |direct| direct.octets());
        self.nodes.capacity() * size_of::<Node>() + self.nodes.iter().map(lists).sum::<usize>() + direct
    }

    /// The longest prefix shorter than `below` bits that covers an address (IPv4 in the first 4 octets, the
    /// others zero). `below` above 128: any.
    pub(crate) fn longest(
        &self,
        address: &[u8; 16],
        below: u8,
        prefixes: &impl Prefixes,
    ) -> Option<PrefixId> {
        let mut best = None;
        let mut at = 0;
        for depth in 0..=16_u8 {
            let node = self.nodes.get(at as usize)?;
            let octet = address.get(usize::from(depth)).copied().unwrap_or(0);
            let bits_left = below.saturating_sub(depth.saturating_mul(8));
            if bits_left == 0 {
                break;
            }
            let mut inside = node.prefix_bits.and(*COVERS.get(usize::from(octet >> 1))?);
            if bits_left < 8 {
                // Positions below 2^n are the prefixes of fewer than n bits.
                inside = inside.and(below_position(1 << bits_left));
            }
            if let Some(position) = inside.highest() {
                best = node.prefix(position).map(PrefixId);
            }
            let Some(child) = node.child(octet) else { break };
            if child & LEAF != 0 {
                let id = PrefixId(child & !LEAF);
                if let Some(prefix) = prefixes.prefix(id)
                    && prefix.length < below
                    && covers_address(&prefix, address)
                {
                    best = Some(id);
                }
                break;
            }
            at = child;
        }
        best
    }

    /// One step of [`Trie::longest`] from a node `depth` octets down, for many addresses side by side: takes the
    /// longest prefix that ends here into `best` and says where to go on.
    pub(crate) fn step(&self, node: u32, depth: usize, address: &[u8; 16], best: &mut u32) -> Step {
        let Some(node) = self.nodes.get(node as usize) else { return Step::End };
        let octet = address.get(depth).copied().unwrap_or(0);
        if !node.prefixes.is_empty() {
            let covers = COVERS.get(usize::from(octet >> 1)).copied().unwrap_or_default();
            let prefix = node.prefix_bits.and(covers).highest().and_then(|position| node.prefix(position));
            *best = prefix.unwrap_or(*best);
        }
        match node.child(octet) {
            Some(leaf) if leaf & LEAF != 0 => Step::Leaf(PrefixId(leaf & !LEAF)),
            Some(child) => Step::Node(child),
            None => Step::End,
        }
    }

    /// Nodes in use: 1 for an empty trie.
    #[cfg(test)]
    fn nodes(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    fn new_node(&mut self) -> u32 {
        if let Some(node) = self.free.pop() {
            return node;
        }
        self.nodes.push(Node::default());
        u32::try_from(self.nodes.len() - 1).unwrap_or(0)
    }

    /// Puts a prefix into a node that is empty.
    fn put(&mut self, node: u32, depth: usize, id: u32, prefixes: &impl Prefixes) {
        let (Some(node), Some(prefix)) = (self.nodes.get_mut(node as usize), prefixes.prefix(PrefixId(id)))
        else {
            return;
        };
        match place(&prefix, depth) {
            Place::Here(position) => node.set_prefix(position, Some(id)),
            Place::Below(octet) => node.set_child(octet, Some(id | LEAF)),
        }
    }

    /// Frees an empty node, and puts a prefix that is alone in its node into the node above.
    fn shrink(&mut self, way: &[(u32, u8)], mut at: u32) {
        for &(above, octet) in way.iter().rev() {
            let Some(node) = self.nodes.get_mut(at as usize) else { return };
            let alone = match (node.prefixes.as_slice(), node.children.as_slice()) {
                ([], []) => None,
                (&[id], []) => Some(id | LEAF),
                ([], &[child]) if child & LEAF != 0 => Some(child),
                _ => return,
            };
            // The lists keep their room: the node is used again.
            node.prefixes.clear();
            node.children.clear();
            node.prefix_bits = Bits::default();
            node.child_bits = Bits::default();
            self.free.push(at);
            if let Some(node) = self.nodes.get_mut(above as usize) {
                node.set_child(octet, alone);
            }
            at = above;
        }
    }
}

fn below_position(position: usize) -> [u64; 4] {
    let mut mask = [0; 4];
    for (index, word) in mask.iter_mut().enumerate() {
        *word = match position.saturating_sub(index * 64) {
            0 => 0,
            n if n < 64 => (1 << n) - 1,
            _ => u64::MAX,
        };
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    struct List(Vec<Prefix>);

    impl Prefixes for List {
        fn prefix(&self, id: PrefixId) -> Option<Prefix> {
            self.0.get(id.0 as usize).copied()
        }
    }

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), length.parse().unwrap())
    }

    fn address(text: &str) -> [u8; 16] {
        prefix(&format!("{text}/128")).octets
    }

    fn trie(list: &List) -> Trie {
        let mut trie = Trie::default();
        for (id, prefix) in (0..).zip(&list.0) {
            trie.insert(prefix, PrefixId(id), list);
        }
        trie
    }

    #[test]
    fn the_longest_prefix_wins_at_every_boundary() {
        let list = List(
            [
                "0.0.0.0/0",
                "10.0.0.0/7",
                "10.0.0.0/8",
                "10.1.0.0/16",
                "10.1.2.0/23",
                "10.1.2.0/24",
                "10.1.2.3/32",
            ]
            .map(prefix)
            .to_vec(),
        );
        let trie = trie(&list);
        for (text, expected) in [
            ("192.0.2.1", 0),
            ("11.0.0.1", 1),
            ("10.9.0.0", 2),
            ("10.1.9.9", 3),
            ("10.1.3.9", 4),
            ("10.1.2.9", 5),
            ("10.1.2.3", 6),
        ] {
            assert_eq!(trie.longest(&address(text), 255, &list), Some(PrefixId(expected)), "{text}");
        }
        // The same address, each time one prefix shorter.
        for (below, expected) in [(32, 5), (24, 4), (23, 3), (16, 2), (8, 1), (7, 0)] {
            assert_eq!(trie.longest(&address("10.1.2.3"), below, &list), Some(PrefixId(expected)), "{below}");
        }
        assert_eq!(trie.longest(&address("10.1.2.3"), 0, &list), None);
    }

    /// Enough prefixes for a direct table, put in and taken out again in another order: at every step it says what the
    /// trie says.
    #[test]
    fn the_direct_table_follows_the_trie() {
        let mut state = 0x1234_5678_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state ^ (state >> 16)
        };
        let mut all = std::collections::BTreeSet::new();
        for text in ["0.0.0.0/0", "10.0.0.0/7", "10.0.0.0/8", "10.1.2.0/25", "10.1.2.128/26", "10.1.2.3/32"] {
            all.insert(prefix(text));
        }
        while all.len() < DIRECT_FROM + 4_000 {
            // Four octets in a narrow space, so that prefixes lie in one another.
            let bits = 0x0a00_0000 | (next() & 0x01ff_ffff);
            let length = [9, 15, 19, 22, 24, 24, 24, 26, 29, 32][next() as usize % 10];
            all.insert(Prefix::new(std::net::Ipv4Addr::from(bits).into(), length));
        }
        let list = List(all.into_iter().collect());
        let mut trie = trie(&list);
        assert!(trie.is_direct());
        let check = |trie: &Trie, bits: u32| {
            let address = address(&std::net::Ipv4Addr::from(bits).to_string());
            assert_eq!(trie.direct(&address, &list), trie.longest(&address, 255, &list), "{bits:08x}");
        };
        for at in 0..DIRECT_FROM / 2 {
            // A step coprime to the number of prefixes takes each of them once.
            let id = at * 7_919 % list.0.len();
            let taken = list.0[id];
            trie.remove(&taken, &list);
            let [a, b, c, d, ..] = taken.octets;
            let first = u32::from_be_bytes([a, b, c, d]);
            let size = u32::MAX.checked_shr(u32::from(taken.length)).unwrap_or(0);
            for bits in [first, first | size, first.wrapping_sub(1), first.wrapping_add(size).wrapping_add(1)]
            {
                check(&trie, bits);
            }
            check(&trie, next());
        }
        assert!(trie.is_direct());
    }

    #[test]
    fn what_is_removed_is_gone_and_leaves_no_node() {
        let list = List(
            ["2001:db8::/32", "2001:db8::1/128", "2001:db8::2/128", "2001:db8::/127", "::/0"]
                .map(prefix)
                .to_vec(),
        );
        let mut trie = trie(&list);
        assert!(trie.nodes() > 10);
        for (id, prefix) in (0..).zip(&list.0) {
            assert_eq!(trie.find(prefix, &list), Some(PrefixId(id)));
        }
        assert_eq!(trie.longest(&address("2001:db8::2"), 255, &list), Some(PrefixId(2)));
        trie.remove(&prefix("2001:db8::2/128"), &list);
        assert_eq!(trie.longest(&address("2001:db8::2"), 255, &list), Some(PrefixId(0)));
        for prefix in &list.0 {
            trie.remove(prefix, &list);
            assert_eq!(trie.find(prefix, &list), None);
        }
        assert_eq!(trie.nodes(), 1);
        assert_eq!(trie.longest(&address("2001:db8::1"), 255, &list), None);
    }
}
