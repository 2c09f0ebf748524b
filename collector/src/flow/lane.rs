//! Records of equal length in, the same records at a distance that the compiler knows out.
//!
//! A column is read by one loop over all records. At a distance known only at run time each step of it must be
//! checked; at a known one nothing is left but load, swap and store. One copy a record pays for that many columns.

/// Octets from one record to the next.
const LANE: usize = 128;

type Lane = [u8; LANE];

/// Space for the records of one set, kept so that nothing is allocated for a set.
#[derive(Debug, Default)]
pub(crate) struct LaneSpace(Vec<Lane>);

impl LaneSpace {
    /// Lays records of `stride` octets side by side; no lanes if they are longer than one.
    pub(crate) fn lay(&mut self, octets: &[u8], stride: usize) -> Lanes<'_> {
        if !(1..=LANE).contains(&stride) {
            return Lanes::default();
        }
        let rows = octets.len() / stride;
        if self.0.len() < rows {
            self.0.resize(rows, [0; LANE]);
        }
        let lanes = self.0.get_mut(..rows).unwrap_or_default();
        let mut rest = octets;
        for lane in &mut *lanes {
            // What stands behind a record is copied with it where there is enough: a copy of known length.
            match rest.first_chunk() {
                Some(octets) => *lane = *octets,
                None => pad(lane, rest),
            }
            rest = rest.get(stride..).unwrap_or_default();
        }
        Lanes(lanes)
    }
}

#[cold]
fn pad(lane: &mut Lane, octets: &[u8]) {
    lane.iter_mut().zip(octets).for_each(|(to, octet)| *to = *octet);
}

/// Records side by side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lanes<'a>(&'a [Lane]);

impl Lanes<'_> {
    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Converts the `W` octets at `offset` of each record and appends them. A field lies within its record and so
    /// within its lane; the limit on `offset` tells the compiler.
    #[inline]
    pub(crate) fn extend<const W: usize, T>(
        &self,
        offset: usize,
        to: &mut Vec<T>,
        convert: impl Fn([u8; W]) -> T,
    ) {
        let offset = offset.min(LANE - W);
        let value = |lane: &Lane| {
            let octets = lane.get(offset..).and_then(|octets| octets.first_chunk());
            convert(octets.copied().unwrap_or([0; W]))
        };
        to.extend(self.0.iter().map(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_lane_and_the_last_ones_no_neighbours() {
        for (stride, rows) in [(1, 300), (7, 33), (76, 18), (128, 9), (128, 0)] {
            let octets: Vec<u8> = (0..stride * rows).map(|at| (at % 251) as u8).collect();
            let mut space = LaneSpace::default();
            let lanes = space.lay(&octets, stride);
            for offset in 0..stride {
                let mut column = vec![9];
                lanes.extend(offset, &mut column, |[octet]| octet);
                let expected: Vec<u8> = octets.iter().skip(offset).step_by(stride).copied().collect();
                assert_eq!(column[1..], expected);
            }
        }
    }

    #[test]
    fn long_records_have_no_lanes() {
        assert!(LaneSpace::default().lay(&[0; 258], 129).is_empty());
        assert!(LaneSpace::default().lay(&[0; 258], 0).is_empty());
    }
}
