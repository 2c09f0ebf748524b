//! Other decoders over the same octets, each through the interface that its own documentation and benchmarks use.
//! Only built with the feature `peers`.
#![allow(clippy::wildcard_enum_match_arm, reason = "what the inputs do not have makes the digests differ")]

pub mod netgauze;
pub mod netflow_parser;
pub mod bgpkit;
pub mod longest;
