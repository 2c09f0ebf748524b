//! A script as live frames: made inside the kernel and redirected to a device, without a socket.
//!
//! In: a script, the device that sends, the MAC address of the next hop. Out: frames, counted by the program that
//! makes them. The device's own counters, and the receiver's, are other parties' counts of the same frames.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use control::ebpf::generate::LiveFrames;
use dataplane_common::map::generate::{FRAME_CAPACITY, MAX_WORDS, Planned, Word};
use lab::frame::Frame;

use super::report::Device;
use super::script::{Item, Script};

/// A MAC address.
pub type Mac = [u8; 6];

/// Octets before the payload, by the family of the addresses.
const HEADERS: [usize; 2] = [14 + 20 + 8, 14 + 40 + 8];
/// How long the device may take to count what it was given.
const SETTLE: Duration = Duration::from_secs(1);

/// Sends the frames of one script in order, from the core that the caller runs on.
#[derive(Debug)]
pub struct Live {
    frames: LiveFrames,
    device: String,
    before: Device,
    _idle: Idle,
}

impl Live {
    /// Loads all frames of `script`. `to` is where each class sends; `next_hop` is the MAC address that all frames
    /// carry.
    ///
    /// # Errors
    /// No such device, a frame that is too long, or what the kernel refused (root is needed).
    pub fn open(script: &Script, to: &[SocketAddr], device: &str, next_hop: Mac) -> anyhow::Result<Self> {
        let own = mac_of(device)?;
        let frames: Vec<Planned> = script
            .items
            .iter()
            .map(|item| planned(item, to[item.class], own, next_hop))
            .collect::<anyhow::Result<_>>()?;
        let idle = Idle::new()?;
        let cycle = u32::try_from(script.cycle)?;
        let frames = LiveFrames::load(device, &idle.0, &frames, cycle)?;
        Ok(Self { frames, device: device.to_owned(), before: Device::now(device)?, _idle: idle })
    }

