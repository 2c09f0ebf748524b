//! What a load of the programs fixes: constants that the verifier prunes by, and the sizes of the tables.
//!
//! In: what a configuration asks for. Out: the read-only settings of `dataplane_common::map`, and entries by map.

use std::path::PathBuf;

use dataplane_common::map::{forward, rules};
use dataplane_common::{MAX_SLOTS, map, octets_of};

use super::dump::Wanted;
use super::probe;

/// How many entries each table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Local addresses.
    pub local_addresses: u32,
    /// Aliases, and as many alias prefixes.
    pub aliases: u32,
    /// (device, RX queue) pairs.
    pub ring_rows: u32,
    /// Groups of sockets: (protocol, address, port).
    pub socket_rows: u32,
    /// Routers whose last packet is remembered.
    pub routers_seen: u32,
    /// Arrivals, and as many ways out. This and what follows is held only with [`LoadSettings::forward`].
    pub devices: u32,
    /// Ports that frames may leave through.
    pub forward_ports: u32,
    /// Stations of bridges.
    pub stations: u32,
    /// Next hops whose use is remembered.
    pub next_hops: u32,
    /// (port, end) pairs that are counted.
    pub port_ends: u32,
    /// Entries of rules, those of a new list beside those in use. This and what follows is held only with
    /// [`LoadSettings::rules`].
    pub rules: u32,
    /// Rules that are counted by themselves.
    pub rule_hits: u32,
    /// Prefixes of exporters.
    pub exporters: u32,
    /// Rates.
    pub policers: u32,
    /// Sources with a bucket of their own.
    pub source_buckets: u32,
}

impl TableLimits {
    /// Map name -> entries, for the maps whose size a load chooses.
    pub(super) fn sizes(&self, settings: &LoadSettings) -> [(&'static str, u32); 22] {
        // No map has no entries: what is not used has one.
        let of = |is_used: bool| move |entries: u32| if is_used { entries } else { 1 };
        let (used, ruled) = (of(settings.forward.is_some()), of(settings.rules != RuleBlocks::default()));
        [
            (rules::RULES, ruled(self.rules)),
            (rules::RULE_HITS, ruled(self.rule_hits)),
            (rules::EXPORTERS, ruled(self.exporters)),
            (rules::POLICERS, ruled(self.policers)),
            (rules::SHARED_BUCKETS, ruled(self.policers)),
            (rules::SOURCE_BUCKETS, ruled(self.source_buckets)),
            (forward::INGRESS, used(self.devices)),
            (forward::EGRESS, used(self.devices)),
            (forward::FORWARD_PORTS, used(self.forward_ports)),
            (forward::STATIONS, used(self.stations)),
            (forward::NEXT_HOPS, used(self.next_hops)),
            (forward::PORT_ENDS, used(self.port_ends)),
            (map::LOCAL_ADDRESSES, self.local_addresses),
            (map::ALIASES, self.aliases),
            (map::ALIAS_PREFIXES, self.aliases),
            (map::RING_ROWS, self.ring_rows),
            (map::RINGS, self.ring_rows.saturating_mul(MAX_SLOTS)),
            (map::REDIRECTED, self.ring_rows.saturating_mul(MAX_SLOTS)),
            (map::SOCKET_ROWS, self.socket_rows),
            (map::SOCKETS, self.socket_rows.saturating_mul(MAX_SLOTS)),
            (map::SELECTED, self.socket_rows.saturating_mul(MAX_SLOTS)),
            (map::ROUTERS_SEEN, self.routers_seen),
        ]
    }
}

impl Default for TableLimits {
    fn default() -> Self {
        Self {
            local_addresses: map::MAX_LOCAL_ADDRESSES,
            aliases: map::MAX_ALIASES,
            ring_rows: map::MAX_RING_ROWS,
            socket_rows: map::MAX_SOCKET_ROWS,
            routers_seen: map::MAX_ROUTERS_SEEN,
            devices: forward::MAX_DEVICES,
            forward_ports: forward::MAX_FORWARD_PORTS,
            stations: forward::MAX_STATIONS,
            next_hops: forward::MAX_NEXT_HOPS,
            port_ends: forward::MAX_PORT_ENDS,
            rules: rules::MAX_RULES,
            rule_hits: rules::MAX_RULE_HITS,
            exporters: rules::MAX_EXPORTERS,
            policers: rules::MAX_POLICERS,
            source_buckets: rules::MAX_SOURCE_BUCKETS,
        }
    }
}

/// Which blocks of forwarding a load has. A block that is off costs nothing: the verifier removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Take tags off and put them on; without it tagged frames go up the stack.
    pub vlans: bool,
    /// Choose legs of bonds; without it what leaves through a bond goes up the stack.
    pub bonds: bool,
    /// Bridge frames, and forward into bridges; without it both go up the stack.
    pub bridges: bool,
    /// Remember which next hops are in use.
    pub next_hops: bool,
    /// Count ends by port as well.
    pub port_counters: bool,
}

