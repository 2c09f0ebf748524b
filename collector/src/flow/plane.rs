//! Records side by side in, the same octets plane by plane out: octet 0 of all records, then octet 1 of all records,
//! and so on.
//!
//! A column of narrow values is then a plane, or a few of them woven together, sixteen records at a time.

use wide::u8x16;

use super::lane::{LANE, LANES, Lanes};

/// Octets of a record, and records, that are turned together.
pub(crate) const BLOCK: usize = 16;

/// The octets of sixteen records, those of one place in one vector.
type Planes = [u8x16; LANE];

/// Space for records plane by plane.
#[derive(Debug)]
pub(crate) struct PlaneSpace(Box<[Planes]>);

impl Default for PlaneSpace {
    fn default() -> Self {
        Self(vec![[u8x16::ZERO; LANE]; LANES / BLOCK].into())
    }
}

impl PlaneSpace {
    /// Turns some octets of all records: bit `i` of `windows` stands for those from `BLOCK * i` on.
    #[inline(never)]
    pub(crate) fn turn(&mut self, lanes: Lanes<'_>, windows: u8) {
        for (records, planes) in lanes.blocks().zip(&mut self.0) {
            let mut left = windows;
            while left != 0 {
                let first = (left.trailing_zeros() as usize * BLOCK).min(LANE - BLOCK);
                left &= left - 1;
                let octets = records.each_ref().map(|lane| {
                    let octets = lane.get(first..).and_then(|octets| octets.first_chunk());
                    u8x16::new(octets.copied().unwrap_or_default())
                });
                if let Some(planes) = planes.get_mut(first..).and_then(|planes| planes.first_chunk_mut()) {
                    *planes = turn(octets);
                }
            }
        }
    }

    /// Converts the `W` octets at `offset` of `rows` records, sixteen records at a time, and appends them.
    #[inline]
    pub(crate) fn extend<const W: usize, T: Copy + Default>(
        &self,
        offset: usize,
        rows: usize,
        to: &mut Vec<T>,
        convert: impl Fn(&[u8x16; W]) -> [T; BLOCK],
    ) {
        let (end, offset) = (to.len() + rows, offset.min(LANE - W));
        let blocks = self.0.get(..rows.div_ceil(BLOCK)).unwrap_or_default();
        to.extend(blocks.iter().flat_map(|planes| {
            let octets = planes.get(offset..).and_then(|planes| planes.first_chunk());
            octets.map_or([T::default(); BLOCK], &convert)
        }));
        to.truncate(end);
    }
}

/// Which windows of [`PlaneSpace::turn`] hold `length` octets at `offset`.
pub(crate) fn windows(offset: usize, length: usize) -> u8 {
    let last = LANE / BLOCK - 1;
    (offset / BLOCK..(offset + length).div_ceil(BLOCK)).fold(0, |windows, at| windows | 1 << at.min(last))
}

/// Sixteen rows of sixteen octets become sixteen columns.
#[inline]
fn turn(rows: [u8x16; BLOCK]) -> [u8x16; BLOCK] {
    rotate(rotate(rotate(rotate(rows))))
}

/// Rotates the eight bits of each octet's place, row before column, by one.
#[inline]
fn rotate([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]: [u8x16; BLOCK]) -> [u8x16; BLOCK] {
    let [[a0, a1], [b0, b1], [c0, c1], [d0, d1]] = [weave(a, i), weave(b, j), weave(c, k), weave(d, l)];
    let [[e0, e1], [f0, f1], [g0, g1], [h0, h1]] = [weave(e, m), weave(f, n), weave(g, o), weave(h, p)];
    [a0, a1, b0, b1, c0, c1, d0, d1, e0, e1, f0, f1, g0, g1, h0, h1]
}

/// The octets of two vectors in turn.
#[inline]
fn weave(one: u8x16, other: u8x16) -> [u8x16; 2] {
    [u8x16::unpack_low(one, other), u8x16::unpack_high(one, other)]
}

/// Numbers of one octet.
#[inline]
pub(crate) fn ones([octet]: &[u8x16; 1]) -> [u8; BLOCK] {
    octet.to_array()
}

/// Numbers of two octets, the higher one first.
#[inline]
pub(crate) fn twos(&[high, low]: &[u8x16; 2]) -> [u16; BLOCK] {
    let mut numbers = [0; BLOCK];
    let octets = weave(low, high).map(u8x16::to_array);
    for (to, octets) in numbers.iter_mut().zip(octets.as_flattened().as_chunks().0) {
        *to = u16::from_le_bytes(*octets);
    }
    numbers
}

/// Numbers of four octets, the highest one first.
#[inline]
pub(crate) fn fours(&[a, b, c, d]: &[u8x16; 4]) -> [u32; BLOCK] {
    let [[even_low, even_high], [odd_low, odd_high]] = [weave(d, b), weave(c, a)];
    let mut numbers = [0; BLOCK];
    let octets = [weave(even_low, odd_low), weave(even_high, odd_high)];
    let octets = octets.map(|octets| octets.map(u8x16::to_array));
    for (to, octets) in numbers.iter_mut().zip(octets.as_flattened().as_flattened().as_chunks().0) {
        *to = u32::from_le_bytes(*octets);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::super::lane::LaneSpace;
    use super::*;

    #[test]
    fn planes_hold_what_records_hold() {
        for (stride, rows) in [(1, 128), (13, 100), (76, 17), (128, 1), (128, 128)] {
            let octets: Vec<u8> = (0..stride * rows).map(|at| (at * 7 % 251) as u8).collect();
            let (mut lanes, mut planes) = (LaneSpace::default(), PlaneSpace::default());
            lanes.lay(0, &octets, stride);
            planes.turn(lanes.lanes(rows), windows(0, stride));
            for offset in 0..stride {
                let (mut one, mut two, mut four) = (vec![9], vec![9], vec![9]);
                planes.extend(offset, rows, &mut one, ones);
                let expected = |length| {
                    octets.chunks(stride).filter_map(move |record| {
                        let number = record.get(offset..offset + length)?;
                        Some(number.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
                    })
                };
                assert!(one[1..].iter().map(|number| u32::from(*number)).eq(expected(1)));
                if offset + 2 <= stride {
                    planes.extend(offset, rows, &mut two, twos);
                    assert!(two[1..].iter().map(|number| u32::from(*number)).eq(expected(2)));
                }
                if offset + 4 <= stride {
                    planes.extend(offset, rows, &mut four, fours);
                    assert!(four[1..].iter().copied().eq(expected(4)));
                }
            }
        }
    }

    #[test]
    fn windows_are_those_that_octets_stand_in() {
        for (offset, length, expected) in
            [(0, 1, 1), (15, 1, 1), (15, 2, 3), (16, 4, 2), (127, 1, 0x80), (0, 128, 0xff), (124, 4, 0x80)]
        {
            assert_eq!(windows(offset, length), expected);
        }
    }
}
