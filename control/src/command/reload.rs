//! `millrace reload`: what SIGHUP does, with an answer.

use super::Failure;
use super::instance::Instance;
use crate::process::control::answers::What;

/// Make the running instance read its configuration again: all of it or nothing. Returns when it is at work.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace reload
  millrace check --config /etc/millrace/millrace.toml && millrace reload")]
pub struct Reload {
    #[command(flatten)]
    instance: Instance,
}

impl Reload {
    /// Runs the verb.
    ///
    /// # Errors
    /// Status 1: why the configuration stays as it was; status 3: nothing runs.
    pub fn run(&self) -> Result<(), Failure> {
        self.instance.ask(What::Reload).map(drop)
    }
}
