//! What goes into a [`Collector`](crate::Collector): octets and time. Never a socket, never a clock.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The moment of an input. Live: the clock, read once a turn. In a capture: the packet's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Nanoseconds of a clock that never steps; only differences mean anything.
    pub monotonic_ns: u64,
    /// Nanoseconds since 1970-01-01 UTC.
    pub unix_ns: u64,
    /// Number of the packet in the capture, from 1, as tshark counts. 0: not from a capture.
    pub frame: u64,
}

/// Names one TCP stream for as long as it is open; never used twice by one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// What [`accept`](crate::Collector::accept) returns for `Opened` or `Received` instead of octets consumed, when
/// the session wants its stream closed: the source closes it and says `Closed` with [`StreamEnd::Closed`].
pub const CLOSE_STREAM: usize = usize::MAX;

/// How a stream ended, as its source saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The router closed in order (FIN).
    Fin,
    /// The router or its host reset the connection.
    Reset,
    /// Nothing was heard for too long.
    Timeout,
    /// We closed it: the collector asked for it, or stops.
    Closed,
}

/// One input: the only five things that can happen to a collector.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A whole Ethernet frame, as a ring or a capture holds it.
    Frame(&'a [u8]),
    /// The payload of a UDP datagram that a kernel socket delivered.
    Datagram {
        /// Who sent it.
        from: SocketAddr,
        /// Where it arrived; the port chooses the protocol.
        to: SocketAddr,
        /// The payload, without the UDP header.
        payload: &'a [u8],
    },
    /// A TCP stream of a router has begun.
    Opened {
        /// Its name from now on.
        stream: StreamId,
        /// The router's end.
        from: SocketAddr,
        /// Our end; the port chooses the protocol.
        to: SocketAddr,
    },
    /// Octets of a stream: all that were not consumed so far, in order.
    Received {
        /// Which stream.
        stream: StreamId,
        /// What the source holds for it; what is not consumed must be there again next time.
        octets: &'a [u8],
    },
    /// A stream has ended; octets not consumed before are lost and counted.
    Closed {
        /// Which stream.
        stream: StreamId,
        /// How it ended.
        end: StreamEnd,
    },
}
