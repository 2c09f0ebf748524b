//! Questions to a worker, answered a slice a tick.
