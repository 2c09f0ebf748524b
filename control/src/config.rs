//! Text -> [`Config`], or one line that names the key, the value and what is legal.
//!
//! Both processes run this parser over the same text, so nothing about the configuration crosses between
//! them but the text itself. Nothing here looks at the host; `check` does.

mod workers;
mod outputs;
mod steering;
mod exporters;
mod forward;
mod acl;
mod bmp;
mod join;
mod limits;
mod nic;
mod process;
mod error;

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use collector::Settings;
use collector::settings::{ExporterKey, PortProtocol};
use serde::Deserialize;

pub use acl::{Acl, Action, Allowed, Direction, Policer};
pub use bmp::Bmp;
pub use error::{ConfigError, nearest};
pub use exporters::{Exporters, Identity, Sampling};
pub use forward::Forward;
pub use join::{Address, Join, Vrf};
pub use limits::Limits;
pub use nic::Nic;
pub use outputs::{Sink, SinkType};
pub use process::Process;
pub use steering::{Alias, Network, Steering};
pub use workers::{Listen, Mode, Protocol};

/// Everything an operator can say. Keys are those of `configs/millrace.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How packets reach the workers.
    pub mode: Mode,
    /// Cores, one worker each.
    pub workers: Vec<u16>,
    /// Devices where telemetry arrives.
    pub devices: Vec<String>,
    /// Directory for what must survive a restart.
    pub state_dir: PathBuf,
    /// Where `show` asks.
    pub control_socket: PathBuf,
    /// Ports and what they speak.
    pub listen: Vec<Listen>,
    /// Where Prometheus asks.
    pub metrics: Metrics,
    /// Where rows go.
    pub sink: Vec<Sink>,
    /// The join of flows with routes.
    pub join: Join,
    /// Which slot a router falls on.
    pub steering: Steering,
    /// Forwarding of what is not for this host.
    pub forward: Forward,
    /// Rules for packets, in their order.
    pub acl: Vec<Acl>,
    /// Rates that rules name.
    pub policer: Vec<Policer>,
    /// What is known of exporters that they do not say themselves.
    pub exporters: Exporters,
    /// BMP sessions.
    pub bmp: Bmp,
    /// Every bound of every table.
    pub limits: Limits,
    /// What the cards are set to.
    pub nic: Nic,
    /// The processes and what they hold.
    pub process: Process,
}

/// `[metrics]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Address and port of the HTTP server.
    pub listen: SocketAddr,
    /// Exporters with series of their own on `/metrics/exporters`; the rest is `other`.
    pub max_exporters: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9810)), max_exporters: 1000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            workers: vec![0],
            devices: Vec::new(),
            state_dir: PathBuf::from("/var/lib/millrace"),
            control_socket: PathBuf::from("/run/millrace/control.sock"),
            listen: Vec::new(),
            metrics: Metrics::default(),
            sink: Vec::new(),
            join: Join::default(),
            steering: Steering::default(),
            forward: Forward::default(),
            acl: Vec::new(),
            policer: Vec::new(),
            exporters: Exporters::default(),
            bmp: Bmp::default(),
            limits: Limits::default(),
            nic: Nic::default(),
            process: Process::default(),
        }
    }
}

