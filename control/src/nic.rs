//! A device of this host: driver, RX queues, MTU, state, as `/sys/class/net` says. Changes nothing.

mod program;
mod rss;
mod ntuple;
pub mod setup;
pub mod plan;

use std::fs;
use std::path::{Path, PathBuf};

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Name of the device.
    pub name: String,
    /// Interface index in this network namespace.
    pub index: u32,
    /// Kernel driver; of a virtual device its kind, if the caller knows it.
    pub driver: Option<String>,
    /// RX queues, at least 1.
    pub rx_queues: u32,
    /// Octets of the longest packet, without the Ethernet header.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Packets that the device had to drop.
    pub dropped: u64,
}

/// How a driver takes XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Its name as ethtool prints it.
    pub name: &'static str,
    /// Octets of MTU above which it refuses a native program without fragments, with 4 KiB pages; 0: not known.
    pub xdp_mtu: u32,
    /// Whether attaching takes the link down for a moment.
    pub resets_link: bool,
    /// Whether it sends what XDP redirects to it once it runs a program itself (`ndo_xdp_xmit`); asked only below 6.3,
    /// where the kernel does not say.
    pub transmits: bool,
}

/// Drivers with native XDP. Limits are those of the kernel's sources, 6.1 to 6.18.
pub const DRIVERS: &[Driver] = &[
    Driver { name: "veth", xdp_mtu: 3_506, resets_link: false, transmits: true },
    Driver { name: "virtio_net", xdp_mtu: 3_506, resets_link: false, transmits: true },
    Driver { name: "tun", xdp_mtu: 1_500, resets_link: false, transmits: true },
    Driver { name: "ixgbe", xdp_mtu: 3_050, resets_link: true, transmits: true },
    Driver { name: "ixgbevf", xdp_mtu: 3_050, resets_link: true, transmits: false },
    Driver { name: "i40e", xdp_mtu: 3_046, resets_link: true, transmits: true },
    Driver { name: "ice", xdp_mtu: 3_046, resets_link: true, transmits: true },
    Driver { name: "igb", xdp_mtu: 3_050, resets_link: true, transmits: true },
    Driver { name: "igc", xdp_mtu: 1_500, resets_link: true, transmits: true },
    Driver { name: "mlx5_core", xdp_mtu: 3_498, resets_link: true, transmits: true },
    Driver { name: "mlx4_en", xdp_mtu: 3_498, resets_link: true, transmits: false },
    Driver { name: "bnxt_en", xdp_mtu: 3_500, resets_link: true, transmits: true },
    Driver { name: "ena", xdp_mtu: 3_498, resets_link: true, transmits: true },
    Driver { name: "gve", xdp_mtu: 2_048, resets_link: true, transmits: true },
    Driver { name: "nfp", xdp_mtu: 3_000, resets_link: true, transmits: false },
    Driver { name: "qede", xdp_mtu: 3_000, resets_link: true, transmits: true },
    Driver { name: "mvneta", xdp_mtu: 3_500, resets_link: true, transmits: true },
    Driver { name: "stmmac", xdp_mtu: 1_500, resets_link: true, transmits: true },
    Driver { name: "hv_netvsc", xdp_mtu: 1_500, resets_link: false, transmits: true },
    Driver { name: "mana", xdp_mtu: 3_506, resets_link: true, transmits: true },
    Driver { name: "vmxnet3", xdp_mtu: 3_000, resets_link: true, transmits: true },
];

/// Drivers whose `rx_packets` holds each frame that the program saw once, also those that it dropped or
/// redirected, in native and in generic mode.
///
/// A veth counts at the ring of its end (`veth_xdp_rcv`) with a native program, and the frames that its peer put into
/// the backlog without; both are what the program then sees. Others are shown beside the program's count but not held
/// against it: `mlx5_core` and `mlx4_en` leave out what a native program consumes (their `rx_xdp_drop` and
/// `rx_xdp_redirect`), `bnxt_en` counts in hardware, once a second, what never reaches the program too, and the Intel
/// drivers and `virtio_net`, which count each buffer, also count those that they discard as damaged or for want of
/// memory before the program runs.
const COUNTED_AS_SEEN: &[&str] = &["veth"];

/// Whether the kernel's `rx_packets` of a device with this driver is exactly what an XDP program there saw.
#[must_use]
pub fn counts_as_seen(driver: Option<&str>) -> bool {
    driver.is_some_and(|driver| COUNTED_AS_SEEN.contains(&driver))
}

impl Nic {
    /// Reads a device of this network namespace; `None`: there is none of that name. `kind` is what netlink says
    /// of a virtual device.
    #[must_use]
    pub fn read_as(name: &str, kind: Option<&str>) -> Option<Self> {
        let mut nic = Self::read(name)?;
        nic.driver = nic.driver.or_else(|| kind.map(str::to_owned));
        Some(nic)
    }

    /// Reads a device of this network namespace; `None`: there is none of that name.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        let directory = PathBuf::from("/sys/class/net").join(name);
        let index = number(&directory, "ifindex")?;
        let queues = fs::read_dir(directory.join("queues")).ok()?;
        let rx = queues.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-"));
        let flags = text(&directory, "flags").unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        Some(Self {
            name: name.to_owned(),
            index: u32::try_from(index).ok()?,
            driver: driver(&directory),
            rx_queues: u32::try_from(rx.count()).unwrap_or(u32::MAX).max(1),
            mtu: u32::try_from(number(&directory, "mtu")?).ok()?,
            up: flags & 1 == 1,
            dropped: number(&directory, "statistics/rx_dropped").unwrap_or(0)
                + number(&directory, "statistics/rx_missed_errors").unwrap_or(0),
        })
    }

    /// How its driver takes XDP; `None`: only in generic mode, as far as is known.
    #[must_use]
    pub fn native(&self) -> Option<&'static Driver> {
        let driver = self.driver.as_deref()?;
        DRIVERS.iter().find(|known| known.name == driver)
    }
}

/// Names of all devices of this network namespace, sorted.
#[must_use]
pub fn names() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn driver(directory: &Path) -> Option<String> {
    if let Ok(link) = fs::read_link(directory.join("device/driver")) {
        return Some(link.file_name()?.to_string_lossy().into_owned());
    }
    None
}

fn text(directory: &Path, file: &str) -> Option<String> {
    fs::read_to_string(directory.join(file)).ok().map(|text| text.trim().to_owned())
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    text(directory, file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_read() {
        let nic = Nic::read("lo").unwrap();
        assert_eq!((nic.index, nic.driver.as_deref(), nic.rx_queues), (1, None, 1));
        assert!(nic.mtu >= 1500 && nic.native().is_none());
        assert_eq!(Nic::read("no-such-device"), None);
    }
}
