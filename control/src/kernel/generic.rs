//! Generic netlink: a family by its name, questions to it, changes through it, and its events.
//!
//! In: commands with their attributes, as octets. Out: the kernel's, the same way. What they mean is the business of
//! whoever asks; a family that this kernel lacks is no error.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLA_F_NESTED, NLA_TYPE_MASK, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _, NlasIterator, Parseable as _,
    ParseableParametrized,
};
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

use super::socket::messages;

/// A command or an event: its number and its attributes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Number of the command in its family.
    pub(crate) number: u8,
    /// Its attributes.
    pub(crate) attributes: Vec<DefaultNla>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Command {
    /// The value of an attribute.
    pub(crate) fn value(&self, kind: u16) -> Option<Vec<u8>> {
        value(&self.attributes, kind)
    }

    /// An attribute of 32 bits.
    pub(crate) fn u32(&self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(self.value(kind)?.get(..4)?.try_into().ok()?))
    }
}

impl GenlFamily for Command {
    fn family_name() -> &'static str {
        // Every family: messages carry its number.
        ""
    }

    fn command(&self) -> u8 {
        self.number
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Command {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Command {
    fn parse_with_param(octets: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Ok(Self { number: header.cmd, attributes: attributes(octets)? })
    }
}

/// The attributes that octets hold.
pub(crate) fn attributes(octets: &[u8]) -> Result<Vec<DefaultNla>, DecodeError> {
    NlasIterator::new(octets).map(|attribute| DefaultNla::parse(&attribute?)).collect()
}

/// The value of an attribute among others.
pub(crate) fn value(attributes: &[DefaultNla], kind: u16) -> Option<Vec<u8>> {
    let attribute = attributes.iter().find(|attribute| attribute.kind() & NLA_TYPE_MASK == kind)?;
    let mut octets = vec![0; attribute.value_len()];
    attribute.emit_value(&mut octets);
    Some(octets)
}

/// An attribute of 32 bits.
pub(crate) fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_ne_bytes().to_vec())
}

/// An attribute that is a text.
pub(crate) fn text(kind: u16, value: &str) -> DefaultNla {
    let mut octets = value.as_bytes().to_vec();
    octets.push(0);
    DefaultNla::new(kind, octets)
}

/// An attribute that holds others.
pub(crate) fn nested(kind: u16, inner: &[DefaultNla]) -> DefaultNla {
    let mut octets = vec![0; inner.buffer_len()];
    inner.emit(&mut octets);
    DefaultNla::new(kind | NLA_F_NESTED, octets)
}

/// A family of this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    id: u16,
    groups: BTreeMap<String, u32>,
}

impl Family {
    /// The family of that name; `None`: this kernel has none.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub(crate) fn named(name: &str) -> io::Result<Option<Self>> {
        let question =
            GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas: vec![GenlCtrlAttrs::FamilyName(name.to_owned())] };
        let mut found = None;
        let asked = ask(GenlMessage::from_payload(question), 0, |answer| {
            let mut family = Self { id: 0, groups: BTreeMap::new() };
            for attribute in answer.payload.nlas {
                match attribute {
                    GenlCtrlAttrs::FamilyId(id) => family.id = id,
                    GenlCtrlAttrs::McastGroups(groups) => {
                        family.groups.extend(groups.iter().filter_map(group))
                    }
                    _ => {}
                }
            }
            found = Some(family);
        });
        match asked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            asked => asked.map(|()| found),
        }
    }

    /// Number of a group that hears events.
    pub(crate) fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    /// Asks; every answer.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn get(&self, number: u8, attributes: Vec<DefaultNla>) -> io::Result<Vec<Command>> {
        self.exchange(number, attributes, 0)
    }

    /// Asks for everything there is of a kind.
    ///
    /// # Errors
    /// As [`Family::get`].
    pub(crate) fn dump(&self, number: u8, attributes: Vec<DefaultNla>) -> io::Result<Vec<Command>> {
        self.exchange(number, attributes, NLM_F_DUMP)
    }

    /// Changes something.
    ///
    /// # Errors
    /// As [`Family::get`].
    pub(crate) fn set(&self, number: u8, attributes: Vec<DefaultNla>) -> io::Result<()> {
        self.exchange(number, attributes, NLM_F_ACK).map(drop)
    }

    fn exchange(&self, number: u8, attributes: Vec<DefaultNla>, flags: u16) -> io::Result<Vec<Command>> {
        let mut question = GenlMessage::from_payload(Command { number, attributes });
        question.set_resolved_family_id(self.id);
        let mut answers = Vec::new();
        ask(question, flags, |answer: GenlMessage<Command>| answers.push(answer.payload))?;
        Ok(answers)
    }
}

fn group(attributes: &Vec<McastGrpAttrs>) -> Option<(String, u32)> {
    let (mut name, mut id) = (None, None);
    for attribute in attributes {
        match attribute {
            McastGrpAttrs::Name(text) => name = Some(text.clone()),
            McastGrpAttrs::Id(number) => id = Some(*number),
        }
    }
    name.zip(id)
}

/// Events in a datagram.
pub(crate) fn events(octets: &[u8]) -> impl Iterator<Item = Command> {
    messages::<GenlMessage<Command>>(octets).flatten().filter_map(|message| match message.payload {
        NetlinkPayload::InnerMessage(message) => Some(message.payload),
        _ => None,
    })
}

/// Sends a question and takes its answers until the kernel says that there are no more.
fn ask<F>(question: GenlMessage<F>, flags: u16, mut each: impl FnMut(GenlMessage<F>)) -> io::Result<()>
where
    F: GenlFamily + Emitable + ParseableParametrized<[u8], GenlHeader> + fmt::Debug,
{
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(question));
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    socket.send(&octets, 0)?;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        for message in messages::<GenlMessage<F>>(&answer).flatten() {
            match message.payload {
                NetlinkPayload::InnerMessage(answer) => each(answer),
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => {
                    return if error.code.is_some() { Err(error.to_io()) } else { Ok(()) };
                }
                _ => {}
            }
        }
        // One answer to a question that is neither a dump nor acknowledged.
        if flags == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back() {
        let inner = [number(1, 7), text(2, "eth0")];
        let command = Command { number: 3, attributes: vec![number(9, 5), nested(4, &inner)] };
        assert_eq!((command.u32(9), command.u32(8)), (Some(5), None));
        let held = attributes(&command.value(4).unwrap()).unwrap();
        assert_eq!(value(&held, 2).unwrap(), b"eth0\0");
        assert_eq!(value(&held, 1).unwrap(), 7_u32.to_ne_bytes());
        assert!(attributes(&[9, 0, 1, 0, 5]).is_err(), "longer than what is there");
    }

    #[test]
    fn a_family_that_nobody_has_is_none() {
        assert_eq!(Family::named("millrace_none").unwrap(), None);
        let control = Family::named("nlctrl").unwrap().unwrap();
        assert_eq!(control.id, 16);
        assert!(control.group("notify").is_some());
    }
}
