//! Encoders, one a protocol: values go in, octets of the wire come out in a `Vec<u8>`, exact to the count. For
//! tests, the lab's exporters and the generator; nothing that decodes depends on them. They allocate, and they
//! write what they are told: a caller that asks for a malformed message gets one.

pub mod ipfix;
pub mod netflow;
pub mod sflow;
pub mod udp_notif;
pub mod bmp;
pub mod bgp;
pub mod nlri;
