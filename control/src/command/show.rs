//! `millrace show`: what the running instance holds and has counted.

mod exporters;

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::Value;

use super::{DEFAULT_CONFIG, Failure};
use crate::admin::{self, Request};
use crate::config::{Config, Network};
use crate::process::control::answers::What;
use crate::process::control::explain::Packet;

/// Show what the running instance holds and has counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace show workers
  millrace show exporters --json | jq '.items[] | select(.joined == 0)'
  millrace show peers
  millrace show rib --router 192.0.2.1 --prefix 198.51.100.0/24
  millrace show fib --to 198.51.100.1 --from 192.0.2.7 --in eth0
  millrace show counters --json --socket /run/millrace/control.sock")]
pub struct Show {
    /// What to show.
    what: What,
    /// One JSON object: schema, time, items.
    #[arg(long)]
    json: bool,
    /// With `rib`: of this router only.
    #[arg(long, value_name = "ADDRESS")]
    router: Option<IpAddr>,
    /// With `rib`: of exactly this prefix only.
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    prefix: Option<(IpAddr, u8)>,
    /// With `fib`: what would become of a packet for this address, and why.
    #[arg(long, value_name = "ADDRESS", requires_all = ["from", "device"])]
    to: Option<IpAddr>,
    /// Its source.
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    from: Option<IpAddr>,
    /// The device on which the stack would receive it: a port, a VLAN, a bond, a bridge.
    #[arg(long = "in", value_name = "DEVICE", requires = "to")]
    device: Option<String>,
    /// The configuration of the instance; it names the socket.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// The socket of the instance, whatever the configuration says.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

impl Show {
    /// Runs the verb.
    ///
    /// # Errors
    /// Status 1: an unreadable configuration; status 3: nothing runs.
    pub fn run(&self) -> Result<(), Failure> {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => Config::read(&self.config).map_err(Failure::input)?.0.control_socket,
        };
        let packet = match (self.to, self.from, &self.device) {
            (Some(to), Some(from), Some(device)) => Some(Packet { to, from, device: device.clone() }),
            _ => None,
        };
        let request =
            Request { router: self.router, prefix: self.prefix, packet, ..Request::from(self.what) };
        let nobody = || {
            let line = format!("no millrace answers at {} (start one: millrace run)", socket.display());
            Failure::not_running(line)
        };
        let written = if matches!(self.what, What::Exporters) {
            let mut answer = admin::ask(&socket, request)?.ok_or_else(nobody)?;
            // No dataplane at work, no sessions: what control knows stands alone.
            if let Ok(Some(sessions)) = admin::ask(&socket, What::Sessions) {
                exporters::tell(&mut answer, &sessions);
            }
            let text = if self.json { format!("{answer}\n") } else { table(&answer["items"]) };
            io::stdout().write_all(text.as_bytes())
        } else if self.json {
            // A table of millions of routes is passed on as it comes.
            let mut stream = admin::open(&socket, &request)?.ok_or_else(nobody)?;
            io::copy(&mut stream, &mut io::stdout()).map(drop)
        } else {
            let answer = admin::ask(&socket, request)?.ok_or_else(nobody)?;
            io::stdout().write_all(table(&answer["items"]).as_bytes())
        };
        match written {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Failure::input),
        }
    }
}

/// `198.51.100.0/24` or one address.
fn prefix(text: &str) -> Result<(IpAddr, u8), String> {
    Network::try_from(text.to_owned()).map(|network| (network.address, network.bits))
}

/// Items as aligned columns; nested values one a line.
fn table(items: &Value) -> String {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    let nested =
        items.iter().any(|item| item.as_object().is_some_and(|item| item.values().any(Value::is_object)));
    if nested {
        return items.iter().map(|item| lines("", item)).collect();
    }
    let mut columns: Vec<&str> = Vec::new();
    for key in items.iter().filter_map(Value::as_object).flat_map(|item| item.keys()) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    let mut rows = vec![columns.iter().map(|&column| column.to_owned()).collect::<Vec<_>>()];
    rows.extend(items.iter().map(|item| columns.iter().map(|&column| word(&item[column])).collect()));
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn lines(path: &str, value: &Value) -> String {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| lines(&below(key), value)).collect(),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(n, value)| lines(&below(&n.to_string()), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            format!("{path} {}\n", word(value))
        }
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flat_items_are_columns_and_nested_ones_lines() {
        let flat = json!([{"worker": 0, "state": "running"}, {"worker": 10, "core": null}]);
        assert_eq!(table(&flat), "worker  state    core\n0       running  -\n10      -        -\n");
        assert_eq!(
            table(&json!([{"packets": {"delivered": 3}, "unexplained": 0}])),
            "packets.delivered 3\nunexplained 0\n"
        );
        assert_eq!(table(&json!([])), "\n");
    }
}
