//! Telemetry protocols, decoded in place: octets of the wire come in, views that borrow them go out.
//! No `std`, no allocation, no clock, no state between messages, no `unsafe`; nothing panics on any octets.
//!
//! ```text
//! octets -> cursor -> ipfix    message -> sets -> templates | records -> fields -> value   RFC 7011, 5103, 6313
//!                  -> netflow  v9 packet -> flowsets, v5 packet as a fixed template         RFC 3954
//!                  -> sflow    datagram -> samples -> records -> items                     sFlow version 5
//!                     -> frame sampled octets -> headers under IANA's element ids          IEEE 802.1Q, RFC 8200
//!                  -> udp_notif  datagram -> options, segment, payload                 draft-ietf-netconf-udp-notif
//!                  -> bmp      framed message -> peer header, parts                        RFC 7854, 8671, 9069
//!                     -> bgp   OPEN, UPDATE -> attributes, NLRI                            RFC 4271, 4760
//!           malformed: reason, offset, length: the one error of all readers
//! element: (pen, id) -> name, type, units;  emit (feature): encoders for tests and generators
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

#[cfg(feature = "emit")]
extern crate alloc;

pub mod cursor;
pub mod malformed;
pub mod element;
pub mod value;
pub mod list;
pub mod set;
pub mod ipfix;
pub mod netflow;
pub mod sflow;
pub mod frame;
pub mod udp_notif;
pub mod bmp;
pub mod bgp;
#[cfg(feature = "emit")]
pub mod emit;

pub use cursor::Cursor;
pub use malformed::{Malformed, Reason};
