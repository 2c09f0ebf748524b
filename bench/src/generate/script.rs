//! What is sent, in order: a prelude of templates, then a cycle of datagrams that is sent again and again.
//!
//! In: a population. Out: datagrams with the words that grow from round to round, and for any number of datagrams
//! sent the exact counts of what was in them.

use std::net::SocketAddr;
use std::ops::AddAssign;

use serde::Serialize;

use super::exporter::{Counter, Message, Stream};
use super::population::{Class, Population};
use crate::random::Random;

/// Exact counts of datagrams that were sent, or withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// UDP datagrams; each is one message.
    pub datagrams: u64,
    /// Octets of their payload.
    pub octets: u64,
    /// Template records.
    pub templates: u64,
    /// Flow records or samples.
    pub records: u64,
    /// Datagrams that were numbered and withheld, and would have come before the last one sent of their stream.
    pub withheld: u64,
    /// Records in them.
    pub withheld_records: u64,
    /// The gap that they leave in sequence numbers: records (IPFIX, v5) or messages (v9, sFlow).
    pub sequence_gap: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.octets += other.octets;
        self.templates += other.templates;
        self.records += other.records;
        self.withheld += other.withheld;
        self.withheld_records += other.withheld_records;
        self.sequence_gap += other.sequence_gap;
    }
}

impl Counts {
    fn times(self, rounds: u64) -> Self {
        Self {
            datagrams: self.datagrams * rounds,
            octets: self.octets * rounds,
            templates: self.templates * rounds,
            records: self.records * rounds,
            withheld: self.withheld * rounds,
            withheld_records: self.withheld_records * rounds,
            sequence_gap: self.sequence_gap * rounds,
        }
    }
}

/// A word of a datagram: `base + step x round`, modulo 2^32, in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Offset in the payload.
    pub at: usize,
    /// Value in the first round.
    pub base: u32,
    /// What a round adds.
    pub step: u32,
}

/// One datagram of the script.
#[derive(Clone, Debug)]
pub struct Item {
    /// Class of the population, by its number.
    pub class: usize,
    /// Address and port it comes from.
    pub source: SocketAddr,
    /// Payload of the first round.
    pub octets: Vec<u8>,
    /// Words that grow.
    pub words: Vec<Word>,
    counts: Counts,
}

impl Item {
    /// Writes the words of a round into a payload of this item.
    pub fn turn(words: &[Word], octets: &mut [u8], round: u32) {
        for word in words {
            let value = word.base.wrapping_add(word.step.wrapping_mul(round));
            if let Some(place) = octets.get_mut(word.at..word.at + 4) {
                place.copy_from_slice(&value.to_be_bytes());
            }
        }
    }
}

/// Everything that is sent.
#[derive(Clone, Debug)]
pub struct Script {
    /// Prelude, then cycle.
    pub items: Vec<Item>,
    /// Where the cycle begins.
    pub cycle: usize,
    classes: usize,
}

impl Script {
    /// The script of a population whose clocks say `unix_seconds`.
    #[must_use]
    pub fn new(population: &Population, unix_seconds: u32) -> Self {
        let prefixes = [false, true].map(|ipv6| population.announced(ipv6));
        let mut streams = streams(population, unix_seconds);
        let mut drafts = Vec::new();
        for (nth, place) in streams.iter_mut().enumerate() {
            for message in place.stream.templates() {
                drafts.push(Draft { stream: nth, message, missing: Counts::default() });
            }
        }
        let cycle = drafts.len();
        let total: u64 = streams.iter().map(|place| u64::from(population.class[place.class].weight)).sum();
        for place in &mut streams {
            let share = u64::from(population.datagrams) * u64::from(population.class[place.class].weight);
            place.left = u32::try_from(share / total).unwrap_or(u32::MAX).max(1);
            place.begins = COUNTERS.map(|counter| place.stream.counted(counter));
        }
        let mut random = Random::new(population.seed ^ 0x6c6f_7373);
        while streams.iter().any(|place| place.left > 0) {
            for (nth, place) in streams.iter_mut().enumerate() {
                let class = &population.class[place.class];
                for _ in 0..population.run.saturating_mul(class.weight).min(place.left) {
                    let data = place.stream.data(&prefixes[usize::from(class.ipv6)]);
                    place.step(nth, data, class, &mut random, &mut drafts);
                }
            }
        }
        let items = drafts.into_iter().map(|draft| draft.item(&streams)).collect();
        Self { items, cycle, classes: population.class.len() }
    }

