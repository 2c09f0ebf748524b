//! The privileged side of Millrace, its command line, and the wiring of all its processes.
//!
//! ```text
//!  millrace run = keeper ----- starts, pairs, restarts; holds listeners, sockets, counters; parses nothing
//!                 |      \
//!              control    dataplane
//!    config, netlink      Order + descriptors -> workers and sinks, then no privilege at all
//!    eBPF, NIC, sockets  <-- SEQPACKET: Order, Report -->
//!    metrics, `show`
//! ```
#![forbid(unsafe_code)]

pub mod config;
pub mod ebpf;
