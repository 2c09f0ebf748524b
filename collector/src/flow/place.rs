//! The octets of a data set in, where each field of each record lies out. Knows lengths, not meanings.
//!
//! Records of fixed length lie at a stride. Records with variable fields are walked once, and the walk leaves
//! anchors: the record's start, start and end of each variable value, the record's end. Every field then lies a
//! known number of octets behind an anchor, so that columns are read alike for both.

use wire::ipfix::data::RecordLength;
use wire::ipfix::template::Field;
use wire::value::number;

use super::lane::{LANE, Lanes};

/// Where a field lies in every record of its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the anchor that it lies behind; for a variable field that of its own start.
    anchor: usize,
    /// Octets behind the anchor.
    offset: usize,
    /// Octets of the value; `None`: variable, up to the next anchor.
    length: Option<usize>,
}

impl Place {
    /// Octets before it in a record of fixed length.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// Octets of every value, unless they vary.
    pub(crate) const fn length(&self) -> Option<usize> {
        self.length
    }
}

/// How records of a template are cut from a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Fixed octets before, between and behind the variable fields; one entry where there are none.
    gaps: Box<[usize]>,
    minimum: usize,
}

impl Shape {
    /// The shape of records with these fields, and where each field lies.
    pub(crate) fn of(fields: &[Field]) -> (Self, Vec<Place>) {
        let mut gaps = Vec::new();
        let mut places = Vec::with_capacity(fields.len());
        let (mut anchor, mut offset) = (0, 0);
        for field in fields {
            if field.is_variable() {
                gaps.push(offset);
                places.push(Place { anchor: 2 * gaps.len() - 1, offset: 0, length: None });
                (anchor, offset) = (2 * gaps.len(), 0);
            } else {
                let length = usize::from(field.length);
                places.push(Place { anchor, offset, length: Some(length) });
                offset += length;
            }
        }
        gaps.push(offset);
        (Self { gaps: gaps.into(), minimum: RecordLength::of(fields).minimum() }, places)
    }

    /// Anchors that a walk leaves for each record; 0 for records of fixed length.
    const fn anchors(&self) -> usize {
        match self.gaps.len() {
            0 | 1 => 0,
            gaps => 2 * gaps,
        }
    }

    /// Octets of every record, if all have as many.
    pub(crate) const fn fixed(&self) -> Option<usize> {
        match self.gaps.len() {
            0 | 1 => Some(self.minimum),
            _ => None,
        }
    }

    /// The fewest octets of a record.
    pub(crate) const fn minimum(&self) -> usize {
        self.minimum
    }

    /// Cuts a set into records. `anchors` is scratch space. Octets behind the last record are left over: padding
    /// if they are fewer than a record needs, else a record that runs past the end.
    pub(crate) fn cut<'a>(&self, body: &'a [u8], anchors: &'a mut Vec<u32>) -> Records<'a> {
        anchors.clear();
        let lanes = Lanes::default();
        if self.minimum == 0 {
            return Records { octets: body, rows: 0, stride: 1, per_record: 0, anchors, used: 0, lanes };
        }
        if self.anchors() == 0 {
            let rows = body.len() / self.minimum;
            let used = rows * self.minimum;
            let octets = body.get(..used).unwrap_or_default();
            return Records { octets, rows, stride: self.minimum, per_record: 0, anchors, used, lanes };
        }
        let (mut rows, mut used) = (0, 0);
        while body.len() - used >= self.minimum {
            let Some(end) = self.walk(body, used, anchors) else {
                anchors.truncate(rows * self.anchors());
                break;
            };
            (rows, used) = (rows + 1, end);
        }
        Records { octets: body, rows, stride: 0, per_record: self.anchors(), anchors, used, lanes }
    }

    /// Leaves the anchors of the record that starts at `start` and returns its end.
    fn walk(&self, body: &[u8], start: usize, anchors: &mut Vec<u32>) -> Option<usize> {
        let (last, before) = self.gaps.split_last()?;
        anchors.push(u32::try_from(start).ok()?);
        let mut at = start;
        for gap in before {
            at += gap;
            // RFC 7011 section 7: one octet below 255, or 255 and two octets.
            let length = match *body.get(at)? {
                255 => {
                    let octets = body.get(at + 1..)?.first_chunk::<2>()?;
                    at += 3;
                    usize::from(u16::from_be_bytes(*octets))
                }
                length => {
                    at += 1;
                    usize::from(length)
                }
            };
            anchors.push(u32::try_from(at).ok()?);
            at += length;
            anchors.push(u32::try_from(at).ok()?);
        }
        at += last;
        anchors.push(u32::try_from(at).ok()?);
        (at <= body.len()).then_some(at)
    }
}

/// The records of a set, or some of them in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    octets: &'a [u8],
    rows: usize,
    stride: usize,
    /// Anchors of each record; 0: fixed length.
    per_record: usize,
    anchors: &'a [u32],
    /// Octets of the set that belong to records.
    used: usize,
    /// The same records side by side, where that was asked for.
    lanes: Lanes<'a>,
}

