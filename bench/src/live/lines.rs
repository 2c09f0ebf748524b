//! JSON lines in a file: every process of ours beside GoFlow2's, at a rate that both can take.
//!
//! In: a stage. Out: rows. What is measured is the time of the processor, the receiving thread of the kernel included.

use anyhow::ensure;
use serde_json::{Value, json};

use super::collect::Collector;
use super::socket::{Peer, cpu_ns};
use super::stage::{Offer, PORT, Stage};
use crate::figure::{median, spread};

/// As among the other peers, but with its JSON in a file.
const GOFLOW2: Peer = Peer {
    name: "goflow2 2, JSON",
    command: "goflow2 -listen netflow://10.73.0.1:4739?count=1&workers=1 -transport file \
              -transport.file DIR/out -format json",
    config: "",
};

/// Records that a second of processor time takes from the wire into lines of a file.
///
/// # Errors
/// A receiver did not come up, or ours lost a record.
pub fn records_per_s(
    name: &str,
    stage: &Stage,
    population: String,
    runs: usize,
    rate: f64,
    seconds: f64,
) -> anyhow::Result<Vec<Value>> {
    let offer = Offer { population, rate, seconds };
    let directory = std::env::temp_dir().join(format!("mr-lines-{}", std::process::id()));
    let core = stage.receiver_core;
    let config = format!(
        "mode = \"native\"\nworkers = [{core}]\ndevices = [\"eth0\"]\n\
         [[listen]]\nprotocol = \"netflow\"\naddress = \"0.0.0.0\"\nport = {PORT}\n\
         [[sink]]\ntype = \"json\"\npath = \"{}\"\n[join]\nenabled = false\n",
        directory.display()
    );
    let (mut ours, mut others, mut lost) = (Vec::new(), Vec::new(), 0);
    for run in 0..=runs {
        let collector = Collector::run(stage, &config)?;
        let (kernel, own) = (stage.receiving_ns(), cpu_ns(collector.id()));
        let (offered, worked) = collector.take(stage, &offer)?;
        let spent = stage.receiving_ns() - kernel + cpu_ns(collector.id()) - own;
        drop(collector);
        std::fs::remove_dir_all(&directory)?;
        ensure!(worked.records == offered.records, "{worked:?} of {offered:?}");
        let each = offered.records as f64 / offered.datagrams as f64;
        if run > 0 {
            ours.push(worked.records as f64 * 1e9 / spent as f64);
        }
        if GOFLOW2.is_installed() {
            let kernel = stage.receiving_ns();
            let (_, taken) = GOFLOW2.take(stage, &offer)?;
            let spent = stage.receiving_ns() - kernel + taken.cpu_ns;
            if run > 0 {
                lost += taken.lost;
                others.push(taken.datagrams as f64 * each * 1e9 / spent as f64);
            }
        }
    }
    let peer = Some(median(&others)).filter(|peer| peer.is_finite());
    Ok(vec![json!({
        "name": name, "unit": "records/s of processor time", "ours": median(&ours), "peer": peer,
        "peer_name": GOFLOW2.name, "ratio": peer.map(|peer| median(&ours) / peer), "runs": ours.len(),
        "spread": spread(&ours), "rate": rate, "peer_lost": lost,
    })])
}
