//! What is generated. In: a TOML file or flags. Out: a checked description.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use wire::bgp::Prefix;

use super::prefix::Prefixes;

/// Largest UDP payload that a frame of 1,514 octets carries over IPv6.
pub const MAX_PAYLOAD: u16 = 1_452;
/// Prefixes of one population.
const MAX_PREFIXES: u32 = 4_000_000;
/// Datagrams of one cycle: each is kept in memory.
const MAX_DATAGRAMS: u32 = 1 << 20;

/// What an exporter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IPFIX (RFC 7011).
    Ipfix,
    /// NetFlow v9 (RFC 3954).
    Netflow9,
    /// NetFlow v5.
    Netflow5,
    /// sFlow v5.
    Sflow,
}

impl Protocol {
    /// Its name in descriptions and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipfix => "ipfix",
            Self::Netflow9 => "netflow9",
            Self::Netflow5 => "netflow5",
            Self::Sflow => "sflow",
        }
    }

    /// Whether records are described by templates.
    #[must_use]
    pub const fn has_templates(self) -> bool {
        matches!(self, Self::Ipfix | Self::Netflow9)
    }
}

/// Exporters that are alike.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Class {
    /// What they speak.
    pub protocol: Protocol,
    /// How many there are: source addresses.
    pub exporters: u32,
    /// Observation domains (IPFIX), source ids (v9), engines (v5), sub-agents (sFlow) of each.
    pub domains: u32,
    /// Templates of each domain, all different; of 23 fields or a few less.
    pub templates: u16,
    /// IPv6 sources and flows. Not for NetFlow v5.
    pub ipv6: bool,
    /// Largest UDP payload, octets: as many records as fit.
    pub octets: u16,
    /// Records of a datagram, at most; none: as many as fit.
    pub records: Option<u16>,
    /// Templates are sent again after this many data datagrams of a domain; 0: only at the start. A cycle that has
    /// fewer for each domain never gets there.
    pub template_every: u32,
    /// Datagrams of a domain for each one of a class of weight 1.
    pub weight: u32,
    /// Data datagrams that are made, numbered and then withheld, in a thousand.
    pub loss_per_mille: u32,
}

impl Default for Class {
    fn default() -> Self {
        Self {
            protocol: Protocol::Ipfix,
            exporters: 1,
            domains: 1,
            templates: 1,
            ipv6: false,
            octets: 1_400,
            records: None,
            template_every: 512,
            weight: 1,
            loss_per_mille: 0,
        }
    }
}

/// All that is generated.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Population {
    /// The same seed makes the same octets.
    pub seed: u64,
    /// Address of the first IPv4 exporter; the others follow it.
    pub source_v4: Ipv4Addr,
    /// Address of the first IPv6 exporter; the others follow it.
    pub source_v6: Ipv6Addr,
    /// UDP source port of all.
    pub source_port: u16,
    /// Announced prefixes of each family that flows lie in; lengths as in a full table.
    pub prefixes: u32,
    /// How uneven prefixes are used: 1 is evenly; at 4, a tenth of them carry more than half of the flows.
    pub skew: f64,
    /// Destinations that nobody announces, in a hundred.
    pub unrouted_percent: u32,
    /// Data datagrams of a cycle, over all domains; at least one of each.
    pub datagrams: u32,
    /// Consecutive datagrams of one domain.
    pub run: u32,
    /// Classes of exporters.
    pub class: Vec<Class>,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            seed: 1,
            source_v4: Ipv4Addr::new(10, 0, 0, 1),
            source_v6: Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1),
            source_port: 50_000,
            prefixes: 4_096,
            skew: 4.0,
            unrouted_percent: 12,
            datagrams: 4_096,
            run: 8,
            class: Vec::new(),
        }
    }
}