/// Which blocks of rules a load has, each as free as those of [`Forward`] when it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleBlocks {
    /// Rules for every packet that arrives, telemetry too.
    pub arriving: bool,
    /// Rules for packets that are forwarded.
    pub forwarded: bool,
    /// Only listed exporters may send telemetry.
    pub exporters: bool,
}

impl Default for Forward {
    /// All of it.
    fn default() -> Self {
        Self { vlans: true, bonds: true, bridges: true, next_hops: true, port_counters: true }
    }
}

/// What a load fixes for the life of its programs.
#[derive(Clone, Debug)]
pub struct LoadSettings {
    /// Key of the router hash: secret, and the same for as long as routers must not change their bucket.
    pub key: [u8; 16],
    /// Octets of the longest frame that a ring takes; longer ones go to the kernel's stack.
    pub ring_room_bytes: u32,
    /// Drop UDP for an empty slot already in XDP, instead of passing it to the kernel's stack.
    pub drop_empty_udp: bool,
    /// Look up exact aliases.
    pub aliases: bool,
    /// Look up alias prefixes (75-500 ns a packet).
    pub alias_prefixes: bool,
    /// Remember when each router was last seen in XDP (1-2 ns a packet).
    pub last_seen: bool,
    /// Forward what is not for this host; `None`: it goes up the stack, and no table of forwarding is read.
    pub forward: Option<Forward>,
    /// Rules, rates and the list of exporters; none unless told.
    pub rules: RuleBlocks,
    /// Which frames a dump asks for; `None`: there is no dump.
    pub dump: Option<Wanted>,
    /// Sizes of the tables.
    pub limits: TableLimits,
    /// Directory of the BPF file system for what outlives the process; `None`: all of it ends with it.
    pub pins: Option<PathBuf>,
}

impl LoadSettings {
    /// Settings without aliases and without pins.
    #[must_use]
    pub fn new(key: [u8; 16], ring_room_bytes: u32) -> Self {
        Self {
            key,
            ring_room_bytes,
            drop_empty_udp: false,
            aliases: false,
            alias_prefixes: false,
            last_seen: true,
            forward: None,
            rules: RuleBlocks::default(),
            dump: None,
            limits: TableLimits::default(),
            pins: None,
        }
    }

    /// What the programs are loaded with.
    pub(super) fn constants(&self) -> map::Settings {
        let forward = |block: fn(&Forward) -> bool| u32::from(self.forward.as_ref().is_some_and(block));
        let dump = self.dump.unwrap_or_default();
        map::Settings {
            key: self.key,
            ring_room: self.ring_room_bytes,
            drop_empty_udp: self.drop_empty_udp.into(),
            aliases: self.aliases.into(),
            alias_prefixes: self.alias_prefixes.into(),
            last_seen: self.last_seen.into(),
            forward: forward(|_| true),
            vlans: forward(|forward| forward.vlans),
            bonds: forward(|forward| forward.bonds),
            bridges: forward(|forward| forward.bridges),
            next_hops: forward(|forward| forward.next_hops),
            port_counters: forward(|forward| forward.port_counters),
            mark_lookup: forward(|_| probe::probed().mark_lookup),
            table_lookup: forward(|_| probe::probed().table_lookup),
            arriving_rules: self.rules.arriving.into(),
            forwarded_rules: forward(|_| true) & u32::from(self.rules.forwarded),
            exporters: self.rules.exporters.into(),
            dump: self.dump.is_some().into(),
            dump_drops: dump.drops.into(),
            dump_port: dump.port,
            dump_one_in: dump.one_in,
            dump_most: dump.per_second,
            dump_has_source: dump.source.is_some().into(),
            dump_source: dump.source.map(octets_of).unwrap_or_default(),
        }
    }
}
