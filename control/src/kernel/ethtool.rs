//! Features and channels of a device, by ethtool's netlink (`Documentation/networking/ethtool-netlink.rst`, Linux 5.6).
//!
//! In: an interface index. Out: what is switched on there, how many queues it has; and changes to both. Decides nothing.

use std::collections::BTreeSet;
use std::io;

use netlink_packet_core::{DefaultNla, NLA_TYPE_MASK, Nla as _};

use super::generic::{Command, Family, attributes, nested, number, text, value};

/// Receive offload that merges packets: a veth that has it takes what is redirected to its peer.
pub const GRO: &str = "rx-gro";
/// The card takes VLAN tags off before XDP sees the frame.
pub const RX_VLAN: &str = "rx-vlan-hw-parse";
/// The card has rules that name a queue.
pub const NTUPLE: &str = "rx-ntuple-filter";

/// `ETHTOOL_MSG_FEATURES_GET`, `_SET`.
const FEATURES: [u8; 2] = [11, 12];
/// `ETHTOOL_MSG_CHANNELS_GET`, `_SET`.
const CHANNELS: [u8; 2] = [17, 18];
/// `ETHTOOL_A_FEATURES_HEADER`, and of every other message.
const HEADER: u16 = 1;
/// `ETHTOOL_A_HEADER_DEV_INDEX`.
const DEVICE: u16 = 1;
/// `ETHTOOL_A_HEADER_FLAGS`, `ETHTOOL_FLAG_OMIT_REPLY`.
const FLAGS: (u16, u32) = (3, 2);
/// `ETHTOOL_A_FEATURES_HW`: what the driver may change.
const HARDWARE: u16 = 2;
/// `ETHTOOL_A_FEATURES_WANTED`.
const WANTED: u16 = 3;
/// `ETHTOOL_A_FEATURES_ACTIVE`.
const ACTIVE: u16 = 4;
/// `ETHTOOL_A_FEATURES_NOCHANGE`: what stands fast all the same.
const FAST: u16 = 5;
/// `ETHTOOL_A_BITSET_NOMASK`.
const NO_MASK: u16 = 1;
/// `ETHTOOL_A_BITSET_BITS`, `ETHTOOL_A_BITSET_BITS_BIT`.
const BITS: (u16, u16) = (3, 1);
/// `ETHTOOL_A_BITSET_BIT_NAME`, `ETHTOOL_A_BITSET_BIT_VALUE`.
const BIT: (u16, u16) = (2, 3);

/// The family. One look-up of its number.
#[derive(Clone, Debug)]
pub struct Ethtool {
    family: Family,
}

/// Features of a device, by ethtool's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Switched on.
    pub active: BTreeSet<String>,
    /// That the driver lets be changed.
    pub changeable: BTreeSet<String>,
}

/// Queues of a device; each most is 0 where it has none of the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Channels {
    /// Receive queues alone, and at most.
    pub rx: (u32, u32),
    /// Transmit queues alone, and at most.
    pub tx: (u32, u32),
    /// Queues for both, and at most.
    pub combined: (u32, u32),
}

impl Ethtool {
    /// The family; `None`: this kernel has none.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn new() -> io::Result<Option<Self>> {
        Ok(Family::named("ethtool")?.map(|family| Self { family }))
    }

    /// Number of the group that hears of changes.
    pub(crate) fn monitor(&self) -> Option<u32> {
        self.family.group("monitor")
    }

    /// Features of one device.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn features(&self, device: u32) -> io::Result<Features> {
        let answers = self.family.get(FEATURES[0], vec![header(device)])?;
        Ok(answers.first().map(features).unwrap_or_default())
    }

    /// Switches a feature on or off. What the driver makes of it stands in [`Ethtool::features`].
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_feature(&self, device: u32, name: &str, on: bool) -> io::Result<()> {
        let mut bit = vec![text(BIT.0, name)];
        if on {
            bit.push(DefaultNla::new(BIT.1, Vec::new()));
        }
        let wanted = nested(WANTED, &[nested(BITS.0, &[nested(BITS.1, &bit)])]);
        let header = nested(HEADER, &[number(DEVICE, device), number(FLAGS.0, FLAGS.1)]);
        self.family.set(FEATURES[1], vec![header, wanted])
    }

    /// Queues of a device.
    ///
    /// # Errors
    /// What the kernel says: `EOPNOTSUPP` where the driver has nothing to tell.
    pub fn channels(&self, device: u32) -> io::Result<Channels> {
        let answers = self.family.get(CHANNELS[0], vec![header(device)])?;
        let answer = answers.first().ok_or(io::ErrorKind::UnexpectedEof)?;
        // `ETHTOOL_A_CHANNELS_*`: most first, in the order RX, TX, other, combined.
        let pair = |most: u16| (answer.u32(most + 4).unwrap_or(0), answer.u32(most).unwrap_or(0));
        Ok(Channels { rx: pair(2), tx: pair(3), combined: pair(5) })
    }

    /// Sets how many queues a device has, of the kinds of which it can have some.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_channels(&self, device: u32, wanted: &Channels) -> io::Result<()> {
        let mut message = vec![header(device)];
        for (kind, (count, most)) in [(6, wanted.rx), (7, wanted.tx), (9, wanted.combined)] {
            if most > 0 {
                message.push(number(kind, count));
            }
        }
        self.family.set(CHANNELS[1], message)
    }
}

fn header(device: u32) -> DefaultNla {
    nested(HEADER, &[number(DEVICE, device)])
}

fn features(answer: &Command) -> Features {
    let set = |kind: u16| answer.value(kind).map(|octets| bits(&octets)).unwrap_or_default();
    let fast = set(FAST);
    Features { active: set(ACTIVE), changeable: set(HARDWARE).difference(&fast).cloned().collect() }
}

/// Names of the bits of a set that are on: all that it lists, or those with a value where it has a mask.
fn bits(octets: &[u8]) -> BTreeSet<String> {
    let inner =
        |octets: Option<Vec<u8>>| octets.and_then(|octets| attributes(&octets).ok()).unwrap_or_default();
    let set = attributes(octets).unwrap_or_default();
    let list = inner(value(&set, BITS.0));
    let all = value(&set, NO_MASK).is_some();
    let names = list.iter().filter(|bit| bit.kind() & NLA_TYPE_MASK == BITS.1).filter_map(|bit| {
        let mut octets = vec![0; bit.value_len()];
        bit.emit_value(&mut octets);
        let bit = attributes(&octets).ok()?;
        let name = value(&bit, BIT.0).filter(|_| all || value(&bit, BIT.1).is_some())?;
        Some(String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(&name)).into_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_features_and_no_channels() {
        let ethtool = Ethtool::new().unwrap().unwrap();
        let features = ethtool.features(1).unwrap();
        assert!(features.active.contains("loopback"), "{features:?}");
        assert!(!features.changeable.contains("loopback"), "{features:?}");
        assert!(ethtool.channels(1).is_err());
    }
}
