//! Addresses in, the longest prefixes that cover them out, for either protocol: a root of 2^8 to 2^20 entries, which
//! grows with the table, and below it lines of 16 entries, one for each value of the next 4 bits. One read a step, and
//! nothing is counted or compared on the way.
//!
//! An entry has the longest prefix that ends within the bits of its own line, and what comes below. A child below which
//! only one prefix lives is that prefix itself, so sparse tables stay shallow. Prefixes that longer ones hide in
//! their line are not here: `rib::path` is asked for them when those go.

use wire::bgp::Prefix;

use super::path::{NONE, Paths, PrefixId};
use super::table::TableId;

/// Marks a child that is a prefix by itself.
const LEAF: u32 = 1 << 31;
/// Bits of the smallest and the largest root, and how many more a larger one has: those of one line.
const ROOT_BITS: u8 = 8;
const MAX_ROOT_BITS: u8 = 20;
const STEP: u8 = 4;
/// Addresses that are looked up side by side.
pub(crate) const SIDE_BY_SIDE: usize = 32;

/// The longest prefix that ends here, and what comes below: [`NONE`], a leaf, or the number of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    best: u32,
    child: u32,
}

const EMPTY: Entry = Entry { best: NONE, child: NONE };

impl Entry {
    const fn leaf(&self) -> Option<u32> {
        if self.child == NONE || self.child & LEAF == 0 { None } else { Some(self.child & !LEAF) }
    }

    const fn line(&self) -> Option<u32> {
        if self.child & LEAF == 0 { Some(self.child) } else { None }
    }
}

type Line = [Entry; 1 << STEP];

/// Where an entry is: in the root or in a line.
#[derive(Clone, Copy, Debug)]
enum Where {
    Root(usize),
    Line(u32, usize),
}

/// The structure. One a table and protocol.
#[derive(Debug, Default)]
pub(crate) struct Strides {
    /// Empty before the first prefix.
    root: Vec<Entry>,
    lines: Vec<Line>,
    free: Vec<u32>,
    held: usize,
}

impl Strides {
    /// Prefixes in it.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Octets that it takes.
    pub(super) fn octets(&self) -> usize {
        self.root.capacity() * size_of::<Entry>() + self.lines.capacity() * size_of::<Line>()
    }

    /// Bits of the root.
    fn root_bits(&self) -> u8 {
        u8::try_from(self.root.len().trailing_zeros()).unwrap_or(ROOT_BITS)
    }

    /// Puts a prefix in that is not in yet.
    pub(super) fn insert(&mut self, prefix: &Prefix, id: PrefixId, paths: &Paths) {
        self.held += 1;
        if self.root.is_empty() {
            self.root = vec![EMPTY; 1 << ROOT_BITS];
        } else if self.root_bits() < MAX_ROOT_BITS && self.held >> 2 >= self.root.len() {
            self.grow(paths);
        }
        let bits = u128::from_be_bytes(prefix.octets);
        let mut depth = self.root_bits();
        if prefix.length <= depth {
            let range = range(bits, 0, depth, prefix.length);
            return fill(self.root.get_mut(range).unwrap_or_default(), id, prefix.length, paths);
        }
        let mut at = Where::Root(index(bits, 0, depth));
        loop {
            let Some(entry) = self.entry(at) else { return };
            if entry.child == NONE {
                return self.set_child(at, id.0 | LEAF);
            }
            let line = match (entry.line(), entry.leaf()) {
                (Some(line), _) => line,
                (None, leaf) => {
                    let line = self.new_line();
                    if let Some(leaf) = leaf {
                        self.move_down(line, depth, leaf, paths);
                    }
                    self.set_child(at, line);
                    line
                }
            };
            if prefix.length <= depth + STEP {
                let range = range(bits, depth, STEP, prefix.length);
                let entries = self.lines.get_mut(line as usize).and_then(|line| line.get_mut(range));
                return fill(entries.unwrap_or_default(), id, prefix.length, paths);
            }
            at = Where::Line(line, index(bits, depth, STEP));
            depth += STEP;
        }
    }

