//! What one input may cost: 10 ms of this thread's time, measured on its own clock, so that a busy machine is no
//! finding. More is a way to stall a worker and ends the run as a crash would.

/// Most that one input may take, ns.
const MOST_NS: u64 = 10_000_000;
/// A virtual machine that was held up is charged for it now and then: what is slow by itself is slow every time.
const TRIES: usize = 3;

/// Reads an input; panics if that took longer than `MOST_NS` every time.
pub(crate) fn bounded(read: impl Fn()) {
    let mut taken = 0;
    for _ in 0..TRIES {
        let before = thread_ns();
        read();
        taken = thread_ns() - before;
        if taken < MOST_NS {
            return;
        }
    }
    panic!("one input took {taken} ns");
}

fn thread_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}
