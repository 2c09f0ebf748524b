//! What is measured and how: a population of routers as octets, runs interleaved with those of a peer, medians.
//!
//! ```text
//! lab::exporter -> Input (octets larger than the caches) -> ours, peer, ours, peer, .. -> Figure -> table, JSON
//! ```
//! Times are measured here and nowhere else in the project: no test asserts one.
#![forbid(unsafe_code)]

pub mod input;
pub mod figure;
pub mod pipeline;
