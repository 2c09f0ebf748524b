//! Segments of one message in, in any order and more than once; the message's body out when it is whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::udp_notif::{Datagram, Segment};

use crate::message::Notification;

/// What a kept segment and a kept message cost beside their octets, so that empty ones are bounded too.
const SEGMENT_COST: usize = 64;
const MESSAGE_COST: usize = 256;

/// What became of a segment.
#[derive(Debug)]
pub(super) enum Added {
    /// Kept; others are missing.
    Waits,
    /// It was there already, or its message was whole a moment ago.
    Duplicate,
    /// Its message is longer than the limit allows and was given up.
    TooLong,
    /// What waits at the worker is as much as the limit allows, so its message was given up.
    NoRoom,
    /// It contradicts the segments before it.
    Mismatch,
    /// The last one that was missing.
    Whole(Assembly),
}

/// One message whose segments are being collected.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Assembly {
    publisher_id: u32,
    pub(super) message_id: u32,
    version: u8,
    is_private: bool,
    code: u8,
    sequence_lost: u32,
    /// Options of the first segment.
    options: Vec<u8>,
    segments: BTreeMap<u16, Box<[u8]>>,
    last: Option<u16>,
    /// When the first one of its segments came, monotonic ns.
    pub(super) since_ns: u64,
}

impl Assembly {
    /// A message of which this datagram is the first segment to come; it is still to be added.
    pub(super) fn new(datagram: &Datagram<'_>, sequence_lost: u32, since_ns: u64) -> Self {
        Self {
            publisher_id: datagram.publisher_id,
            message_id: datagram.message_id,
            version: datagram.version,
            is_private: datagram.is_private,
            code: datagram.code,
            sequence_lost,
            options: Vec::new(),
            segments: BTreeMap::new(),
            last: None,
            since_ns,
        }
    }

    /// Whether a segment of this datagram can be one of this message.
    pub(super) fn fits(&self, datagram: &Datagram<'_>, segment: Segment) -> bool {
        let is_encoded_so = (self.version, self.is_private, self.code)
            == (datagram.version, datagram.is_private, datagram.code);
        let is_in_front = self.last.is_none_or(|last| match segment.is_last {
            true => segment.number == last,
            false => segment.number < last,
        });
        let highest = self.segments.last_key_value().map_or(0, |(number, _)| *number);
        is_encoded_so && is_in_front && (!segment.is_last || segment.number >= highest)
    }

    /// Whether this segment is there.
    pub(super) fn has(&self, segment: Segment) -> bool {
        self.segments.contains_key(&segment.number)
    }

    /// Keeps a segment that fits and is not there.
    pub(super) fn add(&mut self, datagram: &Datagram<'_>, segment: Segment) {
        if segment.is_last {
            self.last = Some(segment.number);
        }
        if segment.number == 0 {
            self.options = datagram.options().octets().to_vec();
        }
        self.segments.insert(segment.number, datagram.payload.rest().into());
    }

    /// What another segment of this datagram adds to [`Assembly::cost`].
    pub(super) fn cost_of(datagram: &Datagram<'_>) -> usize {
        SEGMENT_COST + datagram.payload.remaining()
    }

    /// Octets that it takes, by and large.
    pub(super) fn cost(&self) -> usize {
        let octets: usize = self.segments.values().map(|segment| SEGMENT_COST + segment.len()).sum();
        MESSAGE_COST + octets
    }

    /// Whether no segment is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.last.is_some_and(|last| self.segments.len() == usize::from(last) + 1)
    }

    /// Appends the body.
    pub(super) fn put_together(&self, body: &mut Vec<u8>) {
        self.segments.values().for_each(|segment| body.extend_from_slice(segment));
    }

    /// What its row says.
    pub(super) fn row(&self) -> Notification<'_> {
        Notification {
            publisher_id: self.publisher_id,
            message_id: self.message_id,
            version: self.version,
            is_private: self.is_private,
            code: self.code,
            segments: u32::try_from(self.segments.len()).unwrap_or(u32::MAX),
            sequence_lost: self.sequence_lost,
            options: &self.options,
        }
    }
}
