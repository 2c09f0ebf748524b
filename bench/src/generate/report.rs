//! The one JSON line at the end: what was sent, by class, and what the kernel counted on the device.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::bmp;
use super::population::Population;
use super::script::{Counts, Script};

/// A device's own counters, as differences between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Frames that it sent.
    pub packets: u64,
    /// Octets of them, Ethernet headers included.
    pub octets: u64,
    /// Frames that it could not send.
    pub dropped: u64,
}

impl Device {
    /// What the kernel has counted on `device` of this thread's network namespace so far.
    ///
    /// # Errors
    /// There is no such device.
    pub fn now(device: &str) -> anyhow::Result<Self> {
        // Unlike /sys, it follows the thread's namespace. Columns: 8 of receiving, 8 of sending.
        let text = fs::read_to_string("/proc/thread-self/net/dev").context("/proc/thread-self/net/dev")?;
        let mut lines = text.lines().filter_map(|line| line.trim().split_once(':'));
        let (_, numbers) =
            lines.find(|(name, _)| *name == device).with_context(|| format!("no device {device}"))?;
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|text| text.parse().ok()).collect();
        let number = |nth: usize| numbers.get(nth).copied().unwrap_or_default();
        Ok(Self { octets: number(8), packets: number(9), dropped: number(10) + number(11) })
    }

    /// What has been counted since.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets.wrapping_sub(before.packets),
            octets: self.octets.wrapping_sub(before.octets),
            dropped: self.dropped.wrapping_sub(before.dropped),
        }
    }
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// How datagrams were sent: `sockets`, `live` or `ring`.
    pub mode: &'static str,
    /// Datagrams sent.
    pub sent: u64,
    /// Frames of a script that a program could not make.
    pub failed: u64,
    /// How long it took.
    pub took: Duration,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// The device that was watched, and what the kernel counted on it.
    pub device: Option<(&'a str, Device)>,
    /// BMP sessions.
    pub bmp: bmp::Sent,
}

/// The line. Keys are in camel case, as in the records of Millrace.
#[must_use]
pub fn line(population: &Population, script: &Script, run: &Run<'_>) -> Value {
    let counts = script.counts(run.sent);
    let mut total = Counts::default();
    counts.iter().for_each(|counts| total += *counts);
    let classes: Vec<Value> = population
        .class
        .iter()
        .zip(&counts)
        .map(|(class, counts)| {
            let mut line = json!({
                "protocol": class.protocol.name(), "exporters": class.exporters, "domains": class.domains,
                "templatesPerDomain": if class.protocol.has_templates() { class.templates } else { 0 },
                "ipv6": class.ipv6,
            });
            extend(&mut line, json!(counts));
            line
        })
        .collect();
    let seconds = run.took.as_secs_f64();
    let mut line = json!({ "mode": run.mode, "seconds": seconds, "interrupted": run.interrupted });
    extend(&mut line, json!(total));
    extend(
        &mut line,
        json!({
            // Each datagram is one message of its protocol.
            "messages": total.datagrams + run.bmp.messages,
            "datagramsPerSecond": total.datagrams as f64 / seconds.max(1e-9),
            "failed": run.failed, "classes": classes, "bmp": run.bmp,
            "device": run.device.map(|(name, device)| json!({
                "name": name, "packets": device.packets, "octets": device.octets, "dropped": device.dropped,
            })),
        }),
    );
    line
}

fn extend(line: &mut Value, more: Value) {
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
}
