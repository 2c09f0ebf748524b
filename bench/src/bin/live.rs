//! The live figures of `make bench`: whole paths over a virtual Ethernet pair, as root. Its rows take the place of
//! those of the same names in `bench/results/latest.json`.
#![expect(clippy::print_stderr, reason = "what was lost at which rate is told while the search goes on")]

use anyhow::ensure;
use bench::figure::{median, spread};
use bench::live::collect::Collector;
use bench::live::search::lossless;
use bench::live::socket::PEERS;
use bench::live::stage::{Offer, Stage};
use bench::live::{bare, socket};
use bench::results::Results;
use clap::Parser;
use serde_json::{Value, json};

/// Busy share from which on a rate is the collector's own.
const BUSY: f64 = 0.95;

/// Measure the collector live: generator on one core, receiver on another, a virtual Ethernet pair between them.
#[derive(Debug, Parser)]
struct Live {
    /// Core of the generator.
    #[arg(long, default_value_t = 0)]
    generator_core: usize,
    /// Core of the receiver: the worker, the bare loops, the peers.
    #[arg(long, default_value_t = 1)]
    receiver_core: usize,
    /// Runs of each side that count, alternating.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of one run.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Datagrams a second where a rate is fixed.
    #[arg(long, default_value_t = 200_000.0)]
    rate: f64,
    /// Datagrams a second that a search for the loss-free rate begins with.
    #[arg(long, default_value_t = 4_000_000.0)]
    most: f64,
    #[command(flatten)]
    results: Results,
}

/// A figure's rows.
type Measure = fn(&str, &Live, &Stage) -> anyhow::Result<Vec<Value>>;

/// In the order of the printed table.
const FIGURES: [(&str, Measure); 4] = [
    ("pipeline_busy_ns_per_datagram", busy),
    ("collect_lossfree_records_per_s", lossfree),
    ("scale_exporters", scale),
    ("sink_json_records_per_s", lines),
];

fn main() -> anyhow::Result<()> {
    let live = Live::parse();
    ensure!(live.runs > 0, "runs is 0: give 1 or more");
    let stage = Stage::raise(live.generator_core, live.receiver_core)?;
    live.results.print_all(&FIGURES, |name, measure| measure(name, &live, &stage))
}

/// Datagrams a second of which GoFlow2 writes every record as JSON.
const LINES_RATE: f64 = 2_000.0;

/// JSON lines in a file, beside those of GoFlow2.
fn lines(name: &str, live: &Live, stage: &Stage) -> anyhow::Result<Vec<Value>> {
    bench::live::lines::records_per_s(name, stage, population(64), live.runs, LINES_RATE, live.seconds)
}

/// 100,000 distinct addresses and more: 8,192 datagrams of 18 records.
fn population(exporters: u32) -> String {
    let cycle = (2 * exporters).max(8_192);
    format!(
        "--ipfix {exporters} --octets 1400 --cycle {cycle} --prefixes 100000 --skew 2 --run 1 --template-every 0"
    )
}

/// The worker's time for a datagram, beside a loop of fixed offsets on the same ring.
fn busy(name: &str, live: &Live, stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let offer = Offer { population: population(64), rate: live.rate, seconds: live.seconds };
    let (mut ours, mut bare_ns) = (Vec::new(), Vec::new());
    for run in 0..=live.runs {
        let (offered, worked) = Collector::start(stage, false)?.take(stage, &offer)?;
        ensure!(worked.records <= offered.records, "more rows than records");
        let (_, limit) = bare::take(stage, &offer)?;
        ensure!(limit.datagrams > 0, "the bare loop got nothing");
        // The first run of each does not count.
        if run > 0 {
            ours.push(worked.busy_ns as f64 / worked.datagrams as f64);
            bare_ns.push(limit.busy_ns as f64 / limit.datagrams as f64);
        }
    }
    let peer = median(&bare_ns);
    Ok(vec![json!({
        "name": name, "unit": "ns", "ours": median(&ours), "peer": peer,
        "peer_name": "fixed offsets on the same ring", "ratio": peer / median(&ours), "runs": ours.len(),
        "spread": spread(&ours), "rate": live.rate,
    })])
}

