//! The memory that a worker has: large tables in huge pages, as the keeper starts its dataplane process. Programs that
//! measure tables begin with it, so that both sides have it; it reads no clock and measures nothing.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;
use control::process::HUGE_PAGES;

/// Begins this program anew with huge pages asked for, unless it was begun so.
///
/// # Errors
/// The program cannot be begun anew.
pub fn huge() -> anyhow::Result<()> {
    let (name, value) = HUGE_PAGES;
    if std::env::var_os(name).is_some() {
        return Ok(());
    }
    let mut again = Command::new("/proc/self/exe");
    Err(again.args(std::env::args_os().skip(1)).env(name, value).exec()).context("cannot begin anew")
}
