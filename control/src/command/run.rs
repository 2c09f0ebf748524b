//! `millrace run`: keeper, control and dataplane in the foreground.

use std::path::PathBuf;

use super::{DEFAULT_CONFIG, Failure};
use crate::process;

/// Collect: start the control and dataplane processes and keep them running.
///
/// SIGTERM and SIGINT take what still waits, complete all files, take everything out of the kernel and print
/// all counters as one JSON object. SIGHUP reads the configuration again: all of it or, with one line that says why,
/// nothing; no BMP session is closed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace run --config /etc/millrace/millrace.toml
  millrace run --confirm 120        # over SSH through the same device; then: millrace confirm
  millrace --log debug run --config millrace.toml")]
pub struct Run {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Take the XDP programs off again and set the cards back after so many seconds, unless `millrace confirm` comes first;
    /// collecting goes on through the kernel's sockets.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    confirm: Option<u32>,
}

impl Run {
    /// Runs the verb; returns the exit status.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn run(&self, log: Option<&str>) -> Result<u8, Failure> {
        Ok(process::run(&self.config, log, self.confirm)?)
    }
}
