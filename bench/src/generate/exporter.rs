//! One exporter and observation domain: messages one after the other, numbered by the protocol's own rule.
//!
//! A message may be sent many times, once a round of the cycle it belongs to. What must grow from round to round
//! are words at known places: the sequence number, and in sFlow the numbers of samples and the size of the pool.

use std::net::IpAddr;

use wire::emit::netflow::HeaderV5;
use wire::emit::{ipfix, netflow, sflow};
use wire::ipfix::template::Field;
use wire::netflow::v5;
use wire::sflow::Address;
use wire::sflow::sample::Source;

use super::population::{Class, Protocol};
use super::prefix::Prefixes;
use super::record::{Flow, SAMPLED_OCTETS, fields};
use crate::random::Random;

/// First template id that is free to use (RFC 7011 section 3.4.1).
const FIRST_TEMPLATE: u16 = 256;
/// Uptime in every header, milliseconds.
const UPTIME_MS: u32 = 3_600_000;
/// One packet of how many sFlow agents sample.
const SAMPLING_RATE: u32 = 512;
/// The one source of an sFlow agent's samples: an interface.
const SOURCE: Source = Source { kind: 0, index: 1 };
/// Most samples of an sFlow datagram: each needs two words that grow, beside the datagram's own.
const MAX_SAMPLES: usize = 7;
/// Octets of a sample with its one raw header.
const SAMPLE_OCTETS: usize = 8 + 32 + 8 + 16 + SAMPLED_OCTETS;

/// What a word of a message counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    /// The sequence number: records before (IPFIX, v5) or messages before (v9, sFlow).
    Sequence,
    /// Samples of an sFlow source.
    Samples,
    /// Packets that could have been sampled.
    Pool,
}

/// A word of 32 bits that grows from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) at: usize,
    pub(super) counter: Counter,
}

/// One message as it is in the first round.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) octets: Vec<u8>,
    pub(super) words: Vec<Word>,
    pub(super) templates: u32,
    pub(super) records: u32,
    /// By how much it moves the sequence number.
    pub(super) units: u32,
}

/// One exporter and observation domain.
#[derive(Debug)]
pub(super) struct Stream {
    protocol: Protocol,
    address: IpAddr,
    domain: u32,
    unix_seconds: u32,
    templates: Vec<Vec<Field>>,
    octets: usize,
    records: usize,
    random: Random,
    made: u32,
    sequence: u32,
    samples: u32,
}

impl Stream {
    pub(super) fn new(class: &Class, address: IpAddr, domain: u32, unix_seconds: u32, seed: u64) -> Self {
        let templates = match class.protocol {
            Protocol::Ipfix | Protocol::Netflow9 => {
                (0..class.templates).map(|nth| fields(class.ipv6, nth)).collect()
            }
            Protocol::Netflow5 | Protocol::Sflow => Vec::new(),
        };
        Self {
            protocol: class.protocol,
            address,
            domain,
            unix_seconds,
            templates,
            octets: class.octets.into(),
            records: class.records.map_or(usize::MAX, usize::from),
            random: Random::new(seed),
            made: 0,
            sequence: 0,
            samples: 0,
        }
    }

    /// What the sequence number will be, what it counts having been made.
    pub(super) const fn counted(&self, counter: Counter) -> u32 {
        match counter {
            Counter::Sequence => self.sequence,
            Counter::Samples => self.samples,
            Counter::Pool => self.samples.wrapping_mul(SAMPLING_RATE),
        }
    }

    /// All templates, in as many messages as they need; none where the protocol has none.
    pub(super) fn templates(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let all = std::mem::take(&mut self.templates);
        let mut left = (FIRST_TEMPLATE..).zip(&all).peekable();
        while left.peek().is_some() {
            let mut room = self.octets.saturating_sub(self.header() + 4);
            let mut some = Vec::new();
            while let Some((id, fields)) =
                left.next_if(|(_, fields)| some.is_empty() || octets(fields) <= room)
            {
                room = room.saturating_sub(octets(fields));
                some.push((id, fields));
            }
            let templates = u32::try_from(some.len()).unwrap_or_default();
            let message = match self.protocol {
                Protocol::Ipfix => {
                    let mut message = ipfix::Message::new(self.unix_seconds, self.sequence, self.domain);
                    for (id, fields) in some {
                        message.template(id, fields);
                    }
                    self.numbered(message.finish(), templates, 0, 0)
                }
                Protocol::Netflow9 | Protocol::Netflow5 | Protocol::Sflow => {
                    let mut packet =
                        netflow::Packet::new(UPTIME_MS, self.unix_seconds, self.sequence, self.domain);
                    for (id, fields) in some {
                        packet.template(id, fields);
                    }
                    self.numbered(packet.finish(), templates, 0, 1)
                }
            };
            messages.push(message);
        }
        self.templates = all;
        messages
    }

