//! A test that runs itself again in a network namespace of its own, which ends with it.
//!
//! In: the name of the test. Out: whether this is the second run, in the namespace. It makes no device there.

use std::io;
use std::process::Command;

/// Says to the second run that it is one.
const INSIDE: &str = "MILLRACE_TEST_IN_NAMESPACE";

/// Runs the test `test` of this program again under `unshare --net`; `true` in that second run.
///
/// # Errors
/// When the second run failed, or could not be begun: without root, or without `unshare` of util-linux.
pub fn in_own_namespace(test: &str) -> io::Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(true);
    }
    let status = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()?;
    if status.success() {
        return Ok(false);
    }
    Err(io::Error::other(format!("{test} in a network namespace: {status}")))
}
