//! `bench/results/latest.json` -> one SVG a figure in `bench/results/plots`, the last step of `make bench`.

use std::path::PathBuf;

use anyhow::Context as _;
use bench::plot::pictures;
use clap::Parser;
use serde_json::Value;

/// Draw every figure of a file of results.
#[derive(Debug, Parser)]
struct Plot {
    /// The rows.
    #[arg(long, default_value = "bench/results/latest.json")]
    results: PathBuf,
    /// Where the pictures go.
    #[arg(long, default_value = "bench/results/plots")]
    to: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let plot = Plot::parse();
    let text = std::fs::read_to_string(&plot.results)
        .with_context(|| format!("{}: run `make bench` first", plot.results.display()))?;
    let rows: Vec<Value> = serde_json::from_str(&text)?;
    std::fs::create_dir_all(&plot.to).with_context(|| plot.to.display().to_string())?;
    for (name, picture) in pictures(&rows) {
        let path = plot.to.join(format!("{name}.svg"));
        svg::save(&path, &picture).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
