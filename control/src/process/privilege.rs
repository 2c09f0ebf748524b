//! Capabilities: what each process keeps, and what is left at the end.
//!
//! Capabilities belong to threads: a process calls this before it starts its first one. Nothing here is
//! undone.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

/// What control needs once its programs are loaded: maps, devices, tracepoints, and its sockets on low ports.
pub const CONTROL: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// What programs have that control runs: `ethtool` sets cards.
pub const PROGRAMS: CapabilitySet = CapabilitySet::NET_ADMIN;

/// What loading and attaching programs needs.
pub const LOAD: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN);

/// What dataplane needs until its rings are open: AF_XDP sockets, and memory that stays where it is.
pub const RINGS: CapabilitySet = CapabilitySet::NET_RAW.union(CapabilitySet::IPC_LOCK);

/// Gives up every capability but `keep`, and the way to ever gain one: the whole bounding set, ambient
/// capabilities, set-user-id programs. What was not held before is not held after. Programs that are run from now on
/// have what of it is in `pass_on`, whoever the user is.
///
/// # Errors
/// When the kernel refuses; then the process should end.
pub fn keep_only(keep: CapabilitySet, pass_on: CapabilitySet) -> Result<(), Errno> {
    let held = capabilities(None)?;
    let left = held.permitted.intersection(keep);
    let inheritable = left.intersection(pass_on);
    // What is not in the bounding set any more cannot be made inheritable.
    set_capabilities(None, CapabilitySets { inheritable, ..held })?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for bit in 0..64 {
            let capability = CapabilitySet::from_bits_retain(1 << bit);
            // EINVAL: the kernel knows no further capability.
            match capability_is_in_bounding_set(capability) {
                Err(_) => break,
                Ok(false) => {}
                Ok(true) => remove_capability_from_bounding_set(capability)?,
            }
        }
    }
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: left, permitted: left, inheritable })?;
    for capability in inheritable.iter() {
        configure_capability_in_ambient_set(capability, true)?;
    }
    set_no_new_privs(true)
}

/// Whether the calling thread may use `capability`.
#[must_use]
pub fn may(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|held| held.effective.contains(capability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_stays_given_up() {
        // A thread of its own: capabilities are a thread's.
        std::thread::spawn(|| {
            let before = capabilities(None).unwrap().permitted;
            keep_only(RINGS, CapabilitySet::empty()).unwrap();
            let first = capabilities(None).unwrap();
            assert_eq!(first.permitted, before.intersection(RINGS));
            keep_only(CapabilitySet::empty(), CapabilitySet::empty()).unwrap();
            let last = capabilities(None).unwrap();
            let none = CapabilitySet::empty();
            assert_eq!((last.effective, last.permitted, last.inheritable), (none, none, none));
            assert!(rustix::thread::no_new_privs().unwrap());
            assert!(set_capabilities(None, first).is_err() || first.permitted.is_empty());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn programs_have_what_is_passed_on_and_nothing_else() {
        std::thread::spawn(|| {
            let passed = capabilities(None).unwrap().permitted.intersection(PROGRAMS);
            keep_only(CONTROL, PROGRAMS).unwrap();
            let status =
                std::process::Command::new("grep").args(["CapEff", "/proc/self/status"]).output().unwrap();
            let said = String::from_utf8(status.stdout).unwrap();
            assert_eq!(said.trim(), format!("CapEff:\t{:016x}", passed.bits()));
        })
        .join()
        .unwrap();
    }
}
