//! The figures of forwarding and steering of `make bench`, as root. Its rows take the place of those of the same names
//! in `bench/results/latest.json`.

use anyhow::ensure;
use bench::live::forward::{blocks, course, packets_per_s};
use bench::live::stage::Stage;
use bench::live::steer;
use bench::results::Results;
use clap::Parser;
use serde_json::Value;

/// Measure forwarding and steering: generator on one core, router on another.
#[derive(Debug, Parser)]
struct Forward {
    /// Core of the generator.
    #[arg(long, default_value_t = 0)]
    generator_core: usize,
    /// Core of the router and of the worker.
    #[arg(long, default_value_t = 1)]
    receiver_core: usize,
    /// Runs of each side that count, alternating.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of one live run.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Datagrams a second where a rate is fixed.
    #[arg(long, default_value_t = 8_000.0)]
    rate: f64,
    #[command(flatten)]
    results: Results,
}

/// A figure's rows.
type Measure = fn(&str, &Forward, &Stage) -> anyhow::Result<Vec<Value>>;

/// In the order of the printed rows.
const FIGURES: [(&str, Measure); 5] = [
    ("forward_packets_per_s", |name, asked, stage| packets_per_s(name, stage, asked.runs, asked.seconds)),
    ("forward_ns_per_frame", |name, asked, stage| course::by_routes(name, stage, asked.runs)),
    ("block_ns_per_frame", |name, asked, stage| blocks::cost(name, stage, asked.runs)),
    ("steer_ns_per_frame", |name, asked, stage| steer::ns_per_frame(name, stage, asked.runs)),
    ("steer_cpu_per_million_datagrams", |name, asked, stage| {
        steer::cpu_per_million(name, stage, asked.runs, asked.rate, asked.seconds)
    }),
];

fn main() -> anyhow::Result<()> {
    let asked = Forward::parse();
    ensure!(asked.runs > 0, "runs is 0: give 1 or more");
    let stage = Stage::raise(asked.generator_core, asked.receiver_core)?;
    asked.results.print_all(&FIGURES, |name, measure| measure(name, &asked, &stage))
}
