//! The test kit: what a test may ask for.
//!
//! ```text
//! namespace  a test run again in one that ends with it              (root)
//! topology   namespaces that vagrant/lab.sh makes, gone on drop     (root)
//! daemon     FRR, GoBGP and softflowd in them, hosts with counts    (root)
//! frame      one frame of any shape, octet for octet
//! exporter   a population of routers: templates, flows, BMP, with exact counts
//! ```
//! Scripts and types say the same names, so what a test does by hand can be done at a shell too.
#![forbid(unsafe_code)]

pub mod namespace;
pub mod topology;
pub mod daemon;
pub mod frame;
pub mod exporter;