impl Config {
    /// Reads and checks the file at `path`; returns the text too, for the other process.
    ///
    /// # Errors
    /// One line: the file cannot be read, is no TOML, or a key is unknown or out of range.
    pub fn read(path: &Path) -> Result<(Self, String), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.to_owned(), error })?;
        let config = Self::parse(&text)?;
        Ok((config, text))
    }

    /// Parses and checks a text.
    ///
    /// # Errors
    /// One line: no TOML, or a key is unknown or out of range.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table = toml::de::Deserializer::parse(text).map_err(|error| ConfigError::syntax(text, &error))?;
        let config: Self =
            serde_path_to_error::deserialize(table).map_err(|error| ConfigError::of(text, &error))?;
        config.check()?;
        Ok(config)
    }

    /// Addresses that the configuration says something of, each once: telemetry is expected from there.
    #[must_use]
    pub fn expected(&self) -> BTreeSet<IpAddr> {
        let sampled = self.exporters.sampling.iter().map(|sampling| sampling.router);
        let aliases = self.steering.alias.iter().map(|alias| &alias.address);
        sampled.chain(aliases.filter(|address| address.is_host()).map(|network| network.address)).collect()
    }

    /// Every range that a type cannot say, and what must agree between keys.
    fn check(&self) -> Result<(), ConfigError> {
        let slots = u64::from(dataplane_common::MAX_SLOTS);
        range("workers", "count", self.workers.len() as u64, 1..=slots)?;
        let mut seen = HashSet::new();
        if let Some(core) = self.workers.iter().find(|core| !seen.insert(**core)) {
            return Err(refuse("workers", core, "each core once"));
        }
        let mut seen = HashSet::new();
        for device in &self.devices {
            // IFNAMSIZ is 16 with its NUL.
            if device.is_empty() || device.len() > 15 || device.contains(['/', ' ']) {
                return Err(refuse("devices", device, "names of 1 to 15 characters"));
            }
            if !seen.insert(device) {
                return Err(refuse("devices", device, "each device once"));
            }
        }
        if self.devices.is_empty() && matches!(self.mode, Mode::Native | Mode::Generic) {
            return Err(refuse("devices", "[]", "at least one device in native and generic mode"));
        }
        for (key, path) in [("state_dir", &self.state_dir), ("control_socket", &self.control_socket)] {
            if path.as_os_str().is_empty() {
                return Err(refuse(key, "\"\"", "a path"));
            }
        }
        // sun_path holds 108 octets with its NUL.
        if self.control_socket.as_os_str().len() > 107 {
            return Err(refuse(
                "control_socket",
                self.control_socket.display(),
                "a path of at most 107 octets",
            ));
        }
        self.check_listeners()?;
        range("sink", "count", self.sink.len() as u64, 0..=64)?;
        for (n, sink) in self.sink.iter().enumerate() {
            sink.check(n)?;
        }
        range("metrics.max_exporters", "", u64::from(self.metrics.max_exporters), 0..=100_000)?;
        self.steering.check(self.workers.len())?;
        self.join.check()?;
        self.exporters.check()?;
        self.forward.check(self)?;
        self.check_rules()?;
        self.bmp.check()?;
        self.limits.check()?;
        self.nic.check()?;
        self.process.check()
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(refuse("listen", "[]", "at least one [[listen]] with protocol, address and port"));
        }
        range("listen", "count", self.listen.len() as u64, 1..=u64::from(self.limits.max_socket_rows))?;
        let mut seen = HashSet::new();
        let mut speaks = std::collections::HashMap::new();
        for (n, listen) in self.listen.iter().enumerate() {
            let key = format!("listen[{n}].port");
            range(&key, "", u64::from(listen.port), 1..=65_535)?;
            let tcp = listen.protocol.is_stream();
            if !seen.insert((tcp, listen.address, listen.port)) {
                return Err(refuse(&key, listen.port, "one listener for each address, port and transport"));
            }
            if *speaks.entry((tcp, listen.port)).or_insert(listen.protocol) != listen.protocol {
                return Err(refuse(&key, listen.port, "one protocol for each port"));
            }
        }
        Ok(())
    }

    /// What a collector is told. Kinds that no sink wants are counted, not made into rows.
    #[must_use]
    pub fn collector_settings(&self) -> Settings {
        let limits = &self.limits;
        let ports: Vec<(u16, PortProtocol)> =
            self.listen.iter().map(|listen| (listen.port, listen.protocol.speaks())).collect();
        let mut settings = Settings {
            ports,
            exporter_key: match self.exporters.identity {
                Identity::Address => ExporterKey::Address,
                Identity::AddressAndPort => ExporterKey::AddressAndPort,
            },
            aliases: self.steering.exact_aliases(),
            sampling: self.exporters.sampling.iter().map(|s| (sixteen(s.router), s.rate)).collect(),
            kinds: self.kinds(),
            ..Settings::default()
        };
        limits.apply(&mut settings);
        self.join.apply(&mut settings);
        settings.stale_routes_ns = u64::from(self.bmp.stale_routes_s) * SECOND;
        settings
    }

    /// Kinds that at least one sink wants, one bit each; with no sink at all: none.
    #[must_use]
    pub fn kinds(&self) -> u32 {
        self.sink.iter().fold(0, |kinds, sink| kinds | sink.kinds_mask())
    }

    /// Slots that routers are spread over: N.
    #[must_use]
    pub fn slots(&self) -> u32 {
        match self.steering.slots {
            0 => u32::try_from(self.workers.len()).unwrap_or(dataplane_common::MAX_SLOTS),
            slots => slots,
        }
    }
}

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn sixteen(address: IpAddr) -> [u8; 16] {
    collector::sixteen(address)
}

/// Refuses a number outside `legal`; `what` says which property of the key when it is not the value itself.
pub(crate) fn range(
    key: &str,
    what: &str,
    value: u64,
    legal: std::ops::RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    if legal.contains(&value) {
        return Ok(());
    }
    let of = if what.is_empty() { String::new() } else { format!("{what} ") };
    Err(refuse(key, value, format!("{of}{} to {}", legal.start(), legal.end())))
}

