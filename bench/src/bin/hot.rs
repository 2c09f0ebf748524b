//! The hot functions over short inputs, one at a time, for a counter of instructions: `hot NAME` prepares, runs once
//! to warm up and then runs `counted` once. Prints what the count is to be divided by. `hot allocations` counts those
//! itself, and prints datagrams and allocations.
//!
//! Reads no clock: the counter (valgrind) knows none of this machine's.
#![expect(clippy::print_stdout, reason = "the divisor is what this program tells")]

use std::hint::black_box;

use anyhow::bail;
use bench::bmp;
use bench::corpus::Corpus;
use bench::input::Input;
use bench::longest;
use bench::pipeline::Pipeline;
use wire::bgp::IpVersion;

fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let units = match name.as_str() {
        "ipfix_decode_datagram" => {
            let (mut pipeline, input) = flows(false);
            counted(|| pipeline.flows(&input));
            input.messages.len() as u64
        }
        "ipfix_join_datagram" => {
            let (mut pipeline, input) = flows(true);
            counted(|| pipeline.flows(&input));
            input.messages.len() as u64
        }
        "bmp_walk_message" => {
            let corpus = Corpus::new(0, 7);
            counted(|| bmp::walk(&corpus)).messages
        }
        "rib_lookup" => {
            let prefixes = longest::prefixes(70_000, 3);
            let mut rib = longest::rib(&longest::of_rib(&prefixes))?;
            let keys = longest::keys(&longest::random_addresses(32_000, 1));
            counted(|| longest::look_up(&mut rib, IpVersion::V4, &keys));
            keys.len() as u64
        }
        "rib_lookup6" => {
            let prefixes = longest::ipv6::prefixes(70_000, 3);
            let mut rib = longest::rib(&longest::ipv6::of_rib(&prefixes))?;
            let keys = longest::ipv6::addresses(&prefixes, false, 32_000, 1);
            counted(|| longest::look_up(&mut rib, IpVersion::V6, &keys));
            keys.len() as u64
        }
        "rib_update_message" => {
            let corpus = Corpus::new(0, 7);
            let mut pipeline = Pipeline::new(true);
            pipeline.begin(&corpus);
            counted(|| pipeline.routes(&corpus))
        }
        "allocations" => {
            let (mut pipeline, input) = flows(true);
            let counts = allocation_counter::measure(|| {
                pipeline.flows(&input);
            });
            println!("{}", input.messages.len());
            counts.count_total
        }
        _ => bail!("no such function: {name}"),
    };
    println!("{units}");
    Ok(())
}

/// A warm collector and datagrams for it.
fn flows(join: bool) -> (Pipeline, Input) {
    let input = Input::new(4, 1 << 20);
    let mut pipeline = Pipeline::new(join);
    pipeline.templates(&input);
    if join {
        pipeline.tables(&input);
    }
    // Often enough that each batch of the pool has had its turn.
    for _ in 0..4 {
        pipeline.flows(&input);
    }
    (pipeline, input)
}

/// What the counter is switched on for, by this name.
#[inline(never)]
fn counted<T>(run: impl FnOnce() -> T) -> T {
    black_box(run())
}