    /// Takes a prefix out whose place may be free already; lines that it leaves empty are used again.
    pub(super) fn remove(&mut self, prefix: &Prefix, id: PrefixId, table: TableId, paths: &Paths) {
        self.held = self.held.saturating_sub(1);
        if self.held == 0 {
            *self = Self::default();
            return;
        }
        let bits = u128::from_be_bytes(prefix.octets);
        let shorter = |least: u8| {
            let found = paths.longest_below(table, prefix.version, bits, least, prefix.length);
            found.map_or(NONE, |id| id.0)
        };
        let mut depth = self.root_bits();
        if prefix.length <= depth {
            let range = range(bits, 0, depth, prefix.length);
            return replace(self.root.get_mut(range).unwrap_or_default(), id, shorter(0));
        }
        let mut way = [Where::Root(0); 32];
        let mut steps = 0;
        let mut at = Where::Root(index(bits, 0, depth));
        while let Some(entry) = self.entry(at) {
            let Some(line) = entry.line() else {
                if entry.leaf() == Some(id.0) {
                    self.set_child(at, NONE);
                }
                break;
            };
            if let Some(step) = way.get_mut(steps) {
                *step = at;
                steps += 1;
            }
            if prefix.length <= depth + STEP {
                let range = range(bits, depth, STEP, prefix.length);
                let entries = self.lines.get_mut(line as usize).and_then(|line| line.get_mut(range));
                replace(entries.unwrap_or_default(), id, shorter(depth + 1));
                break;
            }
            at = Where::Line(line, index(bits, depth, STEP));
            depth += STEP;
        }
        self.shrink(way.get(..steps).unwrap_or_default());
    }

    /// The entries ([`Paths::entry`]) of the longest prefixes of at most [`SIDE_BY_SIDE`] addresses in the form of
    /// prefixes, 0 for those that have none. Each step is taken for all of them before the next one, so that what one waits for is fetched while the
    /// others are looked at.
    #[expect(clippy::cast_possible_truncation, reason = "halves of an address")]
    pub(super) fn longest(&self, addresses: &[u128], paths: &Paths, to: &mut [u32; SIDE_BY_SIDE]) {
        let mut children = [NONE; SIDE_BY_SIDE];
        let mut halves = [[0; SIDE_BY_SIDE]; 2];
        let bits = self.root_bits();
        let [high, low] = &mut halves;
        let rooms = high.iter_mut().zip(low).zip(&mut *to).zip(&mut children);
        for (address, (((high, low), best), child)) in addresses.iter().zip(rooms) {
            (*high, *low) = ((address >> 64) as u64, *address as u64);
            let entry = self.root.get((*high >> (64 - bits)) as usize).copied().unwrap_or(EMPTY);
            (*best, *child) = (entry.best, entry.child);
        }
        for depth in (bits..128).step_by(usize::from(STEP)) {
            let Some(half) = halves.get(usize::from(depth / 64)) else { break };
            let shift = 64 - STEP - depth % 64;
            let mut is_over = true;
            for ((word, best), child) in half.iter().zip(&mut *to).zip(&mut children) {
                // Those that are over stay so; nothing else waits for what one finds.
                if *child & LEAF == 0 {
                    let line = self.lines.get(*child as usize);
                    let entry = line.and_then(|line| line.get((word >> shift) as usize % line.len()));
                    let entry = entry.copied().unwrap_or(EMPTY);
                    *best = if entry.best == NONE { *best } else { entry.best };
                    *child = entry.child;
                    is_over = false;
                }
            }
            if is_over {
                break;
            }
        }
        for ((address, best), child) in addresses.iter().zip(to).zip(children) {
            if child != NONE && paths.covers(child & !LEAF, *address) {
                *best = child & !LEAF;
            }
            *best = if *best == NONE { 0 } else { paths.entry(PrefixId(*best)) };
        }
    }

    fn entry(&self, at: Where) -> Option<Entry> {
        match at {
            Where::Root(index) => self.root.get(index).copied(),
            Where::Line(line, index) => self.lines.get(line as usize)?.get(index).copied(),
        }
    }

    fn set_child(&mut self, at: Where, child: u32) {
        let entry = match at {
            Where::Root(index) => self.root.get_mut(index),
            Where::Line(line, index) => {
                self.lines.get_mut(line as usize).and_then(|line| line.get_mut(index))
            }
        };
        if let Some(entry) = entry {
            entry.child = child;
        }
    }

