//! Records of equal length in, the same records at a distance that the compiler knows out.
//!
//! A column is read by one loop over all records. At a distance known only at run time each step of it must be
//! checked; at a known one nothing is left but load, swap and store. One copy a record pays for that many columns.

use super::plane::BLOCK;

/// Octets from one record to the next, hence the longest record that has a lane.
pub(crate) const LANE: usize = 128;

/// Octets that are copied at a time.
const CHUNK: usize = 16;

/// Records that one step of a loop reads: counting steps costs as much as reading a record.
const ABREAST: usize = 4;

/// Records that there is room for: all of them, 16 KiB, stay in the first level of caches while column after column
/// is read from them.
pub(crate) const LANES: usize = 128;

/// One record, and behind it whatever.
pub(crate) type Lane = [u8; LANE];

/// Space for records side by side.
#[derive(Debug)]
pub(crate) struct LaneSpace(Box<[[Lane; ABREAST]]>);

impl Default for LaneSpace {
    fn default() -> Self {
        Self(vec![[[0; LANE]; ABREAST]; LANES / ABREAST].into())
    }
}

impl LaneSpace {
    /// Lays records of `stride` octets into the lanes from `first` on, as many as there are lanes.
    #[inline(never)]
    pub(crate) fn lay(&mut self, first: usize, octets: &[u8], stride: usize) {
        if !(1..=LANE).contains(&stride) {
            return;
        }
        let lanes = self.0.as_flattened_mut().get_mut(first..first + octets.len() / stride);
        let lanes = lanes.unwrap_or_default();
        // A copy of known length, and one of the end: no length is to be looked at for a record.
        match stride / CHUNK {
            0 => short(octets, stride, lanes),
            1 => copy::<{ CHUNK }>(octets, stride, lanes),
            2 => copy::<{ 2 * CHUNK }>(octets, stride, lanes),
            3 => copy::<{ 3 * CHUNK }>(octets, stride, lanes),
            4 => copy::<{ 4 * CHUNK }>(octets, stride, lanes),
            5 => copy::<{ 5 * CHUNK }>(octets, stride, lanes),
            6 => copy::<{ 6 * CHUNK }>(octets, stride, lanes),
            7 => copy::<{ 7 * CHUNK }>(octets, stride, lanes),
            _ => copy::<LANE>(octets, stride, lanes),
        }
    }

    /// The first `rows` records laid.
    pub(crate) fn lanes(&mut self, rows: usize) -> Lanes<'_> {
        let steps = rows.div_ceil(ABREAST);
        let lanes = self.0.get_mut(..steps).unwrap_or_default();
        // Who looks at all lanes of a step sees nothing that is not in a record.
        if let Some((records, left)) = lanes.as_flattened_mut().split_at_mut_checked(rows)
            && let Some(last) = records.last()
        {
            left.fill(*last);
        }
        Lanes { all: &self.0, rows }
    }
}

/// Copies one record into each lane: its first `N` octets and its last ones.
fn copy<const N: usize>(octets: &[u8], stride: usize, lanes: &mut [Lane]) {
    let end = (stride - CHUNK).min(LANE - CHUNK);
    for (lane, record) in lanes.iter_mut().zip(octets.chunks_exact(stride)) {
        if let (Some(lane), Some(first)) = (lane.first_chunk_mut::<N>(), record.first_chunk()) {
            *lane = *first;
        }
        let lane = lane.get_mut(end..).and_then(|lane| lane.first_chunk_mut::<CHUNK>());
        if let (Some(lane), Some(last)) = (lane, record.last_chunk()) {
            *lane = *last;
        }
    }
}

/// Copies records that are shorter than such an end.
fn short(octets: &[u8], stride: usize, lanes: &mut [Lane]) {
    for (lane, record) in lanes.iter_mut().zip(octets.chunks_exact(stride)) {
        for (to, octet) in lane.iter_mut().zip(record) {
            *to = *octet;
        }
    }
}

/// Records side by side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lanes<'a> {
    all: &'a [[Lane; ABREAST]],
    rows: usize,
}

impl<'a> Lanes<'a> {
    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How many records they are.
    pub(crate) const fn len(&self) -> usize {
        self.rows
    }

    /// The octets of all records, [`LANE`] for each.
    pub(crate) fn octets(&self) -> &'a [u8] {
        let octets = self.all.as_flattened().as_flattened();
        octets.get(..self.rows * LANE).unwrap_or_default()
    }

    /// Lanes by sixteen; behind the last record stands whatever stood there before.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &'a [Lane; BLOCK]> {
        self.all.as_flattened().as_chunks().0.iter().take(self.rows.div_ceil(BLOCK))
    }

    /// Converts the `W` octets at `offset` of each record and appends them. A field lies within its record and so
    /// within its lane; the limit on `offset` tells the compiler. `convert` sees the last record up to
    /// `ABREAST - 1` times more.
    #[inline]
    pub(crate) fn extend<const W: usize, T>(
        &self,
        offset: usize,
        to: &mut Vec<T>,
        mut convert: impl FnMut([u8; W]) -> T,
    ) {
        let offset = offset.min(LANE - W);
        let mut value = |lane: &Lane| {
            let octets = lane.get(offset..).and_then(|octets| octets.first_chunk());
            convert(octets.copied().unwrap_or([0; W]))
        };
        let end = to.len() + self.rows;
        let lanes = self.all.get(..self.rows.div_ceil(ABREAST)).unwrap_or_default();
        to.extend(lanes.iter().flat_map(|abreast| abreast.each_ref().map(&mut value)));
        to.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_lane_and_the_last_ones_no_neighbours() {
        for (stride, rows) in [(1, 128), (7, 33), (48, 5), (76, 18), (80, 7), (81, 4), (128, 9), (128, 0)] {
            let octets: Vec<u8> = (0..stride * rows).map(|at| (at % 251) as u8).collect();
            let mut space = LaneSpace::default();
            // As if they had come by two messages.
            let (one, other) = octets.split_at(rows / 3 * stride);
            space.lay(0, one, stride);
            space.lay(rows / 3, other, stride);
            let lanes = space.lanes(rows);
            assert_eq!((lanes.len(), lanes.octets().len()), (rows, rows * LANE));
            for offset in 0..stride {
                let (mut column, mut seen) = (vec![9], Vec::new());
                lanes.extend(offset, &mut column, |[octet]| {
                    seen.push(octet);
                    octet
                });
                let expected: Vec<u8> = octets.iter().skip(offset).step_by(stride).copied().collect();
                assert_eq!(column[1..], expected);
                let again = seen.get(rows..).unwrap_or_default();
                assert!(again.len() < ABREAST && again.iter().all(|octet| Some(octet) == expected.last()));
            }
        }
    }

    #[test]
    fn what_has_no_lane_is_left_alone() {
        let mut space = LaneSpace::default();
        for (first, octets, stride) in [(0, [1; 258], 129), (0, [1; 258], 0), (127, [1; 258], 128)] {
            space.lay(first, &octets, stride);
        }
        assert!(space.lanes(LANES).octets().iter().all(|octet| *octet == 0));
    }
}
