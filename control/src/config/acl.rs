//! `[[acl]]`, `[[policer]]`, `exporters.allow`: who may pass XDP, how fast, and who may send telemetry.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Config, ConfigError, Mode, Network, range, refuse};
use crate::ebpf::RuleBlocks;

/// `[[policer]]`: a token bucket that rules and exporters share by its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policer {
    /// By which rules name it.
    pub name: String,
    /// Packets a second; 0: they are not counted.
    #[serde(default)]
    pub packets_per_s: u64,
    /// Octets of frames a second; 0: they are not counted.
    #[serde(default)]
    pub octets_per_s: u64,
    /// Milliseconds of the rate that may come at once.
    #[serde(default = "burst")]
    pub burst_ms: u64,
    /// Each source address has a bucket of its own.
    #[serde(default)]
    pub per_source: bool,
}

const fn burst() -> u64 {
    100
}

/// `acl.direction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Every packet that arrives, telemetry too.
    #[default]
    Arriving,
    /// Packets that are forwarded, once their way out is known.
    Forwarded,
}

/// `acl.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It passes the rules, within its policer's rate.
    Allow,
    /// It is dropped.
    Deny,
}

/// `[[acl]]`: of the rules that match a packet the first decides; what none matches passes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    /// Which packets.
    #[serde(default)]
    pub direction: Direction,
    /// What becomes of them.
    pub action: Action,
    /// Networks of the source; empty: any.
    #[serde(default)]
    pub source: Vec<Network>,
    /// Networks of the destination; empty: any.
    #[serde(default)]
    pub destination: Vec<Network>,
    /// IP protocol.
    #[serde(default)]
    pub protocol: Option<u8>,
    /// UDP or TCP source port.
    #[serde(default)]
    pub source_port: Option<u16>,
    /// UDP or TCP destination port.
    #[serde(default)]
    pub destination_port: Option<u16>,
    /// VLAN id of the outer tag.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// Device on which it arrives (arriving), or through which it leaves (forwarded).
    #[serde(default)]
    pub device: Option<String>,
    /// Rate of what is allowed.
    #[serde(default)]
    pub policer: Option<String>,
}

/// `[[exporters.allow]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Addresses of exporters whose telemetry is taken.
    pub source: Network,
    /// Rate of their telemetry.
    #[serde(default)]
    pub policer: Option<String>,
}

/// Octets of a policer's name.
const NAME_OCTETS: usize = 32;

impl Config {
    /// Which blocks of rules a load of the programs has: those that are used.
    #[must_use]
    pub fn rule_blocks(&self) -> RuleBlocks {
        let any = |direction| self.acl.iter().any(|rule| rule.direction == direction);
        RuleBlocks {
            arriving: any(Direction::Arriving),
            forwarded: any(Direction::Forwarded),
            exporters: !self.exporters.allow.is_empty(),
        }
    }

    /// Everything about rules and rates.
    pub(super) fn check_rules(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        // Policer 0 limits nothing.
        range("policer", "count", self.policer.len() as u64, 0..=u64::from(limits.max_policers) - 1)?;
        let mut names = BTreeSet::new();
        for (n, policer) in self.policer.iter().enumerate() {
            let key = |name: &str| format!("policer[{n}].{name}");
            if policer.name.is_empty() || policer.name.len() > NAME_OCTETS || !names.insert(&policer.name) {
                return Err(refuse(key("name"), &policer.name, "1 to 32 octets, each name once"));
            }
            range(&key("packets_per_s"), "", policer.packets_per_s, 0..=1_000_000_000)?;
            range(&key("octets_per_s"), "", policer.octets_per_s, 0..=1_000_000_000_000)?;
            range(&key("burst_ms"), "", policer.burst_ms, 1..=60_000)?;
            if policer.packets_per_s == 0 && policer.octets_per_s == 0 {
                return Err(refuse(key("packets_per_s"), 0, "a rate in packets_per_s or octets_per_s"));
            }
        }
        let known = |key: String, name: &Option<String>| match name {
            Some(name) if !names.contains(name) => Err(refuse(key, name, "the name of a [[policer]]")),
            _ => Ok(()),
        };
        range("acl", "count", self.acl.len() as u64, 0..=u64::from(limits.max_rules))?;
        for (n, rule) in self.acl.iter().enumerate() {
            let key = |name: &str| format!("acl[{n}].{name}");
            known(key("policer"), &rule.policer)?;
            if let Some(vlan) = rule.vlan {
                range(&key("vlan"), "", u64::from(vlan), 1..=4094)?;
            }
            let mixed = |one: &Network| {
                rule.destination.iter().any(|other| one.address.is_ipv4() != other.address.is_ipv4())
            };
            if rule.source.iter().any(mixed) {
                return Err(refuse(key("destination"), "networks", "networks of the family of `source`"));
            }
            if rule.action == Action::Deny && rule.policer.is_some() {
                return Err(refuse(key("policer"), "a name", "none with action = \"deny\""));
            }
            if rule.direction == Direction::Forwarded && !self.forwards() {
                return Err(refuse(key("direction"), "forwarded", "\"arriving\" unless forward.enabled"));
            }
            if rule.direction == Direction::Arriving
                && let Some(device) = rule.device.as_ref().filter(|device| !self.devices.contains(device))
            {
                return Err(refuse(key("device"), device, "a device of `devices`"));
            }
        }
        self.check_shapes()?;
        for (n, allowed) in self.exporters.allow.iter().enumerate() {
            known(format!("exporters.allow[{n}].policer"), &allowed.policer)?;
        }
        if self.rule_blocks() != RuleBlocks::default() && self.mode == Mode::Socket {
            return Err(refuse("mode", "socket", "a mode with XDP, which [[acl]] and exporters.allow need"));
        }
        Ok(())
    }
}

