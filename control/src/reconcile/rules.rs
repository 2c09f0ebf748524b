//! Rules, rates and exporters of the configuration -> entries of their maps; devices by the index they have now.
//!
//! Pure. A rule for a device that is not there matches nothing, so it has no entry.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dataplane_common::map::rules::{ALLOW, DENY, DIRECTIONS, Exporter, MAX_RULE_HITS, Match, Policer, Rule};
use dataplane_common::octets_of;

use crate::config::{self, Action, Config, Direction, Network};
use crate::ebpf::RuleBlocks;
use crate::ebpf::tables::rules::Entry;
use crate::kernel::KernelState;

/// What the maps of rules are to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Entries by direction: arriving, forwarded.
    pub lists: [Vec<Entry>; DIRECTIONS as usize],
    /// Policers from 1 on.
    pub policers: Vec<Policer>,
    /// Exporters whose telemetry is taken; empty: everybody's.
    pub exporters: BTreeMap<(IpAddr, u8), Exporter>,
}

/// What the configuration asks for.
pub(super) fn rules(kernel: &KernelState, config: &Config) -> Rules {
    // Without a block that reads them there are no maps for rates.
    if config.rule_blocks() == RuleBlocks::default() {
        return Rules::default();
    }
    let mut rules = Rules { policers: config.policer.iter().map(policer).collect(), ..Rules::default() };
    let policer_of = |name: Option<&String>| {
        let position = name.and_then(|name| config.policer.iter().position(|policer| policer.name == *name));
        position.map_or(0, |position| number(position + 1))
    };
    for (order, rule) in config.acl.iter().enumerate() {
        let device = match &rule.device {
            Some(name) => match kernel.index(name) {
                Some(index) => index,
                None => continue,
            },
            None => 0,
        };
        let decided = Rule {
            order: number(order),
            counter: number(order).min(MAX_RULE_HITS - 1),
            policer: policer_of(rule.policer.as_ref()),
            action: if rule.action == Action::Allow { ALLOW } else { DENY },
            reserved: [0; 3],
        };
        let list = match rule.direction {
            Direction::Arriving => 0,
            Direction::Forwarded => 1,
        };
        let any = [None];
        for source in networks(&rule.source, &any) {
            for destination in networks(&rule.destination, &any) {
                rules.lists[list].push(entry(rule, device, source, destination, decided));
            }
        }
    }
    for allowed in &config.exporters.allow {
        let exporter = Exporter { action: ALLOW.into(), policer: policer_of(allowed.policer.as_ref()) };
        rules.exporters.insert((allowed.source.address, allowed.source.bits), exporter);
    }
    rules
}

/// Networks of a rule; one that is none where it names none.
fn networks<'a>(named: &'a [Network], any: &'a [Option<&'a Network>]) -> Vec<Option<&'a Network>> {
    if named.is_empty() { any.to_vec() } else { named.iter().map(Some).collect() }
}

fn entry(
    rule: &config::Acl,
    device: u32,
    source: Option<&Network>,
    destination: Option<&Network>,
    decided: Rule,
) -> Entry {
    let (mut bits, mut mask) = (Match::default(), Match::default());
    if let Some(network) = source {
        (bits.source, mask.source) = address(network);
    }
    if let Some(network) = destination {
        (bits.destination, mask.destination) = address(network);
    }
    if rule.device.is_some() {
        (bits.device, mask.device) = (device, u32::MAX);
    }
    if let Some(protocol) = rule.protocol {
        (bits.protocol, mask.protocol) = (protocol, u8::MAX);
    }
    if let Some(port) = rule.source_port {
        (bits.source_port, mask.source_port) = (port, u16::MAX);
    }
    if let Some(port) = rule.destination_port {
        (bits.destination_port, mask.destination_port) = (port, u16::MAX);
    }
    if let Some(vlan) = rule.vlan {
        (bits.vlan, mask.vlan) = (vlan, u16::MAX);
    }
    Entry { bits, mask, rule: decided }
}