impl<'a> Records<'a> {
    /// The records side by side; none if they were not laid so.
    pub(crate) const fn lanes(&self) -> Lanes<'a> {
        self.lanes
    }

    /// Records of fixed length that lie side by side.
    pub(crate) fn side_by_side(lanes: Lanes<'a>) -> Self {
        let (octets, rows) = (lanes.octets(), lanes.len());
        Self { octets, rows, stride: LANE, per_record: 0, anchors: &[], used: octets.len(), lanes }
    }

    /// The octets of records of fixed length, and how many each has.
    pub(crate) const fn fixed(&self) -> (&'a [u8], usize) {
        (self.octets, self.stride)
    }

    /// How many they are.
    pub(crate) const fn len(&self) -> usize {
        self.rows
    }

    /// Octets of the set that belong to its records.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// `rows` of them from `first` on.
    pub(crate) fn part(&self, first: usize, rows: usize) -> Self {
        let rows = rows.min(self.rows.saturating_sub(first));
        let octets = match self.per_record {
            0 => self.octets.get(first * self.stride..(first + rows) * self.stride).unwrap_or_default(),
            _ => self.octets,
        };
        let anchors =
            self.anchors.get(first * self.per_record..(first + rows) * self.per_record).unwrap_or_default();
        Self { octets, rows, anchors, lanes: Lanes::default(), ..*self }
    }

    /// Converts the value at `place` of each record, which must have `W` octets, and appends them.
    #[inline]
    pub(crate) fn extend<const W: usize, T>(
        &self,
        place: Place,
        to: &mut Vec<T>,
        mut convert: impl FnMut([u8; W]) -> T,
    ) {
        if !self.lanes.is_empty() {
            self.lanes.extend(place.offset, to, convert);
        } else if self.per_record == 0 {
            strided(self.octets, self.stride, place.offset, to, convert);
        } else {
            let anchors = self.anchors.chunks_exact(self.per_record);
            // A place of that width lies within its record, so no value is ever made of zeros here.
            let mut value = |octets: &[u8]| convert(octets.first_chunk::<W>().copied().unwrap_or([0; W]));
            to.extend(anchors.map(|anchors| value(self.at(anchors, place))));
        }
    }

    /// The octets of the value at `place` of each record, in order.
    pub(crate) fn values(&self, place: Place) -> impl Iterator<Item = &'a [u8]> {
        (0..self.rows).map(move |row| self.value(place, row))
    }

    /// The octets of the value at `place` of one record.
    pub(crate) fn value(&self, place: Place, row: usize) -> &'a [u8] {
        if self.per_record == 0 {
            let start = row * self.stride + place.offset;
            return self.octets.get(start..start + place.length.unwrap_or(0)).unwrap_or_default();
        }
        let from = row * self.per_record;
        self.at(self.anchors.get(from..from + self.per_record).unwrap_or_default(), place)
    }

    fn at(&self, anchors: &[u32], place: Place) -> &'a [u8] {
        let anchor = |number: usize| anchors.get(number).map_or(0, |&at| at as usize);
        let start = anchor(place.anchor) + place.offset;
        let end = place.length.map_or_else(|| anchor(place.anchor + 1), |length| start + length);
        self.octets.get(start..end).unwrap_or_default()
    }

    /// Fills `to` with the number at `place` of each record: 0 where it has no octets or more than 8.
    pub(crate) fn numbers(&self, place: Place, to: &mut Vec<u64>) {
        to.clear();
        self.extend_numbers(place, to, |number| number);
    }

    /// Converts the number at `place` of each record, 0 where it has no octets or more than 8, and appends them.
    #[inline]
    pub(crate) fn extend_numbers(&self, place: Place, to: &mut Vec<u64>, convert: impl Fn(u64) -> u64) {
        match place.length {
            Some(4) => {
                self.extend::<4, _>(place, to, |octets| convert(u64::from(u32::from_be_bytes(octets))));
            }
            Some(8) => self.extend::<8, _>(place, to, |octets| convert(u64::from_be_bytes(octets))),
            _ => to.extend(self.values(place).map(|octets| convert(number(octets).unwrap_or(0)))),
        }
    }

    /// The number at `place` of one record.
    pub(crate) fn number(&self, place: Place, row: usize) -> Option<u64> {
        number(self.value(place, row))
    }

    /// The octets of one record.
    pub(crate) fn record(&self, row: usize) -> &'a [u8] {
        let (start, end) = self.bounds(row);
        self.octets.get(start..end).unwrap_or_default()
    }

    /// The octets of all records, and where each ends in them.
    pub(crate) fn contiguous(&self) -> (&'a [u8], impl Iterator<Item = usize>) {
        let start = if self.rows == 0 { 0 } else { self.bounds(0).0 };
        let end = self.rows.checked_sub(1).map_or(start, |last| self.bounds(last).1);
        let octets = self.octets.get(start..end).unwrap_or_default();
        let records = *self;
        (octets, (0..self.rows).map(move |row| records.bounds(row).1 - start))
    }

    fn bounds(&self, row: usize) -> (usize, usize) {
        if self.per_record == 0 {
            return (row * self.stride, (row + 1) * self.stride);
        }
        let from = row * self.per_record;
        let anchor = |at: usize| self.anchors.get(at).map_or(0, |&at| at as usize);
        (anchor(from), anchor(from + self.per_record - 1))
    }
}

/// Appends the value of `W` octets at `offset` of each record; `octets` are whole records of `stride` octets.
fn strided<const W: usize, T>(
    octets: &[u8],
    stride: usize,
    offset: usize,
    to: &mut Vec<T>,
    mut convert: impl FnMut([u8; W]) -> T,
) {
    let mut rest = octets;
    while let Some((record, behind)) = rest.split_at_checked(stride) {
        // A place of that width lies within its record, so the loop ends with the records and not before.
        let Some(value) = record.get(offset..).and_then(|octets| octets.first_chunk()) else { return };
        to.push(convert(*value));
        rest = behind;
    }
}
