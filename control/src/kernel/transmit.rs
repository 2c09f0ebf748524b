//! Whether a device sends what XDP redirects to it. A frame for one that does not vanishes behind the program's back.
//!
//! ```text
//! netdev family, Linux 6.3: the driver's word, and an event whenever it changes (a veth's peer gets NAPI, a program)
//! before: the rule of the driver: a veth sends if its peer has GRO, which a program there switches on too
//! ```
//! What neither tells is unknown. Nothing here changes the kernel.

use std::collections::BTreeMap;
use std::io;

use netlink_packet_route::link::LinkAttribute;
use netlink_sys::{
    AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket, protocols::NETLINK_GENERIC,
};

use super::ethtool::{Ethtool, GRO};
use super::generic::{Command, Family, events};
use super::{KernelError, Link, Shape, ask};
use crate::nic;

/// `NETDEV_CMD_DEV_GET`.
const GET: u8 = 1;
/// `NETDEV_CMD_DEV_DEL_NTF`.
const GONE: u8 = 3;
/// `NETDEV_A_DEV_IFINDEX`.
const DEVICE: u16 = 1;
/// `NETDEV_A_DEV_XDP_FEATURES`.
const FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_NDO_XMIT`.
const TRANSMITS: u64 = 4;

/// What is known of devices, by interface index.
pub(crate) type Transmits = BTreeMap<u32, bool>;

/// Who can be asked on this kernel.
#[derive(Clone, Debug)]
enum Source {
    Netdev(Family),
    Rules(Option<Ethtool>),
}

impl Source {
    fn find() -> io::Result<Self> {
        Ok(match Family::named("netdev")? {
            Some(family) => Self::Netdev(family),
            None => Self::Rules(Ethtool::new()?),
        })
    }

    fn read(&self, links: &BTreeMap<u32, Link>) -> io::Result<Transmits> {
        match self {
            Self::Netdev(family) => {
                let answers = family.dump(GET, Vec::new())?;
                Ok(answers
                    .iter()
                    .filter_map(said)
                    .filter_map(|(device, word)| Some((device, word?)))
                    .collect())
            }
            Self::Rules(ethtool) => {
                let gro = |device: u32| Some(ethtool.as_ref()?.features(device).ok()?.active.contains(GRO));
                let ports = links.iter().filter(|(_, link)| link.shape == Shape::Plain);
                Ok(ports.filter_map(|(index, link)| Some((*index, rule(*index, link, gro)?))).collect())
            }
        }
    }
}

/// Of every device now.
///
/// # Errors
/// When the kernel does not answer.
pub(super) fn read(links: &BTreeMap<u32, Link>) -> Result<Transmits, KernelError> {
    Source::find().and_then(|source| source.read(links)).map_err(KernelError::Open)
}

/// What a message of the netdev family says: the device, and the driver's word unless the device is gone.
fn said(command: &Command) -> Option<(u32, Option<bool>)> {
    let device = command.u32(DEVICE)?;
    if command.number == GONE {
        return Some((device, None));
    }
    let features = u64::from_ne_bytes(command.value(FEATURES)?.try_into().ok()?);
    Some((device, Some(features & TRANSMITS != 0)))
}

/// What is known of a device whose kernel says nothing.
fn rule(index: u32, link: &Link, gro: impl Fn(u32) -> Option<bool>) -> Option<bool> {
    match link.kind.as_deref() {
        // Since 4.20; a peer in another network namespace keeps its features to itself.
        Some("veth") => {
            let attributes = ask::link(index).ok()?.attributes;
            let foreign =
                attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::LinkNetNsId(_)));
            let peer = attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::Link(peer) => Some(*peer),
                _ => None,
            });
            if foreign { None } else { gro(peer?) }
        }
        Some("tun") => Some(true),
        Some(_) => Some(false),
        None => Some(nic::Nic::read(&link.name)?.native()?.transmits),
    }
}

/// Follows changes. One a follower.
pub(super) struct Watch {
    source: Source,
    socket: TokioSocket,
}

impl Watch {
    /// Subscribes.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub(super) fn start(room: usize) -> io::Result<Self> {
        let source = Source::find()?;
        let mut socket = TokioSocket::new(NETLINK_GENERIC)?;
        let inner = socket.socket_mut();
        inner.set_rx_buf_sz(u32::try_from(room).unwrap_or(u32::MAX))?;
        inner.bind(&SocketAddr::new(0, 0))?;
        let group = match &source {
            Source::Netdev(family) => family.group("mgmt"),
            Source::Rules(ethtool) => ethtool.as_ref().and_then(Ethtool::monitor),
        };
        if let Some(group) = group {
            inner.add_membership(group)?;
        }
        Ok(Self { source, socket })
    }

    /// The next datagram of events. May be dropped at any time.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        self.socket.recv_from_full().await.map(|(octets, _)| octets)
    }

    /// A datagram that is there already.
    pub(super) fn try_receive(&self) -> io::Result<Vec<u8>> {
        self.socket.socket_ref().recv_from_full().map(|(octets, _)| octets)
    }

    /// Takes what events say; whether a device began or ceased to send.
    pub(super) fn take(&self, octets: &[u8], known: &mut Transmits) -> bool {
        let Source::Netdev(_) = &self.source else {
            // Features of some device: the rules are asked again before the state is used.
            return true;
        };
        let mut changed = false;
        for (device, word) in events(octets).filter_map(|event| said(&event)) {
            let before = match word {
                Some(word) => known.insert(device, word),
                None => known.remove(&device),
            };
            changed |= before.unwrap_or(false) != word.unwrap_or(false);
        }
        changed
    }

    /// Brings what rules tell up to date; whether it changed.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub(super) fn refresh(
        &self,
        links: &BTreeMap<u32, Link>,
        known: &mut Transmits,
    ) -> Result<bool, KernelError> {
        if matches!(self.source, Source::Netdev(_)) {
            return Ok(false);
        }
        let now = self.source.read(links).map_err(KernelError::Open)?;
        Ok(std::mem::replace(known, now.clone()) != now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::generic::number;
    use super::*;
    use netlink_packet_core::DefaultNla;

    #[test]
    fn the_drivers_word_is_read() {
        let device = |number_: u8, features: u64| Command {
            number: number_,
            attributes: vec![number(DEVICE, 7), DefaultNla::new(FEATURES, features.to_ne_bytes().to_vec())],
        };
        assert_eq!(said(&device(4, 0x7f)), Some((7, Some(true))));
        assert_eq!(said(&device(2, 0x7b)), Some((7, Some(false))));
        assert_eq!(said(&device(GONE, 0x7f)), Some((7, None)));
        assert_eq!(said(&Command { number: 4, attributes: Vec::new() }), None);
    }

    #[test]
    fn rules_know_kinds() {
        let kind = |kind: &str| rule(0, &Link { kind: Some(kind.into()), ..Link::default() }, |_| Some(true));
        assert_eq!((kind("tun"), kind("dummy")), (Some(true), Some(false)));
        assert_eq!(rule(0, &Link { name: "no-such-device".into(), ..Link::default() }, |_| Some(true)), None);
    }
}
