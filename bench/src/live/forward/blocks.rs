//! What each optional block costs: nanoseconds of a frame and instructions of the program, with it and without.

use std::fmt::Write as _;

use control::config::Config;
use control::ebpf::{LoadSettings, Programs};
use control::kernel::Follower;
use control::mirror;
use control::reconcile::{Tables, desired};
use serde_json::{Value, json};

use super::super::stage::Stage;
use super::course::Course;
use super::road::Road;
use crate::figure::{median, spread};

/// A router without any optional block.
const PLAIN: &str =
    "vlans = false\nbonds = false\nbridges = false\nneighbours = false\nport_counters = false\n";
/// Rules of a list, none of which matches: what a packet costs that all of them let pass.
const RULES: u32 = 1_000;

/// Our program with tables that hold what a configuration asks for in this network namespace.
pub struct Router {
    /// The program, loaded, on no device.
    pub programs: Programs,
}

impl Router {
    /// Loads it and mirrors the kernel as it is now.
    ///
    /// # Errors
    /// A configuration that is none, or what the kernel refused.
    pub fn open(config: &str) -> anyhow::Result<Self> {
        let config = Config::parse(config)?;
        let settings = LoadSettings {
            forward: config.forward.blocks(),
            rules: config.rule_blocks(),
            ..LoadSettings::new(super::super::bare::KEY, 2_048)
        };
        let mut programs = Programs::load(&settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let wanted = runtime.block_on(async { anyhow::Ok(desired(Follower::start()?.state(), &config)) })?;
        for step in Tables::default().steps_to(&wanted) {
            mirror::write(&mut programs.tables, &step)?;
        }
        Ok(Self { programs })
    }
}

/// A block: its name, and what it makes of a configuration.
type Block = (&'static str, fn(&str) -> String);

/// In the order of the path.
const BLOCKS: [Block; 9] = [
    ("arriving rules", |plain| format!("{plain}{}", rules("arriving", ""))),
    ("arriving rules and a rate", |plain| format!("{plain}{}", rules("arriving", "all"))),
    ("VLAN tags", |plain| plain.replace("vlans = false", "vlans = true")),
    ("bonds", |plain| plain.replace("bonds = false", "bonds = true")),
    ("bridges", |plain| plain.replace("bridges = false", "bridges = true")),
    ("neighbours in use", |plain| plain.replace("neighbours = false", "neighbours = true")),
    ("forwarded rules", |plain| format!("{plain}{}", rules("forwarded", ""))),
    ("forwarded rules and a rate", |plain| format!("{plain}{}", rules("forwarded", "all"))),
    ("counters by port", |plain| plain.replace("port_counters = false", "port_counters = true")),
];

/// Rules of three shapes that do not match, and one that lets everything pass, at a rate if it has one.
fn rules(direction: &str, policer: &str) -> String {
    let mut text = String::new();
    if !policer.is_empty() {
        let _ =
            writeln!(text, "[[policer]]\nname = \"{policer}\"\npackets_per_s = 900000000\nper_source = true");
    }
    for rule in 0..RULES {
        let (high, low) = (rule / 256, rule % 256);
        let what = match rule % 3 {
            0 => format!("source = [\"192.{high}.{low}.0/24\"]"),
            1 => format!("destination = [\"192.{high}.{low}.1\"]"),
            _ => format!("protocol = 6\ndestination_port = {}", 10_000 + rule),
        };
        let _ = writeln!(text, "[[acl]]\naction = \"deny\"\ndirection = \"{direction}\"\n{what}");
    }
    let rate = if policer.is_empty() { String::new() } else { format!("policer = \"{policer}\"\n") };
    let _ = writeln!(text, "[[acl]]\naction = \"allow\"\ndirection = \"{direction}\"\n{rate}");
    text
}

/// Time and instructions of each block.
///
/// # Errors
/// What the kernel refused.
pub fn cost(name: &str, stage: &Stage, runs: usize) -> anyhow::Result<Vec<Value>> {
    let road = Road::lay(stage, 1_000)?;
    let frames = road.frames(10_000)?;
    let plain = super::CONFIG.replace("enabled = true\n", &format!("enabled = true\n{PLAIN}"));
    stage.inside("a", || {
        let mut course = Course::over(&frames)?;
        let mut without = Router::open(&plain)?;
        let mut rows = Vec::new();
        for (block, make) in BLOCKS {
            let mut with = Router::open(&make(&plain))?;
            let (mut ours, mut others) = (Vec::new(), Vec::new());
            for run in 0..=runs {
                let (a, b) = (course.ours(&mut with.programs)?, course.ours(&mut without.programs)?);
                if run > 0 {
                    ours.push(a);
                    others.push(b);
                }
            }
            let (size, plain_size) = (with.programs.size()?, without.programs.size()?);
            rows.push(json!({
                "name": name, "unit": "ns", "block": block, "ours": median(&ours), "peer": median(&others),
                "peer_name": "without it", "ratio": median(&others) / median(&ours),
                "added": median(&ours) - median(&others), "runs": ours.len(), "spread": spread(&ours),
                "instructions": size.instructions, "peer_instructions": plain_size.instructions,
                "verified": size.verified, "peer_verified": plain_size.verified,
            }));
        }
        Ok(rows)
    })
}
