//! Rules, rates and the list of exporters, as the programs look them up; and what they counted.
//!
//! In: entries in the order of the configuration. Out: shapes and entries of maps. A new list is written beside the
//! one in use and then takes its place in one step, so a packet meets the old rules or the new ones.

use std::collections::{BTreeMap, HashMap as Entries};

use aya::Ebpf;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use dataplane_common::map::rules::{
    ACTIVE_SHAPES, Bucket, DIRECTIONS, EXPORTERS, Exporter, MAX_SHAPES, Match, POLICERS, Policer, RULE_HITS,
    RULES, Rule, SHAPE_USED, SHAPES, SHARED_BUCKETS, SOURCE_BUCKETS, Shape, Source, shape_index,
};
use zerocopy::IntoBytes as _;

use super::aliases::{network, prefix};
use super::{Changed, EbpfError, at, full_or, gone_is_fine, typed};
use crate::ebpf::TableLimits;

/// One entry of a list: bits, which of them count, and what happens. A rule of several prefixes is several entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the rule compares.
    pub bits: Match,
    /// Ones where it compares; [`Match::shape`] is not read.
    pub mask: Match,
    /// What happens.
    pub rule: Rule,
}

/// What a list is in the maps: masks, and the entries under each.
type Compiled = (Vec<Match>, Entries<Match, Rule>);

/// Lists, rates and exporters (one per instance).
pub struct Rules {
    shapes: Array<MapData, [u8; 44]>,
    active: Array<MapData, u32>,
    entries: HashMap<MapData, [u8; 44], [u8; 16]>,
    hits: PerCpuArray<MapData, u64>,
    exporters: LpmTrie<MapData, [u8; 16], [u8; 8]>,
    policers: Array<MapData, [u8; 32]>,
    sources: HashMap<MapData, [u8; 20], [u8; 16]>,
    shared: Array<MapData, [u8; 16]>,
    limits: TableLimits,
}

super::opaque!(Rules);

impl Rules {
    pub(super) fn take(ebpf: &mut Ebpf, limits: &TableLimits) -> Result<Self, EbpfError> {
        Ok(Self {
            shapes: typed(ebpf, SHAPES)?,
            active: typed(ebpf, ACTIVE_SHAPES)?,
            entries: typed(ebpf, RULES)?,
            hits: typed(ebpf, RULE_HITS)?,
            exporters: typed(ebpf, EXPORTERS)?,
            policers: typed(ebpf, POLICERS)?,
            sources: typed(ebpf, SOURCE_BUCKETS)?,
            shared: typed(ebpf, SHARED_BUCKETS)?,
            limits: *limits,
        })
    }

    /// Makes the rules exactly these, by direction (arriving, forwarded): the list beside the one in use is written,
    /// then put to use, then the old one's entries are removed. While it runs both need room.
    ///
    /// # Errors
    /// When the lists have more shapes or entries than the tables hold; the rules in use stay.
    pub fn replace(&mut self, lists: [&[Entry]; DIRECTIONS as usize]) -> Result<Changed, EbpfError> {
        let list = (self.active.get(&0, 0).map_err(at(ACTIVE_SHAPES))? & 1) ^ 1;
        let mut wanted = Entries::new();
        let mut shapes = Vec::new();
        for (direction, entries) in (0..DIRECTIONS).zip(lists) {
            let (masks, entries) = compile(entries, list, direction)?;
            shapes.extend((0..MAX_SHAPES).map(|position| {
                let mask = masks.get(position as usize).copied().unwrap_or_default();
                (shape_index(list, direction, position), Shape { mask })
            }));
            wanted.extend(entries);
        }
        // What an interrupted change left under this list's shapes would decide packets.
        let of_list = |key: &Match| u32::from(key.shape) / (DIRECTIONS * MAX_SHAPES) == list;
        self.remove(of_list)?;
        for (key, rule) in &wanted {
            let (key, rule): ([u8; 44], [u8; 16]) = (zerocopy::transmute!(*key), zerocopy::transmute!(*rule));
            self.entries.insert(key, rule, 0).map_err(full_or(RULES, self.limits.rules))?;
        }
        for (index, shape) in shapes {
            let shape: [u8; 44] = zerocopy::transmute!(shape);
            self.shapes.set(index, shape, 0).map_err(at(SHAPES))?;
        }
        self.active.set(0, list, 0).map_err(at(ACTIVE_SHAPES))?;
        let removed = self.remove(|key| !of_list(key))?;
        Ok(Changed { added: wanted.len(), removed })
    }

