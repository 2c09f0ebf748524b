//! Elements about time, the export time and the exporter's boot time in; start and end of each flow out.

use wire::value::Time;

use super::header::Header;
use super::layout::repeat;
use super::place::{Place, Records};
use super::plan::Found;
use super::rows::Part;
use crate::batch::{Batch, Values};
use crate::schema::TimeFrom;

const MILLISECOND_NS: u64 = 1_000_000;

/// Where the times of records lie.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    start: Option<(Unit, Place)>,
    end: Option<(Unit, Place)>,
    /// Element 160, the exporter's boot time, in the record itself.
    boot: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
    NtpMicroseconds,
    NtpNanoseconds,
    /// Microseconds before the export time.
    Delta,
    /// Milliseconds since the exporter started, modulo 2^32.
    SysUptime,
}

/// Elements for the start of a flow, the first that a template has counts; each end has the same unit.
const STARTS: [(u16, Unit); 6] = [
    (156, Unit::NtpNanoseconds),
    (154, Unit::NtpMicroseconds),
    (152, Unit::Milliseconds),
    (150, Unit::Seconds),
    (158, Unit::Delta),
    (22, Unit::SysUptime),
];
const ENDS: [(u16, Unit); 6] = [
    (157, Unit::NtpNanoseconds),
    (155, Unit::NtpMicroseconds),
    (153, Unit::Milliseconds),
    (151, Unit::Seconds),
    (159, Unit::Delta),
    (21, Unit::SysUptime),
];

/// What sysUptime values count from.
#[derive(Clone, Copy)]
enum Origin {
    /// The boot time, unix ms.
    Boot(u64),
    /// The header's clock: uptime in ms at the export time.
    Header(u32),
}

impl Times {
    /// The times of a template.
    pub(crate) fn of(found: &Found<'_>) -> Self {
        let first = |elements: &[(u16, Unit)]| {
            elements.iter().find_map(|&(id, unit)| found.first(id).map(|place| (unit, place)))
        };
        Self { start: first(&STARTS), end: first(&ENDS), boot: found.first(160) }
    }

    /// Whether times count from something that a message or the options tell.
    pub(crate) fn are_relative(&self) -> bool {
        let is_relative = |(unit, _): (Unit, Place)| matches!(unit, Unit::Delta | Unit::SysUptime);
        [self.start, self.end].into_iter().flatten().any(is_relative)
    }

    /// Appends the columns of times. `boot_ms`: the newest element 160 in options, 0 if there is none.
    pub(crate) fn fill(&self, part: &Part<'_>, boot_ms: u64, scratch: &mut [Vec<u64>; 2], batch: &mut Batch) {
        let Part { records, header, layout } = part;
        let is_origin_known = self.boot.is_some() || boot_ms != 0 || header.uptime_ms.is_some();
        let usable = |moment: Option<(Unit, Place)>| {
            moment.filter(|(unit, _)| *unit != Unit::SysUptime || is_origin_known)
        };
        let (start, end) = (usable(self.start), usable(self.end));
        let from = match start.or(end) {
            None => TimeFrom::None,
            Some((Unit::Delta, _)) => TimeFrom::Delta,
            Some((Unit::SysUptime, _)) => TimeFrom::SysUptime,
            Some(_) => TimeFrom::Absolute,
        };
        let of_all = std::iter::once((from as u8, records.len()));
        repeat(batch, layout.time_from, Values::fixed1, of_all);
        for (moment, column) in [(start, layout.flow_start), (end, layout.flow_end)] {
            let (Some((unit, place)), Some(column)) = (moment, column) else { continue };
            let Some(to) = batch.fixed(column, Values::fixed8) else { continue };
            if unit != Unit::Milliseconds || !plain_milliseconds(records, place, to) {
                self.convert(unit, place, records, header, boot_ms, scratch, to);
                mark_times(batch, column);
            }
        }
    }

