//! `millrace-gen`: telemetry of a described population, sent to a collector, counted exactly.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]
#![expect(clippy::print_stderr, reason = "an error is one line")]

use std::process::ExitCode;

use bench::generate::command::Generate;
use clap::Parser as _;

fn main() -> ExitCode {
    match Generate::parse().run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("millrace-gen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
