//! Elements about sampling, options and the configuration in; "one packet of how many was observed" out.
//!
//! Counters are never multiplied; 1 means known to be unsampled, absent means unknown. A rate below 1 or beyond 2^32 - 1 is
//! no rate.

use super::layout::repeat;
use super::options::Options;
use super::place::{Place, Records};
use super::plan::Found;
use super::rows::Part;
use crate::batch::{Batch, Values};
use crate::schema::SamplingFrom;

/// Rates that make sense: an attacker's must not multiply somebody's bill by 2^64, nor divide by zero.
const RATES: std::ops::RangeInclusive<f64> = 1.0..=4_294_967_295.0;

/// Where a rate lies in records or options records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rate {
    /// samplingInterval (34) or samplerRandomInterval (50).
    Interval(Place),
    /// samplingPacketInterval (305) taken, samplingPacketSpace (306) left out: (305 + 306) / 305.
    Spaced { interval: Place, space: Place },
    /// samplingSize (309) out of samplingPopulation (310): 310 / 309.
    Population { size: Place, population: Place },
}

impl Rate {
    /// The rate of a template, the first that it has of the three ways.
    pub(crate) fn of(found: &Found<'_>) -> Option<Self> {
        let interval = found.first(34).or_else(|| found.first(50)).map(Self::Interval);
        let spaced = || Some(Self::Spaced { interval: found.first(305)?, space: found.first(306)? });
        let population = || Some(Self::Population { size: found.first(309)?, population: found.first(310)? });
        interval.or_else(spaced).or_else(population)
    }

    /// The rate of one record, unless it makes no sense.
    pub(crate) fn read(&self, records: &Records<'_>, row: usize) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rate beyond 2^53 is none")]
        let number = |place| records.number(place, row).map(|number| number as f64);
        let rate = match *self {
            Self::Interval(place) => number(place)?,
            Self::Spaced { interval, space } => (number(interval)? + number(space)?) / number(interval)?,
            Self::Population { size, population } => number(population)? / number(size)?,
        };
        RATES.contains(&rate).then_some(rate)
    }
}

/// Where records tell their sampling.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sampling {
    rate: Option<Rate>,
    /// selectorId (302) or samplerId (48): which sampler of the options it was.
    selector: Option<Place>,
    /// ingressInterface (10): some exporters tell a rate for each interface.
    interface: Option<Place>,
}

impl Sampling {
    /// The sampling of a template.
    pub(crate) fn of(found: &Found<'_>) -> Self {
        let selector = found.first(302).or_else(|| found.first(48));
        Self { rate: Rate::of(found), selector, interface: found.first(10) }
    }

    /// Whether records tell a rate.
    pub(crate) const fn is_told(&self) -> bool {
        self.rate.is_some()
    }

    /// Appends the columns of sampling.
    pub(crate) fn fill(
        &self,
        part: &Part<'_>,
        options: &Options,
        configured: Option<f64>,
        batch: &mut Batch,
    ) {
        let Part { records, header, layout } = part;
        let by_header = (header.sampling > 0).then(|| (f64::from(header.sampling), SamplingFrom::Record));
        let by_options = || options.rate().map(|rate| (rate, SamplingFrom::Options));
        let by_configuration = || configured.map(|rate| (rate, SamplingFrom::Config));
        let of_all = by_header.or_else(by_options).or_else(by_configuration);
        if self.rate.is_some() || options.has_samplers() {
            self.fill_each(part, options, of_all, batch);
        } else if let Some((rate, from)) = of_all {
            let rows = records.len();
            repeat(batch, layout.sampling_rate, Values::fixed8, std::iter::once((rate.to_bits(), rows)));
            repeat(batch, layout.sampling_from, Values::fixed1, std::iter::once((from as u8, rows)));
        }
    }

    /// The same where records differ; `of_all`: where a record and its sampler say nothing.
    #[inline(never)]
    fn fill_each(
        &self,
        part: &Part<'_>,
        options: &Options,
        of_all: Option<(f64, SamplingFrom)>,
        batch: &mut Batch,
    ) {
        let Part { records, layout, .. } = part;
        let number = |place: Option<Place>, row| records.number(place?, row);
        for row in 0..records.len() {
            let own = self.rate.and_then(|rate| rate.read(records, row));
            let told = || {
                options
                    .sampler(number(self.selector, row))
                    .or_else(|| options.interface_rate(number(self.interface, row)))
            };
            let sampling = own
                .map(|rate| (rate, SamplingFrom::Record))
                .or_else(|| told().map(|rate| (rate, SamplingFrom::Options)))
                .or(of_all);
            push(batch, layout.sampling_rate, sampling.map(|(rate, _)| rate.to_bits()));
            push(batch, layout.sampling_from, sampling.map(|(_, from)| from as u64));
        }
    }
}

fn push(batch: &mut Batch, column: Option<usize>, value: Option<u64>) {
    match (column, value) {
        (Some(column), Some(value)) => batch.push_integer(column, value),
        (Some(column), None) => batch.push_absent(column),
        (None, _) => {}
    }
}
