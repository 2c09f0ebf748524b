//! What the processes say to each other.
//!
//! [`Order`] and [`Report`] between control and dataplane, [`Word`] and [`Keep`] between keeper and control. A
//! [`Channel`](super::channel::Channel) carries them; descriptors ride beside, in the order written. Numbers and
//! short texts only: who reads one looks everything up and believes nothing.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Version of these messages; both ends are one binary, so a difference means a binary replaced in mid-run.
pub const VERSION: u32 = 2;
/// Octets of a text in a message that are kept.
pub const MAX_TEXT: usize = 512;

/// From control to dataplane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Beside it: the text of the configuration and the counters page, both sealed memory.
    Start {
        /// [`VERSION`].
        version: u32,
        /// How many of the configured workers run.
        workers: u16,
        /// Where each sink counts: the position of its ledger on the counters page.
        sinks: Vec<u16>,
        /// Key of the router hash: what routers were left goes to the workers on whose slots they are. Absent where
        /// nothing steers.
        key: Option<[u8; 16]>,
    },
    /// A worker serves a socket, which stands beside it.
    Serve {
        /// Which worker, from 0.
        worker: u16,
        /// Position in the configuration's `listen`.
        listen: u16,
        /// Where a UDP socket is counted: its position among the sockets of the counters page.
        place: u16,
    },
    /// An RX queue to open rings on, one for each worker.
    Open {
        /// Name of the device.
        device: String,
        /// RX queue, from 0.
        queue: u32,
        /// Row of its rings, in which XDP counts.
        row: u32,
        /// Generic mode: frames are always copied.
        generic: bool,
        /// The only worker that gets a ring there; `None`: every worker does.
        only: Option<u16>,
    },
    /// What a worker of the process before left: the sealed memory stands beside it.
    Remains {
        /// Which worker, from 0.
        worker: u16,
    },
    /// Streams that belong to it: their sockets stand beside, in order.
    Adopt {
        /// Which worker, from 0.
        worker: u16,
        /// Their names, at most [`STREAMS_A_MESSAGE`].
        streams: Vec<u64>,
    },
    /// All has been said: open, give privilege up, run.
    Begin,
    /// Answer a question on the stream beside it. Control never reads the answer: it holds what routers said.
    Ask {
        /// What is wanted.
        topic: Topic,
    },
    /// Take what still waits, complete all files, then say [`Report::Drained`].
    Drain,
    /// Empty the rings, complete all files, give every router and open stream back ([`Report::Remains`],
    /// [`Report::Hold`]), then say [`Report::Drained`]. No ring is in a map any more.
    HandOver,
}

/// Sockets of streams beside one message; the kernel carries 253 (`SCM_MAX_FD`, Linux 2.6.38 and newer).
pub const STREAMS_A_MESSAGE: usize = 64;

/// What only workers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topic {
    /// Flow sessions.
    Sessions,
    /// Templates of flow sessions.
    Templates,
    /// Peers of BMP sessions.
    Peers,
    /// Routes that count.
    Rib {
        /// Of this router only.
        router: Option<IpAddr>,
        /// Of exactly this prefix only: address and length.
        prefix: Option<(IpAddr, u8)>,
    },
}

/// What passed of one exporter since the process began, as the tally beside the sinks saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExporterCounts {
    /// Source address, IPv4 as IPv4-mapped.
    pub address: [u8; 16],
    /// Worker that had its latest row.
    pub worker: u16,
    /// Flow rows.
    pub flows: u64,
    /// Flow rows whose destination was found.
    pub joined: u64,
    /// Flow rows whose destination was looked for in vain.
    pub not_joined: u64,
    /// Route rows that announce.
    pub announced: u64,
    /// Route rows that withdraw.
    pub withdrawn: u64,
    /// Rows of any other kind.
    pub messages: u64,
    /// When its latest row arrived, unix nanoseconds.
    pub last_unix_ns: u64,
}

/// Stands for every exporter beyond the limit: the unspecified address, which no packet comes from.
pub const OTHER: [u8; 16] = [0; 16];

/// Exporters in one message.
pub const EXPORTERS_A_MESSAGE: usize = 100;

/// From dataplane to control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// A ring is bound and its fill ring full; the AF_XDP socket stands beside it.
    Ring {
        /// Row that [`Order::Open`] gave.
        row: u32,
        /// Which worker.
        worker: u16,
        /// Whether the driver writes without a copy.
        zero_copy: bool,
    },
    /// What a worker leaves to the next one: the sealed memory stands beside it.
    Remains {
        /// Which worker.
        worker: u16,
    },
    /// Open streams that belong to it: their sockets stand beside, in order.
    Hold {
        /// Which worker.
        worker: u16,
        /// Their names, at most [`STREAMS_A_MESSAGE`].
        streams: Vec<u64>,
    },
    /// From here on octets are read: what was held for this process is its own, and nobody else can go on with it.
    Adopted,
    /// No privilege is left and every worker turns.
    Running,
    /// Exporters whose counts have changed, at most [`EXPORTERS_A_MESSAGE`].
    Exporters {
        /// Their counts.
        exporters: Vec<ExporterCounts>,
    },
    /// A line for the log.
    Notice {
        /// The line.
        text: String,
    },
    /// It cannot go on, and ends.
    Failed {
        /// Why.
        text: String,
    },
    /// Nothing is left to take; counters are final.
    Drained,
}

/// From keeper to control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// A descriptor that an earlier control process gave to keep, beside it.
    Kept {
        /// The name it was given under.
        name: String,
    },
    /// All kept descriptors have been handed back: begin.
    Begin {
        /// Whether an earlier control process has begun already.
        again: bool,
    },
    /// The dataplane process: our end of the pair stands beside it.
    Dataplane {
        /// Process id.
        pid: u32,
        /// How many came before it.
        generation: u32,
        /// It is at work already: an earlier control process started it.
        running: bool,
    },
    /// The dataplane process has ended.
    Ended {
        /// How, in words.
        how: String,
    },
    /// Stop everything and say [`Keep::Stopped`].
    Stop,
    /// Read the configuration again.
    Reload,
}

/// From control to keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// Hold the descriptor beside it for the next control process.
    Hold {
        /// Name under which it comes back; a second one under the same name replaces the first.
        name: String,
    },
    /// Let go of a descriptor.
    Forget {
        /// Its name.
        name: String,
    },
    /// The configuration stands: start the dataplane process, and start it again when it ends.
    Ready {
        /// Longest pause before a process that keeps ending is started again.
        restart_max_ms: u64,
    },
    /// The dataplane process works.
    Running,
    /// The dataplane process does not end as it was told: kill it.
    Kill,
    /// Stop everything, as if told by a signal.
    Stop,
    /// Everything is taken down.
    Stopped {
        /// Exit status for the shell.
        status: u8,
    },
}

/// A text of another process as it may stand in a log: bounded, on one line, without control characters.
#[must_use]
pub fn tame(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_tamed() {
        assert_eq!(tame("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(tame(&"y".repeat(MAX_TEXT * 2)).len(), MAX_TEXT);
    }
}
