//! `millrace schema`: the JSON Schema (draft 2020-12) of the lines of one kind, or of all.

use std::io::{self, Write as _};

use anyhow::Context as _;
use collector::ledger::Kind;

use super::Failure;

/// Print the JSON Schema of the lines that decode, show and the file sink write.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace schema
  millrace schema flow > flow.schema.json")]
pub struct Schema {
    /// One kind, for example flow or route; without it one schema of all kinds.
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

impl Schema {
    /// Runs the verb.
    ///
    /// # Errors
    /// An unknown kind, or a standard output that cannot be written.
    pub fn run(&self) -> Result<(), Failure> {
        let schema = match self.kind.as_deref() {
            None => output::schema::all(),
            Some(name) => match Kind::ALL.iter().find(|kind| kind.name() == name) {
                Some(kind) => output::schema::of(*kind),
                None => {
                    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                    return Err(Failure::input(format!("schema {name}: not one of {}", known.join(", "))));
                }
            },
        };
        match writeln!(io::stdout().lock(), "{schema:#}") {
            // Whoever read our lines has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written.context("standard output")?),
        }
    }
}
