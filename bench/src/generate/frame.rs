//! The frames of a script, made beforehand: what live frames and transmit rings send.
//!
//! In: a script, where each class sends, the device that sends, the MAC address of the next hop. Out: frames with the
//! words that grow and the sum of all the rest, so that a round's frame costs its words and its checksum.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use dataplane_common::map::generate::{FRAME_CAPACITY, MAX_WORDS, Planned, Word, checksum};
use lab::frame::Frame;

use super::script::{Item, Script};

/// A MAC address.
pub type Mac = [u8; 6];

/// Octets before the payload, by the family of the addresses.
const HEADERS: [usize; 2] = [14 + 20 + 8, 14 + 40 + 8];

/// All frames of `script`, from the MAC address of `device` to `next_hop`.
///
/// # Errors
/// No such device, or a frame that is too long.
pub(super) fn plan(
    script: &Script,
    to: &[SocketAddr],
    device: &str,
    next_hop: Mac,
) -> anyhow::Result<Vec<Planned>> {
    let own = mac_of(device)?;
    script.items.iter().map(|item| planned(item, to[item.class], own, next_hop)).collect()
}

/// Writes the frame of a round over `frame`, which has room for it. Returns its length.
pub(super) fn write(planned: &Planned, round: u32, frame: &mut [u8]) -> usize {
    let length = planned.length as usize;
    let octets = &mut frame[..length];
    octets.copy_from_slice(&planned.octets[..length]);
    let mut sum = planned.sum;
    for word in &planned.word[..planned.words as usize] {
        let value = word.base.wrapping_add(word.step.wrapping_mul(round));
        octets[word.at as usize..][..4].copy_from_slice(&value.to_be_bytes());
        sum += (value >> 16) + (value & 0xffff);
    }
    octets[planned.checksum_at as usize..][..2].copy_from_slice(&checksum(sum).to_be_bytes());
    length
}

/// The frame of an item, its words and what the rest of it sums up to.
fn planned(item: &Item, to: SocketAddr, own: Mac, next_hop: Mac) -> anyhow::Result<Planned> {
    let octets = Frame::udp(item.source, to, &item.octets).macs(own, next_hop).octets();
    ensure!(
        item.words.len() <= MAX_WORDS,
        "a frame with {} words is more than a live frame holds",
        item.words.len()
    );
    let mut planned = as_it_is(&octets, to.is_ipv6())?;
    let headers = HEADERS[usize::from(to.is_ipv6())];
    planned.words = u32::try_from(item.words.len())?;
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

/// A UDP frame without words.
///
/// # Errors
/// It is too long.
pub(super) fn as_it_is(octets: &[u8], is_ipv6: bool) -> anyhow::Result<Planned> {
    ensure!(
        octets.len() <= FRAME_CAPACITY,
        "a frame of {} octets is more than a live frame holds",
        octets.len()
    );
    let checksum_at = HEADERS[usize::from(is_ipv6)] - 2;
    let mut planned = Planned {
        length: u32::try_from(octets.len())?,
        checksum_at: u32::try_from(checksum_at)?,
        sum: u32::from(!u16::from_be_bytes([octets[checksum_at], octets[checksum_at + 1]])),
        words: 0,
        word: [Word::default(); MAX_WORDS],
        octets: [0; FRAME_CAPACITY],
    };
    planned.octets[..octets.len()].copy_from_slice(octets);
    Ok(planned)
}

/// MAC address of a device of this thread's network namespace.
pub(crate) fn mac_of(device: &str) -> anyhow::Result<Mac> {
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

/// Runs `ip` in this thread's network namespace.
pub(super) fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    let program = ["/usr/sbin/ip", "/sbin/ip"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
    let output = Command::new(program.unwrap_or("ip"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("frames need iproute2 (ip)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::population::{Class, Population, Protocol};
    use super::*;

    /// What is written, held against frames built from the payload of that round.
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
                let mut octets = vec![0xff; FRAME_CAPACITY];
                let length = write(&planned, round, &mut octets);
                octets.truncate(length);
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
