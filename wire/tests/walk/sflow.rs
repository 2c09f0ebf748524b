//! An sFlow datagram read to the end by every view there is. Panics if a place lies outside of the datagram.

use wire::frame::{Headers, Start};
use wire::malformed::Malformed;
use wire::sflow::Datagram;
use wire::sflow::record::{Item, Kind, Record};
use wire::sflow::sample::Sample;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) samples: usize,
    pub(crate) records: usize,
    pub(crate) items: usize,
    pub(crate) fields: usize,
    pub(crate) errors: usize,
}

/// Reads one datagram by itself.
pub(crate) fn walk(octets: &[u8]) -> Found {
    let mut found = Found::default();
    let error = |found: &mut Found, malformed: Malformed| {
        assert!(malformed.offset as usize <= octets.len(), "{malformed}");
        found.errors += 1;
    };
    let datagram = match Datagram::parse(octets) {
        Ok(datagram) => datagram,
        Err(malformed) => {
            error(&mut found, malformed);
            return found;
        }
    };
    for sample in datagram.samples() {
        let sample = match sample {
            Ok(sample) => sample,
            Err(malformed) => {
                error(&mut found, malformed);
                continue;
            }
        };
        found.samples += 1;
        let kind = if matches!(sample, Sample::Counters(_)) { Kind::Counters } else { Kind::Flow };
        for record in sample.records() {
            match record {
                Ok(structure) => {
                    found.records += 1;
                    read_record(Record::new(kind, structure), &mut found, octets.len());
                }
                Err(malformed) => error(&mut found, malformed),
            }
        }
    }
    found
}

fn read_record(record: Record<'_>, found: &mut Found, length: usize) {
    assert!(record.body.offset() + record.body.remaining() <= length);
    for item in record.items() {
        match item {
            Ok((name, item)) => {
                assert!(!name.is_empty());
                found.items += 1;
                found.fields += match item {
                    Item::Numbers(numbers) => numbers.count(),
                    Item::AsPath(path) => path.map(|segment| segment.as_numbers.count()).sum(),
                    Item::Adapters(adapters) => adapters.map(|adapter| adapter.macs.count()).sum(),
                    Item::Number(_)
                    | Item::Float(_)
                    | Item::Address(_)
                    | Item::Mac(_)
                    | Item::Text(_)
                    | Item::Octets(_) => 0,
                };
            }
            Err(malformed) => {
                assert!(malformed.offset as usize <= length, "{malformed}");
                found.errors += 1;
            }
        }
    }
    if let Some(raw) = record.raw_header()
        && let Some(start) = Start::from_sflow(raw.protocol)
    {
        found.fields += Headers::read(start, raw.header).fields().count();
    }
}
