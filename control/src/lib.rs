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

pub mod command;
pub mod config;
pub mod process;
pub mod ebpf;
pub mod steering;
pub mod sockets;
pub mod kernel;
pub mod reconcile;
pub mod mirror;
pub mod neighbours;
pub mod nic;
pub mod host;
pub mod totals;
pub mod metrics;
pub mod admin;
