//! Records of a set in, one column of a batch out: a tight loop over the rows for each element that someone
//! wants. What kind of loop is decided once, when the template is compiled.

use wide::u8x16;
use wire::element::{DataType, lookup};
use wire::ipfix::template::Field;
use wire::value::{Value, number};

use super::lane::Lanes;
use super::place::{Place, Records};
use super::plane::{self, BLOCK, PlaneSpace};
use crate::batch::{Batch, Values};
use crate::schema::Store;

/// Instructions for each record that it takes to turn a window of octets.
const TURNING: usize = 10;

/// The columns to be filled from the records of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Fields as wide as their columns, by width: 1, 2, 4, 8 and 16 octets.
    whole: [Vec<Step>; 5],
    /// Those of 1, 2 and 4 octets that are better read plane by plane.
    turned: [Vec<Step>; 3],
    others: Vec<Step>,
    /// Where those lie, as [`PlaneSpace::turn`] counts it.
    windows: u8,
}

impl Steps {
    /// How to fill these columns from records that lie side by side, or not.
    pub(crate) fn of(steps: Vec<Step>) -> Self {
        let is_worth = |window: &u8| {
            let inside = steps.iter().filter(|step| step.windows() == *window);
            inside.map(Step::saved_by_turning).sum::<usize>() > TURNING
        };
        let windows = (0..u8::BITS).map(|window| 1 << window).filter(is_worth).fold(0, |all, one| all | one);
        let mut sorted = Self { windows, ..Self::default() };
        for step in steps {
            let [one, two, four, eight, sixteen] = &mut sorted.whole;
            let [turned_one, turned_two, turned_four] = &mut sorted.turned;
            let is_turned = step.windows() & !windows == 0;
            let steps = match (step.read, step.place.length()) {
                (Read::Whole, Some(1)) if is_turned => turned_one,
                (Read::Whole, Some(2)) if is_turned => turned_two,
                (Read::Whole, Some(4)) if is_turned => turned_four,
                (Read::Whole, Some(1)) => one,
                (Read::Whole, Some(2)) => two,
                (Read::Whole, Some(4)) => four,
                (Read::Whole, Some(8)) => eight,
                (Read::Whole, Some(16)) => sixteen,
                _ => &mut sorted.others,
            };
            steps.push(step);
        }
        sorted
    }

    /// Appends the values of all `records`, which follow those of the batch.
    pub(crate) fn fill(&self, records: &Records<'_>, batch: &mut Batch) {
        for step in self.whole.iter().chain(&self.turned).flatten().chain(&self.others) {
            step.fill(records, batch);
        }
    }

    /// The same for records that lie side by side.
    pub(crate) fn fill_from(&self, records: &Records<'_>, planes: &mut PlaneSpace, batch: &mut Batch) {
        let lanes = records.lanes();
        let rows = lanes.len();
        planes.turn(lanes, self.windows);
        let [one, two, four] = &self.turned;
        from_planes(one, planes, rows, batch, Values::fixed1, plane::ones);
        from_planes(two, planes, rows, batch, Values::fixed2, plane::twos);
        from_planes(four, planes, rows, batch, Values::fixed4, plane::fours);
        let [one, two, four, eight, sixteen] = &self.whole;
        from_lanes(one, lanes, batch, Values::fixed1, u8::from_be_bytes);
        from_lanes(two, lanes, batch, Values::fixed2, u16::from_be_bytes);
        from_lanes(four, lanes, batch, Values::fixed4, u32::from_be_bytes);
        from_lanes(eight, lanes, batch, Values::fixed8, u64::from_be_bytes);
        from_lanes(sixteen, lanes, batch, Values::fixed16, |octets| octets);
        for step in &self.others {
            step.fill(records, batch);
        }
    }
}

/// One column after the other from records that lie plane by plane.
#[inline(never)]
fn from_planes<const W: usize, T: Copy + Default>(
    steps: &[Step],
    planes: &PlaneSpace,
    rows: usize,
    batch: &mut Batch,
    of: impl Fn(&mut Values) -> Option<&mut Vec<T>>,
    convert: impl Fn(&[u8x16; W]) -> [T; BLOCK],
) {
    for step in steps {
        let Some(to) = batch.fixed(step.column, &of) else { continue };
        planes.extend(step.place.offset(), rows, to, &convert);
    }
}

/// One column after the other from records that lie side by side: nothing is decided for a record.
#[inline(never)]
fn from_lanes<const W: usize, T>(
    steps: &[Step],
    lanes: Lanes<'_>,
    batch: &mut Batch,
    of: impl Fn(&mut Values) -> Option<&mut Vec<T>>,
    convert: impl Fn([u8; W]) -> T,
) {
    for step in steps {
        let Some(to) = batch.fixed(step.column, &of) else { continue };
        lanes.extend(step.place.offset(), to, &convert);
    }
}