    fn remove(&mut self, which: impl Fn(&Match) -> bool) -> Result<usize, EbpfError> {
        let held: Result<Vec<[u8; 44]>, _> = self.entries.keys().collect();
        let mut removed = 0;
        for key in held.map_err(at(RULES))? {
            if which(&zerocopy::transmute!(key)) {
                gone_is_fine(self.entries.remove(&key)).map_err(at(RULES))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Packets that a rule decided, by its [`Rule::counter`].
    ///
    /// # Errors
    /// When there is no such counter.
    pub fn hits(&self, counter: u32) -> Result<u64, EbpfError> {
        let values = self.hits.get(&counter, 0).map_err(at(RULE_HITS))?;
        Ok(values.iter().fold(0, |total, value| total.wrapping_add(*value)))
    }

    /// Makes the exporters whose telemetry is taken exactly `wanted`, by (network, bits).
    ///
    /// # Errors
    /// When the table is full.
    pub fn replace_exporters(
        &mut self,
        wanted: &BTreeMap<(std::net::IpAddr, u8), Exporter>,
    ) -> Result<Changed, EbpfError> {
        let items = self.exporters.iter().map(|item| {
            let (key, value) = item.map_err(at(EXPORTERS))?;
            Ok((network(&key), zerocopy::transmute!(value)))
        });
        let held: BTreeMap<_, Exporter> = items.collect::<Result<_, EbpfError>>()?;
        let mut changed = Changed::default();
        for (key, value) in wanted.iter().filter(|(key, value)| held.get(key) != Some(value)) {
            let (key_octets, value): (Key<[u8; 16]>, [u8; 8]) =
                (prefix(key.0, key.1), zerocopy::transmute!(*value));
            self.exporters
                .insert(&key_octets, value, 0)
                .map_err(full_or(EXPORTERS, self.limits.exporters))?;
            changed.added += usize::from(!held.contains_key(key));
        }
        for key in held.keys().filter(|key| !wanted.contains_key(key)) {
            gone_is_fine(self.exporters.remove(&prefix(key.0, key.1))).map_err(at(EXPORTERS))?;
            changed.removed += 1;
        }
        Ok(changed)
    }

    /// Sets a rate; policer 0 limits nothing and stays.
    ///
    /// # Errors
    /// When there is no such policer.
    pub fn set_policer(&mut self, policer: u32, rate: Policer) -> Result<(), EbpfError> {
        let rate: [u8; 32] = zerocopy::transmute!(rate);
        self.policers.set(policer, rate, 0).map_err(full_or(POLICERS, self.limits.policers))
    }

    /// Packets that a policer dropped from the bucket that all sources share.
    ///
    /// # Errors
    /// When there is no such policer.
    pub fn dropped(&self, policer: u32) -> Result<u64, EbpfError> {
        let bucket: Bucket = zerocopy::transmute!(self.shared.get(&policer, 0).map_err(at(SHARED_BUCKETS))?);
        Ok(bucket.dropped)
    }

    /// Packets dropped by source: (policer, source) -> packets. Policer 0: telemetry of sources that are not on the
    /// list. The busiest sources that the table holds.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn dropped_by_source(&self) -> Result<BTreeMap<(u32, std::net::IpAddr), u64>, EbpfError> {
        let mut dropped = BTreeMap::new();
        for item in self.sources.iter() {
            let (key, value) = item.map_err(at(SOURCE_BUCKETS))?;
            let (source, bucket): (Source, Bucket) = (zerocopy::transmute!(key), zerocopy::transmute!(value));
            if bucket.dropped > 0 {
                let address = dataplane_common::address_of(source.address);
                dropped.insert((source.policer, address), bucket.dropped);
            }
        }
        Ok(dropped)
    }
}

/// A list as shapes and entries under them. Of entries with the same mask and bits only the first can decide.
fn compile(entries: &[Entry], list: u32, direction: u32) -> Result<Compiled, EbpfError> {
    let (mut masks, mut compiled): Compiled = (Vec::new(), Entries::new());
    for entry in entries {
        let mask = Match { shape: SHAPE_USED, ..entry.mask };
        let position = masks.iter().position(|held| *held == mask).unwrap_or_else(|| {
            masks.push(mask);
            masks.len() - 1
        });
        if position >= MAX_SHAPES as usize {
            return Err(EbpfError::Full { name: SHAPES, limit: MAX_SHAPES });
        }
        let index = shape_index(list, direction, position as u32);
        let mut key = entry.bits;
        for (octet, mask) in key.as_mut_bytes().iter_mut().zip(mask.as_bytes()) {
            *octet &= mask;
        }
        key.shape = u8::try_from(index).unwrap_or(u8::MAX);
        let held = compiled.entry(key).or_insert(entry.rule);
        if entry.rule.order < held.order {
            *held = entry.rule;
        }
    }
    Ok((masks, compiled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_shape_share_it_and_the_first_of_equals_decides() {
        let entry = |destination_port, mask: u16, order| Entry {
            bits: Match { destination_port, protocol: 9, ..Match::default() },
            mask: Match { destination_port: mask, ..Match::default() },
            rule: Rule { order, ..Rule::default() },
        };
        let entries =
            [entry(53, 0xffff, 7), entry(54, 0xffff, 1), entry(55, 0xfffe, 2), entry(53, 0xffff, 3)];
        let (masks, compiled) = compile(&entries, 1, 1).unwrap();
        assert_eq!(masks.len(), 2);
        let at = |port, shape| compiled[&Match { destination_port: port, shape, ..Match::default() }].order;
        assert_eq!((compiled.len(), at(53, 48), at(54, 48), at(54, 49)), (3, 3, 1, 2));
    }

    #[test]
    fn more_shapes_than_a_packet_may_cost_are_refused() {
        let entry = |bits: u32| Entry {
            bits: Match::default(),
            mask: Match { device: (1_u32 << bits) - 1, ..Match::default() },
            rule: Rule::default(),
        };
        let entries: Vec<_> = (0..17).map(entry).collect();
        assert!(compile(&entries[..16], 0, 0).is_ok());
        assert!(matches!(compile(&entries, 0, 0), Err(EbpfError::Full { limit: 16, .. })));
    }
}
