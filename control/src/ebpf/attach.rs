//! The XDP program on devices: attached, replaced in one step, detached, and what the kernel says runs.
//!
//! In: a loaded program and a device's name. Out: [`Attached`], read back from the kernel, not from what was
//! asked. Never takes a device from another program.

use std::collections::BTreeMap;
use std::error::Error;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{Xdp, XdpMode, loaded_programs};
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::pins::{self, Pins};
use super::{EbpfError, sentence};

/// How a device is to run the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver where it can, else generic.
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the kernel's stack, after the socket buffer is made.
    Generic,
}

/// How the kernel says a device runs its XDP program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// No program.
    None,
    /// In the driver.
    Native,
    /// In the stack.
    Generic,
    /// On the card.
    Offloaded,
    /// In several places at once.
    Several,
}

impl Attachment {
    /// The word for reports: `native`, `generic`, `none`, ..
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
            Self::Several => "several",
        }
    }
}

/// A device with our program on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Name of the device.
    pub device: String,
    /// Its interface index in this network namespace.
    pub index: u32,
    /// How the kernel runs the program, read back.
    pub attachment: Attachment,
    /// The program replaced one that an earlier process of this instance had left; no frame went without.
    pub replaced: bool,
    /// With [`Mode::Auto`]: why the driver did not take it.
    pub why_not_native: Option<String>,
}

/// Interface index of a device in this network namespace.
///
/// # Errors
/// When there is none of that name.
pub fn device_index(device: &str) -> Result<u32, EbpfError> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
        .map_err(|error| EbpfError::Netlink(error.to_string()))?;
    rustix::net::netdevice::name_to_index(&socket, device).map_err(|_| EbpfError::NoDevice(device.to_owned()))
}

/// What the kernel runs on a device: how, and the id of the program (0: none).
///
/// # Errors
/// When the kernel does not answer or the device is gone.
pub fn attachment(index: u32) -> Result<(Attachment, u32), EbpfError> {
    let failed = |error: &dyn std::fmt::Display| EbpfError::Netlink(error.to_string());
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(|error| failed(&error))?;
    socket.bind_auto().map_err(|error| failed(&error))?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(|error| failed(&error))?;
    let mut link = LinkMessage::default();
    link.header.index = index;
    let mut request = NetlinkMessage::new(
        NetlinkHeader::default(),
        NetlinkPayload::from(RouteNetlinkMessage::GetLink(link)),
    );
    request.header.flags = NLM_F_REQUEST;
    request.finalize();
    let mut octets = vec![0; request.buffer_len()];
    request.serialize(&mut octets);
    socket.send(&octets, 0).map_err(|error| failed(&error))?;
    let (answer, _) = socket.recv_from_full().map_err(|error| failed(&error))?;
    let answer =
        NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(|error| failed(&error))?;
    if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = &answer.payload {
        return Ok(read(link));
    }
    if let NetlinkPayload::Error(error) = &answer.payload {
        return Err(failed(error));
    }
    Err(EbpfError::Netlink(format!("unexpected answer {:?}", answer.payload)))
}

fn read(link: &LinkMessage) -> (Attachment, u32) {
    let mut found = (Attachment::None, 0);
    for attribute in &link.attributes {
        let LinkAttribute::Xdp(attributes) = attribute else { continue };
        for attribute in attributes {
            if let LinkXdp::ProgId(id) = attribute {
                found.1 = *id;
            } else if let LinkXdp::Attached(attached) = attribute {
                let known = [
                    (XdpAttached::None, Attachment::None),
                    (XdpAttached::Driver, Attachment::Native),
                    (XdpAttached::SocketBuffer, Attachment::Generic),
                    (XdpAttached::Hardware, Attachment::Offloaded),
                ];
                let ours = known.iter().find(|(theirs, _)| theirs == attached);
                found.0 = ours.map_or(Attachment::Several, |(_, ours)| *ours);
            }
        }
    }
    found
}

/// The links of this process, one per device.
#[derive(Debug, Default)]
pub(super) struct Links {
    held: BTreeMap<u32, FdLink>,
}