/// One column to be filled from one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    column: usize,
    place: Place,
    read: Read,
}

/// How the octets of a field become values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// As many octets as the column is wide.
    Whole,
    /// An unsigned integer or MAC address of fewer octets (RFC 7011 section 6.2).
    Unsigned,
    /// A signed integer of fewer octets.
    Signed,
    /// A 4-octet float in a column of 8-octet ones.
    Float,
    /// As they are.
    Octets,
    /// Without trailing NULs.
    Text,
    /// Value by value: the length varies, is wider than the type's, or is none of the type's.
    Checked(DataType),
}

impl Step {
    /// How to fill a column from a field. `None`: no value can come of it, the column stays absent.
    pub(crate) fn new(column: usize, store: Store, field: Field, place: Place) -> Option<Self> {
        let data_type = lookup(field.pen, field.id).map(|element| element.data_type);
        let read = match (store, data_type, place.length()) {
            (_, _, Some(0)) | (Store::Choice | Store::Route, ..) => return None,
            (Store::Octets, Some(DataType::String), _) => Read::Text,
            (Store::Octets, Some(_) | None, _) => Read::Octets,
            (_, None, _) => return None,
            // A boolean is 1 or 2 and nothing else (RFC 7011 section 6.1.5).
            (_, Some(kind), None) | (_, Some(kind @ DataType::Boolean), _) => Read::Checked(kind),
            (_, Some(kind), Some(length)) => fixed(kind, length),
        };
        Some(Self { column, place, read })
    }

    /// Instructions for each record that are saved where its octets are turned already.
    const fn saved_by_turning(&self) -> usize {
        match (self.read, self.place.length()) {
            (Read::Whole, Some(1)) => 4,
            (Read::Whole, Some(2)) => 5,
            (Read::Whole, Some(4)) => 2,
            _ => 0,
        }
    }

    /// Where its field lies, as [`PlaneSpace::turn`] counts it.
    fn windows(&self) -> u8 {
        plane::windows(self.place.offset(), self.place.length().unwrap_or(0))
    }

    /// Appends the column's values of all `records`.
    #[inline(never)]
    fn fill(&self, records: &Records<'_>, batch: &mut Batch) {
        let Some(values) = batch.values_mut(self.column) else { return };
        match (self.read, values) {
            (Read::Octets | Read::Text, Values::Octets { ends, octets }) => {
                let text = self.read == Read::Text;
                for value in records.values(self.place) {
                    octets.extend_from_slice(if text { trimmed(value) } else { value });
                    ends.push(i32::try_from(octets.len()).unwrap_or(i32::MAX));
                }
                self.mark_empty(records, batch);
            }
            (Read::Checked(kind), _) => self.checked(kind, records, batch),
            (Read::Whole, Values::Fixed1(to)) => records.extend(self.place, to, u8::from_be_bytes),
            (Read::Whole, Values::Fixed2(to)) => records.extend(self.place, to, u16::from_be_bytes),
            (Read::Whole, Values::Fixed4(to)) => records.extend(self.place, to, u32::from_be_bytes),
            (Read::Whole, Values::Fixed8(to)) => records.extend(self.place, to, u64::from_be_bytes),
            (Read::Whole, Values::Fixed16(to)) => records.extend(self.place, to, |octets| octets),
            (Read::Float, Values::Fixed8(to)) => {
                records.extend(self.place, to, |octets| f64::from(f32::from_be_bytes(octets)).to_bits());
            }
            #[expect(clippy::cast_possible_truncation, reason = "the field is narrower than the column")]
            (Read::Unsigned | Read::Signed, Values::Fixed2(to)) => {
                self.widen(records, to, |wide| wide as u16);
            }
            #[expect(clippy::cast_possible_truncation, reason = "the field is narrower than the column")]
            (Read::Unsigned | Read::Signed, Values::Fixed4(to)) => {
                self.widen(records, to, |wide| wide as u32);
            }
            (Read::Unsigned | Read::Signed, Values::Fixed8(to)) => self.widen(records, to, |wide| wide),
            _ => {}
        }
    }

