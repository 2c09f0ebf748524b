//! `make bench`: every figure beside its peers in one run, a table and `bench/results/latest.json`.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use anyhow::{Context, ensure};
use bench::bmp::{self, Walked};
use bench::corpus::Corpus;
use bench::cpu::Cpu;
use bench::figure::{Figure, Peer};
use bench::input::Input;
use bench::longest::{self, ipv6};
use bench::pipeline::{Pipeline, plain_flows};
use bench::results::Results;
use bench::sinks::{self, Filling};
use clap::Parser;
use wire::bgp::IpVersion;

/// Measure decoding and join on one core of this machine, in turn with peers over the same octets.
#[derive(Debug, Parser)]
struct Bench {
    /// Runs of each side that count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Octets of input of each figure; more than the caches hold.
    #[arg(long, default_value_t = 64 << 20)]
    octets: usize,
    /// Routers that flows come from.
    #[arg(long, default_value_t = 64)]
    routers: usize,
    /// The core to run on; the last one if not given.
    #[arg(long)]
    core: Option<usize>,
    #[command(flatten)]
    results: Results,
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    bench::pages::huge()?;
    pin(bench.core)?;
    println!("{:<28} {:>14} {:>14} {:>7} {:>8}  peer (unit)", "figure", "ours", "peer", "ratio", "spread");
    let rows = bench.results.measure_all(&FIGURES, |name, measure| {
        let figure = measure(name, &bench)?;
        figure.to_lines().for_each(|line| println!("{line}"));
        Ok(figure.to_json().collect())
    })?;
    let mode = "in one process, on one core: no ring, no card";
    bench.results.begin(rows, &[("mode", mode.into()), ("octets", bench.octets.into())])
}

/// Routes of a full table.
const ROUTES: usize = 1_000_000;

