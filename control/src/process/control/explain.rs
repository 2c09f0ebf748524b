//! `show fib --to A --from B --in DEV`: what the program would do with a packet, and why.
//!
//! In: addresses and a device. Out: the verdict of the real program over the real tables, run on a made frame with
//! counters of its own, so that nothing that is counted changes; the port; the octets that it would rewrite.

use std::net::IpAddr;

use dataplane_common::PacketEnd;
use dataplane_common::map::forward::{Arrival, Ingress, VlanTag};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Control;
use super::fib::Names;
use super::plane::load_settings;
use crate::ebpf::Programs;

/// Source MAC address of the made frame.
const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Ports of the made datagram: those of a traceroute.
const PORTS: [u16; 2] = [33_434, 33_434];
/// Octets of its payload.
const PAYLOAD: usize = 18;

/// A packet to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packet {
    /// Its destination.
    pub to: IpAddr,
    /// Its source.
    pub from: IpAddr,
    /// The device on which the stack would receive it: a port, a VLAN, a bond, a bridge.
    pub device: String,
}

impl Control {
    /// One item, or one that says why there is none.
    pub(super) fn explain(&self, packet: &Packet) -> Vec<Value> {
        vec![self.rehearse(packet).unwrap_or_else(|why| json!({"error": why}))]
    }

    fn rehearse(&self, packet: &Packet) -> Result<Value, String> {
        if packet.to.is_ipv4() != packet.from.is_ipv4() {
            return Err("--to and --from are of different families".into());
        }
        let kernel = self.follower.state();
        let index = kernel.index(&packet.device).ok_or(format!("no device {}", packet.device))?;
        let held = &self.plane.held.forward;
        let (arrival, ingress) = held
            .ingress
            .iter()
            .find(|(_, ingress)| ingress.device == index)
            .or_else(|| held.ingress.iter().find(|(arrival, _)| arrival.port == index))
            .ok_or(format!("nothing arrives on device {} (show fib)", packet.device))?;
        let settings = load_settings(&self.config, self.key);
        let mut programs = Programs::rehearsal(&settings).map_err(|error| error.to_string())?;
        let frame = frame(packet, arrival, ingress);
        let run = programs.run_frame_on(arrival.port, &frame).map_err(|error| error.to_string())?;
        let counters = &programs.tables.counters;
        let ends = counters.frame_ends().map_err(|error| error.to_string())?;
        let end = PacketEnd::ALL.iter().find(|end| ends.get(end.index()).is_some_and(|count| *count > 0));
        let ports = programs.tables.forwarding.port_ends.list().unwrap_or_default();
        let port = ports.iter().find(|(_, counted)| counted.sent > 0).map(|(index, _)| *index);
        let names = Names(kernel);
        let silent = held.egress.values().flat_map(|egress| egress.legs.get(..egress.leg_count as usize));
        let silent = silent.flatten().filter(|port| !held.members.contains_key(port)).copied();
        let silent: std::collections::BTreeSet<u32> = silent.collect();
        let why = (end == Some(&PacketEnd::NotMember)).then(|| {
            let names: Vec<String> = silent.into_iter().map(|port| names.of(port)).collect();
            format!("these ports send nothing that XDP redirects to them: {}", names.join(", "))
        });
        let becomes = match (run.verdict, port) {
            (1, _) => "dropped".to_owned(),
            (2, _) => "to the kernel's stack".to_owned(),
            (4, Some(port)) => format!("out through {}", names.of(port)),
            (4, None) => "to a ring, or out through a port (forward.port_counters is off)".to_owned(),
            (other, _) => format!("action {other}"),
        };
        Ok(json!({
            "to": packet.to.to_string(),
            "from": packet.from.to_string(),
            "arrives": names.arrival(arrival),
            "ingress": names.ingress(ingress),
            "verdict": match run.verdict { 1 => "drop", 2 => "pass", 4 => "redirect", _ => "other" },
            "end": end.map(|end| end.name()),
            "becomes": becomes,
            "why": why,
            "egress": port.map(|port| names.of(port)),
            "rewritten": rewritten(&frame, &run.frame),
            "frameIn": hex(&frame),
            "frameOut": hex(&run.frame),
        }))
    }
}