    fn new_line(&mut self) -> u32 {
        if let Some(line) = self.free.pop() {
            return line;
        }
        self.lines.push([EMPTY; 1 << STEP]);
        u32::try_from(self.lines.len() - 1).unwrap_or(0)
    }

    fn free_line(&mut self, line: u32) {
        if let Some(line) = self.lines.get_mut(line as usize) {
            *line = [EMPTY; 1 << STEP];
        }
        self.free.push(line);
    }

    /// Puts a prefix into an empty line that begins `depth` bits down.
    fn move_down(&mut self, line: u32, depth: u8, leaf: u32, paths: &Paths) {
        if let Some(line) = self.lines.get_mut(line as usize) {
            place(line, depth, leaf, paths);
        }
    }

    /// Makes the root larger by one step: what stood in the lines right below it stands in it.
    fn grow(&mut self, paths: &Paths) {
        let bits = self.root_bits();
        let before = std::mem::take(&mut self.root);
        self.root = vec![EMPTY; before.len() << STEP];
        let (lines, free) = (&mut self.lines, &mut self.free);
        for (entry, to) in before.iter().zip(self.root.chunks_exact_mut(1 << STEP)) {
            let below = entry.line().and_then(|number| lines.get_mut(number as usize).zip(Some(number)));
            match below {
                Some((line, number)) => {
                    to.copy_from_slice(line);
                    *line = [EMPTY; 1 << STEP];
                    free.push(number);
                }
                None => {
                    if let Some(leaf) = entry.leaf() {
                        place(to, bits, leaf, paths);
                    }
                }
            }
            for to in to.iter_mut().filter(|to| to.best == NONE) {
                to.best = entry.best;
            }
        }
    }

    /// Frees empty lines, and puts a prefix that is alone in its line into the one above, from the lowest on.
    fn shrink(&mut self, way: &[Where]) {
        for &at in way.iter().rev() {
            let Some(number) = self.entry(at).and_then(|entry| entry.line()) else { return };
            let Some(line) = self.lines.get(number as usize) else { return };
            let Some(alone) = alone(line) else { return };
            self.free_line(number);
            self.set_child(at, alone);
        }
    }
}

/// What a line comes to that has one prefix or none: a child for the entry above.
fn alone(line: &[Entry]) -> Option<u32> {
    let mut only = NONE;
    let things = line.iter().flat_map(|entry| {
        let best = if entry.best == NONE { NONE } else { entry.best | LEAF };
        [best, entry.child]
    });
    for thing in things.filter(|&thing| thing != NONE) {
        if thing & LEAF == 0 || (only != NONE && only != thing) {
            return None;
        }
        only = thing;
    }
    Some(only)
}

/// Puts a prefix into entries that begin `depth` bits down, those of one step.
fn place(entries: &mut [Entry], depth: u8, id: u32, paths: &Paths) {
    let Some((prefix, _)) = paths.prefix(id) else { return };
    let bits = u128::from_be_bytes(prefix.octets);
    if prefix.length <= depth + STEP {
        let range = range(bits, depth, STEP, prefix.length);
        fill(entries.get_mut(range).unwrap_or_default(), PrefixId(id), prefix.length, paths);
    } else if let Some(entry) = entries.get_mut(index(bits, depth, STEP)) {
        entry.child = id | LEAF;
    }
}

/// The `n` bits behind the first `depth`.
const fn index(bits: u128, depth: u8, n: u8) -> usize {
    (bits << depth >> (128 - n as u32)) as usize
}

/// The entries of a prefix among those that stand for `n` bits behind the first `depth`.
const fn range(bits: u128, depth: u8, n: u8, length: u8) -> std::ops::Range<usize> {
    let first = index(bits, depth, n);
    first..first + (1 << (depth + n).saturating_sub(length))
}

/// Writes a prefix over the shorter ones that it lies in.
fn fill(entries: &mut [Entry], id: PrefixId, length: u8, paths: &Paths) {
    // The same prefix stands in many neighbours.
    let mut known = (NONE, true);
    for entry in entries {
        if entry.best != known.0 {
            known = (entry.best, paths.length(entry.best) <= length);
        }
        if known.1 {
            entry.best = id.0;
        }
    }
}

/// Writes another prefix over one.
fn replace(entries: &mut [Entry], id: PrefixId, by: u32) {
    entries.iter_mut().filter(|entry| entry.best == id.0).for_each(|entry| entry.best = by);
}
