//! Frames and sockets: what brings octets to a worker's collector and takes what it borrowed back. The only
//! `unsafe` of user space stands here, in `ring/xsk.rs` and `memory.rs`.
//!
//! ```text
//!           look (asleep in it, if nothing came)          one a worker: poll
//!             |
//!  receive    |  rings ------ Frame ------------------+   one a (device, RX queue) and worker: ring
//!             |  datagrams -- Datagram ---------------+   all UDP sockets of a worker: datagram
//!             |  streams ---- Opened Received Closed -+   all listeners and BMP streams of a worker: stream
//!             |                                       v
//!  accept     |                              collector::Collector -> Outlet
//!  recycle    |  frames -> fill ring, under a token that is tried and never waited for: ring::frames
//!  publish    |  open batches -> sinks, when due
//!  tick       v  expiry, commands (inbox), ledgers and gauges -> one shared page (counters)
//! ```
//! No logging, no text, no configuration, no BPF: control opens devices and sockets, gives a worker its
//! [`worker::Start`], talks to it through an [`inbox::Inbox`] and reads [`counters::Counters`].
#![warn(clippy::indexing_slicing)]

pub mod worker;
pub mod source;
pub mod ring;
pub mod datagram;
pub mod stream;
mod poll;
pub mod inbox;
pub mod cores;
mod memory;
pub mod counters;
pub mod settings;