/// A datagram that arrives so.
fn frame(packet: &Packet, arrival: &Arrival, ingress: &Ingress) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128);
    frame.extend(ingress.mac);
    frame.extend(SENDER);
    for VlanTag { ether_type, id } in [arrival.outer, arrival.inner] {
        if ether_type != 0 {
            frame.extend(ether_type.to_be_bytes());
            frame.extend(id.to_be_bytes());
        }
    }
    let length = u16::try_from(8 + PAYLOAD).unwrap_or(0);
    let mut udp: Vec<u8> = Vec::new();
    udp.extend(PORTS.iter().flat_map(|port| port.to_be_bytes()));
    udp.extend(length.to_be_bytes());
    udp.extend([0; 2 + PAYLOAD]);
    match (packet.from, packet.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([0x08, 0x00]);
            let mut header = vec![0x45, 0];
            header.extend((20 + length).to_be_bytes());
            header.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let checksum = checksum(&header);
            header.splice(10..12, checksum.to_be_bytes());
            frame.extend(header);
        }
        (from, to) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([17, 64]);
            let sixteen = |address| match address {
                IpAddr::V6(address) => address.octets(),
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            };
            let mut pseudo = [sixteen(from), sixteen(to)].concat();
            frame.extend(&pseudo);
            pseudo.extend([0, 0]);
            pseudo.extend(length.to_be_bytes());
            pseudo.extend([0, 0, 0, 17]);
            pseudo.extend(&udp);
            let checksum = checksum(&pseudo);
            udp.splice(6..8, checksum.to_be_bytes());
        }
    }
    frame.extend(udp);
    frame
}

/// The Internet checksum (RFC 1071) of an even number of octets.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        _ => 0,
    });
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0)
}

/// Runs of octets that differ, as `offset: before > after`; of frames whose length changed, what their ends share is
/// left out.
fn rewritten(before: &[u8], after: &[u8]) -> Vec<String> {
    if before.len() == after.len() {
        let mut runs: Vec<(usize, Vec<u8>, Vec<u8>)> = Vec::new();
        for (offset, (old, new)) in before.iter().zip(after).enumerate().filter(|(_, (old, new))| old != new)
        {
            match runs.last_mut() {
                Some((start, olds, news)) if *start + olds.len() == offset => {
                    olds.push(*old);
                    news.push(*new);
                }
                _ => runs.push((offset, vec![*old], vec![*new])),
            }
        }
        let text = |(offset, old, new): (usize, Vec<u8>, Vec<u8>)| {
            format!("{offset}: {} > {}", hex(&old), hex(&new))
        };
        return runs.into_iter().map(text).collect();
    }
    let same = before.iter().rev().zip(after.iter().rev()).take_while(|(old, new)| old == new).count();
    let head = |frame: &[u8]| hex(&frame[..frame.len() - same]);
    vec![format!("0: {} > {}", head(before), head(after))]
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(from: &str, to: &str, tags: [VlanTag; 2]) -> Vec<u8> {
        let packet = Packet { to: to.parse().unwrap(), from: from.parse().unwrap(), device: String::new() };
        let arrival = Arrival { port: 1, outer: tags[0], inner: tags[1] };
        frame(&packet, &arrival, &Ingress { mac: [2, 0, 0, 0, 0, 9], ..Ingress::default() })
    }

    #[test]
    fn made_frames_are_what_they_say() {
        let tag = VlanTag { ether_type: 0x8100, id: 10 };
        for (from, to, tags) in [
            ("192.0.2.1", "198.51.100.1", [VlanTag::default(); 2]),
            ("192.0.2.1", "198.51.100.1", [tag, VlanTag::default()]),
            ("2001:db8::1", "2001:db8:1::1", [VlanTag { ether_type: 0x88a8, id: 7 }, tag]),
        ] {
            let frame = made(from, to, tags);
            let headers = dataplane_common::walk(&dataplane_common::Slice(&frame)).unwrap();
            assert_eq!(dataplane_common::address_of(headers.source), from.parse::<IpAddr>().unwrap());
            assert_eq!((headers.protocol, headers.destination_port), (17, 33_434));
            let parsed = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
            if let Some(etherparse::NetSlice::Ipv4(ip)) = &parsed.net {
                assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
            }
            if let (Some(etherparse::NetSlice::Ipv6(ip)), Some(etherparse::TransportSlice::Udp(udp))) =
                (&parsed.net, &parsed.transport)
            {
                let header = ip.header().to_header();
                let wanted = udp.to_header().calc_checksum_ipv6(&header, udp.payload()).unwrap();
                assert_eq!(udp.checksum(), wanted);
            }
        }
    }

    #[test]
    fn runs_of_changed_octets_are_told() {
        assert_eq!(rewritten(&[1, 2, 3, 4, 5], &[1, 9, 9, 4, 7]), ["1: 0203 > 0909", "4: 05 > 07"]);
        assert_eq!(rewritten(&[1, 2, 3], &[1, 8, 8, 2, 3]), ["0: 01 > 010808"]);
        assert!(rewritten(&[1], &[1]).is_empty());
    }
}
