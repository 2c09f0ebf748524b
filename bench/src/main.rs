//! `make bench`: every figure, one run, a table and `bench/results/latest.json`.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::PathBuf;

use anyhow::Context;
use bench::figure::Figure;
use bench::input::Input;
use bench::pipeline::{Pipeline, plain_flows, plain_tables};
use clap::Parser;

/// Measure decoding and join in this process, in turn with a plain walk over the same octets.
#[derive(Debug, Parser)]
struct Bench {
    /// Runs of each side that count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Octets of data messages; more than the caches hold.
    #[arg(long, default_value_t = 64 << 20)]
    octets: usize,
    /// Routers that they come from.
    #[arg(long, default_value_t = 64)]
    routers: usize,
    /// Where the rows go.
    #[arg(long, default_value = "bench/results/latest.json")]
    results: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    let input = Input::new(bench.routers, bench.octets);
    println!("{} routers, {} records in {} octets", bench.routers, input.records, input.octets());
    println!("{:<28} {:>14} {:>14} {:>7} {:>8}  peer (unit)", "figure", "ours", "peer", "ratio", "spread");
    let rate = |(seconds, count): (f64, u64)| count as f64 / seconds;
    let mut figures = Vec::new();
    let mut show = |figure: Figure| {
        println!("{}", figure.to_line());
        figures.push(figure);
    };

    let mut plain = Pipeline::new(false);
    plain.templates(&input);
    show(Figure::measure(
        "ipfix_decode_records_per_s",
        "records/s",
        "plain walk of the views, no columns",
        bench.runs,
        || rate(plain.flows(&input)),
        || rate(plain_flows(&input)),
    ));
    let mut joined = Pipeline::new(true);
    joined.templates(&input);
    joined.tables(&input);
    show(Figure::measure(
        "ipfix_join_records_per_s",
        "records/s",
        "the same without join",
        bench.runs,
        || rate(joined.flows(&input)),
        || rate(plain.flows(&input)),
    ));
    show(Figure::measure(
        "bmp_decode_messages_per_s",
        "messages/s",
        "plain walk of the views, no RIB",
        bench.runs,
        || rate((Pipeline::new(true).tables(&input), input.bmp_messages)),
        || rate(plain_tables(&input)),
    ));

    let rows: Vec<_> = figures.iter().map(Figure::to_json).collect();
    if let Some(directory) = bench.results.parent() {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let text = serde_json::to_string_pretty(&rows)? + "\n";
    std::fs::write(&bench.results, text).with_context(|| bench.results.display().to_string())
}
