//! Datagrams of sFlow agents as tests send them. Part of the tests that include it.
#![allow(unreachable_pub, dead_code, reason = "each test that includes this file uses a part of it")]

use wire::emit::sflow::{Datagram, Sample, words};
use wire::sflow::sample::Source;
use wire::sflow::{Address, Format};

/// The port that the samples are of.
pub const SOURCE: Source = Source { kind: 0, index: 3 };

/// The first octets of an Ethernet frame with IPv4 and UDP.
pub fn header(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut octets =
        vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 5, 0xdc, 0, 1, 0, 0, 64, 17, 0, 0];
    octets.extend(source);
    octets.extend(destination);
    octets.extend([0x13, 0x88, 0x00, 0x35, 0x05, 0xc8, 0, 0]);
    octets
}

/// A flow sample with a raw header and a next hop.
pub fn flow(number: u32, source: [u8; 4], destination: [u8; 4], next_hop: u32) -> Sample {
    let mut sample = Sample::flow(number, SOURCE, 512, number * 512, 0, (3, 4));
    sample.raw_header(1, 1_518, 4, &header(source, destination));
    let mut router = Vec::new();
    words(&mut router, &[1, next_hop, 24, 16]);
    sample.record(Format::standard(1002), &router);
    sample
}

/// Generic counters of the port.
pub fn counters(number: u32) -> Sample {
    let mut sample = Sample::counters(number, SOURCE);
    let mut body = Vec::new();
    words(&mut body, &[3; 22]);
    sample.record(Format::standard(1), &body);
    sample
}

/// A packet that was dropped, its header beside.
pub fn discarded(number: u32, source: [u8; 4], destination: [u8; 4]) -> Sample {
    let mut sample = Sample::discarded(number, SOURCE, 1, (3, 0), 256);
    sample.raw_header(1, 64, 4, &header(source, destination));
    sample
}

/// A datagram of agent 192.0.2.1.
pub fn datagram(number: u32, samples: Vec<Sample>) -> Vec<u8> {
    of_agent(Address::Ipv4([192, 0, 2, 1]), number, samples)
}

/// A datagram of any agent.
pub fn of_agent(agent: Address, number: u32, samples: Vec<Sample>) -> Vec<u8> {
    let mut datagram = Datagram::new(agent, 0, number, 60_000 + number);
    for sample in samples {
        datagram.sample(sample);
    }
    datagram.finish()
}