/// Which fields a rule compares, and how many bits of the addresses.
type Shape = (Option<u8>, Option<u8>, [bool; 5]);

impl Config {
    /// Rules of one shape cost one look-up, however many they are; a packet pays for so many shapes at most.
    fn check_shapes(&self) -> Result<(), ConfigError> {
        for direction in [Direction::Arriving, Direction::Forwarded] {
            let mut shapes: BTreeSet<Shape> = BTreeSet::new();
            for (n, rule) in self.acl.iter().enumerate().filter(|(_, rule)| rule.direction == direction) {
                let fields = [
                    rule.protocol.is_some(),
                    rule.source_port.is_some(),
                    rule.destination_port.is_some(),
                    rule.vlan.is_some(),
                    rule.device.is_some(),
                ];
                for source in bits(&rule.source) {
                    shapes.extend(bits(&rule.destination).map(|destination| (source, destination, fields)));
                }
                if shapes.len() > dataplane_common::map::rules::MAX_SHAPES as usize {
                    let legal = "16 different sets of fields and prefix lengths in one direction";
                    return Err(refuse(format!("acl[{n}]"), "one more", legal));
                }
            }
        }
        Ok(())
    }
}

/// Prefix lengths of networks, of the 128 bits; `None` where there is no network.
fn bits(networks: &[Network]) -> impl Iterator<Item = Option<u8>> {
    let any = networks.is_empty().then_some(None);
    any.into_iter().chain(networks.iter().map(|network| Some(network.mapped_bits())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: &str =
        "devices = [\"eth0\"]\n[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

    #[test]
    fn a_whole_list_is_read() {
        let text = format!(
            "{LISTEN}[[policer]]\nname = \"icmp\"\npackets_per_s = 100\n\
             [[acl]]\naction = \"allow\"\nprotocol = 1\npolicer = \"icmp\"\ndevice = \"eth0\"\n\
             [[acl]]\naction = \"deny\"\nsource = [\"192.0.2.0/24\", \"198.51.100.7\"]\ndestination_port = 179\n\
             [[exporters.allow]]\nsource = \"2001:db8::/32\"\n"
        );
        let config = Config::parse(&text).unwrap();
        assert_eq!((config.acl.len(), config.policer[0].burst_ms), (2, 100));
        assert_eq!(config.acl[1].source.len(), 2);
        assert_eq!(config.exporters.allow[0].policer, None);
    }

    #[test]
    fn mistakes_are_one_line() {
        for (text, words) in [
            ("[[acl]]\naction = \"allow\"\npolicer = \"x\"\n", "`acl[0].policer`, value `x`"),
            ("[[policer]]\nname = \"x\"\n", "a rate in packets_per_s or octets_per_s"),
            ("[[acl]]\naction = \"deny\"\nvlan = 4095\n", "`acl[0].vlan`, value `4095`: legal is 1 to 4094"),
            ("[[acl]]\naction = \"deny\"\ndirection = \"forwarded\"\n", "unless forward.enabled"),
            ("[[acl]]\naction = \"deny\"\ndevice = \"eth9\"\n", "a device of `devices`"),
            ("[[acl]]\naction = \"drop\"\n", "one of allow, deny"),
            ("[[acl]]\naction = \"deny\"\nsource = [\"192.0.2.1/24\"]\n", "acl[0].source"),
            (
                "[[acl]]\naction = \"deny\"\nsource = [\"::/0\"]\ndestination = [\"0.0.0.0/0\"]\n",
                "of the family of `source`",
            ),
        ] {
            let line = Config::parse(&format!("{LISTEN}{text}")).unwrap_err().to_string();
            assert!(line.contains(words) && !line.contains('\n'), "{line}");
        }
    }
}