/// The highest rate without loss, ours and that of every peer that is installed.
fn lossfree(name: &str, live: &Live, stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let offer = |rate| Offer { population: population(64), rate, seconds: live.seconds };
    let collector = Collector::start(stage, false)?;
    let (mut share, mut records) = (0.0_f64, 18.0);
    let ours = lossless(1_000.0, live.most, 0.05, |rate| {
        let (offered, worked) = collector.take(stage, &offer(rate))?;
        let passes = worked.datagrams == offered.datagrams && worked.records == offered.records;
        if !passes {
            eprintln!("{rate:.0}/s is too much: {worked:?} of {offered:?}");
        }
        if passes {
            share = worked.busy_ns as f64 / 1e9 / offered.seconds;
            records = offered.records as f64 / offered.datagrams as f64;
        }
        Ok((offered.datagrams as f64 / offered.seconds, passes))
    })?;
    drop(collector);
    let row = |peer_name: &str, peer: f64, cpu_ns: Option<f64>| {
        let ours = ours.rate * records;
        let mut row = json!({
            "name": name, "unit": "records/s", "ours": ours, "peer": peer, "peer_name": peer_name,
            "ratio": ours / peer, "runs": 1, "spread": 0.0, "busy": share, "peer_cpu_ns_per_datagram": cpu_ns,
        });
        if share < BUSY {
            row["bound"] = "generator".into();
        }
        row
    };
    let mut rows = Vec::new();
    let mut cpu = 0.0;
    let mut judge = |(offered, taken): (bench::live::stage::Offered, socket::Taken)| {
        let passes = taken.lost == 0 && taken.datagrams == offered.datagrams;
        if passes {
            cpu = taken.cpu_ns as f64 / taken.datagrams as f64;
        }
        (offered.datagrams as f64 / offered.seconds, passes)
    };
    let bare = lossless(1_000.0, live.most, 0.05, |rate| Ok(judge(socket::bare(stage, &offer(rate))?)))?;
    rows.push(("bare recvmmsg", bare.rate));
    let mut costs = vec![cpu];
    for peer in PEERS.iter().filter(|peer| peer.is_installed()) {
        let mut cpu = 0.0;
        let found = lossless(1_000.0, live.most, 0.05, |rate| {
            let (offered, taken) = peer.take(stage, &offer(rate))?;
            let passes = taken.lost == 0 && taken.datagrams == offered.datagrams;
            if passes {
                cpu = taken.cpu_ns as f64 / taken.datagrams as f64;
            }
            Ok((offered.datagrams as f64 / offered.seconds, passes))
        })?;
        rows.push((peer.name, found.rate));
        costs.push(cpu);
    }
    Ok(rows.iter().zip(costs).map(|((peer, rate), cpu)| row(peer, rate * records, Some(cpu))).collect())
}

/// Records a second of busy time with 10, 1,000 and 10,000 exporters; the first is what the others are held against.
fn scale(name: &str, live: &Live, stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let mut rates = Vec::new();
    for exporters in [10, 1_000, 10_000] {
        let offer = Offer { population: population(exporters), rate: live.rate, seconds: live.seconds };
        let mut runs = Vec::new();
        for run in 0..=live.runs {
            let (_, worked) = Collector::start(stage, false)?.take(stage, &offer)?;
            if run > 0 {
                runs.push(worked.records as f64 * 1e9 / worked.busy_ns as f64);
            }
        }
        rates.push((exporters, runs));
    }
    let least = rates.first().map_or(0.0, |(_, runs)| median(runs));
    let row = |(exporters, runs): &(u32, Vec<f64>)| {
        json!({
            "name": name, "unit": "records/s of busy time", "exporters": exporters, "ours": median(runs),
            "peer": least, "peer_name": "10 exporters", "ratio": median(runs) / least, "runs": runs.len(),
            "spread": spread(runs),
        })
    };
    Ok(rates.iter().map(row).collect())
}
