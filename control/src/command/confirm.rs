//! `millrace confirm`: whoever started `run --confirm` still reaches this host.

use super::Failure;
use super::instance::Instance;
use crate::process::control::answers::What;

/// Keep what `millrace run --confirm` has attached.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace run --confirm 120 --config /etc/millrace/millrace.toml
  millrace confirm")]
pub struct Confirm {
    #[command(flatten)]
    instance: Instance,
}

impl Confirm {
    /// Runs the verb.
    ///
    /// # Errors
    /// Status 1: nothing waits for it; status 3: nothing runs.
    pub fn run(&self) -> Result<(), Failure> {
        self.instance.ask(What::Confirm).map(drop)
    }
}