    /// Appends integers of 1 to 7 octets, widened to 64 bits with their sign.
    fn widen<T>(&self, records: &Records<'_>, to: &mut Vec<T>, narrow: impl Fn(u64) -> T) {
        match self.place.length() {
            Some(1) => self.widen_from::<1, _>(records, to, narrow),
            Some(2) => self.widen_from::<2, _>(records, to, narrow),
            Some(3) => self.widen_from::<3, _>(records, to, narrow),
            Some(4) => self.widen_from::<4, _>(records, to, narrow),
            Some(5) => self.widen_from::<5, _>(records, to, narrow),
            Some(6) => self.widen_from::<6, _>(records, to, narrow),
            Some(7) => self.widen_from::<7, _>(records, to, narrow),
            _ => {}
        }
    }

    fn widen_from<const W: usize, T>(
        &self,
        records: &Records<'_>,
        to: &mut Vec<T>,
        narrow: impl Fn(u64) -> T,
    ) {
        let unused = 64 - 8 * W;
        let high = |octets: [u8; W]| {
            octets.iter().fold(0_u64, |value, &octet| value << 8 | u64::from(octet)) << unused
        };
        if self.read == Read::Signed {
            records.extend(self.place, to, |octets| {
                narrow((high(octets).cast_signed() >> unused).cast_unsigned())
            });
        } else {
            records.extend(self.place, to, |octets| narrow(high(octets) >> unused));
        }
    }

    /// Appends values one by one; what the type does not allow is absent.
    fn checked(&self, kind: DataType, records: &Records<'_>, batch: &mut Batch) {
        for (row, octets) in (batch.rows as usize..).zip(records.values(self.place)) {
            let Some(values) = batch.values_mut(self.column) else { return };
            let is_present = match (values, Value::decode(kind, octets)) {
                (Values::Fixed16(to), Ok(Value::Ipv6(address))) => {
                    to.push(address);
                    true
                }
                (Values::Fixed16(to), _) => {
                    to.push([0; 16]);
                    false
                }
                (values, value) => {
                    let cell = value.ok().and_then(|value| cell(value, octets, kind));
                    push(values, cell.unwrap_or(0));
                    cell.is_some()
                }
            };
            if !is_present {
                batch.mark_absent(self.column, row);
            }
        }
    }

    /// Marks rows whose value has no octets.
    fn mark_empty(&self, records: &Records<'_>, batch: &mut Batch) {
        if self.place.length().is_some() {
            return;
        }
        for (row, value) in (batch.rows as usize..).zip(records.values(self.place)) {
            if value.is_empty() {
                batch.mark_absent(self.column, row);
            }
        }
    }
}

/// How `length` octets of a type are read into a column of the type's natural width.
fn fixed(kind: DataType, length: usize) -> Read {
    let is_integer = matches!(
        kind,
        DataType::Unsigned8
            | DataType::Unsigned16
            | DataType::Unsigned32
            | DataType::Unsigned64
            | DataType::Signed8
            | DataType::Signed16
            | DataType::Signed32
            | DataType::Signed64
    );
    let is_signed =
        matches!(kind, DataType::Signed8 | DataType::Signed16 | DataType::Signed32 | DataType::Signed64);
    match kind.natural_length().map(usize::from) {
        Some(6) if length == 6 => Read::Unsigned,
        Some(natural) if natural == length => Read::Whole,
        Some(natural) if is_integer && length < natural && is_signed => Read::Signed,
        Some(natural) if is_integer && length < natural => Read::Unsigned,
        Some(8) if kind == DataType::Float64 && length == 4 => Read::Float,
        _ => Read::Checked(kind),
    }
}

/// A value as the integer that its column holds.
fn cell(value: Value<'_>, octets: &[u8], kind: DataType) -> Option<u64> {
    match value {
        Value::Unsigned(value) => Some(value),
        Value::Signed(value) => Some(value.cast_unsigned()),
        Value::Float32(value) if kind == DataType::Float64 => Some(f64::from(value).to_bits()),
        Value::Float32(_)
        | Value::Float64(_)
        | Value::Boolean(_)
        | Value::Mac(_)
        | Value::Ipv4(_)
        | Value::Time(_) => number(octets),
        Value::Null
        | Value::Ipv6(_)
        | Value::String(_)
        | Value::Octets(_)
        | Value::Unsigned256(_)
        | Value::BasicList(_)
        | Value::SubTemplateList(_)
        | Value::SubTemplateMultiList(_) => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the value fits its type, and the column is as wide as that"
)]
fn push(values: &mut Values, value: u64) {
    match values {
        Values::Fixed1(to) => to.push(value as u8),
        Values::Fixed2(to) => to.push(value as u16),
        Values::Fixed4(to) => to.push(value as u32),
        Values::Fixed8(to) => to.push(value),
        Values::Fixed16(_) | Values::Octets { .. } | Values::Choice { .. } | Values::Routes(_) => {}
    }
}

fn trimmed(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    octets.get(..end).unwrap_or_default()
}
