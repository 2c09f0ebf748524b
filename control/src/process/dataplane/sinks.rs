//! `[[sink]]` -> running sinks with their ledgers on the counters page, and the names that metrics use.

use anyhow::Context as _;
use collector::schema::Interest;
use dataplane::counters::Counters;
use output::distribute::Named;
use output::file::Rotation;
use output::lines::JsonFiles;
use output::null::Null;
use output::parquet::{DEFAULT_ELEMENTS, ParquetFiles};
use output::sink::{Sink, SinkLedger};

use crate::config::{Config, Sink as Settings, SinkType};

/// Every configured sink, in the order of the configuration.
///
/// # Errors
/// A directory that cannot be made.
pub(super) fn build(config: &Config, places: &[u16], page: &Counters) -> anyhow::Result<Vec<Named>> {
    let join = config.join.enabled;
    names(config)
        .into_iter()
        .zip(&config.sink)
        .zip(ledgers(places, page))
        .map(|((name, sink), ledger)| {
            let built = one(sink, join).with_context(|| format!("sink {name}"))?;
            Ok((name, built, ledger))
        })
        .collect()
}

/// The ledgers of sinks by their places on the counters page.
pub(crate) fn ledgers(places: &[u16], page: &Counters) -> Vec<SinkLedger> {
    let words = |place: u16| page.others(usize::from(place) * SinkLedger::WORDS, SinkLedger::WORDS);
    places.iter().filter_map(|place| SinkLedger::over(words(*place))).collect()
}

fn one(sink: &Settings, join: bool) -> anyhow::Result<Box<dyn Sink>> {
    let kinds = sink.kinds_mask();
    let rotation =
        Rotation { path: sink.path.clone(), rotate_s: sink.rotate_s, max_disk_bytes: sink.max_disk_bytes };
    Ok(match sink.kind {
        SinkType::Json => Box::new(JsonFiles::new(rotation, kinds, join)?),
        SinkType::Parquet => {
            let elements = DEFAULT_ELEMENTS.iter().map(|id| (0, *id)).collect();
            Box::new(ParquetFiles::new(rotation, kinds, join, elements)?)
        }
        SinkType::Null => Box::new(Null::new(Interest { kinds, join, ..Interest::default() })),
    })
}

/// The name of each sink: its type, with a number from the second of its type on.
#[must_use]
pub(crate) fn names(config: &Config) -> Vec<String> {
    let named = config.sink.iter().enumerate().map(|(n, sink)| {
        let before = config.sink.iter().take(n).filter(|other| other.kind == sink.kind).count();
        if before == 0 { word(sink.kind).to_owned() } else { format!("{}-{}", word(sink.kind), before + 1) }
    });
    named.collect()
}

const fn word(kind: SinkType) -> &'static str {
    match kind {
        SinkType::Json => "json",
        SinkType::Parquet => "parquet",
        SinkType::Null => "null",
    }
}

/// What makes each sink the one that it was under another configuration: its type and path.
#[must_use]
pub(crate) fn identities(config: &Config) -> Vec<String> {
    let same = |a: &Settings, b: &Settings| (a.kind, &a.path) == (b.kind, &b.path);
    let identity = |(n, sink): (usize, &Settings)| {
        let before = config.sink.iter().take(n).filter(|other| same(other, sink)).count();
        format!("{} {before} {}", word(sink.kind), sink.path.display())
    };
    config.sink.iter().enumerate().map(identity).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_of_one_type_are_numbered() {
        let text = "[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n\
            [[sink]]\ntype = \"null\"\n[[sink]]\ntype = \"json\"\npath = \"a\"\n[[sink]]\ntype = \"null\"\n";
        assert_eq!(names(&Config::parse(text).unwrap()), ["null", "json", "null-2"]);
    }
}
