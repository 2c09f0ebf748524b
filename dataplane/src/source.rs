//! What a worker turns: something that gives inputs and keeps what was not consumed.

use collector::Input;

/// Rings, kernel sockets, streams. The source owns the octets; an input borrows them for one call.
pub trait Source {
    /// Gives up to `budget` inputs to `each`, which returns the octets it consumed. Returns how many it gave.
    fn receive(&mut self, budget: u32, each: impl FnMut(Input<'_>) -> usize) -> u32;

    /// Gives back what was borrowed from the kernel. Never waits.
    fn recycle(&mut self);

    /// After a panic in `each`: the input it panicked over is gone, the rest is still to come.
    fn skip(&mut self);
}
