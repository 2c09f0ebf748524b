//! What the eBPF programs and user space must agree on, in one source.
#![no_std]
#![forbid(unsafe_code)]

pub mod ledger;