pub(crate) fn refuse(
    key: impl Into<String>,
    value: impl std::fmt::Display,
    legal: impl Into<String>,
) -> ConfigError {
    ConfigError::Refused { key: key.into(), value: value.to_string(), legal: legal.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

    fn refused(text: &str) -> String {
        let line = Config::parse(&format!("{text}\n{LEAST}")).unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    }

    #[test]
    fn the_least_configuration_has_the_defaults() {
        let config = Config::parse(LEAST).unwrap();
        let listen = config.listen.clone();
        assert_eq!(config, Config { listen, ..Config::default() });
        assert_eq!(
            config.collector_settings(),
            Settings { ports: vec![(4739, PortProtocol::Ipfix)], kinds: 0, ..Settings::default() }
        );
    }

    #[test]
    fn an_unknown_key_names_its_neighbour() {
        assert_eq!(refused("wokers = [1]"), "line 1: unknown key `wokers`, did you mean `workers`?");
        assert_eq!(
            refused("[limits]\nmax_router = 5"),
            "line 2: unknown key `limits.max_router`, did you mean `limits.max_routers`?"
        );
        assert!(
            refused("zzzzqqqq = 1").starts_with("line 1: unknown key `zzzzqqqq`; legal here: mode, workers")
        );
    }

    #[test]
    fn a_value_out_of_range_says_the_range() {
        assert_eq!(refused("workers = []"), "key `workers`, value `0`: legal is count 1 to 64");
        assert_eq!(refused("workers = [1, 1]"), "key `workers`, value `1`: legal is each core once");
        assert_eq!(
            refused("[limits]\nmax_routers = 0"),
            "key `limits.max_routers`, value `0`: legal is 1 to 1000000"
        );
        assert_eq!(
            refused("mode = \"fast\""),
            "line 1: key `mode`, value `\"fast\"`: legal is one of auto, native, generic, socket"
        );
        assert_eq!(
            refused("mode = \"native\""),
            "key `devices`, value `[]`: legal is at least one device in native and generic mode"
        );
        assert_eq!(
            refused("[steering]\nslots = 65"),
            "key `steering.slots`, value `65`: legal is 0 (as many as workers) or 1 to 64"
        );
    }

    #[test]
    fn a_value_of_another_type_names_its_key() {
        let line = refused("workers = \"all\"");
        assert!(line.starts_with("line 1: key `workers`, value `\"all\"`: "), "{line}");
        let line =
            Config::parse("[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 70000\n").unwrap_err();
        assert!(line.to_string().starts_with("line 4: key `listen[0].port`, value `70000`: "), "{line}");
        let line = Config::parse("[[listen]]\nprotocol = \"ipfix\"\nport = 4739\n").unwrap_err();
        assert!(line.to_string().contains("`listen[0]`"), "{line}");
        assert!(line.to_string().contains("address"), "{line}");
    }

    #[test]
    fn two_listeners_of_one_port_must_agree() {
        let twice = format!("{LEAST}{LEAST}");
        assert!(Config::parse(&twice).unwrap_err().to_string().contains("one listener for each"));
        let differ =
            format!("{LEAST}[[listen]]\nprotocol = \"netflow\"\naddress = \"0.0.0.0\"\nport = 4739\n");
        assert!(Config::parse(&differ).unwrap_err().to_string().contains("one protocol for each port"));
    }

    #[test]
    fn the_reference_has_every_key_at_its_default() {
        let text = include_str!("../../configs/millrace.toml");
        let reference = Config::parse(text).unwrap();
        let examples = Config {
            devices: reference.devices.clone(),
            workers: reference.workers.clone(),
            listen: reference.listen.clone(),
            sink: reference.sink.clone(),
            ..Config::default()
        };
        assert_eq!(reference, examples);
        // Commented examples are legal too: uncomment every `#[` and `#key =` line and parse again.
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        let all = Config::parse(&uncommented).unwrap();
        assert!(!all.steering.alias.is_empty() && !all.exporters.sampling.is_empty());
        assert_eq!(all.collector_settings().vrfs.len(), all.join.vrf.len());
        assert!(!all.join.vrf.is_empty());
    }

    #[test]
    fn a_vrf_is_named_once_and_its_rd_reads() {
        let vrf = |text: &str| refused(&format!("[[join.vrf]]\n{text}"));
        assert!(vrf("rd = \"65000:1\"").contains("key `join.vrf[0]`, value `neither`"));
        assert!(vrf("rd = \"1:1\"\nid = 1\nname = \"red\"").contains("value `both`"));
        assert!(vrf("rd = \"red\"\nid = 1").contains("key `join.vrf[0].rd`, value `red`: legal is 65000:1"));
    }
}
