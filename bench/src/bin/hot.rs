//! The hot functions over short inputs, one at a time, for a counter of instructions: `hot NAME` prepares, runs once
//! to warm up and then runs `counted` once. Prints what the count is to be divided by.
#![expect(clippy::print_stdout, reason = "the divisor is what this program tells")]

use std::hint::black_box;

use anyhow::bail;
use bench::bmp;
use bench::corpus::Corpus;
use bench::input::Input;
use bench::pipeline::Pipeline;

fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let units = match name.as_str() {
        "ipfix_decode_datagram" => flows(false),
        "ipfix_join_datagram" => flows(true),
        "bmp_walk_message" => {
            let corpus = Corpus::new(0, 7);
            let walked = counted(|| bmp::walk(&corpus));
            walked.messages
        }
        _ => bail!("no such function: {name}"),
    };
    println!("{units}");
    Ok(())
}

/// Datagrams through a whole collector.
fn flows(join: bool) -> u64 {
    let input = Input::new(4, 1 << 20);
    let mut pipeline = Pipeline::new(join);
    pipeline.templates(&input);
    if join {
        pipeline.tables(&input);
    }
    pipeline.flows(&input);
    counted(|| pipeline.flows(&input));
    if let Some(n) = std::env::args().nth(2) {
        for _ in 0..n.parse::<u32>().unwrap_or(0) {
            pipeline.flows(&input);
        }
    }
    input.messages.len() as u64
}

/// What the counter is switched on for, by this name.
#[inline(never)]
fn counted<T>(run: impl FnOnce() -> T) -> T {
    black_box(run())
}
