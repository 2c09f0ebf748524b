//! TCP segments seen on the wire -> streams in order: Opened, Received, Closed.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hashbrown::HashMap;

use super::transport::Segment;
use crate::input::{Input, StreamEnd, StreamId};

/// Octets of one stream that may wait for a missing segment; then the hole is given up.
const MAX_OUT_OF_ORDER: usize = 4 << 20;
/// Segments of one stream that may wait for a missing one.
const MAX_SEGMENTS: usize = 16_384;

/// The streams of a capture. One a capture.
#[derive(Debug, Default)]
pub struct Streams {
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
    next_id: u64,
    /// Streams that began before the capture.
    pub from_the_middle: u64,
    /// Octets that the capture does not hold although later ones were seen.
    pub missing_octets: u64,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    /// Sequence number of the next octet in order.
    next: u32,
    /// Octets in order that the collector has not consumed.
    ready: Vec<u8>,
    /// Segments beyond `next`, by their distance from the stream's first octet.
    later: BTreeMap<u64, Vec<u8>>,
    later_octets: usize,
    /// Distance of `next` from the stream's first octet.
    distance: u64,
    fin: Option<u64>,
    /// The stream began with a SYN that carries octets, and nothing has told yet whether the SYN counts.
    syn_is_uncounted: bool,
}

/// The sequence number of a segment's first octet. A SYN takes a number of its own (RFC 9293 section 3.4), but
/// captures that programs have made put the first octets into the SYN and do not count it: with octets in it, it
/// is taken as not counted until the next segment shows otherwise.
fn start(segment: &Segment<'_>) -> u32 {
    segment.sequence.wrapping_add(u32::from(segment.syn && segment.payload.is_empty()))
}