impl Links {
    pub(super) fn attach(
        &mut self,
        program: &mut Xdp,
        pins: Option<&Pins>,
        device: &str,
        mode: Mode,
    ) -> Result<Attached, EbpfError> {
        let index = device_index(device)?;
        let mut now = attachment(index)?;
        let mut replaced = false;
        let mut why_not_native = None;
        if let Some(link) = self.ours(pins, index)? {
            let runs = link.info().is_ok_and(|info| info.program_id() == now.1);
            if runs && suits(mode, now.0) {
                let link = XdpLink::try_from(link).map_err(|error| refused(device, mode, &error))?;
                let id = program.attach_to_link(link).map_err(|error| refused(device, mode, &error))?;
                let link = program.take_link(id).map_err(|error| refused(device, mode, &error))?;
                let link = FdLink::try_from(link).map_err(|error| refused(device, mode, &error))?;
                self.held.insert(index, link);
                replaced = true;
            } else {
                drop(link);
                if let Some(pins) = pins {
                    pins.remove_link(index)?;
                }
                now = attachment(index)?;
            }
        }
        if !replaced {
            if now.1 != 0 {
                return Err(occupied(device, now.1));
            }
            let link = match mode {
                Mode::Native | Mode::Generic => fresh(program, device, index, mode)?,
                Mode::Auto => match fresh(program, device, index, Mode::Native) {
                    Ok(link) => link,
                    Err(EbpfError::Refused { reason, .. }) => {
                        why_not_native = Some(reason);
                        fresh(program, device, index, Mode::Generic)?
                    }
                    Err(other) => return Err(other),
                },
            };
            self.hold(pins, index, link)?;
        }
        let (attachment, _) = attachment(index)?;
        Ok(Attached { device: device.to_owned(), index, attachment, replaced, why_not_native })
    }

    pub(super) fn detach(&mut self, pins: Option<&Pins>, device: &str) -> Result<(), EbpfError> {
        let index = device_index(device)?;
        self.held.remove(&index);
        pins.map_or(Ok(()), |pins| pins.remove_link(index))
    }

    /// Puts another program in the place of the one on every device that is held; no frame goes without.
    pub(super) fn replace(&mut self, program: &mut Xdp) -> Result<(), EbpfError> {
        for (index, link) in std::mem::take(&mut self.held) {
            let at = |error: &(dyn Error + 'static)| EbpfError::Refused {
                device: format!("of index {index}"),
                mode: "the same",
                reason: sentence(error),
            };
            let link = XdpLink::try_from(link).map_err(|error| at(&error))?;
            let id = program.attach_to_link(link).map_err(|error| at(&error))?;
            let link = program.take_link(id).map_err(|error| at(&error))?;
            self.held.insert(index, FdLink::try_from(link).map_err(|error| at(&error))?);
        }
        Ok(())
    }

    /// The link of this instance on the device, from this process or from an earlier one's pin.
    fn ours(&mut self, pins: Option<&Pins>, index: u32) -> Result<Option<FdLink>, EbpfError> {
        if let Some(link) = self.held.remove(&index) {
            return Ok(Some(link));
        }
        let Some(path) = pins.map(|pins| pins.link(index)).filter(|path| path.exists()) else {
            return Ok(None);
        };
        let link = PinnedLink::from_pin(&path).map_err(|error| {
            pins::failed("cannot open the pinned link", &path, std::io::Error::other(error))
        })?;
        Ok(Some(link.into()))
    }

    fn hold(&mut self, pins: Option<&Pins>, index: u32, link: FdLink) -> Result<(), EbpfError> {
        let link = match pins {
            None => link,
            Some(pins) => {
                let path = pins.link(index);
                let pinned = link.pin(&path).map_err(|error| {
                    pins::failed("cannot pin the link", &path, std::io::Error::other(error))
                })?;
                pinned.into()
            }
        };
        self.held.insert(index, link);
        Ok(())
    }
}

/// Whether what runs may stay for this mode. Generic stays under [`Mode::Auto`]: trying the driver again
/// would interrupt the traffic.
const fn suits(mode: Mode, now: Attachment) -> bool {
    match mode {
        Mode::Auto => !matches!(now, Attachment::None),
        Mode::Native => matches!(now, Attachment::Native),
        Mode::Generic => matches!(now, Attachment::Generic),
    }
}

fn fresh(program: &mut Xdp, device: &str, index: u32, mode: Mode) -> Result<FdLink, EbpfError> {
    let flags = match mode {
        Mode::Auto => XdpMode::Default,
        Mode::Native => XdpMode::Driver,
        Mode::Generic => XdpMode::Skb,
    };
    let id = program.attach_to_if_index(index, flags).map_err(|error| match attachment(index) {
        Ok((_, id)) if id != 0 => occupied(device, id),
        _ => refused(device, mode, &error),
    })?;
    let link = program.take_link(id).map_err(|error| refused(device, mode, &error))?;
    FdLink::try_from(link).map_err(|error| {
        // Where the kernel makes no link, aya attaches by netlink: nothing would take that off when this
        // process dies, and its handle is gone. A second attachment gives a handle to take it off.
        if let Ok(id) = program.attach_to_if_index(index, flags) {
            let _ = program.detach(id);
        }
        refused(device, mode, &error)
    })
}

fn occupied(device: &str, id: u32) -> EbpfError {
    let name = loaded_programs()
        .flatten()
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_default();
    EbpfError::Occupied { device: device.to_owned(), name, id }
}

fn refused(device: &str, mode: Mode, error: &(dyn Error + 'static)) -> EbpfError {
    let mode = match mode {
        Mode::Auto => "any",
        Mode::Native => "native",
        Mode::Generic => "generic",
    };
    EbpfError::Refused { device: device.to_owned(), mode, reason: sentence(error) }
}
