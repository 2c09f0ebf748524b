//! When the next burst is due.

use std::time::{Duration, Instant};

/// Shorter waits are spent spinning: the kernel would sleep longer than that.
const SPIN: Duration = Duration::from_micros(150);

/// So many datagrams a second, in bursts. Late bursts are made up for, by no more than a tenth of a second.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    begin: Instant,
    /// Datagrams that were due at `begin`.
    before: u64,
}

impl Pace {
    /// `per_second` of 0: as fast as possible.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
        Self { per_second, begin: Instant::now(), before: 0 }
    }

    /// Waits until the datagram after the first `sent` is due.
    pub fn wait(&mut self, sent: u64) {
        if self.per_second <= 0.0 {
            return;
        }
        let due = Duration::from_secs_f64((sent - self.before) as f64 / self.per_second);
        let mut passed = self.begin.elapsed();
        if passed > due + Duration::from_millis(100) {
            self.begin = Instant::now();
            self.before = sent;
            return;
        }
        while passed < due {
            let left = due - passed;
            if left > SPIN {
                std::thread::sleep(left - SPIN);
            } else {
                std::hint::spin_loop();
            }
            passed = self.begin.elapsed();
        }
    }
}
