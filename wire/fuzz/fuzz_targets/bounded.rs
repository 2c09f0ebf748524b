//! What one input may cost: 10 ms of this thread's time, measured on its own clock, so that a busy machine is no
//! finding. More is a way to stall a worker and ends the run as a crash would.

/// Most that one input may take, ns.
const MOST_NS: u64 = 10_000_000;

/// Reads an input; panics if that took longer than `MOST_NS`.
pub(crate) fn bounded(read: impl FnOnce()) {
    let before = thread_ns();
    read();
    let taken = thread_ns() - before;
    assert!(taken < MOST_NS, "one input took {taken} ns");
}

fn thread_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}