    /// Appends unix nanoseconds, 0 where there is no time.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "all that a time may hang on")]
    fn convert(
        &self,
        unit: Unit,
        place: Place,
        records: &Records<'_>,
        header: &Header,
        boot_ms: u64,
        scratch: &mut [Vec<u64>; 2],
        to: &mut Vec<u64>,
    ) {
        let mut each = |convert: &dyn Fn(u64) -> u64| records.extend_numbers(place, to, convert);
        match unit {
            Unit::Seconds => each(&|seconds| seconds.saturating_mul(1_000_000_000)),
            Unit::Milliseconds => records.extend_numbers(place, to, |ms| ms.saturating_mul(MILLISECOND_NS)),
            Unit::NtpMicroseconds => each(&|ntp| unix_ns(Time::from_ntp_micros(ntp))),
            Unit::NtpNanoseconds => each(&|ntp| unix_ns(Time::from_ntp(ntp))),
            Unit::Delta => each(&|micros| header.export_ns.saturating_sub(micros.saturating_mul(1_000))),
            Unit::SysUptime => {
                let fallback = match header.uptime_ms {
                    _ if boot_ms != 0 => Some(Origin::Boot(boot_ms)),
                    Some(uptime) => Some(Origin::Header(uptime)),
                    None => None,
                };
                let [values, boots] = scratch;
                records.numbers(place, values);
                match self.boot {
                    Some(place) => records.numbers(place, boots),
                    None => boots.clear(),
                }
                let own = boots.iter().copied().chain(std::iter::repeat(0));
                to.extend(values.iter().zip(own).map(|(&value, boot)| {
                    let origin = if boot == 0 { fallback } else { Some(Origin::Boot(boot)) };
                    origin.map_or(0, |origin| from_uptime(value, origin, header.export_ns))
                }));
            }
        }
    }
}

/// Appends milliseconds of records that lie side by side as nanoseconds, if each of them is a time and none is too
/// late to be one; else nothing.
#[inline(never)]
fn plain_milliseconds(records: &Records<'_>, place: Place, to: &mut Vec<u64>) -> bool {
    /// No time of fewer bits is too late: this many milliseconds are nanoseconds below 2^64.
    const BITS: u32 = 44;
    let lanes = records.lanes();
    if lanes.is_empty() || place.length() != Some(8) {
        return false;
    }
    let before = to.len();
    // The milliseconds less one: nothing becomes the greatest number there is.
    let mut all = 0;
    lanes.extend(place.offset(), to, |octets| {
        let milliseconds = u64::from_be_bytes(octets);
        all |= milliseconds.wrapping_sub(1);
        milliseconds.wrapping_mul(MILLISECOND_NS)
    });
    let is_plain = all >> BITS == 0;
    if !is_plain {
        to.truncate(before);
    }
    is_plain
}

/// Marks times that were appended just now: 0 is an absence.
fn mark_times(batch: &mut Batch, column: usize) {
    let mut row = batch.rows as usize;
    while let Some(time) = batch.values.get(column).and_then(|times| times.integer(row)) {
        if time == 0 {
            batch.mark_absent(column, row);
        }
        row += 1;
    }
}

fn unix_ns(time: Time) -> u64 {
    u64::try_from(time.unix_ns()).unwrap_or(0)
}

/// Unix nanoseconds of an uptime in milliseconds. The counter has 32 bits and wraps every 49.7 days: what is
/// meant is the moment nearest to the export time.
fn from_uptime(uptime_ms: u64, origin: Origin, export_ns: u64) -> u64 {
    match origin {
        Origin::Header(header_ms) => {
            #[expect(clippy::cast_possible_truncation, reason = "the counter has 32 bits")]
            let after_ms = (uptime_ms as u32).wrapping_sub(header_ms).cast_signed();
            export_ns.saturating_add_signed(i64::from(after_ms) * MILLISECOND_NS.cast_signed())
        }
        Origin::Boot(boot_ms) => {
            let unwrapped = boot_ms.saturating_add(uptime_ms);
            let behind = (export_ns / MILLISECOND_NS).saturating_sub(unwrapped);
            let wraps = behind.saturating_add(1 << 31) >> 32;
            unwrapped.saturating_add(wraps << 32).saturating_mul(MILLISECOND_NS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn uptimes_count_from_the_header_across_the_wrap() {
        let export_ns = 1_000_000 * MILLISECOND_NS;
        let at = |uptime, header| from_uptime(uptime, Origin::Header(header), export_ns) / MILLISECOND_NS;
        assert_eq!(at(400, 1_400), 999_000);
        assert_eq!(at(1_500, 1_400), 1_000_100); // after the header: some exporters do that
        assert_eq!(at(0xffff_ff00, 0x100), 1_000_000 - 0x200);
    }

    #[test]
    fn uptimes_count_from_the_boot_time_across_the_wrap() {
        let boot_ms = 1_600_000_000_000;
        let at = |uptime, export_ms: u64| {
            from_uptime(uptime, Origin::Boot(boot_ms), export_ms * MILLISECOND_NS) / MILLISECOND_NS
        };
        assert_eq!(at(5_000, boot_ms + 6_000), boot_ms + 5_000);
        let late = boot_ms + 120 * DAY_MS;
        assert_eq!(at((120 * DAY_MS - 700) & 0xffff_ffff, late), late - 700);
    }
}
