//! Telemetry of a described population, with exact counts: what `millrace-gen` sends.
//!
//! ```text
//! population   classes of exporters, prefixes, loss          (TOML or flags)
//!   prefix     announced prefixes, and addresses in them
//!   record     one flow in the fields of a template
//!   exporter   one exporter and observation domain -> messages; counters that grow from round to round
//! script       a prelude of templates, then a cycle of datagrams without end; what has been sent is counted from it
//!   socket     -> UDP sockets, one a source address
//!   frame      a datagram as a frame: words that grow, and the sum of all the rest
//!   live       -> frames made inside the kernel and redirected to a device    (root)
//!   ring       -> frames in an AF_XDP transmit ring                           (root)
//!   bmp        -> TCP, one session a router
//!   pace       when the next burst is due
//! report       one JSON line
//! command      the command line
//! ```
//! The same description and seed make the same octets. How many datagrams were sent is one number; every other
//! count follows from the script, so nothing is counted twice or estimated.

pub mod population;
mod prefix;
mod record;
mod exporter;
pub mod script;
pub mod socket;
pub mod frame;
pub mod live;
pub mod ring;
pub mod bmp;
pub mod pace;
pub mod report;
pub mod command;