impl Streams {
    /// Takes one segment and gives what follows from it to `accept`, which returns the octets consumed.
    pub fn segment(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        segment: Segment<'_>,
        mut accept: impl FnMut(Input<'_>) -> usize,
    ) {
        let key = (from, to);
        let length = u32::try_from(segment.payload.len()).unwrap_or(0);
        let is_known =
            |stream: &Stream| [start(&segment), start(&segment).wrapping_add(length)].contains(&stream.next);
        if segment.syn && self.streams.get(&key).is_some_and(|stream| !is_known(stream)) {
            // The same two ports again: a new stream without the old one's end in sight.
            self.close(key, StreamEnd::Timeout, &mut accept);
        }
        if !self.streams.contains_key(&key) {
            if segment.rst || (segment.fin && segment.payload.is_empty()) {
                return;
            }
            if !segment.syn {
                if segment.payload.is_empty() {
                    return;
                }
                self.from_the_middle += 1;
            }
            let id = StreamId(self.next_id);
            self.next_id += 1;
            let next = start(&segment);
            accept(Input::Opened { stream: id, from, to });
            let stream = Stream {
                id,
                next,
                ready: Vec::new(),
                later: BTreeMap::new(),
                later_octets: 0,
                distance: 0,
                fin: None,
                syn_is_uncounted: segment.syn && !segment.payload.is_empty(),
            };
            self.streams.insert(key, stream);
        }
        if segment.rst {
            self.close(key, StreamEnd::Reset, &mut accept);
            return;
        }
        let Some(stream) = self.streams.get_mut(&key) else { return };
        self.missing_octets += stream.take(segment);
        stream.deliver(&mut accept);
        if stream.fin.is_some_and(|fin| stream.distance >= fin) {
            self.close(key, StreamEnd::Fin, &mut accept);
        }
    }

    /// The capture is over: what waits behind a hole is given out as far as it goes.
    pub fn finish(&mut self, mut accept: impl FnMut(Input<'_>) -> usize) {
        for stream in self.streams.values_mut() {
            while let Some(missing) = stream.skip_hole() {
                self.missing_octets += missing;
                stream.deliver(&mut accept);
            }
        }
    }

    fn close(
        &mut self,
        key: (SocketAddr, SocketAddr),
        end: StreamEnd,
        accept: &mut impl FnMut(Input<'_>) -> usize,
    ) {
        if let Some(mut stream) = self.streams.remove(&key) {
            while let Some(missing) = stream.skip_hole() {
                self.missing_octets += missing;
                stream.deliver(accept);
            }
            accept(Input::Closed { stream: stream.id, end });
        }
    }
}

impl Stream {
    /// Puts a segment in its place. Returns octets given up because too much waited behind a hole.
    fn take(&mut self, segment: Segment<'_>) -> u64 {
        let first = start(&segment);
        if self.syn_is_uncounted && !segment.syn {
            self.syn_is_uncounted = false;
            if first == self.next.wrapping_add(1) {
                self.next = first;
            }
        }
        // Distances are modulo 2^32; a segment is old when it lies in the half behind `next`.
        let ahead = first.wrapping_sub(self.next).cast_signed();
        let (at, payload) = if ahead < 0 {
            let old = usize::try_from(ahead.unsigned_abs()).unwrap_or(usize::MAX);
            (self.distance, segment.payload.get(old..).unwrap_or(&[]))
        } else {
            (self.distance + u64::from(ahead.unsigned_abs()), segment.payload)
        };
        if segment.fin && ahead >= 0 {
            self.fin = Some(at + segment.payload.len() as u64);
        }
        if payload.is_empty() {
            return 0;
        }
        if at == self.distance {
            self.append(payload);
        } else {
            let kept = self.later.entry(at).or_default();
            if payload.len() > kept.len() {
                self.later_octets += payload.len() - kept.len();
                *kept = payload.to_vec();
            }
        }
        self.join();
        if self.later_octets > MAX_OUT_OF_ORDER || self.later.len() > MAX_SEGMENTS {
            self.skip_hole().unwrap_or(0)
        } else {
            0
        }
    }

    fn append(&mut self, octets: &[u8]) {
        self.ready.extend_from_slice(octets);
        self.distance += octets.len() as u64;
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers count modulo 2^32")]
        let n = octets.len() as u32;
        self.next = self.next.wrapping_add(n);
    }

    /// Moves segments that have become contiguous behind the octets in order.
    fn join(&mut self) {
        while let Some(entry) = self.later.first_entry() {
            if *entry.key() > self.distance {
                break;
            }
            let (at, octets) = entry.remove_entry();
            self.later_octets = self.later_octets.saturating_sub(octets.len());
            let seen = usize::try_from(self.distance - at).unwrap_or(usize::MAX);
            if let Some(new) = octets.get(seen..) {
                self.append(new);
            }
        }
    }

    /// Goes on behind a hole that nothing will fill. Returns the octets missing, or `None` if nothing waits.
    fn skip_hole(&mut self) -> Option<u64> {
        let at = *self.later.first_key_value()?.0;
        let missing = at.checked_sub(self.distance)?;
        self.distance = at;
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers count modulo 2^32")]
        let n = missing as u32;
        self.next = self.next.wrapping_add(n);
        self.join();
        Some(missing)
    }

    fn deliver(&mut self, accept: &mut impl FnMut(Input<'_>) -> usize) {
        while !self.ready.is_empty() {
            let consumed =
                accept(Input::Received { stream: self.id, octets: &self.ready }).min(self.ready.len());
            self.ready.drain(..consumed);
            if consumed == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(segments: &[(u32, bool, bool, &[u8])]) -> (Vec<u8>, Vec<String>) {
        let (from, to) = ("192.0.2.1:50000".parse().unwrap(), "192.0.2.2:1790".parse().unwrap());
        let mut streams = Streams::default();
        let (mut data, mut events) = (Vec::new(), Vec::new());
        for &(sequence, syn, fin, payload) in segments {
            let segment = Segment { sequence, syn, fin, rst: false, payload };
            streams.segment(from, to, segment, |input| match input {
                Input::Received { octets, .. } => {
                    data.extend_from_slice(octets);
                    octets.len()
                }
                Input::Opened { .. } => {
                    events.push("opened".to_owned());
                    0
                }
                Input::Closed { end, .. } => {
                    events.push(format!("{end:?}"));
                    0
                }
                Input::Frame(_) | Input::Datagram { .. } => 0,
            });
        }
        (data, events)
    }

    #[test]
    fn order_is_restored_across_the_wrap_of_the_sequence_number() {
        let start = u32::MAX - 1;
        let (data, events) = run(&[
            (start, true, false, b""),
            (start.wrapping_add(4), false, false, b"def"),
            (start.wrapping_add(1), false, false, b"abc"),
            (start.wrapping_add(1), false, false, b"abc"),
            (start.wrapping_add(5), false, false, b"efgh"),
            (start.wrapping_add(9), false, true, b""),
        ]);
        assert_eq!(data, b"abcdefgh");
        assert_eq!(events, ["opened", "Fin"]);
    }

    #[test]
    fn octets_in_the_first_segment_are_read_whether_or_not_its_syn_counts() {
        for next in [103, 104] {
            let (data, events) = run(&[
                (100, true, false, b"abc"),
                (next, false, false, b"def"),
                (next + 3, false, true, b""),
            ]);
            assert_eq!(data, b"abcdef");
            assert_eq!(events, ["opened", "Fin"]);
        }
    }

    #[test]
    fn a_stream_from_the_middle_is_taken_from_where_it_starts() {
        let (data, events) = run(&[(77, false, false, b"xyz"), (80, false, true, b"!")]);
        assert_eq!((data.as_slice(), events.len()), (&b"xyz!"[..], 2));
    }
}
