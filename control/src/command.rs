//! The verbs: arguments -> what the verb does -> exit status.
//!
//! 0 done, 1 configuration or input, 2 usage, 3 not running, 4 not privileged. An error is one line on standard
//! error: what, where, what to do.

pub mod run;
pub mod check;
pub mod decode;
pub mod show;
pub mod dump;
pub mod reload;
pub mod confirm;
mod instance;
pub mod schema;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::process::{control, dataplane};

/// Where the configuration is when nobody says.
pub const DEFAULT_CONFIG: &str = "/etc/millrace/millrace.toml";

/// Network telemetry, steered by XDP to pinned workers, decoded and joined.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Command {
    /// What is logged on standard error: error, warn, info, debug, trace, or per module as RUST_LOG says it.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Check(check::Check),
    Decode(decode::Decode),
    Show(show::Show),
    Dump(dump::Dump),
    Reload(reload::Reload),
    Confirm(confirm::Confirm),
    Schema(schema::Schema),
    /// The control process: started by the keeper alone.
    #[command(hide = true)]
    Control {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        confirm: Option<u32>,
    },
    /// The dataplane process: started by the keeper alone.
    #[command(hide = true)]
    Dataplane,
}

/// Why a verb failed, with its exit status.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    line: String,
}

impl Failure {
    /// Configuration or input.
    pub fn input(error: impl std::fmt::Display) -> Self {
        Self { status: 1, line: error.to_string() }
    }

    /// Nothing runs.
    pub fn not_running(error: impl std::fmt::Display) -> Self {
        Self { status: 3, line: error.to_string() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::input(format!("{error:#}"))
    }
}

impl Command {
    /// Runs the verb. Writes its error as one line.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        self.logs();
        let log = self.log.as_deref();
        let done = match &self.verb {
            Verb::Run(run) => run.run(log),
            Verb::Check(check) => check.run().map(|()| 0),
            Verb::Decode(decode) => decode.run().map(|()| 0).map_err(Failure::from),
            Verb::Show(show) => show.run().map(|()| 0),
            Verb::Dump(dump) => dump.run().map(|()| 0),
            Verb::Reload(reload) => reload.run().map(|()| 0),
            Verb::Confirm(confirm) => confirm.run().map(|()| 0),
            Verb::Schema(schema) => schema.run().map(|()| 0),
            Verb::Control { config, confirm } => control::run(config, *confirm)
                .map(|()| 0)
                .map_err(|error| Failure { status: error.status(), line: error.to_string() }),
            Verb::Dataplane => dataplane::run().map_err(Failure::from),
        };
        match done {
            Ok(status) => ExitCode::from(status),
            Err(Failure { status, line }) => {
                eprintln!("millrace: {}", line.replace('\n', " "));
                ExitCode::from(status)
            }
        }
    }

    fn logs(&self) {
        let filter = match &self.log {
            Some(filter) => EnvFilter::builder().parse_lossy(filter),
            None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        };
        let terminal = std::io::stderr().is_terminal();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(terminal)
            .init();
    }
}