/// A network's octets, IPv4 mapped, and which of their bits count.
fn address(network: &Network) -> ([u8; 16], [u8; 16]) {
    let mask = match u32::from(network.mapped_bits()) {
        0 => 0,
        bits => u128::MAX << (128 - bits),
    };
    (octets_of(network.address), mask.to_be_bytes())
}

/// A bucket counted in the time that a packet and its octets take.
fn policer(policer: &config::Policer) -> Policer {
    Policer {
        packet_ns: 1_000_000_000_u64.checked_div(policer.packets_per_s).unwrap_or(0),
        octet_ps: 1_000_000_000_000_u64.checked_div(policer.octets_per_s).unwrap_or(0),
        burst_ns: policer.burst_ms * 1_000_000,
        per_source: policer.per_source.into(),
    }
}

fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Link;

    fn kernel() -> KernelState {
        let link = Link { name: "eth0".into(), ..Link::default() };
        KernelState { links: [(3, link)].into(), ..KernelState::default() }
    }

    fn of(text: &str) -> Rules {
        let text = format!(
            "devices = [\"eth0\", \"eth1\"]\n[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n{text}"
        );
        rules(&kernel(), &Config::parse(&text).unwrap())
    }

    #[test]
    fn a_rule_of_networks_is_an_entry_a_pair() {
        let rules = of("[[acl]]\naction = \"deny\"\nsource = [\"192.0.2.0/24\", \"198.51.100.7\"]\n\
                        destination = [\"203.0.113.0/25\"]\nprotocol = 17\ndestination_port = 53\n");
        let [arriving, forwarded] = &rules.lists;
        assert_eq!((arriving.len(), forwarded.len()), (2, 0));
        let first = arriving[0];
        assert_eq!(first.bits.source, octets_of("192.0.2.0".parse().unwrap()));
        assert_eq!(first.mask.source, (u128::MAX << 8).to_be_bytes());
        assert_eq!(arriving[1].mask.source, [0xff; 16]);
        assert_eq!(first.mask.destination, (u128::MAX << 7).to_be_bytes());
        assert_eq!((first.bits.destination_port, first.mask.destination_port), (53, u16::MAX));
        assert_eq!((first.mask.source_port, first.mask.vlan, first.mask.device), (0, 0, 0));
        assert_eq!((first.rule.action, first.rule.order, first.rule.policer), (DENY, 0, 0));
    }

    #[test]
    fn a_rule_for_a_device_has_its_index_and_none_without_the_device() {
        let rules = of(
            "[[acl]]\naction = \"deny\"\ndevice = \"eth0\"\n[[acl]]\naction = \"deny\"\ndevice = \"eth1\"\n\
                        [[acl]]\naction = \"deny\"\nsource = [\"0.0.0.0/0\"]\n",
        );
        let [arriving, _] = &rules.lists;
        assert_eq!(arriving.len(), 2);
        assert_eq!((arriving[0].bits.device, arriving[0].mask.device), (3, u32::MAX));
        assert_eq!(arriving[1].rule.order, 2, "the order is the configuration's");
        assert_eq!(arriving[1].mask.source, (u128::MAX << 32).to_be_bytes(), "all of IPv4, no IPv6");
    }

    #[test]
    fn rates_are_the_time_of_a_packet() {
        let rules = of("[[policer]]\nname = \"a\"\npackets_per_s = 1000\n[[policer]]\nname = \"b\"\n\
                        octets_per_s = 1000000\nburst_ms = 7\nper_source = true\n\
                        [[exporters.allow]]\nsource = \"192.0.2.0/24\"\npolicer = \"b\"\n");
        let [a, b] = rules.policers[..] else { panic!("{:?}", rules.policers) };
        assert_eq!((a.packet_ns, a.octet_ps, a.burst_ns, a.per_source), (1_000_000, 0, 100_000_000, 0));
        assert_eq!((b.packet_ns, b.octet_ps, b.burst_ns, b.per_source), (0, 1_000_000, 7_000_000, 1));
        let key = ("192.0.2.0".parse().unwrap(), 24);
        assert_eq!(rules.exporters, [(key, Exporter { action: ALLOW.into(), policer: 2 })].into());
    }
}