    /// Sends the next `count` frames; fewer if a signal comes.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn send(&mut self, count: u64) -> anyhow::Result<()> {
        Ok(self.frames.send(u32::try_from(count)?)?)
    }

    /// Frames that were handed to the device, and those that could not be made.
    ///
    /// # Errors
    /// The program's counters cannot be read.
    pub fn counted(&self) -> anyhow::Result<(u64, u64)> {
        let cursor = self.frames.cursor()?;
        Ok((cursor.sent, cursor.failed))
    }

    /// What the kernel has counted on the device since [`Live::open`], once it has counted all that it was given.
    ///
    /// # Errors
    /// The device is gone.
    pub fn device(&self) -> anyhow::Result<Device> {
        let (sent, _) = self.counted()?;
        let until = Instant::now() + SETTLE;
        loop {
            let device = Device::now(&self.device)?.since(self.before);
            if device.packets + device.dropped >= sent || Instant::now() > until {
                return Ok(device);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The frame of an item, as the program wants it: its words and what the rest of it sums up to.
fn planned(item: &Item, to: SocketAddr, own: Mac, next_hop: Mac) -> anyhow::Result<Planned> {
    let octets = Frame::udp(item.source, to, &item.octets).macs(own, next_hop).octets();
    ensure!(
        octets.len() <= FRAME_CAPACITY && item.words.len() <= MAX_WORDS,
        "a frame of {} octets with {} words is more than a live frame holds",
        octets.len(),
        item.words.len()
    );
    let headers = HEADERS[usize::from(to.is_ipv6())];
    let checksum_at = headers - 2;
    let mut planned = Planned {
        length: u32::try_from(octets.len())?,
        checksum_at: u32::try_from(checksum_at)?,
        sum: u32::from(!u16::from_be_bytes([octets[checksum_at], octets[checksum_at + 1]])),
        words: u32::try_from(item.words.len())?,
        word: [Word::default(); MAX_WORDS],
        octets: [0; FRAME_CAPACITY],
    };
    planned.octets[..octets.len()].copy_from_slice(&octets);
    for (place, word) in planned.word.iter_mut().zip(&item.words) {
        *place = Word { at: u32::try_from(headers + word.at)?, base: word.base, step: word.step };
        // Taken out of the sum: the complement of each half is added.
        planned.sum += (!(word.base >> 16) & 0xffff) + (!word.base & 0xffff);
    }
    while planned.sum > 0xffff {
        planned.sum = (planned.sum & 0xffff) + (planned.sum >> 16);
    }
    Ok(planned)
}

/// MAC address of a device of this thread's network namespace.
fn mac_of(device: &str) -> anyhow::Result<Mac> {
    let said = ip(&["-br", "link", "show", "dev", device])?;
    let text = said.split_whitespace().nth(2).unwrap_or_default();
    parse_mac(text).with_context(|| format!("device {device} has no MAC address"))
}

/// `02:00:00:00:00:01` -> octets.
///
/// # Errors
/// Anything else.
pub fn parse_mac(text: &str) -> anyhow::Result<Mac> {
    let octets: Option<Vec<u8>> =
        text.split(':').map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2)).collect();
    let octets = octets.and_then(|octets| Mac::try_from(octets).ok());
    octets.with_context(|| format!("{text} is not a MAC address (02:00:00:00:00:01)"))
}

/// A pair of virtual Ethernet devices that stay down; gone when dropped. The program is attached to one of them.
#[derive(Debug)]
struct Idle(String);

impl Idle {
    fn new() -> anyhow::Result<Self> {
        let name = format!("mrgen{}", std::process::id());
        ip(&["link", "add", &name, "type", "veth", "peer", "name", &format!("{name}p")])?;
        Ok(Self(name))
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // It goes with its peer. What fails here is that it is gone already.
        let _ = ip(&["link", "del", &self.0]);
    }
}

/// Runs `ip` in this thread's network namespace.
fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    let program = ["/usr/sbin/ip", "/sbin/ip"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
    let output = Command::new(program.unwrap_or("ip"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("live frames need iproute2 (ip)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use dataplane_common::map::generate::checksum;

    use super::super::population::{Class, Population, Protocol};
    use super::*;

    /// What the program will write, held against frames built from the payload of that round.
    #[test]
    fn a_planned_frame_of_any_round_is_the_frame_of_that_payload() {
        let all = [Protocol::Ipfix, Protocol::Netflow9, Protocol::Netflow5, Protocol::Sflow];
        let mut class: Vec<Class> =
            all.into_iter().map(|protocol| Class { protocol, ..Class::default() }).collect();
        class.push(Class { ipv6: true, ..Class::default() });
        class.push(Class { ipv6: true, protocol: Protocol::Sflow, ..Class::default() });
        let population = Population { class, datagrams: 60, ..Population::default() };
        let script = Script::new(&population, 1_700_000_000);
        let (own, next_hop) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        for round in [0, 1, 70_000] {
            for item in &script.items {
                let to = SocketAddr::new(
                    if item.source.is_ipv6() { "fd73::1" } else { "10.73.0.1" }.parse().unwrap(),
                    4739,
                );
                let planned = planned(item, to, own, next_hop).unwrap();
                let (mut octets, mut sum) = (planned.octets[..planned.length as usize].to_vec(), planned.sum);
                for word in &planned.word[..planned.words as usize] {
                    let value = word.base.wrapping_add(word.step.wrapping_mul(round));
                    octets[word.at as usize..][..4].copy_from_slice(&value.to_be_bytes());
                    sum += (value >> 16) + (value & 0xffff);
                }
                octets[planned.checksum_at as usize..][..2].copy_from_slice(&checksum(sum).to_be_bytes());
                let mut payload = item.octets.clone();
                Item::turn(&item.words, &mut payload, round);
                assert_eq!(octets, Frame::udp(item.source, to, &payload).macs(own, next_hop).octets());
            }
        }
    }

    #[test]
    fn mac_addresses_are_six_pairs() {
        assert_eq!(parse_mac("02:00:00:00:00:ff").unwrap(), [2, 0, 0, 0, 0, 255]);
        for text in ["", "02:00:00:00:00", "02:00:00:00:00:0", "02:00:00:00:00:gg", "02:00:00:00:00:01:02"] {
            assert!(parse_mac(text).is_err(), "{text}");
        }
    }
}