    /// A message of as many records as fit.
    pub(super) fn data(&mut self, prefixes: &Prefixes) -> Message {
        self.made += 1;
        match self.protocol {
            Protocol::Ipfix | Protocol::Netflow9 => self.data_set(prefixes),
            Protocol::Netflow5 => {
                let records = self.fitting(v5::RECORD_LENGTH).min(30);
                let flows: Vec<_> = (0..records).map(|_| self.flow(prefixes).v5(UPTIME_MS)).collect();
                let header = HeaderV5 {
                    sys_uptime_ms: UPTIME_MS,
                    unix_seconds: self.unix_seconds,
                    sequence: self.sequence,
                    engine_id: u8::try_from(self.domain).unwrap_or_default(),
                    ..HeaderV5::default()
                };
                let records = u32::try_from(records).unwrap_or_default();
                self.numbered(netflow::packet_v5(&header, &flows), 0, records, records)
            }
            Protocol::Sflow => self.samples(prefixes),
        }
    }

    fn data_set(&mut self, prefixes: &Prefixes) -> Message {
        // Each of the templates in turn.
        let nth = (self.made - 1) as usize % self.templates.len();
        let fields = std::mem::take(&mut self.templates[nth]);
        let id = FIRST_TEMPLATE + u16::try_from(nth).unwrap_or_default();
        let count = self.fitting(fields.iter().map(|field| usize::from(field.length)).sum());
        let mut body = Vec::new();
        for _ in 0..count {
            self.flow(prefixes).put(&mut body, &fields);
        }
        self.templates[nth] = fields;
        let (records, short) =
            (u32::try_from(count).unwrap_or_default(), u16::try_from(count).unwrap_or_default());
        if self.protocol == Protocol::Ipfix {
            let mut message = ipfix::Message::new(self.unix_seconds, self.sequence, self.domain);
            message.raw(id, &body, records);
            self.numbered(message.finish(), 0, records, records)
        } else {
            let mut packet = netflow::Packet::new(UPTIME_MS, self.unix_seconds, self.sequence, self.domain);
            packet.raw(id, &body, short);
            self.numbered(packet.finish(), 0, records, 1)
        }
    }

    fn samples(&mut self, prefixes: &Prefixes) -> Message {
        let agent = match self.address {
            IpAddr::V4(address) => Address::Ipv4(address.octets()),
            IpAddr::V6(address) => Address::Ipv6(address.octets()),
        };
        let count = self.fitting(SAMPLE_OCTETS).min(MAX_SAMPLES);
        let mut datagram = sflow::Datagram::new(agent, self.domain, self.sequence, UPTIME_MS);
        let mut growing = Vec::new();
        for nth in 0..count {
            let flow = self.flow(prefixes);
            let (samples, pool) = (self.counted(Counter::Samples), self.counted(Counter::Pool));
            let mut sample = sflow::Sample::flow(samples, SOURCE, SAMPLING_RATE, pool, 0, flow.interfaces());
            let (length, octets) = flow.sampled();
            sample.raw_header(1, length, 4, &octets);
            datagram.sample(sample);
            self.samples = self.samples.wrapping_add(1);
            let at = self.header() + nth * SAMPLE_OCTETS;
            growing.push(Word { at: at + 8, counter: Counter::Samples });
            growing.push(Word { at: at + 20, counter: Counter::Pool });
        }
        let mut message = self.numbered(datagram.finish(), 0, u32::try_from(count).unwrap_or_default(), 1);
        message.words.extend(growing);
        message
    }

    fn flow(&mut self, prefixes: &Prefixes) -> Flow {
        Flow::new(prefixes, self.unix_seconds, &mut self.random)
    }

    /// How many records of `length` octets fit; at least one.
    fn fitting(&self, length: usize) -> usize {
        let set = if self.protocol.has_templates() { 4 } else { 0 };
        // A flowset of NetFlow v9 is padded to 32 bits.
        let room = self.octets.saturating_sub(self.header() + set) & !3;
        (room / length).min(self.records).max(1)
    }

    /// Octets before the first set, record or sample.
    const fn header(&self) -> usize {
        match self.protocol {
            Protocol::Ipfix => 16,
            Protocol::Netflow9 => 20,
            Protocol::Netflow5 => v5::HEADER_LENGTH,
            Protocol::Sflow if self.address.is_ipv4() => 28,
            Protocol::Sflow => 40,
        }
    }

    fn numbered(&mut self, octets: Vec<u8>, templates: u32, records: u32, units: u32) -> Message {
        self.sequence = self.sequence.wrapping_add(units);
        let at = match self.protocol {
            Protocol::Ipfix => 8,
            Protocol::Netflow9 => 12,
            Protocol::Netflow5 => 16,
            // Before uptime and the number of samples.
            Protocol::Sflow => self.header() - 12,
        };
        Message { octets, words: vec![Word { at, counter: Counter::Sequence }], templates, records, units }
    }
}

/// Octets of a template record.
fn octets(fields: &[Field]) -> usize {
    4 + 4 * fields.len()
}
