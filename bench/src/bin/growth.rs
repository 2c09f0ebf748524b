//! What a datagram costs a collector, frames given from memory: beside a loop that knows every offset, with routes and
//! without, and how it grows. Its rows take the place of those of the same names in `bench/results/latest.json`.

use anyhow::{Context, ensure};
use bench::bare::Columns;
use bench::cpu::Cpu;
use bench::figure::{median, spread};
use bench::longest::Bare;
use bench::replay::{Ran, Replay, Size};
use bench::results::Results;
use clap::Parser;
use core_affinity::CoreId;
use serde_json::{Value, json};

/// What no row of these says anything of.
const MODE: &str = "frames from memory: no ring, no card";

/// Measure what a datagram costs and how that grows.
#[derive(Debug, Parser)]
struct Growth {
    /// Runs of each side that count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// The core to run on; the last one if not given.
    #[arg(long)]
    core: Option<usize>,
    /// Routes where there are many.
    #[arg(long, default_value_t = 1_000_000)]
    routes: u32,
    #[command(flatten)]
    results: Results,
}

type Measure = fn(&str, &Growth, &[CoreId]) -> anyhow::Result<Vec<Value>>;

const FIGURES: [(&str, Measure); 3] = [
    ("pipeline_replayed_ns_per_datagram", pipeline),
    ("pipeline_join_busy_ns_per_datagram", pipeline_join),
    ("growth_records_per_s", growth),
];

fn main() -> anyhow::Result<()> {
    let options = Growth::parse();
    bench::pages::huge()?;
    ensure!(options.runs > 0, "runs is 0: give 1 or more");
    let mut cores: Vec<CoreId> = core_affinity::get_core_ids().unwrap_or_default();
    cores.reverse();
    if let Some(id) = options.core {
        cores.sort_by_key(|core| core.id != id);
    }
    ensure!(cores.first().is_some_and(|core| core_affinity::set_for_current(*core)), "no such core");
    options.results.print_all(&FIGURES, |name, measure| measure(name, &options, &cores))
}

/// Columns alone, beside the same without sessions and templates.
fn pipeline(name: &str, options: &Growth, _: &[CoreId]) -> anyhow::Result<Vec<Value>> {
    let replay = Replay::new(&Size { exporters: 64, templates: 1, routes: 0, octets: 1_400 })?;
    beside(name, options, replay, |_| 0, "fixed offsets")
}

/// With two look-ups a record, beside fixed offsets and a table that answers with a number.
fn pipeline_join(name: &str, options: &Growth, _: &[CoreId]) -> anyhow::Result<Vec<Value>> {
    let size = Size { exporters: 1, templates: 1, routes: options.routes, octets: 1_400 };
    let replay = Replay::new(&size)?;
    let bits = |octets: [u8; 16]| u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]);
    let prefixes: Vec<(u32, u8)> =
        replay.prefixes().iter().map(|prefix| (bits(prefix.octets), prefix.length)).collect();
    let table = Bare::new(&prefixes);
    beside(name, options, replay, |address| table.one(address), "fixed offsets and a bare DIR-24-8")
}

/// A collector and a loop of fixed offsets over the same frames, in turn; the first run of each does not count.
fn beside(
    name: &str,
    options: &Growth,
    mut replay: Replay,
    look_up: impl Fn(u32) -> u32,
    peer_name: &str,
) -> anyhow::Result<Vec<Value>> {
    let mut columns = Columns::default();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..=options.runs {
        let Ran { datagrams, records, seconds } = replay.run()?;
        let started = Cpu::start();
        let mut read = 0;
        for frame in replay.frames() {
            read += columns.take(frame, |columns, rows| {
                for address in columns.source[rows.clone()].iter().chain(&columns.destination[rows]) {
                    std::hint::black_box(look_up(*address));
                }
            }) as u64;
        }
        let limit = started.seconds();
        ensure!(read == records, "the bare loop reads {read} of {records} records");
        if run > 0 {
            ours.push(seconds * 1e9 / datagrams as f64);
            bare.push(limit * 1e9 / datagrams as f64);
        }
    }
    let peer = median(&bare);
    Ok(vec![json!({
        "name": name, "unit": "ns", "ours": median(&ours), "peer": peer, "peer_name": peer_name,
        "ratio": peer / median(&ours), "runs": ours.len(), "spread": spread(&ours), "mode": MODE,
    })])
}

/// One thing grows at a time; every row is held against the smallest.
fn growth(name: &str, options: &Growth, cores: &[CoreId]) -> anyhow::Result<Vec<Value>> {
    let least = Size { exporters: 10, templates: 1, routes: 0, octets: 1_400 };
    let routes = options.routes;
    let sizes = [
        (least, 1),
        (Size { exporters: 1_000, ..least }, 1),
        (Size { exporters: 10_000, ..least }, 1),
        (Size { templates: 100, ..least }, 1),
        (Size { exporters: 1_000, templates: 100, ..least }, 1),
        (Size { routes, ..least }, 1),
        (Size { exporters: 1_000, routes, ..least }, 1),
        (Size { octets: 512, ..least }, 1),
        (Size { octets: 64, ..least }, 1),
        (Size { exporters: 1_000, ..least }, 2),
    ];
    let mut rows: Vec<Value> = Vec::new();
    for (size, workers) in sizes {
        let rates = rates(&size, options.runs, cores.get(..workers).context("too few cores")?)?;
        let ours = median(&rates);
        let peer = rows.first().and_then(|row| row["ours"].as_f64()).unwrap_or(ours);
        rows.push(json!({
            "name": name, "unit": "records/s", "exporters": size.exporters, "templates": size.templates,
            "routes": size.routes, "octets": size.octets, "workers": workers, "ours": ours, "peer": peer,
            "peer_name": "the smallest", "ratio": ours / peer, "runs": rates.len(),
            "spread": spread(&rates), "mode": MODE,
        }));
    }
    Ok(rows)
}

/// Records a second of the workers' own time, all workers together; each has a population and a core of its own.
fn rates(size: &Size, runs: usize, cores: &[CoreId]) -> anyhow::Result<Vec<f64>> {
    let work = |core| {
        ensure!(core_affinity::set_for_current(core), "core {} cannot be had", core.id);
        let mut replay = Replay::new(size)?;
        replay.run()?;
        let rate = |_| replay.run().map(|ran| ran.records as f64 / ran.seconds);
        (0..runs).map(rate).collect::<anyhow::Result<Vec<f64>>>()
    };
    let each = std::thread::scope(|threads| {
        let threads: Vec<_> = cores.iter().map(|core| threads.spawn(move || work(*core))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().ok().context("a worker panicked")?);
        joined.collect::<anyhow::Result<Vec<Vec<f64>>>>()
    })?;
    Ok((0..runs).map(|run| each.iter().filter_map(|rates| rates.get(run)).sum()).collect())
}
