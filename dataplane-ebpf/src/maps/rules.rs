//! The maps of rules and rates, under the names of `dataplane_common::map::rules`.
//!
//! In: keys. Out: pointers to values, whole while a run of the program lasts, or copies. The programs write only
//! counters and buckets.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray};
use dataplane_common::map::rules::{
    Bucket, DIRECTIONS, Exporter, MAX_EXPORTERS, MAX_POLICERS, MAX_RULE_HITS, MAX_RULES, MAX_SHAPES,
    MAX_SOURCE_BUCKETS, Match, Policer, Rule, Shape, Source,
};

use super::NO_PREALLOC;

#[map]
static SHAPES: Array<Shape> = Array::with_max_entries(2 * DIRECTIONS * MAX_SHAPES, 0);
#[map]
static ACTIVE_SHAPES: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static RULES: HashMap<Match, Rule> = HashMap::with_max_entries(MAX_RULES, NO_PREALLOC);
#[map]
static RULE_HITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(MAX_RULE_HITS, 0);
#[map]
static EXPORTERS: LpmTrie<[u8; 16], Exporter> = LpmTrie::with_max_entries(MAX_EXPORTERS, NO_PREALLOC);
#[map]
static POLICERS: Array<Policer> = Array::with_max_entries(MAX_POLICERS, 0);
#[map]
static SOURCE_BUCKETS: LruHashMap<Source, Bucket> = LruHashMap::with_max_entries(MAX_SOURCE_BUCKETS, 0);
#[map]
static SHARED_BUCKETS: Array<Bucket> = Array::with_max_entries(MAX_POLICERS, 0);
