//! A core's number in, the calling thread pinned to it.

/// Cores that this process may run on, by the kernel's number.
#[must_use]
pub fn available() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Pins the calling thread. Memory that it touches first from then on lies near that core.
/// Returns whether the kernel agreed: the core exists and this process may use it.
#[must_use]
pub fn pin(core: usize) -> bool {
    // Asked first, because the library panics over a number beyond the kernel's set of cores.
    available().contains(&core) && core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_there_is_taken_and_another_refused() {
        std::thread::spawn(|| {
            let core = *available().last().unwrap();
            assert!(pin(core));
            assert_eq!(rustix::thread::sched_getcpu(), core);
            assert!(!pin(1_000) && !pin(4_000));
        })
        .join()
        .unwrap();
    }
}
