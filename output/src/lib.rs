//! Batches become lines, files and answers, beside the workers and never on their cores.
//!
//! ```text
//! worker -> outlet -> distribute -+-> queue -> sink: JSON lines -> file
//! worker -> outlet ->             +-> queue -> sink: Arrow -> Parquet -> file
//!                                 +-> queue -> null
//! ```
//! One thread a sink; a batch is shared by all sinks and goes home when the last one is done with it.
#![forbid(unsafe_code)]

pub mod sink;
pub mod journal;
pub mod distribute;
pub mod json;
pub mod schema;
pub mod columns;
pub mod file;
pub mod lines;
pub mod parquet;
pub mod null;
