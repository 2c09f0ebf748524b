//! Records of equal length in, the same records at a distance that the compiler knows out.
//!
//! A column is read by one loop over all records. At a distance known only at run time each step of it must be
//! checked; at a known one nothing is left but load, swap and store. One copy a record pays for that many columns.

/// Octets from one record to the next.
const LANE: usize = 128;

/// Records that one step of a loop reads: counting steps costs as much as reading a record.
const ABREAST: usize = 4;

type Lane = [u8; LANE];

/// Space for the records of one set, kept so that nothing is allocated for a set.
#[derive(Debug, Default)]
pub(crate) struct LaneSpace(Vec<[Lane; ABREAST]>);

impl LaneSpace {
    /// Lays `rows` records of `stride` octets side by side; no lanes if they are longer than one.
    #[inline(never)]
    pub(crate) fn lay(&mut self, octets: &[u8], stride: usize, rows: usize) -> Lanes<'_> {
        if !(1..=LANE).contains(&stride) {
            return Lanes::default();
        }
        let steps = rows.div_ceil(ABREAST);
        if self.0.len() < steps {
            self.0.resize(steps, [[0; LANE]; ABREAST]);
        }
        let lanes = self.0.get_mut(..steps).unwrap_or_default();
        // A copy of known length, so what stands behind a record is copied with it.
        match stride {
            ..=48 => copy::<48>(octets, stride, lanes.as_flattened_mut()),
            49..=80 => copy::<80>(octets, stride, lanes.as_flattened_mut()),
            _ => copy::<LANE>(octets, stride, lanes.as_flattened_mut()),
        }
        Lanes { lanes, rows }
    }
}

/// Copies one record into each lane, and the last one into those that are left: whoever looks at all lanes sees
/// nothing that is not in a record.
fn copy<const N: usize>(octets: &[u8], stride: usize, lanes: &mut [Lane]) {
    let (mut rest, mut lanes) = (octets, lanes.iter_mut());
    while let Some(whole) = rest.first_chunk::<N>()
        && let Some(behind) = rest.get(stride..)
        && !behind.is_empty()
    {
        let Some(lane) = lanes.next() else { return };
        if let Some(lane) = lane.first_chunk_mut() {
            *lane = *whole;
        }
        rest = behind;
    }
    for lane in lanes {
        pad(lane, rest);
        if let Some(behind) = rest.get(stride..)
            && !behind.is_empty()
        {
            rest = behind;
        }
    }
}

/// The last record, behind which too little stands for a copy of known length.
fn pad(lane: &mut Lane, octets: &[u8]) {
    let length = octets.len().min(LANE);
    if let (Some(to), Some(octets)) = (lane.get_mut(..length), octets.get(..length)) {
        to.copy_from_slice(octets);
    }
}

/// Records side by side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lanes<'a> {
    lanes: &'a [[Lane; ABREAST]],
    rows: usize,
}

impl Lanes<'_> {
    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.lanes.is_empty()
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
        to.extend(self.lanes.iter().flat_map(|abreast| abreast.each_ref().map(&mut value)));
        to.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_lane_and_the_last_ones_no_neighbours() {
        for (stride, rows) in [(1, 300), (7, 33), (48, 5), (76, 18), (80, 7), (81, 4), (128, 9), (128, 0)] {
            let octets: Vec<u8> = (0..stride * rows).map(|at| (at % 251) as u8).collect();
            let mut space = LaneSpace::default();
            let lanes = space.lay(&octets, stride, rows);
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
    fn long_records_have_no_lanes() {
        assert!(LaneSpace::default().lay(&[0; 258], 129, 2).is_empty());
        assert!(LaneSpace::default().lay(&[0; 258], 0, 2).is_empty());
    }
}
