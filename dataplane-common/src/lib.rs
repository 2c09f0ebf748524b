//! What the eBPF programs and user space must agree on, in one source.
//!
//! ```text
//! octets   one bounded read: packet pointers, skb, slice
//!   |
//! walk     Ethernet, tags, IPv4 or IPv6, extension headers, ports -> Headers | PacketEnd
//!   |
//! router   source address -> keyed hash -> bucket; (row, slot) -> map entry
//!   |
//! map      names, keys and values of the maps; settings the programs are loaded with
//!
//! transit  which packets a router sends on, and how their headers change
//!   |
//! fib      the kernel's look-up: what it is asked, what each answer means
//!
//! ledger   every way a packet ends, in the kernel or in user space
//! ```
//!
//! No allocation, no `unsafe`, no knowledge of how maps and programs are loaded.
#![no_std]
#![forbid(unsafe_code)]

pub mod octets;
pub mod walk;
pub mod router;
pub mod map;
pub mod fib;
pub mod transit;
pub mod ledger;

pub use ledger::PacketEnd;
pub use octets::{Octets, Slice};
pub use router::{BUCKETS, MAX_SLOTS, address_of, bucket, entry, octets_of, router_hash};
pub use walk::{Headers, walk, walk_network};
