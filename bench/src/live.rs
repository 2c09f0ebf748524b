//! Whole paths measured live: a generator's core, a receiver's core, one virtual Ethernet pair between them.
//!
//! ```text
//! stage      namespaces a and b, quiet; millrace-gen in b as live frames; the receiving NAPI thread on its core
//!   collect  `millrace run` in a: native mode, one worker, null sink    -> datagrams, busy time
//!   bare     the limit: the same ring, fixed offsets, plain columns     -> datagrams, busy time
//!   socket   the kernel's own path: bare recvmmsg, or a peer's process  -> datagrams, lost, CPU time
//!   forward  a router in a: `millrace run`, a bare program or the kernel   -> packets, time of the receiving core
//!   steer    what steering adds to a frame, and a receiver's time of the processor
//!   lines    JSON in a file: our processes, or GoFlow2                 -> time of the processor
//! search     the highest rate without loss
//! ```
//! What a receiver got is counted by the kernel or by the receiver, what was offered by the generator; a run whose
//! numbers do not add up is an error, not a figure.

pub mod stage;
pub mod collect;
pub mod bare;
pub mod socket;
pub mod lines;
pub mod search;
pub mod forward;
pub mod steer;
