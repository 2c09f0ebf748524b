//! `[forward]`: whether packets that are not for this host are forwarded in XDP, and among which devices.

use serde::Deserialize;

use super::{Config, ConfigError, Mode, range, refuse};
use crate::ebpf::Forward as Blocks;

/// `[forward]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// Whether XDP forwards.
    pub enabled: bool,
    /// Devices among which it does, each also in `devices`; empty: all of those.
    pub devices: Vec<String>,
    /// Devices that send what XDP redirects to them, where the kernel cannot say so (before 6.3).
    pub assume_transmit: Vec<String>,
    /// Take VLAN tags off and put them on.
    pub vlans: bool,
    /// Choose legs of bonds.
    pub bonds: bool,
    /// Bridge frames.
    pub bridges: bool,
    /// Keep the neighbours of next hops in use fresh.
    pub neighbours: bool,
    /// Count the ends of frames by port.
    pub port_counters: bool,
    /// Seconds without a packet after which a next hop is let go.
    pub neighbour_idle_s: u64,
    /// Seconds between two comparisons of the maps with the kernel.
    pub audit_s: u64,
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            enabled: false,
            devices: Vec::new(),
            assume_transmit: Vec::new(),
            vlans: true,
            bonds: true,
            bridges: true,
            neighbours: true,
            port_counters: true,
            neighbour_idle_s: 90,
            audit_s: 30,
        }
    }
}

impl Forward {
    pub(super) fn check(&self, config: &Config) -> Result<(), ConfigError> {
        range("forward.neighbour_idle_s", "", self.neighbour_idle_s, 5..=86_400)?;
        range("forward.audit_s", "", self.audit_s, 1..=86_400)?;
        if let Some(device) = self.devices.iter().find(|device| !config.devices.contains(device)) {
            return Err(refuse("forward.devices", device, "devices that stand in `devices` too"));
        }
        if let Some(device) = self.assume_transmit.iter().find(|device| !config.devices.contains(device)) {
            return Err(refuse("forward.assume_transmit", device, "devices that stand in `devices` too"));
        }
        if self.enabled && config.mode == Mode::Socket {
            return Err(refuse(
                "forward.enabled",
                self.enabled,
                "false in mode \"socket\", which has no XDP",
            ));
        }
        if self.enabled && config.devices.is_empty() {
            return Err(refuse("forward.enabled", self.enabled, "false without `devices`"));
        }
        Ok(())
    }

    /// Which blocks of the program a load has; `None`: nothing is forwarded.
    #[must_use]
    pub fn blocks(&self) -> Option<Blocks> {
        self.enabled.then_some(Blocks {
            vlans: self.vlans,
            bonds: self.bonds,
            bridges: self.bridges,
            next_hops: self.neighbours,
            port_counters: self.port_counters,
        })
    }
}

impl Config {
    /// Whether XDP forwards.
    #[must_use]
    pub const fn forwards(&self) -> bool {
        self.forward.enabled
    }

    /// Names of the devices among which packets are forwarded.
    pub fn forward_devices(&self) -> impl Iterator<Item = &str> {
        let named = if self.forward.devices.is_empty() { &self.devices } else { &self.forward.devices };
        named.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    const LISTEN: &str = "[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n";

    #[test]
    fn it_is_off_unless_told_and_takes_all_devices_unless_told() {
        let devices = "devices = [\"eth0\", \"eth1\"]\n";
        let config = Config::parse(&format!("{devices}{LISTEN}")).unwrap();
        assert!(!config.forwards());
        assert_eq!(config.forward.blocks(), None);
        let config = Config::parse(&format!("{devices}[forward]\nenabled = true\n{LISTEN}")).unwrap();
        assert_eq!(config.forward_devices().collect::<Vec<_>>(), ["eth0", "eth1"]);
        let one =
            format!("{devices}[forward]\nenabled = true\ndevices = [\"eth1\"]\nbonds = false\n{LISTEN}");
        let config = Config::parse(&one).unwrap();
        assert_eq!(config.forward_devices().collect::<Vec<_>>(), ["eth1"]);
        assert_eq!(config.forward.blocks().map(|blocks| (blocks.vlans, blocks.bonds)), Some((true, false)));
    }

    #[test]
    fn contradictions_are_one_line() {
        for (text, words) in [
            ("devices = [\"eth0\"]\n[forward]\ndevices = [\"eth1\"]\n", "`forward.devices`, value `eth1`"),
            ("mode = \"socket\"\ndevices = [\"eth0\"]\n[forward]\nenabled = true\n", "mode \"socket\""),
            ("[forward]\nenabled = true\n", "without `devices`"),
            ("[forward]\naudit_s = 0\n", "`forward.audit_s`, value `0`: legal is 1 to 86400"),
            ("[forward]\nneighbor_idle_s = 7\n", "did you mean `forward.neighbour_idle_s`"),
        ] {
            let line = refused(&format!("{text}{LISTEN}"));
            assert!(line.contains(words) && !line.contains('\n'), "{line}");
        }
    }
}
