//! Time that this thread ran on its core: what others do on a shared machine takes cache and clock from it, not time.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A moment of this thread's own time.
#[derive(Clone, Copy, Debug)]
pub struct Cpu(Timespec);

impl Cpu {
    /// Now.
    #[must_use]
    pub fn start() -> Self {
        Self(clock_gettime(ClockId::ThreadCPUTime))
    }

    /// Seconds of this thread since then.
    #[must_use]
    pub fn seconds(self) -> f64 {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        (now.tv_sec - self.0.tv_sec) as f64 + (now.tv_nsec - self.0.tv_nsec) as f64 / 1e9
    }
}
