//! What is measured and how: a population of routers as octets, runs interleaved with those of peers, medians.
//!
//! ```text
//! lab::exporter -> Input ---+-> ours, peer, peer, ours, peer, .. -> Figure -> table, JSON
//! recipe -------> Corpus ---+        \-> Digest: all sides read the same, or nothing is measured
//! ```
//! Inputs are larger than the caches. Times are measured here and nowhere else in the project: no test asserts one.
#![deny(unsafe_code)]

pub mod random;
pub mod cpu;
pub mod pages;
pub mod input;
pub mod corpus;
pub mod digest;
pub mod figure;
pub mod results;
pub mod plot;
pub mod bare;
pub mod pipeline;
pub mod bmp;
pub mod generate;
pub mod replay;
pub mod live;
pub mod longest;
pub mod sinks;
#[cfg(feature = "peers")]
pub mod peer;