type Measure = fn(&'static str, &Bench) -> anyhow::Result<Figure>;

/// In the order of the printed table.
const FIGURES: [(&str, Measure); 11] = [
    ("ipfix_decode_records_per_s", ipfix_decode),
    ("bmp_decode_messages_per_s", bmp_decode),
    ("join_lookups_per_s", join_lookups),
    ("join_lookups_local_per_s", join_lookups_local),
    ("join_lookups6_per_s", join_lookups6),
    ("join_lookups6_local_per_s", join_lookups6_local),
    ("rib_bytes_per_route", rib_bytes),
    ("allocations_per_packet", allocations),
    ("ipfix_join_records_per_s", ipfix_join),
    ("bmp_rib_messages_per_s", bmp_rib),
    ("sink_parquet_rows_per_s", sink_parquet),
];

/// A whole collector beside decoders that make owned values, and a plain walk.
fn ipfix_decode(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    let input = Input::new(bench.routers, bench.octets);
    let mut ours = Pipeline::new(false);
    ours.templates(&input);
    let mut peers: Vec<Peer<'_>> = Vec::new();
    #[cfg(feature = "peers")]
    {
        use bench::peer::{netflow_parser, netgauze};
        let digest = ours.flows_digest(&input);
        ensure!(netgauze::flows_digest(&input) == digest, "netgauze reads other values of flows than we do");
        ensure!(
            netflow_parser::flows_digest(&input) == digest,
            "netflow_parser reads other values than we do"
        );
        peers.push(("netgauze-flow-pkt 0.13", Box::new(|| rate(|| netgauze::flows(&input)))));
        peers.push(("netflow_parser 1.0", Box::new(|| rate(|| netflow_parser::flows(&input)))));
    }
    peers.push(("plain walk of our views, no columns", Box::new(|| rate(|| plain_flows(&input)))));
    Ok(Figure::measure(name, "records/s", bench.runs, || rate(|| ours.flows(&input)), &mut peers))
}

/// Our views, every value read and judged, beside decoders that make owned values.
fn bmp_decode(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    let corpus = Corpus::new(bench.octets, 7);
    let whole = bmp::walk(&corpus);
    ensure!(whole.messages == corpus.messages() && whole.findings == 0, "we do not read the whole corpus");
    let mut peers: Vec<Peer<'_>> = Vec::new();
    #[cfg(feature = "peers")]
    {
        use bench::peer::{bgpkit, netgauze};
        let octets = bgpkit::octets(&corpus);
        ensure!(netgauze::walk(&corpus) == whole, "netgauze reads other routes than we do");
        ensure!(bgpkit::walk(&octets) == whole, "bgpkit-parser reads other routes than we do");
        peers.push(("netgauze-bmp-pkt 0.13", Box::new(|| timed(|| netgauze::walk(&corpus)))));
        peers.push(("bgpkit-parser 0.23", Box::new(move || timed(|| bgpkit::walk(&octets)))));
    }
    #[cfg(not(feature = "peers"))]
    peers.push(("itself", Box::new(|| timed(|| bmp::walk(&corpus)))));
    Ok(Figure::measure(name, "messages/s", bench.runs, || timed(|| bmp::walk(&corpus)), &mut peers))
}

/// A whole RIB, with standing and choice of paths, on random addresses.
fn join_lookups(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    lookups(name, bench, |_, count| longest::random_addresses(count, 1))
}

/// The same on addresses with locality.
fn join_lookups_local(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    lookups(name, bench, |prefixes, count| longest::local_addresses(prefixes, count, 2))
}

fn lookups(
    name: &'static str,
    bench: &Bench,
    addresses: impl Fn(&[(u32, u8)], usize) -> Vec<u32>,
) -> anyhow::Result<Figure> {
    let prefixes = longest::prefixes(ROUTES, 3);
    let addresses = addresses(&prefixes, 1 << 20);
    let mut rib = longest::rib(&longest::of_rib(&prefixes))?;
    let (keys, bare) = (longest::keys(&addresses), longest::Bare::new(&prefixes));
    let (hits, count) = (longest::look_up(&mut rib, IpVersion::V4, &keys), addresses.len() as u64);
    ensure!(hits == bare.look_up(&addresses), "we find other routes than a bare table");
    let mut peers: Vec<Peer<'_>> = Vec::new();
    peers.push(("bare DIR-24-8", Box::new(|| each(count, || bare.look_up(&addresses)))));
    #[cfg(feature = "peers")]
    {
        use bench::peer::longest as peer;
        let (bitmap, trie) = (peer::treebitmap(&prefixes), peer::prefix_trie(&prefixes));
        ensure!(peer::look_up_treebitmap(&bitmap, &addresses) == hits, "treebitmap finds other routes");
        ensure!(peer::look_up_prefix_trie(&trie, &addresses) == hits, "prefix-trie finds other routes");
        let addresses = &addresses;
        let run = move || each(count, || peer::look_up_treebitmap(&bitmap, addresses));
        peers.push(("treebitmap 0.5, one at a time", Box::new(run)));
        let run = move || each(count, || peer::look_up_prefix_trie(&trie, addresses));
        peers.push(("prefix-trie 0.10, one at a time", Box::new(run)));
    }
    let ours = || each(count, || longest::look_up(&mut rib, IpVersion::V4, &keys));
    Ok(Figure::measure(name, "look-ups/s", bench.runs, ours, &mut peers))
}

/// A whole RIB of IPv6 routes, on addresses in any of its prefixes.
fn join_lookups6(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    lookups6(name, bench, false)
}

/// The same on addresses with locality.
fn join_lookups6_local(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    lookups6(name, bench, true)
}

fn lookups6(name: &'static str, bench: &Bench, is_local: bool) -> anyhow::Result<Figure> {
    let prefixes = ipv6::prefixes(ROUTES, 3);
    let addresses = ipv6::addresses(&prefixes, is_local, 1 << 20, 1);
    let mut rib = longest::rib(&ipv6::of_rib(&prefixes))?;
    let count = addresses.len() as u64;
    ensure!(longest::look_up(&mut rib, IpVersion::V6, &addresses) == count, "not every address is found");
    let mut peers: Vec<Peer<'_>> = Vec::new();
    #[cfg(feature = "peers")]
    {
        use bench::peer::longest as peer;
        let (bitmap, trie) = (peer::treebitmap6(&prefixes), peer::prefix_trie6(&prefixes));
        ensure!(peer::look_up_treebitmap6(&bitmap, &addresses) == count, "treebitmap finds other routes");
        ensure!(peer::look_up_prefix_trie6(&trie, &addresses) == count, "prefix-trie finds other routes");
        let addresses = &addresses;
        let run = move || each(count, || peer::look_up_treebitmap6(&bitmap, addresses));
        peers.push(("treebitmap 0.5, one at a time", Box::new(run)));
        let run = move || each(count, || peer::look_up_prefix_trie6(&trie, addresses));
        peers.push(("prefix-trie 0.10, one at a time", Box::new(run)));
    }
    #[cfg(not(feature = "peers"))]
    peers.push(("no peer: one look-up a second", Box::new(|| 1.0)));
    let ours = || each(count, || longest::look_up(&mut rib, IpVersion::V6, &addresses));
    Ok(Figure::measure(name, "look-ups/s", bench.runs, ours, &mut peers))
}

/// Memory of a RIB of a million routes: places of prefixes and paths, index, attributes, direct table.
fn rib_bytes(name: &'static str, _: &Bench) -> anyhow::Result<Figure> {
    let prefixes = longest::prefixes(ROUTES, 3);
    let before = longest::resident_octets();
    let rib = longest::rib(&longest::of_rib(&prefixes))?;
    let ours = longest::resident_octets().saturating_sub(before);
    std::hint::black_box(&rib);
    let before = longest::resident_octets();
    let bare = longest::Bare::new(&prefixes);
    let peer = longest::resident_octets().saturating_sub(before);
    std::hint::black_box(&bare);
    let each = |octets: u64| octets as f64 / ROUTES as f64;
    let mut peers: [Peer<'_>; 1] = [("bare DIR-24-8, no routes behind it", Box::new(|| each(peer)))];
    Ok(Figure::measure(name, "octets", 1, || each(ours), &mut peers))
}

/// Allocations of joined datagrams in steady state, counted by a program of its own: counting slows allocations down.
fn allocations(name: &'static str, _: &Bench) -> anyhow::Result<Figure> {
    let program = std::env::current_exe()?.with_file_name("hot");
    let output = std::process::Command::new(&program).arg("allocations").output();
    let output = output.with_context(|| program.display().to_string())?;
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.lines().filter_map(|line| line.parse::<f64>().ok());
    let (datagrams, count) = numbers.next().zip(numbers.next()).context("no count of allocations")?;
    let mut peers: [Peer<'_>; 1] = [("none", Box::new(|| 0.0))];
    Ok(Figure::measure(name, "allocations", 1, || count / datagrams, &mut peers))
}

/// Two look-ups a record in the RIB of each flow's own router.
fn ipfix_join(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    let input = Input::new(bench.routers, bench.octets);
    let (mut joined, mut plain) = (Pipeline::new(true), Pipeline::new(false));
    joined.templates(&input);
    joined.tables(&input);
    plain.templates(&input);
    let mut peers: [Peer<'_>; 1] = [("the same without join", Box::new(|| rate(|| plain.flows(&input))))];
    Ok(Figure::measure(name, "records/s", bench.runs, || rate(|| joined.flows(&input)), &mut peers))
}

/// A whole collector with its RIB beside the walk alone.
fn bmp_rib(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    let corpus = Corpus::new(bench.octets, 7);
    let ours = || {
        let mut pipeline = Pipeline::new(true);
        pipeline.begin(&corpus);
        rate(|| pipeline.routes(&corpus))
    };
    let mut peers: [Peer<'_>; 1] = [("our walk alone, no RIB", Box::new(|| timed(|| bmp::walk(&corpus))))];
    Ok(Figure::measure(name, "messages/s", bench.runs, ours, &mut peers))
}

/// Parquet files (zstd) beside our JSON lines, both of 23 fields and on the disk; the thread of the sink alone.
fn sink_parquet(name: &'static str, bench: &Bench) -> anyhow::Result<Figure> {
    // Lines are ten times as long as the octets they come from.
    let input = Input::new(bench.routers, bench.octets / 8);
    let (columns, lines) = (Filling::new(&input, sinks::parquet)?, Filling::new(&input, sinks::json)?);
    let fill = |filling: &Filling| filling.fill().unwrap_or(f64::NAN);
    let mut peers: [Peer<'_>; 1] = [("our JSON lines", Box::new(|| fill(&lines)))];
    Ok(Figure::measure(name, "rows/s", bench.runs, || fill(&columns), &mut peers))
}

/// What one run counts, a second of this thread's own time.
fn rate(run: impl FnOnce() -> u64) -> f64 {
    let started = Cpu::start();
    let count = std::hint::black_box(run());
    count as f64 / started.seconds()
}

/// Look-ups a second of a run of `count`.
fn each(count: u64, run: impl FnOnce() -> u64) -> f64 {
    rate(|| {
        std::hint::black_box(run());
        count
    })
}

/// Messages a second of one walk.
fn timed(walk: impl FnOnce() -> Walked) -> f64 {
    rate(|| std::hint::black_box(walk()).messages)
}

fn pin(core: Option<usize>) -> anyhow::Result<()> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = match core {
        Some(id) => cores.into_iter().find(|core| core.id == id),
        None => cores.into_iter().next_back(),
    };
    let core = core.context("no such core")?;
    ensure!(core_affinity::set_for_current(core), "core {} cannot be had", core.id);
    Ok(())
}