impl Population {
    /// Reads a description. Unknown keys are errors.
    ///
    /// # Errors
    /// What is wrong, with its line or its legal range.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let population: Self = toml::from_str(text).context("not a population")?;
        population.check()?;
        Ok(population)
    }

    /// Holds every number against its range.
    ///
    /// # Errors
    /// The first that is outside, and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            ensure!((least..=most).contains(&value), "{name} is {value}: give {least} to {most}");
            Ok(())
        };
        ensure!(!self.class.is_empty(), "no exporters: give a class of them");
        ensure!((1.0..=100.0).contains(&self.skew), "skew is {}: give 1 to 100", self.skew);
        within("prefixes", self.prefixes.into(), 1, MAX_PREFIXES.into())?;
        within("unrouted_percent", self.unrouted_percent.into(), 0, 100)?;
        within("datagrams", self.datagrams.into(), 1, MAX_DATAGRAMS.into())?;
        within("run", self.run.into(), 1, 1_024)?;
        for class in &self.class {
            within("exporters", class.exporters.into(), 1, 1 << 20)?;
            // An engine of NetFlow v5 has 8 bits.
            let domains = if class.protocol == Protocol::Netflow5 { 256 } else { 65_536 };
            within("domains", class.domains.into(), 1, domains)?;
            within("templates", class.templates.into(), 1, super::record::MAX_TEMPLATES.into())?;
            within("octets", class.octets.into(), 64, MAX_PAYLOAD.into())?;
            within("records", class.records.unwrap_or(1).into(), 1, 1_000)?;
            within("weight", class.weight.into(), 1, 1_000)?;
            within("loss_per_mille", class.loss_per_mille.into(), 0, 900)?;
            ensure!(
                !(class.ipv6 && class.protocol == Protocol::Netflow5),
                "ipv6 with netflow5: NetFlow v5 has no IPv6 flows"
            );
        }
        let streams: u64 =
            self.class.iter().map(|class| u64::from(class.exporters) * u64::from(class.domains)).sum();
        within("exporters x domains", streams, 1, MAX_DATAGRAMS.into())
    }

    /// Prefixes that IPv4 flows lie in.
    #[must_use]
    pub fn prefixes(&self) -> Vec<Prefix> {
        self.announced(false).all().to_vec()
    }

    /// Prefixes that are announced; one where no class needs the family.
    pub(super) fn announced(&self, ipv6: bool) -> Prefixes {
        let wanted = self.class.iter().any(|class| class.ipv6 == ipv6);
        let count = if wanted { self.prefixes } else { 1 };
        Prefixes::new(count, ipv6, self.seed, self.skew, self.unrouted_percent)
    }

    /// Source address of exporter `index`, counted over all classes.
    #[must_use]
    pub fn source(&self, index: u32, ipv6: bool) -> IpAddr {
        if ipv6 {
            IpAddr::V6(Ipv6Addr::from(u128::from(self.source_v6).wrapping_add(index.into())))
        } else {
            IpAddr::V4(Ipv4Addr::from(u32::from(self.source_v4).wrapping_add(index)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_and_its_errors_are_one_line() {
        let population =
            Population::read("seed = 7\n[[class]]\nprotocol = \"sflow\"\nexporters = 3\n").unwrap();
        assert_eq!((population.seed, population.class[0].exporters), (7, 3));
        for (text, said) in [
            ("", "no exporters"),
            ("[[class]]\nexporters = 0\n", "exporters is 0: give 1 to"),
            ("[[class]]\nprotocol = \"netflow5\"\nipv6 = true\n", "has no IPv6"),
            ("skew = 0.5\n[[class]]\n", "skew is 0.5"),
            ("sed = 7\n", "unknown field `sed`"),
        ] {
            let error = format!("{:#}", Population::read(text).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn sources_follow_each_other() {
        let population = Population::default();
        assert_eq!(population.source(256, false).to_string(), "10.0.1.1");
        assert_eq!(population.source(1, true).to_string(), "2001:db8:a::2");
    }
}
