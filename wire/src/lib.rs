//! Telemetry protocols, decoded in place.
#![no_std]
#![forbid(unsafe_code)]