    /// Item and round of datagram number `nth`, from 0 on.
    #[must_use]
    pub fn at(&self, nth: u64) -> (usize, u32) {
        let (items, cycle) = (self.items.len() as u64, self.cycle as u64);
        if nth < items {
            return (usize::try_from(nth).unwrap_or_default(), 0);
        }
        let length = items - cycle;
        let (round, place) = ((nth - cycle) / length, (nth - cycle) % length);
        // Rounds count modulo 2^32, as the words do.
        (usize::try_from(cycle + place).unwrap_or_default(), (round & 0xffff_ffff) as u32)
    }

    /// What was in the first `sent` datagrams, by class.
    #[must_use]
    pub fn counts(&self, sent: u64) -> Vec<Counts> {
        let sum = |items: &[Item]| {
            let mut sums = vec![Counts::default(); self.classes];
            for item in items {
                sums[item.class] += item.counts;
            }
            sums
        };
        let (prelude, cycle) = self.items.split_at(self.cycle);
        let Some(after) = sent.checked_sub(prelude.len() as u64) else {
            return sum(&prelude[..usize::try_from(sent).unwrap_or_default()]);
        };
        let (rounds, rest) = (after / cycle.len() as u64, after % cycle.len() as u64);
        let mut counts = sum(prelude);
        let whole = sum(cycle);
        let part = sum(&cycle[..usize::try_from(rest).unwrap_or_default()]);
        for ((counts, whole), part) in counts.iter_mut().zip(whole).zip(part) {
            *counts += whole.times(rounds);
            *counts += part;
        }
        counts
    }
}

const COUNTERS: [Counter; 3] = [Counter::Sequence, Counter::Samples, Counter::Pool];

/// A stream and how far its cycle is.
struct Place {
    stream: Stream,
    class: usize,
    source: SocketAddr,
    /// Data datagrams still to be made.
    left: u32,
    /// Data datagrams since its templates.
    since: u32,
    /// Whether a data datagram was sent.
    begun: bool,
    /// What was withheld since the last datagram that is sent.
    missing: Counts,
    /// Counters at the beginning of the cycle.
    begins: [u32; 3],
}

impl Place {
    /// Sends or withholds a data message, and sends the templates again when it is time.
    fn step(
        &mut self,
        nth: usize,
        data: Message,
        class: &Class,
        random: &mut Random,
        drafts: &mut Vec<Draft>,
    ) {
        self.left -= 1;
        self.since += 1;
        // The first and the last are sent: every gap has two ends.
        if self.begun && self.left > 0 && random.below(1_000) < class.loss_per_mille {
            self.missing += Counts {
                withheld: 1,
                withheld_records: data.records.into(),
                sequence_gap: data.units.into(),
                ..Counts::default()
            };
        } else {
            self.begun = true;
            drafts.push(Draft { stream: nth, message: data, missing: std::mem::take(&mut self.missing) });
        }
        if self.since == class.template_every {
            self.since = 0;
            for message in self.stream.templates() {
                drafts.push(Draft { stream: nth, message, missing: std::mem::take(&mut self.missing) });
            }
        }
    }
}

/// Streams of all classes; those of one exporter follow each other.
fn streams(population: &Population, unix_seconds: u32) -> Vec<Place> {
    let mut places = Vec::new();
    let mut exporter = 0;
    for (nth, class) in population.class.iter().enumerate() {
        for _ in 0..class.exporters {
            let address = population.source(exporter, class.ipv6);
            exporter += 1;
            for domain in 0..class.domains {
                let seed = population.seed ^ u64::from(exporter) << 32 ^ u64::from(domain);
                places.push(Place {
                    stream: Stream::new(class, address, domain, unix_seconds, seed),
                    class: nth,
                    source: SocketAddr::new(address, population.source_port),
                    left: 0,
                    since: 0,
                    begun: false,
                    missing: Counts::default(),
                    begins: [0; 3],
                });
            }
        }
    }
    places
}

/// A datagram before it is known what a round adds to its words.
struct Draft {
    stream: usize,
    message: Message,
    missing: Counts,
}

impl Draft {
    fn item(self, streams: &[Place]) -> Item {
        let place = &streams[self.stream];
        let octets = self.message.octets;
        let words = self.message.words.iter().map(|word| {
            let (counter, begin) = COUNTERS
                .into_iter()
                .zip(place.begins)
                .find(|(counter, _)| *counter == word.counter)
                .unwrap_or((word.counter, 0));
            let base = octets.get(word.at..word.at + 4).and_then(|octets| octets.try_into().ok());
            Word {
                at: word.at,
                base: u32::from_be_bytes(base.unwrap_or_default()),
                step: place.stream.counted(counter).wrapping_sub(begin),
            }
        });
        let words = words.collect();
        let counts = Counts {
            datagrams: 1,
            octets: octets.len() as u64,
            templates: self.message.templates.into(),
            records: self.message.records.into(),
            ..self.missing
        };
        Item { class: place.class, source: place.source, octets, words, counts }
    }
}
