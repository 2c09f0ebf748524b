//! The command line: arguments in, exit status out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use control::command::Command;

fn main() -> ExitCode {
    // clap ends with status 2 by itself when the arguments are wrong.
    Command::parse().run()
}
