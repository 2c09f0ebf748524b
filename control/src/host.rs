//! Whether a configuration can work on this host at all: its cores and devices must be there. One place for `check`,
//! which only says so, and for `run`, which then does not start.

use crate::config::Config;
use crate::nic::{self, Nic};

/// The first key that cannot work here, as one line: key, value, what is legal.
///
/// # Errors
/// That line.
pub fn fits(config: &Config) -> Result<(), String> {
    let cores = ::dataplane::cores::available();
    if let Some(core) = config.workers.iter().find(|core| !cores.contains(&usize::from(**core))) {
        let legal: Vec<String> = cores.iter().map(usize::to_string).collect();
        return Err(format!("key `workers`, value `{core}`: legal is one of the cores {}", legal.join(", ")));
    }
    if let Some(device) = config.devices.iter().find(|device| Nic::read(device).is_none()) {
        let names = nic::names().join(", ");
        return Err(format!("key `devices`, value `{device}`: no such device here; legal is one of {names}"));
    }
    Ok(())
}
