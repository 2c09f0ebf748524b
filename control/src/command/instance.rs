//! Which running instance a verb speaks to, and one question to it.

use std::path::PathBuf;

use serde_json::Value;

use super::{DEFAULT_CONFIG, Failure};
use crate::admin::{self, Request};
use crate::config::Config;

/// The instance.
#[derive(Debug, clap::Args)]
pub(super) struct Instance {
    /// The configuration of the instance; it names the socket.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// The socket of the instance, whatever the configuration says.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

impl Instance {
    /// Its socket.
    pub(super) fn socket(&self) -> Result<PathBuf, Failure> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => Ok(Config::read(&self.config).map_err(Failure::input)?.0.control_socket),
        }
    }

    /// Its answer to a request; a refusal is an error.
    pub(super) fn ask(&self, request: impl Into<Request>) -> Result<Value, Failure> {
        let socket = self.socket()?;
        let answer = admin::ask(&socket, request)?.ok_or_else(|| {
            let line = format!("no millrace answers at {} (start one: millrace run)", socket.display());
            Failure::not_running(line)
        })?;
        match answer["error"].as_str() {
            Some(why) => Err(Failure::input(why)),
            None => Ok(answer),
        }
    }
}
