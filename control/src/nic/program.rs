//! The program `ethtool`: words in, what it printed out. For what the kernel has netlink for since 6.17 only, and a system
//! call with pointers before: the program knows both. It decides nothing.

use std::io;
use std::process::{Command, Stdio};

/// What it prints.
///
/// # Errors
/// The first line that it says of what went wrong: mostly that the driver cannot.
pub(super) fn read(words: &[&str]) -> io::Result<String> {
    let output = Command::new("ethtool").args(words).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(refusal(&output.stderr).unwrap_or_else(|| io::Error::other("ethtool failed")))
}

/// Lets it change something.
///
/// # Errors
/// As [`read`].
pub(super) fn change(words: &[&str]) -> io::Result<()> {
    let output = Command::new("ethtool").args(words).stdin(Stdio::null()).output()?;
    // Version 6.1 ends with success also when the kernel refused.
    match refusal(&output.stderr) {
        None if output.status.success() => Ok(()),
        refusal => Err(refusal.unwrap_or_else(|| io::Error::other("ethtool failed"))),
    }
}

fn refusal(said: &[u8]) -> Option<io::Error> {
    let said = String::from_utf8_lossy(said);
    said.lines().next().map(|line| io::Error::other(line.to_owned()))
}
